//! How good a tunnel is that is Up: its loss, its round trips and their jitter, against limits and against what is usual for it.
//!
//! *Sample.* One echo per slot of the probing interval, the first that was sent in it. The faster probing of a suspect check adds
//! none: it comes after losses, so counting it would make a burst of losses weigh more than the time it took.
//!
//! *Loss* is the lost share of so many samples that three lost ones make up the limit (60 at 5 %, 150 at 2 %), all of them old enough
//! to be known. At least three runs of lost samples are needed: one burst, such as a failover, is not a lossy line.
//!
//! *Latency* is the median round trip, *jitter* the distance from there to the 90th percentile: fewer than one echo in ten cannot
//! change it, wherever the outliers stand. (The jitter of RFC 3550 section 6.4.1 follows one-way times, and one outlier moves it.)
//! Both must be wrong in the whole window and in its newer half, so that what is over does not count for another window.
//!
//! *Usual* is the median of medians of the last 24 hours. It is known after five good windows, and learns from good ones only;
//! but what has been so for a whole day, without one good minute, is the new usual (a route that changed).
//!
//! *Degraded* begins when something has been wrong for `after`, by its share of the time ([`Hold`]), and ends when
//! nothing has been for as long. None of this ever decides Up or Down.

use std::collections::VecDeque;
use std::time::Duration;

use super::condition::{Hold, Truth};
use super::plan::{LATE_WINDOW, ProbeRules, QualityRules};
use super::time::Moment;
use super::verdict::{Outcome, Verdict};

/// Windows of round trips cover at most this: medians of a minute are what operators compare.
const WINDOW_MAX: Duration = Duration::from_secs(60);

/// The samples of one window of round trips: at least these, at most those. More would cost time and not change a median.
const WINDOW_SAMPLES: [u32; 2] = [10, 120];

/// Lost samples apart from each other that make a lossy line.
const LOSSES: u32 = 3;

/// Below this share nobody waits long enough for three losses: 600 samples are ten minutes at the default interval.
pub const MAX_LOSS_PERCENT: [f64; 2] = [0.5, 50.0];

/// Fewer samples say nothing about loss.
const ENOUGH_SAMPLES: usize = 10;

/// Fewer replies have no median, or no 90th percentile apart from the largest.
const ENOUGH_FOR_LATENCY: usize = 5;
const ENOUGH_FOR_JITTER: usize = 8;

/// Judging costs a sort of the window, so it is done this often and not at each echo.
const JUDGED_EVERY: Duration = Duration::from_secs(1);

/// Not judged for this long: the host slept, or nothing was sent. That time does not count.
const GAP: Duration = Duration::from_secs(10);

/// Slower than usual is three times as slow and noticeable: 20 ms more disturb nobody, and three times 1 ms is a busy router.
const USUAL_FACTOR: u32 = 3;
const USUAL_MARGIN: Duration = Duration::from_millis(20);

/// How good a tunnel is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Quality {
    /// Nothing is wrong with it.
    Good,
    /// It is Up, and something is wrong with it.
    Degraded(Degradation),
    /// It is not Up, or too few echoes have ended since it is.
    #[default]
    Unknown,
}

/// What is wrong with a degraded tunnel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Degradation {
    /// Echoes are lost.
    Loss {
        /// The lost share, 0 to 100.
        percent: f64,
        /// What is accepted.
        limit: f64,
    },
    /// Echoes take long.
    Latency {
        /// The median round trip.
        rtt: Duration,
        /// What it exceeds.
        bound: Bound,
    },
    /// Echoes take now long, now short.
    Jitter {
        /// From the median round trip to the 90th percentile.
        jitter: Duration,
        /// What it exceeds.
        bound: Bound,
    },
}

/// What a round trip or its jitter exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// What is configured.
    Limit(Duration),
    /// What is usual for the tunnel, by far.
    Usual(Duration),
}

