//! Facts and status as Prometheus metrics.
//!
//! Counters and histograms live in the recorder and only grow. State and ages are rendered at the scrape from the current
//! [`Status`], so that nothing of a tunnel that left the configuration stays behind.

mod exposition;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use metrics::{Counter, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tokio::time::MissedTickBehavior;

use self::exposition::Exposition;
use super::metric::{self, Metric, MetricKind};
use crate::clock;
use crate::domain::fact::Fact;
use crate::domain::names::{CheckId, SinkId, SourceKind, TunnelId, VpnId};
use crate::domain::status::Status;
use crate::domain::time::{Now, Stamp};
use crate::domain::verdict::{Outcome, Verdict};
use crate::health::overview::OpenProblem;
use crate::health::readiness::Readiness;
use crate::settings::Labels;
use crate::telemetry::journal;

/// The `Content-Type` of [`Prometheus::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds in seconds: tunnels within a country take 2 to 50 ms, across the world 300 ms, and a Late reply up to 13 s.
const RTT_BUCKETS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The recorder keeps each sample of a histogram until a scrape or this upkeep adds it to its bucket.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The values of `mode`.
const MODES: [&str; 2] = ["raise", "observe"];

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// The daemon's metrics. All methods are fast and may be called from any thread.
#[derive(Debug)]
pub struct Prometheus {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    checks: Mutex<BTreeMap<CheckId, CheckMeters>>,
    reported: Mutex<Reported>,
    problems: Mutex<state::ProblemSeries>,
}

/// The meters of one check, looked up once.
struct CheckMeters {
    outcomes: [Counter; Outcome::LABELS.len()],
    rtt: Histogram,
    ticks_skipped: Counter,
}

/// Values that components report and that are not in the status.
#[derive(Debug, Clone)]
struct Reported {
    sink_pending: BTreeMap<SinkId, u64>,
    rollups_pending: Option<u64>,
    credentials_expiry: Option<Stamp>,
    clock_offset: Option<i64>,
    config_reload_success: bool,
    mode: Option<&'static str>,
    labels: state::OwnLabels,
}

impl Default for Prometheus {
    fn default() -> Self {
        Self::new()
    }
}

impl Prometheus {
    /// A recorder of its own; nothing global is changed.
    pub fn new() -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(metric::ECHO_RTT.name.to_owned()), &RTT_BUCKETS)
            .expect("only an empty list of buckets is refused")
            .build_recorder();
        for metric in metric::ALL {
            match metric.kind {
                MetricKind::Counter => {
                    recorder.describe_counter(metric.name.into(), None, metric.help.into())
                }
                MetricKind::Histogram => {
                    recorder.describe_histogram(metric.name.into(), None, metric.help.into());
                }
                MetricKind::Gauge => {}
            }
        }
        let reported = Reported {
            sink_pending: BTreeMap::new(),
            rollups_pending: None,
            credentials_expiry: None,
            clock_offset: None,
            config_reload_success: true,
            mode: None,
            labels: state::OwnLabels::new(),
        };
        let prometheus = Self {
            handle: recorder.handle(),
            recorder,
            checks: Mutex::default(),
            reported: Mutex::new(reported),
            problems: Mutex::default(),
        };
        // A series that exists from the start shows its first increment.
        prometheus.counter(&metric::ROLLUPS_DROPPED, &[]).increment(0);
        prometheus
    }

    /// Counts a fact.
    pub fn count(&self, fact: &Fact) {
        match fact {
            Fact::EchoEnded { check, outcome } => self.with_check(check, |meters| meters.echo(*outcome)),
            Fact::TicksSkipped { check, count } => {
                self.with_check(check, |meters| meters.ticks_skipped.increment(*count));
            }
            Fact::EvidenceUnusable { source: _, tunnel, verdict } => {
                let why = match verdict {
                    Verdict::Unknown(why) => why.as_str(),
                    Verdict::Up | Verdict::Down => verdict.as_str(),
                };
                let TunnelId { vpn, outside_ip } = tunnel;
                let labels = [vpn.as_str(), &outside_ip.to_string(), why];
                self.counter(&metric::AWS_EVIDENCE_UNUSABLE, &labels).increment(1);
            }
            Fact::Suspicion { .. }
            | Fact::ViewChanged { .. }
            | Fact::AssessmentChanged { .. }
            | Fact::CauseChanged { .. }
            | Fact::SeenUp(_)
            | Fact::ParentChanged { .. }
            | Fact::IncidentPending { .. }
            | Fact::IncidentAverted { .. }
            | Fact::IncidentChanged { .. }
            | Fact::IncidentSettled { .. }
            | Fact::IncidentMissed { .. }
            | Fact::AddressHeld { .. }
            | Fact::MaintenanceChanged { .. }
            | Fact::Resumed { .. }
            | Fact::SilencedChanged { .. }
            | Fact::TunnelLeft { .. }
            | Fact::Watched { .. }
            | Fact::RollupReady(_)
            | Fact::QualityChanged { .. }
            | Fact::CouldVote { .. } => {}
        }
    }

    /// Counts a call to a sink: the `action` (`find`, `start`, …), and its result (`ok`, `temporary`, `rejected`, …).
    pub fn sink_request(&self, sink: &SinkId, action: &str, result: &str) {
        self.counter(&metric::SINK_REQUESTS, &[sink.as_str(), action, result]).increment(1);
    }

    /// How many incidents a sink is not in line with; `None` when the sink is removed.
    pub fn sink_pending(&self, sink: &SinkId, incidents: Option<u64>) {
        let mut reported = self.reported();
        match incidents {
            Some(incidents) => _ = reported.sink_pending.insert(sink.clone(), incidents),
            None => _ = reported.sink_pending.remove(sink),
        }
    }

    /// Counts a request to AWS about the tunnels, by result (`ok`, `throttled`, `denied`, …).
    pub fn aws_poll(&self, source: SourceKind, result: &str) {
        self.counter(&metric::AWS_POLLS, &[source.as_str(), result]).increment(1);
    }

    /// Counts a request to CloudWatch that puts metrics, by result (`ok`, `temporary`, …).
    pub fn metrics_request(&self, result: &str) {
        self.counter(&metric::METRICS_REQUESTS, &[result]).increment(1);
    }

    /// How many rollups wait to be sent.
    pub fn rollups_pending(&self, pending: u64) {
        self.reported().rollups_pending = Some(pending);
    }

    /// Adds to the rollups that will never be sent.
    pub fn rollups_dropped(&self, more: u64) {
        self.counter(&metric::ROLLUPS_DROPPED, &[]).increment(more);
    }

    /// Whether the configuration was accepted when it was last read.
    pub fn config_reload(&self, success: bool) {
        self.reported().config_reload_success = success;
    }

    /// The mode.
    pub fn mode(&self, mode: &'static str) {
        self.reported().mode = Some(mode);
    }

    /// The operator's own labels of each connection, in place of those before.
    pub fn labels(&self, labels: BTreeMap<VpnId, Labels>) {
        self.reported().labels = labels;
    }

    /// When the AWS credentials in use expire; `None` if they do not.
    pub fn credentials_expiry(&self, at: Option<Stamp>) {
        self.reported().credentials_expiry = at;
    }

    /// How many milliseconds this host's clock is ahead of AWS's; `None` before AWS's first answer.
    pub fn clock_offset(&self, millis: Option<i64>) {
        self.reported().clock_offset = millis;
    }

    /// Facts were dropped because the queue of a consumer (`journal`, `store`) was full.
    pub fn facts_dropped(&self, consumer: &str, count: u64) {
        self.counter(&metric::FACTS_DROPPED, &[consumer]).increment(count);
    }

    /// The scrape, in the text format 0.0.4; see [`CONTENT_TYPE`]. Ages are as of `now`.
    pub fn render(&self, status: &Status, problems: &[OpenProblem], now: Now) -> String {
        for tunnel in status.vpns.iter().flat_map(|vpn| &vpn.tunnels) {
            for check in &tunnel.checks {
                // Every outcome is a series from the first scrape on, so that `rate` sees the first loss.
                self.with_check(&CheckId { tunnel: tunnel.id.clone(), kind: check.kind }, |_| {});
            }
        }
        let mut out = Exposition::default();
        out.single(&metric::READY, f64::from(u8::from(Readiness::of(status, problems, now).ready)));
        let mut series = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        series.see(problems);
        series.write(&mut out);
        drop(series);
        let reported = self.reported().clone();
        state::write(&mut out, status, &reported.labels, now);
        write_reported(&mut out, &reported);
        write_process(&mut out);
        let mut text = out.into_text();
        text.push_str(&self.handle.render());
        text
    }

    /// Limits the histograms' memory between scrapes. Never ends; dropping it is safe at any time.
    pub async fn upkeep(&self) {
        let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.handle.run_upkeep();
        }
    }

    fn reported(&self) -> MutexGuard<'_, Reported> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_check(&self, check: &CheckId, count: impl FnOnce(&CheckMeters)) {
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(meters) = checks.get(check) {
            count(meters);
        } else {
            count(checks.entry(check.clone()).or_insert_with(|| self.register_check(check)));
        }
    }

    fn register_check(&self, check: &CheckId) -> CheckMeters {
        let CheckId { tunnel: TunnelId { vpn, outside_ip }, kind } = check;
        let (vpn, tunnel, word) = (vpn.as_str(), outside_ip.to_string(), kind.as_str());
        // An empty label is no label: the series of the inside address has none.
        let host = kind.host().map(|host| Label::new("host", host.to_string()));
        let of = |metric, values: &[&str]| {
            key(metric, values).with_extra_labels(host.clone().into_iter().collect())
        };
        let counter =
            |metric, values: &[&str]| self.recorder.register_counter(&of(metric, values), &METADATA);
        let common = [vpn, tunnel.as_str(), word];
        CheckMeters {
            outcomes: Outcome::LABELS.map(|outcome| counter(&metric::ECHOES, &[vpn, &tunnel, word, outcome])),
            rtt: self.recorder.register_histogram(&of(&metric::ECHO_RTT, &common), &METADATA),
            ticks_skipped: counter(&metric::TICKS_SKIPPED, &common),
        }
    }

    fn counter(&self, metric: &Metric, values: &[&str]) -> Counter {
        self.recorder.register_counter(&key(metric, values), &METADATA)
    }
}

