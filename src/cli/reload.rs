//! `bothends reload`: the daemon reads its configuration again. It ends when the outcome is known, as `ExecReload=` must.

use std::path::PathBuf;

use crate::control::client::{self, ControlError, PATIENCE};
use crate::control::{Answer, DEFAULT_SOCKET, Request, socket};
use crate::process::{Exit, environment};

pub(super) fn run() -> Exit {
    let path = socket(&environment()).unwrap_or_else(|| PathBuf::from(DEFAULT_SOCKET));
    match client::ask(&path, Request::Reload, PATIENCE) {
        Ok(answer) => tell(answer),
        Err(error) => {
            complain!("{error}");
            match error {
                ControlError::NotAllowed { .. } => Exit::Permission,
                ControlError::NobodyThere { .. }
                | ControlError::NoAnswer { .. }
                | ControlError::Broken { .. } => Exit::BadNews,
            }
        }
    }
}

fn tell(answer: Answer) -> Exit {
    match answer {
        Answer::InForce { vpns, tunnels, notes } => {
            say!("the configuration is in force; VPN connections: {vpns}, tunnels: {tunnels}");
            for note in notes {
                complain!("warning: {note}");
            }
            Exit::Success
        }
        Answer::Refused { problems } => {
            for problem in problems {
                complain!("{problem}");
            }
            complain!("the configuration is invalid; the previous one stays in force");
            Exit::Configuration
        }
        Answer::Ending => {
            complain!("the daemon is stopping; its next start reads the configuration");
            Exit::BadNews
        }
        Answer::Busy => {
            complain!("too many requests to the daemon at once; try again");
            Exit::BadNews
        }
        Answer::NotUnderstood { requests } => {
            complain!(
                "the daemon is another version and does not support reload (it supports: {}); restart it: \
                 systemctl restart bothends",
                requests.join(", ")
            );
            Exit::BadNews
        }
    }
}
