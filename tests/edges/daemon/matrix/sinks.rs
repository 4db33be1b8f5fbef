//! The same for the other sinks, with a shorter outage: it opens, both tunnels heal, it is resolved. It goes to
//! OpsCenter, two topics and a webhook, and one operation, or the webhook's receiver, fails.
//!
//! At the end there is one OpsItem, resolved, with every line of its timeline once; and every message was sent under
//! one id, in order, from the opening to the end. For each reply that the daemon did not get, a message may be sent
//! once more, unchanged.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use bothends::clock;
use serde_json::{Value, json};

use super::super::super::receiver::{Reaction, Receiver};
use super::super::answers::Answers;
use super::super::process::Daemon;
use super::super::site::{ONE, Site, TOPIC, TWO, inside};
use super::fault::Fault;

const PATIENCE: Duration = Duration::from_secs(150);
const PAUSE: Duration = Duration::from_millis(400);

const ALL: [Fault; 12] = [
    Fault::Throttle,
    Fault::Internal,
    Fault::Unavailable,
    Fault::Expired,
    Fault::Denied,
    Fault::Reset,
    Fault::Close,
    Fault::Garbage,
    Fault::Hang,
    Fault::Slow,
    Fault::LostReply,
    Fault::Skew,
];

const PACE: &str =
    "[probe]\ninterval = \"1s\"\nsuspect_interval = \"1s\"\ntimeout = \"1s\"\ndown_after = 3\nup_after = 2\n";

/// Runs cells side by side; the panic of one that fails is printed with its name.
fn side_by_side<T: std::fmt::Debug + Copy + Send>(what: &str, cells: &[T], play: impl Fn(T) + Copy + Send) {
    let failed: Vec<String> = thread::scope(|scope| {
        let cells: Vec<_> = cells
            .iter()
            .map(|cell| {
                let (cell, name) = (*cell, format!("{cell:?} x {what}"));
                let builder = thread::Builder::new().name(name.clone());
                (name, builder.spawn_scoped(scope, move || play(cell)).unwrap())
            })
            .collect();
        let ended = cells.into_iter().map(|(name, cell)| (name, cell.join()));
        ended.filter_map(|(name, ended)| ended.is_err().then_some(name)).collect()
    });
    if !failed.is_empty() {
        resume_unwind(Box::new(format!("these cells failed, as printed above: {failed:?}")));
    }
}

/// A site with all the sinks, and its webhook's receiver.
fn stage() -> (Site, Receiver) {
    let site = Site::new();
    let receiver = Receiver::start(inside(&site.here, || TcpListener::bind("127.0.0.1:0").unwrap()), false);
    let template = site.home.config().with_file_name("body.json.j2");
    std::fs::write(&template, "{ \"id\": {{ id }}, \"change\": {{ change }} }").unwrap();
    let sink = |keys: &str| format!("[[incident.sink]]\nkinds = [\"outage\"]\n{keys}\n");
    let sinks = [
        sink("type = \"ops_center\""),
        sink(&format!("type = \"sns\"\ntopic_arn = \"{TOPIC}\"")),
        sink(&format!("type = \"sns\"\ntopic_arn = \"{TOPIC}.fifo\"")),
        sink(&format!(
            "type = \"webhook\"\nurl = \"{}/hook\"\nallow_http = true\ntemplate_file = \"{}\"",
            receiver.url,
            template.display()
        )),
    ];
    site.home.add("sinks.toml", &(sinks.concat() + PACE));
    (site, receiver)
}

struct Player<'s> {
    site: &'s Site,
    daemon: Option<Daemon<'s>>,
    answers: Answers,
    /// A person has to restart the daemon once this has happened.
    restart: Option<&'s dyn Fn() -> bool>,
}

impl<'s> Player<'s> {
    fn start(site: &'s Site, restart: Option<&'s dyn Fn() -> bool>) -> Self {
        site.aws_says(true, &[&ONE, &TWO]);
        let mut player = Self { site, daemon: Some(site.start()), answers: Answers::default(), restart };
        player.until("both tunnels are healthy", |player| {
            [&ONE, &TWO].iter().all(|tunnel| player.daemon().tunnel(tunnel)["assessment"] == "healthy")
        });
        player
    }

