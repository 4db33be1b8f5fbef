//! Probes, and the sensors that send packets, over real sockets, each test in network namespaces of its own. Needs root, iproute2
//! and nft.

#![expect(clippy::unwrap_used, reason = "a test whose world cannot be set up fails")]

#[path = "probe/journal.rs"]
mod journal;
#[path = "probe/net.rs"]
mod net;
#[path = "probe/sensors.rs"]
mod sensors;
#[path = "probe/world.rs"]
mod world;

use std::time::Duration;

use bothends::domain::event::AskFailure;
use bothends::domain::verdict::{Fault, Loss};
use bothends::health::{Component, Severity};
use bothends::probe::permission::{SocketKind, icmp_access};
use bothends::probe::round::{Round, one_round};
use bothends::probe::{Ownership, owns};
use net::Netns;
use world::{Observed, World, marked, route, vpn};

/// ICMP datagram sockets for every group.
const OPEN: &str = "0 2147483647";
/// The kernel's default: no group.
const CLOSED: &str = "1 0";

#[test]
fn an_address_that_answers_gives_sent_and_then_reply() {
    let here = Netns::with_ping_group_range(OPEN);
    here.run(async || {
        let mut world = World::new();
        let echo = world.ask(1, &route("127.0.0.1", "127.0.0.2", Some("lo")));
        assert_eq!(world.end().await, [Observed::Sent(echo), Observed::Reply(echo)]);
    });
}

#[test]
fn an_ipv6_address_that_answers_gives_sent_and_then_reply() {
    let here = Netns::with_ping_group_range(OPEN);
    here.add_ipv6("fd00::1/128", "dev lo");
    here.run(async || {
        let mut world = World::new();
        let echo = world.ask(1, &route("fd00::1", "::1", None));
        assert_eq!(world.end().await, [Observed::Sent(echo), Observed::Reply(echo)]);
    });
}

#[test]
fn a_link_local_address_is_probed_on_its_interface() {
    let (here, there) = Netns::pair();
    here.add_ipv6("fe80::1/64", "dev tunnel");
    there.add_ipv6("fe80::2/64", "dev tunnel");
    here.run(async || {
        let mut world = World::new();
        let echo = world.ask(1, &route("fe80::1", "fe80::2", Some("tunnel")));
        assert_eq!(world.end().await, [Observed::Sent(echo), Observed::Reply(echo)]);
    });
}

#[test]
fn available_datagram_sockets_are_used_without_a_message() {
    let here = Netns::with_ping_group_range(OPEN);
    here.run(async || {
        assert_eq!(icmp_access().unwrap(), SocketKind::Datagram);
        let mut world = World::new();
        world.ask(1, &route("127.0.0.1", "127.0.0.2", None));
        assert!(world.problem().is_none());
        world.end().await;
        assert_eq!(journal::warnings(), Vec::<String>::new());
    });
}

#[test]
fn datagram_sockets_bound_to_an_interface_need_no_privilege() {
    let here = Netns::with_ping_group_range(OPEN);
    here.run_unprivileged(async || {
        let mut world = World::new();
        let echo = world.ask(1, &route("127.0.0.1", "127.0.0.2", Some("lo")));
        assert_eq!(world.end().await, [Observed::Sent(echo), Observed::Reply(echo)]);
    });
}

#[test]
fn without_any_socket_access_is_denied_and_a_probe_is_a_send_error() {
    let here = Netns::with_ping_group_range(CLOSED);
    here.run_unprivileged(async || {
        let denied = icmp_access().unwrap_err().to_string();
        assert!(denied.contains("net.ipv4.ping_group_range=\"0 0\""), "{denied}");
        assert!(denied.contains("AmbientCapabilities=CAP_NET_RAW"), "{denied}");

        let mut world = World::new();
        let no_permission = AskFailure::Fault(Fault::NoPermission);
        let v4 = world.ask(1, &route("127.0.0.1", "127.0.0.2", None));
        let v6 = world.ask(2, &route("::1", "::1", None));
        assert_eq!(
            world.end().await,
            [Observed::Failed(v4, no_permission), Observed::Failed(v6, no_permission)]
        );
    });
}

