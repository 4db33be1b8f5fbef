//! The real SDK against the stand-in: it gets its answers, and parses the rejections like AWS's.

use aws_credential_types::Credentials;
use aws_sdk_cloudwatch::error::ProvideErrorMetadata as _;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types as cw;
use aws_sdk_ssmincidents::types as im;
use aws_smithy_runtime_api::client;
use aws_smithy_runtime_api::client::http::{
    HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::json;

use super::super::StandIn;
use super::{KEY, PLAN, REGION, SECRET, TUNNEL, VPN, control, received, started};

fn credentials() -> Credentials {
    Credentials::new(KEY, SECRET, None, None, "test")
}

fn cloudwatch(stand_in: &StandIn) -> aws_sdk_cloudwatch::Client {
    let config = aws_sdk_cloudwatch::Config::builder()
        .behavior_version(aws_sdk_cloudwatch::config::BehaviorVersion::v2026_01_12())
        .region(aws_sdk_cloudwatch::config::Region::new(REGION))
        .credentials_provider(credentials())
        .endpoint_url(stand_in.url())
        .http_client(http())
        .retry_config(retry());
    aws_sdk_cloudwatch::Client::from_conf(config.build())
}

fn incident_manager(stand_in: &StandIn) -> aws_sdk_ssmincidents::Client {
    let config = aws_sdk_ssmincidents::Config::builder()
        .behavior_version(aws_sdk_ssmincidents::config::BehaviorVersion::v2026_01_12())
        .region(aws_sdk_ssmincidents::config::Region::new(REGION))
        .credentials_provider(credentials())
        .endpoint_url(stand_in.url())
        .http_client(http())
        .retry_config(retry());
    aws_sdk_ssmincidents::Client::from_conf(config.build())
}

fn retry() -> RetryConfig {
    RetryConfig::standard().with_initial_backoff(std::time::Duration::from_millis(1))
}

/// Plain HTTP, without any product code.
fn http() -> SharedHttpClient {
    let client = Client::builder(TokioExecutor::new()).build_http();
    http_client_fn(move |_, _| SharedHttpConnector::new(Plain(client.clone())))
}

#[derive(Debug)]
struct Plain(Client<HttpConnector, SdkBody>);

impl client::http::HttpConnector for Plain {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let answer = client.request(request).await.map_err(|error| ConnectorError::io(error.into()))?;
            let answer = answer.map(SdkBody::from_body_1_x);
            HttpResponse::try_from(answer).map_err(|error| ConnectorError::user(error.into()))
        })
    }
}

fn datum(name: &str) -> cw::MetricDatum {
    let dimension = |name: &str, value: &str| cw::Dimension::builder().name(name).value(value).build();
    cw::MetricDatum::builder()
        .metric_name(name)
        .dimensions(dimension("VpnId", VPN))
        .dimensions(dimension("TunnelIpAddress", TUNNEL))
        .unit(cw::StandardUnit::Milliseconds)
        .set_values(Some(vec![12.5, 20.0]))
        .set_counts(Some(vec![50.0, 10.0]))
        .build()
}

fn tunnel_state() -> cw::MetricDataQuery {
    let dimension = |name: &str, value: &str| cw::Dimension::builder().name(name).value(value).build();
    let metric = cw::Metric::builder()
        .namespace("AWS/VPN")
        .metric_name("TunnelState")
        .dimensions(dimension("VpnId", VPN))
        .dimensions(dimension("TunnelIpAddress", TUNNEL))
        .build();
    let stat = cw::MetricStat::builder().metric(metric).period(60).stat("Average").build();
    cw::MetricDataQuery::builder().id("t0").metric_stat(stat).build()
}

#[tokio::test]
async fn large_metric_requests_are_compressed() {
    let stand_in = started();
    let client = cloudwatch(&stand_in);
    let put = |count| {
        client
            .put_metric_data()
            .namespace("BothEnds")
            .set_metric_data(Some(vec![datum("RoundTripTime"); count]))
    };
    put(1).send().await.unwrap();
    put(200).send().await.unwrap();
    let calls = received(&stand_in, "PutMetricData");
    assert_eq!((&calls[0]["compressed"], &calls[1]["compressed"]), (&json!(false), &json!(true)));
    assert_eq!(calls[1]["parameters"]["MetricData"].as_array().unwrap().len(), 200);
}

#[tokio::test]
async fn tunnel_state_is_returned() {
    let stand_in = started();
    control(&stand_in, json!({ "set_view": { "outside_ip": TUNNEL, "cloudwatch": { "value": 0.5 } } }));
    let end = super::now(&stand_in);
    let answer = cloudwatch(&stand_in)
        .get_metric_data()
        .metric_data_queries(tunnel_state())
        .start_time(DateTime::from_secs_f64(end - 600.0))
        .end_time(DateTime::from_secs_f64(end))
        .send()
        .await
        .unwrap();
    let result = &answer.metric_data_results()[0];
    assert_eq!((result.id(), result.values()[0]), (Some("t0"), 0.5));
    assert_eq!(result.timestamps()[0].secs() % 60, 0);
}

