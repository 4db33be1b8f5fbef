//! What charon lists of a tunnel's peer: its configured connections and its SAs.
//!
//! A list is no snapshot: while an IKE SA is rekeyed, an answer may have the old one alone, without a child. Whoever concludes
//! something from an absence asks twice.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use super::vici::{Malformed, Section};
use crate::domain::sensor::{Child, Ike, Ipsec, Unavailable};

/// The connections and SAs of the peers that were asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listing {
    connections: Vec<Connection>,
    sas: Vec<IkeSa>,
}

#[derive(Debug, PartialEq, Eq)]
struct Connection {
    name: Vec<u8>,
    peers: Vec<IpAddr>,
    dpd_delay: Option<Duration>,
}

#[derive(Debug, PartialEq, Eq)]
struct IkeSa {
    connection: Vec<u8>,
    peer: IpAddr,
    id: u32,
    state: IkeState,
    unanswered: bool,
    child: Option<ChildSa>,
}

/// In order of how much an SA is worth beside others of its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum IkeState {
    /// On its way out.
    Ending,
    Connecting,
    /// Replaced by a new one.
    Replaced,
    Established,
}

/// Of the children of an IKE SA the one that counts, by state and then age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ChildSa {
    state: ChildState,
    id: u32,
    child: Child,
}

impl ChildSa {
    const fn rank(&self) -> (ChildState, u32) {
        (self.state, self.id)
    }
}

/// In order of how much a child is worth beside others. A rekeyed one stays listed for some seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ChildState {
    Replaced,
    BeingReplaced,
    Installed,
}

impl Listing {
    /// Adds what a `list-conn` event says, if it names one of these peers. A peer that is configured by a host name, a network or
    /// `%any` is not named.
    pub fn add_connection(&mut self, event: &Section<'_>, wanted: &BTreeSet<IpAddr>) {
        for (name, connection) in event.sections() {
            let peers: Vec<IpAddr> = connection
                .list("remote_addrs")
                .filter_map(|address| address.parse().ok())
                .filter(|address| wanted.contains(address))
                .collect();
            if !peers.is_empty() {
                let dpd_delay = connection.number("dpd_delay").map(Duration::from_secs);
                self.connections.push(Connection { name: name.to_vec(), peers, dpd_delay });
            }
        }
    }

    /// Adds what a `list-sa` event says, if it is of one of these peers.
    pub fn add_sa(&mut self, event: &Section<'_>, wanted: &BTreeSet<IpAddr>) -> Result<(), Malformed> {
        for (name, sa) in event.sections() {
            let Some(peer) = sa.number("remote-host").filter(|peer| wanted.contains(peer)) else { continue };
            let mut child: Option<ChildSa> = None;
            for (_, section) in sa.section("child-sas").into_iter().flat_map(Section::sections) {
                let listed = child_sa(section)?;
                if listed.map(|listed| listed.rank()) > child.map(|best| best.rank()) {
                    child = listed;
                }
            }
            self.sas.push(IkeSa {
                connection: name.to_vec(),
                peer,
                id: sa.number("uniqueid").ok_or(Malformed)?,
                state: ike_state(sa.text("state").ok_or(Malformed)?)?,
                unanswered: sa.list("tasks-active").next().is_some(),
                child,
            });
        }
        Ok(())
    }

    /// What is listed of this peer.
    pub fn peer(&self, peer: IpAddr) -> Result<Ipsec, Unavailable> {
        // An old SA may end beside the new one; whatever it has no longer counts.
        let best = self.sas.iter().filter(|sa| sa.peer == peer).max_by_key(|sa| {
            let child = if sa.state == IkeState::Ending { None } else { sa.child };
            (child.map(|child| child.rank()), sa.state, sa.id)
        });
        let mut named =
            self.connections.iter().filter(|connection| connection.peers.contains(&peer)).peekable();
        if best.is_none() && named.peek().is_none() {
            return Err(Unavailable::NotListed);
        }
        let first = named.peek().copied();
        let of_the_sa = best.and_then(|sa| named.find(|connection| connection.name == sa.connection));
        let dpd_delay = of_the_sa.or(first).and_then(|connection| connection.dpd_delay);
        let (ike, child) = match best {
            None => (Ike::Absent, None),
            Some(sa) => match sa.state {
                IkeState::Ending => (Ike::Absent, None),
                IkeState::Connecting => (Ike::Connecting, None),
                IkeState::Replaced => (Ike::Established { unanswered: false }, sa.child),
                IkeState::Established => (Ike::Established { unanswered: sa.unanswered }, sa.child),
            },
        };
        Ok(Ipsec { ike: Some(ike), child: child.map(|sa| sa.child), refusal: None, dpd_delay })
    }
}