impl Quality {
    /// The word used in logs and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Degraded(_) => "degraded",
            Self::Unknown => "unknown",
        }
    }

    /// Whether it is degraded.
    pub const fn is_degraded(self) -> bool {
        match self {
            Self::Degraded(_) => true,
            Self::Good | Self::Unknown => false,
        }
    }

    /// Why it is degraded, in one word.
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Degraded(degradation) => Some(degradation.reason()),
            Self::Good | Self::Unknown => None,
        }
    }

    /// The lost share in per cent, where it is degraded by that.
    pub fn lossy(self) -> Option<u8> {
        match self {
            // The cast saturates, and the share is 0 to 100.
            Self::Degraded(Degradation::Loss { percent, limit: _ }) => Some(percent.round() as u8),
            Self::Degraded(Degradation::Latency { .. } | Degradation::Jitter { .. })
            | Self::Good
            | Self::Unknown => None,
        }
    }

    /// Whether two say the same, apart from the numbers.
    pub fn same_word(self, other: Self) -> bool {
        (self.as_str(), self.reason()) == (other.as_str(), other.reason())
    }
}

impl Degradation {
    /// One word, for metrics, logs and `/status`.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Loss { .. } => "loss",
            Self::Latency { .. } => "latency",
            Self::Jitter { .. } => "jitter",
        }
    }

    /// Every such word.
    pub const REASONS: [&'static str; 3] = ["loss", "latency", "jitter"];
}

/// The quality of a tunnel in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measured {
    /// The lost share, 0 to 100.
    pub loss_percent: Option<f64>,
    /// The median round trip.
    pub rtt: Option<Duration>,
    /// From there to the 90th percentile.
    pub jitter: Option<Duration>,
    /// The usual median round trip.
    pub usual_rtt: Option<Duration>,
    /// The usual jitter.
    pub usual_jitter: Option<Duration>,
}

/// Judges the quality of one tunnel.
#[derive(Debug)]
pub struct QualityWatch {
    /// Echoes sent up to here do not count; `None` while the tunnel is not Up.
    from: Option<Moment>,
    slot: Duration,
    /// In the order in which they were sent.
    samples: VecDeque<Sample>,
    quality: Quality,
    measured: Measured,
    judged: Moment,
    /// How long a change of the word is due.
    turning: Hold,
    /// How long another reason has been the right one.
    otherwise: Hold,
    usual: Usual,
    /// What is learnt while it is not good.
    unusual: Usual,
    learnt: Moment,
    /// Whether something has been wrong since.
    wrong: bool,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    asked: Moment,
    /// `None`: lost.
    rtt: Option<Duration>,
}

/// Medians of the round trips, and of their jitter.
#[derive(Debug, Clone, Copy)]
struct Trips {
    rtt: Duration,
    jitter: Duration,
    count: usize,
}

impl QualityWatch {
    /// A tunnel that is not Up yet.
    pub fn new(now: Moment) -> Self {
        Self {
            from: None,
            slot: Duration::ZERO,
            samples: VecDeque::new(),
            quality: Quality::Unknown,
            measured: Measured::default(),
            judged: now,
            turning: Hold::default(),
            otherwise: Hold::default(),
            usual: Usual::default(),
            unusual: Usual::default(),
            learnt: now,
            wrong: false,
        }
    }

    /// What it says.
    pub const fn quality(&self) -> Quality {
        self.quality
    }

    /// The same in numbers, apart from a tunnel that is not Up.
    pub fn measured(&self) -> Measured {
        Measured { usual_rtt: self.usual.rtt(), usual_jitter: self.usual.jitter(), ..self.measured }
    }

    /// Where it is degraded by latency or jitter: how many milliseconds a round trip takes (with jitter one in ten takes longer),
    /// and how many are usual or accepted.
    pub fn slow(&self) -> Option<(u32, u32)> {
        let millis = |it: Duration| u32::try_from(it.as_millis()).unwrap_or(u32::MAX);
        let of = |bound: Bound| match bound {
            Bound::Limit(most) | Bound::Usual(most) => most,
        };
        match self.quality {
            Quality::Degraded(Degradation::Latency { rtt, bound }) => Some((millis(rtt), millis(of(bound)))),
            Quality::Degraded(Degradation::Jitter { jitter, bound }) => {
                let rtt = self.measured.rtt.unwrap_or_default();
                Some((millis(rtt + jitter), millis(rtt + of(bound))))
            }
            Quality::Degraded(Degradation::Loss { .. }) | Quality::Good | Quality::Unknown => None,
        }
    }