#[tokio::test]
async fn a_throttle_keeps_its_query_code_and_is_retried() {
    let stand_in = started();
    let client = cloudwatch(&stand_in);
    let fault = json!({ "operation": "PutMetricData", "kind": "throttle" });
    control(&stand_in, json!({ "add_fault": { "fault": fault } }));
    let error =
        client.put_metric_data().namespace("BothEnds").metric_data(datum("x")).send().await.unwrap_err();
    assert_eq!(error.code(), Some("Throttling"));
    assert_eq!(received(&stand_in, "PutMetricData").len(), 3);
}

#[tokio::test]
async fn modelled_errors_arrive_as_such() {
    let stand_in = started();
    let error = cloudwatch(&stand_in)
        .put_metric_data()
        .namespace("AWS/VPN")
        .metric_data(datum("x"))
        .send()
        .await
        .unwrap_err();
    assert!(error.as_service_error().unwrap().is_invalid_parameter_value_exception(), "{error:?}");
    let nowhere = "arn:aws:ssm-incidents::123456789012:response-plan/nowhere";
    let error =
        incident_manager(&stand_in).start_incident().response_plan_arn(nowhere).send().await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_resource_not_found_exception(), "{error:?}");
}

#[tokio::test]
async fn a_clock_that_is_fifteen_minutes_off_is_corrected() {
    let stand_in = started();
    control(&stand_in, json!({ "advance_clock": { "seconds": 900.0 } }));
    let client = incident_manager(&stand_in);
    client.list_replication_sets().send().await.unwrap();
    let results: Vec<_> =
        received(&stand_in, "ListReplicationSets").iter().map(|call| call["result"].clone()).collect();
    assert_eq!(results, ["SignatureDoesNotMatch", "ok"]);
}

#[tokio::test]
async fn a_retry_after_a_lost_reply_gives_the_same_incident() {
    let stand_in = started();
    let fault = json!({ "operation": "StartIncident", "kind": "lost_reply", "times": 1 });
    control(&stand_in, json!({ "add_fault": { "fault": fault } }));
    let started = incident_manager(&stand_in).start_incident().response_plan_arn(PLAN).send().await.unwrap();
    assert_eq!(received(&stand_in, "StartIncident").len(), 2);
    let incidents = control(&stand_in, json!({ "incidents": {} }));
    assert_eq!(incidents.as_array().unwrap().len(), 1);
    assert_eq!(incidents[0]["record"]["arn"], started.incident_record_arn());
}

#[tokio::test]
async fn an_incident_lives_from_start_to_resolution() {
    let stand_in = started();
    let client = incident_manager(&stand_in);
    let now = || im::TriggerDetails::builder().timestamp(DateTime::from_secs(1_800_000_000));
    let trigger = now().source("bothends.outage").raw_data("{}").build().unwrap();
    let start = client.start_incident().response_plan_arn(PLAN).title("Milan: outage").impact(1);
    let arn = start.trigger_details(trigger).send().await.unwrap().incident_record_arn;
    let event = client.create_timeline_event().incident_record_arn(&arn).event_type("Custom Event");
    let event = event.event_time(DateTime::from_secs(1_800_000_060)).event_data("tunnel 2 is Down as well");
    let event_id = event.send().await.unwrap().event_id;
    let value = im::ItemValue::Arn(arn.clone());
    let identifier =
        im::ItemIdentifier::builder().r#type(im::ItemType::Incident).value(value).build().unwrap();
    let item = im::RelatedItem::builder().identifier(identifier).build();
    let update = im::RelatedItemsUpdate::ItemToAdd(item);
    client
        .update_related_items()
        .incident_record_arn(&arn)
        .related_items_update(update)
        .send()
        .await
        .unwrap();
    let open = im::AttributeValueList::StringValues(vec!["OPEN".to_owned()]);
    let filter = im::Filter::builder().key("status").condition(im::Condition::Equals(open)).build().unwrap();
    let listed = client.list_incident_records().filters(filter).send().await.unwrap();
    let summary = &listed.incident_record_summaries()[0];
    assert_eq!(summary.incident_record_source().unwrap().source(), "bothends.outage");
    let resolved = im::IncidentRecordStatus::Resolved;
    client.update_incident_record().arn(&arn).status(resolved.clone()).send().await.unwrap();
    let record = client.get_incident_record().arn(&arn).send().await.unwrap().incident_record.unwrap();
    assert_eq!((record.status(), record.title()), (&resolved, "Milan: outage"));
    assert!(record.resolved_time().is_some());
    let event =
        client.get_timeline_event().incident_record_arn(&arn).event_id(event_id).send().await.unwrap();
    assert_eq!(event.event().unwrap().event_data(), "tunnel 2 is Down as well");
    let events = client.list_timeline_events().incident_record_arn(&arn).send().await.unwrap();
    assert_eq!(events.event_summaries().len(), 4);
    let items = client.list_related_items().incident_record_arn(&arn).send().await.unwrap();
    assert_eq!(items.related_items().len(), 1);
    let plan = client.get_response_plan().arn(PLAN).send().await.unwrap();
    assert_eq!(plan.incident_template().unwrap().impact(), 4);
    let sets = client.list_replication_sets().send().await.unwrap();
    let set = client.get_replication_set().arn(&sets.replication_set_arns()[0]).send().await.unwrap();
    assert!(set.replication_set().unwrap().region_map().contains_key(REGION));
}