#[test]
fn if_only_raw_sockets_are_available_they_are_used_and_the_problem_names_the_sysctl() {
    let here = Netns::with_ping_group_range(CLOSED);
    here.run(async || {
        assert_eq!(icmp_access().unwrap(), SocketKind::Raw);
        let mut world = World::new();
        let first = world.ask(1, &route("127.0.0.1", "127.0.0.2", None));
        world.ask(2, &route("127.0.0.1", "127.0.0.2", None));

        let (component, problem) = world.problem().unwrap();
        assert_eq!((component, problem.severity), (Component::Probe, Severity::Degraded));
        assert!(problem.text.contains("net.ipv4.ping_group_range=\"0 0\""), "{}", problem.text);

        let heard = world.end().await;
        assert!(heard.contains(&Observed::Reply(first)), "{heard:?}");
    });
}

#[test]
fn the_raw_socket_problem_ends_with_the_last_raw_client() {
    let here = Netns::with_ping_group_range(CLOSED);
    here.run(async || {
        let lo = route("127.0.0.1", "127.0.0.2", None);
        let mut world = World::new();
        world.ask(1, &lo);
        net::set_ping_group_range(OPEN);
        world.ask(2, &lo);
        assert!(world.problem().is_some(), "client 1 is raw");
        world.retire(1);
        world.ask(3, &lo);
        assert!(world.problem().is_none());
    });
}

#[test]
fn on_a_raw_socket_an_unreachable_from_a_router_is_no_reply() {
    let (here, there) = Netns::pair();
    net_v4(&here, &there);
    here.ip("route add 10.9.0.0/24 via 10.0.0.2");
    there.set("net/ipv4/ip_forward", "1");
    there.ip("route add unreachable 10.9.0.0/24");
    here.set("net/ipv4/ping_group_range", CLOSED);
    here.run(async || {
        let mut world = World::new();
        let dead = world.ask(1, &route("10.0.0.1", "10.9.0.9", None));
        let heard = world.end().await;
        assert_eq!(heard, [Observed::Sent(dead)]);
    });
}

#[test]
fn a_missing_source_address_is_reported_and_no_other_is_used() {
    let here = Netns::with_ping_group_range(OPEN);
    here.run(async || {
        let mut world = World::new();
        let echo = world.ask(1, &route("10.0.0.1", "127.0.0.1", None));
        assert_eq!(world.end().await, [Observed::Failed(echo, AskFailure::AddressMissing)]);
    });
}

#[test]
fn a_missing_interface_is_reported_and_no_other_is_used() {
    let here = Netns::with_ping_group_range(OPEN);
    here.run(async || {
        let mut world = World::new();
        let v4 = world.ask(1, &route("127.0.0.1", "127.0.0.2", Some("tunnel")));
        let v6 = world.ask(2, &route("fe80::1", "fe80::2", Some("tunnel")));
        let missing = [v4, v6].map(|echo| Observed::Failed(echo, AskFailure::AddressMissing));
        assert_eq!(world.end().await, missing);
    });
}

#[test]
fn opening_a_client_is_retried_with_its_next_probe() {
    let here = Netns::with_ping_group_range(OPEN);
    here.run(async || {
        let mut world = World::new();
        let late_address = route("10.0.0.1", "127.0.0.1", None);
        let failed = world.ask(1, &late_address);
        net::ip("addr add 10.0.0.1/32 dev lo");
        let echo = world.ask(1, &late_address);
        let heard = world.end().await;
        let expected = [
            Observed::Failed(failed, AskFailure::AddressMissing),
            Observed::Sent(echo),
            Observed::Reply(echo),
        ];
        assert_eq!(heard, expected);
    });
}

/// A host behind a link that only packets with the mark 42 are routed to.
fn marked_way() -> (Netns, Netns) {
    let (here, there) = Netns::pair();
    net_v4(&here, &there);
    there.ip("addr add 10.9.0.9/32 dev lo");
    here.ip("route add 10.9.0.9/32 via 10.0.0.2 table 100");
    here.ip("rule add fwmark 42 lookup 100");
    // The reply comes from where the main table would not send.
    here.set("net/ipv4/conf/all/rp_filter", "0");
    here.set("net/ipv4/conf/tunnel/rp_filter", "0");
    (here, there)
}

#[test]
fn a_marked_echo_takes_the_way_of_its_mark_and_not_that_of_the_main_table() {
    let (here, _there) = marked_way();
    here.ip("route add blackhole 10.9.0.9/32");
    here.run_with_net_raw(async || {
        let way = route("10.0.0.1", "10.9.0.9", None);
        let mut world = World::new();
        let echo = world.ask(1, &marked(&way, 42));
        assert_eq!(world.next().await, Observed::Sent(echo));
        assert_eq!(world.next().await, Observed::Reply(echo));
        let unmarked = world.ask(2, &way);
        assert_eq!(world.end().await, [Observed::Failed(unmarked, AskFailure::Lost(Loss::Blocked))]);
    });
}