    fn daemon(&self) -> &Daemon<'s> {
        self.daemon.as_ref().unwrap()
    }

    #[track_caller]
    fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let deadline = clock::now().mono + PATIENCE;
        while !so(self) {
            if self.restart.take_if(|happened| happened()).is_some() {
                self.stop();
                self.daemon = Some(self.site.start());
            }
            assert!(clock::now().mono < deadline, "timed out after {PATIENCE:?} waiting until {what}");
            thread::sleep(PAUSE);
        }
    }

    fn stop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            self.answers.add(&daemon);
            daemon.stop();
        }
    }

    fn breaks(&self) {
        self.site.aws_says(false, &[&ONE, &TWO]);
        self.site.cut(&[&ONE, &TWO]);
    }

    fn heals(&self) {
        self.site.aws_says(true, &[&ONE, &TWO]);
        self.site.heal(&[&ONE, &TWO]);
    }
}

fn items(site: &Site) -> Vec<Value> {
    site.control(json!({ "ops_items": {} })).as_array().unwrap().clone()
}

/// Ids and changes of the messages that a topic received.
fn messages(site: &Site, topic: &str) -> Vec<(String, String)> {
    let all = site.control(json!({ "messages": {} }));
    let of = all.as_array().unwrap().iter().filter(|message| message["topic"] == topic);
    of.map(|message| named(&message["attributes"])).collect()
}

/// The same for the publish requests that were executed.
fn published(site: &Site, topic: &str) -> Vec<(String, String)> {
    let mut all = site.executed("Publish");
    all.retain(|request| request["parameters"]["TopicArn"] == topic);
    let attribute = |request: &Value, name: &str| {
        let value = &request["parameters"]["MessageAttributes"][name]["StringValue"];
        value.as_str().unwrap().to_owned()
    };
    all.iter().map(|request| (attribute(request, "id"), attribute(request, "change"))).collect()
}

fn named(message: &Value) -> (String, String) {
    let text = |member: &str| message[member].as_str().unwrap().to_owned();
    (text("id"), text("change"))
}

/// From the opening to the end, in order, each under one id, and not repeated more often than replies were `lost`.
#[track_caller]
fn sent_once(sent: &[(String, String)], lost: usize) {
    let mut once: Vec<&(String, String)> = Vec::new();
    for message in sent {
        if !once.contains(&message) {
            once.push(message);
        }
    }
    let again = sent.len() - once.len();
    assert!(again <= lost, "repeated {again} times, and {lost} replies were lost: {sent:?}");
    let changes: Vec<&str> = once.iter().map(|(_, change)| change.as_str()).collect();
    let [first, between @ .., last] = changes.as_slice() else { panic!("{sent:?}") };
    assert_eq!((*first, *last), ("opened", "resolved"), "{sent:?}");
    assert!(between.iter().all(|change| ["worsened", "updated"].contains(change)), "{sent:?}");
    assert_eq!(sent[sent.len() - 1].1, "resolved", "nothing is sent after the end: {sent:?}");
}

/// What all sinks have at the end.
fn delivered(site: &Site, receiver: &Receiver, answers: &Answers) {
    let items = items(site);
    assert_eq!(items.len(), 1, "{items:#?}");
    assert_eq!(items[0]["Status"], "Resolved");
    let timeline = items[0]["OperationalData"]["bothends-timeline milan-1"]["Value"].as_str().unwrap();
    let lines: BTreeSet<&str> = timeline.lines().collect();
    assert_eq!(lines.len(), timeline.lines().count(), "written twice: {timeline}");
    let times = |sent: &str| lines.iter().filter(|line| line.contains(sent)).count();
    assert_eq!(times("outage over"), 1, "{timeline}");
    // A daemon that was stopped while it created the item adopts it in its current state, and one that starts restarts
    // the clearing.
    assert!(times("clearing") >= 1 || answers.lives() > 1, "{timeline}");
    let fifo = format!("{TOPIC}.fifo");
    for (sink, topic) in [("sns", TOPIC), ("sns-2", &*fifo)] {
        let sent = published(site, topic);
        sent_once(&sent, answers.lost_by(sink, sent.len()));
    }
    // The topic itself drops duplicates.
    sent_once(&messages(site, &fifo), 0);
    let sent: Vec<_> = receiver.arrived().iter().map(|posted| named(&posted.json())).collect();
    sent_once(&sent, answers.lost_by("webhook", sent.len()));
}