impl CheckMeters {
    fn echo(&self, outcome: Outcome) {
        let word = outcome.as_str();
        if let Some(counter) = Outcome::LABELS.iter().position(|label| *label == word) {
            self.outcomes[counter].increment(1);
        }
        match outcome {
            Outcome::Reply { rtt } | Outcome::Late { rtt } => self.rtt.record(rtt.as_secs_f64()),
            Outcome::Lost(_) | Outcome::Fault(_) => {}
        }
    }
}

impl std::fmt::Debug for CheckMeters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckMeters").finish_non_exhaustive()
    }
}

fn write_reported(out: &mut Exposition, reported: &Reported) {
    let Reported {
        sink_pending,
        rollups_pending,
        credentials_expiry,
        clock_offset,
        config_reload_success,
        mode,
        labels: _,
    } = reported;
    let modes = mode.map(|mode| MODES.map(|of| ([of], f64::from(u8::from(of == mode)))));
    out.family(&metric::MODE, modes.into_iter().flatten());
    out.family(&metric::SINK_PENDING, sink_pending.iter().map(|(sink, n)| ([sink.as_str()], *n as f64)));
    out.family(&metric::ROLLUPS_PENDING, rollups_pending.map(|n| ([""; 0], n as f64)));
    let expiry = credentials_expiry.map(|at| ([""; 0], at.as_millis() as f64 / 1e3));
    out.family(&metric::CREDENTIALS_EXPIRY, expiry);
    out.family(&metric::CLOCK_OFFSET, clock_offset.map(|millis| ([""; 0], millis as f64 / 1e3)));
    out.single(&metric::CONFIG_RELOAD_SUCCESS, f64::from(u8::from(*config_reload_success)));
    out.single(&metric::JOURNAL_RECORDS_DROPPED, journal::records_dropped() as f64);
    out.single(&metric::JOURNAL_RECORDS_SUPPRESSED, journal::records_suppressed() as f64);
    out.family(&metric::BUILD_INFO, [([env!("CARGO_PKG_VERSION")], 1.0)]);
}