#[test]
fn a_marked_echo_is_lost_rather_than_sent_by_the_main_table_if_its_own_table_ends_there() {
    let (here, _there) = marked_way();
    here.ip("route add 10.9.0.9/32 via 10.0.0.2");
    here.ip("route del 10.9.0.9/32 table 100");
    here.ip("route add unreachable default metric 1000000 table 100");
    here.run_with_net_raw(async || {
        let way = route("10.0.0.1", "10.9.0.9", None);
        let mut world = World::new();
        let echo = world.ask(1, &marked(&way, 42));
        assert_eq!(world.next().await, Observed::Failed(echo, AskFailure::Lost(Loss::NoPath)));
        let unmarked = world.ask(2, &way);
        assert_eq!(world.end().await, [Observed::Sent(unmarked), Observed::Reply(unmarked)]);
    });
}

#[test]
fn an_echo_with_a_mark_that_no_rule_knows_is_lost() {
    let (here, _there) = marked_way();
    here.run_with_net_raw(async || {
        let mut world = World::new();
        let echo = world.ask(1, &marked(&route("10.0.0.1", "10.9.0.9", None), 43));
        assert_eq!(world.end().await, [Observed::Failed(echo, AskFailure::Lost(Loss::NoPath))]);
    });
}

#[test]
fn without_the_capability_nothing_is_sent_where_a_mark_is_wanted() {
    let (here, there) = Netns::pair();
    net_v4(&here, &there);
    here.run_unprivileged(async || {
        let way = route("10.0.0.1", "10.0.0.2", Some("tunnel"));
        let mut world = World::new();
        let refused = world.ask(1, &marked(&way, 42));
        assert_eq!(
            world.next().await,
            Observed::Failed(refused, AskFailure::Fault(Fault::NoPermission)),
            "the same host answers without a mark, and is not asked"
        );
        let echo = world.ask(2, &way);
        assert_eq!(world.end().await, [Observed::Sent(echo), Observed::Reply(echo)]);
    });
}

#[test]
fn rejecting_routes_block_a_packet_and_missing_routes_are_no_path() {
    let here = Netns::with_ping_group_range(OPEN);
    here.ip("route add blackhole 10.9.1.0/24");
    here.ip("route add prohibit 10.9.2.0/24");
    here.ip("route add unreachable 10.9.3.0/24");
    here.ip("route add throw 10.9.4.0/24");
    here.run(async || {
        for (destination, loss) in [
            ("10.9.1.1", Loss::Blocked),
            ("10.9.2.1", Loss::Blocked),
            ("10.9.3.1", Loss::NoPath),
            ("10.9.4.1", Loss::NoPath),
        ] {
            let mut world = World::new();
            let echo = world.ask(1, &route("127.0.0.1", destination, None));
            assert_eq!(world.end().await, [Observed::Failed(echo, AskFailure::Lost(loss))], "{destination}");
        }
    });
}

#[test]
fn a_packet_blocked_by_an_xfrm_policy_is_reported_as_blocked() {
    let (here, there) = Netns::pair();
    net_v4(&here, &there);
    here.ip("xfrm policy add dst 10.0.0.2 dir out action block");
    here.run(async || {
        let mut world = World::new();
        let echo = world.ask(1, &route("10.0.0.1", "10.0.0.2", None));
        assert_eq!(world.end().await, [Observed::Failed(echo, AskFailure::Lost(Loss::Blocked))]);
    });
}

#[test]
fn a_packet_dropped_by_the_local_firewall_is_reported_as_blocked() {
    let here = Netns::with_ping_group_range(OPEN);
    here.nft("add table ip guard");
    here.nft("add chain ip guard out { type filter hook output priority 0 ; }");
    here.nft("add rule ip guard out ip daddr 127.0.0.2 drop");
    here.run(async || {
        let mut world = World::new();
        let echo = world.ask(1, &route("127.0.0.1", "127.0.0.2", None));
        assert_eq!(world.end().await, [Observed::Failed(echo, AskFailure::Lost(Loss::Blocked))]);
    });
}

