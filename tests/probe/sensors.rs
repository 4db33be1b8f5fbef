//! The sensors that send packets.

use std::fs;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bothends::clock;
use bothends::domain::names::{TunnelId, VpnId};
use bothends::domain::sensor::{Finding, Link, Mtu, Path, Reach, Trace, Unavailable};
use bothends::sensors::mtu::MtuSensor;
use bothends::sensors::path::PathSensor;
use bothends::sensors::trace::{TRACES_PER_LOOK, TraceSensor};
use bothends::sensors::{ANSWER_WITHIN, Sensor, Subject};
use bothends::settings::UplinkSettings;

use super::{CLOSED, OPEN};
use crate::net::{self, Netns};

fn at(address: &str) -> IpAddr {
    address.parse().unwrap()
}

/// A tunnel to this outside address.
fn outside(address: &str, uplink: UplinkSettings) -> Arc<Subject> {
    Arc::new(Subject {
        tunnel: TunnelId { vpn: VpnId::new("vpn-0123456789abcdef0"), outside_ip: at(address) },
        inside_ip: at("169.254.20.1"),
        source_ip: at("169.254.20.2"),
        interface: None,
        ipsec_socket: None,
        uplink: Arc::new(uplink),
        monitored_prefixes: Arc::new([]),
    })
}

/// A tunnel between these inside addresses, on the interface `tunnel`.
fn inside(source_ip: &str, inside_ip: &str) -> Arc<Subject> {
    Arc::new(Subject {
        inside_ip: at(inside_ip),
        source_ip: at(source_ip),
        interface: Some("tunnel".into()),
        ..Subject::clone(&outside("203.0.113.1", UplinkSettings::default()))
    })
}

fn uplink(interface: Option<&str>, source: Option<&str>, references: &[&str]) -> UplinkSettings {
    UplinkSettings {
        name: None,
        interface: interface.map(Into::into),
        source: source.map(at),
        references: references.iter().map(|address| at(address)).collect(),
    }
}

async fn paths(subjects: &[Arc<Subject>]) -> Vec<Result<Path, Unavailable>> {
    let begin = clock::now().mono;
    let found = PathSensor.look(subjects).await;
    assert!(clock::now().mono.since(begin) < ANSWER_WITHIN);
    let path = |finding| if let Finding::Path(found) = finding { found } else { panic!("{finding:?}") };
    found.into_iter().map(path).collect()
}

async fn path(subject: &Arc<Subject>) -> Result<Path, Unavailable> {
    paths(&[Arc::clone(subject)]).await.pop().unwrap()
}

async fn traces(subjects: &[Arc<Subject>]) -> Vec<Result<Trace, Unavailable>> {
    let begin = clock::now().mono;
    let found = TraceSensor.look(subjects).await;
    assert!(clock::now().mono.since(begin) < ANSWER_WITHIN);
    let trace = |finding| if let Finding::Trace(found) = finding { found } else { panic!("{finding:?}") };
    found.into_iter().map(trace).collect()
}

async fn trace(address: &str) -> Result<Trace, Unavailable> {
    traces(&[outside(address, UplinkSettings::default())]).await.pop().unwrap()
}

fn answers(reach: Reach) -> bool {
    matches!(reach, Reach::Answers { rtt } if rtt < Duration::from_secs(1))
}

fn hops(addresses: &[&str]) -> Vec<Option<IpAddr>> {
    addresses.iter().map(|address| (!address.is_empty()).then(|| at(address))).collect()
}

/// Of what the namespace has received.
fn echoes_received(netns: &Netns) -> u64 {
    let mut count = 0;
    netns.run(async || {
        let table = fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
        let mut lines = table.lines().filter(|line| line.starts_with("Icmp:"));
        let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
        let index = names.split(' ').position(|name| name == "InEchos").unwrap();
        count = values.split(' ').nth(index).unwrap().parse().unwrap();
    });
    count
}

fn drop_received(netns: &Netns, what: &str) {
    netns.nft("add table inet test");
    netns.nft("add chain inet test input { type filter hook input priority 0 ; }");
    netns.nft(&format!("add rule inet test input {what} drop"));
}

