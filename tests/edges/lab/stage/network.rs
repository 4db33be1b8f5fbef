//! The lab of tests/lab, one at a time on this machine.

use std::fs::File;
use std::process::Command;

use super::gateway::Gateway;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/lab.sh");
/// The demo's lab and one started by hand have other names.
const NAME: &str = "bothends-test";
/// Where the lab keeps its sockets: tests/lab/README.md has the list.
pub(super) const DIRECTORY: &str = "/run/bothends-test-lab";
/// The holder of this lock has the lab; on a small machine two labs would only slow each other down.
const TURN: &str = "/run/bothends-test.turn";

/// The BGP daemon of the gateway.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BgpDaemon {
    Bird,
    Frr,
}

/// Two tunnels that are up until they are broken. Dropping it takes everything down.
pub(crate) struct Lab {
    gateway: Gateway,
    _turn: File,
}

impl Lab {
    /// Waits for its turn, and brings the lab up.
    pub(crate) fn up(bgp: BgpDaemon) -> Self {
        let turn = File::create(TURN).expect("these tests need root");
        turn.lock().unwrap();
        let bgp = match bgp {
            BgpDaemon::Bird => "bird",
            BgpDaemon::Frr => "frr",
        };
        succeed(script(&["up"]).env("LAB_BGP", bgp));
        Self { gateway: Gateway::named(format!("{NAME}-cgw")), _turn: turn }
    }

    /// The gateway, where the daemon runs.
    pub(crate) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Breaks a tunnel (`1`, `2` or `all`) for real; the kinds are listed in tests/lab/README.md.
    pub(crate) fn breaks(&self, kind: &str, tunnel: &str) {
        run(&["break", kind, tunnel]);
    }

    /// The same for a kind of fault with a parameter.
    pub(crate) fn breaks_by(&self, kind: &str, tunnel: &str, value: &str) {
        run(&["break", kind, tunnel, value]);
    }

    /// Undoes every fault of a tunnel; when it returns, pings pass and AWS's end says UP.
    pub(crate) fn heal(&self, tunnel: &str) {
        run(&["heal", tunnel]);
    }

    /// `ip ARGUMENTS` on a node; `{lab}` in them stands for the lab's name, which is the prefix of its namespaces.
    pub(crate) fn ip(&self, node: &str, arguments: &str) {
        let arguments = arguments.replace("{lab}", NAME);
        let words: Vec<&str> = ["exec", node, "ip"].into_iter().chain(arguments.split_whitespace()).collect();
        run(&words);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let down = script(&["down"]).output();
        if !down.as_ref().is_ok_and(|output| output.status.success()) {
            eprintln!("the lab {NAME} is left over: {down:?}");
        }
    }
}

pub(super) fn script(arguments: &[&str]) -> Command {
    let mut command = Command::new(SCRIPT);
    command.args(arguments).env("LAB_NAME", NAME).env("LAB_OWNER", std::process::id().to_string());
    command
}

fn run(arguments: &[&str]) {
    succeed(&mut script(arguments));
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