#[test]
fn a_client_whose_source_address_was_removed_has_no_path() {
    let (here, there) = Netns::pair();
    net_v4(&here, &there);
    here.run(async || {
        let tunnel = route("10.0.0.1", "10.0.0.2", None);
        let mut world = World::new();
        let before = world.ask(1, &tunnel);
        assert_eq!(world.next().await, Observed::Sent(before));
        assert_eq!(world.next().await, Observed::Reply(before));

        net::ip("addr del 10.0.0.1/24 dev tunnel");
        let no_path = AskFailure::Lost(Loss::NoPath);
        let without_route = world.ask(1, &tunnel);
        assert_eq!(world.next().await, Observed::Failed(without_route, no_path));
        net::ip("route add 10.0.0.2 dev tunnel");
        let with_route = world.ask(1, &tunnel);
        assert_eq!(world.end().await, [Observed::Failed(with_route, no_path)]);
    });
}

#[test]
fn after_its_interface_was_recreated_an_old_client_has_no_path_and_a_new_one_works() {
    let (here, there) = Netns::pair();
    net_v4(&here, &there);
    here.run(async || {
        let tunnel = route("10.0.0.1", "10.0.0.2", Some("tunnel"));
        let mut world = World::new();
        let before = world.ask(1, &tunnel);
        assert_eq!(world.next().await, Observed::Sent(before));
        assert_eq!(world.next().await, Observed::Reply(before));

        net::ip("link del tunnel");
        let without = world.ask(1, &tunnel);
        assert_eq!(world.next().await, Observed::Failed(without, AskFailure::Lost(Loss::NoPath)));
        let replaced = world.ask(2, &tunnel);
        assert_eq!(world.next().await, Observed::Failed(replaced, AskFailure::AddressMissing));

        here.link_to(&there);
        net_v4(&here, &there);
        let stale = world.ask(1, &tunnel);
        assert_eq!(world.next().await, Observed::Failed(stale, AskFailure::Lost(Loss::NoPath)));
        world.retire(1);
        let anew = world.ask(2, &tunnel);
        assert_eq!(world.end().await, [Observed::Sent(anew), Observed::Reply(anew)]);
    });
}

#[test]
fn after_its_address_moved_and_returned_a_new_client_works() {
    let (here, there) = Netns::pair();
    net_v4(&here, &there);
    here.run(async || {
        let tunnel = route("10.0.0.1", "10.0.0.2", Some("tunnel"));
        let mut world = World::new();
        let before = world.ask(1, &tunnel);
        assert_eq!(world.next().await, Observed::Sent(before));
        assert_eq!(world.next().await, Observed::Reply(before));

        net::ip("addr add 10.0.0.3/24 dev tunnel");
        net::ip("addr del 10.0.0.1/24 dev tunnel");
        let moved = world.ask(2, &tunnel);
        assert_eq!(world.next().await, Observed::Failed(moved, AskFailure::AddressMissing));
        net::ip("addr add 10.0.0.1/24 dev tunnel");
        let anew = world.ask(2, &tunnel);
        assert_eq!(world.end().await, [Observed::Sent(anew), Observed::Reply(anew)]);
    });
}

#[test]
fn a_firewalls_dead_entry_swallows_one_client_and_not_the_next() {
    let (here, there) = Netns::pair();
    net_v4(&here, &there);
    // The entry is made by the first echo of a flow; from then on it swallows what belongs to it.
    there.nft("add table ip guard");
    there.nft("add chain ip guard in { type filter hook input priority 0 ; }");
    there.nft("add rule ip guard in ip protocol icmp ct state established drop");
    here.run(async || {
        let tunnel = route("10.0.0.1", "10.0.0.2", Some("tunnel"));
        let mut world = World::with_give_up_after(Duration::from_millis(300));
        let first = world.ask(1, &tunnel);
        assert_eq!(world.next().await, Observed::Sent(first));
        assert_eq!(world.next().await, Observed::Reply(first));
        let swallowed = world.ask(1, &tunnel);
        assert_eq!(world.next().await, Observed::Sent(swallowed));
        let fresh = world.ask(2, &tunnel);
        assert_eq!(world.end().await, [Observed::Sent(fresh), Observed::Reply(fresh)]);
    });
}

#[test]
fn a_late_reply_is_matched_even_after_its_client_was_retired() {
    let (here, there) = Netns::pair();
    here.ip("addr add 10.0.0.1/24 dev tunnel");
    here.run(async || {
        let mut world = World::new();
        // No host has the address yet, so the probe waits for ARP and is sent when that is answered.
        let echo = world.ask(1, &route("10.0.0.1", "10.0.0.2", Some("tunnel")));
        assert_eq!(world.next().await, Observed::Sent(echo));
        world.retire(1);
        there.ip("addr add 10.0.0.2/24 dev tunnel");
        assert_eq!(world.end().await, [Observed::Reply(echo)]);
    });
}