fn drop_nothing(netns: &Netns) {
    netns.nft("delete table inet test");
}

#[test]
fn each_kind_of_reach_is_told_from_the_others() {
    let (here, there) = Netns::pair();
    here.ip("addr add 10.0.0.1/24 dev tunnel");
    there.ip("addr add 10.0.0.2/24 dev tunnel");
    there.set("net/ipv4/ip_forward", "1");
    there.ip("route add unreachable 10.8.0.0/24");
    here.ip("route add 10.8.0.0/24 via 10.0.0.2");
    here.ip("route add prohibit 10.9.2.0/24");
    here.ip("route add unreachable 10.9.3.0/24");
    here.nft("add table inet test");
    here.nft("add chain inet test output { type filter hook output priority 0 ; }");
    here.nft("add rule inet test output ip daddr 10.0.0.9 drop");
    here.run_unprivileged(async || {
        let references =
            ["10.0.0.2", "10.0.0.3", "10.8.0.1", "10.9.2.1", "10.9.3.1", "192.0.2.1", "10.0.0.9", "fd00::1"];
        let subject = outside("10.0.0.2", uplink(None, None, &references));
        // Twice: no error of the first look may be taken for one of the second's.
        for _ in 0..2 {
            let found = path(&subject).await.unwrap();
            assert!(answers(found.outside), "{found:?}");
            assert_eq!(found.interface, None);
            let reach: Vec<Reach> = found.references.iter().map(|(_, reach)| *reach).collect();
            assert!(answers(reach[0]), "{reach:?}");
            let rest = [
                Reach::Silent,
                Reach::Silent, // a router says that it is unreachable
                Reach::Blocked,
                Reach::NoRoute,
                Reach::NoRoute,
                Reach::Blocked,
                Reach::NoRoute,
            ];
            assert_eq!(reach[1..], rest);
        }
    });
}

#[test]
fn an_uplink_is_bound_to_its_interface_and_source_and_its_link_is_seen() {
    let (here, there) = Netns::pair();
    here.ip("addr add 10.0.0.1/24 dev tunnel");
    there.ip("addr add 10.0.0.2/24 dev tunnel");
    // The routing table would choose another way.
    here.ip("route add 10.0.0.2/32 dev lo");
    here.ip("route add 10.0.0.2/32 dev tunnel metric 9");
    here.run_unprivileged(async || {
        let bound = |interface, source| outside("10.0.0.2", uplink(Some(interface), source, &["10.0.0.3"]));
        let found = path(&bound("tunnel", Some("10.0.0.1"))).await.unwrap();
        assert!(answers(found.outside), "{found:?}");
        assert_eq!(found.interface, Some(Link::Up));

        let none = |interface| Path {
            outside: Reach::NoRoute,
            references: vec![(at("10.0.0.3"), Reach::NoRoute)],
            interface: Some(interface),
        };
        assert_eq!(path(&bound("absent", None)).await, Ok(none(Link::Missing)));
        assert_eq!(path(&bound("tunnel", Some("10.0.0.99"))).await, Ok(none(Link::Up)), "no such address");
        let other_family = path(&bound("tunnel", Some("fd00::1"))).await.unwrap();
        assert_eq!(other_family.outside, Reach::NotSent);
    });
    there.ip("link set tunnel down");
    here.run_unprivileged(async || {
        let found = path(&outside("10.0.0.2", uplink(Some("tunnel"), None, &[]))).await.unwrap();
        assert_eq!(found.interface, Some(Link::Down), "no carrier");
        assert!(!answers(found.outside));
    });
    here.ip("link set tunnel down");
    here.run_unprivileged(async || {
        let found = path(&outside("10.0.0.2", uplink(Some("tunnel"), None, &[]))).await.unwrap();
        assert_eq!((found.outside, found.interface), (Reach::NoRoute, Some(Link::Down)));
    });
}

