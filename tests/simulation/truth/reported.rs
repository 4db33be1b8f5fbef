//! The daemons' reports, compared with the truth.

use std::sync::Arc;
use std::time::Duration;

use bothends::domain::board::{Incident, IncidentState};
use bothends::domain::fact::{Fact, IncidentChange};
use bothends::domain::names::{Kind, Routing, SourceKind};
use bothends::domain::time::Moment;
use bothends::domain::verdict::Assessment;

use super::super::schedule::Setup;
use super::super::site::index_of;
use super::super::time::of_aws_clock;
use super::super::views::Views;
use super::{Ready, Reported, Truth};

impl Truth {
    pub fn hear(&mut self, gateway: usize, fact: &Fact, at: Moment, views: &Views) {
        match fact {
            Fact::AssessmentChanged { tunnel: of, to: Assessment::Down, .. } => {
                let index = index_of(of);
                if !self.agreed(gateway, index, at, views) {
                    let how = format!("gateway {gateway} reports tunnel {index} Down");
                    self.breaks(at, "Down only when both ends are Down", &how);
                }
            }
            Fact::IncidentChanged { incident, change, .. } => {
                self.incident(gateway, incident, *change, at, views);
            }
            Fact::IncidentMissed { incident, at: _ } => self.missed(gateway, incident, at, views),
            Fact::RollupReady(rollup) => {
                let ready = Ready { rollup: Arc::clone(rollup), at, durable: false, died: false };
                self.ready[gateway].push(ready);
            }
            _ => {}
        }
    }

    fn incident(
        &mut self,
        gateway: usize,
        incident: &Arc<Incident>,
        change: IncidentChange,
        at: Moment,
        views: &Views,
    ) {
        let kind = incident.id.kind;
        match change {
            IncidentChange::Opened => self.opened(gateway, incident, at, views),
            IncidentChange::Resolved => {
                if let Some(how) = self.why_not_over(gateway, kind, at) {
                    let how = format!("gateway {gateway}, {}: {how}", kind.as_str());
                    self.breaks(at, "resolved only when the closing condition has held", &how);
                }
            }
            _ => {}
        }
        self.reported.push(Reported {
            at,
            gateway,
            change,
            incident: Arc::clone(incident),
            started: self.started[gateway],
            lost: false,
        });
    }

    fn opened(&mut self, gateway: usize, incident: &Arc<Incident>, at: Moment, views: &Views) {
        let kind = incident.id.kind;
        let locally = |index: usize| self.locally_down_since(gateway, index, at).is_some();
        let by_aws = |index: usize| self.said_down_lately(index, at, views);
        let stopped = |index: usize| self.stopped(gateway, index, at, views);
        let setup = self.setup(gateway);
        let all = || setup.used();
        let agreed = setup.actives().any(|index| self.agreed(gateway, index, at, views));
        let fine = match kind {
            Kind::Outage => agreed && all().all(stopped),
            Kind::RedundancyLost => agreed,
            // Tickets are off.
            Kind::Degraded => false,
            Kind::OneSided => {
                let by_one_end = |index: usize| locally(index) || by_aws(index);
                setup.actives().any(by_one_end) && all().all(|index| by_one_end(index) || stopped(index))
            }
        };
        if !fine {
            let how = format!("gateway {gateway} opens {}", incident.id);
            self.breaks(at, "every incident is justified", &how);
        }
        let mut of_kind =
            self.reported.iter().filter(|it| it.gateway == gateway && it.incident.id.kind == kind);
        if let Some(last) = of_kind.rfind(|reported| !reported.lost)
            && !matches!(last.change, IncidentChange::Resolved | IncidentChange::HandedOver)
        {
            let how = format!("{} while {} lasts", incident.id, last.incident.id);
            self.breaks(at, "no incident is opened twice", &how);
        }
    }

    /// An incident that was over before AWS was reachable again, and was not reported.
    fn missed(&mut self, gateway: usize, incident: &Arc<Incident>, at: Moment, views: &Views) {
        self.missed.push(incident.id.clone());
        let IncidentState::Resolved { at: ended } = incident.state else {
            self.breaks(at, "a missed incident is over", &incident.id.to_string());
            return;
        };
        if self.jumped[gateway] {
            return;
        }
        // The metric has whole minutes.
        let slack = Duration::from_secs(120);
        let (from, to) = (of_aws_clock(incident.began) - slack, of_aws_clock(ended) + slack);
        let both = self.setup(gateway).actives().any(|index| {
            let local = self.echoes[gateway][index].down.iter();
            local
                .filter(|(since, until)| *since < to && until.is_none_or(|until| until > from))
                .any(|(since, until)| views.was_down(index, (*since).max(from), until.unwrap_or(at).min(to)))
        });
        if !both {
            let how = format!("gateway {gateway} reports as missed: {}", incident.id);
            self.breaks(at, "a missed incident did happen", &how);
        }
    }

    /// Whether the local end is Down, and AWS reported "Down" for a time since that began: AWS's evidence lags, and a
    /// flapping line is one that was never Up for longer than the lag.
    fn both_down(&self, gateway: usize, tunnel: usize, at: Moment, views: &Views) -> bool {
        const LATE: Duration = Duration::from_secs(240);
        if self.locally_down_since(gateway, tunnel, at).is_none() {
            return false;
        }
        let Some(from) = self.down_but_for(gateway, tunnel, LATE + self.detection(), at) else {
            return false;
        };
        views.reported_down[tunnel].iter().any(|(_, said_until)| *said_until >= from)
    }

