//! `bothends::aws` against the stand-in, with the real SDK over real HTTP.

mod child;
mod environment;
mod history;
mod hub;
mod incident_manager;
mod metrics;
mod ops_center;
mod poller;
mod secrets;
mod tls_server;
mod trouble;

use std::net::TcpListener;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bothends::aws::poller::{Outlets, PollOutcome, PollResult, run};
use bothends::aws::{AwsConnections, ConnectionSettings, StaticCredentials};
use bothends::domain::event::{AwsAnswer, Event, Reading};
use bothends::domain::names::{AwsPlace, Role, Routing, SourceId, SourceKind, TunnelId, VpnId};
use bothends::domain::plan::{
    AwsRules, IncidentRules, Plan, ProbeRules, QualityRules, Route, TunnelPlan, VpnPlan,
};
use bothends::domain::request::{AwsRequest, ViewsRequest};
use bothends::health::{Health, Problem};
use bothends::outbound::KeyExchange;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::stand_in::{Command, Settings, StandIn};

const KEY: &str = "AKIASTANDINEXAMPLE01";
const SECRET: &str = "a-secret-that-only-the-stand-in-knows";
const REGION: &str = "eu-west-1";
const VPN: &str = "vpn-0123456789abcdef0";
const OTHER_VPN: &str = "vpn-0fedcba9876543210";
/// A connection that the stand-in does not have.
const NO_VPN: &str = "vpn-00000000000000000";
const TUNNELS: [&str; 2] = ["203.0.113.11", "203.0.113.12"];
const OTHER_TUNNEL: &str = "2001:db8::21";
const PRE_SHARED_KEY: &str = "key.of_a_tunnel";
const PLAN: &str = "arn:aws:ssm-incidents::123456789012:response-plan/bothends";
const ROLE: &str = "arn:aws:iam::123456789012:role/watcher";
/// The timeout of every wait.
const DEADLINE: Duration = Duration::from_secs(60);

fn stand_in() -> StandIn {
    stand_in_with(json!({}))
}

/// A stand-in with two connections, a response plan and a role, and these additional settings.
fn stand_in_with(more: Value) -> StandIn {
    let tunnel = |outside: &str, inside: &str| json!({ "outside_ip": outside, "inside_cidr": inside, "pre_shared_key": PRE_SHARED_KEY });
    let mut settings = json!({
        "regions": [REGION],
        "roles": [ROLE],
        "vpns": [
            { "id": VPN, "tunnels": [tunnel(TUNNELS[0], "169.254.10.0/30"), tunnel(TUNNELS[1], "169.254.11.0/30")] },
            { "id": OTHER_VPN, "tunnels": [tunnel(OTHER_TUNNEL, "169.254.12.0/30")] },
        ],
        "response_plans": [{ "arn": PLAN }],
    });
    for (name, value) in more.as_object().unwrap() {
        settings[name] = value.clone();
    }
    let settings: Settings = serde_json::from_value(settings).unwrap();
    StandIn::start(TcpListener::bind("127.0.0.1:0").unwrap(), settings).unwrap()
}

/// Executes a command given as JSON.
fn control(stand_in: &StandIn, command: Value) -> Value {
    stand_in.control(serde_json::from_value::<Command>(command).unwrap()).unwrap()
}

fn fault(stand_in: &StandIn, operation: &str, kind: Value) {
    control(stand_in, json!({ "add_fault": { "fault": { "operation": operation, "kind": kind } } }));
}

fn received(stand_in: &StandIn, operation: &str) -> Vec<Value> {
    control(stand_in, json!({ "received": { "operation": operation } })).as_array().unwrap().clone()
}

fn connections(stand_in: &StandIn) -> AwsConnections {
    let credentials = StaticCredentials {
        access_key_id: KEY.to_owned(),
        secret_access_key: SECRET.to_owned(),
        session_token: None,
    };
    let settings = ConnectionSettings {
        site: "milan-1".into(),
        ca_bundle: None,
        endpoint_url: Some(stand_in.url()),
        credentials: Some(credentials),
        key_exchange: KeyExchange::default(),
    };
    AwsConnections::load(settings).unwrap()
}

fn source(kind: SourceKind) -> SourceId {
    SourceId { kind, place: AwsPlace { region: Some(REGION.into()), role_arn: None } }
}

fn tunnel(vpn: &str, outside_ip: &str) -> TunnelId {
    TunnelId { vpn: VpnId::new(vpn), outside_ip: outside_ip.parse().unwrap() }
}