#[test]
fn on_an_interface_without_a_route_there_is_no_route() {
    let (here, there) = Netns::pair();
    here.ip("addr add 10.0.0.1/24 dev tunnel");
    there.ip("addr add 10.0.0.2/24 dev tunnel");
    there.ip("addr add 203.0.113.1/32 dev lo");
    let subject = outside("203.0.113.1", uplink(Some("tunnel"), Some("10.0.0.1"), &["10.0.0.2"]));
    let look = |expected: Reach| {
        here.run_unprivileged(async || {
            let found = path(&subject).await.unwrap();
            assert!(answers(found.references[0].1), "{found:?}");
            match expected {
                Reach::Answers { .. } => assert!(answers(found.outside), "{found:?}"),
                other => assert_eq!(found.outside, other),
            }
        });
    };
    let answering = Reach::Answers { rtt: Duration::ZERO };
    look(Reach::NoRoute);
    here.ip("route add default via 10.0.0.2");
    look(answering);
    here.ip("route del default");
    // As with several uplinks: the route is in another table, for this source alone.
    here.ip("route add default via 10.0.0.2 table 100");
    look(Reach::NoRoute);
    here.ip("rule add from 10.0.0.1 lookup 100");
    look(answering);
    here.ip("route add prohibit 203.0.113.0/24 table 100");
    look(Reach::NoRoute);
}

#[test]
fn a_host_is_asked_once_a_look_and_one_that_answers_is_not_waited_for() {
    let (here, there) = Netns::pair();
    here.ip("addr add 10.0.0.1/24 dev tunnel");
    for last in 2..=5 {
        there.ip(&format!("addr add 10.0.0.{last}/24 dev tunnel"));
    }
    let references = ["10.0.0.4", "10.0.0.5"];
    let before = echoes_received(&there);
    here.run(async || {
        let uplinks = [uplink(Some("tunnel"), None, &references), uplink(Some("tunnel"), None, &references)];
        let [first, second] = uplinks;
        let subjects = [outside("10.0.0.2", first), outside("10.0.0.3", second)];
        let begin = clock::now().mono;
        for found in paths(&subjects).await {
            let found = found.unwrap();
            assert!(answers(found.outside) && found.references.iter().all(|(_, reach)| answers(*reach)));
        }
        assert!(
            clock::now().mono.since(begin) < Duration::from_millis(1000),
            "{:?}",
            clock::now().mono.since(begin)
        );
    });
    assert_eq!(echoes_received(&there) - before, 4);
}

#[test]
fn a_lost_echo_is_followed_by_another() {
    let (here, there) = Netns::pair();
    here.ip("addr add 10.0.0.1/24 dev tunnel");
    there.ip("addr add 10.0.0.2/24 dev tunnel");
    drop_received(&there, "icmp type echo-request numgen inc mod 3 < 2");
    here.run(async || {
        for _ in 0..2 {
            let found = path(&outside("10.0.0.2", uplink(None, None, &[]))).await.unwrap();
            assert!(answers(found.outside), "{found:?}");
        }
    });
}

#[test]
fn the_path_of_ipv6_is_looked_at_as_well() {
    let (here, there) = Netns::pair();
    here.add_ipv6("fd00::1/64", "dev tunnel");
    there.add_ipv6("fd00::2/64", "dev tunnel");
    here.run_unprivileged(async || {
        let subject =
            outside("fd00::2", uplink(Some("tunnel"), Some("fd00::1"), &["fd00::3", "2001:db8::1"]));
        let found = path(&subject).await.unwrap();
        assert!(answers(found.outside), "{found:?}");
        assert_eq!(found.references, [(at("fd00::3"), Reach::Silent), (at("2001:db8::1"), Reach::NoRoute)]);
    });
}

#[test]
fn without_permission_for_datagram_sockets_nothing_is_known() {
    let here = Netns::with_ping_group_range(CLOSED);
    here.run_unprivileged(async || {
        let subject = outside("127.0.0.2", uplink(None, None, &["127.0.0.3"]));
        assert_eq!(path(&subject).await, Err(Unavailable::Denied));
        assert_eq!(trace("127.0.0.2").await, Err(Unavailable::Denied));
        let mut sensor = MtuSensor::default();
        assert_eq!(mtu(&mut sensor, &inside("127.0.0.1", "127.0.0.2")).await, Err(Unavailable::Denied));
    });
}