fn key(metric: &Metric, values: &[&str]) -> Key {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    let labels: Vec<_> = metric
        .labels
        .iter()
        .zip(values)
        .map(|(name, value)| Label::new(*name, (*value).to_owned()))
        .collect();
    Key::from_parts(metric.name, labels)
}

/// USER_HZ, the unit of times in /proc/self/stat: Linux keeps it at 100 towards programs on x86, ARM and RISC-V alike.
const TICKS_PER_SECOND: f64 = 100.0;

/// The usual `process_*` metrics, read from /proc (proc(5)). What cannot be read is left out.
fn write_process(out: &mut Exposition) {
    let stat = read_proc("/proc/self/stat").as_deref().and_then(Stat::parse);
    out.family(&metric::PROCESS_CPU, stat.as_ref().map(|stat| ([""; 0], stat.cpu_seconds)));
    out.family(&metric::PROCESS_THREADS, stat.as_ref().map(|stat| ([""; 0], stat.threads)));
    out.family(&metric::PROCESS_VIRTUAL, stat.as_ref().map(|stat| ([""; 0], stat.virtual_bytes)));
    out.family(&metric::PROCESS_START, stat.map(|stat| ([""; 0], started(&stat))));
    let resident = read_proc("/proc/self/status").as_deref().and_then(resident_bytes);
    out.family(&metric::PROCESS_RESIDENT, resident.map(|bytes| ([""; 0], bytes)));
    // The directory itself is open while it is counted.
    let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1));
    out.family(&metric::PROCESS_OPEN_FDS, open.map(|n| ([""; 0], n as f64)));
    let limit = read_proc("/proc/self/limits").as_deref().and_then(max_fds);
    out.family(&metric::PROCESS_MAX_FDS, limit.map(|n| ([""; 0], n)));
}

