//! What people silenced, by the world's own books, and what must not be sent because of it.

use std::time::Duration;

use bothends::domain::board::IncidentId;
use bothends::domain::fact::IncidentChange;
use bothends::domain::time::Moment;
use bothends::incident::sink::StartRequest;

use super::super::schedule::Silenced;
use super::super::time::of_aws_clock;
use super::super::views::Views;
use super::Truth;

/// A stamp has milliseconds.
const STAMP: Duration = Duration::from_millis(2);

/// When something was silenced at a gateway.
#[derive(Debug, Clone, Copy)]
struct Period {
    of: Silenced,
    from: Moment,
    until: Moment,
}

impl Period {
    fn includes(&self, tunnel: usize) -> bool {
        match self.of {
            Silenced::Site | Silenced::Connection => true,
            Silenced::Tunnel(one) => one == tunnel,
        }
    }
}

/// Per gateway, what people silenced there.
#[derive(Debug)]
pub struct Silences(Vec<Vec<Period>>);

impl Silences {
    pub fn new(gateways: usize) -> Self {
        Self(vec![Vec::new(); gateways])
    }

    pub fn add(&mut self, gateway: usize, of: Silenced, from: Moment, until: Moment) {
        self.0[gateway].push(Period { of, from, until });
    }

    /// People end what silences now, and take back what would have.
    pub fn end_all(&mut self, gateway: usize, at: Moment) {
        for period in &mut self.0[gateway] {
            period.until = period.until.min(at);
        }
    }

    /// Whether a tunnel is silenced, by whatever silence.
    pub fn includes(&self, gateway: usize, tunnel: usize, at: Moment) -> bool {
        let mut now = self.0[gateway].iter().filter(|period| period.from <= at && at < period.until);
        now.any(|period| period.includes(tunnel))
    }

    /// Whether anything was silenced at some moment.
    pub fn touched(&self, gateway: usize, from: Moment, to: Moment) -> bool {
        self.0[gateway].iter().any(|period| period.from <= to && from <= period.until)
    }

    /// Whether a tunnel was silenced in that whole period.
    fn held(&self, gateway: usize, tunnel: usize, from: Moment, to: Moment) -> bool {
        let mut reached = from;
        loop {
            let of = self.0[gateway].iter().filter(|period| period.includes(tunnel));
            let next = of.filter(|it| it.from <= reached && reached < it.until).map(|it| it.until).max();
            match next {
                None => return false,
                Some(until) if until > to => return true,
                Some(until) => reached = until,
            }
        }
    }
}

impl Truth {
    /// A gateway asks for a record of an incident.
    pub fn asked_for(
        &mut self,
        gateway: usize,
        request: &StartRequest,
        story: Option<&IncidentId>,
        at: Moment,
        views: &Views,
    ) {
        // What an incident on a wrong clock is silenced by depends on that clock.
        if self.jumped[gateway] {
            return;
        }
        let of = self.reported.iter().filter(|it| it.gateway == gateway && Some(&it.incident.id) == story);
        let of: Vec<(Moment, IncidentChange, bool)> = of.map(|it| (it.at, it.change, it.lost)).collect();
        let opened = of.iter().rfind(|(_, change, lost)| *change == IncidentChange::Opened && !lost);
        let Some((opened, _, _)) = opened.copied() else { return };
        if of_aws_clock(request.triggered) > opened + STAMP {
            let how = format!("gateway {gateway} dates {} after it opened", request.title);
            self.breaks(at, "a record has the true start of its incident", &how);
        }
        let is_over = |change| match change {
            IncidentChange::Resolved | IncidentChange::Unwatched | IncidentChange::HandedOver => true,
            IncidentChange::Opened
            | IncidentChange::Adopted
            | IncidentChange::Confirmed
            | IncidentChange::Updated
            | IncidentChange::Worsened
            | IncidentChange::Released
            | IncidentChange::Clearing
            | IncidentChange::Reopened => false,
        };
        let over = of.iter().find(|(when, change, _)| *when >= opened && is_over(*change));
        let until = over.map_or(at, |(when, _, _)| *when);
        let mut concerned = self.with_trouble(gateway, opened, until, views);
        if concerned.is_empty() {
            concerned = (0..self.switches.tunnels).collect();
        }
        let held = |tunnel: usize| self.silences.held(gateway, tunnel, opened - STAMP, until + STAMP);
        if concerned.into_iter().all(held) {
            let how = format!("gateway {gateway} starts a record: {}", request.title);
            self.breaks(at, "what is silenced creates no record", &how);
        }
    }

    /// The tunnels that an end may have called down in that period.
    fn with_trouble(&self, gateway: usize, from: Moment, to: Moment, views: &Views) -> Vec<usize> {
        let before = from - self.switches.stale_after - Duration::from_secs(60);
        let overlaps = |since: Moment, until: Moment| since <= to && until >= before;
        let by_us = |tunnel: usize| {
            let mut down = self.echoes[gateway][tunnel].down.iter();
            down.any(|(since, until)| overlaps(*since, until.unwrap_or(to)))
        };
        let by_aws =
            |tunnel: usize| views.reported_down[tunnel].iter().any(|(since, until)| overlaps(*since, *until));
        (0..self.switches.tunnels).filter(|tunnel| by_us(*tunnel) || by_aws(*tunnel)).collect()
    }
}
