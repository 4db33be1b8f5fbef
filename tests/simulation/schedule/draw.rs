//! Draws a schedule from its seed.

use std::num::NonZeroU32;
use std::time::Duration;

use bothends::domain::names::Routing;
use bothends::domain::plan::ProbeRules;

use super::super::chance::Chance;
use super::{
    Calls, Fault, KnownToken, Line, Op, Schedule, Setup, Silenced, Source, SourceFault, Switches, Timed, Use,
    Who,
};

/// Before anything happens, every tunnel is seen up.
const CALM_FIRST: u64 = 600;

impl Schedule {
    pub fn draw(seed: u64) -> Self {
        let mut chance = Chance::of(seed, "schedule");
        let switches = Switches::draw(&mut chance);
        let mut draw = Draw { at: 0, ops: Vec::new(), switches, chance };
        draw.at = if draw.chance.percent(95) { CALM_FIRST } else { 5 };
        for _ in 0..draw.chance.below(2, 9) {
            draw.episode();
            draw.at += draw.gap();
        }
        let mut ops = draw.ops;
        ops.sort_by_key(|(at, _)| *at);
        let silences = silences(&ops, &switches, &mut Chance::of(seed, "silences"));
        ops.extend(silences);
        ops.sort_by_key(|(at, _)| *at);
        let ops = ops
            .into_iter()
            .enumerate()
            .map(|(number, (at, op))| Timed { number, at: Duration::from_millis(at), op })
            .collect();
        Self { seed, switches, ops }
    }
}

/// Planned times, each near something that happens: before it, in the middle of it, or after it.
fn silences(ops: &[(u64, Op)], switches: &Switches, chance: &mut Chance) -> Vec<(u64, Op)> {
    let mut silences = Vec::new();
    if ops.is_empty() || !chance.percent(35) {
        return silences;
    }
    let breaks = |(at, op): &(u64, Op)| match op {
        Op::Path { line: Line::Dead | Line::NoRoute | Line::Missing, .. }
        | Op::Sees { up: false, .. }
        | Op::Bgp { up: false, .. } => Some(*at),
        Op::Path { line: Line::Carries | Line::Loses(_) | Line::Slow | Line::Faulty, .. }
        | Op::Sees { up: true, .. }
        | Op::Bgp { up: true, .. }
        | Op::Says { .. }
        | Op::Trouble { .. }
        | Op::Reach { .. }
        | Op::Credentials { .. }
        | Op::Disk { .. }
        | Op::Crash { .. }
        | Op::CrashSoon { .. }
        | Op::Reload { .. }
        | Op::Clock { .. }
        | Op::TakeOver { .. }
        | Op::PersonCloses
        | Op::Alarm
        | Op::Poison
        | Op::Silence { .. }
        | Op::EndSilences { .. } => None,
    };
    let mut moments: Vec<u64> = ops.iter().filter_map(breaks).collect();
    moments.extend(ops.iter().map(|(at, _)| *at).filter(|_| chance.percent(10)));
    if moments.is_empty() {
        return silences;
    }
    for _ in 0..chance.below(1, 4) {
        let near = chance.one_of(&moments);
        let at = match chance.below(0, 4) {
            0 => near.saturating_sub(chance.below(0, 1_200_000)),
            1 => near + chance.below(0, 60_000),
            2 => near + chance.below(0, 600_000),
            _ => near + chance.below(0, 3_000_000),
        };
        let who = if switches.twin && chance.percent(25) {
            Who::Both
        } else {
            Who::One(usize::from(switches.twin && chance.percent(50)))
        };
        let tunnel = usize::try_from(chance.below(0, 4)).expect("small") % switches.tunnels;
        let of = chance.one_of(&[
            Silenced::Site,
            Silenced::Connection,
            Silenced::Connection,
            Silenced::Tunnel(tunnel),
        ]);
        let after = if chance.percent(70) { Duration::ZERO } else { chance.secs(1, 1_200) };
        // The longest outlasts the schedule: what is over is resolved all the same.
        let lasting = match chance.below(0, 8) {
            0 => chance.millis(1, 60_000),
            1..=3 => chance.millis(60_000, 900_000),
            4..=6 => chance.millis(900_000, 7_200_000),
            _ => Duration::from_secs(7 * 86_400),
        };
        silences.push((at, Op::Silence { who, of, after, lasting }));
        if chance.percent(20) {
            silences.push((at + chance.below(0, 3_000_000), Op::EndSilences { who }));
        }
    }
    silences
}

