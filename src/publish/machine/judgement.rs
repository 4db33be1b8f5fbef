//! What may be sent, by the stamp of its minute.

use std::time::Duration;

use crate::domain::time::{Now, Stamp};

/// CloudWatch takes data up to two weeks old (PutMetricData, API Reference); what is about to turn so old is left out, since
/// one datum too old would spoil its batch.
const AGE_MAX: Duration = Duration::from_secs(14 * 24 * 3600 - 600);
/// A complete minute began a minute ago at least. One that began so far in the future was stamped by a clock that was ahead:
/// more than AWS's clock may be misjudged after a slow answer, and than the minute by which ours may differ from it.
const AHEAD_MAX: Duration = Duration::from_secs(120);

/// The time by which minutes are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Its wall clock is AWS's once that has been heard.
    pub now: Now,
    /// Whose wall clock that is.
    pub whose: Whose,
}

/// Whose wall clock is gone by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// AWS's, as its last answer showed it: by it CloudWatch takes data or refuses them.
    Aws,
    /// This host's, because AWS has not answered yet. It may be wrong by years, so it gives nothing up.
    Host,
}

/// What is to become of a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    Sendable,
    /// Either the minute's stamp or this host's clock is wrong: it waits for AWS's.
    Undecided,
    /// CloudWatch does not take it any more.
    TooOld,
    /// It was stamped by a clock that was ahead.
    False,
}

impl Clock {
    pub(super) fn judge(self, minute: Stamp) -> Judgement {
        let Self { now, whose } = self;
        let is_ahead = minute > now.wall + AHEAD_MAX;
        let is_too_old = now.wall.since(minute) > AGE_MAX;
        match whose {
            Whose::Aws if is_ahead => Judgement::False,
            Whose::Aws if is_too_old => Judgement::TooOld,
            Whose::Host if is_ahead || is_too_old => Judgement::Undecided,
            Whose::Aws | Whose::Host => Judgement::Sendable,
        }
    }

    /// The newest minute that can be judged.
    pub(super) fn read_until(self) -> Stamp {
        match self.whose {
            Whose::Aws => Stamp::from_millis(i64::MAX),
            Whose::Host => self.now.wall + AHEAD_MAX,
        }
    }
}
