//! `PutMetricData`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::clock::Epoch;
use super::super::refusal::Refusal;
use super::super::sigv4::Caller;
use super::super::state::State;
use super::{invalid_value, limits, missing};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    namespace: String,
    #[serde(default)]
    metric_data: Vec<Datum>,
    #[serde(default)]
    entity_metric_data: Vec<EntityMetricData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EntityMetricData {
    #[serde(default)]
    metric_data: Vec<Datum>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Datum {
    pub(super) metric_name: String,
    #[serde(default)]
    pub(super) dimensions: Vec<Dimension>,
    pub(super) timestamp: Option<Epoch>,
    pub(super) value: Option<f64>,
    pub(super) values: Option<Vec<f64>>,
    pub(super) counts: Option<Vec<f64>>,
    pub(super) statistic_values: Option<StatisticSet>,
    pub(super) unit: Option<String>,
    pub(super) storage_resolution: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Dimension {
    pub(super) name: String,
    pub(super) value: String,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StatisticSet {
    pub(super) sample_count: f64,
    pub(super) sum: f64,
    pub(super) minimum: f64,
    pub(super) maximum: f64,
}

/// All or nothing: with one bad datum none is stored.
pub(super) fn put_metric_data(state: &mut State, caller: &Caller, input: Value) -> Result<Value, Refusal> {
    let input: Input = serde_json::from_value(input).map_err(|_| Refusal::Internal)?;
    let now = state.clock.now();
    limits::namespace(&input.namespace)?;
    let entities = input.entity_metric_data.into_iter().flat_map(|entity| entity.metric_data);
    let data: Vec<Datum> = input.metric_data.into_iter().chain(entities).collect();
    if data.is_empty() {
        return missing("MetricData");
    }
    if data.len() > limits::METRICS_PER_CALL {
        let most = limits::METRICS_PER_CALL;
        return invalid_value(format!("The collection MetricData must not have a size greater than {most}."));
    }
    for (index, datum) in data.iter().enumerate() {
        limits::datum(datum, now, &format!("MetricData.member.{}", index + 1))?;
    }
    for mut datum in data {
        // AWS stamps data without a time with the time of arrival.
        datum.timestamp.get_or_insert(now);
        state.metrics.put(&caller.region, &input.namespace, datum);
    }
    Ok(json!({}))
}
