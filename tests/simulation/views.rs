//! AWS's own view of the tunnels, and what its two sources report, each with its lag.

use std::collections::BTreeMap;
use std::time::Duration;

use bothends::domain::event::{Datapoint, Reading, Telemetry, TelemetryStatus};
use bothends::domain::names::SourceKind;
use bothends::domain::time::{Moment, Stamp};

use super::schedule::{Source, SourceFault, Switches};
use super::time::{aws_clock, of_aws_clock};

const MINUTE: Duration = Duration::from_secs(60);
/// How far back GetMetricData is queried, in minutes.
const LOOK_BACK: usize = 15;

#[derive(Debug)]
pub struct Views {
    switches: Switches,
    /// Per tunnel, since when AWS sees it Up or not, oldest first.
    sees: Vec<Vec<(Moment, bool)>>,
    /// Per tunnel, since when AWS sees IPsec Up or not, oldest first.
    ipsec: Vec<Vec<(Moment, bool)>>,
    /// Per tunnel, whether AWS has a BGP session, if IPsec is Up.
    session: Vec<bool>,
    /// Per tunnel, when EC2 reported "Down" with IPsec Up.
    pub reported_bgp: Vec<Vec<Moment>>,
    source_faults: BTreeMap<u8, SourceFault>,
    /// Whether a source ever reported "Down" against what AWS saw.
    reported_falsely: bool,
    /// Per tunnel, the periods for which a source reported "Down", in order of the reports: from, to.
    pub reported_down: Vec<Vec<(Moment, Moment)>>,
    /// The same for "Up".
    pub reported_up: Vec<Vec<(Moment, Moment)>>,
}

impl Views {
    pub fn new(switches: Switches) -> Self {
        let tunnels = switches.tunnels;
        let works = |tunnel| vec![(Moment::ORIGIN, !switches.never(tunnel))];
        Self {
            switches,
            sees: (0..tunnels).map(works).collect(),
            ipsec: (0..tunnels).map(works).collect(),
            session: vec![true; tunnels],
            reported_bgp: vec![Vec::new(); tunnels],
            source_faults: BTreeMap::new(),
            reported_falsely: false,
            reported_down: vec![Vec::new(); tunnels],
            reported_up: vec![Vec::new(); tunnels],
        }
    }

    /// At the end the sources report what AWS sees, without a lag that would make it stale.
    pub fn mend(&mut self) {
        self.source_faults.clear();
        let soon = MINUTE;
        self.switches.cloudwatch_lag = self.switches.cloudwatch_lag.min(soon);
        self.switches.ec2_lag = self.switches.ec2_lag.map(|lag| lag.min(soon));
        self.switches.silent_while_down = false;
    }

    /// AWS's view of IPsec changes.
    pub fn see(&mut self, tunnel: usize, up: bool, at: Moment) {
        if last(&self.ipsec[tunnel], at).1 != up {
            self.ipsec[tunnel].push((at, up));
        }
        self.tunnel_state_is(tunnel, at);
    }

    /// The BGP session comes up or goes down.
    pub fn bgp(&mut self, tunnel: usize, up: bool, at: Moment) {
        self.session[tunnel] = up;
        self.tunnel_state_is(tunnel, at);
    }

    fn tunnel_state_is(&mut self, tunnel: usize, at: Moment) {
        let up = last(&self.ipsec[tunnel], at).1 && self.session[tunnel];
        if self.sees_up(tunnel, at) != up {
            self.sees[tunnel].push((at, up));
        }
    }

    pub fn sees_ipsec(&self, tunnel: usize, at: Moment) -> bool {
        last(&self.ipsec[tunnel], at).1
    }

    pub fn sees_up(&self, tunnel: usize, at: Moment) -> bool {
        self.since(tunnel, at).1
    }

    pub fn say(&mut self, source: Source, fault: SourceFault) {
        self.reported_falsely |= fault == SourceFault::SaysDown;
        self.source_faults.insert(source as u8, fault);
    }

    /// Whether the sources report what AWS sees.
    pub fn are_truthful(&self) -> bool {
        self.source_faults.values().all(|fault| *fault == SourceFault::Truth)
    }

    /// What a source reports for a tunnel.
    pub fn read(&mut self, source: SourceKind, tunnel: usize, at: Moment) -> Reading {
        match source {
            SourceKind::CloudWatch => self.tunnel_state(tunnel, at),
            SourceKind::Ec2 => self.telemetry(tunnel, at),
        }
    }

    fn since(&self, tunnel: usize, at: Moment) -> (Moment, bool) {
        last(&self.sees[tunnel], at)
    }

    /// Whether AWS saw it Down at some moment, or one of its sources reported so.
    pub fn was_down(&self, tunnel: usize, from: Moment, to: Moment) -> bool {
        let (_, first) = self.since(tunnel, from);
        let later = self.sees[tunnel].iter().any(|(since, up)| *since > from && *since < to && !up);
        !first || later || self.reported_falsely
    }

