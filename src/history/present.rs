//! What is so now: the end of every history.

use std::sync::Arc;

use super::said::Said;
use crate::domain::cause::Cause;
use crate::domain::names::{Role, TunnelId};
use crate::domain::silence::SilenceId;
use crate::domain::status::Status;
use crate::domain::time::Stamp;
use crate::domain::verdict::Assessment;

/// The present of a daemon; of a file that no daemon has open, the end of what it remembers, without tunnels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// When that was.
    pub at: Stamp,
    /// The site's name; empty where the file of a daemon does not say it.
    pub site: Arc<str>,
    /// The tunnels in the configuration, by connection in its order. Of one that is missing here, nothing is known now.
    pub tunnels: Vec<TunnelNow>,
}

impl Present {
    /// The present of a daemon with this status.
    pub fn of(status: &Status) -> Self {
        let tunnels = status.vpns.iter().flat_map(|vpn| {
            vpn.tunnels.iter().map(|tunnel| TunnelNow {
                id: tunnel.id.clone(),
                vpn_name: Arc::clone(&vpn.name),
                name: Arc::clone(&tunnel.name),
                role: tunnel.role,
                local: tunnel.local.verdict.into(),
                aws: tunnel.aws.verdict.into(),
                assessment: tunnel.assessment,
                cause: tunnel.diagnosis.as_ref().map(|diagnosis| diagnosis.cause),
                silenced: tunnel.silenced,
            })
        });
        Self { at: status.at.wall, site: Arc::clone(&status.site), tunnels: tunnels.collect() }
    }
}

/// A tunnel as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelNow {
    /// Which.
    pub id: TunnelId,
    /// The name of its connection.
    pub vpn_name: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Its role.
    pub role: Role,
    /// What our end says.
    pub local: Said,
    /// What AWS says.
    pub aws: Said,
    /// Both together.
    pub assessment: Assessment,
    /// Why it does not work; `None` where nothing is wrong.
    pub cause: Option<Cause>,
    /// The silence that covers it.
    pub silenced: Option<SilenceId>,
}