fn read_proc(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    threads: f64,
    start_after_boot: f64,
    virtual_bytes: f64,
}

impl Stat {
    /// The program's name may contain spaces and parentheses: fields count from the last one. Numbers are proc(5)'s.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<_> = rest.split_ascii_whitespace().collect();
        let number = |of: usize| fields.get(of - 3).and_then(|field| field.parse::<f64>().ok());
        Some(Self {
            cpu_seconds: (number(14)? + number(15)?) / TICKS_PER_SECOND,
            threads: number(20)?,
            start_after_boot: number(22)? / TICKS_PER_SECOND,
            virtual_bytes: number(23)?,
        })
    }
}

/// When the process started, in seconds since 1970: the same at every scrape, as Prometheus expects, even if the wall clock
/// is set. The boot time does not come from /proc/stat, which the unit's `ProcSubset=pid` hides.
fn started(stat: &Stat) -> f64 {
    static BOOTED: OnceLock<Stamp> = OnceLock::new();
    BOOTED.get_or_init(clock::booted).as_millis() as f64 / 1e3 + stat.start_after_boot
}

fn resident_bytes(status: &str) -> Option<f64> {
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix("kB")?;
    kib.trim().parse::<f64>().ok().map(|kib| kib * 1024.0)
}

fn max_fds(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_ascii_whitespace().next()? {
        "unlimited" => Some(f64::INFINITY),
        soft => soft.parse().ok(),
    }
}
