//! The custom metrics.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::clock::Epoch;
use super::put::{Datum, Dimension};
use super::statistics::Samples;

/// Data kept per metric; a demo puts one a minute.
const KEPT_PER_METRIC: usize = 20_000;

/// The identity of a metric.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MetricKey {
    pub(super) region: String,
    pub(super) namespace: String,
    pub(super) name: String,
    /// Sorted.
    pub(super) dimensions: Vec<Dimension>,
}

#[derive(Default)]
pub(crate) struct Metrics(BTreeMap<MetricKey, Vec<Datum>>);

impl MetricKey {
    pub(super) fn new(region: &str, namespace: &str, name: &str, mut dimensions: Vec<Dimension>) -> Self {
        dimensions.sort();
        Self { region: region.to_owned(), namespace: namespace.to_owned(), name: name.to_owned(), dimensions }
    }

    pub(super) fn dimension(&self, name: &str) -> Option<&str> {
        self.dimensions
            .iter()
            .find(|dimension| dimension.name == name)
            .map(|dimension| dimension.value.as_str())
    }
}

impl Metrics {
    pub(super) fn keys(&self) -> impl Iterator<Item = &MetricKey> {
        self.0.keys()
    }

    pub(super) fn put(&mut self, region: &str, namespace: &str, datum: Datum) {
        let key = MetricKey::new(region, namespace, &datum.metric_name, datum.dimensions.clone());
        let data = self.0.entry(key).or_default();
        data.push(datum);
        if data.len() > KEPT_PER_METRIC {
            data.remove(0);
        }
    }

    /// The samples of one metric, in one unit or in any.
    pub(super) fn samples(&self, key: &MetricKey, unit: Option<&str>) -> Vec<(Epoch, Samples)> {
        let data = self.0.get(key).into_iter().flatten();
        let data =
            data.filter(|datum| unit.is_none_or(|unit| datum.unit.as_deref().unwrap_or("None") == unit));
        data.filter_map(|datum| Some((datum.timestamp?, Samples::of(datum)))).collect()
    }

    /// Everything, for tests: one entry per datum, as it was put, with its Region and namespace.
    pub(crate) fn listed(&self, namespace: Option<&str>) -> Value {
        let wanted = self.0.iter().filter(|(key, _)| namespace.is_none_or(|name| key.namespace == name));
        let listed = wanted.flat_map(|(key, data)| {
            data.iter()
                .map(|datum| json!({ "region": key.region, "namespace": key.namespace, "datum": datum }))
        });
        listed.collect()
    }
}