/// The words of `ike_sa_state_names`. `PASSIVE` is the standby's copy of an established SA.
fn ike_state(word: &str) -> Result<IkeState, Malformed> {
    match word {
        "CREATED" | "CONNECTING" => Ok(IkeState::Connecting),
        "ESTABLISHED" | "REKEYING" | "PASSIVE" => Ok(IkeState::Established),
        "REKEYED" => Ok(IkeState::Replaced),
        "DELETING" | "DESTROYING" => Ok(IkeState::Ending),
        _ => Err(Malformed),
    }
}

/// The words of `child_sa_state_names`; `None` is not installed, or not any more.
fn child_sa(sa: &Section<'_>) -> Result<Option<ChildSa>, Malformed> {
    let state = match sa.text("state").ok_or(Malformed)? {
        "INSTALLED" | "UPDATING" => ChildState::Installed,
        "REKEYING" => ChildState::BeingReplaced,
        "REKEYED" => ChildState::Replaced,
        "CREATED" | "ROUTED" | "INSTALLING" | "RETRYING" | "DELETING" | "DELETED" | "DESTROYING" => {
            return Ok(None);
        }
        _ => return Err(Malformed),
    };
    let id: u32 = sa.number("uniqueid").ok_or(Malformed)?;
    // The SPI tells a child from one of the same number before charon was restarted.
    let spi = sa.text("spi-in").and_then(|spi| u32::from_str_radix(spi, 16).ok()).unwrap_or(0);
    let child = Child {
        id: u64::from(id) << 32 | u64::from(spi),
        bytes_in: sa.number("bytes-in").ok_or(Malformed)?,
        bytes_out: sa.number("bytes-out").ok_or(Malformed)?,
        idle_in: sa.number("use-in").map(Duration::from_secs),
    };
    Ok(Some(ChildSa { state, id, child }))
}

#[cfg(test)]
mod tests {
    use super::super::vici::tests::{Node, event, list, section, text};
    use super::super::vici::{Packet, SEGMENT_MAX};
    use super::*;

    const PEER: &str = "203.0.113.2";

