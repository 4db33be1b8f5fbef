//! What CloudWatch is sent each minute.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::site::{FIVE, FOUR, MILAN, ONE, ROME, ROMES_REGION, Site, THREE, TURIN, TWO};
use super::wait::{until, until_some};

/// A datum's dimensions as `name=value`, in order.
fn dimensions(datum: &Value) -> String {
    let dimensions = datum["Dimensions"].as_array().unwrap().iter();
    let seen =
        dimensions.map(|one| format!("{}={}", one["Name"].as_str().unwrap(), one["Value"].as_str().unwrap()));
    seen.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
}

/// The data put for one metric, oldest first.
fn put(site: &Site, name: &str, of: &str) -> Vec<Value> {
    let all = site.control(json!({ "metrics": { "namespace": "BothEnds" } }));
    let data = all.as_array().unwrap().iter().map(|one| &one["datum"]);
    data.filter(|datum| datum["MetricName"] == name && dimensions(datum) == of).cloned().collect()
}

fn of_tunnel(vpn: &str, outside: &str) -> String {
    format!("TunnelIpAddress={outside} VpnId={vpn}")
}

#[test]
fn metrics_arrive_every_minute_as_documented_while_a_page_hangs_and_one_sided_opens() {
    let site = Site::new();
    let (three, four, five) = (THREE.toml(), FOUR.toml(), FIVE.toml());
    site.home.add(
        "more.toml",
        &format!(
            "[[vpn]]\nid = \"{TURIN}\"\n{five}\n\
             [[vpn]]\nid = \"{ROME}\"\nname = \"Rome\"\nregion = \"{ROMES_REGION}\"\n{three}\n{four}\n\
             [vpn.incident]\none_sided_after = \"1m\"\n"
        ),
    );
    // Milan's second tunnel never answers, Turin is out and its page hangs, Rome is out as seen from here only.
    site.cut(&[&TWO]);
    let daemon = site.start();
    daemon.until_assessed("healthy", &[&ONE, &THREE, &FOUR, &FIVE]);
    site.fault("StartIncident", json!({ "hang": { "seconds": 3600.0 } }));
    site.aws_says(false, &[&FIVE]);
    site.cut(&[&THREE, &FOUR, &FIVE]);
    until("a page hangs", || !site.received("StartIncident").is_empty());
    daemon.until_assessed("disputed", &[&THREE, &FOUR]);

    // The first minute may have begun before the start and before the break; the next one is whole.
    until("the first minute is sent", || !put(&site, "Heartbeat", &format!("VpnId={TURIN}")).is_empty());
    daemon.until_probed_further(MILAN, &ONE);
    site.until_asked(1);
    let of_one = of_tunnel(MILAN, ONE.outside);
    let up = until_some("the tunnel's metrics arrived", || put(&site, "TunnelUp", &of_one).pop());
    assert_eq!((&up["Value"], &up["Unit"]), (&json!(1.0), &json!("None")));
    let loss = &put(&site, "PacketLoss", &of_one)[0];
    assert_eq!(loss["Unit"], "Percent");
    assert!((0.0..=100.0).contains(&loss["Value"].as_f64().unwrap()), "{loss}");
    let down = &put(&site, "BothEndsDown", &of_one)[0];
    assert_eq!((&down["Value"], &down["Unit"]), (&json!(0.0), &json!("None")));
    let rtt = &put(&site, "RoundTripTime", &of_one)[0];
    let (values, counts) = (rtt["Values"].as_array().unwrap(), rtt["Counts"].as_array().unwrap());
    assert_eq!((&rtt["Unit"], values.len()), (&json!("Milliseconds"), counts.len()));
    assert!((1..=24).contains(&values.len()) && rtt["Value"].is_null(), "{rtt}");

    let of_five = of_tunnel(TURIN, FIVE.outside);
    // If the break came at the end of a minute, that minute was still good.
    until("Turin's break is sent", || {
        let said = |name, value| put(&site, name, &of_five).iter().any(|datum| datum["Value"] == value);
        said("TunnelUp", 0.0) && said("BothEndsDown", 1.0)
    });
    // Milan has one tunnel with a verdict at both ends, beside one that never answered.
    for vpn in [TURIN, ROME, MILAN] {
        for of in [format!("VpnId={vpn}"), format!("Site=milan-1 VpnId={vpn}")] {
            let beats = put(&site, "Heartbeat", &of);
            assert!(!beats.is_empty(), "{of}");
            assert!(beats.iter().all(|beat| beat["Value"] == 1.0 && beat["Unit"] == "Count"), "{beats:?}");
        }
    }
    let of_two = of_tunnel(MILAN, TWO.outside);
    for unknown in ["TunnelUp", "RoundTripTime"] {
        assert_eq!(put(&site, unknown, &of_two), Vec::<Value>::new(), "{unknown}");
    }
    for request in site.received("PutMetricData") {
        let data = request["parameters"]["MetricData"].as_array().unwrap();
        let minutes: BTreeSet<_> = data.iter().map(|datum| datum["Timestamp"].to_string()).collect();
        let names: BTreeSet<_> = data.iter().map(|datum| datum["MetricName"].as_str().unwrap()).collect();
        assert_eq!(minutes.len(), 1, "one call a minute: {minutes:?}");
        assert!(names.contains("Heartbeat") && names.contains("TunnelUp"), "all in one call: {names:?}");
    }
    let all = site.control(json!({ "metrics": {} }));
    let mut seen = BTreeSet::new();
    for one in all.as_array().unwrap() {
        assert_eq!((&one["region"], &one["namespace"]), (&json!("eu-west-1"), &json!("BothEnds")));
        let datum = &one["datum"];
        let stamp = datum["Timestamp"].as_f64().unwrap();
        assert_eq!(stamp % 60.0, 0.0, "{datum}");
        let key = format!("{} {} {stamp}", datum["MetricName"], dimensions(datum));
        assert!(seen.insert(key), "sent twice: {datum}");
    }

    assert!(site.records("outage").is_empty() && site.records("one_sided").is_empty());
    site.clear_faults();
    for (kind, text) in [("outage", "outage"), ("one_sided", "only this site says that")] {
        until(&format!("the {kind} record is created"), || site.records(kind).len() == 1);
        let title = site.records(kind)[0]["record"]["title"].as_str().unwrap().to_owned();
        assert!(title.contains(text), "{title}");
    }
    assert_eq!(site.records("one_sided")[0]["record"]["impact"], 2);
}

