//! "Every outage that both ends saw for long enough, while AWS was reachable, has its incident."

use std::time::Duration;

use bothends::domain::names::{Kind, Routing};
use bothends::domain::time::Moment;

use super::calls::Faults;
use super::gateway::Gateway;
use super::manager::{Closer, Manager};
use super::schedule::{Calls, Line, Switches, Use};
use super::truth::{Truth, can_report};
use super::views::Views;

/// Back-off from earlier failures: a rejection delays a call for five minutes.
const BACKOFF: Duration = Duration::from_secs(330);
/// TunnelState has whole minutes, the minute of the change is a fraction, and sources that contradict each other about
/// the same three minutes are no evidence.
const EVIDENCE: Duration = Duration::from_secs(60 + 60 + 180);
/// A session gets time after IPsec came up, and a second datapoint confirms that it is missing.
const BGP: Duration = Duration::from_secs(120 + 60);
/// A look-up, a call, another look at the list.
const DELIVERY: Duration = Duration::from_secs(150);
/// After a person closed a record of the same outage, nothing is sent unless it worsens.
const PERSON: Duration = Duration::from_secs(2 * 3600);

/// The current state of the world.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    pub gateways: &'a [Gateway],
    pub lines: &'a [Vec<Line>],
    pub views: &'a Views,
    pub faults: &'a Faults,
    pub manager: &'a Manager,
}

/// Since when, per gateway and kind, the conditions for an incident have held.
#[derive(Debug)]
pub struct Expected {
    since: Vec<[Option<Moment>; 3]>,
    lasting: Vec<[Option<Moment>; 3]>,
    /// When the next incident is overdue if nothing changes.
    due: Option<Moment>,
}

impl Expected {
    pub fn new(gateways: usize) -> Self {
        Self { since: vec![[None; 3]; gateways], lasting: vec![[None; 3]; gateways], due: None }
    }

    /// Checks whether an incident is overdue.
    pub fn look(&mut self, at: Moment, scene: &Scene<'_>, truth: &mut Truth) {
        if !std::mem::take(&mut truth.news) && self.due.is_none_or(|due| due > at) {
            return;
        }
        let Scene { gateways, lines, views, faults, manager } = *scene;
        let switches = truth.switches;
        let calm = faults.is_calm(Calls::Ask) && faults.is_calm(Calls::Incidents) && views.are_truthful();
        let can_deliver = faults.is_calm(Calls::Incidents) && gateways.iter().all(can_report);
        truth.troubled(at, !can_deliver);
        self.due = None;
        for (index, gateway) in gateways.iter().enumerate() {
            let setup = truth.setup(index);
            let tunnels: Vec<_> = setup
                .used()
                .map(|tunnel| Tunnel {
                    line: if setup.uses[tunnel] == Use::Mistyped {
                        Line::Missing
                    } else {
                        lines[index][tunnel]
                    },
                    was_held: truth.was_held(index, tunnel),
                    sees_up: views.sees_up(tunnel, at),
                    sees_ipsec: views.sees_ipsec(tunnel, at),
                    never: !truth.echoes[index][tunnel].is_known,
                    is_active: setup.is_active(tunnel),
                    is_silenced: truth.silences.includes(index, tunnel, at),
                })
                .collect();
            // A tunnel that never answered, does not answer now and is Down at AWS does not count.
            let known = tunnels.iter().all(|tunnel| !tunnel.never || (tunnel.is_silent() && !tunnel.sees_up));
            let clean = calm && known && gateway.votes && can_report(gateway) && gateway.clocks.offset == 0;
            let rules = Rules { switches: &switches, routing: setup.routing };
            for (slot, kind) in Kind::BY_DEFAULT.into_iter().enumerate() {
                let lasts = holds(kind, &tunnels, rules);
                keep(&mut self.lasting[index][slot], lasts, at);
                // What a silence does not include is sent, and what it does once it is over.
                let sent = !is_silenced(kind, &tunnels, rules);
                keep(&mut self.since[index][slot], lasts && sent && clean && speaks(&switches, kind), at);
                let Some(since) = self.since[index][slot] else { continue };
                let due = since + needed(kind, rules, truth.detection());
                if due > at {
                    self.due = Some(self.due.map_or(due, |earliest| earliest.min(due)));
                    continue;
                }
                // Checked at once.
                self.since[index][slot] = Some(at + Duration::from_secs(365 * 86_400));
                let lasting = self.lasting[index][slot].unwrap_or(since);
                let reported = manager.records.iter().any(|stored| {
                    stored.scope.kind == kind
                        && match stored.closed {
                            None => true,
                            Some((closed, Closer::Person)) => closed + PERSON >= lasting,
                            Some((closed, Closer::Gateway(_))) => closed >= lasting,
                        }
                });
                if !reported {
                    let how = format!("gateway {index}, {}", kind.as_str());
                    truth.breaks(at, "every outage seen by both ends has an incident", &how);
                }
            }
        }
    }

