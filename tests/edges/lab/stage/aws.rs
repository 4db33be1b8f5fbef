//! AWS: the stand-in, listening on the gateway itself so that no fault of the lab affects its path to the daemon, and
//! following the real state of the AWS-side charon and BIRD.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use super::network::{Lab, script};
use super::{OTHER_OUTSIDE, OTHER_VPN, OUTSIDE, VPN};
use crate::stand_in::{Command, Settings, StandIn};

/// The only keys that the stand-in accepts.
pub(super) const ACCESS_KEY_ID: &str = "AKIASTANDINEXAMPLE01";
pub(super) const SECRET_ACCESS_KEY: &str = "a-secret-that-only-the-stand-in-knows";
pub(super) const RESPONSE_PLAN: &str = "arn:aws:ssm-incidents::123456789012:response-plan/bothends";

/// How often AWS's end is read: four times as often as the daemon polls AWS.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// AWS, as far as the daemon can tell.
pub(crate) struct Aws {
    follower: Option<(Sender<()>, JoinHandle<()>)>,
    stand_in: Arc<StandIn>,
}

impl Aws {
    /// An AWS that reports the state of the lab's tunnels as seen at its own end.
    pub(crate) fn following(lab: &Lab) -> Self {
        let listener = lab.gateway().inside(|| TcpListener::bind("127.0.0.1:0").unwrap());
        let stand_in = Arc::new(StandIn::start(listener, settings()).unwrap());
        let (stop, stopped) = channel();
        let follower = Arc::clone(&stand_in);
        let follow = move || {
            while stopped.recv_timeout(FOLLOW_EVERY) == Err(RecvTimeoutError::Timeout) {
                // If the lab does not answer, the tunnels stay as they were.
                let Ok(output) = script(&["aws-view"]).output() else { continue };
                let lines = String::from_utf8_lossy(&output.stdout).into_owned();
                follower.control(Command::Observe { lines }).unwrap();
            }
        };
        Self { follower: Some((stop, thread::spawn(follow))), stand_in }
    }

    /// The URL of its APIs; on the gateway only.
    pub(crate) fn url(&self) -> String {
        self.stand_in.url()
    }

    /// Executes a command of the stand-in, given as JSON.
    pub(crate) fn control(&self, command: Value) -> Value {
        let command: Command = serde_json::from_value(command).unwrap();
        self.stand_in.control(command).unwrap()
    }

    /// The requests of an operation that it executed, oldest first.
    pub(crate) fn received(&self, operation: &str) -> Vec<Value> {
        let Value::Array(mut requests) = self.control(json!({ "received": { "operation": operation } }))
        else {
            panic!("the stand-in lists what it received");
        };
        requests.retain(|request| request["result"] == "ok");
        requests
    }

    /// How often the daemon has polled its tunnels.
    pub(crate) fn polls(&self) -> usize {
        self.received("DescribeVpnConnections").len()
    }

    /// The records of a kind of incident, oldest first, as `ListIncidentRecords` and `ListTimelineEvents` would show
    /// them: `record`, `rawData`, `timeline`, `relatedItems`.
    pub(crate) fn incidents(&self, kind: &str) -> Vec<Value> {
        let source = format!("bothends.{kind}");
        let all = self.control(json!({ "incidents": {} }));
        let of_kind = |incident: &&Value| incident["record"]["incidentRecordSource"]["source"] == *source;
        all.as_array().unwrap().iter().filter(of_kind).cloned().collect()
    }

    /// The one record of a kind, if it has this status. There must not be two.
    pub(crate) fn incident(&self, kind: &str, status: &str) -> Option<Value> {
        let records = self.incidents(kind);
        assert!(records.len() <= 1, "one incident, one record: {records:#?}");
        records.into_iter().find(|incident| incident["record"]["status"] == status)
    }

    /// The number of pages.
    pub(crate) fn pages(&self) -> usize {
        self.control(json!({ "incidents": {} })).as_array().unwrap().len()
    }

    /// Every datum that CloudWatch received, oldest first.
    pub(crate) fn metric_data(&self) -> Vec<Value> {
        let requests = self.received("PutMetricData");
        let data = requests.iter().filter_map(|request| request["parameters"]["MetricData"].as_array());
        data.flatten().cloned().collect()
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        if let Some((stop, follower)) = self.follower.take() {
            drop(stop);
            // A panic in the thread has already been printed; a drop must not raise it again.
            drop(follower.join());
        }
    }
}

fn settings() -> Settings {
    let tunnel = |outside: &str, inside: &str| json!({ "outside_ip": outside, "inside_cidr": inside, "pre_shared_key": "of no matter here" });
    let settings = json!({
        "vpns": [
            { "id": VPN, "tunnels": [tunnel(OUTSIDE[0], "169.254.10.0/30"), tunnel(OUTSIDE[1], "169.254.20.0/30")] },
            { "id": OTHER_VPN, "tunnels": [tunnel(OTHER_OUTSIDE, "169.254.30.0/30")] },
        ],
        "response_plans": [{ "arn": RESPONSE_PLAN }],
    });
    serde_json::from_value(settings).unwrap()
}
