//! Runs one reconciler or dispatcher per configured sink, and the publisher. A reload restarts those whose settings changed, and no
//! others.
//!
//! Those are stopped before the core gets the new configuration. Otherwise one could see a Board that no longer waits for it, and
//! forget its open records. Then the ledger's rows go to the sinks that continue them; records without such a sink are reported as
//! left open.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet, yield_now};

use super::any_sink::{self, AnySink};
use super::context::{IoContext, time_at_cloudwatch, time_of_records};
use crate::aws::{AwsConnections, CloudWatchMetrics};
use crate::catalogue::Notice;
use crate::clock;
use crate::config::{CloudWatchSettings, Config, Mode, SinkSettings};
use crate::domain::names::{SinkId, VpnId};
use crate::domain::plan::{Plan, SinkPlan};
use crate::health::overview::{OpenProblem, ShownProblems};
use crate::health::{Component, Severity};
use crate::incident::action::SinkReport;
use crate::incident::settings::{MessageSettings, SinkRules};
use crate::incident::shell::{self, KeepsRecords, SinkFamily, TakesMessages};
use crate::incident::sink::LedgerRow;
use crate::publish::machine::{PublishSettings, Publisher};
use crate::publish::shell::{self as publisher_shell, Tally};
use crate::store::Store;
use crate::telemetry::prometheus::Prometheus;

/// A sink continues over a reload if this is unchanged.
#[derive(Debug, Clone, PartialEq)]
struct SinkIdentity {
    configured: SinkSettings,
    region: Option<Arc<str>>,
    settings: SinkRules,
}

/// The reconcilers that run.
#[derive(Default)]
pub(super) struct Sinks {
    running: BTreeMap<SinkId, (SinkIdentity, AbortHandle)>,
}

impl Sinks {
    /// Stops the sinks that the configuration removes or changes. A reconciler may be dropped at any moment: its state is in the
    /// ledger.
    pub(super) async fn retire(&mut self, context: &IoContext, config: &Config) {
        let wanted = wanted(&context.connections, config).await;
        let mut stopped = Vec::new();
        self.running.retain(|id, (runs, task)| {
            let stays = wanted.get(id) == Some(runs);
            if !stays {
                task.abort();
                stopped.push(task.clone());
                context.health.clear(&Component::Sink(id.to_string()));
                context.records.forget(id);
                context.prometheus.sink_pending(id, None);
            }
            stays
        });
        // An aborted task ends at its next await; until then it may still write to the ledger.
        while !stopped.iter().all(AbortHandle::is_finished) {
            yield_now().await;
        }
    }

    /// Starts the sinks of the configuration. Returns the records left open for people to close, a line each.
    pub(super) async fn adopt(&mut self, context: &IoContext, tasks: &mut JoinSet<()>) -> Vec<String> {
        let config = &context.config;
        self.retire(context, config).await;
        let wanted = wanted(&context.connections, config).await;
        let left = allot(&context.store, &wanted, config, tasks).await;
        for (id, wanted) in wanted {
            if let Entry::Vacant(free) = self.running.entry(id) {
                let task = start(context, &wanted, tasks);
                free.insert((wanted, task));
            }
        }
        left
    }
}

async fn wanted(connections: &AwsConnections, config: &Config) -> BTreeMap<SinkId, SinkIdentity> {
    let mut wanted = BTreeMap::new();
    if config.mode == Mode::Raise {
        for configured in &config.sinks {
            let settings = any_sink::settings(connections, config, configured).await;
            let region = configured.region.clone().or_else(|| config.aws.region.clone());
            let sink = SinkIdentity { configured: configured.clone(), region, settings };
            wanted.insert(configured.id.clone(), sink);
        }
    }
    wanted
}

/// Gives the ledger's rows to the sinks that go on with them, and says what is left open: if the disk hangs, once it does not. Pages
/// do not wait for that.
async fn allot(
    store: &Store,
    wanted: &BTreeMap<SinkId, SinkIdentity>,
    config: &Config,
    tasks: &mut JoinSet<()>,
) -> Vec<String> {
    let sinks = wanted.values().map(|wanted| wanted.settings.sink.clone()).collect();
    let plan = Arc::clone(&config.plan);
    match store.allot(sinks).await {
        Ok(left) => say_left_open(&left, &plan),
        Err(unanswered) => {
            let note = format!(
                "{}: whether a record is left open at a sink is not known yet; the journal will say so (RECORD_LEFT_OPEN)",
                unanswered.what
            );
            tasks.spawn(async move {
                say_left_open(&unanswered.answer().await.unwrap_or_default(), &plan);
            });
            vec![note]
        }
    }
}

fn say_left_open(left: &[LedgerRow], plan: &Plan) -> Vec<String> {
    let texts = left.iter().filter(|row| row.may_be_open()).map(|row| {
        let notice = Notice::LeftOpen {
            sink: &row.sink,
            incident: &row.incident,
            name: &plan.name_of(&row.incident.scope),
            record: row.record.as_ref().map(|record| record.0.as_str()),
        };
        notice.record(Some(&plan.site)).emit();
        notice.record(None).message
    });
    texts.collect()
}

