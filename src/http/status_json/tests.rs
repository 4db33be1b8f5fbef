//! The shape that scripts rely on.

mod schema;

use std::sync::Arc;

use super::*;
use crate::domain::board::Withheld;
use crate::fixture;
use crate::health::{Code, Component};
use crate::records::Records;

fn problems() -> [OpenProblem; 1] {
    let problem = Problem::of(Code::SinkRejects, "AccessDenied");
    [OpenProblem { component: Component::Sink("incident_manager".to_owned()), problem }]
}

#[test]
fn the_shape_is_what_docs_status_md_says() {
    let status = StatusJson::of(
        &fixture::status(),
        &problems(),
        &Records::default(),
        "0.1.0",
        "raise",
        fixture::after(31),
    );
    insta::assert_snapshot!(serde_json::to_string_pretty(&status).unwrap(), @r#"
    {
      "site": "milan-1",
      "version": "0.1.0",
      "mode": "raise",
      "at": "2025-11-22T03:12:30Z",
      "ready": false,
      "stuck": false,
      "vpns": [
        {
          "id": "vpn-0123456789abcdef0",
          "name": "Milan DC, primary",
          "routing": "bgp",
          "traffic": "cannot_tell",
          "tunnels": [
            {
              "outside_ip": "203.0.113.11",
              "name": "tunnel 1",
              "role": "active",
              "assessment": "down",
              "assessed_since": "2025-11-22T03:12:12Z",
              "carrying": "not_carrying",
              "carrying_why": "both_ends_down",
              "not_passing_since": "2025-11-22T03:12:03Z",
              "quality": {
                "state": "unknown"
              },
              "local": {
                "verdict": "down",
                "since": "2025-11-22T03:12:07Z",
                "evidence": {
                  "last_reply": "2025-11-22T03:12:03Z",
                  "losses_in_row": 10,
                  "first_loss": "2025-11-22T03:12:04Z",
                  "last_loss": "timeout",
                  "replies_in_row": 0,
                  "loss_percent": 100.0,
                  "median_rtt_ms": 12.34
                }
              },
              "aws": {
                "verdict": "down",
                "since": "2025-11-22T03:12:12Z",
                "source": "cloudwatch",
                "as_of": "2025-11-22T03:12:10Z",
                "changed": "2025-11-22T03:12:09Z",
                "age_seconds": 21.0,
                "words": "TunnelState 0"
              },
              "checks": [
                {
                  "check": "inside",
                  "verdict": "down",
                  "suspect": false,
                  "asked": true,
                  "ticks_skipped": 0,
                  "fresh_client": "works"
                }
              ],
              "cause": {
                "cause": "path_to_aws",
                "confidence": "certain",
                "since": "2025-11-22T03:12:14Z",
                "evidence": [
                  "AWS's outside address no longer answers over the uplink",
                  "the uplink's references answer",
                  "the path ends at hop 4 (198.51.100.9)"
                ],
                "side": "path",
                "do_first": "Call the carrier: from this uplink the path to 203.0.113.11 ends at 198.51.100.9, while other hosts answer."
              },
              "evidence": [
                {
                  "source": "bgp",
                  "state": "unavailable",
                  "why": "denied",
                  "as_of": "2025-11-22T03:12:28Z",
                  "found": "no permission"
                },
                {
                  "source": "path",
                  "state": "works",
                  "as_of": "2025-11-22T03:12:29Z",
                  "found": "the outside address does not answer, all 1 references answer"
                }
              ],
              "uplink": "wan1"
            },
            {
              "outside_ip": "203.0.113.12",
              "name": "tunnel 2",
              "role": "standby",
              "assessment": "blind",
              "assessed_since": "2025-11-22T03:12:12Z",
              "carrying": "cannot_tell",
              "carrying_why": "aws_unknown",
              "quality": {
                "state": "good",
                "loss_percent": 0.0,
                "rtt_ms": 11.9,
                "jitter_ms": 0.4,
                "usual_rtt_ms": 11.7,
                "usual_jitter_ms": 0.35
              },
              "local": {
                "verdict": "up",
                "since": "2025-11-22T03:12:00Z",
                "evidence": {
                  "last_reply": "2025-11-22T03:12:29Z",
                  "losses_in_row": 0,
                  "replies_in_row": 29,
                  "loss_percent": 0.0,
                  "median_rtt_ms": 11.9
                }
              },
              "aws": {
                "verdict": "unknown",
                "why": "not_asked",
                "since": "2025-11-22T03:12:12Z"
              },
              "checks": [
                {
                  "check": "inside",
                  "verdict": "up",
                  "suspect": false,
                  "asked": true,
                  "ticks_skipped": 0,
                  "fresh_client": "works"
                }
              ],
              "cause": null,
              "evidence": []
            }
          ],
          "phases": {
            "outage": "clear",
            "redundancy_lost": "open",
            "one_sided": "clear",
            "degraded": "clear"
          }
        }
      ],
      "parents": [],
      "silences": [],
      "incidents": [
        {
          "id": "vpn-0123456789abcdef0/redundancy_lost/1763781140000",
          "scope": "connection",
          "name": "Milan DC, primary",
          "vpn": "vpn-0123456789abcdef0",
          "kind": "redundancy_lost",
          "state": "open",
          "began": "2025-11-22T03:12:12Z",
          "opened": "2025-11-22T03:12:20Z",
          "worsened": 0,
          "records": [],
          "timeline": [
            {
              "seq": 0,
              "at": "2025-11-22T03:12:20Z",
              "what": "opened",
              "repeats": 0
            },
            {
              "seq": 1,
              "at": "2025-11-22T03:12:25Z",
              "what": "view",
              "tunnel": "203.0.113.12",
              "end": "aws",
              "verdict": "unknown",
              "why": "stale",
              "as_of": "2025-11-22T03:12:10Z",
              "repeats": 0
            },
            {
              "seq": 2,
              "at": "2025-11-22T03:12:25Z",
              "what": "assessment",
              "tunnel": "203.0.113.12",
              "assessment": "blind",
              "carrying": "cannot_tell",
              "repeats": 0
            }
          ]
        }
      ],
      "sources": [
        {
          "source": "cloudwatch",
          "region": "eu-west-1",
          "last_answer": "2025-11-22T03:12:12Z",
          "refusals_in_row": 0
        }
      ],
      "problems": [
        {
          "code": "sink_rejects",
          "component": "sink incident_manager",
          "severity": "failed",
          "title": "A sink rejects what it is sent",
          "text": "AccessDenied",
          "first_step": "Fix what the sink's answer names; `bothends drill` tests the sink end to end. Until then watch `bothends status`."
        }
      ]
    }
    "#);
}

/// Beside the incident of a connection one of its uplink.
fn with_a_parent() -> Status {
    let mut status = fixture::status();
    let mut explained = fixture::incident();
    explained.withheld = Some(Withheld::Explained(fixture::uplink()));
    status.incidents = vec![Arc::new(explained), Arc::new(fixture::incident_of_uplink())];
    status
}

#[test]
fn an_incident_of_a_parent_has_its_connections_and_what_withholds_it_and_no_connection_of_its_own() {
    let status = with_a_parent();
    let status = StatusJson::of(&status, &[], &Records::default(), "0.1.0", "raise", fixture::after(31));
    let [explained, parent] = &status.incidents[..] else { panic!("{:?}", status.incidents) };
    assert_eq!(explained.withheld.as_deref(), Some("uplink/milan-1/wan1"));
    insta::assert_snapshot!(serde_json::to_string_pretty(parent).unwrap(), @r#"
    {
      "id": "uplink/milan-1/wan1/outage/1763781140000",
      "scope": "uplink",
      "name": "wan1",
      "kind": "outage",
      "state": "open",
      "began": "2025-11-22T03:12:12Z",
      "opened": "2025-11-22T03:12:20Z",
      "withheld": "silence 7",
      "children": [
        {
          "vpn": "vpn-0123456789abcdef0",
          "name": "Milan DC, primary",
          "troubled": true,
          "kind": "outage",
          "since": "2025-11-22T03:12:12Z",
          "cause": "path_to_aws"
        },
        {
          "vpn": "vpn-0fedcba9876543210",
          "name": "Paris",
          "troubled": false
        }
      ],
      "worsened": 0,
      "records": [],
      "timeline": [
        {
          "seq": 0,
          "at": "2025-11-22T03:12:20Z",
          "what": "opened",
          "repeats": 0
        },
        {
          "seq": 1,
          "at": "2025-11-22T03:12:20Z",
          "what": "withheld",
          "by": "silence 7",
          "repeats": 0
        },
        {
          "seq": 2,
          "at": "2025-11-22T03:12:25Z",
          "what": "children",
          "down": [
            "Milan DC, primary"
          ],
          "back": [
            "Paris"
          ],
          "troubled": 1,
          "of": 2,
          "repeats": 0
        }
      ]
    }
    "#);
}

#[test]
fn what_is_shared_and_what_is_silenced_is_told_at_the_top_and_at_each_connection_and_tunnel() {
    let status =
        StatusJson::of(&fixture::site(), &[], &Records::default(), "0.1.0", "raise", fixture::after(31));
    let vpn = &status.vpns[0];
    assert_eq!(vpn.silenced, Some(3));
    assert_eq!(vpn.tunnels.iter().map(|tunnel| tunnel.silenced).collect::<Vec<_>>(), [Some(3); 2]);
    let later = fixture::after(3600);
    let after = StatusJson::of(&fixture::site(), &[], &Records::default(), "0.1.0", "raise", later);
    assert_eq!((after.vpns[0].silenced, after.vpns[0].tunnels[0].silenced), (None, None));
    assert!(!after.silences[0].active && after.parents.iter().all(|parent| parent.silenced.is_none()));
    let shared = serde_json::json!({ "parents": &status.parents[..2], "silences": status.silences });
    insta::assert_snapshot!(serde_json::to_string_pretty(&shared).unwrap(), @r#"
    {
      "parents": [
        {
          "id": "group/milan-1/hubs",
          "kind": "group",
          "name": "hubs",
          "phases": {
            "degraded": "clear",
            "one_sided": "clear",
            "outage": "clear",
            "redundancy_lost": "clear"
          },
          "silenced": 3,
          "since": "2025-11-22T03:12:07Z",
          "state": "up",
          "vpns": [
            "vpn-0123456789abcdef0",
            "vpn-0b"
          ]
        },
        {
          "id": "uplink/milan-1/wan1",
          "kind": "uplink",
          "name": "wan1",
          "phases": {
            "degraded": "clear",
            "one_sided": "clear",
            "outage": "open",
            "redundancy_lost": "clear"
          },
          "since": "2025-11-22T03:12:07Z",
          "state": "down",
          "vpns": [
            "vpn-0123456789abcdef0",
            "vpn-0b"
          ]
        }
      ],
      "silences": [
        {
          "active": true,
          "added": "2025-11-22T03:12:00Z",
          "by_uid": 1000,
          "from": "2025-11-22T03:12:10Z",
          "id": 3,
          "matches": true,
          "name": "hubs",
          "of": "group/milan-1/hubs",
          "reason": "change 4711",
          "scope": "group",
          "until": "2025-11-22T04:12:00Z",
          "weekly": "Europe/Rome"
        }
      ]
    }
    "#);
}

#[test]
fn an_incident_of_a_daemon_that_knew_no_parents_is_read() {
    let status =
        StatusJson::of(&fixture::status(), &[], &Records::default(), "0.1.0", "raise", fixture::after(31));
    let mut value = serde_json::to_value(&status.incidents[0]).unwrap();
    let members = value.as_object_mut().unwrap();
    assert!(members.remove("scope").is_some() && members.remove("name").is_some());
    let read: IncidentJson = serde_json::from_value(value).unwrap();
    assert_eq!(read, IncidentJson { name: String::new(), ..status.incidents[0].clone() });
}

#[test]
fn what_is_written_can_be_read_back() {
    let status = StatusJson::of(
        &with_a_parent(),
        &problems(),
        &Records::default(),
        "0.1.0",
        "raise",
        fixture::after(31),
    );
    let text = serde_json::to_string(&status).unwrap();
    assert_eq!(serde_json::from_str::<StatusJson>(&text).unwrap(), status);
}

#[test]
fn the_age_of_evidence_goes_on_between_two_statuses() {
    let status =
        StatusJson::of(&fixture::status(), &[], &Records::default(), "0.1.0", "raise", fixture::after(35));
    assert_eq!(status.vpns[0].tunnels[0].aws.age_seconds, Some(25.0));
}

#[test]
fn maintenance_has_its_state_and_its_dates_on_awss_clock() {
    use crate::domain::maintenance::{Maintenance, MaintenanceState};
    let date = |seconds| fixture::after(seconds).wall;
    let known = |pending| MaintenanceState::Known {
        maintenance: Maintenance { pending, applied_after: Some(date(3600)), last_applied: Some(date(0)) },
        as_of: date(20),
    };
    let shown = |state| {
        let mut status = fixture::status();
        status.vpns[0].tunnels[0].maintenance = state;
        status.vpns[0].tunnels[0].accepted_routes = Some(2);
        let status = StatusJson::of(&status, &[], &Records::default(), "0.1.0", "raise", fixture::after(35));
        let tunnel = serde_json::to_value(&status.vpns[0].tunnels[0]).unwrap();
        assert_eq!(tunnel["aws"]["accepted_routes"], 2);
        tunnel.get("maintenance").map(ToString::to_string).unwrap_or_default()
    };
    let all = [MaintenanceState::NotAsked, MaintenanceState::Denied, known(false), known(true)];
    assert_eq!(
        all.map(shown),
        [
            "",
            r#"{"state":"denied"}"#,
            r#"{"as_of":"2025-11-22T03:12:20Z","last_applied":"2025-11-22T03:12:00Z","state":"none"}"#,
            r#"{"applied_after":"2025-11-22T04:12:00Z","as_of":"2025-11-22T03:12:20Z","last_applied":"2025-11-22T03:12:00Z","state":"pending"}"#,
        ]
    );
}
