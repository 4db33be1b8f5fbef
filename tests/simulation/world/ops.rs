//! What a schedule does to the world.

use std::collections::BTreeSet;
use std::time::Duration;

use bothends::domain::names::Kind;

use super::super::gateway::Gateway;
use super::super::schedule::{Line, Op, Setup, Who};
use super::super::site::scope;
use super::super::time::{Clocks, aws_clock, of_aws_clock};
use super::{Scheduled, World};

impl World {
    pub(super) fn op(&mut self, op: Op) {
        self.remember(|| format!("{op:?}"));
        self.truth.news = true;
        let name = match op {
            Op::Path { who, tunnel, line } => {
                for (gateway, lines) in self.lines.iter_mut().enumerate() {
                    if who.includes(gateway) {
                        lines[tunnel] = line;
                        self.truth.path(gateway, tunnel, line, self.at);
                    }
                }
                match line {
                    Line::Carries => return,
                    Line::Dead | Line::NoRoute => "dead paths",
                    Line::Loses(_) | Line::Slow => "bad paths",
                    Line::Faulty => "faulty sockets",
                    Line::Missing => "missing addresses",
                }
            }
            Op::Sees { tunnel, up } => return self.views.see(tunnel, up, self.at),
            Op::Bgp { tunnel, up } => {
                self.views.bgp(tunnel, up, self.at);
                if up {
                    return;
                }
                "BGP down"
            }
            Op::Says { source, fault } => {
                self.views.say(source, fault);
                "false evidence"
            }
            Op::Trouble { calls, fault, percent } => return self.faults.set(calls, fault, percent),
            Op::Reach { who, reachable } => {
                self.each(who, |gateway| gateway.reachable = reachable);
                if reachable {
                    return;
                }
                "cut off"
            }
            Op::Credentials { who, valid } => {
                self.each(who, |gateway| gateway.credentials = valid);
                if valid {
                    return;
                }
                "expired credentials"
            }
            Op::Disk { who, writable } => {
                self.each(who, |gateway| gateway.writable = writable);
                if writable {
                    return;
                }
                "full disks"
            }
            Op::Crash { gateway, down } => return self.crash(gateway, down),
            Op::CrashSoon { gateway, steps, down } => {
                self.gateways[gateway].fuse = Some((steps, down));
                return;
            }
            Op::Reload { who, setup } => {
                for gateway in (0..self.gateways.len()).filter(|gateway| who.includes(*gateway)) {
                    for phase in self.phases(gateway) {
                        let name = match phase {
                            "pending" => "reloads while pending",
                            "open" => "reloads while open",
                            "clearing" => "reloads while clearing",
                            _ => continue,
                        };
                        *self.met.entry(name).or_default() += 1;
                    }
                }
                self.reload(who, setup);
                "reloads"
            }
            Op::Clock { gateway, offset } => {
                self.gateways[gateway].clocks.offset = offset;
                self.gateways[gateway].past.clock_jumped();
                self.truth.jumped(gateway);
                "clock jumps"
            }
            Op::PersonCloses => {
                self.truth.person_closes(self.at, &self.manager);
                self.manager.person_closes(self.at);
                "closes by people"
            }
            Op::Alarm => {
                self.manager.alarm(scope(Kind::Outage), self.at);
                while self.truth.records() < self.manager.records.len() {
                    self.truth.record_created(None);
                }
                "alarms"
            }
            Op::TakeOver { gateway } => {
                if self.holder == gateway {
                    return;
                }
                self.holder = gateway;
                self.truth.started(gateway, self.at);
                self.expected.restart_counting(gateway);
                for gateway in 0..self.gateways.len() {
                    self.look_at_addresses(gateway);
                }
                "take-overs"
            }
            Op::Poison => {
                self.metrics.always_rejected.push(("RoundTripTime", aws_clock(self.at).minute()));
                "poisoned data"
            }
            Op::Silence { who, of, after, lasting } => {
                for index in (0..self.gateways.len()).filter(|index| who.includes(*index)) {
                    let at = self.at;
                    let Some(silence) = self.gateways[index].silence(of, after, lasting, at) else {
                        continue;
                    };
                    let (from, until) = (of_aws_clock(silence.from), of_aws_clock(silence.until));
                    self.truth.silences.add(index, of, from, until);
                    for at in [from, until] {
                        self.later(at.since(self.at), Scheduled::News);
                    }
                    self.pass_silences(index);
                }
                "silences"
            }
            Op::EndSilences { who } => {
                for index in (0..self.gateways.len()).filter(|index| who.includes(*index)) {
                    if self.gateways[index].end_silences() {
                        self.truth.silences.end_all(index, self.at);
                        self.pass_silences(index);
                    }
                }
                return;
            }
        };
        *self.met.entry(name).or_default() += 1;
    }

    /// A daemon gets its list of silences.
    fn pass_silences(&mut self, index: usize) {
        let event = self.gateways[index].silences();
        self.with(index, |daemon, now| daemon.handle(event, now));
    }

    /// Reconfigures gateways.
    pub(super) fn reload(&mut self, who: Who, setup: Setup) {
        for index in (0..self.gateways.len()).filter(|index| who.includes(*index)) {
            if self.gateways[index].setup == setup {
                continue;
            }
            let (switches, at) = (self.switches, self.at);
            self.truth.reloaded(index, setup, at);
            self.expected.restart_counting(index);
            self.gateways[index].reload(&switches, setup, at);
            self.with(index, |_, _| {});
        }
    }

    /// The phase of each kind at a gateway.
    fn phases(&self, index: usize) -> BTreeSet<&'static str> {
        let gateway = &self.gateways[index];
        let now = gateway.clocks.now(self.at);
        gateway.daemon.as_ref().map(|daemon| daemon.phases(now)).unwrap_or_default()
    }

    pub(super) fn each(&mut self, who: Who, change: impl Fn(&mut Gateway)) {
        for (index, gateway) in self.gateways.iter_mut().enumerate() {
            if who.includes(index) {
                change(gateway);
            }
        }
    }

    pub(super) fn crash(&mut self, index: usize, down: Duration) {
        self.remember(|| format!("gateway {index} dies"));
        for phase in self.phases(index) {
            let name = match phase {
                "pending" => "crashes while pending",
                "open" => "crashes while open",
                "clearing" => "crashes while clearing",
                _ => continue,
            };
            *self.met.entry(name).or_default() += 1;
        }
        let gateway = &mut self.gateways[index];
        gateway.fuse = None;
        let Some(daemon) = gateway.daemon.take() else { return };
        gateway.wake = None;
        gateway.past.crashed(gateway.clocks.now(self.at));
        *self.met.entry("crashes").or_default() += 1;
        for (taken, lacking) in &daemon.undurable {
            self.metrics.forgotten(*taken, lacking);
        }
        self.truth.crashed(index, daemon.blind, daemon.engine.counts().rollups_dropped, self.at);
        if self.switches.power_cuts {
            let offset = gateway.clocks.offset;
            gateway.clocks = Clocks::booted_at(self.at, offset);
        }
        self.later(down, Scheduled::Start { gateway: index });
    }
}
