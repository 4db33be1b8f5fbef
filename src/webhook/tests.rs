use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::incident::message::{Change, Message, sample, sample_of_recovery};
use crate::settings::{WebhookBody, WebhookPreset};

const NOW: Stamp = Stamp::from_secs(1_795_341_700);

const PAGERDUTY: WebhookBody = WebhookBody::Preset(WebhookPreset::PagerDuty);
const SLACK: WebhookBody = WebhookBody::Preset(WebhookPreset::Slack);
const ALERTMANAGER: WebhookBody = WebhookBody::Preset(WebhookPreset::Alertmanager);

fn own(text: &str) -> WebhookBody {
    WebhookBody::Template { path: "/etc/bothends/body.j2".into(), text: text.into() }
}

fn rendered(body: &WebhookBody, change: Change) -> Option<Value> {
    let (template, lasts) = (Template::parse(body).unwrap(), Some(Duration::from_secs(300)));
    let body = template.render(&sample(change), Some("key-\"1\""), NOW, lasts).unwrap();
    body.map(|body| serde_json::from_str(&body).unwrap())
}

/// The changes for which a template renders something.
fn changes_sent(body: &WebhookBody) -> Vec<Change> {
    Change::ALL.into_iter().filter(|change| rendered(body, *change).is_some()).collect()
}

#[test]
fn pagerduty_gets_events_v2_by_its_published_format() {
    assert_eq!(changes_sent(&PAGERDUTY), [Change::Opened, Change::Worsened, Change::Resolved]);
    let opened = rendered(&PAGERDUTY, Change::Opened).unwrap();
    assert_eq!(opened["event_action"], "trigger");
    assert_eq!(opened["routing_key"], "key-\"1\"", "a value is written as JSON");
    let resolved = rendered(&PAGERDUTY, Change::Resolved).unwrap();
    assert_eq!(resolved["event_action"], "resolve");
    assert_eq!(opened["dedup_key"], resolved["dedup_key"]);
    // Events API v2: routing_key and event_action are needed; dedup_key has at most 255 characters; payload needs summary (at
    // most 1024), source and severity, of these four words; timestamp is ISO 8601.
    assert!(opened["dedup_key"].as_str().unwrap().len() <= 255);
    let payload = &opened["payload"];
    assert!((1..=1024).contains(&payload["summary"].as_str().unwrap().chars().count()));
    assert!(["critical", "error", "warning", "info"].contains(&payload["severity"].as_str().unwrap()));
    let time = |text: &Value| text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let message = sample(Change::Opened);
    assert_ne!(message.data["began"], message.data["opened"]);
    assert_eq!(time(&payload["timestamp"]), time(&message.data["began"]), "when packets stopped");
    let worsened = rendered(&PAGERDUTY, Change::Worsened).unwrap();
    assert_eq!(worsened["payload"]["timestamp"], sample(Change::Worsened).data["at"]);
    assert_eq!(payload["source"], "milan-1");
    for text in ["component", "group", "class"] {
        assert!(payload[text].is_string(), "{text}");
    }
    assert!(payload["custom_details"].is_object());
    assert_eq!(opened["links"][0]["href"], "https://wiki.example/vpn");
    assert_eq!(opened["links"][0]["text"], "Runbook");
    // The console is the way in; every link has an address and a text.
    assert!(opened["client_url"].as_str().unwrap().contains("VpnConnectionDetails"));
    let links = opened["links"].as_array().unwrap();
    assert!(links.len() > 1 && links.iter().all(|link| link["href"].is_string() && link["text"].is_string()));
    let details = payload["custom_details"].to_string();
    for part in ["No traffic flows", "last reply", "do first", "Ring the carrier first.", "bothends"] {
        assert!(details.contains(part), "{part:?} is not in {details}");
    }
}

