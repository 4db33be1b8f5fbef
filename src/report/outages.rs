//! Outages as the history shows them: from when both ends say that it is down until they no longer do.
//!
//! An outage goes on over times without agreement, and over a short gap in the observation, as long as both ends do not agree that it
//! is up in between. It is then one outage, and what lies between is not counted as down.

use std::time::Duration;

use super::cells::{Cell, Counted};
use crate::domain::cause::Cause;
use crate::domain::time::Stamp;
use crate::history::{Period, Said};

/// A restart of the daemon or the host takes less. What is not observed for longer may have been up meanwhile.
pub const BRIDGED_MAX: Duration = Duration::from_secs(600);

/// One outage of a tunnel or a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// When both ends agreed first.
    pub from: Stamp,
    /// Whether that was seen. Otherwise it may have begun earlier: it was down when the period or the observation began.
    pub begin_seen: bool,
    /// How it ended.
    pub end: End,
    /// The last moment that is known of it.
    pub until: Stamp,
    /// How long both ends said Down, silenced or not.
    pub down: Duration,
    /// How much of that was silenced.
    pub silenced: Duration,
    /// The cause that was named last, before `unknown`.
    pub cause: Option<Cause>,
    /// When our end said Down, where that was seen.
    pub local: Option<Stamp>,
    /// When we knew that AWS says Down, where that was seen.
    pub aws: Option<Stamp>,
    /// Since when it had been up, as far as the period goes.
    pub up_since: Option<Stamp>,
}

/// How an outage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// At least one end no longer said Down, and then both said Up.
    Over,
    /// At least one end no longer says Down, and they have not agreed on Up.
    NotAgreed,
    /// It lasts.
    StillDown,
    /// It was not over at the end of the period.
    BeyondPeriod,
    /// Nobody watched when it ended.
    Unobserved,
}

impl End {
    /// The word in JSON and CSV.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Over => "over",
            Self::NotAgreed => "not_agreed",
            Self::StillDown => "still_down",
            Self::BeyondPeriod => "beyond_period",
            Self::Unobserved => "unobserved",
        }
    }
}

impl Outage {
    /// From its beginning to the last moment that is known of it, with the times in which the ends did not agree.
    pub fn lasted(&self) -> Duration {
        self.until.since(self.from)
    }

    /// Whether all of it was silenced.
    pub fn is_silenced(&self) -> bool {
        self.silenced == self.down
    }

    /// Whether beginning and end were seen.
    pub fn is_whole(&self) -> bool {
        let ended = match self.end {
            End::Over => true,
            End::NotAgreed | End::StillDown | End::BeyondPeriod | End::Unobserved => false,
        };
        self.begin_seen && ended
    }
}

/// The outages in these cells, oldest first. `now` is the time of the present.
pub(super) fn outages(cells: &[Cell], now: Stamp) -> Vec<Outage> {
    let mut search = Search::default();
    for cell in cells {
        search.step(cell);
    }
    let end = cells.last().map_or(now, |cell| cell.period.until);
    search.finish(if end < now { End::BeyondPeriod } else { End::StillDown })
}

/// Goes along the cells.
#[derive(Debug, Default)]
struct Search {
    found: Vec<Outage>,
    open: Option<Outage>,
    /// What followed the last agreed Down of the open one.
    gap: Option<Gap>,
    up_since: Option<Stamp>,
    /// Whether it has been observed without a break since it was up.
    seen_since_up: bool,
    local: Since,
    aws: Since,
}

#[derive(Debug, Clone, Copy)]
struct Gap {
    begins_unobserved: bool,
    unobserved: Duration,
}

/// Since when an end has said Down.
#[derive(Debug, Default)]
struct Since {
    down: Option<Stamp>,
    /// Whether it was observed before; at first, and after a gap, it was not.
    observed: bool,
    said: Option<Said>,
}

impl Since {
    fn step(&mut self, at: Stamp, said: Option<Said>) {
        let began = said == Some(Said::Down) && self.said != Some(Said::Down) && self.observed;
        self.down = match said {
            Some(Said::Down) if began => Some(at),
            Some(Said::Down) => self.down,
            Some(Said::Up | Said::Unknown) | None => None,
        };
        (self.observed, self.said) = (said.is_some(), said);
    }
}

