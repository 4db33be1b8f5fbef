//! Whether a drill must end: a signal, or what the daemon beside it says.

use std::io;
use std::net::SocketAddr;

use tokio::sync::watch;

use super::super::interrupt::Interrupts;
use crate::http::client::{self, PATIENCE, Server};
use crate::http::status_json::{PhasesJson, StatusJson};

/// What the daemon beside it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Daemon {
    /// No incident, and none is coming.
    Quiet,
    /// An incident, or one that may come.
    Busy(String),
    /// Nothing that could be understood.
    Absent(String),
}

/// Looks out.
pub(super) struct Watch {
    daemon: Server,
    interrupted: watch::Receiver<bool>,
}

impl Watch {
    /// From here on SIGINT, SIGTERM and SIGHUP end no process, but the drill.
    pub(super) fn new(listen: SocketAddr) -> io::Result<Self> {
        let mut interrupts = Interrupts::new()?;
        let (tell, interrupted) = watch::channel(false);
        tokio::spawn(async move {
            interrupts.next().await;
            // It is kept, so that who waits goes on waiting.
            tell.send_replace(true);
            tell.closed().await;
        });
        Ok(Self { daemon: Server::listening_at(listen), interrupted })
    }

    /// Waits until somebody interrupts it.
    pub(super) async fn interrupted(&self) {
        // The sender lives as long as this does.
        let _ = self.interrupted.clone().wait_for(|interrupted| *interrupted).await;
    }

    pub(super) fn daemon(&self) -> Daemon {
        match client::ask(&self.daemon, "GET /status", PATIENCE) {
            Ok(answer) if answer.code == 200 => match serde_json::from_str(&answer.body) {
                Ok(status) => said(&status),
                Err(error) => Daemon::Absent(format!("its status cannot be parsed: {error}")),
            },
            Ok(answer) => Daemon::Absent(format!("it answers {}", answer.code)),
            Err(error) => Daemon::Absent(error.to_string()),
        }
    }

    /// Why no drill may be open any longer; `None` while one may.
    pub(super) fn why_stop(&self) -> Option<String> {
        if *self.interrupted.borrow() {
            return Some("interrupted".to_owned());
        }
        match self.daemon() {
            Daemon::Busy(what) => Some(what),
            Daemon::Quiet | Daemon::Absent(_) => None,
        }
    }
}

fn said(status: &StatusJson) -> Daemon {
    // One that is over may still have to be resolved at a sink, and would be found there as open.
    if let Some(incident) = status.incidents.first() {
        return Daemon::Busy(format!("the daemon has a real incident, {} ({})", incident.id, incident.state));
    }
    for vpn in &status.vpns {
        let PhasesJson { outage, redundancy_lost, one_sided } = &vpn.phases;
        for (kind, phase) in
            [("outage", outage), ("redundancy_lost", redundancy_lost), ("one_sided", one_sided)]
        {
            if phase != "clear" {
                return Daemon::Busy(format!(
                    "the daemon says that {kind} of {} ({}) is {phase}",
                    vpn.name, vpn.id
                ));
            }
        }
    }
    Daemon::Quiet
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(phase: &str, incidents: &Value) -> Daemon {
        let status = json!({
            "site": "milan-1", "version": "1", "mode": "raise", "at": "2026-11-22T10:00:00Z", "ready": true,
            "vpns": [{
                "id": "vpn-0a", "name": "Milan DC", "tunnels": [],
                "routing": "unknown", "traffic": "cannot_tell",
                "phases": { "outage": "clear", "redundancy_lost": "clear", "one_sided": phase },
            }],
            "incidents": incidents, "sources": [], "problems": [],
        });
        said(&serde_json::from_value(status).unwrap())
    }

    #[test]
    fn whatever_is_not_clear_is_in_the_way_before_it_is_an_incident() {
        assert_eq!(told("clear", &json!([])), Daemon::Quiet);
        for phase in ["pending", "open", "clearing"] {
            let Daemon::Busy(what) = told(phase, &json!([])) else { panic!("{phase} is not in the way") };
            assert!(what.contains("one_sided of Milan DC (vpn-0a)") && what.contains(phase), "{what}");
        }
    }

    #[test]
    fn an_incident_that_is_over_and_not_settled_is_in_the_way() {
        let incident = json!({
            "id": "vpn-0a/outage/1", "vpn": "vpn-0a", "kind": "outage", "state": "resolved", "worsened": 0,
            "began": "2026-11-22T09:00:00Z", "opened": "2026-11-22T09:00:00Z", "timeline": [],
        });
        let Daemon::Busy(what) = told("clear", &json!([incident])) else { panic!("it is not in the way") };
        assert!(what.contains("vpn-0a/outage/1 (resolved)"), "{what}");
    }
}