#[test]
fn a_drill_is_an_alert_of_its_own_at_every_preset() {
    let (mut real, mut drill) = (sample(Change::Opened), sample(Change::Opened));
    drill.data["drill"] = json!(true);
    drill.data["key"] = json!("bothends/drill");
    for message in [&mut real, &mut drill] {
        message.data["ends_at"] = json!("2026-11-22T10:05:00Z");
    }
    let rendered = |body: &WebhookBody, message: &Message| -> Value {
        let body = Template::parse(body).unwrap().render(message, Some("key"), NOW, None).unwrap();
        serde_json::from_str(&body.unwrap()).unwrap()
    };
    // Everything else being equal, the end of a drill must not end the real alert.
    let key = |message| rendered(&PAGERDUTY, message)["dedup_key"].clone();
    assert_ne!(key(&drill), key(&real));
    let labels = |message| rendered(&ALERTMANAGER, message)[0]["labels"].clone();
    assert_ne!(labels(&drill), labels(&real));
    assert_eq!(labels(&drill)["drill"], "true");
}

#[test]
fn slack_gets_blocks_by_its_published_format() {
    assert_eq!(
        changes_sent(&SLACK),
        [Change::Opened, Change::Worsened, Change::Updated, Change::Resolved, Change::Unwatched]
    );
    let opened = rendered(&SLACK, Change::Opened).unwrap();
    // Block Kit: a header is plain_text of at most 150 characters, a section's text has at most 3000.
    assert!(opened["text"].is_string());
    let [header, section] = [0, 1].map(|index| &opened["blocks"][index]);
    assert_eq!((&header["type"], &header["text"]["type"]), (&json!("header"), &json!("plain_text")));
    assert!((1..=150).contains(&header["text"]["text"].as_str().unwrap().chars().count()));
    assert_eq!((&section["type"], &section["text"]["type"]), (&json!("section"), &json!("mrkdwn")));
    assert!((1..=3000).contains(&section["text"]["text"].as_str().unwrap().chars().count()));
}

