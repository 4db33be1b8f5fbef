//! What a metric sink and the spool must be able to do.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::rollup::Rollup;
use crate::domain::time::Stamp;

/// One datum for CloudWatch.
#[derive(Debug, Clone, PartialEq)]
pub struct Datum {
    /// The metric's name.
    pub name: &'static str,
    /// The metric's unit.
    pub unit: Unit,
    /// Dimensions, name and value, in a fixed order.
    pub dimensions: Vec<(&'static str, String)>,
    /// The start of the minute it speaks of.
    pub stamp: Stamp,
    /// What it says.
    pub value: DatumValue,
}

/// CloudWatch units in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `None`
    None,
    /// `Percent`
    Percent,
    /// `Milliseconds`
    Milliseconds,
    /// `Count`
    Count,
}

/// A datum's value.
#[derive(Debug, Clone, PartialEq)]
pub enum DatumValue {
    /// One value.
    Single(f64),
    /// Distinct values and how often each occurred, so that percentiles work; at most 150.
    Distribution(Vec<(f64, f64)>),
}

/// Why data was not taken.
#[derive(Debug, Clone)]
pub enum PutError {
    /// Try again.
    Temporary {
        /// What happened, in an operator's words.
        what: String,
        /// Whether the service throttled it.
        throttled: bool,
        /// The cause.
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// A permission or credential is missing; a person must act, and it is tried again meanwhile.
    Denied {
        /// What, where, and what to do.
        what: String,
    },
    /// CloudWatch finds fault with the data itself: some datum of the batch will never be taken.
    BadData {
        /// What it said.
        what: String,
    },
}

impl PutError {
    /// The word used in metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Temporary { throttled: true, what: _, source: _ } => "throttled",
            Self::Temporary { throttled: false, what: _, source: _ } => "temporary",
            Self::Denied { what: _ } => "denied",
            Self::BadData { what: _ } => "rejected",
        }
    }
}

impl fmt::Display for PutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Temporary { what, .. } | Self::Denied { what } | Self::BadData { what } => {
                f.write_str(what)
            }
        }
    }
}

impl Error for PutError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Temporary { source, .. } => {
                source.as_ref().map(|source| &**source as &(dyn Error + 'static))
            }
            Self::Denied { .. } | Self::BadData { .. } => None,
        }
    }
}

/// Where metrics go.
pub trait MetricSink: Send + Sync + 'static {
    /// Puts a batch of at most 1,000 data; all of it is taken or none.
    fn put(&self, data: &[Datum]) -> impl Future<Output = Result<(), PutError>> + Send;
}

/// The rollups that wait to be sent, kept across restarts.
pub trait Spool: Send + Sync + 'static {
    /// Up to `limit` unsent rollups of minutes that began at `until` or before, newest minute first.
    fn unsent(
        &self,
        until: Stamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Arc<Rollup>>, SpoolError>> + Send;

    /// Marks rollups as sent (or as never to be sent), whether they had been recorded before or not; returns when that
    /// would survive a crash.
    fn sent(&self, rollups: &[Arc<Rollup>]) -> impl Future<Output = Result<(), SpoolError>> + Send;

    /// How many wait.
    fn pending(&self) -> impl Future<Output = Result<u64, SpoolError>> + Send;
}

/// Why the spool could not be read or written.
#[derive(Debug, Clone)]
pub struct SpoolError {
    /// What, in an operator's words.
    pub what: String,
    /// How long to wait before trying again.
    pub retry_after: Duration,
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for SpoolError {}