impl Switches {
    pub fn draw(chance: &mut Chance) -> Self {
        let secs = Duration::from_secs;
        let interval = chance.one_of(&[1, 5, 5, 10, 10, 10, 20, 20, 20, 30, 30, 30]);
        let count = |count| NonZeroU32::new(count).unwrap();
        let lag = if chance.percent(80) { chance.secs(0, 180) } else { chance.secs(0, 600) };
        let poll_interval = chance.one_of(&[secs(30), secs(60), secs(60), secs(300)]);
        let twin = chance.percent(40);
        let tunnels = chance.one_of(&[1, 2, 2, 2, 2, 2, 3, 4]);
        // Bits beyond the last tunnel are ignored; the first tunnel is active, and works.
        let mut bits =
            |percent| (1..4).filter(|_| chance.percent(percent)).fold(0_u8, |all, bit| all | (1 << bit));
        let (standby, never) = (bits(25), bits(15));
        Self {
            twin,
            vrrp: twin && chance.percent(30),
            tunnels,
            standby,
            never,
            routing: chance.one_of(&[Routing::Bgp, Routing::Bgp, Routing::Static, Routing::Unknown]),
            probe: ProbeRules {
                interval: secs(interval),
                suspect_interval: secs(interval).min(chance.one_of(&[secs(1), secs(2), secs(5)])),
                timeout: chance.one_of(&[secs(1), secs(1), secs(3)]),
                down_after: count(chance.one_of(&[3, 5, 10])),
                up_after: count(chance.one_of(&[2, 5])),
            },
            poll_interval,
            stale_after: chance.one_of(&[secs(600), secs(600), secs(300)]).max(poll_interval * 2),
            open_after_outage: chance.one_of(&[secs(0), secs(30), secs(30), secs(120)]),
            open_after_redundancy_lost: chance.one_of(&[secs(30), secs(120)]),
            one_sided_after: chance.one_of(&[None, Some(secs(300)), Some(secs(900))]),
            resolve_after: chance.one_of(&[secs(60), secs(300), secs(300)]),
            start_grace: chance.one_of(&[secs(0), secs(120)]),
            known_token: chance.one_of(&[
                KnownToken::OldRecord,
                KnownToken::Conflict,
                KnownToken::Conflict,
                KnownToken::NewRecord,
            ]),
            token_memory: chance.one_of(&[secs(3600), secs(24 * 3600)]),
            list_lag: chance.secs(0, 61),
            folds: chance.percent(30),
            silent_while_down: chance.percent(10),
            cloudwatch_lag: lag,
            ec2_lag: chance.percent(40).then(|| chance.secs(0, 300)),
            ec2_says_since: chance.percent(50),
            power_cuts: chance.percent(50),
        }
    }
}

/// A schedule in the making.
struct Draw {
    /// In milliseconds.
    at: u64,
    ops: Vec<(u64, Op)>,
    switches: Switches,
    chance: Chance,
}

impl Draw {
    fn push(&mut self, after: u64, op: Op) {
        self.ops.push((self.at * 1000 + after, op));
    }

    /// Seconds: short, medium or long.
    fn gap(&mut self) -> u64 {
        match self.chance.below(0, 6) {
            0 | 1 => self.chance.below(1, 30),
            2 | 3 => self.chance.below(30, 400),
            4 => self.chance.below(400, 1500),
            _ => self.chance.below(1500, 5000),
        }
    }

