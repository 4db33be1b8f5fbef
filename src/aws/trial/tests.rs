use super::*;
use crate::aws::errors::FailureKind;
use crate::aws::permission::Call;
use crate::domain::names::Kind;
use crate::domain::scope::Scope;

const MILAN: &str = "vpn-0123456789abcdef0";
const ROME: &str = "vpn-0fedcba9876543210";

fn seen(name: &str, dedupe: Option<&str>, serves: &[(&str, Kind)]) -> SeenPlan {
    let serves = serves.iter().map(|(of, kind)| (Scope::parse(of), *kind)).collect();
    let arn = format!("arn:aws:ssm-incidents::123456789012:response-plan/{name}");
    SeenPlan { plan: PlanUse { arn, serves }, dedupe: dedupe.map(str::to_owned) }
}

fn tried(call: Call, grant: Grant, verdict: PermissionVerdict) -> Tried {
    Tried { call, on: String::new(), verdict, grant }
}

#[test]
fn a_refusal_proves_not_denied_only_where_a_refusal_was_expected() {
    for kind in
        [FailureKind::NotFound, FailureKind::Rejected, FailureKind::TokenKnown, FailureKind::Contended]
    {
        assert_eq!(
            PermissionVerdict::of(Meant::Refusal, Err(kind)),
            PermissionVerdict::NotDenied,
            "{kind:?}"
        );
        assert_eq!(PermissionVerdict::of(Meant::Answer, Err(kind)), PermissionVerdict::Failed, "{kind:?}");
    }
    assert_eq!(
        PermissionVerdict::of(Meant::AnswerIfThere, Err(FailureKind::NotFound)),
        PermissionVerdict::NotDenied
    );
    assert_eq!(
        PermissionVerdict::of(Meant::AnswerIfThere, Err(FailureKind::Rejected)),
        PermissionVerdict::Failed
    );
    for meant in [Meant::Answer, Meant::AnswerIfThere, Meant::Refusal] {
        assert_eq!(PermissionVerdict::of(meant, Ok(())), PermissionVerdict::Allowed);
        for (kind, verdict) in [
            (FailureKind::Denied, PermissionVerdict::Denied),
            (FailureKind::CredentialsRefused, PermissionVerdict::NoCredentials),
            (FailureKind::CredentialsMissing, PermissionVerdict::NoCredentials),
            (FailureKind::Throttled { retry_after: None }, PermissionVerdict::Failed),
            (FailureKind::TimedOut, PermissionVerdict::Failed),
            (FailureKind::Unreachable, PermissionVerdict::Failed),
            (FailureKind::ServiceFault, PermissionVerdict::Failed),
            (FailureKind::Garbage, PermissionVerdict::Failed),
        ] {
            assert_eq!(PermissionVerdict::of(meant, Err(kind)), verdict, "{meant:?} {kind:?}");
        }
    }
}

#[test]
fn denials_on_one_resource_are_one_statement_and_allowed_calls_are_in_none() {
    let records = || Grant::on_any(vec!["plan/*".to_owned(), "record/*/*".to_owned()]);
    let all = [
        tried(
            Call::GetMetricData,
            Grant::if_equal("aws:RequestedRegion", "eu-west-1"),
            PermissionVerdict::Denied,
        ),
        tried(
            Call::PutMetricData,
            Grant::if_equal("cloudwatch:namespace", "BothEnds"),
            PermissionVerdict::NotDenied,
        ),
        tried(Call::ListIncidentRecords, Grant::on(None), PermissionVerdict::Allowed),
        tried(Call::GetIncidentRecord, records(), PermissionVerdict::Denied),
        tried(Call::UpdateIncidentRecord, records(), PermissionVerdict::Denied),
        tried(Call::GetIncidentRecord, records(), PermissionVerdict::Denied),
        tried(Call::CreateTimelineEvent, records(), PermissionVerdict::Failed),
        tried(Call::UpdateRelatedItems, records(), PermissionVerdict::NotTried),
        tried(Call::AssumeRole, Grant::on(Some("role")), PermissionVerdict::NoCredentials),
        tried(Call::GetCallerIdentity, Grant::on(None), PermissionVerdict::Denied),
    ];
    insta::assert_snapshot!(serde_json::to_string_pretty(&statements(&all)).unwrap(), @r#"
    [
      {
        "Effect": "Allow",
        "Action": [
          "cloudwatch:GetMetricData"
        ],
        "Resource": [
          "*"
        ],
        "Condition": {
          "StringEquals": {
            "aws:RequestedRegion": "eu-west-1"
          }
        }
      },
      {
        "Effect": "Allow",
        "Action": [
          "ssm-incidents:GetIncidentRecord",
          "ssm-incidents:UpdateIncidentRecord"
        ],
        "Resource": [
          "plan/*",
          "record/*/*"
        ]
      }
    ]
    "#);
}

#[test]
fn a_string_of_two_plans_and_a_plan_of_two_incidents_may_merge_them() {
    let plans = [
        seen("milan-outage", Some("milan"), &[(MILAN, Kind::Outage)]),
        seen("milan-one_sided", Some("milan"), &[(MILAN, Kind::OneSided)]),
        seen("rome", Some("rome"), &[(ROME, Kind::Outage), (ROME, Kind::RedundancyLost)]),
    ];
    insta::assert_snapshot!(folds(&plans).join("\n"), @r#"
    the response plans milan-one_sided, milan-outage have the same dedupe string "milan" (one_sided of vpn-0123456789abcdef0, outage of vpn-0123456789abcdef0): while one of them is open, Incident Manager merges the others into it, and nobody is paged for them; give each connection, group, uplink, site and kind its own plan ({scope} and {kind} in response_plan), and each plan its own dedupe string
    the response plan rome has the dedupe string "rome" and serves different incidents (outage of vpn-0fedcba9876543210, redundancy_lost of vpn-0fedcba9876543210): while one of them is open, Incident Manager merges the others into it, and nobody is paged for them; give each connection, group, uplink, site and kind its own plan ({scope} and {kind} in response_plan), and each plan its own dedupe string
    "#);
}

#[test]
fn a_unique_dedupe_string_or_none_merges_nothing() {
    let plans = [
        seen("milan-outage", Some("milan outage"), &[(MILAN, Kind::Outage)]),
        seen("milan-one_sided", Some("milan one_sided"), &[(MILAN, Kind::OneSided)]),
        seen("rome", None, &[(ROME, Kind::Outage), (ROME, Kind::RedundancyLost)]),
        // Another sink uses the same plan for the same incidents.
        seen("milan-outage", Some("milan outage"), &[(MILAN, Kind::Outage)]),
    ];
    assert_eq!(folds(&plans), Vec::<String>::new());
}
