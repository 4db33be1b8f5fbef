//! An incident at SNS topics, by the daemon.

use serde_json::{Value, json};

use super::answers::Answers;
use super::site::{MILAN, ONE, ROMES_TOPIC, Site, TOPIC, TWO};
use super::wait::until;

fn sink(topic: &str) -> String {
    format!("[[incident.sink]]\ntype = \"sns\"\ntopic_arn = \"{topic}\"\nkinds = [\"outage\"]\n")
}

/// The messages that a topic received, oldest first.
fn messages(site: &Site, topic: &str) -> Vec<Value> {
    let mut all = site.control(json!({ "messages": {} })).as_array().unwrap().clone();
    all.retain(|message| message["topic"] == topic);
    all
}

fn changes(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["attributes"]["change"].as_str().unwrap()).collect()
}

#[test]
fn an_outage_is_one_message_per_change_and_none_is_sent_twice_across_a_restart() {
    let site = Site::new();
    site.home.add("sns.toml", &(sink(TOPIC) + &sink(ROMES_TOPIC)));
    let daemon = site.start_healthy();
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    for topic in [TOPIC, ROMES_TOPIC] {
        until("the outage is published", || !messages(&site, topic).is_empty());
    }
    for sink in ["sns", "sns-2"] {
        until("the ledger has the reply", || {
            daemon.metric(&format!("bothends_sink_pending{{sink=\"{sink}\"}}")) == 0.0
        });
    }
    let mut answers = Answers::default();
    answers.add(&daemon);
    daemon.stop();

    let daemon = site.start();
    until("it has resumed the outage", || daemon.status()["incidents"] != json!([]));
    site.aws_says(true, &[&ONE, &TWO]);
    site.heal(&[&ONE, &TWO]);
    until("every incident is settled", || daemon.status()["incidents"] == json!([]));
    answers.add(&daemon);
    for (sink, topic) in [("sns", TOPIC), ("sns-2", ROMES_TOPIC)] {
        let sent = messages(&site, topic);
        let sent_changes = changes(&sent);
        assert_eq!(
            (sent_changes[0], sent_changes[sent.len() - 1]),
            ("opened", "resolved"),
            "{sent_changes:?}"
        );
        assert!(
            sent_changes[1..sent.len() - 1].iter().all(|change| ["worsened", "updated"].contains(change)),
            "{sent_changes:?}"
        );
        let opened = &sent[0];
        assert!(opened["subject"].as_str().unwrap().contains("Milan DC"), "{opened}");
        assert_eq!(opened["attributes"]["vpn_id"], MILAN);
        assert_eq!(opened["attributes"]["severity"], "critical");
        let email = opened["bodies"]["email"].as_str().unwrap();
        assert!(email.contains("https://wiki.example.com/vpn") && email.contains(TWO.outside), "{email}");
        let data: Value = serde_json::from_str(opened["bodies"]["default"].as_str().unwrap()).unwrap();
        assert_eq!(data["tunnels"][1]["outside_ip"], TWO.outside);
        assert_eq!(data["tunnels"][1]["aws"]["words"], "TunnelState 0");
        assert_eq!(data["id"], opened["attributes"]["id"]);
        let mut ids: Vec<_> = sent.iter().map(|message| message["attributes"]["id"].to_string()).collect();
        ids.sort();
        ids.dedup();
        let lost = answers.lost_by(sink, sent.len());
        assert!(ids.len() + lost >= sent.len(), "sent twice, and {lost} replies were lost: {ids:?}");
    }
}

#[test]
fn a_missing_topic_is_named_with_what_to_do() {
    let site = Site::new();
    let topic = TOPIC.replace("alerts", "nowhere");
    site.home.add("sns.toml", &sink(&topic));
    let daemon = site.start_healthy();
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    let answer =
        daemon.until_readyz_says(&format!("there is no topic {topic}; create it, or correct topic_arn"));
    assert_eq!(answer.code, 503);
    until("the other sink's record exists", || site.records("outage").len() == 1);
    daemon.until_logged("there is no topic");
    assert_eq!(daemon.logged("ERROR", "there is no topic").len(), 1);
}

#[test]
fn after_a_lost_reply_a_message_is_sent_again_with_the_same_id_and_a_fifo_topic_keeps_one() {
    let site = Site::new();
    let fifo = format!("{TOPIC}.fifo");
    site.home.add("sns.toml", &(sink(TOPIC) + &sink(&fifo)));
    site.fault_times("Publish", json!("lost_reply"), 2);
    let daemon = site.start_healthy();
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    until("both topics have the message", || {
        ["sns", "sns-2"].iter().all(|sink| {
            daemon.metric(&format!(
                "bothends_sink_requests_total{{sink=\"{sink}\",action=\"deliver\",result=\"ok\"}}"
            )) >= 1.0
        })
    });
    let opened = |topic: &str| -> Vec<Value> {
        messages(&site, topic).into_iter().filter(|it| it["attributes"]["change"] == "opened").collect()
    };
    let twice = opened(TOPIC);
    assert!(twice.iter().all(|message| message["attributes"]["id"] == twice[0]["attributes"]["id"]));
    assert_eq!(opened(&fifo).len(), 1);
    let published = site.received("Publish");
    assert!(
        published.iter().filter(|it| it["parameters"]["TopicArn"] == fifo.as_str()).count() >= 2
            || twice.len() >= 2,
        "{published:?}"
    );
}

#[test]
fn a_missing_publish_permission_is_named_and_throttling_stops_nothing() {
    let site = Site::new();
    site.home.add("sns.toml", &sink(TOPIC));
    site.fault_times("Publish", json!("throttle"), 2);
    site.fault_times("Publish", json!("denied"), 1);
    let daemon = site.start_healthy();
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    daemon.until_readyz_says("the permission sns:Publish on the topic");
    assert_eq!(site.received("Publish").len(), 3);
    // A rejected message is retried after minutes, and at once by a daemon that starts.
    daemon.stop();
    let _daemon = site.start();
    until("the opening is published", || changes(&messages(&site, TOPIC)).first() == Some(&"opened"));
}