    /// The local verdict is this. Where it is not Up nothing is left but what is usual.
    /// Returns the quality before, if its word changed.
    pub fn verdict_is(&mut self, verdict: Verdict, now: Moment) -> Option<Quality> {
        match (verdict, self.from) {
            (Verdict::Up, Some(_)) | (Verdict::Down | Verdict::Unknown(_), None) => return None,
            (Verdict::Up, None) => self.from = Some(now),
            (Verdict::Down | Verdict::Unknown(_), Some(_)) => self.from = None,
        }
        self.forget(now);
        self.set(Quality::Unknown)
    }

    /// An echo of `asked` ended. Returns the quality before, if its word changed.
    pub fn echo_ended(
        &mut self,
        outcome: Outcome,
        asked: Moment,
        probe: &ProbeRules,
        rules: &QualityRules,
        now: Moment,
    ) -> Option<Quality> {
        let rtt = match outcome {
            Outcome::Reply { rtt } | Outcome::Late { rtt } => Some(rtt),
            Outcome::Lost(_) => None,
            Outcome::Fault(_) => return None,
        };
        if self.from.is_none_or(|from| asked <= from) {
            return None;
        }
        let slot = probe.interval.max(rules.after.min(WINDOW_MAX) / WINDOW_SAMPLES[1]);
        if slot != self.slot {
            self.slot = slot;
            self.forget(now);
        }
        self.take(Sample { asked, rtt });
        if now.since(self.judged) < JUDGED_EVERY {
            return None;
        }
        self.judge(probe, rules, now)
    }

    fn forget(&mut self, now: Moment) {
        self.samples.clear();
        self.measured = Measured::default();
        (self.turning, self.otherwise) = (Hold::default(), Hold::default());
        (self.judged, self.learnt, self.wrong) = (now, now, false);
    }

    fn set(&mut self, quality: Quality) -> Option<Quality> {
        let before = std::mem::replace(&mut self.quality, quality);
        (!before.same_word(quality)).then_some(before)
    }

    /// Echoes end in another order than they were sent in: a lost one is known last.
    fn take(&mut self, sample: Sample) {
        let slot_of =
            |at: Moment| i128::from(at.as_nanos()).div_euclid(self.slot.as_nanos().max(1).cast_signed());
        let (slot, later) = (slot_of(sample.asked), |kept: &&Sample| kept.asked > sample.asked);
        let at = self.samples.len() - self.samples.iter().rev().take_while(later).count();
        if at > 0 && slot_of(self.samples[at - 1].asked) == slot {
            return;
        }
        match self.samples.get_mut(at) {
            Some(next) if slot_of(next.asked) == slot => *next = sample,
            Some(_) | None => self.samples.insert(at, sample),
        }
    }

    fn judge(&mut self, probe: &ProbeRules, rules: &QualityRules, now: Moment) -> Option<Quality> {
        let asleep = now.since(self.judged).saturating_sub(GAP.max(self.slot * 2));
        self.turning.held_up(asleep);
        self.otherwise.held_up(asleep);
        self.judged = now;

        // A lost echo is known this late.
        let settled = now - (probe.timeout + LATE_WINDOW);
        let of_loss = self.slot * samples_of_loss(rules.max_loss_percent);
        let of_trips = self.window(rules);
        let oldest = (settled - of_loss).min(now - of_trips);
        while self.samples.front().is_some_and(|first| first.asked <= oldest) {
            self.samples.pop_front();
        }

        let (ended, lost, runs) = self.losses(settled - of_loss, settled);
        let whole = self.trips(now - of_trips);
        let half = now - of_trips / 2;
        let enough = ended >= ENOUGH_SAMPLES;
        let percent = f64::from(lost) * 100.0 / ended.max(1) as f64;
        let enough_for = |least| whole.filter(|trips| trips.count >= least);
        self.measured = Measured {
            loss_percent: enough.then_some(percent),
            rtt: enough_for(ENOUGH_FOR_LATENCY).map(|trips| trips.rtt),
            jitter: enough_for(ENOUGH_FOR_JITTER).map(|trips| trips.jitter),
            ..Measured::default()
        };
        if !enough {
            (self.turning, self.otherwise) = (Hold::default(), Hold::default());
            return self.set(Quality::Unknown);
        }

        let lossy = runs >= LOSSES && percent > rules.max_loss_percent;
        let lossy = lossy.then_some(Degradation::Loss { percent, limit: rules.max_loss_percent });
        let worst = lossy.or_else(|| self.too_slow(half, rules)).or_else(|| self.uneven(half, rules));
        self.learn(worst.is_some(), rules, now);
        self.turn(worst, rules.after, now)
    }