    /// The same in milliseconds.
    fn lasting(&mut self) -> u64 {
        self.gap() * 1000 + self.chance.below(0, 1000)
    }

    fn gateway(&mut self) -> usize {
        usize::from(self.switches.twin && self.chance.percent(50))
    }

    fn who(&mut self) -> Who {
        if self.chance.percent(70) { Who::Both } else { Who::One(self.gateway()) }
    }

    /// One coherent fault, and perhaps another in the middle of it.
    fn episode(&mut self) {
        match self.chance.below(0, 22) {
            0..=7 => self.outage(),
            8..=9 => self.one_end(),
            10 => self.flapping(),
            11 => self.faults(),
            12 => self.source_faults(),
            13 => self.clock(),
            14..=15 => self.bgp(),
            16 => self.address_lost(),
            17 => self.reboot(),
            18 => self.reload(0),
            _ => self.trouble(),
        }
        if self.chance.percent(45) {
            self.trouble();
        }
        if self.switches.vrrp && self.chance.percent(30) {
            let (at, gateway) = (self.lasting(), self.gateway());
            self.push(at, Op::TakeOver { gateway });
        }
    }

    /// Both ends lose one tunnel or both; AWS sees it a little earlier or later.
    fn outage(&mut self) {
        let both = self.chance.percent(60);
        let line = if self.chance.percent(85) { Line::Dead } else { Line::NoRoute };
        let from = self.chance.below(0, 120_000);
        let lasting = self.lasting() + self.lasting();
        let one = self.tunnel();
        for tunnel in 0..self.switches.tunnels {
            if (!both && tunnel != one) || self.switches.never(tunnel) {
                continue;
            }
            let beside = if self.chance.percent(50) { 0 } else { self.chance.below(0, 600_000) };
            let end = from + beside + lasting;
            let sees = self.chance.below(0, 90_000);
            self.push(from + beside, Op::Path { who: Who::Both, tunnel, line });
            self.push(from + beside + sees, Op::Sees { tunnel, up: false });
            self.push(end, Op::Path { who: Who::Both, tunnel, line: Line::Carries });
            let sees = self.chance.below(0, 90_000);
            self.push(end + sees, Op::Sees { tunnel, up: true });
        }
        let during = from + self.chance.below(0, lasting.max(1));
        if self.chance.percent(25) {
            self.push(during, Op::PersonCloses);
        }
        if self.chance.percent(10) {
            self.push(during, Op::Alarm);
        }
        self.meanwhile(from, lasting);
        if self.chance.percent(20) {
            // The route to AWS goes through the tunnels.
            let who = self.who();
            self.push(from, Op::Reach { who, reachable: false });
            let end = if self.chance.percent(50) { from + lasting } else { during };
            self.push(end, Op::Reach { who, reachable: true });
        }
    }

    /// Only one end sees it down.
    fn one_end(&mut self) {
        let ours = self.chance.percent(50);
        let who = self.who();
        let lasting = self.lasting();
        for tunnel in self.some() {
            if ours {
                self.push(0, Op::Path { who, tunnel, line: Line::Dead });
                self.push(lasting, Op::Path { who, tunnel, line: Line::Carries });
            } else {
                self.push(0, Op::Sees { tunnel, up: false });
                self.push(lasting, Op::Sees { tunnel, up: true });
            }
        }
    }

    /// BGP breaks, IPsec does not.
    fn bgp(&mut self) {
        let lasting = self.lasting() + self.lasting();
        for tunnel in self.some() {
            let beside = self.chance.below(0, 120_000);
            self.push(beside, Op::Bgp { tunnel, up: false });
            self.push(beside + lasting, Op::Bgp { tunnel, up: true });
        }
        self.meanwhile(0, lasting);
    }

