//! `bothends`: arguments in, exit code out.

use std::process::ExitCode;

use bothends::cli::{self, Arguments};
use clap::Parser;

fn main() -> ExitCode {
    match Arguments::try_parse() {
        Ok(arguments) => cli::run(arguments).into(),
        Err(error) => cli::usage(&error, std::env::args_os().skip(1)).into(),
    }
}
