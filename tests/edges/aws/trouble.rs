//! Failures at AWS or on the path there: rejected, counted, reported, and cleared when they are over.

use std::time::Duration;

use bothends::domain::event::Event;
use bothends::domain::names::SourceKind;
use bothends::health::Severity;
use serde_json::{Value, json};

use super::{DEADLINE, Polling, ROLE, connections, control, fault, received, source, stand_in};

const SOURCES: [(SourceKind, &str); 2] =
    [(SourceKind::CloudWatch, "GetMetricData"), (SourceKind::Ec2, "DescribeVpnConnections")];

#[tokio::test]
async fn each_failure_is_rejected_counted_and_reported_by_its_kind() {
    let troubles: [(Value, bool, &str, Severity, &str); 9] = [
        (json!("throttle"), true, "throttled", Severity::Degraded, "throttled by AWS"),
        (json!("denied"), true, "denied", Severity::Failed, "permission"),
        (json!("expired"), true, "expired", Severity::Failed, "credentials"),
        (json!("internal"), true, "error", Severity::Degraded, "AWS failed"),
        (json!("unavailable"), true, "error", Severity::Degraded, "AWS failed"),
        (json!("reset"), false, "error", Severity::Degraded, "the connection broke"),
        (json!("lost_reply"), false, "error", Severity::Degraded, "the connection broke"),
        (json!("garbage"), true, "garbage", Severity::Degraded, "answer"),
        (json!("truncated"), true, "garbage", Severity::Degraded, "answer"),
    ];
    for (kind, operation) in SOURCES {
        for (trouble, reached, result, severity, word) in troubles.clone() {
            let aws = stand_in();
            fault(&aws, operation, trouble.clone());
            let mut polling = Polling::start(connections(&aws), source(kind)).await;
            let refused = Event::Refused { source: source(kind), reached };
            assert_eq!(polling.ask().await, refused, "{operation} {trouble}");
            let problem = polling.problem().unwrap();
            let counted: Vec<&str> = polling.outcomes().iter().map(|outcome| outcome.as_str()).collect();
            assert_eq!(counted, [result], "{operation} {trouble}: {}", problem.text);
            assert_eq!(problem.severity, severity, "{operation} {trouble}");
            assert!(problem.text.contains(word), "{operation} {trouble}: {}", problem.text);
            assert!(
                problem.text.contains(operation) && problem.text.contains("in eu-west-1"),
                "{}",
                problem.text
            );
            assert_eq!(received(&aws, operation).len(), 1, "the SDK retries nothing by itself");
        }
    }
}

#[tokio::test]
async fn a_denial_names_the_missing_permission() {
    for (kind, permission) in [
        (SourceKind::CloudWatch, "cloudwatch:GetMetricData"),
        (SourceKind::Ec2, "ec2:DescribeVpnConnections"),
    ] {
        let aws = stand_in();
        fault(&aws, "*", json!("denied"));
        let mut polling = Polling::start(connections(&aws), source(kind)).await;
        polling.ask().await;
        let text = polling.problem().unwrap().text;
        assert!(text.contains(permission), "{text}");
    }
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_is_reported_by_name() {
    let aws = stand_in();
    let other = ROLE.replace("watcher", "stranger");
    let mut source = source(SourceKind::CloudWatch);
    source.place.role_arn = Some(other.as_str().into());
    let mut polling = Polling::start(connections(&aws), source).await;
    polling.ask().await;
    let text = polling.problem().unwrap().text;
    assert!(text.contains("sts:AssumeRole") && text.contains(&other), "{text}");
    assert_eq!(polling.outcomes()[0].as_str(), "denied");
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_call_ends_as_a_timeout() {
    for (kind, operation) in SOURCES {
        let aws = stand_in();
        fault(&aws, operation, json!({ "hang": { "seconds": 3600.0 } }));
        let mut polling = Polling::start(connections(&aws), source(kind)).await;
        assert_eq!(polling.ask().await, Event::Refused { source: source(kind), reached: false });
        assert_eq!(polling.outcomes()[0].as_str(), "timeout", "{:?}", polling.problem());
    }
}

#[tokio::test]
async fn a_failure_that_is_over_is_cleared_and_polling_resumes() {
    for (kind, operation) in SOURCES {
        let aws = stand_in();
        fault(&aws, operation, json!("unavailable"));
        let mut polling = Polling::start(connections(&aws), source(kind)).await;
        polling.ask().await;
        assert!(polling.problem().is_some());
        control(&aws, json!({ "clear_faults": {} }));
        ask_until_answered(&mut polling).await;
        assert_eq!(polling.problem(), None);
        assert_eq!(received(&aws, operation).len(), 2, "no request was sent during the back-off");
    }
}

/// Credential agents rewrite the keys in a profile's file, which the SDK reads only once; here a role's session stands
/// for it.
#[tokio::test]
async fn rejected_credentials_are_loaded_again() {
    let aws = stand_in();
    let mut source = source(SourceKind::CloudWatch);
    source.place.role_arn = Some(ROLE.into());
    let mut polling = Polling::start(connections(&aws), source).await;
    polling.answer().await;
    fault(&aws, "GetMetricData", json!("expired"));
    let loaded_afresh = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while received(&aws, "AssumeRole").len() < 2 {
            ticks.tick().await;
            polling.ask().await;
        }
    };
    tokio::time::timeout(DEADLINE, loaded_afresh).await.unwrap();
    control(&aws, json!({ "clear_faults": {} }));
    ask_until_answered(&mut polling).await;
    assert_eq!(received(&aws, "AssumeRole").len(), 2);
}

/// After a failure the source backs off for a second or so.
async fn ask_until_answered(polling: &mut Polling) {
    let answered = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while !matches!(polling.ask().await, Event::Answered(_)) {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(DEADLINE, answered).await.unwrap();
}

#[tokio::test]
async fn an_unserved_endpoint_is_a_connection_failure() {
    let aws = stand_in();
    let connections = connections(&aws);
    drop(aws);
    let mut polling = Polling::start(connections, source(SourceKind::CloudWatch)).await;
    polling.ask().await;
    let text = polling.problem().unwrap().text;
    assert!(text.contains("no connection") && text.contains("refused"), "{text}");
}