    /// The host loses the tunnels' inside addresses, as when IPsec removes its interfaces; AWS sees it eventually.
    fn address_lost(&mut self) {
        let (who, lasting) = (self.who(), self.lasting() + self.lasting());
        for tunnel in self.some() {
            let sees = self.chance.below(0, 120_000);
            self.push(0, Op::Path { who, tunnel, line: Line::Missing });
            self.push(sees, Op::Sees { tunnel, up: false });
            self.push(lasting, Op::Path { who, tunnel, line: Line::Carries });
            self.push(lasting + sees, Op::Sees { tunnel, up: true });
        }
        self.meanwhile(0, lasting);
    }

    /// The host reboots, and IPsec does not come back: no tunnel has its address.
    fn reboot(&mut self) {
        let (gateway, lasting) = (self.gateway(), self.lasting() + self.lasting());
        let down = self.chance.secs(5, 120);
        let who = Who::One(gateway);
        self.push(0, Op::Crash { gateway, down });
        for tunnel in self.working() {
            self.push(0, Op::Path { who, tunnel, line: Line::Missing });
            let sees = self.chance.below(0, 120_000);
            self.push(sees, Op::Sees { tunnel, up: false });
            self.push(lasting, Op::Path { who, tunnel, line: Line::Carries });
            self.push(lasting + sees, Op::Sees { tunnel, up: true });
        }
    }

    /// In some phase of an episode the daemon dies, or its configuration changes, or both.
    fn meanwhile(&mut self, from: u64, lasting: u64) {
        if self.chance.percent(30) {
            let at = self.moment(from, lasting);
            self.crash(at);
        }
        if self.chance.percent(25) {
            let at = self.moment(from, lasting);
            self.reload(at);
        }
    }

    /// When an incident may be about to open, is open, or clears.
    fn moment(&mut self, from: u64, lasting: u64) -> u64 {
        let lasting = lasting.max(1);
        let clears = 90 + self.switches.resolve_after.as_secs();
        match self.chance.below(0, 3) {
            0 => from + self.chance.below(0, lasting.min(400_000)),
            1 => from + self.chance.below(0, lasting),
            _ => from + lasting + self.chance.below(0, clears * 1000),
        }
    }

    /// Another configuration, mostly for a while.
    fn reload(&mut self, at: u64) {
        let (who, setup) = (self.who(), self.setup());
        self.push(at, Op::Reload { who, setup });
        if self.chance.percent(60) {
            let back = at + self.lasting();
            self.push(back, Op::Reload { who, setup: self.switches.setup() });
        }
    }

    /// The first configuration with other roles, another routing, or both.
    fn setup(&mut self) -> Setup {
        let mut setup = self.switches.setup();
        if self.chance.percent(40) {
            setup.routing = self.chance.one_of(&[Routing::Bgp, Routing::Static, Routing::Unknown]);
        }
        let uses =
            [Use::Active, Use::Active, Use::Standby, Use::Standby, Use::Unused, Use::Absent, Use::Mistyped];
        for tunnel in 0..self.switches.tunnels {
            if self.chance.percent(50) {
                setup.uses[tunnel] = self.chance.one_of(&uses);
            }
        }
        if setup.used().next().is_none() {
            setup.uses[0] = self.chance.one_of(&[Use::Active, Use::Standby]);
        }
        setup
    }

    fn tunnel(&mut self) -> usize {
        let working: Vec<usize> = self.working().collect();
        self.chance.one_of(&working)
    }

    /// A working tunnel, or all of them.
    fn some(&mut self) -> Vec<usize> {
        if self.chance.percent(50) { self.working().collect() } else { vec![self.tunnel()] }
    }

    fn working(&self) -> impl Iterator<Item = usize> + use<> {
        let switches = self.switches;
        (0..switches.tunnels).filter(move |tunnel| !switches.never(*tunnel))
    }

