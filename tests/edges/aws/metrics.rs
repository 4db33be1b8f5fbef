//! CloudWatch as a metric sink.

use bothends::aws::CloudWatchMetrics;
use bothends::domain::time::Stamp;
use bothends::publish::sink::{Datum, DatumValue, MetricSink, PutError, Unit};
use serde_json::json;

use super::{REGION, TUNNELS, VPN, connections, control, fault, received, stand_in};
use crate::stand_in::StandIn;

fn sink(aws: &StandIn) -> CloudWatchMetrics {
    CloudWatchMetrics::new(connections(aws), Some(REGION.into()), None, "BothEnds")
}

fn datum(value: DatumValue) -> Datum {
    Datum {
        name: "RoundTripTime",
        unit: Unit::Milliseconds,
        dimensions: vec![("VpnId", VPN.to_owned()), ("TunnelIpAddress", TUNNELS[0].to_owned())],
        stamp: Stamp::from_millis(bothends::clock::wall().minute().as_millis() - 60_000),
        value,
    }
}

#[tokio::test]
async fn a_batch_arrives_with_names_units_dimensions_and_values() {
    let aws = stand_in();
    let single = Datum { name: "TunnelUp", unit: Unit::None, ..datum(DatumValue::Single(1.0)) };
    let batch = [datum(DatumValue::Distribution(vec![(12.5, 50.0), (20.0, 10.0)])), single];
    sink(&aws).put(&batch).await.unwrap();
    let request = &received(&aws, "PutMetricData")[0];
    let data = &request["parameters"]["MetricData"];
    assert_eq!(request["parameters"]["Namespace"], "BothEnds");
    assert_eq!(data[0]["Values"], json!([12.5, 20.0]));
    assert_eq!(data[0]["Counts"], json!([50.0, 10.0]));
    assert_eq!((&data[0]["Unit"], &data[1]["Unit"]), (&json!("Milliseconds"), &json!("None")));
    assert_eq!(data[1]["Value"], 1.0);
    assert_eq!(data[1]["Dimensions"][1], json!({ "Name": "TunnelIpAddress", "Value": TUNNELS[0] }));
    assert!(!control(&aws, json!({ "metrics": { "namespace": "BothEnds" } })).as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_thousand_data_are_one_request_and_go_out_compressed() {
    let aws = stand_in();
    let batch: Vec<Datum> = (0..1000).map(|n| datum(DatumValue::Single(f64::from(n)))).collect();
    sink(&aws).put(&batch).await.unwrap();
    let requests = received(&aws, "PutMetricData");
    assert_eq!((requests.len(), &requests[0]["compressed"]), (1, &json!(true)));
}

#[tokio::test]
async fn rejections_say_what_the_publisher_may_do() {
    let put = async |kind| {
        let aws = stand_in();
        fault(&aws, "PutMetricData", kind);
        sink(&aws).put(&[datum(DatumValue::Single(1.0))]).await.unwrap_err()
    };
    assert!(matches!(put(json!("throttle")).await, PutError::Temporary { throttled: true, .. }));
    assert!(matches!(put(json!("unavailable")).await, PutError::Temporary { throttled: false, .. }));
    assert!(matches!(put(json!("reset")).await, PutError::Temporary { throttled: false, .. }));
    let denied = put(json!("denied")).await;
    assert!(matches!(&denied, PutError::Denied { what } if what.contains("cloudwatch:PutMetricData")));
    assert!(matches!(put(json!("expired")).await, PutError::Denied { .. }));
}

#[tokio::test]
async fn data_that_cloudwatch_never_accepts_is_distinguished_from_data_to_retry() {
    let aws = stand_in();
    let error = sink(&aws).put(&[datum(DatumValue::Single(f64::NAN))]).await.unwrap_err();
    assert!(matches!(error, PutError::BadData { .. }), "{error:?}");
}

#[tokio::test]
async fn a_wrong_local_clock_does_not_prevent_delivery() {
    let aws = stand_in();
    control(&aws, json!({ "advance_clock": { "seconds": 1200.0 } }));
    sink(&aws).put(&[datum(DatumValue::Single(1.0))]).await.unwrap();
}
