//! The names of connections and tunnels, with which every record begins.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::domain::names::{Role, TunnelId, VpnId};
use crate::domain::plan::Plan;

/// The names in a configuration.
#[derive(Debug, Clone, Default)]
pub struct Names {
    site: Arc<str>,
    vpns: BTreeMap<VpnId, Arc<str>>,
    tunnels: BTreeMap<TunnelId, TunnelNames>,
}

#[derive(Debug, Clone)]
struct TunnelNames {
    name: Arc<str>,
    role: Role,
    inside_ip: IpAddr,
}

impl From<&Plan> for Names {
    fn from(plan: &Plan) -> Self {
        Self {
            site: Arc::clone(&plan.site),
            vpns: plan.vpns.iter().map(|vpn| (vpn.id.clone(), Arc::clone(&vpn.name))).collect(),
            tunnels: plan
                .vpns
                .iter()
                .flat_map(|vpn| &vpn.tunnels)
                .map(|tunnel| {
                    let names = TunnelNames {
                        name: Arc::clone(&tunnel.name),
                        role: tunnel.role,
                        inside_ip: tunnel.route.inside_ip,
                    };
                    (tunnel.id.clone(), names)
                })
                .collect(),
        }
    }
}

impl Names {
    /// The site's name.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// `milan-1: Milan DC, primary`, or the id of a connection that is not in the configuration.
    pub fn of_vpn(&self, vpn: &VpnId) -> String {
        let name = self.vpns.get(vpn).map_or(vpn.as_str(), |name| name);
        format!("{}: {name}", self.site)
    }

    /// `milan-1: Milan DC, primary: tunnel 1 (203.0.113.11)`, with ids for what is not in the configuration.
    pub fn of_tunnel(&self, tunnel: &TunnelId) -> String {
        let vpn = self.of_vpn(&tunnel.vpn);
        match self.tunnels.get(tunnel) {
            Some(names) => format!("{vpn}: {} ({})", names.name, tunnel.outside_ip),
            None => format!("{vpn}: {}", tunnel.outside_ip),
        }
    }

    /// The address that the tunnel's inside check asks.
    pub fn inside_ip(&self, tunnel: &TunnelId) -> Option<IpAddr> {
        self.tunnels.get(tunnel).map(|names| names.inside_ip)
    }

    /// What the tunnel is for.
    pub fn role(&self, tunnel: &TunnelId) -> Option<Role> {
        self.tunnels.get(tunnel).map(|names| names.role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    impl Names {
        /// The names of [`crate::fixture`]'s tunnels, of which the first has this role.
        pub(in crate::catalogue) fn sample(role: Role) -> Self {
            let named = |n: u8, role| {
                let inside_ip = IpAddr::from([169, 254, 9 + n, 1]);
                (fixture::tunnel(n), TunnelNames { name: format!("tunnel {n}").into(), role, inside_ip })
            };
            Self {
                site: "milan-1".into(),
                vpns: BTreeMap::from([(fixture::vpn(), "Milan DC, primary".into())]),
                tunnels: BTreeMap::from([named(1, role), named(2, Role::Active)]),
            }
        }
    }
}