#[test]
fn rejected_metrics_survive_a_restart_and_are_delivered_with_their_true_times() {
    let site = Site::new();
    site.fault("PutMetricData", json!("denied"));
    let daemon = site.start_healthy();
    let answer = daemon.until_readyz_says("the permission cloudwatch:PutMetricData on *");
    assert_eq!(answer.code, 200, "it votes and pages all the same: {answer:?}");
    // A minute that ended before a tunnel was probed has no data for that tunnel.
    let refused = || -> BTreeSet<String> {
        let requests = site.received("PutMetricData");
        let data =
            requests.iter().flat_map(|request| request["parameters"]["MetricData"].as_array().unwrap());
        data.filter(|datum| datum["MetricName"] == "PacketLoss").map(dated).collect()
    };
    until("a minute is rejected", || !refused().is_empty());
    until("minutes wait", || daemon.metric("bothends_rollups_pending") >= 1.0);
    daemon.stop();
    let wanted = kept(&site);
    assert!(wanted.is_superset(&refused()), "{:?} was refused, and {wanted:?} is kept", refused());

    site.clear_faults();
    let _next = site.start();
    until("the spooled minutes have arrived", || {
        let there = [&ONE, &TWO].into_iter();
        let there = there.flat_map(|tunnel| put(&site, "PacketLoss", &of_tunnel(MILAN, tunnel.outside)));
        there.map(|datum| dated(&datum)).collect::<BTreeSet<_>>().is_superset(&wanted)
    });
}

/// A datum's dimensions and time.
fn dated(datum: &Value) -> String {
    format!("{} {}", dimensions(datum), datum["Timestamp"].as_f64().unwrap())
}

/// The same for the losses that the store still has to send.
fn kept(site: &Site) -> BTreeSet<String> {
    let store = Connection::open(site.home.store()).unwrap();
    let mut rows = store
        .prepare(
            "SELECT outside_ip, minute FROM rollup JOIN tunnel ON tunnel.id = rollup.tunnel
            WHERE sent = 0 AND replies + late + lost > 0",
        )
        .unwrap();
    let rows = rows.query_map([], |row| {
        let (outside, minute): (String, i64) = (row.get(0)?, row.get(1)?);
        Ok(format!("{} {}", of_tunnel(MILAN, &outside), minute as f64 / 1e3))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

#[test]
fn in_mode_observe_metrics_are_sent_but_no_heartbeat() {
    let site = Site::new();
    site.home.add("observe.toml", "[incident]\nmode = \"observe\"\n");
    let _daemon = site.start_healthy();
    // A heartbeat of the same minute goes in the same call.
    until("a minute is sent", || !put(&site, "TunnelUp", &of_tunnel(MILAN, ONE.outside)).is_empty());
    for of in [format!("VpnId={MILAN}"), format!("Site=milan-1 VpnId={MILAN}")] {
        assert_eq!(put(&site, "Heartbeat", &of), Vec::<Value>::new());
    }
}
