//! Arguments → one function per command → exit code. Nothing is bound or sent before the configuration stands.

#[macro_use]
mod say;

mod check;
mod discover;
mod drill;
mod probe;
mod reload;
mod status;

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

use crate::config::{self, Config};
use crate::daemon;
use crate::process::{Exit, environment};

/// Where the package puts it.
const DEFAULT_CONFIG: &str = "/etc/bothends/bothends.toml";

/// Watches both ends of AWS Site-to-Site VPN tunnels and raises an incident when both agree that one is down.
#[derive(Debug, Parser)]
#[command(name = "bothends", version, about, arg_required_else_help = true)]
pub struct Arguments {
    /// The configuration; conf.d/*.toml beside it is read after it.
    #[arg(long, short, global = true, value_name = "PATH", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon.
    Run,
    /// Print what the configuration means, or everything that is wrong with it. Asks nobody without --aws.
    Check {
        /// Try every permission at AWS that it needs, and print a table and what is missing. Changes nothing there.
        #[arg(long)]
        aws: bool,
        /// Judge as `run` does at its start: refuse files in the wrong hands, and a host without ICMP sockets or authorities, too.
        /// Listener and store are not tried; a running daemon has them.
        #[arg(long)]
        to_run: bool,
    },
    /// Have the running daemon read its configuration again, and wait until it is in force.
    Reload,
    /// Ask AWS about VPN connections and print a configuration for them. Needs none.
    Discover(discover::Discover),
    /// Raise a test incident, marked DRILL, through every sink, show it as it comes back, and resolve it.
    Drill(drill::Drill),
    /// Ask every tunnel now, once, and print a table.
    Probe {
        /// Echoes per tunnel.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
        echoes: u32,
    },
    /// Print what the running daemon knows, both ends side by side.
    Status {
        /// As JSON, for scripts.
        #[arg(long)]
        json: bool,
    },
}

/// Carries a command out.
pub fn run(arguments: Arguments) -> Exit {
    let Arguments { config, command } = arguments;
    match command {
        Command::Run => daemon::run(&config),
        Command::Check { aws, to_run } => check::run(&config, aws, to_run),
        Command::Reload => reload::run(),
        Command::Discover(arguments) => discover::run(&arguments),
        Command::Drill(arguments) => with_config(&config, |config| drill::run(config, &arguments)),
        Command::Probe { echoes } => with_config(&config, |config| probe::run(config, echoes)),
        Command::Status { json } => with_config(&config, |config| status::run(config, json)),
    }
}

/// Prints what was wrong with the arguments, or the help or version that was asked for.
pub fn usage(error: &clap::Error) -> Exit {
    // Where not even this can be printed there is nobody to tell.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Success }
}

fn with_config(path: &Path, command: impl FnOnce(&Config) -> Exit) -> Exit {
    match config::load(path, &environment()) {
        Ok(config) => command(&config),
        Err(rejection) => {
            complain!("{rejection}");
            Exit::Configuration
        }
    }
}
