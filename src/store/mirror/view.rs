//! Views, verdicts and their evidence.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Millis, mirror_words, nanos};
use crate::domain::carrying;
use crate::domain::names;
use crate::domain::time::{Now, Stamp};
use crate::domain::verdict;

mirror_words!(End of names::End { Local, Aws });
mirror_words!(Source of names::SourceKind { CloudWatch, Ec2 });
mirror_words!(Loss of verdict::Loss { Timeout, NoPath, Blocked });

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Up,
    Down,
    Unknown(Why),
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Why {
    Starting,
    NeverAnswered,
    Fault(Fault),
    Silent,
    Unused,
    NotHere,
    NotAsked,
    NoData,
    Stale,
    Fraction,
    Future,
    Contradiction,
    Gone,
    Garbage,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fault {
    NoPermission,
    NoMemory,
    QueueFull,
    TooManyFiles,
    AddressMissing,
    HeldUp,
    Socket(i32),
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Assessment {
    Healthy,
    Down,
    Disputed(End),
    Unconfirmed(End),
    Blind,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the names are the domain's")]
pub(super) enum Carrying {
    Carrying,
    NotCarrying(NotCarrying),
    CannotTell(CannotTell),
}

mirror_words!(NotCarrying of carrying::NotCarrying { BothEndsDown, BgpDown, LocalDown, AwsDown });
mirror_words!(CannotTell of carrying::CannotTell {
    BgpUnconfirmed, Disputed, AwsUnknown, Starting, LocalUnknown, Unused
});

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct View {
    pub(super) verdict: Verdict,
    since: Millis,
    evidence: Evidence,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Evidence {
    Local {
        last_reply: Option<Millis>,
        stopped: Option<Millis>,
        losses_in_row: u32,
        first_loss: Option<Millis>,
        last_loss: Option<Loss>,
        replies_in_row: u32,
        loss_percent: Option<f64>,
        median_rtt: Option<u64>,
    },
    Aws {
        source: Option<Source>,
        as_of: Option<Millis>,
        as_of_here: Option<Millis>,
        changed: Option<Millis>,
        words: Option<String>,
    },
}

impl From<&verdict::View> for View {
    fn from(verdict::View { verdict, since, evidence }: &verdict::View) -> Self {
        Self { verdict: (*verdict).into(), since: Millis::of(*since), evidence: evidence.into() }
    }
}

impl View {
    /// Since when packets have not passed, if it is our end's Down.
    pub(super) fn stopped(&self) -> Option<Stamp> {
        match &self.evidence {
            Evidence::Local { stopped, .. } => stopped.map(Millis::stamp),
            Evidence::Aws { .. } => None,
        }
    }

    pub(super) fn read(self, anchor: Now) -> verdict::View {
        let Self { verdict, since, evidence } = self;
        verdict::View {
            verdict: verdict.into(),
            since: since.anchored(anchor),
            evidence: evidence.read(anchor),
        }
    }
}

impl From<&verdict::Evidence> for Evidence {
    fn from(evidence: &verdict::Evidence) -> Self {
        match evidence {
            verdict::Evidence::Local(verdict::LocalEvidence {
                last_reply,
                stopped,
                losses_in_row,
                first_loss,
                last_loss,
                replies_in_row,
                loss_percent,
                median_rtt,
            }) => Self::Local {
                last_reply: last_reply.map(Millis::of),
                stopped: stopped.map(Millis::of),
                losses_in_row: *losses_in_row,
                first_loss: first_loss.map(Millis::of),
                last_loss: last_loss.map(Loss::from),
                replies_in_row: *replies_in_row,
                loss_percent: *loss_percent,
                median_rtt: median_rtt.map(nanos),
            },
            verdict::Evidence::Aws(verdict::AwsEvidence { source, as_of, as_of_here, changed, words }) => {
                Self::Aws {
                    source: source.map(Source::from),
                    as_of: as_of.map(Millis::from),
                    as_of_here: as_of_here.map(Millis::of),
                    changed: changed.map(Millis::from),
                    words: words.as_deref().map(str::to_owned),
                }
            }
        }
    }
}

impl Evidence {
    fn read(self, anchor: Now) -> verdict::Evidence {
        let here = |millis: Millis| millis.anchored(anchor);
        match self {
            Self::Local {
                last_reply,
                stopped,
                losses_in_row,
                first_loss,
                last_loss,
                replies_in_row,
                loss_percent,
                median_rtt,
            } => verdict::Evidence::Local(verdict::LocalEvidence {
                last_reply: last_reply.map(here),
                stopped: stopped.map(here),
                losses_in_row,
                first_loss: first_loss.map(here),
                last_loss: last_loss.map(verdict::Loss::from),
                replies_in_row,
                loss_percent,
                median_rtt: median_rtt.map(Duration::from_nanos),
            }),
            Self::Aws { source, as_of, as_of_here, changed, words } => {
                verdict::Evidence::Aws(verdict::AwsEvidence {
                    source: source.map(names::SourceKind::from),
                    as_of: as_of.map(Millis::stamp),
                    as_of_here: as_of_here.map(here),
                    changed: changed.map(Millis::stamp),
                    words: words.map(Into::into),
                })
            }
        }
    }
}

impl From<verdict::Verdict> for Verdict {
    fn from(verdict: verdict::Verdict) -> Self {
        match verdict {
            verdict::Verdict::Up => Self::Up,
            verdict::Verdict::Down => Self::Down,
            verdict::Verdict::Unknown(why) => Self::Unknown(why.into()),
        }
    }
}

impl From<Verdict> for verdict::Verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Up => Self::Up,
            Verdict::Down => Self::Down,
            Verdict::Unknown(why) => Self::Unknown(why.into()),
        }
    }
}

impl From<verdict::Why> for Why {
    fn from(why: verdict::Why) -> Self {
        match why {
            verdict::Why::Starting => Self::Starting,
            verdict::Why::NeverAnswered => Self::NeverAnswered,
            verdict::Why::Fault(fault) => Self::Fault(fault.into()),
            verdict::Why::Silent => Self::Silent,
            verdict::Why::Unused => Self::Unused,
            verdict::Why::NotHere => Self::NotHere,
            verdict::Why::NotAsked => Self::NotAsked,
            verdict::Why::NoData => Self::NoData,
            verdict::Why::Stale => Self::Stale,
            verdict::Why::Fraction => Self::Fraction,
            verdict::Why::Future => Self::Future,
            verdict::Why::Contradiction => Self::Contradiction,
            verdict::Why::Gone => Self::Gone,
            verdict::Why::Garbage => Self::Garbage,
        }
    }
}

impl From<Why> for verdict::Why {
    fn from(why: Why) -> Self {
        match why {
            Why::Starting => Self::Starting,
            Why::NeverAnswered => Self::NeverAnswered,
            Why::Fault(fault) => Self::Fault(fault.into()),
            Why::Silent => Self::Silent,
            Why::Unused => Self::Unused,
            Why::NotHere => Self::NotHere,
            Why::NotAsked => Self::NotAsked,
            Why::NoData => Self::NoData,
            Why::Stale => Self::Stale,
            Why::Fraction => Self::Fraction,
            Why::Future => Self::Future,
            Why::Contradiction => Self::Contradiction,
            Why::Gone => Self::Gone,
            Why::Garbage => Self::Garbage,
        }
    }
}

impl From<verdict::Fault> for Fault {
    fn from(fault: verdict::Fault) -> Self {
        match fault {
            verdict::Fault::NoPermission => Self::NoPermission,
            verdict::Fault::NoMemory => Self::NoMemory,
            verdict::Fault::QueueFull => Self::QueueFull,
            verdict::Fault::TooManyFiles => Self::TooManyFiles,
            verdict::Fault::AddressMissing => Self::AddressMissing,
            verdict::Fault::HeldUp => Self::HeldUp,
            verdict::Fault::Socket(errno) => Self::Socket(errno),
        }
    }
}

impl From<Fault> for verdict::Fault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NoPermission => Self::NoPermission,
            Fault::NoMemory => Self::NoMemory,
            Fault::QueueFull => Self::QueueFull,
            Fault::TooManyFiles => Self::TooManyFiles,
            Fault::AddressMissing => Self::AddressMissing,
            Fault::HeldUp => Self::HeldUp,
            Fault::Socket(errno) => Self::Socket(errno),
        }
    }
}

