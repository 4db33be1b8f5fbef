//! The sinks are reconfigured while an incident is open: each continues with its own records, and never another's.

use rustix::process::Signal;
use serde_json::json;

use super::super::receiver::{Reaction, Receiver};
use super::process::Daemon;
use super::site::{MILAN, ONE, Site, TWO};
use super::systemd::Manager;
use super::wait::until;
use super::webhook::{breaks, changes, file, heals, receiver, settled};

/// A webhook for outages.
fn webhook(site: &Site, receiver: &Receiver, keys: &str) -> String {
    let template = file(site, "body.json.j2", r#"{ "id": {{ id }}, "change": {{ change }} }"#);
    let url = &receiver.url;
    format!(
        "[[incident.sink]]\ntype = \"webhook\"\nkinds = [\"outage\"]\nurl = \"{url}/hook\"\nallow_http = true\n\
         template_file = \"{template}\"\n{keys}\n"
    )
}

/// Adds it as a drop-in.
fn add(site: &Site, name: &str, receiver: &Receiver, keys: &str) {
    site.home.add(name, &webhook(site, receiver, keys));
}

fn reload(daemon: &Daemon<'_>, times: usize) {
    daemon.signal(Signal::HUP);
    until("the configuration is in force", || daemon.logged("INFO", "configuration reloaded").len() == times);
}

fn until_accepted(receiver: &Receiver, change: &str) {
    until(&format!("the receiver has accepted {change}"), || {
        changes(&receiver.taken()).iter().any(|sent| sent == change)
    });
}

fn idle(daemon: &Daemon<'_>, sink: &str) {
    until("the ledger has the reply", || {
        daemon.metric(&format!("bothends_sink_pending{{sink=\"{sink}\"}}")) == 0.0
    });
}

const LEFT: &str = "is no longer configured to take it";

fn left_open(daemon: &Daemon<'_>, sink: &str) -> Vec<String> {
    daemon.logged("WARN", &format!("outage incident: sink {sink} {LEFT}"))
}

#[test]
fn a_pager_that_moves_up_inherits_nothing_and_gets_its_undelivered_messages() {
    let site = Site::new();
    let (chat, pager) = (receiver(&site, false), receiver(&site, false));
    add(&site, "10-chat.toml", &chat, "");
    add(&site, "20-pager.toml", &pager, "");
    pager.reacts_always(Some(Reaction::Status(500, "")));
    let daemon = site.start_healthy();
    breaks(&site);
    until_accepted(&chat, "opened");
    idle(&daemon, "webhook");
    until("the pager has failed once", || !pager.posted().is_empty());

    site.home.remove("10-chat.toml");
    reload(&daemon, 1);
    daemon.until_logged(LEFT);
    let left = left_open(&daemon, "webhook");
    let says = format!("bothends/{MILAN}/outage stays open there: close it by hand");
    assert!(left.len() == 1 && left[0].contains(&says), "{left:?}");
    pager.reacts_always(None);
    until_accepted(&pager, "opened");
    let (first, sent) = (&pager.posted()[0], &pager.taken()[0]);
    assert_eq!(sent.json()["change"], "opened");
    assert_eq!(sent.header("idempotency-key"), first.header("idempotency-key"), "it is the same message");
    heals(&site);
    settled(&daemon);
    let sent = changes(&pager.taken());
    assert_eq!(sent.iter().filter(|sent| *sent == "opened").count(), 1, "{sent:?}");
    assert_eq!(sent.last().unwrap(), "resolved");
    assert!(!changes(&chat.taken()).contains(&"resolved".to_owned()), "it is no longer configured");
}

#[test]
fn a_sink_that_moves_down_keeps_its_records_across_a_restart_and_a_new_one_starts_its_own() {
    for restart in [false, true] {
        let site = Site::new();
        let (chat, pager) = (receiver(&site, false), receiver(&site, false));
        add(&site, "20-pager.toml", &pager, "");
        let daemon = site.start_healthy();
        breaks(&site);
        until_accepted(&pager, "opened");
        idle(&daemon, "webhook");
        add(&site, "10-chat.toml", &chat, "");
        let daemon = if restart {
            daemon.stop();
            site.start()
        } else {
            reload(&daemon, 1);
            daemon
        };
        until_accepted(&chat, "opened");
        heals(&site);
        settled(&daemon);
        for receiver in [&chat, &pager] {
            let sent = changes(&receiver.taken());
            let times = |change: &str| sent.iter().filter(|sent| *sent == change).count();
            assert_eq!((times("opened"), times("resolved")), (1, 1), "{sent:?}");
        }
        assert_eq!(daemon.logged("WARN", LEFT), [""; 0]);
    }
}

#[test]
fn an_undelivered_resolution_reaches_a_sink_that_has_moved_up_or_got_a_name() {
    for named in [false, true] {
        let site = Site::new();
        let (chat, pager) = (receiver(&site, false), receiver(&site, false));
        add(&site, "10-chat.toml", &chat, "");
        add(&site, "20-pager.toml", &pager, "");
        let daemon = site.start_healthy();
        breaks(&site);
        until_accepted(&pager, "opened");
        idle(&daemon, "webhook-2");
        pager.reacts_always(Some(Reaction::Status(500, "")));
        heals(&site);
        until_accepted(&chat, "resolved");
        until("the end is pending", || daemon.metric("bothends_sink_pending{sink=\"webhook-2\"}") == 1.0);
        if named {
            add(&site, "20-pager.toml", &pager, "name = \"pager\"");
        } else {
            site.home.remove("10-chat.toml");
        }
        reload(&daemon, 1);
        assert_ne!(daemon.status()["incidents"], json!([]), "its reply is awaited");
        pager.reacts_always(None);
        until_accepted(&pager, "resolved");
        settled(&daemon);
        assert_eq!(daemon.logged("WARN", LEFT), [""; 0]);
        let metric = format!(
            "bothends_sink_requests_total{{sink=\"{}\",action=\"deliver\",result=\"ok\"}}",
            if named { "pager" } else { "webhook" }
        );
        assert!(daemon.metric(&metric) >= 1.0);
    }
}

#[test]
fn what_a_sink_no_longer_takes_is_reported_as_left_open_by_the_journal_and_by_reload() {
    for (from, to) in
        [("kinds = [\"outage\"]", "kinds = [\"one_sided\"]"), ("/hook", "/elsewhere"), ("webhook", "gone")]
    {
        let site = Site::new();
        let pager = receiver(&site, false);
        add(&site, "20-pager.toml", &pager, "");
        let manager = Manager::new(&site);
        let daemon = manager.start();
        daemon.until_assessed("healthy", &[&ONE, &TWO]);
        breaks(&site);
        until_accepted(&pager, "opened");
        idle(&daemon, "webhook");
        if to == "gone" {
            site.home.remove("20-pager.toml");
        } else {
            let text = webhook(&site, &pager, "");
            assert!(text.contains(from));
            site.home.add("20-pager.toml", &text.replace(from, to));
        }
        let ended = site.run_command(manager.unit(&["reload"]));
        let note =
            format!("sink webhook {LEFT}; bothends/{MILAN}/outage stays open there: close it by hand\n");
        assert!(ended.code == Some(0) && ended.stderr.contains(&note), "{from}: {ended:?}");
        until("the journal says so, too", || !left_open(&daemon, "webhook").is_empty());
        let left = left_open(&daemon, "webhook");
        assert!(
            left.len() == 1 && left[0].starts_with("WARN") && left[0].contains(&note[..note.len() - 1]),
            "{left:?}"
        );
        // It is reported once and then forgotten: later starts do not report it.
        let ended = site.run_command(manager.unit(&["reload"]));
        assert_eq!(ended.stderr, "");
        if to == "/elsewhere" {
            until("the incident is opened there", || {
                pager.taken().iter().any(|posted| posted.line == "POST /elsewhere")
            });
        }
        heals(&site);
        settled(&daemon);
    }
}

#[test]
fn switching_to_observe_leaves_records_open_and_switching_back_pages_again() {
    let site = Site::new();
    let pager = receiver(&site, false);
    add(&site, "20-pager.toml", &pager, "");
    let daemon = site.start_healthy();
    breaks(&site);
    until_accepted(&pager, "opened");
    idle(&daemon, "webhook");
    until("the other sink's record exists", || site.records("outage").len() == 1);
    idle(&daemon, "incident_manager");
    site.home.add("90-observe.toml", "[incident]\nmode = \"observe\"\n");
    reload(&daemon, 1);
    until("both are left open", || daemon.logged("WARN", LEFT).len() == 2);
    let arn = left_open(&daemon, "incident_manager");
    assert!(arn[0].contains("arn:aws:ssm-incidents::123456789012:incident-record/"), "{arn:?}");
    site.home.remove("90-observe.toml");
    reload(&daemon, 2);
    until("the pager is paged again", || {
        changes(&pager.taken()).iter().filter(|sent| *sent == "opened").count() == 2
    });
    idle(&daemon, "incident_manager");
    assert_eq!(site.records("outage").len(), 1, "the record was found and adopted again");
    heals(&site);
    settled(&daemon);
    assert_eq!(site.records("outage")[0]["record"]["status"], "RESOLVED");
}

#[test]
fn a_record_at_a_sink_removed_before_the_start_is_reported_as_left_open_once() {
    let site = Site::new();
    let pager = receiver(&site, false);
    add(&site, "20-pager.toml", &pager, "name = \"pager\"");
    let daemon = site.start_healthy();
    breaks(&site);
    until_accepted(&pager, "opened");
    idle(&daemon, "pager");
    daemon.stop();
    site.home.remove("20-pager.toml");
    let daemon = site.start();
    daemon.until_logged(LEFT);
    assert_eq!(left_open(&daemon, "pager").len(), 1);
    daemon.stop();
    let daemon = site.start();
    heals(&site);
    settled(&daemon);
    assert_eq!(daemon.logged("WARN", LEFT), [""; 0]);
}

#[test]
fn two_services_at_one_address_are_distinguished_by_their_keys() {
    let site = Site::new();
    let pagerduty = receiver(&site, false);
    let keys = ["network", "database"].map(|team| {
        let key = file(&site, team, &format!("key-of-{team}-0123456789abcdef"));
        let text = format!(
            "[[incident.sink]]\ntype = \"webhook\"\nname = \"{team}\"\npreset = \"pagerduty\"\nallow_http = true\n\
             url = \"{}/v2/enqueue\"\nsecret_file = \"{key}\"\nkinds = [\"outage\"]\n",
            pagerduty.url
        );
        site.home.add(&format!("{team}.toml"), &text);
        format!("key-of-{team}-0123456789abcdef")
    });
    let daemon = site.start_healthy();
    breaks(&site);
    let sent = |action: &str| {
        let of = |key: &String| {
            pagerduty.taken().iter().any(|posted| {
                let event = posted.json();
                event["event_action"] == action && event["routing_key"] == **key
            })
        };
        keys.iter().all(of)
    };
    until("both are paged", || sent("trigger"));
    heals(&site);
    settled(&daemon);
    assert!(sent("resolve"));
}
