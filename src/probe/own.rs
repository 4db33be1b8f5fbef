//! Whether an address that should be AWS's is one of this host's own.
//!
//! A probe of such an address never leaves the host, so that a dead tunnel looks up. It happens when the ends of a tunnel are
//! exchanged in the configuration, or when an address moves to this host later.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::catalogue::parts::Detail;
use crate::domain::names::{Role, VpnId};
use crate::domain::plan::{Plan, TunnelPlan};

/// Addresses seldom change, and no verdict waits for this.
const EVERY: Duration = Duration::from_secs(5);

/// The addresses on this host's interfaces.
///
/// # Errors
/// The system's, if it could not be found out.
pub fn own() -> io::Result<BTreeSet<IpAddr>> {
    let found = getifaddrs()?.filter_map(|one| one.address).filter_map(|address| {
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    });
    Ok(found.collect())
}

/// What is wrong with the addresses of a tunnel on a host with these addresses, and what to do.
pub fn mistaken(tunnel: &TunnelPlan, own: &BTreeSet<IpAddr>) -> Option<String> {
    let TunnelPlan { id, name, role, route } = tunnel;
    let (outside_ip, inside_ip, source_ip) = (id.outside_ip, route.inside_ip, route.source_ip);
    let unused = match role {
        Role::Active | Role::Standby => false,
        Role::Unused => true,
    };
    let what = if unused {
        return None;
    } else if own.contains(&inside_ip) && !own.contains(&source_ip) {
        format!(
            "inside_ip {inside_ip} is an address of this host and source_ip {source_ip} is not: they are swapped. Set \
             inside_ip = \"{source_ip}\" and source_ip = \"{inside_ip}\""
        )
    } else if own.contains(&inside_ip) {
        format!(
            "inside_ip {inside_ip} is an address of this host, which answers its own probes. Set inside_ip to AWS's address \
             inside the tunnel"
        )
    } else if own.contains(&outside_ip) {
        format!(
            "outside_ip {outside_ip} is an address of this host. Set it to AWS's outside address of the tunnel"
        )
    } else {
        return None;
    };
    Some(format!("{name} ({outside_ip}): {what}"))
}

/// Tells of each connection what is wrong with its addresses, at first and whenever this host's addresses or the plan change; an
/// empty list where nothing is. Ends when nobody plans any more.
pub async fn watch(mut plans: watch::Receiver<Arc<Plan>>, mut tell: impl FnMut(&VpnId, &[String])) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told: BTreeSet<VpnId> = BTreeSet::new();
    loop {
        match own() {
            Ok(own) => {
                let plan = Arc::clone(&plans.borrow_and_update());
                let mut wrong = BTreeSet::new();
                for vpn in &plan.vpns {
                    let mistakes: Vec<_> =
                        vpn.tunnels.iter().filter_map(|tunnel| mistaken(tunnel, &own)).collect();
                    if !mistakes.is_empty() {
                        tell(&vpn.id, &mistakes);
                        wrong.insert(vpn.id.clone());
                    }
                }
                for over in told.difference(&wrong) {
                    tell(over, &[]);
                }
                told = wrong;
            }
            Err(error) => Detail::AddressesUnknown(&error).record().emit(),
        }
        tokio::select! {
            _ = ticks.tick() => {}
            changed = plans.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::TunnelId;
    use crate::domain::plan::Route;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn told(role: Role, own: &[&str]) -> Option<String> {
        let tunnel = TunnelPlan {
            id: TunnelId { vpn: VpnId::new("vpn-0123456789abcdef0"), outside_ip: ip("203.0.113.11") },
            name: "tunnel 1".into(),
            role,
            route: Arc::new(Route {
                inside_ip: ip("169.254.10.1"),
                source_ip: ip("169.254.10.2"),
                interface: None,
            }),
        };
        mistaken(&tunnel, &own.iter().map(|address| ip(address)).collect())
    }

    #[test]
    fn an_address_that_should_be_awss_and_is_ours_is_a_mistake_with_what_to_set() {
        insta::assert_snapshot!(told(Role::Active, &["169.254.10.1"]).unwrap(), @r#"tunnel 1 (203.0.113.11): inside_ip 169.254.10.1 is an address of this host and source_ip 169.254.10.2 is not: they are swapped. Set inside_ip = "169.254.10.2" and source_ip = "169.254.10.1""#);
        insta::assert_snapshot!(told(Role::Standby, &["169.254.10.1", "169.254.10.2"]).unwrap(), @"tunnel 1 (203.0.113.11): inside_ip 169.254.10.1 is an address of this host, which answers its own probes. Set inside_ip to AWS's address inside the tunnel");
        insta::assert_snapshot!(told(Role::Active, &["169.254.10.2", "203.0.113.11"]).unwrap(), @"tunnel 1 (203.0.113.11): outside_ip 203.0.113.11 is an address of this host. Set it to AWS's outside address of the tunnel");
        for right in [&["169.254.10.2"][..], &["192.0.2.1"], &[]] {
            assert_eq!(told(Role::Active, right), None, "{right:?}");
        }
        assert_eq!(told(Role::Unused, &["169.254.10.1"]), None);
    }

    #[test]
    fn this_host_has_its_loopback_address_and_no_documentation_address() {
        let own = own().unwrap();
        assert!(own.contains(&ip("127.0.0.1")) && !own.contains(&ip("192.0.2.1")));
    }
}
