//! The traits of a metric sink and of the spool.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::rollup::Rollup;
use crate::domain::time::Stamp;

/// One datum of `PutMetricData`.
#[derive(Debug, Clone, PartialEq)]
pub struct Datum {
    /// The metric's name.
    pub name: &'static str,
    /// The metric's unit.
    pub unit: Unit,
    /// Dimensions, name and value, in a fixed order.
    pub dimensions: Vec<(&'static str, String)>,
    /// The start of its minute.
    pub stamp: Stamp,
    /// Its value, in `unit`.
    pub value: DatumValue,
}

/// The CloudWatch units in use.
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
    /// Distinct values and how often each occurred, for percentiles; at most 150.
    Distribution(Vec<(f64, f64)>),
}

/// Why data were not accepted.
#[derive(Debug, Clone)]
pub enum PutError {
    /// It may pass by itself; retried.
    Temporary {
        /// What happened, in an operator's words.
        what: String,
        /// Whether the service throttled it.
        throttled: bool,
        /// The error beneath, if there is one.
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// A permission or credential is missing; a person must act. Retried meanwhile.
    Denied {
        /// What, where, and what to do.
        what: String,
    },
    /// CloudWatch refuses the data themselves: some datum of the batch will never be accepted.
    BadData {
        /// CloudWatch's message.
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

/// A destination for metrics.
pub trait MetricSink: Send + Sync + 'static {
    /// Sends a batch of at most 1,000 data; all of them are accepted or none.
    fn put(&self, data: &[Datum]) -> impl Future<Output = Result<(), PutError>> + Send;
}

/// The unsent rollups, kept across restarts.
pub trait Spool: Send + Sync + 'static {
    /// Up to `limit` unsent rollups of minutes that began at `until` or before, newest minute first.
    fn unsent(
        &self,
        until: Stamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Arc<Rollup>>, SpoolError>> + Send;

    /// Marks rollups as sent (or as never to be sent), recorded before or not. Returns once that would survive a crash.
    fn sent(&self, rollups: &[Arc<Rollup>]) -> impl Future<Output = Result<(), SpoolError>> + Send;

    /// The number of unsent rollups.
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