/// A plan in which one source covers these connections and tunnels.
fn plan(source: &SourceId, vpns: &[(&str, &[&str])]) -> Arc<Plan> {
    let tunnel_plan = |vpn: &str, outside_ip: &str| {
        // As in the stand-in; an unused block for a tunnel that it does not have.
        let block = match outside_ip {
            _ if outside_ip == TUNNELS[0] => 10,
            _ if outside_ip == TUNNELS[1] => 11,
            _ if outside_ip == OTHER_TUNNEL => 12,
            _ => 99,
        };
        let route = Route {
            inside_ip: [169, 254, block, 1].into(),
            source_ip: [169, 254, block, 2].into(),
            interface: None,
            fwmark: None,
        };
        let (id, name) = (tunnel(vpn, outside_ip), outside_ip.into());
        Arc::new(TunnelPlan {
            id,
            name,
            role: Role::Active,
            route: Arc::new(route),
            through: Default::default(),
            uplink: None,
            sensors: Default::default(),
        })
    };
    let second = Duration::from_secs(1);
    let probe = ProbeRules {
        interval: second,
        suspect_interval: second,
        timeout: second,
        down_after: NonZeroU32::MIN,
        up_after: NonZeroU32::MIN,
    };
    let incident = IncidentRules {
        open_after_outage: second,
        open_after_redundancy_lost: second,
        one_sided_after: None,
        degraded_after: None,
        resolve_after: second,
        start_grace: second,
    };
    let aws = AwsRules {
        poll_interval: Duration::from_secs(60),
        suspect_poll_interval: Duration::from_secs(15),
        stale_after: Duration::from_secs(600),
        sources: vec![source.clone()],
    };
    let vpn = |(id, tunnels): &(&str, &[&str])| {
        Arc::new(VpnPlan {
            id: VpnId::new(*id),
            name: "Milan".into(),
            routing: Routing::Unknown,
            tunnels: tunnels.iter().map(|outside_ip| tunnel_plan(id, outside_ip)).collect(),
            probe,
            quality: QualityRules::default(),
            incident,
            aws: aws.clone(),
        })
    };
    Arc::new(Plan {
        site: "milan-1".into(),
        votes_if_address: None,
        vpns: vpns.iter().map(vpn).collect(),
        parents: Vec::new(),
        sinks: vec![],
    })
}

/// The pollers of one source.
struct Polling {
    source: SourceId,
    plan: watch::Sender<Arc<Plan>>,
    requests: mpsc::Sender<AwsRequest>,
    events: mpsc::Receiver<Event>,
    health: Health,
    outcomes: Arc<Mutex<Vec<PollResult>>>,
    /// The answers about maintenance that came before others.
    maintenance: Vec<Event>,
}

impl Polling {
    /// Polls both tunnels of the first connection.
    async fn start(connections: AwsConnections, source: SourceId) -> Self {
        Self::watching(connections, source, &[(VPN, &TUNNELS)]).await
    }

    async fn watching(connections: AwsConnections, source: SourceId, vpns: &[(&str, &[&str])]) -> Self {
        let (requests, requests_in) = mpsc::channel(16);
        let (events_out, events) = mpsc::channel(16);
        let health = Health::default();
        let outcomes: Arc<Mutex<Vec<PollResult>>> = Arc::default();
        let observed = Arc::clone(&outcomes);
        let observe = Arc::new(move |outcome: &PollOutcome| observed.lock().unwrap().push(outcome.result));
        let outlets = Outlets { events: events_out, health: health.clone(), observe };
        let (plan, plan_in) = watch::channel(plan(&source, vpns));
        tokio::spawn(run(connections, plan_in, requests_in, outlets));
        Self { source, plan, requests, events, health, outcomes, maintenance: Vec::new() }
    }

    async fn ask(&mut self) -> Event {
        self.ask_about(&[]).await
    }

    /// Asks, with these tunnels called down by an end.
    async fn ask_about(&mut self, called_down: &[TunnelId]) -> Event {
        let called_down = called_down.iter().cloned().collect();
        let request = ViewsRequest { source: self.source.clone(), called_down };
        self.requests.send(AwsRequest::Views(request)).await.unwrap();
        loop {
            match self.event().await {
                // EC2 is asked about maintenance at a pace of its own.
                event @ Event::Maintenance { .. } => self.maintenance.push(event),
                event => return event,
            }
        }
    }

    async fn event(&mut self) -> Event {
        tokio::time::timeout(DEADLINE, self.events.recv()).await.unwrap().unwrap()
    }

    async fn answer(&mut self) -> AwsAnswer {
        let event = self.ask().await;
        let Event::Answered(answer) = event else { panic!("{event:?}: {:?}", self.problem()) };
        answer
    }

    /// The readings of an answer, in the order of the plan.
    async fn readings(&mut self) -> Vec<Reading> {
        self.answer().await.readings.into_iter().map(|(_, reading)| reading).collect()
    }

    fn problem(&self) -> Option<Problem> {
        self.health.watch().borrow().values().next().cloned()
    }

    fn outcomes(&self) -> Vec<PollResult> {
        self.outcomes.lock().unwrap().clone()
    }
}