/// This host, three routers and AWS in a row. Link n is 10.0.n.0/24 and fd00:n::/64, and its further end has 2.
struct Chain([Netns; 5]);

impl Chain {
    fn new() -> Self {
        let nodes = [(); 5].map(|()| Netns::with_ping_group_range(OPEN));
        for link in 1..=4 {
            let (near, far) = (&nodes[link - 1], &nodes[link]);
            let name = format!("link{link}");
            near.link(&name, far);
            for (node, end) in [(near, 1), (far, 2)] {
                node.set("net/ipv4/ip_forward", "1");
                node.set("net/ipv6/conf/all/forwarding", "1");
                node.ip(&format!("addr add 10.0.{link}.{end}/24 dev {name}"));
                node.add_ipv6(&format!("fd00:{link}::{end}/64"), &format!("dev {name}"));
            }
            near.ip(&format!("route add default via 10.0.{link}.2"));
            near.ip(&format!("route add default via fd00:{link}::2"));
            if link > 1 {
                far.ip(&format!("route add 10.0.1.0/24 via 10.0.{link}.1"));
                far.ip(&format!("route add fd00:1::/64 via fd00:{link}::1"));
            }
        }
        Self(nodes)
    }

    fn here(&self) -> &Netns {
        &self.0[0]
    }

    fn node(&self, distance: usize) -> &Netns {
        &self.0[distance]
    }

    /// From now on this router says nothing when a TTL runs out on it.
    fn silence(&self, distance: usize) {
        let router = self.node(distance);
        router.nft("add table inet silent");
        router.nft("add chain inet silent output { type filter hook output priority 0 ; }");
        router.nft("add rule inet silent output icmp type time-exceeded drop");
        router.nft("add rule inet silent output icmpv6 type time-exceeded drop");
    }

    /// From now on this router forwards nothing, and says nothing of it.
    fn swallow(&self, distance: usize) {
        let router = self.node(distance);
        router.nft("add table inet hole");
        router.nft("add chain inet hole forward { type filter hook forward priority 0 ; policy drop ; }");
    }
}

#[test]
fn a_path_is_traced_to_its_end_past_a_silent_hop() {
    let chain = Chain::new();
    chain.here().run_unprivileged(async || {
        let found = trace("10.0.4.2").await.unwrap();
        assert_eq!(found.hops, hops(&["10.0.1.2", "10.0.2.2", "10.0.3.2", "10.0.4.2"]));
        assert!(found.reached);
        let found = trace("fd00:4::2").await.unwrap();
        assert_eq!(found.hops, hops(&["fd00:1::2", "fd00:2::2", "fd00:3::2", "fd00:4::2"]));
        assert!(found.reached);
    });
    chain.silence(2);
    chain.here().run_unprivileged(async || {
        let found = trace("10.0.4.2").await.unwrap();
        assert_eq!(found.hops, hops(&["10.0.1.2", "", "10.0.3.2", "10.0.4.2"]));
        assert!(found.reached);
        let found = trace("fd00:4::2").await.unwrap();
        assert_eq!(found.hops, hops(&["fd00:1::2", "", "fd00:3::2", "fd00:4::2"]));
        assert!(found.reached);
    });
}

#[test]
fn a_path_that_ends_is_traced_to_the_last_hop() {
    let chain = Chain::new();
    chain.silence(2);
    chain.swallow(3);
    chain.here().run_unprivileged(async || {
        let found = trace("10.0.4.2").await.unwrap();
        assert_eq!(found.hops, hops(&["10.0.1.2", "", "10.0.3.2"]));
        assert!(!found.reached);
        assert_eq!(found.last(), Some((3, at("10.0.3.2"))));
        let found = trace("fd00:4::2").await.unwrap();
        assert_eq!(found.hops, hops(&["fd00:1::2", "", "fd00:3::2"]));
        assert!(!found.reached);
    });
}