    fn flapping(&mut self) {
        let tunnel = self.tunnel();
        let mut at = 0;
        for _ in 0..self.chance.below(3, 12) {
            for (up, line) in [(false, Line::Dead), (true, Line::Carries)] {
                self.push(at, Op::Path { who: Who::Both, tunnel, line });
                self.push(at, Op::Sees { tunnel, up });
                at += self.chance.below(5_000, 200_000);
            }
        }
    }

    /// Loss, delay or send errors.
    fn faults(&mut self) {
        let loss = Line::Loses(u8::try_from(self.chance.below(1, 61)).unwrap());
        let line = self.chance.one_of(&[loss, loss, Line::Slow, Line::Faulty]);
        let (who, tunnel, lasting) = (self.who(), self.tunnel(), self.lasting());
        self.push(0, Op::Path { who, tunnel, line });
        self.push(lasting, Op::Path { who, tunnel, line: Line::Carries });
    }

    /// AWS's sources report something other than what AWS sees.
    fn source_faults(&mut self) {
        let source_faults = [
            SourceFault::Silent,
            SourceFault::Garbage,
            SourceFault::SaysUp,
            SourceFault::SaysDown,
            SourceFault::Fraction,
        ];
        let source = self.chance.one_of(&[Source::CloudWatch, Source::Ec2]);
        let (fault, lasting) = (self.chance.one_of(&source_faults), self.lasting());
        self.push(0, Op::Says { source, fault });
        self.push(lasting, Op::Says { source, fault: SourceFault::Truth });
    }

    fn clock(&mut self) {
        let gateway = self.gateway();
        let offset = self.chance.one_of(&[-3600, 3600, -90, 90, -20, 20, -26 * 365 * 86_400]);
        let lasting = self.lasting();
        self.push(0, Op::Clock { gateway, offset });
        self.push(lasting, Op::Clock { gateway, offset: 0 });
    }

    fn crash(&mut self, at: u64) {
        let gateway = self.gateway();
        let down =
            if self.chance.percent(70) { self.chance.millis(100, 5_000) } else { self.chance.secs(5, 1500) };
        if self.chance.percent(60) {
            let steps = u32::try_from(self.chance.below(1, 60)).unwrap();
            self.push(at, Op::CrashSoon { gateway, steps, down });
        } else {
            self.push(at, Op::Crash { gateway, down });
        }
        if self.switches.vrrp {
            // VRRP reacts within some seconds (RFC 9568 section 6.1), and may give the address back.
            let noticed = at + self.chance.below(1_000, 5_000);
            self.push(noticed, Op::TakeOver { gateway: 1 - gateway });
            if self.chance.percent(30) {
                let back = noticed + self.lasting();
                self.push(back, Op::TakeOver { gateway });
            }
        }
    }

    fn trouble(&mut self) {
        let lasting = self.lasting();
        match self.chance.below(0, 10) {
            0..=4 => {
                let calls = self.chance.one_of(&[Calls::Ask, Calls::Incidents, Calls::Incidents, Calls::Put]);
                let fault = self.chance.one_of(&Fault::ALL);
                let percent = self.chance.one_of(&[10, 40, 90, 100]);
                self.push(0, Op::Trouble { calls, fault, percent });
                self.push(lasting, Op::Trouble { calls, fault, percent: 0 });
            }
            5 => {
                let who = self.who();
                self.push(0, Op::Reach { who, reachable: false });
                self.push(lasting, Op::Reach { who, reachable: true });
            }
            6 => {
                let who = self.who();
                self.push(0, Op::Credentials { who, valid: false });
                self.push(lasting, Op::Credentials { who, valid: true });
            }
            7 => {
                let who = self.who();
                self.push(0, Op::Disk { who, writable: false });
                self.push(lasting, Op::Disk { who, writable: true });
            }
            8 => self.push(0, Op::Poison),
            _ => self.crash(0),
        }
    }
}
