//! `PutMetricData`, which has no dry run.
//!
//! A datum whose timestamp lies outside of the last two weeks is refused (`InvalidParameterValue`: "must specify a time
//! within the past two weeks"; CloudWatch API Reference, PutMetricData, on what a timestamp may be), and one that
//! lies far outside is so whatever our clock says.

use std::sync::Arc;

use aws_sdk_cloudwatch::types::MetricDatum;
use aws_smithy_types::DateTime;

use super::trier::{Trier, sent};
use super::{Grant, Meant};
use crate::aws::permission::Call;

/// 2010-01-01. Were it stored after all, nothing could show it: CloudWatch keeps nothing for longer than 455 days.
const TOO_OLD: i64 = 1_262_304_000;

pub(super) async fn put(trier: &mut Trier, namespace: &str) {
    let connection = Arc::clone(&trier.connection);
    let datum = MetricDatum::builder()
        .metric_name("Heartbeat")
        .timestamp(DateTime::from_secs(TOO_OLD))
        .value(1.0)
        .build();
    let request = connection.cloudwatch.put_metric_data().namespace(namespace).metric_data(datum);
    let send = |capture| request.clone().customize().interceptor(capture).send();
    let send = || sent(Call::PutMetricData, &connection, send);
    let on = format!("namespace {namespace}");
    let grant = Grant::if_equal("cloudwatch:namespace", namespace);
    trier.attempt(Call::PutMetricData, &on, grant, Meant::Refusal, send).await;
}