#[test]
fn a_router_that_says_unreachable_is_the_last_hop() {
    let chain = Chain::new();
    chain.node(2).ip("route add unreachable 10.0.4.0/24");
    chain.node(2).ip("route add unreachable fd00:4::/64");
    chain.here().run_unprivileged(async || {
        let found = trace("10.0.4.2").await.unwrap();
        assert_eq!((found.hops, found.reached), (hops(&["10.0.1.2", "10.0.2.2"]), false));
        let found = trace("fd00:4::2").await.unwrap();
        assert_eq!((found.hops, found.reached), (hops(&["fd00:1::2", "fd00:2::2"]), false));
        // The errors of echoes that lie behind the end must not fail the path's.
        let found = path(&outside("10.0.4.2", uplink(None, None, &["10.0.1.2"]))).await.unwrap();
        assert_eq!(found.outside, Reach::Silent);
        assert!(answers(found.references[0].1));
    });
}

#[test]
fn without_a_way_there_is_no_trace_and_of_many_tunnels_only_the_first_are_traced() {
    let chain = Chain::new();
    chain.here().run(async || {
        let subjects: Vec<_> =
            (0..TRACES_PER_LOOK + 2).map(|_| outside("10.0.4.2", UplinkSettings::default())).collect();
        let found = traces(&subjects).await;
        assert_eq!(found.len(), subjects.len());
        for traced in &found[..TRACES_PER_LOOK] {
            assert!(traced.as_ref().is_ok_and(|trace| trace.reached && trace.hops.len() == 4), "{traced:?}");
        }
        for skipped in &found[TRACES_PER_LOOK..] {
            assert_eq!(*skipped, Err(Unavailable::Skipped));
        }
        net::ip("route del default");
        assert_eq!(trace("10.0.4.2").await, Err(Unavailable::HostError));
    });
}

async fn mtu(sensor: &mut MtuSensor, subject: &Arc<Subject>) -> Result<Mtu, Unavailable> {
    let begin = clock::now().mono;
    let found = sensor.look(&[Arc::clone(subject)]).await;
    eprintln!("{:?} in {:?}", found, clock::now().mono.since(begin));
    if let [Finding::Mtu(found)] = found[..] { found } else { panic!("{found:?}") }
}

fn whole(largest: u16) -> Mtu {
    Mtu { largest: Some(largest), tried: largest }
}

#[test]
fn a_size_above_which_packets_vanish_is_found_to_the_byte_and_its_end_at_the_next_look() {
    let (here, there) = Netns::pair();
    here.ip("addr add 10.0.0.1/24 dev tunnel");
    there.ip("addr add 10.0.0.2/24 dev tunnel");
    let subject = inside("10.0.0.1", "10.0.0.2");
    let mut sensor = MtuSensor::default();
    here.run_unprivileged(async || {
        assert_eq!(mtu(&mut sensor, &subject).await, Ok(whole(1500)));
    });
    drop_received(&there, "meta length > 1399");
    here.run_unprivileged(async || {
        let found = mtu(&mut sensor, &subject).await.unwrap();
        assert_eq!(found.largest, Some(1399));
        assert!(found.tried > 1399);
        let begin = clock::now().mono;
        assert_eq!(mtu(&mut sensor, &subject).await, Ok(Mtu { largest: Some(1399), tried: 1400 }));
        assert!(
            clock::now().mono.since(begin) < Duration::from_secs(3),
            "{:?}",
            clock::now().mono.since(begin)
        );
    });
    drop_nothing(&there);
    here.run_unprivileged(async || {
        assert_eq!(mtu(&mut sensor, &subject).await, Ok(whole(1500)));
    });
    drop_received(&there, "icmp type echo-request");
    here.run_unprivileged(async || {
        assert_eq!(mtu(&mut sensor, &subject).await, Ok(Mtu { largest: None, tried: 576 }));
    });
}