    /// A daemon that starts, or loads another configuration, starts counting from there.
    pub fn restart_counting(&mut self, gateway: usize) {
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

/// What a gateway judges by.
#[derive(Clone, Copy)]
struct Rules<'a> {
    switches: &'a Switches,
    routing: Routing,
}

/// The current state of a tunnel.
struct Tunnel {
    line: Line,
    was_held: bool,
    sees_up: bool,
    sees_ipsec: bool,
    /// It never answered.
    never: bool,
    is_active: bool,
    is_silenced: bool,
}

impl Tunnel {
    /// No probe is answered.
    fn is_silent(&self) -> bool {
        match self.line {
            Line::Dead | Line::NoRoute | Line::Missing => true,
            Line::Carries | Line::Loses(_) | Line::Slow | Line::Faulty => false,
        }
    }

    /// … and the daemon can know why: an address that was never there is a mistake in the configuration.
    fn is_dead(&self) -> bool {
        self.is_silent() && (self.line != Line::Missing || self.was_held)
    }

    fn is_fine(&self) -> bool {
        self.line == Line::Carries
    }

    /// Probes are answered, AWS says Down, and there is evidence that BGP is the reason.
    fn has_no_bgp(&self, rules: Rules<'_>) -> bool {
        let words = rules.switches.ec2_lag.is_some() && self.sees_ipsec;
        let tells = match rules.routing {
            Routing::Static => false,
            Routing::Bgp => !rules.switches.silent_while_down || words,
            Routing::Unknown => words,
        };
        self.is_fine() && !self.sees_up && tells
    }

    /// Both ends will report it Down.
    fn is_lost(&self, rules: Rules<'_>) -> bool {
        (self.is_dead() && !self.sees_up && !self.never) || self.has_no_bgp(rules)
    }

    /// No traffic passes, as far as can be known.
    fn is_stopped(&self, rules: Rules<'_>) -> bool {
        self.is_dead() || (self.is_silent() && !self.sees_up) || self.is_lost(rules)
    }

    fn carries(&self) -> bool {
        self.is_fine() && self.sees_up
    }
}

/// Whether the tunnels' state gives an incident of this kind, and of no other.
fn holds(kind: Kind, tunnels: &[Tunnel], rules: Rules<'_>) -> bool {
    let all = |what: &dyn Fn(&Tunnel) -> bool| tunnels.iter().all(what);
    let an_active = |what: &dyn Fn(&Tunnel) -> bool| tunnels.iter().any(|it| it.is_active && what(it));
    let lost = |tunnel: &Tunnel| tunnel.is_lost(rules);
    match kind {
        Kind::Outage => an_active(&lost) && all(&|it| it.is_stopped(rules)),
        Kind::RedundancyLost => {
            an_active(&lost)
                && tunnels.iter().any(Tunnel::carries)
                && all(&|it| lost(it) || it.carries() || it.never)
        }
        Kind::OneSided => {
            let by_aws = |it: &Tunnel| it.is_fine() && !it.sees_up;
            let by_one_end = an_active(&|it| (it.is_dead() && it.sees_up) || by_aws(it));
            let of_each = all(&|it| it.is_dead() || by_aws(it) || (!it.sees_up && it.is_silent()));
            // A lost standby suppresses nothing; a state that is neither lost nor clear is not checked.
            let clear = all(&|it| !it.has_no_bgp(rules)) && !an_active(&lost);
            by_one_end && of_each && clear && (rules.routing == Routing::Static || all(&Tunnel::is_dead))
        }
        // Tickets are off.
        Kind::Degraded => false,
    }
}

/// Whether every tunnel that such an incident is about is silenced.
fn is_silenced(kind: Kind, tunnels: &[Tunnel], rules: Rules<'_>) -> bool {
    tunnels.iter().all(|tunnel| {
        tunnel.is_silenced
            || match kind {
                Kind::RedundancyLost => !(tunnel.is_active && tunnel.is_lost(rules)),
                Kind::Outage | Kind::OneSided | Kind::Degraded => false,
            }
    })
}

/// Whether AWS's sources can be expected to report it in time.
fn speaks(switches: &Switches, kind: Kind) -> bool {
    let margin = switches.poll_interval + Duration::from_secs(180);
    let slow = switches.cloudwatch_lag + margin > switches.stale_after;
    match kind {
        Kind::Degraded => false,
        Kind::OneSided => !slow && !switches.silent_while_down && switches.one_sided_after.is_some(),
        Kind::Outage | Kind::RedundancyLost => {
            !slow && (!switches.silent_while_down || switches.ec2_lag.is_some())
        }
    }
}

fn needed(kind: Kind, rules: Rules<'_>, detection: Duration) -> Duration {
    let Rules { switches, routing } = rules;
    let open_after = match kind {
        Kind::Outage => switches.open_after_outage,
        Kind::RedundancyLost => switches.open_after_redundancy_lost,
        Kind::OneSided => switches.one_sided_after.unwrap_or_default(),
        Kind::Degraded => Duration::ZERO,
    };
    let lag = switches.cloudwatch_lag.max(switches.ec2_lag.unwrap_or_default());
    // Earlier "Up" data counts until it is stale.
    let words = lag + EVIDENCE + switches.poll_interval * 2;
    let words = if routing == Routing::Static { words } else { words + BGP + switches.poll_interval };
    detection * 2 + words + open_after + switches.start_grace + switches.list_lag + BACKOFF + DELIVERY
}
