//! What happens to a site whose connections share an uplink: drawn from the seed, and then plain data.

use std::time::Duration;

use bothends::domain::names::Routing;

use super::super::chance::Chance;
use super::super::schedule::{Calls, Fault, KnownToken, Switches};

/// Before anything happens, everything is seen up.
const CALM_FIRST: u64 = 600;

/// One run.
#[derive(Debug, Clone)]
pub struct Script {
    pub seed: u64,
    pub switches: Switches,
    /// How many connections, of two tunnels each.
    pub connections: usize,
    /// In order of time, after the start.
    pub steps: Vec<(Duration, Step)>,
}

#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// The uplink, for everything at the site.
    Uplink {
        up: bool,
    },
    /// A connection of its own, whatever its uplink does.
    Connection {
        connection: usize,
        works: bool,
    },
    Trouble {
        calls: Calls,
        fault: Fault,
        percent: u8,
    },
    Reach {
        gateway: usize,
        reachable: bool,
    },
    Disk {
        gateway: usize,
        writable: bool,
    },
    Crash {
        gateway: usize,
        down: Duration,
    },
    /// The same, after this many further steps of the daemon.
    CrashSoon {
        gateway: usize,
        steps: u32,
        down: Duration,
    },
    /// The role of the first connection's second tunnel changes, and the daemons reload.
    Reload {
        standby: bool,
    },
    PersonCloses,
}

impl Script {
    pub fn draw(seed: u64) -> Self {
        let mut chance = Chance::of(seed, "shared uplink");
        let connections = usize::try_from(chance.below(2, 4)).expect("small");
        let drawn = Switches::draw(&mut chance);
        let lag = drawn.cloudwatch_lag.min(Duration::from_secs(120));
        let switches = Switches {
            vrrp: false,
            tunnels: 2 * connections,
            standby: 0,
            never: 0,
            routing: Routing::Static,
            stale_after: Duration::from_secs(900),
            // Two records for one incident are ruled out.
            known_token: match drawn.known_token {
                KnownToken::NewRecord | KnownToken::OldRecord => KnownToken::OldRecord,
                KnownToken::Conflict => KnownToken::Conflict,
            },
            folds: false,
            silent_while_down: false,
            cloudwatch_lag: lag,
            ec2_lag: drawn.ec2_lag.map(|ec2_lag| ec2_lag.min(lag)),
            ..drawn
        };
        let mut draw =
            Draw { at: CALM_FIRST * 1000, steps: Vec::new(), connections, twin: drawn.twin, chance };
        for _ in 0..draw.chance.below(1, 4) {
            draw.episode();
            draw.at += draw.chance.one_of(&[30_000, 400_000, 4_000_000]);
        }
        let mut steps = draw.steps;
        steps.sort_by_key(|(at, _)| *at);
        let steps = steps.into_iter().map(|(at, step)| (Duration::from_millis(at), step)).collect();
        Self { seed, switches, connections, steps }
    }
}

/// A script in the making.
struct Draw {
    /// In milliseconds.
    at: u64,
    steps: Vec<(u64, Step)>,
    connections: usize,
    twin: bool,
    chance: Chance,
}

impl Draw {
    fn push(&mut self, at: u64, step: Step) {
        self.steps.push((at, step));
    }

    fn lasting(&mut self) -> u64 {
        match self.chance.below(0, 5) {
            0 => self.chance.below(1_000, 120_000),
            1 | 2 => self.chance.below(120_000, 1_500_000),
            _ => self.chance.below(1_500_000, 5_000_000),
        }
    }

    fn connection(&mut self) -> usize {
        let count = u64::try_from(self.connections).expect("small");
        usize::try_from(self.chance.below(0, count)).expect("small")
    }

    fn gateway(&mut self) -> usize {
        usize::from(self.twin && self.chance.percent(50))
    }

    /// The uplink fails, a connection, or one under the other; and perhaps something else meanwhile.
    fn episode(&mut self) {
        let (from, lasting) = (self.at, self.lasting());
        let end = from + lasting;
        let what = self.chance.below(0, 10);
        if what < 7 {
            self.push(from, Step::Uplink { up: false });
            self.push(end, Step::Uplink { up: true });
        }
        if what >= 5 {
            // Before it, under it, or after it.
            let connection = self.connection();
            let begins = (from + self.chance.below(0, lasting + 400_000)).saturating_sub(200_000);
            let lasts = self.lasting() + self.lasting();
            self.push(begins, Step::Connection { connection, works: false });
            self.push(begins + lasts, Step::Connection { connection, works: true });
            self.at = self.at.max(begins + lasts);
        }
        self.at = self.at.max(end);
        for _ in 0..self.chance.below(0, 3) {
            let at = match self.chance.below(0, 3) {
                0 => from + self.chance.below(0, lasting.min(300_000)),
                1 => from + self.chance.below(0, lasting),
                _ => end + self.chance.below(0, 600_000),
            };
            self.trouble(at);
        }
    }

    fn trouble(&mut self, at: u64) {
        let (gateway, lasting) = (self.gateway(), self.lasting() / 2);
        match self.chance.below(0, 10) {
            0 | 1 => {
                let calls = self.chance.one_of(&[Calls::Ask, Calls::Incidents, Calls::Incidents]);
                let (fault, percent) = (self.chance.one_of(&Fault::ALL), self.chance.one_of(&[40, 90, 100]));
                self.push(at, Step::Trouble { calls, fault, percent });
                self.push(at + lasting, Step::Trouble { calls, fault, percent: 0 });
            }
            2 => {
                self.push(at, Step::Reach { gateway, reachable: false });
                self.push(at + lasting, Step::Reach { gateway, reachable: true });
            }
            3 => {
                self.push(at, Step::Disk { gateway, writable: false });
                self.push(at + lasting, Step::Disk { gateway, writable: true });
            }
            4 => {
                let standby = self.chance.percent(50);
                self.push(at, Step::Reload { standby });
            }
            5 | 6 => self.push(at, Step::PersonCloses),
            7 => {
                let down = self.chance.millis(100, 900_000);
                self.push(at, Step::Crash { gateway, down });
            }
            _ => {
                let steps = u32::try_from(self.chance.below(1, 60)).expect("small");
                let down = self.chance.millis(100, 60_000);
                self.push(at, Step::CrashSoon { gateway, steps, down });
            }
        }
    }
}
