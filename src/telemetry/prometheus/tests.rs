//! What Prometheus reads.

mod process;
mod validator;

use self::validator::{Samples, validate};
use super::*;
use crate::domain::maintenance::MaintenanceState;
use crate::domain::names::{CheckKind, Role};
use crate::domain::verdict::{Fault, Loss, Why};
use crate::fixture;
use crate::health::{Code, Component, Problem};

fn check(n: u8) -> CheckId {
    CheckId { tunnel: fixture::tunnel(n), kind: CheckKind::Inside }
}

fn scrape(prometheus: &Prometheus) -> Samples {
    validate(&prometheus.render(&fixture::status(), &[], fixture::after(35))).unwrap()
}

fn ended(outcome: Outcome) -> Fact {
    Fact::EchoEnded { check: check(1), outcome }
}

const TUNNEL: &str = r#"vpn="vpn-0123456789abcdef0",tunnel="203.0.113.11""#;

#[test]
fn a_full_scrape_is_valid_and_only_of_metrics_in_the_table() {
    let prometheus = Prometheus::new();
    prometheus.count(&ended(Outcome::Reply { rtt: Duration::from_millis(12) }));
    prometheus.count(&Fact::TicksSkipped { check: check(2), count: 7 });
    let sink = SinkId::new("a \"sink\"\\\nindeed");
    prometheus.sink_request(&sink, "start", "ok");
    prometheus.sink_pending(&sink, Some(2));
    prometheus.aws_poll(SourceKind::CloudWatch, "ok");
    prometheus.metrics_request("ok");
    prometheus.rollups_pending(3);
    prometheus.rollups_dropped(1);
    prometheus.credentials_expiry(Some(Stamp::from_secs(1_763_781_120)));
    prometheus.clock_offset(Some(-3_600_500));
    prometheus.facts_dropped("store", 4);
    prometheus.count(&Fact::EvidenceUnusable {
        source: fixture::status().sources[0].id.clone(),
        tunnel: fixture::tunnel(1),
        verdict: Verdict::Unknown(Why::Garbage),
    });
    prometheus.mode("raise");
    let problem = Problem::of(Code::SinkRejects, "not so");
    let open = OpenProblem { component: Component::Sink(sink.to_string()), problem };
    let mut status = fixture::site();
    let (maintenance, as_of) = (Default::default(), fixture::after(0).wall);
    status.vpns[0].tunnels[0].maintenance = MaintenanceState::Known { maintenance, as_of };
    let samples = validate(&prometheus.render(&status, &[open], fixture::after(35))).unwrap();
    let families: std::collections::BTreeSet<_> = samples
        .keys()
        .filter_map(|series| series.split('{').next())
        .map(|name| name.trim_end_matches("_bucket").trim_end_matches("_sum").trim_end_matches("_count"))
        .collect();
    let table: std::collections::BTreeSet<_> = metric::ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(families, table);
}

