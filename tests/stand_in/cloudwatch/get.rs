//! `GetMetricData`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::super::clock::Epoch;
use super::super::refusal::{Coded, Refusal};
use super::super::settings::TunnelDimensions;
use super::super::sigv4::Caller;
use super::super::state::State;
use super::super::tunnels::{Bytes, MINUTE, MetricView, Tunnel};
use super::limits::{self, DATAPOINTS_PER_CALL, QUERIES_PER_CALL};
use super::paging::{self, Series};
use super::put::Dimension;
use super::statistics::{Samples, Statistic};
use super::store::MetricKey;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    metric_data_queries: Vec<Query>,
    start_time: Epoch,
    end_time: Epoch,
    #[serde(default)]
    scan_by: ScanBy,
    max_datapoints: Option<i64>,
    next_token: Option<String>,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
enum ScanBy {
    #[default]
    TimestampDescending,
    TimestampAscending,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Query {
    id: String,
    label: Option<String>,
    metric_stat: Option<MetricStat>,
    expression: Option<String>,
    return_data: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricStat {
    metric: Metric,
    period: i64,
    stat: String,
    unit: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
}

/// A valid query.
struct Asked {
    key: MetricKey,
    unit: Option<String>,
    period: f64,
    statistic: Statistic,
}

pub(super) fn get_metric_data(state: &mut State, caller: &Caller, input: Value) -> Result<Value, Refusal> {
    let input: Input = serde_json::from_value(input).map_err(|_| Refusal::Internal)?;
    if input.start_time >= input.end_time {
        return invalid("The parameter StartTime must be less than the parameter EndTime.");
    }
    let queries = &input.metric_data_queries;
    if queries.is_empty() || queries.len() > QUERIES_PER_CALL {
        return invalid("The collection MetricDataQueries must have a size from 1 to 500.");
    }
    let most = usize::try_from(input.max_datapoints.unwrap_or(DATAPOINTS_PER_CALL as i64)).unwrap_or(0);
    if !(1..=DATAPOINTS_PER_CALL).contains(&most) {
        return invalid("The parameter MaxDatapoints must be from 1 to 100800.");
    }
    let mut all = Vec::new();
    for (index, query) in queries.iter().enumerate() {
        if queries[..index].iter().any(|earlier| earlier.id == query.id) {
            return invalid("The values for parameter id in MetricDataQueries are not unique.");
        }
        let asked = asked(query, &caller.region)?;
        if query.return_data.unwrap_or(true) {
            all.push(series(state, query, &asked, &input));
        }
    }
    paging::page(all, input.next_token.as_deref(), most)
}

fn asked(query: &Query, region: &str) -> Result<Asked, Refusal> {
    let mut characters = query.id.chars();
    let starts_well = characters.next().is_some_and(|c| c.is_ascii_lowercase());
    if !starts_well || !characters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return invalid(format!(
            "The value {} for parameter Id is not matching the expected pattern.",
            query.id
        ));
    }
    let Some(stat) = &query.metric_stat else {
        return invalid("Every query needs a MetricStat here: the stand-in evaluates no expressions.");
    };
    if query.expression.is_some() {
        return invalid("A query has either an Expression or a MetricStat, not both.");
    }
    if !(matches!(stat.period, 1 | 5 | 10 | 20 | 30) || stat.period % 60 == 0) {
        return invalid(format!(
            "The value {} for parameter Period is invalid: 1, 5, 10, 20, 30 or a multiple of 60.",
            stat.period
        ));
    }
    let Some(statistic) = Statistic::parse(&stat.stat) else {
        return invalid(format!("The value {} for parameter Stat is not supported.", stat.stat));
    };
    let Metric { namespace, metric_name, dimensions } = &stat.metric;
    if namespace.is_empty() || metric_name.is_empty() {
        return invalid("A metric needs a Namespace and a MetricName.");
    }
    limits::dimensions(dimensions, "MetricStat.Metric")?;
    let key = MetricKey::new(region, namespace, metric_name, dimensions.clone());
    Ok(Asked { key, unit: stat.unit.clone(), period: stat.period as f64, statistic })
}

fn series(state: &State, query: &Query, asked: &Asked, input: &Input) -> Series {
    let label = query.label.clone().unwrap_or_else(|| asked.key.name.clone());
    let tunnels = tunnels(state, &asked.key);
    let bytes: Option<fn(Bytes) -> Option<f64>> = match asked.key.name.as_str() {
        "TunnelDataIn" => Some(|bytes| bytes.data_in),
        "TunnelDataOut" => Some(|bytes| bytes.data_out),
        _ => None,
    };
    if bytes.is_none() && tunnels.iter().any(|tunnel| tunnel.metric_view == MetricView::Garbage) {
        let minute = (state.clock.now() / MINUTE).floor() * MINUTE;
        return Series { id: query.id.clone(), label, timestamps: vec![minute], values: vec![42.0, -1.0] };
    }
    let start = aligned(input.start_time, asked.period);
    let mut samples = state.metrics.samples(&asked.key, asked.unit.as_deref());
    samples.retain(|(at, _)| *at >= start && *at < input.end_time);
    for tunnel in tunnels {
        let (end, now) = (input.end_time, state.clock.now());
        let points = match bytes {
            Some(of) => tunnel.byte_metric(start, end, now, &state.switches, of),
            None => tunnel.state_metric(start, end, now, &state.switches),
        };
        samples.extend(points.into_iter().map(|(at, value)| (at, Samples::one(value))));
    }
    let mut points = by_period(samples, asked);
    if input.scan_by == ScanBy::TimestampDescending {
        points.reverse();
    }
    let (timestamps, values) = points.into_iter().unzip();
    Series { id: query.id.clone(), label, timestamps, values }
}

/// The tunnels of a metric: one with both dimensions, all that match with either alone.
fn tunnels<'a>(state: &'a State, key: &MetricKey) -> Vec<&'a Tunnel> {
    let known = ["VpnId", "TunnelIpAddress"];
    let named = matches!(key.name.as_str(), "TunnelState" | "TunnelDataIn" | "TunnelDataOut");
    let ours = key.namespace == "AWS/VPN" && named && !key.dimensions.is_empty();
    let names: Vec<&str> = key.dimensions.iter().map(|dimension| dimension.name.as_str()).collect();
    let is_there = match state.switches.tunnel_dimensions {
        TunnelDimensions::Any => names.iter().all(|name| known.contains(name)),
        // VpnId has the aggregate of both tunnels.
        TunnelDimensions::AddressAlone => names == ["TunnelIpAddress"] || names == ["VpnId"],
        TunnelDimensions::NoAggregate => names == ["TunnelIpAddress"],
        TunnelDimensions::Others => {
            names == ["Category", "TunnelIpAddress", "VpnId"] && key.dimension("Category") == Some("VPN")
        }
    };
    if !ours || !is_there {
        return vec![];
    }
    let (vpn, address) = (key.dimension(known[0]), key.dimension(known[1]));
    let connections = state.connections.iter().filter(|connection| connection.region == key.region);
    let connections = connections.filter(|connection| vpn.is_none_or(|id| connection.id == id));
    let tunnels = connections.flat_map(|connection| &connection.tunnels);
    tunnels.filter(|tunnel| address.is_none_or(|ip| tunnel.outside_ip == ip)).collect()
}

/// One point per period, stamped with the period's start, oldest first.
fn by_period(samples: Vec<(Epoch, Samples)>, asked: &Asked) -> Vec<(Epoch, f64)> {
    let mut periods: BTreeMap<i64, Samples> = BTreeMap::new();
    for (at, sample) in samples {
        let period = (at / asked.period).floor() as i64;
        match periods.get_mut(&period) {
            Some(known) => known.merge(sample),
            None => drop(periods.insert(period, sample)),
        }
    }
    let points = periods.into_iter();
    points
        .filter_map(|(period, all)| Some((period as f64 * asked.period, all.statistic(asked.statistic)?)))
        .collect()
}

fn aligned(time: Epoch, period: f64) -> Epoch {
    (time / period).floor() * period
}

/// GetMetricData uses `ValidationError` for everything that its model does not name.
fn invalid<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Coded::new(400, "ValidationError", "ValidationError", message).into())
}
