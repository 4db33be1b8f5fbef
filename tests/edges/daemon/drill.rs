//! `bothends drill`: through every sink, with or without a running daemon, and without affecting real incidents.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::super::receiver::{Reaction, Receiver};
use super::process::Ended;
use super::site::{MERGING_PLAN, MILAN, ONE, PLAN, ROME, Site, TOPIC, TWO, inside};
use super::wait::until;

const TEMPLATE: &str = r#"{ "id": {{ id }}, "key": {{ key }}, "change": {{ change }}, "title": {{ title }}, "drill": {{ drill | default(false) }} }"#;

/// Adds the other three kinds of sinks.
fn all_sinks(site: &Site) -> Receiver {
    let receiver = Receiver::start(inside(&site.here, || TcpListener::bind("127.0.0.1:0").unwrap()), false);
    let template = site.home.file("body.json.j2");
    std::fs::write(&template, TEMPLATE).unwrap();
    site.home.add(
        "sinks.toml",
        &format!(
            "[[incident.sink]]\ntype = \"ops_center\"\n\
             [[incident.sink]]\ntype = \"sns\"\ntopic_arn = \"{TOPIC}\"\n\
             [[incident.sink]]\ntype = \"webhook\"\nurl = \"{}/hook\"\nallow_http = true\ntemplate_file = \"{}\"\n",
            receiver.url,
            template.display()
        ),
    );
    receiver
}

fn items(site: &Site) -> Vec<Value> {
    site.control(json!({ "ops_items": {} })).as_array().unwrap().clone()
}

fn messages(site: &Site) -> Vec<Value> {
    site.control(json!({ "messages": {} })).as_array().unwrap().clone()
}

fn breaks(site: &Site) {
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
}

fn open(records: &[Value]) -> usize {
    records.iter().filter(|it| it["record"]["status"] == "OPEN").count()
}

#[track_caller]
fn ended_with(ended: &Ended, code: i32, expected: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    let all = format!("{}{}", ended.stdout, ended.stderr);
    for text in expected {
        assert!(all.contains(text), "{text:?} is missing from\n{all}");
    }
}

