//! The publisher, as the configuration wants it.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::clock_offset;
use super::context::IoContext;
use crate::aws::CloudWatchMetrics;
use crate::clock;
use crate::config::CloudWatchSettings;
use crate::domain::names::VpnId;
use crate::domain::plan::SinkPlan;
use crate::health::overview::{OpenProblem, ShownProblems};
use crate::health::{Component, Severity};
use crate::publish::machine::{PublishSettings, Publisher};
use crate::publish::shell::{self, Tally};

/// Which publisher runs.
#[derive(Debug)]
pub(super) struct Publishing {
    running: Option<(Arc<str>, CloudWatchSettings, Vec<SinkPlan>)>,
    shown: watch::Receiver<ShownProblems>,
}

impl Publishing {
    /// None runs yet; `shown` tells which sinks fail.
    pub(super) const fn new(shown: watch::Receiver<ShownProblems>) -> Self {
        Self { running: None, shown }
    }

    /// Runs what the configuration wants; the publisher before, if it was another, ends when it has sent what it has.
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
        let (feed, news) = shell::channel();
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
        tasks.spawn(shell::run(
            move || clock_offset::as_cloudwatch_judges(&connections),
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

/// Whether some sink that takes incidents of the connection would take one at this moment.
fn can_page(shown: &[OpenProblem], sinks: &[SinkPlan], vpn: &VpnId) -> bool {
    let fails = |sink: &SinkPlan| {
        let of_sink = [Component::Sink(sink.id.to_string()), Component::Preparation(sink.id.to_string())];
        shown
            .iter()
            .any(|open| of_sink.contains(&open.component) && open.problem.severity == Severity::Failed)
    };
    sinks
        .iter()
        .filter(|sink| sink.vpns.as_ref().is_none_or(|vpns| vpns.contains(vpn)))
        .any(|sink| !fails(sink))
}