fn play(fault: Fault, operation: &str) {
    let (site, receiver) = stage();
    let struck = || site.control(json!({ "faults": {} })) == json!([]);
    let mut player = Player::start(&site, None);
    // There is one item to create, so a fault other than a failure strikes once.
    let times = if fault == Fault::Slow { 1 } else { fault.times() };
    site.fault_times(operation, fault.kind(), times);
    player.restart = fault.needs_a_person().then_some(&struck);
    player.breaks();
    player.until("the OpsItem exists", |_| !items(&site).is_empty());
    player.until("every sink has the outage", |_| {
        !messages(&site, TOPIC).is_empty()
            && !messages(&site, &format!("{TOPIC}.fifo")).is_empty()
            && !receiver.taken().is_empty()
    });
    player.heals();
    player.until("every incident is settled", |player| player.daemon().status()["incidents"] == json!([]));
    player.until("the fault has struck as often as it was to", |_| struck());
    player.stop();
    delivered(&site, &receiver, &player.answers);
}

#[test]
fn everything_is_delivered_once_whatever_fails_at_creating_an_ops_item() {
    side_by_side("CreateOpsItem", &ALL, |fault| play(fault, "CreateOpsItem"));
}

#[test]
fn everything_is_delivered_once_whatever_fails_at_updating_an_ops_item() {
    side_by_side("UpdateOpsItem", &ALL, |fault| play(fault, "UpdateOpsItem"));
}

#[test]
fn everything_is_delivered_once_whatever_fails_at_reading_an_ops_item() {
    side_by_side("GetOpsItem", &ALL, |fault| play(fault, "GetOpsItem"));
}

#[test]
fn everything_is_delivered_once_whatever_fails_at_listing_ops_items() {
    side_by_side("DescribeOpsItems", &ALL, |fault| play(fault, "DescribeOpsItems"));
}

#[test]
fn everything_is_delivered_once_whatever_fails_at_publishing() {
    side_by_side("Publish", &ALL, |fault| play(fault, "Publish"));
}

/// How a webhook's receiver fails.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Lost,
    Silent,
    Fails,
    SlowsDown,
    Refuses,
    Redirects,
}

impl Trouble {
    fn reactions(self) -> Vec<Reaction> {
        match self {
            Self::Lost => vec![Reaction::Lost; 2],
            Self::Silent => vec![Reaction::Silent],
            Self::Fails => vec![Reaction::Status(500, ""), Reaction::Status(503, "")],
            Self::SlowsDown => vec![Reaction::Status(429, "Retry-After: 2\r\n")],
            Self::Refuses => vec![Reaction::Status(401, "")],
            Self::Redirects => vec![Reaction::Status(302, "Location: http://elsewhere.example.com/\r\n")],
        }
    }

    fn needs_a_person(self) -> bool {
        match self {
            Self::Refuses | Self::Redirects => true,
            Self::Lost | Self::Silent | Self::Fails | Self::SlowsDown => false,
        }
    }
}

#[test]
fn everything_is_delivered_once_whatever_a_webhook_receiver_answers_at_the_start_or_the_end() {
    let cells = [
        Trouble::Lost,
        Trouble::Silent,
        Trouble::Fails,
        Trouble::SlowsDown,
        Trouble::Refuses,
        Trouble::Redirects,
    ];
    let cells: Vec<(Trouble, bool)> =
        cells.into_iter().flat_map(|trouble| [(trouble, false), (trouble, true)]).collect();
    side_by_side("POST", &cells, |(trouble, at_the_end)| {
        let (site, receiver) = stage();
        let (reactions, needs_a_person) = (trouble.reactions(), trouble.needs_a_person());
        let failed = || {
            let not_taken =
                receiver.posted().iter().filter(|posted| posted.status.is_none_or(|code| code > 299)).count();
            not_taken >= reactions.len()
        };
        let mut player = Player::start(&site, needs_a_person.then_some(&failed));
        if !at_the_end {
            receiver.reacts(&reactions);
        }
        player.breaks();
        player.until("the message is accepted", |_| !receiver.taken().is_empty());
        if at_the_end {
            receiver.reacts(&reactions);
        }
        player.heals();
        player
            .until("every incident is settled", |player| player.daemon().status()["incidents"] == json!([]));
        player.until("the fault has struck as often as it was to", |_| failed());
        player.stop();
        delivered(&site, &receiver, &player.answers);
        let (first, again) = (&receiver.posted()[0], &receiver.posted()[1]);
        assert!(at_the_end || first.header("idempotency-key") == again.header("idempotency-key"));
    });
}