impl Search {
    fn step(&mut self, cell: &Cell) {
        let Cell { period, counted } = cell;
        self.local.step(period.from, counted.map(|counted| counted.local));
        self.aws.step(period.from, counted.map(|counted| counted.aws));
        match counted {
            None => {
                self.without_agreement(Gap { begins_unobserved: true, unobserved: period.length() });
                self.seen_since_up = false;
            }
            Some(counted) => match counted.both {
                Said::Up => {
                    self.close(End::Over);
                    let is_new = self.up_since.is_none() || !self.seen_since_up;
                    self.up_since = if is_new { Some(period.from) } else { self.up_since };
                    self.seen_since_up = true;
                }
                Said::Unknown => {
                    self.without_agreement(Gap { begins_unobserved: false, unobserved: Duration::ZERO });
                }
                Said::Down => self.down(*period, counted),
            },
        }
        if let Some(open) = self.open.as_mut().filter(|_| self.gap.is_none()) {
            open.local = open.local.or(self.local.down);
            open.aws = open.aws.or(self.aws.down);
        }
    }

    fn without_agreement(&mut self, more: Gap) {
        if self.open.is_none() {
            return;
        }
        let Gap { begins_unobserved, unobserved } =
            self.gap.unwrap_or(Gap { begins_unobserved: more.begins_unobserved, unobserved: Duration::ZERO });
        self.gap = Some(Gap { begins_unobserved, unobserved: unobserved + more.unobserved });
        if unobserved + more.unobserved > BRIDGED_MAX {
            self.close(End::Unobserved);
        }
    }

    fn down(&mut self, period: Period, counted: &Counted) {
        self.gap = None;
        let (up_since, begin_seen) = (self.up_since.take(), self.seen_since_up);
        let open = self.open.get_or_insert(Outage {
            from: period.from,
            begin_seen,
            end: End::StillDown,
            until: period.from,
            down: Duration::ZERO,
            silenced: Duration::ZERO,
            cause: None,
            local: None,
            aws: None,
            up_since,
        });
        open.until = period.until;
        open.down += period.length();
        if counted.silence.is_some() {
            open.silenced += period.length();
        }
        open.cause = match (counted.cause, open.cause) {
            (Some(Cause::Unknown) | None, Some(known)) => Some(known),
            (named, _) => named,
        };
    }

    /// The open one is over; how is decided by what followed its last agreed Down.
    fn close(&mut self, end: End) {
        let gap = self.gap.take();
        let Some(mut outage) = self.open.take() else { return };
        outage.end = match gap {
            Some(Gap { begins_unobserved: true, .. }) => End::Unobserved,
            Some(Gap { begins_unobserved: false, .. }) if end != End::Over => End::NotAgreed,
            Some(Gap { begins_unobserved: false, .. }) | None => end,
        };
        self.found.push(outage);
    }

    fn finish(mut self, end: End) -> Vec<Outage> {
        self.close(end);
        self.found
    }
}

/// How often, how long, and how far apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Means {
    /// Outages, those that were silenced all along left out.
    pub outages: usize,
    /// Those of them that were silenced all along.
    pub silenced: usize,
    /// Those of [`Self::outages`] whose beginning and end were seen …
    pub whole: usize,
    /// … and how long they lasted on average: the mean time to repair. `None` where there was none.
    pub to_repair: Option<Duration>,
    /// The time up by outage that began in it: the mean time between failures. `None` where fewer than two began: one is no mean.
    pub between: Option<Duration>,
}

impl Means {
    /// Reckons them; `up` is the time up, by both ends, that was not silenced.
    pub fn of(outages: &[Outage], up: Duration) -> Self {
        let counted = || outages.iter().filter(|outage| !outage.is_silenced());
        let whole: Vec<Duration> = counted().filter(|outage| outage.is_whole()).map(Outage::lasted).collect();
        let began = counted().filter(|outage| outage.begin_seen).count();
        Self {
            outages: counted().count(),
            silenced: outages.len() - counted().count(),
            whole: whole.len(),
            to_repair: mean(whole.iter().sum(), whole.len()),
            between: mean(up, began).filter(|_| began > 1),
        }
    }
}

/// To the millisecond.
fn mean(all: Duration, count: usize) -> Option<Duration> {
    let millis = all.as_millis().checked_div(count as u128)?;
    u64::try_from(millis).ok().map(Duration::from_millis)
}