#[test]
fn every_outcome_of_every_check_is_a_series_from_the_first_scrape() {
    let samples = scrape(&Prometheus::new());
    for outcome in Outcome::LABELS {
        let series = format!(r#"bothends_echoes_total{{{TUNNEL},check="inside",outcome="{outcome}"}}"#);
        assert_eq!(samples.get(&series), Some(&0.0), "{series}");
    }
}

#[test]
fn each_outcome_counts_under_its_own_label_and_only_answers_have_a_round_trip() {
    let prometheus = Prometheus::new();
    let outcomes = [
        Outcome::Reply { rtt: Duration::from_millis(12) },
        Outcome::Late { rtt: Duration::from_millis(1500) },
        Outcome::Lost(Loss::Timeout),
        Outcome::Lost(Loss::NoPath),
        Outcome::Lost(Loss::Blocked),
        Outcome::Fault(Fault::NoMemory),
    ];
    for outcome in outcomes {
        prometheus.count(&ended(outcome));
    }
    let samples = scrape(&prometheus);
    for outcome in Outcome::LABELS {
        let series = format!(r#"bothends_echoes_total{{{TUNNEL},check="inside",outcome="{outcome}"}}"#);
        assert_eq!(samples.get(&series), Some(&1.0), "{series}");
    }
    let rtt = |suffix: &str, le: &str| {
        samples.get(&format!(r#"bothends_echo_rtt_seconds{suffix}{{{TUNNEL},check="inside"{le}}}"#)).copied()
    };
    assert_eq!(rtt("_count", ""), Some(2.0));
    assert_eq!(rtt("_bucket", r#",le="0.02""#), Some(1.0));
    assert_eq!(rtt("_bucket", r#",le="2.5""#), Some(2.0));
    assert_eq!(rtt("_sum", ""), Some(1.512));
}

#[test]
fn a_state_set_has_exactly_one_1() {
    let samples = scrape(&Prometheus::new());
    let of = |prefix: &str| {
        let set: Vec<_> = samples.iter().filter(|(series, _)| series.starts_with(prefix)).collect();
        let on: Vec<_> =
            set.iter().filter(|(_, value)| **value == 1.0).map(|(series, _)| series.as_str()).collect();
        (set.len(), on.join(" "))
    };
    assert_eq!(
        of(&format!(r#"bothends_tunnel_verdict{{{TUNNEL},end="local""#)),
        (3, format!(r#"bothends_tunnel_verdict{{{TUNNEL},end="local",verdict="down"}}"#))
    );
    assert_eq!(
        of(&format!("bothends_tunnel_assessment{{{TUNNEL}")),
        (5, format!(r#"bothends_tunnel_assessment{{{TUNNEL},assessment="down"}}"#))
    );
    assert_eq!(
        of("bothends_incident_open{"),
        (
            4,
            r#"bothends_incident_open{scope="connection",name="Milan DC, primary",vpn="vpn-0123456789abcdef0",kind="redundancy_lost"}"#
                .to_owned()
        )
    );
}

#[test]
fn the_age_of_evidence_is_as_of_the_scrape_and_counts_from_the_start_of_watching() {
    let ages = |status: &Status| {
        let text = Prometheus::new().render(status, &[], fixture::after(35));
        let samples = validate(&text).unwrap();
        let of = |n: u8| format!(r#"vpn="vpn-0123456789abcdef0",tunnel="203.0.113.1{n}""#);
        let age = |name: &str, labels: &str| samples.get(&format!("{name}{{{labels}}}")).copied();
        [1, 2].map(|n| {
            let aws = age("bothends_aws_evidence_age_seconds", &of(n));
            let end = format!(r#"{},end="aws""#, of(n));
            assert_eq!(age("bothends_evidence_age_seconds", &end), aws, "tunnel {n}");
            aws
        })
    };
    let mut status = fixture::status();
    assert_eq!(ages(&status), [Some(25.0), Some(35.0)], "tunnel 2 has no evidence yet");
    status.vpns[0].tunnels[1].role = Role::Unused;
    assert_eq!(ages(&status), [Some(25.0), None]);
}

#[test]
fn names_role_region_and_own_labels_are_in_info_metrics() {
    let prometheus = Prometheus::new();
    let at = r#"site="milan-1",region="eu-west-1""#;
    let vpn = format!(r#"bothends_vpn_info{{vpn="vpn-0123456789abcdef0",name="Milan DC, primary",{at}}}"#);
    let tunnel = format!(r#"bothends_tunnel_info{{{TUNNEL},name="tunnel 1",role="active",{at}}}"#);
    let with = |series: &str| series.replace('}', r#",environment="prod"}"#);
    let has = |series: &str| scrape(&prometheus).contains_key(series);
    assert_eq!([has(&vpn), has(&tunnel), has(&with(&vpn))], [true, true, false]);
    let own = Labels::from([("environment".into(), "prod".into())]);
    prometheus.labels([(fixture::tunnel(1).vpn, own)].into());
    assert_eq!([has(&vpn), has(&with(&vpn)), has(&with(&tunnel))], [false, true, true]);
    let others = scrape(&prometheus).keys().filter(|series| series.contains("environment=")).count();
    assert_eq!(others, 3, "one connection and two tunnels");
    prometheus.labels(BTreeMap::new());
    assert!(has(&vpn), "as after a reload without them");
}

#[test]
fn a_region_that_is_not_configured_is_empty() {
    let mut status = fixture::status();
    for source in &mut status.vpns[0].sources {
        source.place.region = None;
    }
    let text = Prometheus::new().render(&status, &[], fixture::after(35));
    assert!(text.contains(r#"name="Milan DC, primary",site="milan-1",region=""} 1"#), "{text}");
}

#[test]
fn the_mode_is_a_state_set_and_readiness_is_as_in_readyz() {
    let prometheus = Prometheus::new();
    prometheus.mode("observe");
    let samples = scrape(&prometheus);
    let mode = |mode: &str| samples.get(&format!(r#"bothends_mode{{mode="{mode}"}}"#)).copied();
    assert_eq!((mode("raise"), mode("observe")), (Some(0.0), Some(1.0)));
    assert_eq!(samples.get("bothends_ready"), Some(&1.0));
    let open = OpenProblem { component: Component::Store, problem: Problem::of(Code::StoreFailing, "full") };
    let failed = prometheus.render(&fixture::status(), &[open], fixture::after(35));
    let failed = validate(&failed).unwrap();
    let problem = r#"bothends_problem{code="store_failing",component="store"}"#;
    assert_eq!((failed.get("bothends_ready"), failed.get(problem)), (Some(&0.0), Some(&1.0)));
    assert_eq!(scrape(&prometheus).get(problem), Some(&0.0), "it is over");
}

#[test]
fn the_beginning_is_a_date_while_packets_do_not_pass_and_0_while_they_do() {
    let samples = scrape(&Prometheus::new());
    let stopped = fixture::after(3).wall.as_millis() as f64 / 1e3;
    let of = |name: &str, tunnel: u8| {
        samples
            .get(&format!(r#"{name}{{vpn="vpn-0123456789abcdef0",tunnel="203.0.113.1{tunnel}"}}"#))
            .copied()
    };
    assert_eq!(of("bothends_tunnel_not_passing_since_timestamp_seconds", 1), Some(stopped));
    assert_eq!(of("bothends_tunnel_not_passing_since_timestamp_seconds", 2), Some(0.0));
    assert_eq!(of("bothends_tunnel_last_reply_timestamp_seconds", 1), Some(stopped));
}

#[test]
fn the_state_of_a_tunnel_that_left_the_configuration_leaves_the_scrape() {
    let prometheus = Prometheus::new();
    scrape(&prometheus);
    let after_reload = prometheus.render(&Status::default(), &[], fixture::after(35));
    let samples = validate(&after_reload).unwrap();
    assert!(!samples.keys().any(|series| series.starts_with("bothends_tunnel_")), "{after_reload}");
    assert!(!samples.keys().any(|series| series.starts_with("bothends_incident_open")), "{after_reload}");
}

#[test]
fn a_sink_that_is_no_more_leaves_the_scrape() {
    let prometheus = Prometheus::new();
    let sink = SinkId::new("incident_manager");
    prometheus.sink_pending(&sink, Some(1));
    assert_eq!(scrape(&prometheus).get(r#"bothends_sink_pending{sink="incident_manager"}"#), Some(&1.0));
    prometheus.sink_pending(&sink, None);
    assert!(!scrape(&prometheus).keys().any(|series| series.starts_with("bothends_sink_pending")));
}

#[test]
fn a_refused_reload_shows_until_one_is_taken() {
    let prometheus = Prometheus::new();
    let shown = |prometheus: &Prometheus| scrape(prometheus).get("bothends_config_reload_success").copied();
    assert_eq!(shown(&prometheus), Some(1.0));
    prometheus.config_reload(false);
    assert_eq!(shown(&prometheus), Some(0.0));
    prometheus.config_reload(true);
    assert_eq!(shown(&prometheus), Some(1.0));
}
