//! An incident at webhooks, by the daemon, against a real receiver.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::Sha256;

use super::super::receiver::{AUTHORITY, Posted, Reaction, Receiver, proxy};
use super::answers::Answers;
use super::process::Daemon;
use super::site::{MILAN, ONE, Site, TWO, inside};
use super::wait::until;

const TOKEN: &str = "t0ken-of-the-receiver";
const SIGNING: &str = "key-of-the-signature";
const TEMPLATE: &str =
    r#"{ "id": {{ id }}, "change": {{ change }}, "title": {{ title }}, "by": {{ secret }} }"#;

fn listener(site: &Site) -> TcpListener {
    inside(&site.here, || TcpListener::bind("127.0.0.1:0").unwrap())
}

pub(super) fn receiver(site: &Site, tls: bool) -> Receiver {
    Receiver::start(listener(site), tls)
}

/// A file in the site's directory that only its owner may read.
pub(super) fn file(site: &Site, name: &str, text: &str) -> String {
    let path = site.home.config().with_file_name(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

/// Adds a webhook for outages, with these keys.
fn webhook(site: &Site, keys: &str) {
    let text = format!("[[incident.sink]]\ntype = \"webhook\"\nkinds = [\"outage\"]\n{keys}\n");
    site.home.add("webhook.toml", &text);
}

fn plain(site: &Site, receiver: &Receiver, keys: &str) {
    let template = file(site, "body.json.j2", &TEMPLATE.replace("{{ secret }}", "\"us\""));
    let url = &receiver.url;
    webhook(
        site,
        &format!("url = \"{url}/hook\"\nallow_http = true\ntemplate_file = \"{template}\"\n{keys}"),
    );
}

pub(super) fn breaks(site: &Site) {
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
}

pub(super) fn heals(site: &Site) {
    site.aws_says(true, &[&ONE, &TWO]);
    site.heal(&[&ONE, &TWO]);
}

pub(super) fn settled(daemon: &Daemon<'_>) {
    until("every incident is settled", || daemon.status()["incidents"] == json!([]));
}

pub(super) fn changes(posted: &[Posted]) -> Vec<String> {
    posted.iter().map(|posted| posted.json()["change"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_outage_is_posted_over_tls_signed_and_not_twice_across_a_restart() {
    let site = Site::new();
    let receiver = receiver(&site, true);
    let (token, signing) = (file(&site, "token", TOKEN), file(&site, "signing", SIGNING));
    let url = file(&site, "url", &format!("{}/services/s3cr3t-path\n", receiver.url));
    let template = file(&site, "body.json.j2", TEMPLATE);
    webhook(
        &site,
        &format!(
            "url_file = \"{url}\"\ntemplate_file = \"{template}\"\nsecret_file = \"{token}\"\n\
             signing_secret_file = \"{signing}\"\nca_file = \"{AUTHORITY}\"\n\
             headers = [\"Authorization: Bearer {{secret}}\", \"X-Team: network\"]"
        ),
    );
    let mut command = site.command(&site.home, &["run"]);
    command.env("BOTHENDS_LOG", "trace").env("RUST_LOG", "trace");
    let daemon = Daemon::start(&site, &site.home, command);
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    receiver.reacts(&[Reaction::Status(500, "")]);
    breaks(&site);
    until("the outage is posted", || !receiver.taken().is_empty());
    until("the ledger has the reply", || daemon.metric("bothends_sink_pending{sink=\"webhook\"}") == 0.0);
    let mut answers = Answers::default();
    answers.add(&daemon);
    let log = daemon.stop();
    for secret in [TOKEN, SIGNING, "s3cr3t-path"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }

    let daemon = site.start();
    heals(&site);
    settled(&daemon);
    answers.add(&daemon);
    let taken = receiver.taken();
    let sent = changes(&taken);
    assert_eq!((&*sent[0], &*sent[sent.len() - 1]), ("opened", "resolved"), "{sent:?}");
    assert!(
        sent[1..sent.len() - 1].iter().all(|change| change == "worsened" || change == "updated"),
        "{sent:?}"
    );
    let mut ids: Vec<_> = taken.iter().map(|posted| posted.header("idempotency-key").to_owned()).collect();
    ids.sort();
    ids.dedup();
    let lost = answers.lost_by("webhook", taken.len());
    assert!(ids.len() + lost >= taken.len(), "posted twice, and {lost} replies were lost: {ids:?}");

    let first = &taken[0];
    assert_eq!(first.line, "POST /services/s3cr3t-path");
    assert_eq!(first.header("content-type"), "application/json");
    assert_eq!(first.header("authorization"), format!("Bearer {TOKEN}"));
    assert_eq!(first.header("x-team"), "network");
    assert_eq!(first.json()["by"], TOKEN);
    assert_eq!(first.json()["id"], first.header("idempotency-key"));
    let mut mac = Hmac::<Sha256>::new_from_slice(SIGNING.as_bytes()).unwrap();
    mac.update(format!("{}.{}", first.header("x-bothends-timestamp"), first.body).as_bytes());
    let digest: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(first.header("x-bothends-signature"), format!("sha256={digest}"));
}

#[test]
fn a_message_that_is_not_accepted_is_retried_unchanged_until_it_is() {
    let site = Site::new();
    let receiver = receiver(&site, false);
    plain(&site, &receiver, "timeout = \"1s\"");
    receiver.reacts(&[
        Reaction::Lost,
        Reaction::Status(500, ""),
        Reaction::Silent,
        Reaction::Status(429, "Retry-After: 1\r\n"),
    ]);
    let daemon = site.start_healthy();
    breaks(&site);
    until("the message is accepted", || !receiver.taken().is_empty());
    let posted = receiver.posted();
    let of_the_first = posted.iter().take(5).collect::<Vec<_>>();
    assert!(of_the_first.iter().all(|posted| posted.body == of_the_first[0].body), "{of_the_first:#?}");
    assert_eq!(of_the_first[4].status, Some(202));
    assert_eq!(changes(&receiver.taken())[0], "opened");
    let failed = "bothends_sink_requests_total{sink=\"webhook\",action=\"deliver\",result=\"temporary\"}";
    assert!(daemon.metric(failed) >= 4.0, "{}", daemon.metric(failed));
    assert_eq!(daemon.get("/readyz").code, 200);
    heals(&site);
    settled(&daemon);
    assert_eq!(changes(&receiver.taken()).last().unwrap(), "resolved");
}

#[test]
fn a_long_receiver_failure_is_reported_and_the_page_goes_out_when_it_recovers() {
    let site = Site::new();
    let receiver = receiver(&site, false);
    plain(&site, &receiver, "");
    receiver.reacts_always(Some(Reaction::Status(503, "")));
    let daemon = site.start_healthy();
    breaks(&site);
    let answer = daemon.until_readyz_says("sink webhook: sending: POST http://localhost");
    assert!(answer.body.contains("it failed (503), saying \"ok\""), "{}", answer.body);
    receiver.reacts_always(None);
    until("the message is accepted", || !receiver.taken().is_empty());
    until("/readyz says ready", || daemon.get("/readyz").body == "ready\n");
}

#[test]
fn a_permanent_failure_is_one_error_with_the_fix_and_the_page_goes_out_when_it_is_fixed() {
    for (status, headers, says) in [
        (
            302,
            "Location: http://elsewhere.example.com/s3cr3t\r\n",
            "it answered 302, a redirect to http://elsewhere.example.com, which is not followed; set url to its target",
        ),
        (401, "", "it denied access (401), saying \"ok\"; fix the secret, the headers or the signature"),
        (400, "", "it rejected the message (400)"),
    ] {
        let site = Site::new();
        let receiver = receiver(&site, false);
        plain(&site, &receiver, "");
        receiver.reacts_always(Some(Reaction::Status(status, headers)));
        let daemon = site.start_healthy();
        breaks(&site);
        let answer = daemon.until_readyz_says(says);
        assert_eq!(answer.code, 503, "{answer:?}");
        daemon.until_logged(says);
        until("it is retried, and again", || receiver.posted().len() >= 3);
        assert_eq!(daemon.logged("ERROR", says).len(), 1, "it is logged once");
        assert!(!daemon.log().contains("s3cr3t"));
        let tries = receiver.posted();
        // The first wait is at least half of one second; it doubles.
        for (pair, least) in tries.windows(2).zip([500, 1000]) {
            let waited = pair[1].at.since(pair[0].at);
            assert!(waited >= Duration::from_millis(least), "retried after {waited:?}");
        }
        until("the other sink's record exists", || site.records("outage").len() == 1);
        daemon.stop();
        receiver.reacts_always(None);
        let daemon = site.start();
        until("the message is accepted", || !receiver.taken().is_empty());
        let taken = receiver.taken();
        assert_eq!(taken[0].header("idempotency-key"), receiver.posted()[0].header("idempotency-key"));
        until("/readyz says ready", || daemon.get("/readyz").body == "ready\n");
    }
}

/// The secret part of an address, and the receiver's answer that repeats it.
const ADDRESS: &str = "services/T000/B000/XyZ0SecretToken?k=QuerySecret99";
const ECHO: &str =
    r#"{"error": "token XyZ0SecretToken (k QuerySecret99) is not known: no \/services\/T000"}"#;

#[track_caller]
fn assert_no_secret(text: &str) {
    for part in ["XyZ0", "SecretToken", "QuerySecret", "T000", "B000"] {
        assert!(!text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn a_secret_url_repeated_by_the_receiver_appears_nowhere() {
    let site = Site::new();
    let receiver = receiver(&site, false);
    let template = file(&site, "body.json.j2", "{ \"change\": {{ change }} }");
    let url = file(&site, "url", &format!("{}/{ADDRESS}", receiver.url));
    webhook(&site, &format!("url_file = \"{url}\"\nallow_http = true\ntemplate_file = \"{template}\""));
    receiver.reacts_always(Some(Reaction::Says(400, ECHO)));
    let ended = site.run(&["drill", "--yes", "--sink", "webhook"]);
    let output = format!("{}{}", ended.stdout, ended.stderr);
    assert!(output.contains("it rejected the message (400)"), "{output}");
    assert_no_secret(&output);

    let mut command = site.command(&site.home, &["run"]);
    command.env("BOTHENDS_LOG", "trace").env("RUST_LOG", "trace");
    let daemon = Daemon::start(&site, &site.home, command);
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    breaks(&site);
    let answer = daemon.until_readyz_says("fix the template, or see what the receiver expects");
    assert!(answer.body.contains("because the url is a secret"), "{}", answer.body);
    daemon.until_logged("it rejected the message (400)");
    assert_no_secret(&answer.body);
    assert_no_secret(&daemon.stop());
    assert_eq!(receiver.posted()[0].line, format!("POST /{ADDRESS}"));
}

#[test]
fn what_would_fail_at_the_first_page_is_reported_by_check_and_refused_by_start_and_reload() {
    let site = Site::new();
    let good = file(&site, "good.json.j2", "{}");
    let token = file(&site, "token", TOKEN);
    let url = "url = \"https://hook.example.com/\"";
    let cases = [
        (
            format!("{url}\ntemplate_file = \"{}\"", file(&site, "typo.json.j2", "[{{ titel }}]")),
            "template_file: names titel",
        ),
        (
            format!("{url}\ntemplate_file = \"{}\"", file(&site, "text.json.j2", "{{ title }}!")),
            "template_file: the template does not produce valid JSON",
        ),
        (
            format!("{url}\ntemplate_file = \"{good}\"\nsecret_file = \"{}\"", file(&site, "empty", "\n")),
            "secret_file: the secret ",
        ),
        (
            format!("url_file = \"{}\"\ntemplate_file = \"{good}\"", file(&site, "no-url", "not a url")),
            "url_file: the url is not valid",
        ),
        (format!("{url}\ntemplate_file = \"{good}\"\nca_file = \"{token}\""), "ca_file: ca_file "),
    ];
    for (keys, expected) in &cases {
        webhook(&site, keys);
        for command in ["check", "run"] {
            let ended = site.run(&[command]);
            assert_eq!(ended.code, Some(78), "{command}: {expected}: {ended:?}");
            assert!(ended.stderr.contains(expected) && !ended.stderr.contains(TOKEN), "{command}: {ended:?}");
        }
    }
    site.home.remove("webhook.toml");
    let daemon = site.start_healthy();
    webhook(&site, &cases[0].0);
    daemon.signal(Signal::HUP);
    daemon.until_logged(cases[0].1);
}

#[test]
fn a_certificate_of_an_unknown_ca_is_an_error_that_names_ca_file() {
    let site = Site::new();
    let receiver = receiver(&site, true);
    let template = file(&site, "body.json.j2", "{}");
    webhook(&site, &format!("url = \"{}/\"\ntemplate_file = \"{template}\"", receiver.url));
    let daemon = site.start_healthy();
    breaks(&site);
    let answer = daemon.until_readyz_says("it is not signed by a CA that is trusted here");
    assert!(answer.body.contains("put its CA certificate into ca_file"), "{}", answer.body);
    assert!(receiver.posted().is_empty());
}

#[test]
fn a_webhook_is_reached_through_the_proxy_of_the_environment() {
    let site = Site::new();
    let receiver = receiver(&site, true);
    let template = file(&site, "body.json.j2", "{ \"change\": {{ change }} }");
    let url = &receiver.url;
    webhook(&site, &format!("url = \"{url}/\"\ntemplate_file = \"{template}\"\nca_file = \"{AUTHORITY}\""));
    let listener = listener(&site);
    let address = listener.local_addr().unwrap();
    // Its target is in the namespace, too.
    let asked = inside(&site.here, || proxy(listener));
    let mut command = site.command(&site.home, &["run"]);
    command.env("HTTPS_PROXY", format!("http://{address}"));
    let daemon = Daemon::start(&site, &site.home, command);
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    breaks(&site);
    until("the message is accepted", || !receiver.taken().is_empty());
    let target = url.strip_prefix("https://").unwrap();
    assert!(asked.lock().unwrap().contains(&format!("CONNECT {target}")), "{asked:?}");
}

#[test]
fn pagerduty_is_triggered_and_resolved_by_the_same_key() {
    let site = Site::new();
    let receiver = receiver(&site, false);
    let key = file(&site, "key", "0123456789abcdef0123456789abcdef");
    let url = &receiver.url;
    webhook(
        &site,
        &format!(
            "preset = \"pagerduty\"\nurl = \"{url}/v2/enqueue\"\nallow_http = true\nsecret_file = \"{key}\""
        ),
    );
    let daemon = site.start_healthy();
    breaks(&site);
    until("it is triggered", || !receiver.taken().is_empty());
    heals(&site);
    settled(&daemon);
    let mut events: Vec<Value> = receiver.taken().iter().map(Posted::json).collect();
    // A message whose reply was lost is sent again unchanged.
    events.dedup();
    // If the second tunnel goes down a moment later, a second trigger with the same key reports it.
    let (last, before) = events.split_last().unwrap();
    assert_eq!(last["event_action"], "resolve", "{events:#?}");
    assert!(before.iter().all(|event| event["event_action"] == "trigger"), "{events:#?}");
    let ids: BTreeSet<_> =
        before.iter().map(|event| event["payload"]["custom_details"]["id"].as_str().unwrap()).collect();
    assert!(!before.is_empty() && ids.len() == before.len(), "{events:#?}");
    for event in &events {
        assert_eq!(event["dedup_key"], format!("bothends/{MILAN}/outage"));
        assert_eq!(event["routing_key"], "0123456789abcdef0123456789abcdef");
    }
    assert_eq!(events[0]["payload"]["severity"], "critical");
    assert_eq!(events[0]["payload"]["source"], "milan-1");
}

#[test]
fn alertmanager_gets_an_open_incident_repeatedly_and_its_end() {
    let site = Site::new();
    let receiver = receiver(&site, false);
    let url = &receiver.url;
    let keys = format!(
        "preset = \"alertmanager\"\nurl = \"{url}/api/v2/alerts\"\nallow_http = true\nrepeat_every = \"10s\""
    );
    webhook(&site, &keys);
    let daemon = site.start_healthy();
    breaks(&site);
    until("it was sent three times", || receiver.taken().len() >= 3);
    heals(&site);
    settled(&daemon);
    let mut alerts: Vec<Value> = receiver.taken().iter().map(|posted| posted.json()[0].clone()).collect();
    // A message whose reply was lost is sent again unchanged.
    alerts.dedup();
    let ends = |alert: &Value| alert["endsAt"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let open = &alerts[..alerts.len() - 1];
    assert!(open.is_sorted_by(|a, b| ends(a) < ends(b)), "endsAt moves forward: {alerts:#?}");
    assert!(ends(&alerts[alerts.len() - 1]) < ends(&open[open.len() - 1]), "{alerts:#?}");
    assert!(alerts.iter().all(|alert| alert["labels"] == alerts[0]["labels"]));
    assert!(alerts.iter().all(|alert| alert["startsAt"] == alerts[0]["startsAt"]));
}
