//! Why a tunnel is down: one fault of each kind of tests/lab/README.md, each with the cause that is right for it. No other
//! name is ever shown, the other tunnel is healthy all the time, and everything is right after the fault's end.
//! `make causes` (tests/causes) makes many of each, with random parameters, and measures how long it takes.

use serde_json::Value;

use super::stage::{BgpDaemon, Config, OUTSIDE, Stage};

/// Where no cause of the list is true, none must be named while AWS is polled so often.
const UNNAMED_FOR_POLLS: usize = 3;
/// After a fault; the lab's hold time is shorter than so many polls.
const RIGHT_FOR_POLLS: usize = 3;

/// A fault of the lab and the causes that are right for it; none if none is.
struct Fault {
    kind: &'static str,
    value: Option<&'static str>,
    right: &'static [&'static str],
}

const fn fault(kind: &'static str, value: Option<&'static str>, right: &'static [&'static str]) -> Fault {
    Fault { kind, value, right }
}

#[test]
fn a_fault_between_the_gateway_and_aws_is_named() {
    each_is_named(
        BgpDaemon::Bird,
        &[
            fault("link", None, &["path_to_aws"]),
            fault("path", None, &["path_to_aws"]),
            fault("nat", Some("address"), &["ike_down"]),
            fault("nat", Some("port"), &[]),
            fault("wan", Some("link"), &["uplink_down"]),
            fault("wan", Some("silent"), &["uplink_down"]),
        ],
    );
}

#[test]
fn a_fault_of_aws_is_named() {
    each_is_named(
        BgpDaemon::Frr,
        &[
            // A session gets some time after a recovery, so these come first.
            fault("bgp", None, &["bgp_down"]),
            fault("prefix", None, &["bgp_down"]),
            fault("kill", None, &["ike_down"]),
            fault("ike", None, &["ike_rejected", "ike_down"]),
            fault("psk", None, &["ike_rejected"]),
            fault("proposal", Some("ike"), &["ike_rejected"]),
            fault("proposal", Some("esp"), &["ike_rejected"]),
        ],
    );
}

#[test]
fn a_fault_inside_the_tunnel_is_named() {
    each_is_named(
        BgpDaemon::Bird,
        &[
            fault("bgp", None, &["bgp_down"]),
            fault("prefix", None, &["bgp_down"]),
            fault("mtu", Some("1000"), &["mtu"]),
            fault("vpc", None, &["vpc_unreachable"]),
            fault("loss", Some("20"), &["lossy_path"]),
            fault("delay", Some("200"), &["slow_path"]),
            fault("dead", Some("inside"), &["ipsec_one_way"]),
            fault("dead", Some("esp"), &["ipsec_one_way"]),
            fault("icmp", None, &[]),
        ],
    );
}

#[test]
fn a_fault_of_this_gateway_is_named() {
    each_is_named(
        BgpDaemon::Frr,
        &[
            fault("charon", Some("kill"), &["gateway_host"]),
            fault("charon", Some("stop"), &["gateway_host"]),
            fault("policy", Some("none"), &["gateway_config"]),
            fault("policy", Some("other"), &["gateway_config"]),
            fault("route", None, &["gateway_config"]),
            fault("blocked", None, &["gateway_config"]),
        ],
    );
}

/// In one lab, one after the other, on tunnel 1 and tunnel 2 in turn.
fn each_is_named(bgp: BgpDaemon, faults: &[Fault]) {
    let stage = Stage::healthy(&Config { evidence: Some(bgp), ..Config::default() });
    for (fault, (broken, other)) in faults.iter().zip([(0, 1), (1, 0)].into_iter().cycle()) {
        let Fault { kind, value, right } = fault;
        let everything = *kind == "wan";
        let place = if everything { "all".to_owned() } else { (broken + 1).to_string() };
        match value {
            Some(value) => stage.lab.breaks_by(kind, &place, value),
            None => stage.lab.breaks(kind, &place),
        }
        let look = || {
            let causes = OUTSIDE.map(|outside| cause(&stage, outside));
            let named = causes[broken].as_deref().filter(|cause| *cause != "unknown");
            assert!(named.is_none_or(|cause| right.contains(&cause)), "{kind} {value:?}: {named:?}");
            if !everything {
                assert_eq!(
                    (stage.assessment(OUTSIDE[other]), &causes[other]),
                    ("healthy".to_owned(), &None),
                    "{kind}"
                );
            }
            named.is_some()
        };
        if right.is_empty() {
            stage.stays_so_for_polls(UNNAMED_FOR_POLLS, || assert!(!look(), "{kind}: a cause is named"));
        } else {
            stage.eventually(&format!("a cause of {kind} {value:?} is named"), look);
        }
        stage.lab.heal(&place);
        settles(&stage);
    }
}

/// Waits until everything is right, and stays so: a BGP session whose hold time had begun to run out may end after its healing.
fn settles(stage: &Stage) {
    let mut since = stage.aws.polls();
    stage.eventually("everything is right for some polls", || {
        let is_right =
            |outside: &str| stage.assessment(outside) == "healthy" && cause(stage, outside).is_none();
        if !OUTSIDE.iter().all(|outside| is_right(outside)) {
            since = stage.aws.polls();
        }
        stage.aws.polls() >= since + RIGHT_FOR_POLLS
    });
}

/// The cause that is named for a tunnel, if there is anything to explain.
fn cause(stage: &Stage, outside: &str) -> Option<String> {
    let answer = stage.daemon.get("/status")?;
    let status: Value = serde_json::from_str(&answer.body).unwrap();
    let mut tunnels = status["vpns"].as_array()?.iter().flat_map(|vpn| vpn["tunnels"].as_array()).flatten();
    let tunnel = tunnels.find(|tunnel| tunnel["outside_ip"] == outside)?;
    Some(tunnel["cause"]["cause"].as_str()?.to_owned())
}
