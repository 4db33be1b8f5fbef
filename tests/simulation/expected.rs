//! "Every outage that both ends saw for long enough, with AWS reachable within it, has its incident."

use std::time::Duration;

use bothends::domain::names::Kind;
use bothends::domain::time::Moment;

use super::calls::Weather;
use super::gateway::Gateway;
use super::manager::{Closer, Manager};
use super::schedule::{Calls, Line, Switches};
use super::site::scope;
use super::truth::{Truth, can_tell};
use super::views::Views;

/// Back-off of before: a rejection holds a call for five minutes.
const BACKOFF: Duration = Duration::from_secs(330);
/// TunnelState has whole minutes, the minute of the change is a fraction, and sources that contradict each other about the
/// same three minutes are no evidence.
const EVIDENCE: Duration = Duration::from_secs(60 + 60 + 180);
/// A look-up, a call, a look at the list.
const TELLING: Duration = Duration::from_secs(150);
/// A person who has just closed a record of the same outage is not disturbed, unless it worsens.
const PERSON: Duration = Duration::from_secs(2 * 3600);

/// The world as it is.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    pub gateways: &'a [Gateway],
    pub lines: &'a [[Line; 2]],
    pub views: &'a Views,
    pub weather: &'a Weather,
    pub manager: &'a Manager,
}

/// Since when, per gateway and kind, everything has been so that people must be told.
#[derive(Debug)]
pub struct Expected {
    since: Vec<[Option<Moment>; 3]>,
    lasting: Vec<[Option<Moment>; 3]>,
}

impl Expected {
    pub fn new(gateways: usize) -> Self {
        Self { since: vec![[None; 3]; gateways], lasting: vec![[None; 3]; gateways] }
    }

    /// Looks whether an incident is overdue.
    pub fn look(&mut self, at: Moment, scene: &Scene<'_>, truth: &mut Truth) {
        let Scene { gateways, lines, views, weather, manager } = *scene;
        let switches = truth.switches;
        let calm = weather.is_calm(Calls::Ask) && weather.is_calm(Calls::Incidents) && views.are_truthful();
        let sees = [views.sees_up(0, at), views.sees_up(1, at)];
        let telling = weather.is_calm(Calls::Incidents) && gateways.iter().all(can_tell);
        truth.troubled(at, !telling);
        for (index, gateway) in gateways.iter().enumerate() {
            let known = (0..2).all(|tunnel| truth.echoes[index][tunnel].ever_answered);
            let clean = calm && known && gateway.votes && can_tell(gateway) && gateway.clocks.offset == 0;
            for (slot, kind) in Kind::ALL.into_iter().enumerate() {
                let lasts = holds(kind, lines[index], sees, &switches);
                keep(&mut self.lasting[index][slot], lasts, at);
                keep(&mut self.since[index][slot], lasts && clean && speaks(&switches, kind), at);
                let Some(since) = self.since[index][slot] else { continue };
                if at.since(since) < needed(kind, &switches, truth.detection()) {
                    continue;
                }
                // Looked at once.
                self.since[index][slot] = Some(at + Duration::from_secs(365 * 86_400));
                let lasting = self.lasting[index][slot].unwrap_or(since);
                let told = manager.records.iter().any(|kept| {
                    kept.scope == scope(kind)
                        && match kept.closed {
                            None => true,
                            Some((closed, Closer::Person)) => closed + PERSON >= lasting,
                            Some((closed, Closer::Gateway(_))) => closed >= lasting,
                        }
                });
                if !told {
                    let how = format!("gateway {index}, {}", kind.as_str());
                    truth.breaks(at, "every outage that both ends saw has its incident", &how);
                }
            }
        }
    }

    /// A daemon that starts begins to count from there.
    pub fn started(&mut self, gateway: usize) {
        self.since[gateway] = [None; 3];
    }
}

fn keep(since: &mut Option<Moment>, holds: bool, at: Moment) {
    if holds {
        since.get_or_insert(at);
    } else {
        *since = None;
    }
}

/// Whether the tunnels are so that there is an incident of this kind, and of no other.
fn holds(kind: Kind, lines: [Line; 2], sees_up: [bool; 2], switches: &Switches) -> bool {
    let dead = lines.map(|line| line == Line::Dead || line == Line::NoRoute);
    let fine = lines.map(|line| line == Line::Carries);
    match kind {
        Kind::Outage => dead == [true; 2] && sees_up == [false; 2],
        Kind::RedundancyLost => {
            let lost = |a: usize, b: usize| dead[a] && !sees_up[a] && fine[b] && sees_up[b];
            lost(0, 1) || (!switches.standby && lost(1, 0))
        }
        Kind::OneSided => {
            (dead == [true; 2] && sees_up == [true; 2]) || (fine == [true; 2] && sees_up == [false; 2])
        }
    }
}

/// Whether AWS's sources can be expected to say it in time.
fn speaks(switches: &Switches, kind: Kind) -> bool {
    let margin = switches.poll_interval + Duration::from_secs(180);
    let slow = switches.cloudwatch_lag + margin > switches.stale_after;
    match kind {
        Kind::OneSided => !slow && !switches.silent_while_down && switches.one_sided_after.is_some(),
        Kind::Outage | Kind::RedundancyLost => {
            !slow && (!switches.silent_while_down || switches.ec2_lag.is_some())
        }
    }
}

fn needed(kind: Kind, switches: &Switches, detection: Duration) -> Duration {
    let open_after = match kind {
        Kind::Outage => switches.open_after_outage,
        Kind::RedundancyLost => switches.open_after_redundancy_lost,
        Kind::OneSided => switches.one_sided_after.unwrap_or_default(),
    };
    let lag = switches.cloudwatch_lag.max(switches.ec2_lag.unwrap_or_default());
    // What was Up until a while ago keeps its word until it is stale.
    let words = lag + EVIDENCE + switches.poll_interval * 2;
    detection * 2 + words + open_after + switches.start_grace + switches.list_lag + BACKOFF + TELLING
}