    /// What a median is taken of: short where `after` is short, so that it is as quick, but never a handful of echoes.
    fn window(&self, rules: &QualityRules) -> Duration {
        (self.slot * WINDOW_SAMPLES[0]).max(rules.after.min(WINDOW_MAX))
    }

    fn too_slow(&self, half: Moment, rules: &QualityRules) -> Option<Degradation> {
        let rtt = self.measured.rtt?;
        let bound = exceeded(rtt, || Some(self.trips(half)?.rtt), rules.max_rtt, self.usual.rtt())?;
        Some(Degradation::Latency { rtt, bound })
    }

    fn uneven(&self, half: Moment, rules: &QualityRules) -> Option<Degradation> {
        let jitter = self.measured.jitter?;
        let bound =
            exceeded(jitter, || Some(self.trips(half)?.jitter), rules.max_jitter, self.usual.jitter())?;
        Some(Degradation::Jitter { jitter, bound })
    }

    /// Samples sent in a span, how many of them were lost, and in how many runs.
    fn losses(&self, after: Moment, until: Moment) -> (usize, u32, u32) {
        let within = self.samples.iter().filter(|sample| sample.asked > after && sample.asked <= until);
        let (mut ended, mut lost, mut runs, mut in_run) = (0, 0, 0, false);
        for sample in within {
            let is_lost = sample.rtt.is_none();
            ended += 1;
            lost += u32::from(is_lost);
            runs += u32::from(is_lost && !in_run);
            in_run = is_lost;
        }
        (ended, lost, runs)
    }

    fn trips(&self, after: Moment) -> Option<Trips> {
        let recent = self.samples.iter().rev().take_while(|sample| sample.asked > after);
        let mut rtts: Vec<Duration> = recent.filter_map(|sample| sample.rtt).collect();
        let count = rtts.len();
        if count == 0 {
            return None;
        }
        let mut in_order = |place: usize| *rtts.select_nth_unstable(place).1;
        let (rtt, high) = (in_order(count / 2), in_order((count - 1) * 9 / 10));
        Some(Trips { rtt, jitter: high.saturating_sub(rtt), count })
    }

    fn turn(&mut self, worst: Option<Degradation>, after: Duration, now: Moment) -> Option<Quality> {
        match (self.quality, worst) {
            (Quality::Good | Quality::Unknown, worst) => {
                self.turning.observe(Truth::known(worst.is_some()), after, now);
                match worst {
                    Some(worst) if self.turning.has_held(after) => {
                        self.turning = Hold::default();
                        self.set(Quality::Degraded(worst))
                    }
                    Some(_) => None,
                    None => self.set(Quality::Good),
                }
            }
            (Quality::Degraded(_), None) => {
                self.otherwise.observe(Truth::False, after, now);
                self.turning.observe(Truth::True, after, now);
                if !self.turning.has_held(after) {
                    return None;
                }
                (self.turning, self.otherwise) = (Hold::default(), Hold::default());
                self.set(Quality::Good)
            }
            (Quality::Degraded(before), Some(worst)) => {
                self.turning.observe(Truth::False, after, now);
                let same = before.reason() == worst.reason();
                self.otherwise.observe(Truth::known(!same), after, now);
                if !same && !self.otherwise.has_held(after) {
                    return None;
                }
                self.otherwise = Hold::default();
                self.set(Quality::Degraded(worst))
            }
        }
    }

