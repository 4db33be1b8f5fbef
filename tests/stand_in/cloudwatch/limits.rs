//! The documented limits that are not in the model.
//!
//! Sources: CloudWatch API reference, PutMetricData, MetricDatum, Dimension, GetMetricData; CloudWatch user guide,
//! "CloudWatch service quotas".

use super::super::clock::Epoch;
use super::super::refusal::Refusal;
use super::put::{Datum, Dimension};
use super::{invalid_combination, invalid_value, missing};

/// PutMetricData: 1 MB for a POST, compressed or not.
pub(crate) const LARGEST_BODY: usize = 1024 * 1024;
pub(super) const METRICS_PER_CALL: usize = 1000;
const VALUES_PER_METRIC: usize = 150;
/// Timestamps from two weeks before now to two hours after.
const OLDEST: f64 = 14.0 * 86_400.0;
const NEWEST: f64 = 2.0 * 3600.0;
/// Values lie within ±2^360.
const LARGEST_VALUE_EXPONENT: i32 = 360;
pub(super) const QUERIES_PER_CALL: usize = 500;
pub(super) const DATAPOINTS_PER_CALL: usize = 100_800;

/// Custom metrics may not use AWS's namespaces.
pub(super) fn namespace(namespace: &str) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_/#: ".contains(c);
    if namespace.starts_with("AWS/") {
        return invalid_value(
            "The value AWS/ for parameter Namespace is invalid: it is reserved for AWS's own metrics.",
        );
    }
    if !namespace.chars().all(allowed) || namespace.trim().is_empty() {
        return invalid_value(format!("The value {namespace} for parameter Namespace is invalid."));
    }
    Ok(())
}

/// Names and values are ASCII, not blank; a name begins with no colon and comes once.
pub(super) fn dimensions(dimensions: &[Dimension], path: &str) -> Result<(), Refusal> {
    for (index, dimension) in dimensions.iter().enumerate() {
        let path = format!("{path}.Dimensions.member.{}", index + 1);
        let printable = |text: &str| text.bytes().all(|b| b.is_ascii() && !b.is_ascii_control());
        let sound = |text: &str| printable(text) && !text.trim().is_empty();
        if !sound(&dimension.name) || !sound(&dimension.value) || dimension.name.starts_with(':') {
            return invalid_value(format!("The value for parameter {path} is invalid."));
        }
        if dimensions[..index].iter().any(|earlier| earlier.name == dimension.name) {
            return invalid_value(format!("The parameter {path} repeats the name {}.", dimension.name));
        }
    }
    Ok(())
}

/// All of AWS's requirements for a datum.
pub(super) fn datum(datum: &Datum, now: Epoch, path: &str) -> Result<(), Refusal> {
    name(&datum.metric_name, path)?;
    dimensions(&datum.dimensions, path)?;
    if datum.timestamp.is_some_and(|at| at < now - OLDEST || at > now + NEWEST) {
        return invalid_value(format!(
            "The parameter {path}.Timestamp must specify a time within the past two weeks or two hours ahead."
        ));
    }
    if !matches!(datum.storage_resolution, None | Some(1 | 60)) {
        return invalid_value(format!("The parameter {path}.StorageResolution must be 1 or 60."));
    }
    one_kind_of_value(datum, path)?;
    values(datum, path)
}

fn name(name: &str, path: &str) -> Result<(), Refusal> {
    if name.trim().is_empty() || !name.bytes().all(|b| b.is_ascii() && !b.is_ascii_control()) {
        return invalid_value(format!("The value {name} for parameter {path}.MetricName is invalid."));
    }
    Ok(())
}

fn one_kind_of_value(datum: &Datum, path: &str) -> Result<(), Refusal> {
    let kinds = [datum.value.is_some(), datum.values.is_some(), datum.statistic_values.is_some()];
    match kinds.iter().filter(|present| **present).count() {
        0 => missing(&format!("{path}.Value")),
        1 => Ok(()),
        _ => invalid_combination(format!(
            "The parameters {path}.Value, {path}.Values and {path}.StatisticValues are mutually exclusive and you \
             have specified more than one."
        )),
    }
}

fn values(datum: &Datum, path: &str) -> Result<(), Refusal> {
    let values = datum.values.as_deref().unwrap_or_default();
    if values.len() > VALUES_PER_METRIC || (datum.values.is_some() && values.is_empty()) {
        return invalid_value(format!(
            "The parameter {path}.Values must have from 1 to {VALUES_PER_METRIC} entries."
        ));
    }
    if let Some(counts) = &datum.counts {
        if counts.len() != values.len() {
            return invalid_value(format!(
                "The parameters {path}.Values and {path}.Counts must be of the same size."
            ));
        }
        if counts.iter().any(|count| *count <= 0.0) {
            return invalid_value(format!("The parameter {path}.Counts must be positive."));
        }
    }
    let set = datum.statistic_values.as_ref();
    let numbers = set.map(|set| [set.sum, set.minimum, set.maximum, set.sample_count]);
    let numbers = numbers.into_iter().flatten().chain(values.iter().copied()).chain(datum.value);
    let largest = 2f64.powi(LARGEST_VALUE_EXPONENT);
    if let Some(value) = numbers.into_iter().find(|value| value.abs() > largest) {
        return invalid_value(format!("The value {value} for parameter {path}.Value is invalid."));
    }
    Ok(())
}