impl From<carrying::Carrying> for Carrying {
    fn from(carrying: carrying::Carrying) -> Self {
        match carrying {
            carrying::Carrying::Carrying => Self::Carrying,
            carrying::Carrying::NotCarrying(why) => Self::NotCarrying(why.into()),
            carrying::Carrying::CannotTell(why) => Self::CannotTell(why.into()),
        }
    }
}

impl From<Carrying> for carrying::Carrying {
    fn from(carrying: Carrying) -> Self {
        match carrying {
            Carrying::Carrying => Self::Carrying,
            Carrying::NotCarrying(why) => Self::NotCarrying(why.into()),
            Carrying::CannotTell(why) => Self::CannotTell(why.into()),
        }
    }
}

impl From<verdict::Assessment> for Assessment {
    fn from(assessment: verdict::Assessment) -> Self {
        match assessment {
            verdict::Assessment::Healthy => Self::Healthy,
            verdict::Assessment::Down => Self::Down,
            verdict::Assessment::Disputed(end) => Self::Disputed(end.into()),
            verdict::Assessment::Unconfirmed(end) => Self::Unconfirmed(end.into()),
            verdict::Assessment::Blind => Self::Blind,
        }
    }
}

impl From<Assessment> for verdict::Assessment {
    fn from(assessment: Assessment) -> Self {
        match assessment {
            Assessment::Healthy => Self::Healthy,
            Assessment::Down => Self::Down,
            Assessment::Disputed(end) => Self::Disputed(end.into()),
            Assessment::Unconfirmed(end) => Self::Unconfirmed(end.into()),
            Assessment::Blind => Self::Blind,
        }
    }
}