    /// The messages of a recorded answer.
    fn events(mut recorded: &[u8]) -> Vec<Section<'_>> {
        let mut events = Vec::new();
        while let Some((length, rest)) = recorded.split_first_chunk() {
            let length = u32::from_be_bytes(*length) as usize;
            assert!(length <= SEGMENT_MAX);
            let (segment, rest) = rest.split_at(length);
            recorded = rest;
            if let Packet::Event { message, .. } = Packet::decode(segment).unwrap() {
                events.push(message);
            }
        }
        events
    }

    fn listed(connections: &[u8], sas: &[u8], peer: &str) -> Result<Ipsec, Unavailable> {
        let peer = peer.parse().unwrap();
        let wanted = BTreeSet::from([peer]);
        let mut listing = Listing::default();
        for event in events(connections) {
            listing.add_connection(&event, &wanted);
        }
        for event in events(sas) {
            listing.add_sa(&event, &wanted).map_err(|Malformed| Unavailable::Invalid)?;
        }
        listing.peer(peer)
    }

    fn sa(name: &str, id: &str, state: &str, children: Vec<Node>) -> Node {
        section(
            name,
            vec![
                text("uniqueid", id),
                text("state", state),
                text("remote-host", PEER),
                section("child-sas", children),
            ],
        )
    }

    fn child(id: &str, state: &str) -> Node {
        let key = format!("aws-{id}");
        let values = [
            ("uniqueid", id),
            ("state", state),
            ("bytes-in", id),
            ("bytes-out", "7"),
            ("spi-in", "0000000a"),
        ];
        section(&key, values.iter().map(|(key, value)| text(key, value)).collect())
    }

    fn connection(name: &str, peers: &[&str], dpd_delay: Option<&str>) -> Node {
        let delay = dpd_delay.map(|delay| text("dpd_delay", delay));
        section(name, [list("remote_addrs", peers)].into_iter().chain(delay).collect())
    }

    /// What is listed of the peer if these are the SAs, and it is configured.
    fn of(sas: &[Node]) -> Ipsec {
        let connections = event("list-conn", &[connection("aws", &[PEER], None)]);
        let sas: Vec<u8> = sas.iter().flat_map(|sa| event("list-sa", std::slice::from_ref(sa))).collect();
        listed(&connections, &sas, PEER).unwrap()
    }

    const ESTABLISHED: Option<Ike> = Some(Ike::Established { unanswered: false });

    #[test]
    fn recorded_answers() {
        struct Case {
            of: &'static str,
            connections: &'static [u8],
            sas: &'static [u8],
            ike: Ike,
            child: Option<(u64, u64, u64, Option<u64>)>,
        }
        let old: &[u8] = include_bytes!("../../../tests/vici/5.9.8-conns.vici");
        let new: &[u8] = include_bytes!("../../../tests/vici/6.0.1-conns.vici");
        let cases = [
            Case {
                of: "5.9.8, established",
                connections: old,
                sas: include_bytes!("../../../tests/vici/5.9.8-established.vici"),
                ike: Ike::Established { unanswered: false },
                child: Some((1, 15799, 15833, Some(1))),
            },
            Case {
                of: "5.9.8, a child rekeyed, and the old one still listed as DELETED",
                connections: old,
                sas: include_bytes!("../../../tests/vici/5.9.8-rekeyed.vici"),
                ike: Ike::Established { unanswered: false },
                child: Some((20, 123, 123, Some(0))),
            },
            Case {
                of: "5.9.8, the path broken, dead peer detection under way",
                connections: old,
                sas: include_bytes!("../../../tests/vici/5.9.8-unanswered.vici"),
                ike: Ike::Established { unanswered: true },
                child: Some((21, 0, 284, None)),
            },
            Case {
                of: "5.9.8, the path broken, given up and begun again",
                connections: old,
                sas: include_bytes!("../../../tests/vici/5.9.8-connecting.vici"),
                ike: Ike::Connecting,
                child: None,
            },
            Case {
                of: "5.9.8, the child refused",
                connections: old,
                sas: include_bytes!("../../../tests/vici/5.9.8-without-child.vici"),
                ike: Ike::Established { unanswered: false },
                child: None,
            },
            Case {
                of: "6.0.1, a child rekeyed",
                connections: new,
                sas: include_bytes!("../../../tests/vici/6.0.1-rekeyed.vici"),
                ike: Ike::Established { unanswered: false },
                child: Some((2, 52, 71, Some(0))),
            },
            Case {
                of: "6.0.1, dead peer detection under way",
                connections: new,
                sas: include_bytes!("../../../tests/vici/6.0.1-unanswered.vici"),
                ike: Ike::Established { unanswered: true },
                child: Some((2, 52, 403, Some(3))),
            },
            Case {
                of: "6.0.1, begun again",
                connections: new,
                sas: include_bytes!("../../../tests/vici/6.0.1-connecting.vici"),
                ike: Ike::Connecting,
                child: None,
            },
            Case { of: "no SA", connections: old, sas: &[], ike: Ike::Absent, child: None },
        ];
        for case in cases {
            let found = listed(case.connections, case.sas, PEER).unwrap();
            assert_eq!(found.ike, Some(case.ike), "{}", case.of);
            let child = found
                .child
                .map(|c| (c.id >> 32, c.bytes_in, c.bytes_out, c.idle_in.map(|idle| idle.as_secs())));
            assert_eq!(child, case.child, "{}", case.of);
            assert_eq!(found.dpd_delay, Some(Duration::from_secs(1)), "{}", case.of);
            assert_eq!(
                listed(case.connections, case.sas, "192.0.2.2"),
                Err(Unavailable::NotListed),
                "{}",
                case.of
            );
        }
    }

    #[test]
    fn an_sa_alone_names_a_peer() {
        let sas = event("list-sa", &[sa("(unnamed)", "3", "CONNECTING", vec![])]);
        assert_eq!(listed(&[], &sas, PEER).unwrap().ike, Some(Ike::Connecting));
    }

    #[test]
    fn peers_are_named_by_address_alone() {
        let named = ["vpn.example.com", "%any", "203.0.113.0/24", "203.0.113.1-203.0.113.9"];
        let connections = event("list-conn", &[connection("aws", &named, None)]);
        assert_eq!(listed(&connections, &[], PEER), Err(Unavailable::NotListed));
        let connections = event("list-conn", &[connection("aws", &["vpn.example.com", PEER], None)]);
        assert_eq!(listed(&connections, &[], PEER).unwrap().ike, Some(Ike::Absent));
        let connections = event("list-conn", &[connection("aws", &["2001:db8:0::1"], None)]);
        assert_eq!(listed(&connections, &[], "2001:db8::1").unwrap().ike, Some(Ike::Absent));
    }

    #[test]
    fn the_newest_installed_child_counts() {
        let states = |children: &[(&str, &str)]| {
            let children = children.iter().map(|(id, state)| child(id, state)).collect();
            of(&[sa("aws", "1", "ESTABLISHED", children)]).child.map(|child| child.bytes_in)
        };
        assert_eq!(states(&[("4", "INSTALLED"), ("5", "INSTALLED")]), Some(5));
        assert_eq!(states(&[("5", "INSTALLED"), ("4", "INSTALLED")]), Some(5));
        assert_eq!(states(&[("4", "INSTALLED"), ("5", "REKEYED")]), Some(4));
        assert_eq!(states(&[("4", "REKEYING"), ("5", "INSTALLING")]), Some(4));
        assert_eq!(states(&[("4", "REKEYED"), ("5", "CREATED")]), Some(4));
        assert_eq!(states(&[("4", "DELETED"), ("5", "DELETING"), ("6", "ROUTED")]), None);
        assert_eq!(states(&[]), None);
    }

    #[test]
    fn a_child_is_known_by_number_and_spi() {
        let found = of(&[sa("aws", "1", "ESTABLISHED", vec![child("3", "INSTALLED")])]);
        assert_eq!(found.child.unwrap().id, 3 << 32 | 10);
    }

    #[test]
    fn of_several_sas_the_one_that_carries_counts() {
        let installed = || vec![child("1", "INSTALLED")];
        // A rekey or a re-authentication: the new one beside the old one, in both orders.
        let new = sa("aws", "2", "ESTABLISHED", installed());
        for old in ["REKEYED", "DELETING", "ESTABLISHED", "CONNECTING"] {
            let old = sa("aws", "1", old, vec![]);
            for order in [[&old, &new], [&new, &old]] {
                let found = of(&order.map(Node::clone));
                assert_eq!((found.ike, found.child.is_some()), (ESTABLISHED, true), "{old:?}");
            }
        }
        // A new one that has no child yet.
        let old = sa("aws", "1", "ESTABLISHED", installed());
        let found = of(&[old, sa("aws", "2", "ESTABLISHED", vec![])]);
        assert!(found.child.is_some());
        // What ends does not count, whatever it has.
        let found = of(&[sa("aws", "1", "DELETING", installed()), sa("aws", "2", "CONNECTING", vec![])]);
        assert_eq!((found.ike, found.child), (Some(Ike::Connecting), None));
        let found = of(&[sa("aws", "1", "DELETING", installed())]);
        assert_eq!((found.ike, found.child), (Some(Ike::Absent), None));
        let found = of(&[sa("aws", "1", "REKEYED", vec![])]);
        assert_eq!((found.ike, found.child), (ESTABLISHED, None));
        let found = of(&[sa("aws", "1", "CONNECTING", vec![]), sa("aws", "2", "ESTABLISHED", vec![])]);
        assert_eq!((found.ike, found.child), (ESTABLISHED, None));
    }

    #[test]
    fn dpd_is_that_of_the_connection_in_use() {
        let connections = [("old", Some("30")), ("new", Some("10")), ("other", None)]
            .map(|(name, delay)| event("list-conn", &[connection(name, &[PEER], delay)]))
            .concat();
        let delay = |name: &str| {
            let sas = event("list-sa", &[sa(name, "1", "ESTABLISHED", vec![])]);
            listed(&connections, &sas, PEER).unwrap().dpd_delay.map(|delay| delay.as_secs())
        };
        assert_eq!(delay("new"), Some(10));
        assert_eq!(delay("other"), None);
        assert_eq!(delay("(unnamed)"), Some(30));
        assert_eq!(listed(&connections, &[], PEER).unwrap().dpd_delay, Some(Duration::from_secs(30)));
    }

    #[test]
    fn what_an_sa_always_has_is_required_of_the_tunnels_own() {
        let strange =
            section("aws", vec![text("remote-host", PEER), text("uniqueid", "1"), text("state", "HAPPY")]);
        let number =
            section("aws", vec![text("remote-host", PEER), text("uniqueid", "-1"), text("state", "CREATED")]);
        let uncounted = section("c", vec![text("uniqueid", "1"), text("state", "INSTALLED")]);
        let uncounted = sa("aws", "1", "ESTABLISHED", vec![uncounted]);
        for strange in [strange, number, uncounted] {
            let sas = event("list-sa", std::slice::from_ref(&strange));
            assert_eq!(listed(&[], &sas, PEER), Err(Unavailable::Invalid), "{strange:?}");
            assert_eq!(listed(&[], &sas, "192.0.2.2"), Err(Unavailable::NotListed), "{strange:?}");
        }
        let nowhere =
            event("list-sa", &[section("aws", vec![text("remote-host", "%any")]), text("up", "yes")]);
        assert_eq!(listed(&[], &nowhere, PEER), Err(Unavailable::NotListed));
    }
}