#[test]
fn the_mtu_of_the_interface_is_no_break() {
    let (here, there) = Netns::pair();
    here.ip("addr add 10.0.0.1/24 dev tunnel");
    there.ip("addr add 10.0.0.2/24 dev tunnel");
    here.ip("link set tunnel mtu 1436");
    here.run_unprivileged(async || {
        let found = mtu(&mut MtuSensor::default(), &inside("10.0.0.1", "10.0.0.2")).await;
        assert_eq!(found, Ok(whole(1436)));
        let unbound = Subject { interface: None, ..Subject::clone(&inside("10.0.0.1", "192.0.2.1")) };
        let nowhere = mtu(&mut MtuSensor::default(), &Arc::new(unbound)).await;
        assert_eq!(nowhere, Err(Unavailable::HostError));
    });
}

#[test]
fn a_link_of_another_size_is_found_and_not_remembered_by_the_kernel() {
    let chain = Chain::new();
    let through = |source, inside_ip| {
        Arc::new(Subject { interface: Some("link1".into()), ..Subject::clone(&inside(source, inside_ip)) })
    };
    let (v4, v6) = (through("10.0.1.1", "10.0.4.2"), through("fd00:1::1", "fd00:4::2"));
    let narrow = |mtu: u16| {
        chain.node(2).ip(&format!("link set link3 mtu {mtu}"));
        chain.node(3).ip(&format!("link set link3 mtu {mtu}"));
    };
    let mut sensor = MtuSensor::default();
    narrow(1400);
    chain.here().run_unprivileged(async || {
        assert_eq!(mtu(&mut sensor, &v4).await.map(|found| found.largest), Ok(Some(1400)));
        assert_eq!(mtu(&mut sensor, &v6).await.map(|found| found.largest), Ok(Some(1400)));
    });
    narrow(1500);
    chain.here().run_unprivileged(async || {
        assert_eq!(mtu(&mut sensor, &v4).await, Ok(whole(1500)));
        assert_eq!(mtu(&mut sensor, &v6).await, Ok(whole(1500)));
    });
}

#[test]
fn loss_is_not_taken_for_size() {
    let (here, there) = Netns::pair();
    here.ip("addr add 10.0.0.1/24 dev tunnel");
    there.ip("addr add 10.0.0.2/24 dev tunnel");
    here.add_ipv6("fd00::1/64", "dev tunnel");
    there.add_ipv6("fd00::2/64", "dev tunnel");
    drop_received(&there, "icmp type echo-request numgen random mod 100 < 30");
    there.nft("add rule inet test input icmpv6 type echo-request numgen random mod 100 < 30 drop");
    there.nft("add rule inet test input meta length > 1422 drop");
    here.run_unprivileged(async || {
        let mut sensor = MtuSensor::default();
        for _ in 0..2 {
            let found = mtu(&mut sensor, &inside("10.0.0.1", "10.0.0.2")).await;
            assert_eq!(found.map(|found| found.largest), Ok(Some(1422)));
        }
        let found = mtu(&mut MtuSensor::default(), &inside("fd00::1", "fd00::2")).await;
        assert_eq!(found.map(|found| found.largest), Ok(Some(1422)));
    });
}

#[test]
fn many_tunnels_are_measured_with_a_few_sockets_at_a_time() {
    let here = Netns::with_ping_group_range(OPEN);
    here.run(async || {
        let subjects: Vec<_> = (1..=100)
            .map(|last| {
                Arc::new(Subject {
                    interface: Some("lo".into()),
                    ..Subject::clone(&inside("127.0.0.1", &format!("127.0.1.{last}")))
                })
            })
            .collect();
        let mut sensor = MtuSensor::default();
        let mut look = Box::pin(sensor.look(&subjects));
        let mut most = 0;
        let found = loop {
            tokio::select! {
                biased;
                found = &mut look => break found,
                () = tokio::task::yield_now() => most = most.max(echo_sockets()),
            }
        };
        assert!(found.iter().all(|found| *found == Finding::Mtu(Ok(whole(1500)))), "{found:?}");
        assert!((1..=16).contains(&most), "{most} sockets at a time");
        assert_eq!(echo_sockets(), 0);
    });
}

/// The ICMP datagram sockets for IPv4 in the calling thread's namespace.
fn echo_sockets() -> usize {
    fs::read_to_string("/proc/thread-self/net/icmp").unwrap().lines().count() - 1
}
