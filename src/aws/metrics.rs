//! CloudWatch as a metric sink: `PutMetricData`.

use std::fmt;
use std::sync::Arc;

use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use aws_smithy_types::DateTime;

use super::connection::AwsConnections;
use super::errors::{Failure, FailureClass, FailureKind};
use super::exchange::call;
use super::permission::Call;
use crate::domain::names::AwsPlace;
use crate::publish::sink::{Datum, DatumValue, MetricSink, PutError, Unit};

/// A namespace of CloudWatch in one Region, written with one role.
pub struct CloudWatchMetrics {
    connections: AwsConnections,
    place: AwsPlace,
    namespace: Arc<str>,
}

impl CloudWatchMetrics {
    /// A sink for `namespace`; `None` leaves the Region to the SDK's chain and calls with the daemon's own identity.
    pub fn new(
        connections: AwsConnections,
        region: Option<Arc<str>>,
        role_arn: Option<Arc<str>>,
        namespace: impl Into<Arc<str>>,
    ) -> Self {
        Self { connections, place: AwsPlace { region, role_arn }, namespace: namespace.into() }
    }
}

impl fmt::Debug for CloudWatchMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloudWatchMetrics({} {})", self.namespace, self.place)
    }
}

impl MetricSink for CloudWatchMetrics {
    async fn put(&self, data: &[Datum]) -> Result<(), PutError> {
        let connection = self.connections.at(&self.place).await;
        if connection.place.region.is_none() {
            return Err(put_error(Failure::no_region(Call::PutMetricData), false));
        }
        let request = connection
            .cloudwatch
            .put_metric_data()
            .namespace(&*self.namespace)
            .set_metric_data(Some(data.iter().map(datum).collect()));
        let send = |capture| request.clone().customize().interceptor(capture).send();
        match call(Call::PutMetricData, &connection.place, send).await {
            Ok(_) => {
                connection.accepted();
                Ok(())
            }
            Err(failure) => {
                let renewed = self.connections.renew_after(&failure, &connection);
                Err(put_error(failure, renewed))
            }
        }
    }
}

fn datum(datum: &Datum) -> MetricDatum {
    let Datum { name, unit, dimensions, stamp, value } = datum;
    let dimension =
        |(name, value): &(&'static str, String)| Dimension::builder().name(*name).value(value).build();
    let builder = MetricDatum::builder()
        .metric_name(*name)
        .unit(match unit {
            Unit::None => StandardUnit::None,
            Unit::Percent => StandardUnit::Percent,
            Unit::Milliseconds => StandardUnit::Milliseconds,
            Unit::Count => StandardUnit::Count,
        })
        .timestamp(DateTime::from_millis(stamp.as_millis()))
        .set_dimensions(Some(dimensions.iter().map(dimension).collect()));
    match value {
        DatumValue::Single(value) => builder.value(*value).build(),
        DatumValue::Distribution(values) => {
            let (values, counts) = values.iter().copied().unzip();
            builder.set_values(Some(values)).set_counts(Some(counts)).build()
        }
    }
}

/// `renewed`: the credentials were good until now and are loaded afresh, so that the same again may well do.
fn put_error(failure: Failure, renewed: bool) -> PutError {
    let what = failure.text.clone();
    let temporary = |what, failure: Failure| {
        let throttled = matches!(failure.kind, FailureKind::Throttled { .. });
        PutError::Temporary { what, throttled, source: Some(Arc::new(failure)) }
    };
    match failure.kind.class() {
        FailureClass::Permission if renewed && failure.kind == FailureKind::CredentialsRefused => {
            temporary(what, failure)
        }
        FailureClass::Temporary | FailureClass::NotFound | FailureClass::TokenKnown => {
            temporary(what, failure)
        }
        FailureClass::Permission => PutError::Denied { what },
        FailureClass::Rejected => PutError::BadData { what },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Stamp;

    fn sample(value: DatumValue) -> Datum {
        Datum {
            name: "RoundTripTime",
            unit: Unit::Milliseconds,
            dimensions: vec![("VpnId", "vpn-0a".to_owned()), ("TunnelIpAddress", "203.0.113.11".to_owned())],
            stamp: Stamp::from_secs(60),
            value,
        }
    }

    #[test]
    fn a_distribution_goes_out_as_values_and_counts() {
        let sent = datum(&sample(DatumValue::Distribution(vec![(1.5, 2.0), (3.0, 58.0)])));
        assert_eq!((sent.values(), sent.counts()), (&[1.5, 3.0][..], &[2.0, 58.0][..]));
        assert_eq!(sent.value(), None);
        assert_eq!(sent.unit(), Some(&StandardUnit::Milliseconds));
        assert_eq!(sent.timestamp(), Some(&DateTime::from_secs(60)));
        let names: Vec<_> = sent.dimensions().iter().filter_map(Dimension::name).collect();
        assert_eq!(names, ["VpnId", "TunnelIpAddress"]);
    }

    #[test]
    fn a_single_value_goes_out_alone() {
        let sent = datum(&sample(DatumValue::Single(4.0)));
        assert_eq!((sent.value(), sent.values(), sent.counts()), (Some(4.0), &[][..], &[][..]));
    }
}