#[test]
fn alertmanager_gets_an_alert_that_ends_ahead_until_it_is_over() {
    assert_eq!(
        changes_sent(&ALERTMANAGER),
        [Change::Opened, Change::Worsened, Change::Updated, Change::Repeated, Change::Resolved]
    );
    // API v2, postableAlerts: an array; labels and annotations are texts by name; times are RFC 3339.
    let alert = |change| rendered(&ALERTMANAGER, change).unwrap()[0].clone();
    let time = |alert: &Value, name: &str| alert[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let (opened, repeated, resolved) =
        (alert(Change::Opened), alert(Change::Repeated), alert(Change::Resolved));
    assert_eq!(opened["labels"], repeated["labels"], "one alert by its labels");
    assert_eq!(opened["labels"], resolved["labels"]);
    for labels in [&opened["labels"], &opened["annotations"]] {
        assert!(
            labels
                .as_object()
                .unwrap()
                .values()
                .all(|value| value.as_str().is_some_and(|text| !text.is_empty()))
        );
    }
    assert_eq!(opened["labels"]["alertname"], "BothEndsIncident");
    assert_eq!(opened["labels"].get("site"), None, "both gateways of a pair have one alert");
    assert_eq!(time(&repeated, "endsAt").as_millisecond(), (NOW + Duration::from_secs(300)).as_millis());
    assert!(time(&resolved, "endsAt").as_millisecond() <= NOW.as_millis());
    assert!(time(&opened, "startsAt") < time(&opened, "endsAt"));
    // Not the time of the beginning: group_wait counts from there.
    assert_eq!(opened["startsAt"], sample(Change::Opened).data["opened"]);
    assert!(opened["annotations"]["since"].as_str().unwrap().contains("last reply"));
}

/// The text while everything is well again and the incident is not resolved yet.
#[test]
fn no_preset_says_down_while_recovering() {
    let rendered = |body: &WebhookBody, change| -> Value {
        let template = Template::parse(body).unwrap();
        let lasts = Some(Duration::from_secs(300));
        let body = template.render(&sample_of_recovery(change), Some("key"), NOW, lasts).unwrap();
        serde_json::from_str(&body.unwrap()).unwrap()
    };
    let pagerduty = rendered(&PAGERDUTY, Change::Worsened);
    let mut shown = format!("PagerDuty: {}\n", pagerduty["payload"]["summary"].as_str().unwrap());
    for (name, text) in pagerduty["payload"]["custom_details"].as_object().unwrap() {
        if name != "id" {
            shown += &format!("{name}: {}\n", text.as_str().unwrap());
        }
    }
    let slack = rendered(&SLACK, Change::Updated);
    shown += &format!("\nSlack: {}\n", slack["text"].as_str().unwrap());
    for index in [1, 2] {
        shown += &format!("{}\n\n", slack["blocks"][index]["text"]["text"].as_str().unwrap());
    }
    let annotations = &rendered(&ALERTMANAGER, Change::Repeated)[0]["annotations"];
    for name in ["summary", "traffic", "description"] {
        shown += &format!("Alertmanager, {name}: {}\n", annotations[name].as_str().unwrap());
    }
    let lines: Vec<&str> = shown.lines().filter(|line| !line.contains("https://")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    PagerDuty: [milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage — recovering
    1 since: Went down at 2026-11-22 09:59:30 UTC (the last reply). Recovering since 2026-11-22 10:10:00 UTC.
    2 traffic: Traffic flows again, over tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12).
    3 tunnel 1 (203.0.113.11): up at both ends. This site: up, probes are answered. AWS: up
    3 tunnel 2 (203.0.113.12): up at both ends. This site: up, probes are answered. AWS: up
    4 likely: recovering. This record is resolved by itself if it stays up.
    5 do first, 1: Wait, and change nothing while it settles. If it goes down again, this record says so.
    5 do first, 2: Find the cause afterwards: `journalctl --since "2026-11-22 09:59:30 UTC"` on this gateway, IPsec's lines first.
    6 notes: Ring the carrier first.
    7 sent by: bothends 0.1.0 at site milan-1

    Slack: [milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage — recovering
    2026-11-22 10:10:00 UTC: tunnel 1 (203.0.113.11): this site says up
    2026-11-22 10:10:00 UTC: tunnel 1 (203.0.113.11): AWS says up
    2026-11-22 10:10:00 UTC: tunnel 1 (203.0.113.11): up at both ends
    2026-11-22 10:10:00 UTC: tunnel 2 (203.0.113.12): this site says up
    2026-11-22 10:10:00 UTC: tunnel 2 (203.0.113.12): AWS says up
    2026-11-22 10:10:00 UTC: tunnel 2 (203.0.113.12): up at both ends
    2026-11-22 10:10:00 UTC: clearing; this record is resolved if that lasts
    Went down at 2026-11-22 09:59:30 UTC (the last reply). Recovering since 2026-11-22 10:10:00 UTC.
    *Traffic flows again, over tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12).*

    *tunnel 1 (203.0.113.11)*: up at both ends
          this site: up, probes are answered
          AWS: up
    *tunnel 2 (203.0.113.12)*: up at both ends
          this site: up, probes are answered
          AWS: up

    *Likely:* recovering. This record is resolved by itself if it stays up.

    1. Wait, and change nothing while it settles. If it goes down again, this record says so.
    2. Find the cause afterwards: `journalctl --since "2026-11-22 09:59:30 UTC"` on this gateway, IPsec's lines first.
    *Notes:* Ring the carrier first.

    Alertmanager, summary: [milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage — recovering
    Alertmanager, traffic: Traffic flows again, over tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12).
    Alertmanager, description: [milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage — recovering

    Went down at 2026-11-22 09:59:30 UTC (the last reply). Recovering since 2026-11-22 10:10:00 UTC.
    Traffic flows again, over tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12).

    tunnel 1 (203.0.113.11): up at both ends
      this site: up, probes are answered
      AWS: up
    tunnel 2 (203.0.113.12): up at both ends
      this site: up, probes are answered
      AWS: up

    Likely: recovering. This record is resolved by itself if it stays up.

    Do first:
    1. Wait, and change nothing while it settles. If it goes down again, this record says so.
    2. Find the cause afterwards: `journalctl --since "2026-11-22 09:59:30 UTC"` on this gateway, IPsec's lines first.

    Notes: Ring the carrier first.

    Sent by bothends 0.1.0 at site milan-1.
    "#);
}

#[test]
fn an_operators_template_is_rendered_and_a_wrong_one_is_refused() {
    let body =
        rendered(&own(r#"{"title": {{ title }}, "n": {{ tunnels | length }}}"#), Change::Opened).unwrap();
    assert!(body["title"].as_str().unwrap().contains("Milan DC, primary"));
    assert_eq!(body["n"], 2);
    assert_eq!(rendered(&own("{% if change == 'resolved' %}{}{% endif %}"), Change::Opened), None);
    let wrong = |text: &str| {
        Template::parse(&own(text)).unwrap().render(&sample(Change::Opened), None, NOW, None).unwrap_err()
    };
    assert!(wrong("{{ titel }}").contains("fix it"));
    assert!(wrong("title: {{ title }}").contains("valid JSON"));
}

#[test]
fn a_template_that_would_never_end_or_fill_the_memory_is_aborted() {
    for greedy in [
        "[{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}1]",
        "[{{ ('x' * 1000000000) }}]",
        "[{% set ns = namespace(t='xxxxxxxxxxxxxxxx') %}{% for i in range(40) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}]",
    ] {
        let refused = Template::parse(&own(greedy))
            .unwrap()
            .render(&sample(Change::Opened), None, NOW, None)
            .unwrap_err();
        assert!(refused.contains("fuel"), "{refused}");
    }
}

#[test]
fn an_open_alert_outlasts_three_unanswered_repetitions() {
    let lasts = |every, timeout| {
        let settings = WebhookSettings {
            url: WebhookUrl::Plain("https://hook.example.com/".into()),
            body: ALERTMANAGER,
            headers: Vec::new(),
            secret: None,
            signing_secret: None,
            ca_file: None,
            allow_http: false,
            timeout: Duration::from_secs(timeout),
            repeat_every: Some(Duration::from_secs(every)),
        };
        settings.lasts().unwrap().as_secs()
    };
    assert_eq!(lasts(60, 10), 300);
    assert_eq!(lasts(10, 30), 120);
}

#[test]
fn a_signature_is_of_time_and_body() {
    let headers = signature("key", Stamp::from_secs(1_700_000_000), "{}").unwrap();
    assert_eq!(headers[0].1, "1700000000");
    // printf '1700000000.{}' | openssl dgst -sha256 -hmac key
    assert_eq!(headers[1].1, "sha256=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae");
    assert!(headers.iter().all(|(_, value)| value.is_sensitive()));
}

fn of_a_parent(change: Change) -> Message {
    let is_it = |message: &&Message| message.scope.word() == "uplink" && message.change == change;
    crate::incident::specimen::specimens(NOW).into_iter().find(|message| is_it(&message)).unwrap()
}

#[test]
fn a_parents_incident_says_what_it_is_about_at_every_preset() {
    let rendered = |body: &WebhookBody, change: Change| -> Value {
        let (template, lasts) = (Template::parse(body).unwrap(), Some(Duration::from_secs(300)));
        let body = template.render(&of_a_parent(change), Some("key"), NOW, lasts).unwrap();
        serde_json::from_str(&body.unwrap()).unwrap()
    };
    let opened = rendered(&PAGERDUTY, Change::Opened);
    assert_eq!(opened["dedup_key"], "bothends/uplink/milan-1/wan \"1\"/outage");
    assert_eq!(opened["dedup_key"], rendered(&PAGERDUTY, Change::Resolved)["dedup_key"]);
    assert_eq!(opened["payload"]["component"], "uplink wan \"1\"");
    let details = &opened["payload"]["custom_details"];
    assert!(details["3 affected, 1"].as_str().unwrap().contains("vpn-0123456789abcdef0"), "{details}");
    assert!(details["4 not sent"].is_string(), "{details}");

    let slack = rendered(&SLACK, Change::Opened).to_string();
    assert!(slack.contains("uplink wan") && slack.contains("Not sent because of this"), "{slack}");

    let alert = rendered(&ALERTMANAGER, Change::Opened);
    let labels = &alert[0]["labels"];
    let names: Vec<&String> = labels.as_object().unwrap().keys().collect();
    assert_eq!(names, ["alertname", "kind", "scope", "scope_name", "severity", "site"]);
    assert_eq!((&labels["scope"], &labels["scope_name"]), (&json!("uplink"), &json!("wan \"1\"")));
    assert_eq!(labels, &rendered(&ALERTMANAGER, Change::Resolved)[0]["labels"]);
    let of_connection = super::tests::rendered(&ALERTMANAGER, Change::Opened).unwrap();
    let names: Vec<&String> = of_connection[0]["labels"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["alertname", "kind", "scope", "severity", "vpn", "vpn_name"]);
}