    /// A window a minute; while nothing is usual yet each window.
    fn learn(&mut self, wrong: bool, rules: &QualityRules, now: Moment) {
        self.wrong |= wrong;
        let window = self.window(rules);
        let every = if self.usual.rtt().is_some() { window.max(WINDOW_MAX) } else { window };
        let (Some(rtt), Some(jitter)) = (self.measured.rtt, self.measured.jitter) else { return };
        if now.since(self.learnt) < every {
            return;
        }
        self.learnt = now;
        if std::mem::take(&mut self.wrong) {
            self.unusual.learn(rtt, jitter);
            if self.unusual.is_of_a_day() {
                self.usual = std::mem::take(&mut self.unusual);
            }
        } else {
            self.usual.learn(rtt, jitter);
            self.unusual = Usual::default();
        }
    }
}

/// So many that three lost ones make up the limit.
fn samples_of_loss(max_loss_percent: f64) -> u32 {
    let [least, most] = MAX_LOSS_PERCENT;
    // The cast loses only a fraction: the quotient is 6 to 600.
    let samples = (f64::from(LOSSES) * 100.0 / max_loss_percent.clamp(least, most)) as u32;
    samples.max(WINDOW_SAMPLES[0])
}

/// What both measurements exceed. The newer one is taken only where the whole one exceeds something, which is seldom.
fn exceeded(
    whole: Duration,
    newer: impl Fn() -> Option<Duration>,
    limit: Option<Duration>,
    usual: Option<Duration>,
) -> Option<Bound> {
    let over = |most: Duration| whole > most && newer().is_some_and(|newer| newer > most);
    let too_much = |usual: Duration| usual.saturating_mul(USUAL_FACTOR).max(usual + USUAL_MARGIN);
    let limit = limit.filter(|limit| over(*limit)).map(Bound::Limit);
    limit.or_else(|| usual.filter(|usual| over(too_much(*usual))).map(Bound::Usual))
}

//--- what is usual

/// Windows of which one median is kept.
const IN_A_QUARTER: usize = 15;

/// Quarters of an hour in a day.
const QUARTERS: usize = 96;

/// Fewer windows have nothing usual.
const ENOUGH_WINDOWS: usize = 5;

/// The median of the medians of a day, in bounded memory: one a quarter of an hour, and those of the present quarter.
#[derive(Debug, Default)]
struct Usual {
    recent: Vec<[Duration; 2]>,
    quarters: VecDeque<[Duration; 2]>,
    median: Option<[Duration; 2]>,
}

impl Usual {
    fn rtt(&self) -> Option<Duration> {
        self.median.map(|[rtt, _]| rtt)
    }

    fn jitter(&self) -> Option<Duration> {
        self.median.map(|[_, jitter]| jitter)
    }

    fn is_of_a_day(&self) -> bool {
        self.quarters.len() == QUARTERS
    }

    fn learn(&mut self, rtt: Duration, jitter: Duration) {
        self.recent.push([rtt, jitter]);
        if self.recent.len() == IN_A_QUARTER {
            let recent = std::mem::take(&mut self.recent);
            let median =
                [0, 1].map(|n| weighted_median(recent.iter().map(|window| (window[n], 1)).collect()));
            if self.quarters.len() == QUARTERS {
                self.quarters.pop_front();
            }
            self.quarters.push_back(median);
        }
        if self.recent.len() + self.quarters.len() * IN_A_QUARTER >= ENOUGH_WINDOWS {
            self.median = Some([0, 1].map(|n| {
                let quarters = self.quarters.iter().map(|quarter| (quarter[n], IN_A_QUARTER));
                weighted_median(self.recent.iter().map(|window| (window[n], 1)).chain(quarters).collect())
            }));
        }
    }
}

fn weighted_median(mut values: Vec<(Duration, usize)>) -> Duration {
    values.sort_unstable();
    let all: usize = values.iter().map(|(_, weight)| weight).sum();
    let mut below = 0;
    let upper = |(value, weight): (Duration, usize)| {
        below += weight;
        (below * 2 > all).then_some(value)
    };
    values.into_iter().find_map(upper).unwrap_or_default()
}

#[cfg(test)]
mod tests;
