//! AWS's own view of the tunnels, and what its two sources say of it, each as late as it is.

use std::collections::BTreeMap;
use std::time::Duration;

use bothends::domain::event::{Datapoint, Reading, Telemetry, TelemetryStatus};
use bothends::domain::names::SourceKind;
use bothends::domain::time::{Moment, Stamp};

use super::schedule::{Source, Switches, Word};
use super::time::{aws_clock, of_aws_clock};

const MINUTE: Duration = Duration::from_secs(60);
/// GetMetricData is asked about this much of the past.
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
    /// Per tunnel, when EC2 has said "Down", and that IPsec is Up.
    pub said_bgp: Vec<Vec<Moment>>,
    words: BTreeMap<u8, Word>,
    /// Whether a source has ever said "Down" of what AWS did not see so.
    said_falsely: bool,
    /// Per tunnel, the periods of which a source has said "Down", in the order of saying: from, to.
    pub said_down: Vec<Vec<(Moment, Moment)>>,
    /// The same of "Up".
    pub said_up: Vec<Vec<(Moment, Moment)>>,
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
            said_bgp: vec![Vec::new(); tunnels],
            words: BTreeMap::new(),
            said_falsely: false,
            said_down: vec![Vec::new(); tunnels],
            said_up: vec![Vec::new(); tunnels],
        }
    }

    /// In the end the sources say what AWS sees, and not so late that it would never count.
    pub fn mend(&mut self) {
        self.words.clear();
        let soon = MINUTE;
        self.switches.cloudwatch_lag = self.switches.cloudwatch_lag.min(soon);
        self.switches.ec2_lag = self.switches.ec2_lag.map(|lag| lag.min(soon));
        self.switches.silent_while_down = false;
    }

    /// AWS sees IPsec so.
    pub fn see(&mut self, tunnel: usize, up: bool, at: Moment) {
        if last(&self.ipsec[tunnel], at).1 != up {
            self.ipsec[tunnel].push((at, up));
        }
        self.tunnel_state_is(tunnel, at);
    }

    /// AWS has a BGP session, or has none.
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

    /// Whether AWS sees IPsec Up.
    pub fn sees_ipsec(&self, tunnel: usize, at: Moment) -> bool {
        last(&self.ipsec[tunnel], at).1
    }

    pub fn sees_up(&self, tunnel: usize, at: Moment) -> bool {
        self.since(tunnel, at).1
    }

    pub fn say(&mut self, source: Source, word: Word) {
        self.said_falsely |= word == Word::SaysDown;
        self.words.insert(source as u8, word);
    }

    /// Whether the sources say what AWS sees.
    pub fn are_truthful(&self) -> bool {
        self.words.values().all(|word| *word == Word::Truth)
    }

    /// What a source says of a tunnel.
    pub fn read(&mut self, source: SourceKind, tunnel: usize, at: Moment) -> Reading {
        match source {
            SourceKind::CloudWatch => self.tunnel_state(tunnel, at),
            SourceKind::Ec2 => self.telemetry(tunnel, at),
        }
    }

    fn since(&self, tunnel: usize, at: Moment) -> (Moment, bool) {
        last(&self.sees[tunnel], at)
    }

    /// Whether AWS saw it Down at some moment, or one of its sources said so.
    pub fn was_down(&self, tunnel: usize, from: Moment, to: Moment) -> bool {
        let (_, first) = self.since(tunnel, from);
        let later = self.sees[tunnel].iter().any(|(since, up)| *since > from && *since < to && !up);
        !first || later || self.said_falsely
    }

    /// The minutes of the past, as CloudWatch shows them.
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

    /// What CloudWatch has of a minute, if it is to be understood.
    fn minute(&self, tunnel: usize, stamp: Stamp) -> Option<f64> {
        let word = self.words.get(&(Source::CloudWatch as u8)).copied().unwrap_or(Word::Truth);
        let value = match word {
            Word::Truth => Some(self.fraction(tunnel, stamp)),
            Word::SaysUp => Some(1.0),
            Word::SaysDown => Some(0.0),
            Word::Fraction => Some(0.5),
            Word::Garbage | Word::Silent => None,
        };
        value.filter(|value| *value != 0.0 || !self.switches.silent_while_down)
    }

    fn tunnel_state(&mut self, tunnel: usize, at: Moment) -> Reading {
        if self.words.get(&(Source::CloudWatch as u8)) == Some(&Word::Garbage) {
            return Reading::Garbage;
        }
        // The newest whole minute that has had time to show.
        let shown = aws_clock(at - self.switches.cloudwatch_lag);
        let newest = shown.minute() - MINUTE;
        let mut stamp = newest;
        for _ in 0..LOOK_BACK {
            if let Some(value) = self.minute(tunnel, stamp) {
                let from = of_aws_clock(stamp);
                if value == 0.0 {
                    self.said_down[tunnel].push((from, from + MINUTE));
                } else if value == 1.0 {
                    self.said_up[tunnel].push((from, from + MINUTE));
                }
                return Reading::TunnelState(Some(Datapoint::of_minute(stamp, value)));
            }
            stamp = stamp - MINUTE;
        }
        Reading::TunnelState(None)
    }

    /// How much of a minute AWS saw the tunnel Up.
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
        let word = self.words.get(&(Source::Ec2 as u8)).copied().unwrap_or(Word::Truth);
        let lag = self.switches.ec2_lag.unwrap_or_default();
        let (since, up) = self.since(tunnel, at - lag);
        let (up, since) = match word {
            Word::Truth => (up, Some(since).filter(|_| self.switches.ec2_says_since)),
            Word::SaysUp => (true, None),
            Word::SaysDown => (false, None),
            Word::Garbage | Word::Silent | Word::Fraction => return Reading::Garbage,
        };
        // Its answer names no time, so that it speaks of the moment it is given.
        let said = if up { &mut self.said_up } else { &mut self.said_down };
        said[tunnel].push((at, at));
        let ipsec = last(&self.ipsec[tunnel], at - lag).1;
        if !up && ipsec {
            self.said_bgp[tunnel].push(at);
        }
        Reading::Telemetry(Telemetry {
            status: if up { TelemetryStatus::Up } else { TelemetryStatus::Down },
            message: match (up, ipsec) {
                (true, _) => "1 BGP ROUTES".into(),
                (false, true) => "IPSEC IS UP".into(),
                (false, false) => "IPSEC IS DOWN".into(),
            },
            last_status_change: since.map(aws_clock),
        })
    }
}

/// What is so at a time, and since when.
fn last(changes: &[(Moment, bool)], at: Moment) -> (Moment, bool) {
    *changes.iter().rev().find(|(since, _)| *since <= at).unwrap_or(&changes[0])
}