/// A drill that is running.
fn started(site: &Site, arguments: &[&str]) -> Child {
    let mut command: Command = site.command(&site.home, arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    inside(&site.here, || command.spawn().unwrap())
}

#[test]
fn a_drill_goes_through_every_sink_and_is_resolved_and_the_running_daemon_ignores_it() {
    let site = Site::new();
    let receiver = all_sinks(&site);
    let daemon = site.start_healthy();
    let drill = site.run(&["drill", "--yes"]);
    ended_with(
        &drill,
        0,
        &[
            "incident_manager: as outage of Milan DC",
            "OPEN, impact 5, \"DRILL: [milan-1] Milan DC",
            "RESOLVED, impact 5, \"DRILL",
            "Open, severity 4, \"DRILL",
            "Resolved, severity 4, \"DRILL",
            "this sink only takes messages and cannot be read",
        ],
    );

    let records = site.records("drill");
    assert_eq!((records.len(), open(&records)), (1, 0));
    assert_eq!(records[0]["plan"], PLAN);
    assert!(drill.stdout.contains(records[0]["record"]["arn"].as_str().unwrap()));
    let item = &items(&site)[0];
    assert_eq!((&item["Status"], &item["Source"]), (&json!("Resolved"), &json!("bothends.drill")));
    assert_eq!(
        item["OperationalData"]["/aws/dedup"]["Value"],
        format!("{{\"dedupString\":\"bothends/drill/{MILAN}/outage\"}}")
    );
    let sent = messages(&site);
    let changes: Vec<_> = sent.iter().map(|it| &it["attributes"]["change"]).collect();
    assert_eq!(changes, ["opened", "resolved"]);
    for message in &sent {
        assert!(message["subject"].as_str().unwrap().contains("DRILL"), "{message}");
        assert_eq!(message["attributes"]["drill"], "true");
        assert_eq!(message["attributes"]["key"], format!("bothends/drill/{MILAN}/outage"));
    }
    let posted: Vec<_> = receiver.taken().iter().map(|posted| posted.json()).collect();
    assert_eq!(posted.len(), 2);
    assert_eq!((&posted[0]["change"], &posted[1]["change"]), (&json!("opened"), &json!("resolved")));
    assert_eq!(posted[0]["key"], posted[1]["key"]);
    assert_ne!(posted[0]["id"], posted[1]["id"]);
    assert!(posted.iter().all(|it| it["drill"] == true), "{posted:?}");

    // A daemon that starts looks at once for open records without an incident.
    daemon.stop();
    let daemon = site.start_healthy();
    until("it has looked for open records", || {
        daemon.metric("bothends_sink_requests_total{sink=\"ops_center\",action=\"survey\",result=\"ok\"}")
            > 0.0
    });
    assert_eq!(daemon.status()["incidents"], json!([]));
    assert_eq!((items(&site).len(), site.records("drill").len()), (1, 1));
}

#[test]
fn an_open_drill_is_not_adopted_by_a_daemon_and_is_resolved_on_interrupt() {
    let site = Site::new();
    all_sinks(&site);
    let daemon = site.start_healthy();
    for (sink, opened) in [
        ("ops_center", &(|site: &Site| items(site).len() == 1) as &dyn Fn(&Site) -> bool),
        ("incident_manager", &|site: &Site| open(&site.records("drill")) == 1),
    ] {
        let surveyed =
            format!("bothends_sink_requests_total{{sink=\"{sink}\",action=\"survey\",result=\"ok\"}}");
        let drill = started(&site, &["drill", "--yes", "--hold", "600", "--sink", sink]);
        until("the drill is open", || opened(&site));
        // A daemon looks for open records as soon as it starts.
        let twin = site.twin();
        all_but_the_webhook(&twin);
        let other = super::process::Daemon::start(&site, &twin, site.command(&twin, &["run"]));
        until("the other daemon has looked for open records", || other.metric(&surveyed) > 0.0);
        assert_eq!(other.status()["incidents"], json!([]));
        drop(other);
        std::fs::remove_dir_all(twin.config().parent().unwrap()).unwrap();
        kill_process(Pid::from_child(&drill), Signal::INT).unwrap();
        ended_with(
            &Ended::from(drill.wait_with_output().unwrap()),
            1,
            &["cut short    interrupted", "resolved"],
        );
    }
    assert_eq!((open(&site.records("drill")), &items(&site)[0]["Status"]), (0, &json!("Resolved")));
    assert_eq!(daemon.status()["incidents"], json!([]));
}

#[test]
fn a_drill_is_resolved_even_when_the_terminal_session_ends() {
    let site = Site::new();
    let mut drill = started(&site, &["drill", "--yes", "--hold", "600"]);
    until("the drill is open", || open(&site.records("drill")) == 1);
    drop((drill.stdout.take(), drill.stderr.take()));
    kill_process(Pid::from_child(&drill), Signal::HUP).unwrap();
    assert_eq!(drill.wait().unwrap().code(), Some(1));
    assert_eq!(open(&site.records("drill")), 0);
}

fn all_but_the_webhook(home: &super::site::Home) {
    home.add("sinks.toml", "[[incident.sink]]\ntype = \"ops_center\"\n");
}

#[test]
fn no_drill_starts_while_a_real_incident_is_open_in_the_daemon_or_at_a_sink() {
    let site = Site::new();
    let daemon = site.start_healthy();
    breaks(&site);
    until("the outage record is created", || site.records("outage").len() == 1);
    let drill = site.run(&["drill", "--yes"]);
    ended_with(&drill, 1, &["nothing was started: the daemon has a real incident", MILAN]);
    // Its record is open even without the daemon.
    daemon.kill();
    let drill = site.run(&["drill", "--yes"]);
    let record = site.records("outage")[0]["record"]["arn"].as_str().unwrap().to_owned();
    ended_with(&drill, 1, &["the daemon does not answer", &format!("nothing was started: {record} is open")]);
    assert_eq!(site.records("drill").len(), 0);
}

#[test]
fn a_real_outage_ends_a_drill_and_gets_its_own_record_even_if_the_plan_merges() {
    let site = Site::new();
    site.home.edit(PLAN, MERGING_PLAN);
    let daemon = site.start_healthy();
    let drill = started(&site, &["drill", "--yes", "--hold", "600"]);
    until("the drill is open", || open(&site.records("drill")) == 1);
    breaks(&site);
    until("the outage record is created", || open(&site.records("outage")) == 1);
    let ended = Ended::from(drill.wait_with_output().unwrap());
    ended_with(&ended, 1, &["cut short    the daemon", "resolved     RESOLVED"]);
    assert_eq!((site.records("drill").len(), open(&site.records("drill"))), (1, 0));
    until("the daemon has its record", || {
        daemon.metric("bothends_sink_pending{sink=\"incident_manager\"}") == 0.0
    });
    assert_eq!((site.records("outage").len(), open(&site.records("outage"))), (1, 1));
}

#[test]
fn an_unresolvable_drill_is_named_hides_no_outage_and_is_cleaned_up_by_the_next() {
    let site = Site::new();
    site.home.edit(PLAN, MERGING_PLAN);
    site.fault("UpdateIncidentRecord", json!("denied"));
    let drill = site.run(&["drill", "--yes"]);
    let record = site.records("drill")[0]["record"]["arn"].as_str().unwrap().to_owned();
    ended_with(
        &drill,
        77,
        &[&format!("{record} IS OPEN and must be resolved"), "ssm-incidents:UpdateIncidentRecord"],
    );
    assert_eq!(open(&site.records("drill")), 1);

    site.clear_faults();
    let next = site.run(&["drill", "--yes"]);
    ended_with(&next, 0, &[&format!("left over    {record}")]);
    assert_eq!((site.records("drill").len(), open(&site.records("drill"))), (2, 0));

    site.fault("UpdateIncidentRecord", json!("denied"));
    assert_eq!(site.run(&["drill", "--yes"]).code, Some(77));
    site.clear_faults();
    assert_eq!(open(&site.records("drill")), 1);
    let _daemon = site.start_healthy();
    breaks(&site);
    until("the outage record is created", || open(&site.records("outage")) == 1);
    assert_eq!(open(&site.records("drill")), 0);
}

#[test]
fn a_drill_that_fails_half_way_is_still_resolved() {
    for (operation, kind, times, code, expected) in [
        // Created, but the answer was lost: tried again with the same token.
        ("StartIncident", "lost_reply", 2, 0, "RESOLVED, impact 5"),
        ("GetIncidentRecord", "unavailable", 2, 0, "RESOLVED, impact 5"),
        // It cannot be read back, and is resolved as soon as it can.
        ("GetIncidentRecord", "denied", 1, 77, "resolved     RESOLVED, impact 5"),
        ("UpdateIncidentRecord", "lost_reply", 1, 0, "RESOLVED, impact 5"),
    ] {
        let site = Site::new();
        site.fault_times(operation, json!(kind), times);
        ended_with(&site.run(&["drill", "--yes"]), code, &[expected]);
        let records = site.records("drill");
        assert_eq!((records.len(), open(&records)), (1, 0), "{operation} {kind}");
    }
}

#[test]
fn a_drill_whose_reply_is_lost_is_searched_for_and_reported_as_unknown_if_not_found() {
    let site = Site::new();
    site.fault("StartIncident", json!("unavailable"));
    ended_with(
        &site.run(&["drill", "--yes"]),
        1,
        &["NOT KNOWN", "look at the sink for a title that begins with DRILL"],
    );
    site.clear_faults();
    site.fault("StartIncident", json!("lost_reply"));
    ended_with(&site.run(&["drill", "--yes"]), 0, &["resolved     RESOLVED"]);
    assert_eq!((open(&site.records("drill")), site.records("drill").len()), (0, 1));
}

#[test]
fn a_drill_merged_into_a_real_record_leaves_that_record_untouched() {
    let site = Site::new();
    site.home.edit(PLAN, MERGING_PLAN);
    // Open, but not listed yet.
    site.control(json!({ "set_switches": { "switches": { "list_lag": 600.0 } } }));
    let daemon = site.start_healthy();
    breaks(&site);
    until("the outage record is created", || site.records("outage").len() == 1);
    daemon.kill();
    ended_with(
        &site.run(&["drill", "--yes"]),
        1,
        &["merged", "left untouched", "started by bothends.outage"],
    );
    assert_eq!((open(&site.records("outage")), site.records("drill").len()), (1, 0));
}

#[test]
fn a_rejecting_sink_does_not_block_the_others() {
    let site = Site::new();
    let receiver = all_sinks(&site);
    site.fault("CreateOpsItem", json!("denied"));
    receiver.reacts(&[Reaction::Lost]);
    let drill = site.run(&["drill", "--yes"]);
    ended_with(&drill, 77, &["not started", "ssm:CreateOpsItem"]);
    assert_eq!((open(&site.records("drill")), site.records("drill").len()), (0, 1));
    assert_eq!(messages(&site).len(), 2);
    let posted = receiver.posted();
    assert_eq!(posted.len(), 3, "the answer to the first was lost");
    assert_eq!(posted[0].header("idempotency-key"), posted[1].header("idempotency-key"));
}

#[test]
fn a_rejected_message_is_reported_with_the_reason_and_not_resolved() {
    let site = Site::new();
    let receiver = all_sinks(&site);
    receiver.reacts_always(Some(Reaction::Status(401, "")));
    ended_with(
        &site.run(&["drill", "--yes", "--sink", "webhook"]),
        1,
        &["not sent", "it denied access (401)"],
    );
    assert_eq!(receiver.posted().len(), 1);
    assert!(site.all_received().is_empty(), "no other sink was selected");
}

#[test]
fn without_a_terminal_or_with_invalid_arguments_nothing_is_sent() {
    let site = Site::new();
    all_sinks(&site);
    ended_with(&site.run(&["drill"]), 64, &["stdin is not a terminal", "--yes"]);
    for (arguments, expected) in [
        (
            ["--sink", "sns-2"],
            "--sink sns-2: the configuration has no such sink; it has incident_manager, ops_center, sns, webhook"
                .to_owned(),
        ),
        (["--vpn", ROME], format!("--vpn {ROME}: the configuration has no such connection; it has {MILAN}")),
        (["--kind", "all"], "redundancy_lost".to_owned()),
    ] {
        let ended = site.run(&[&["drill", "--yes"], &arguments[..]].concat());
        ended_with(&ended, 64, &[&expected]);
    }
    assert!(site.all_received().is_empty());
}

#[test]
fn a_drill_respects_a_sinks_kinds_and_connections_but_not_mode_observe() {
    let site = Site::new();
    site.home.add(
        "sinks.toml",
        &format!(
            "[incident]\nmode = \"observe\"\n\
             [[incident.sink]]\ntype = \"sns\"\ntopic_arn = \"{TOPIC}\"\nkinds = [\"one_sided\"]\n"
        ),
    );
    let drill = site.run(&["drill", "--yes"]);
    ended_with(
        &drill,
        0,
        &["mode = \"observe\" suppresses real incidents only", "sns: as one_sided of Milan DC"],
    );
    assert_eq!(site.records("drill").len(), 1);
    assert_eq!(messages(&site)[0]["attributes"]["kind"], "one_sided");

    let outage = site.run(&["drill", "--yes", "--kind", "outage"]);
    ended_with(&outage, 0, &["incident_manager: as outage"]);
    assert!(!outage.stdout.contains("sns:"), "{}", outage.stdout);
    let nobody = site.run(&["drill", "--yes", "--kind", "outage", "--sink", "sns"]);
    ended_with(&nobody, 64, &["the sink sns does not take outage: choose another --kind"]);
}

#[test]
fn on_a_terminal_a_drill_states_its_plan_and_accepts_only_yes() {
    let site = Site::new();
    for (typed, code, expected) in [("y\n", 1, "nothing was started"), ("yes\n", 0, "RESOLVED, impact 5")] {
        let home = site.home.config();
        let line = format!("{} drill --config {}", env!("CARGO_BIN_EXE_bothends"), home.display());
        // `script` provides a terminal, and passes on what is typed.
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        let mut command = site.with_aws(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut drill = inside(&site.here, || command.spawn().unwrap());
        drill.stdin.as_mut().unwrap().write_all(typed.as_bytes()).unwrap();
        let ended = Ended::from(drill.wait_with_output().unwrap());
        ended_with(&ended, code, &["incident_manager: as outage of Milan DC", "type yes to go on", expected]);
    }
    assert_eq!(site.records("drill").len(), 1);
}