fn start(context: &IoContext, wanted: &SinkIdentity, tasks: &mut JoinSet<()>) -> AbortHandle {
    let SinkIdentity { configured, region, settings } = wanted;
    let (connections, region) = (context.connections.clone(), region.clone());
    let settings = settings.clone();
    match any_sink::open(connections, configured, region, &settings.site) {
        AnySink::IncidentManager(sink) => run(context, settings, KeepsRecords(sink), tasks),
        AnySink::OpsCenter(sink) => run(context, settings, KeepsRecords(sink), tasks),
        AnySink::Sns(sink) => {
            let settings = MessageSettings { rules: settings, repeat_every: None };
            run(context, settings, TakesMessages(sink), tasks)
        }
        AnySink::Webhook(sink, repeat_every) => {
            let settings = MessageSettings { rules: settings, repeat_every };
            run(context, settings, TakesMessages(*sink), tasks)
        }
    }
}

fn run<F: SinkFamily<Settings: Send, Machine: Send>>(
    context: &IoContext,
    settings: F::Settings,
    sink: F,
    tasks: &mut JoinSet<()>,
) -> AbortHandle {
    let connections = context.connections.clone();
    tasks.spawn(shell::run(
        move || time_of_records(&connections),
        settings,
        sink,
        context.store.clone(),
        context.board.clone(),
        context.events.clone(),
        context.health.clone(),
        context.records.clone(),
        observer(&context.prometheus),
    ))
}

fn observer(prometheus: &Arc<Prometheus>) -> impl Fn(&SinkReport) + Send + 'static {
    let prometheus = Arc::clone(prometheus);
    move |report| match report {
        SinkReport::Request { sink, action, result } => prometheus.sink_request(sink, action, result),
        SinkReport::Pending { sink, incidents } => {
            prometheus.sink_pending(sink, Some(u64::try_from(*incidents).unwrap_or(u64::MAX)));
        }
    }
}

/// The publisher that runs, if any.
#[derive(Debug)]
pub(super) struct Publishing {
    running: Option<(Arc<str>, CloudWatchSettings, Vec<SinkPlan>)>,
    shown: watch::Receiver<ShownProblems>,
}

impl Publishing {
    /// None runs yet; `shown` says which sinks fail.
    pub(super) const fn new(shown: watch::Receiver<ShownProblems>) -> Self {
        Self { running: None, shown }
    }

    /// Starts the publisher of the configuration. A different one before it ends when it has sent its minutes.
    pub(super) fn adopt(&mut self, context: &IoContext, tasks: &mut JoinSet<()>) {
        let plan = &context.config.plan;
        let wanted = context.config.cloudwatch.clone().map(|mut cloudwatch| {
            cloudwatch.region = cloudwatch.region.or_else(|| context.config.aws.region.clone());
            (Arc::clone(&plan.site), cloudwatch, plan.sinks.clone())
        });
        if wanted == self.running {
            return;
        }
        self.running = wanted;
        let Some((site, cloudwatch, sinks)) = self.running.clone() else {
            context.facts.set_publisher(None);
            return;
        };
        let (feed, news) = publisher_shell::channel();
        let CloudWatchSettings { namespace, interval, region, role_arn } = cloudwatch;
        let settings = PublishSettings { site, interval, seed: RandomState::new().hash_one("publisher") };
        let sink = CloudWatchMetrics::new(context.connections.clone(), region, role_arn, namespace);
        let (shown, prometheus) = (self.shown.clone(), Arc::clone(&context.prometheus));
        let tally = move |tally| match tally {
            Tally::Put(result) => prometheus.metrics_request(result),
            Tally::Pending(pending) => prometheus.rollups_pending(pending),
            Tally::Dropped(more) => prometheus.rollups_dropped(more),
        };
        let connections = context.connections.clone();
        tasks.spawn(publisher_shell::run(
            move || time_at_cloudwatch(&connections),
            Publisher::new(settings, clock::now()),
            news,
            sink,
            context.store.clone(),
            context.health.clone(),
            move |vpn| can_page(&shown.borrow(), &sinks, vpn),
            tally,
        ));
        context.facts.set_publisher(Some(feed));
    }
}

/// Whether any sink could deliver an incident of the connection now.
fn can_page(shown: &[OpenProblem], sinks: &[SinkPlan], vpn: &VpnId) -> bool {
    let fails = |sink: &SinkPlan| {
        let of_sink = [Component::Sink(sink.id.to_string()), Component::Preparation(sink.id.to_string())];
        shown
            .iter()
            .any(|open| of_sink.contains(&open.component) && open.problem.severity == Severity::Failed)
    };
    sinks
        .iter()
        .filter(|sink| sink.kinds.iter().any(|kind| sink.takes_vpn(vpn, *kind)))
        .any(|sink| !fails(sink))
}
