//! Pre-shared keys and credentials reach no log, at any level.

use bothends::domain::names::SourceKind;
use serde_json::json;

use super::child::polls_and_logs_everything;
use super::{KEY, PRE_SHARED_KEY, SECRET, fault, received, stand_in};
use crate::stand_in::StandIn;

/// The output of a poll with every log level on, and with the SDK's own switch for logging sensitive bodies.
fn everything_logged(kind: SourceKind, aws: &StandIn) -> String {
    let environment = [
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_ENDPOINT_URL", &aws.url()),
        ("LOG_SENSITIVE_BODIES", "true"),
    ];
    let home = tempfile::TempDir::new().unwrap();
    let printed = polls_and_logs_everything(kind, home.path(), &environment);
    assert!(printed.contains("TRACE aws_smithy_runtime"), "nothing was traced: {printed}");
    printed
}

#[test]
fn pre_shared_keys_reach_no_log_at_any_level() {
    let aws = stand_in();
    let printed = everything_logged(SourceKind::Ec2, &aws);
    assert!(printed.contains("event: Answered") && printed.contains("status: Up"), "{printed}");
    assert_eq!(received(&aws, "DescribeVpnConnections").len(), 1);
    assert!(!printed.contains(PRE_SHARED_KEY));
    assert!(!printed.contains("vpnConnectionSet"), "the answer was logged");
}

#[test]
fn an_unreadable_answer_is_not_quoted_either() {
    for spoilt in ["truncated", "garbage", "lost_reply"] {
        let aws = stand_in();
        fault(&aws, "DescribeVpnConnections", json!(spoilt));
        let printed = everything_logged(SourceKind::Ec2, &aws);
        assert!(printed.contains("event: Refused"), "{printed}");
        assert!(!printed.contains(PRE_SHARED_KEY) && !printed.contains("vpnConnectionSet"), "{spoilt}");
    }
}

#[test]
fn secret_keys_reach_no_log_at_any_level() {
    for kind in [SourceKind::CloudWatch, SourceKind::Ec2] {
        let printed = everything_logged(kind, &stand_in());
        assert!(!printed.contains(SECRET), "{kind:?}");
    }
}
