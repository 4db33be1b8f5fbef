//! Arguments → one function per command → exit code. Nothing is bound or sent before the configuration is valid.

#[macro_use]
mod terminal;

mod layout;
mod progress;
mod sheet;
mod style;

mod as_service;
mod check;
mod daemon_address;
mod discover;
mod drill;
mod probe;
mod reload;
mod report;
mod silence;
mod status;
mod unit;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

use crate::config::{self, Config, DEFAULT_PATH};
use crate::daemon;
use crate::process::{Exit, environment};

/// Monitors AWS Site-to-Site VPN tunnels from both ends and raises an incident when both ends agree that one is down.
#[derive(Debug, Parser)]
#[command(name = "bothends", version, about, arg_required_else_help = true)]
pub struct Arguments {
    /// The configuration file; conf.d/*.toml beside it is read after it.
    #[arg(long, short, global = true, value_name = "PATH", default_value = DEFAULT_PATH)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon.
    Run,
    /// Validate the configuration and explain it, or list all errors. Offline without --aws.
    Check {
        /// Also test every AWS permission that the configuration needs, without changing anything, and list what is missing.
        #[arg(long)]
        aws: bool,
        /// Also run the start-up checks of `run`, as root with the service's user, unit and drop-ins: file ownership and modes, ICMP
        /// sockets, CA certificates. Listener and store are left alone; a running daemon has them.
        #[arg(long)]
        to_run: bool,
        /// With --aws or --to-run as root: use the user, credentials and environment of this shell, not the service's.
        #[arg(long)]
        own_credentials: bool,
    },
    /// Reload the configuration of the running daemon and wait for the result.
    Reload,
    /// Generate a configuration from AWS (DescribeVpnConnections). Needs no configuration.
    Discover(discover::DiscoverArguments),
    /// Raise a test incident, marked DRILL, through every sink, show each record as the sink returns it, and resolve it.
    Drill(drill::DrillArguments),
    /// Probe every tunnel once and print a table.
    Probe {
        /// Echo requests per tunnel.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
        echoes: u32,
    },
    /// Report what happened: availability as both ends agree and as each says, outages, pages.
    Report(report::ReportArguments),
    /// Hold back what opens in a planned time: incidents are recorded, and sent at its end if both ends still say down.
    Silence(silence::SilenceArguments),
    /// Show the state of the running daemon, both ends side by side. Exit code: 0 healthy, 1 degraded, 2 down, 3 unknown.
    Status(status::StatusArguments),
}

/// Runs the command.
pub fn run(arguments: Arguments) -> Exit {
    let Arguments { config, command } = arguments;
    terminal::finished(match command {
        Command::Run => daemon::run(&config),
        Command::Check { aws, to_run, own_credentials } => check::run(&config, aws, to_run, own_credentials),
        Command::Reload => reload::run(),
        Command::Discover(arguments) => discover::run(&arguments),
        Command::Drill(arguments) => with_config(&config, |loaded| drill::run(&config, loaded, &arguments)),
        Command::Probe { echoes } => with_config(&config, |config| probe::run(config, echoes)),
        Command::Report(arguments) => report::run(&config, &arguments),
        Command::Silence(arguments) => silence::run(&config, arguments),
        Command::Status(arguments) => status::run(&config, arguments),
    })
}

/// Prints what is wrong with the arguments, or the requested help or version.
pub fn usage(error: &clap::Error, arguments: impl Iterator<Item = OsString>) -> Exit {
    let arguments: Vec<_> = arguments.collect();
    let wrong = error.use_stderr();
    let is_plugin = arguments.iter().any(|argument| status::is_plugin(argument));
    if wrong && (is_plugin || is_status(arguments.into_iter())) {
        return status::misused(error, is_plugin);
    }
    // If even this cannot be printed, only the exit code is left.
    let _ = error.print();
    match (wrong, is_plugin) {
        (true, _) => Exit::Usage,
        // What is asked for its help has not looked.
        (false, true) => Exit::Unknown,
        (false, false) => Exit::Success,
    }
}

/// Whether the command is `status`. There a wrong option must not exit with a code that means "degraded" or "down".
fn is_status(arguments: impl Iterator<Item = OsString>) -> bool {
    let mut arguments = arguments.skip_while({
        let mut value_follows = false;
        move |argument| {
            let option = argument.as_encoded_bytes().starts_with(b"-") || value_follows;
            value_follows = !value_follows && (argument == "--config" || argument == "-c");
            option
        }
    });
    arguments.next().is_some_and(|command| command == "status")
}

fn with_config(path: &Path, command: impl FnOnce(&Config) -> Exit) -> Exit {
    match config::load(path, &environment()) {
        Ok(loaded) => command(&loaded.config),
        Err(rejection) => {
            complain!("{rejection}");
            Exit::Configuration
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_recognised_wherever_its_options_stand() {
        let is = |line: &str| is_status(line.split(' ').map(OsString::from));
        assert!(is("status --jsn"));
        assert!(is("--config /x status --jsn"));
        assert!(is("-c /x --bogus status"));
        assert!(is("--config=/x status more"));
        assert!(is("-c/x status"));
        assert!(!is("check status"));
        assert!(!is("--config status check"));
        assert!(!is("stat"));
        assert!(!is(""));
    }
}