#[test]
fn sixty_four_probes_in_flight_on_one_client_get_their_replies() {
    const IN_FLIGHT: usize = 64;
    let (here, there) = Netns::pair();
    here.ip("addr add 10.0.0.1/24 dev tunnel");
    here.run(async || {
        let tunnel = route("10.0.0.1", "10.0.0.2", Some("tunnel"));
        let mut world = World::new();
        let mut echoes = Vec::new();
        for _ in 0..IN_FLIGHT {
            let echo = world.ask(1, &tunnel);
            assert_eq!(world.next().await, Observed::Sent(echo));
            echoes.push(Observed::Reply(echo));
        }
        there.ip("addr add 10.0.0.2/24 dev tunnel");
        let heard = world.end().await;
        assert_eq!(heard.len(), IN_FLIGHT);
        assert!(echoes.iter().all(|reply| heard.contains(reply)), "{heard:?}");
    });
}

#[test]
fn clients_that_are_never_retired_do_not_accumulate() {
    const KEPT: u64 = 8;
    let here = Netns::with_ping_group_range(OPEN);
    here.run(async || {
        let lo = route("127.0.0.1", "127.0.0.2", None);
        let mut world = World::new();
        for client in 0..KEPT {
            world.ask(client, &lo);
        }
        assert_eq!(journal::warnings(), Vec::<String>::new());
        let echo = world.ask(KEPT, &lo);
        assert_eq!(journal::warnings().len(), 1);
        assert!(world.end().await.contains(&Observed::Reply(echo)));
    });
}

#[test]
fn sockets_beyond_the_limit_are_a_send_error_until_one_is_retired() {
    let here = Netns::with_ping_group_range(OPEN);
    here.run(async || {
        let lo = route("127.0.0.1", "127.0.0.2", None);
        let mut world = World::with_at_most(2);
        world.ask(1, &lo);
        world.ask(2, &lo);
        let echo = world.ask(3, &lo);
        let too_many = AskFailure::Fault(Fault::TooManyFiles);
        assert_eq!(world.next().await, Observed::Failed(echo, too_many));
        world.retire(1);
        let echo = world.ask(3, &lo);
        assert!(world.end().await.contains(&Observed::Reply(echo)));
    });
}

#[test]
fn an_unanswered_probe_ends_without_an_event() {
    let (here, _there) = Netns::pair();
    here.ip("addr add 10.0.0.1/24 dev tunnel");
    here.run(async || {
        let mut world = World::with_give_up_after(Duration::from_millis(50));
        let echo = world.ask(1, &route("10.0.0.1", "10.0.0.2", None));
        assert_eq!(world.end().await, [Observed::Sent(echo)]);
    });
}

#[test]
fn a_host_holds_an_address_as_long_as_it_is_configured() {
    let here = Netns::with_ping_group_range(OPEN);
    here.run(async || {
        let tunnel = route("10.0.0.1", "10.0.0.2", Some("lo"));
        assert_eq!(owns(&tunnel).unwrap(), Ownership::NoAddress);
        net::ip("addr add 10.0.0.1/32 dev lo");
        assert_eq!(owns(&tunnel).unwrap(), Ownership::Here);
        assert_eq!(owns(&route("10.0.0.1", "10.0.0.2", Some("tunnel"))).unwrap(), Ownership::NoInterface);
    });
}

#[test]
fn a_round_probes_every_tunnel_and_returns_a_row_for_each() {
    let here = Netns::with_ping_group_range(OPEN);
    here.ip("route add unreachable 10.9.0.0/24");
    here.run(async || {
        let vpns = [vpn(&[
            route("127.0.0.1", "127.0.0.2", None),
            route("127.0.0.1", "10.9.0.1", None),
            route("10.0.0.1", "127.0.0.1", None),
        ])];
        let round = Round { echoes: 3, spacing: Duration::from_millis(1) };
        let rows = one_round(&vpns, round, Default::default()).await;

        let counts: Vec<_> = rows.iter().map(|row| (row.sent, row.replies + row.late, row.no_path)).collect();
        assert_eq!(counts, [(3, 3, 0), (0, 0, 3), (0, 0, 0)]);
        assert_eq!(rows[2].faults, [Fault::AddressMissing; 3]);
        assert_eq!(rows[0].rtts.len(), 3);
        assert!(rows[0].rtts.is_sorted());
    });
}

fn net_v4(here: &Netns, there: &Netns) {
    here.ip("addr add 10.0.0.1/24 dev tunnel");
    there.ip("addr add 10.0.0.2/24 dev tunnel");
}
