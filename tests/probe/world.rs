//! A Prober, driven as the core would drive it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bothends::domain::event::{AskFailure, Event};
use bothends::domain::names::{CheckId, CheckKind, Role, Routing, TunnelId, VpnId};
use bothends::domain::plan::{AwsRules, IncidentRules, ProbeRules, QualityRules, Route, TunnelPlan, VpnPlan};
use bothends::domain::request::{ClientId, EchoId, EchoRequest};
use bothends::health::{Component, Health, Problem};
use bothends::probe::Prober;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::journal;

/// Nothing takes this long; it only keeps a broken test from hanging.
const DEADLINE: Duration = Duration::from_secs(20);

/// An event without its times.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Observed {
    Sent(EchoId),
    Reply(EchoId),
    Failed(EchoId, AskFailure),
}

/// One Prober and one check.
#[derive(Debug)]
pub(crate) struct World {
    prober: Prober,
    health: Health,
    events: UnboundedReceiver<Event>,
    asked: u64,
    give_up: Duration,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_give_up_after(Duration::from_secs(10))
    }

    pub(crate) fn with_give_up_after(give_up: Duration) -> Self {
        journal::listen();
        let (sender, events) = unbounded_channel();
        let health = Health::default();
        Self { prober: Prober::new(sender, health.clone()), health, events, asked: 0, give_up }
    }

    /// The same with a Prober that may have this many sockets.
    pub(crate) fn with_at_most(sockets: usize) -> Self {
        let world = Self::new();
        Self { prober: world.prober.with_at_most(sockets), ..world }
    }

    /// Sends one probe with the client of this number.
    pub(crate) fn ask(&mut self, client: u64, route: &Route) -> EchoId {
        let echo = EchoId(self.asked);
        self.asked += 1;
        self.prober.execute(EchoRequest {
            check: check(1),
            echo,
            client: ClientId(client),
            route: Arc::new(route.clone()),
            give_up: self.give_up,
        });
        echo
    }

    pub(crate) fn retire(&mut self, client: u64) {
        self.prober.retire(&check(1), ClientId(client));
    }

    /// The one open problem.
    pub(crate) fn problem(&self) -> Option<(Component, Problem)> {
        let problems = self.health.watch().borrow().clone();
        assert!(problems.len() <= 1, "{problems:?}");
        problems.into_iter().next()
    }

    pub(crate) async fn next(&mut self) -> Observed {
        let event = tokio::time::timeout(DEADLINE, self.events.recv()).await.expect("no event in time");
        observe(event.expect("the Prober has closed the channel"))
    }

    /// Drops the Prober and waits until the last probe has ended; returns the events not yet received.
    pub(crate) async fn end(self) -> Vec<Observed> {
        let Self { prober, health: _, mut events, asked: _, give_up: _ } = self;
        drop(prober);
        let mut heard = Vec::new();
        while let Some(event) = tokio::time::timeout(DEADLINE, events.recv()).await.expect("no end in time") {
            heard.push(observe(event));
        }
        heard
    }
}

pub(crate) fn route(source_ip: &str, inside_ip: &str, interface: Option<&str>) -> Route {
    Route {
        inside_ip: inside_ip.parse().unwrap(),
        source_ip: source_ip.parse().unwrap(),
        interface: interface.map(Into::into),
        fwmark: None,
    }
}

/// The same route with a mark.
pub(crate) fn marked(route: &Route, fwmark: u32) -> Route {
    Route { fwmark: NonZeroU32::new(fwmark), ..route.clone() }
}

/// A connection with a tunnel for each of these routes.
pub(crate) fn vpn(routes: &[Route]) -> Arc<VpnPlan> {
    let tunnel = |(number, route): (u8, &Route)| {
        Arc::new(TunnelPlan {
            id: check(number).tunnel,
            name: format!("tunnel {number}").into(),
            role: Role::Active,
            through: Default::default(),
            uplink: None,
            sensors: Default::default(),
            route: Arc::new(route.clone()),
        })
    };
    let second = Duration::from_secs(1);
    Arc::new(VpnPlan {
        id: check(1).tunnel.vpn,
        name: "Milan".into(),
        routing: Routing::Unknown,
        tunnels: (1..).zip(routes).map(tunnel).collect(),
        probe: ProbeRules {
            interval: second,
            suspect_interval: second,
            timeout: second,
            down_after: NonZeroU32::MIN,
            up_after: NonZeroU32::MIN,
        },
        quality: QualityRules::default(),
        incident: IncidentRules {
            open_after_outage: second,
            open_after_redundancy_lost: second,
            one_sided_after: None,
            degraded_after: None,
            resolve_after: second,
            start_grace: second,
        },
        aws: AwsRules {
            poll_interval: second,
            suspect_poll_interval: second,
            stale_after: second,
            sources: Vec::new(),
        },
    })
}

fn check(number: u8) -> CheckId {
    let vpn = VpnId::new("vpn-0123456789abcdef0");
    let tunnel = TunnelId { vpn, outside_ip: [203, 0, 113, number].into() };
    CheckId { tunnel, kind: CheckKind::Inside }
}

fn observe(event: Event) -> Observed {
    match event {
        Event::Sent { check: of, echo, at: _ } => {
            assert_eq!(of, check(1));
            Observed::Sent(echo)
        }
        Event::Reply { check: of, echo, rtt: _ } => {
            assert_eq!(of, check(1));
            Observed::Reply(echo)
        }
        Event::Failed { check: of, echo, failure } => {
            assert_eq!(of, check(1));
            Observed::Failed(echo, failure)
        }
        other @ (Event::Answered(_)
        | Event::Refused { .. }
        | Event::Settled { .. }
        | Event::HistoryAnswered(_)
        | Event::HistoryRefused { .. }
        | Event::Maintenance { .. }
        | Event::Silences(_)
        | Event::AddressHeld { .. }
        | Event::RecordFound { .. }
        | Event::Sensed(_)) => {
            panic!("not an event of a Prober: {other:?}")
        }
    }
}
