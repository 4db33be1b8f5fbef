//! CloudWatch: accepts custom metrics, and returns those and `AWS/VPN`'s `TunnelState`.

mod get;
pub(super) mod limits;
mod list;
mod paging;
mod put;
mod statistics;
pub(super) mod store;

use super::api::Handler;
use super::refusal::{Coded, Refusal};

pub(super) const OPERATIONS: &[(&str, Handler)] = &[
    ("PutMetricData", put::put_metric_data),
    ("GetMetricData", get::get_metric_data),
    ("ListMetrics", list::list_metrics),
];

fn invalid_value<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Coded::new(400, "InvalidParameterValue", "InvalidParameterValueException", message).into())
}

fn invalid_combination<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Coded::new(400, "InvalidParameterCombination", "InvalidParameterCombinationException", message)
        .into())
}

fn missing<T>(path: &str) -> Result<T, Refusal> {
    let message = format!("The parameter {path} is required.");
    Err(Coded::new(400, "MissingParameter", "MissingRequiredParameterException", message).into())
}