    fn said_down_lately(&self, tunnel: usize, at: Moment, views: &Views) -> bool {
        let lately = at - self.switches.stale_after - Duration::from_secs(60);
        views.reported_down[tunnel].iter().any(|(_, until)| *until >= lately)
    }

    /// Whether both ends reported the tunnel down: IPsec, or on a connection with BGP the session alone. Without a
    /// configured `routing` only EC2's status message shows that.
    fn agreed(&self, gateway: usize, tunnel: usize, at: Moment, views: &Views) -> bool {
        let lately = at - self.switches.stale_after - Duration::from_secs(60);
        let words = || views.reported_bgp[tunnel].iter().any(|said| *said >= lately);
        let bgp = match self.setup(gateway).routing {
            Routing::Static => false,
            Routing::Bgp => self.said_down_lately(tunnel, at, views),
            Routing::Unknown => words(),
        };
        bgp || self.both_down(gateway, tunnel, at, views)
    }

    /// Whether no traffic passes, as far as can be known: the local end is Down, or both agree, or AWS reports Down and
    /// the tunnel never answered here.
    fn stopped(&self, gateway: usize, tunnel: usize, at: Moment, views: &Views) -> bool {
        let probe = &self.switches.probe;
        let answers =
            self.echoes[gateway][tunnel].last_reply.is_some_and(|last| at.since(last) < probe.interval);
        self.locally_down_since(gateway, tunnel, at).is_some()
            || self.agreed(gateway, tunnel, at, views)
            || (!answers && self.said_down_lately(tunnel, at, views))
    }

    /// Since when the local end is Down, if it is: it takes some replies in a row to be Up again.
    fn locally_down_since(&self, gateway: usize, tunnel: usize, at: Moment) -> Option<Moment> {
        self.down_but_for(gateway, tunnel, self.detection(), at)
    }

    /// Since when the local end is Down, ignoring breaks of at most `breaks`.
    fn down_but_for(&self, gateway: usize, tunnel: usize, breaks: Duration, at: Moment) -> Option<Moment> {
        let mut since = None;
        let mut until_then = at;
        for (from, until) in self.echoes[gateway][tunnel].down.iter().rev() {
            if until.is_some_and(|until| until + breaks < until_then) {
                break;
            }
            (since, until_then) = (Some(*from), *from);
        }
        since
    }

    /// Why the closing condition cannot have held for `resolve_after`, if so.
    fn why_not_over(&self, gateway: usize, kind: Kind, at: Moment) -> Option<String> {
        let from = at - self.switches.resolve_after;
        if self.started[gateway] > from {
            return Some("the daemon has not run for so long".into());
        }
        // Certainly dead at some moment between two others, likewise all of them at once.
        let dead = |indices: &[usize], from: Moment, to: Moment| {
            let mut common = vec![(from, to)];
            for index in indices {
                let dead = self.echoes[gateway][*index]
                    .dead
                    .iter()
                    .map(|(since, until)| (*since + self.detection(), until.unwrap_or(to)));
                common = dead
                    .flat_map(|(a, b)| common.iter().map(move |(c, d)| (a.max(*c), b.min(*d))))
                    .filter(|(a, b)| a < b)
                    .collect();
            }
            !common.is_empty()
        };
        let healthy = |index: usize| {
            let sources = (gateway, index, SourceKind::CloudWatch)..=(gateway, index, SourceKind::Ec2);
            let up = self.heard.range(sources).any(|(_, (when, seen_up))| {
                *seen_up == Some(true)
                    && at.since(*when) <= self.switches.stale_after + Duration::from_secs(60)
            });
            let dead = self.echoes[gateway][index]
                .dead
                .last()
                .is_some_and(|(since, until)| until.is_none() && *since + self.detection() < at);
            if dead {
                Err("dead")
            } else if up {
                Ok(())
            } else {
                Err("not Up by AWS")
            }
        };
        // Without an active tunnel all of them count.
        let needed = |setup: Setup| {
            let actives: Vec<usize> = setup.actives().collect();
            if actives.is_empty() { setup.used().collect() } else { actives }
        };
        let setup = self.setup(gateway);
        let which: Vec<usize> = match kind {
            Kind::RedundancyLost => needed(setup),
            Kind::Outage | Kind::OneSided | Kind::Degraded => setup.used().collect(),
        };
        let each: Vec<_> = which.iter().map(|index| healthy(*index)).collect();
        let held = self.setups_of(gateway, from, at).into_iter().all(|(from, to, setup)| match kind {
            Kind::RedundancyLost => needed(setup).iter().all(|index| !dead(&[*index], from, to)),
            Kind::Outage => !dead(&setup.used().collect::<Vec<_>>(), from, to),
            Kind::OneSided | Kind::Degraded => true,
        });
        let over = match kind {
            Kind::RedundancyLost => each.iter().all(Result::is_ok),
            Kind::Outage => each.iter().any(Result::is_ok),
            // An outage closes one_sided, too.
            Kind::OneSided | Kind::Degraded => true,
        };
        (!over || !held).then(|| format!("{each:?}, held: {held}"))
    }
}
