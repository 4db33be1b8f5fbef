//! `aws-stand-in`: the stand-in as a program, for the demo and for manual tests.

mod follow;
#[path = "mod.rs"]
mod stand_in;

use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use clap::Parser;
use stand_in::{Command, Settings, StandIn};

/// An AWS to test against. Every command of its control side is `POST /_stand-in/<command>`.
#[derive(Parser)]
#[command(name = "aws-stand-in")]
struct Arguments {
    /// Where to listen; port 0 takes any free one, and the first line printed says which.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Account, keys, VPN connections and response plans, as JSON.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// A shell command, run every second, that prints a line `OUTSIDE_IP UP|DOWN [STATUS MESSAGE…]` per tunnel.
    #[arg(long, value_name = "CMD")]
    follow: Option<String>,
    /// A command to carry out at the start, as JSON: {"set_tunnel": {"outside_ip": "203.0.113.11", "up": false}}.
    #[arg(long, value_name = "JSON")]
    command: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let settings: Settings = match &arguments.settings {
        Some(path) => serde_json::from_slice(&std::fs::read(path)?)?,
        None => Settings::default(),
    };
    let stand_in = StandIn::start(TcpListener::bind(arguments.listen)?, settings)?;
    for text in &arguments.command {
        let command: Command = serde_json::from_str(text)?;
        stand_in.control(command)?;
    }
    println!("{}", stand_in.url());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match &arguments.follow {
            Some(command) => follow::follow(&stand_in, command).await,
            None => std::future::pending().await,
        }
    })
}