    /// Past minutes, as CloudWatch shows them.
    pub fn history(&self, tunnel: usize, from: Stamp, to: Stamp, at: Moment) -> Vec<Datapoint> {
        let newest = aws_clock(at - self.switches.cloudwatch_lag).minute() - MINUTE;
        let mut points = Vec::new();
        let mut stamp = from.minute().max(aws_clock(Moment::ORIGIN));
        while stamp < to && stamp <= newest {
            points.extend(self.minute(tunnel, stamp).map(|value| Datapoint::of_minute(stamp, value)));
            stamp = stamp + MINUTE;
        }
        points
    }

    /// CloudWatch's value for a minute, if it can be interpreted.
    fn minute(&self, tunnel: usize, stamp: Stamp) -> Option<f64> {
        let fault =
            self.source_faults.get(&(Source::CloudWatch as u8)).copied().unwrap_or(SourceFault::Truth);
        let value = match fault {
            SourceFault::Truth => Some(self.fraction(tunnel, stamp)),
            SourceFault::SaysUp => Some(1.0),
            SourceFault::SaysDown => Some(0.0),
            SourceFault::Fraction => Some(0.5),
            SourceFault::Garbage | SourceFault::Silent => None,
        };
        value.filter(|value| *value != 0.0 || !self.switches.silent_while_down)
    }

    fn tunnel_state(&mut self, tunnel: usize, at: Moment) -> Reading {
        if self.source_faults.get(&(Source::CloudWatch as u8)) == Some(&SourceFault::Garbage) {
            return Reading::Garbage;
        }
        // The newest whole minute that can be visible by now.
        let shown = aws_clock(at - self.switches.cloudwatch_lag);
        let newest = shown.minute() - MINUTE;
        let mut stamp = newest;
        for _ in 0..LOOK_BACK {
            if let Some(value) = self.minute(tunnel, stamp) {
                let from = of_aws_clock(stamp);
                if value == 0.0 {
                    self.reported_down[tunnel].push((from, from + MINUTE));
                } else if value == 1.0 {
                    self.reported_up[tunnel].push((from, from + MINUTE));
                }
                return Reading::TunnelState(Some(Datapoint::of_minute(stamp, value)));
            }
            stamp = stamp - MINUTE;
        }
        Reading::TunnelState(None)
    }

    /// The fraction of a minute in which AWS saw the tunnel Up.
    fn fraction(&self, tunnel: usize, minute: Stamp) -> f64 {
        let (from, to) = (of_aws_clock(minute), of_aws_clock(minute) + MINUTE);
        let (_, first) = self.since(tunnel, from);
        let mut up = Duration::ZERO;
        let (mut at, mut is_up) = (from, first);
        for (since, becomes) in self.sees[tunnel].iter().filter(|(since, _)| *since > from && *since < to) {
            if is_up {
                up += since.since(at);
            }
            (at, is_up) = (*since, *becomes);
        }
        if is_up {
            up += to.since(at);
        }
        up.as_secs_f64() / MINUTE.as_secs_f64()
    }

    fn telemetry(&mut self, tunnel: usize, at: Moment) -> Reading {
        let fault = self.source_faults.get(&(Source::Ec2 as u8)).copied().unwrap_or(SourceFault::Truth);
        let lag = self.switches.ec2_lag.unwrap_or_default();
        let (since, up) = self.since(tunnel, at - lag);
        let (up, since) = match fault {
            SourceFault::Truth => (up, Some(since).filter(|_| self.switches.ec2_says_since)),
            SourceFault::SaysUp => (true, None),
            SourceFault::SaysDown => (false, None),
            SourceFault::Garbage | SourceFault::Silent | SourceFault::Fraction => return Reading::Garbage,
        };
        // Its answer contains no time, so it counts for the moment it is given.
        let said = if up { &mut self.reported_up } else { &mut self.reported_down };
        said[tunnel].push((at, at));
        let ipsec = last(&self.ipsec[tunnel], at - lag).1;
        if !up && ipsec {
            self.reported_bgp[tunnel].push(at);
        }
        Reading::Telemetry(Telemetry {
            status: if up { TelemetryStatus::Up } else { TelemetryStatus::Down },
            message: match (up, ipsec) {
                (true, _) => "1 BGP ROUTES".into(),
                (false, true) => "IPSEC IS UP".into(),
                (false, false) => "IPSEC IS DOWN".into(),
            },
            last_status_change: since.map(aws_clock),
            accepted_routes: None,
        })
    }
}

/// The state at a time, and since when.
fn last(changes: &[(Moment, bool)], at: Moment) -> (Moment, bool) {
    *changes.iter().rev().find(|(since, _)| *since <= at).unwrap_or(&changes[0])
}
