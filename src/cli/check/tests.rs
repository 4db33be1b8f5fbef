use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use super::aws::{needs, render, untried};
use super::refused_by_run;
use crate::aws::Call;
use crate::aws::trial::{
    CallerIdentity, Family, Grant, PermissionVerdict, PlanUse, SeenPlan, Trial, TrialOutcome, Tried, Use,
};
use crate::config::{self, Config};
use crate::domain::names::{Kind, TunnelId, VpnId};
use crate::process::{self, Exit};

const PLANS: &str = "arn:aws:ssm-incidents::123456789012:response-plan";

/// Two connections, the second elsewhere and by a role.
fn configured(more: &str) -> Config {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bothends.toml");
    let text = format!(
        r#"
        {more}
        [site]
        name = "milan-1"
        [store]
        path = "/var/lib/bothends/bothends.db"
        [[vpn]]
        id = "vpn-0123456789abcdef0"
        [[vpn.tunnel]]
        outside_ip = "203.0.113.11"
        inside_ip = "169.254.10.1"
        source_ip = "169.254.10.2"
        [[vpn.tunnel]]
        outside_ip = "203.0.113.12"
        inside_ip = "169.254.11.1"
        source_ip = "169.254.11.2"
        role = "unused"
        [[vpn]]
        id = "vpn-0fedcba9876543210"
        region = "eu-central-1"
        role_arn = "arn:aws:iam::123456789012:role/watcher"
        [[vpn.tunnel]]
        outside_ip = "198.51.100.21"
        inside_ip = "169.254.12.1"
        source_ip = "169.254.12.2"
        "#
    );
    fs::write(&file, text).unwrap();
    config::load(&file, &BTreeMap::new()).unwrap_or_else(|rejection| panic!("{rejection}")).config
}

fn told(trials: &[Trial]) -> String {
    let mut text = String::new();
    for Trial { place, uses } in trials {
        text.push_str(&format!("{place}\n"));
        for one in uses {
            match one {
                Use::TunnelState { vpns, stale_after, known_to_ec2 } => {
                    let told = |tunnel: &TunnelId| {
                        let ec2 = if known_to_ec2.contains(&tunnel.vpn) { " (EC2, too)" } else { "" };
                        format!("{tunnel}{ec2}")
                    };
                    let tunnels: Vec<_> = vpns.iter().flat_map(|(_, tunnels)| tunnels).map(told).collect();
                    text.push_str(&format!("  tunnels {} within {stale_after:?}\n", tunnels.join(", ")));
                }
                Use::VpnTelemetry { tunnels } => {
                    let tunnels: Vec<_> = tunnels.iter().map(ToString::to_string).collect();
                    text.push_str(&format!("  telemetry, maintenance of {}\n", tunnels.join(", ")));
                }
                Use::OpsCenter => text.push_str("  OpsItems\n"),
                Use::Topic { arn } => text.push_str(&format!("  topic {arn}\n")),
                Use::Metrics { namespace } => text.push_str(&format!("  metrics {namespace}\n")),
                Use::IncidentManager { families } => {
                    for Family { granted, nobodys_plan, nobodys_record, plans } in families {
                        let last = |arn: &str| arn.rsplit('/').next().unwrap().to_owned();
                        text.push_str(&format!(
                            "  plans {}, nobody's is {}\n",
                            last(granted),
                            last(nobodys_plan)
                        ));
                        assert_eq!(nobodys_record, "0123");
                        for plan in plans {
                            let serves: Vec<_> = plan
                                .serves
                                .iter()
                                .map(|(of, kind)| format!("{} of {of}", kind.as_str()))
                                .collect();
                            text.push_str(&format!("    {} for {}\n", last(&plan.arn), serves.join(", ")));
                        }
                    }
                }
            }
        }
    }
    text
}

#[test]
fn every_place_is_tried_for_what_it_is_used_for() {
    let config = configured(&format!(
        r#"
        [aws]
        region = "eu-west-1"
        ec2_telemetry = true
        [cloudwatch]
        namespace = "BothEnds/milan-1"
        [[incident.sink]]
        type = "incident_manager"
        response_plan = "{PLANS}/bothends-{{vpn_id}}-{{kind}}"
        kinds = ["outage", "one_sided"]
        [[incident.sink]]
        type = "incident_manager"
        response_plan = "{PLANS}/all"
        region = "eu-central-1"
        role_arn = "arn:aws:iam::123456789012:role/pager"
        vpns = ["vpn-0fedcba9876543210"]
        "#
    ));
    insta::assert_snapshot!(told(&needs(&config, "0123")), @r#"
    in eu-central-1 as arn:aws:iam::123456789012:role/watcher
      tunnels vpn-0fedcba9876543210 198.51.100.21 (EC2, too) within 600s
      telemetry, maintenance of vpn-0fedcba9876543210 198.51.100.21
    in eu-west-1
      tunnels vpn-0123456789abcdef0 203.0.113.11 (EC2, too) within 600s
      telemetry, maintenance of vpn-0123456789abcdef0 203.0.113.11
      metrics BothEnds/milan-1
      plans bothends-vpn-0123456789abcdef0-*, nobody's is bothends-vpn-0123456789abcdef0-check-0123
        bothends-vpn-0123456789abcdef0-outage for outage of vpn-0123456789abcdef0, outage of site/milan-1
        bothends-vpn-0123456789abcdef0-one_sided for one_sided of vpn-0123456789abcdef0, one_sided of site/milan-1
      plans bothends-vpn-0fedcba9876543210-*, nobody's is bothends-vpn-0fedcba9876543210-check-0123
        bothends-vpn-0fedcba9876543210-outage for outage of vpn-0fedcba9876543210
        bothends-vpn-0fedcba9876543210-one_sided for one_sided of vpn-0fedcba9876543210
    in eu-central-1 as arn:aws:iam::123456789012:role/pager
      plans all, nobody's is all-check-0123
        all for outage of vpn-0fedcba9876543210, redundancy_lost of vpn-0fedcba9876543210, one_sided of vpn-0fedcba9876543210, outage of site/milan-1, redundancy_lost of site/milan-1, one_sided of site/milan-1
    "#);
}

#[test]
fn of_a_plan_by_scope_each_parent_is_tried_with_its_own() {
    let config = configured(&format!(
        r#"
        [aws]
        region = "eu-west-1"
        [cloudwatch]
        enabled = false
        [[uplink]]
        name = "wan.1"
        references = ["192.0.2.1"]
        [[incident.sink]]
        type = "incident_manager"
        response_plan = "{PLANS}/be-{{scope}}-{{kind}}"
        kinds = ["outage", "degraded"]
        vpns = ["vpn-0fedcba9876543210"]
        "#
    ));
    let told = told(&needs(&config, "0123"));
    insta::assert_snapshot!(told.split_once("  plans ").unwrap().1, @r#"
    be-vpn-0fedcba9876543210-*, nobody's is be-vpn-0fedcba9876543210-check-0123
        be-vpn-0fedcba9876543210-outage for outage of vpn-0fedcba9876543210
        be-vpn-0fedcba9876543210-degraded for degraded of vpn-0fedcba9876543210
      plans be-uplink-wan-1-*, nobody's is be-uplink-wan-1-check-0123
        be-uplink-wan-1-outage for outage of uplink/milan-1/wan.1
      plans be-site-milan-1-*, nobody's is be-site-milan-1-check-0123
        be-site-milan-1-outage for outage of site/milan-1
    "#);
}

#[test]
fn each_type_of_sink_is_tried_where_it_is() {
    let config = configured(
        r#"
        [aws]
        region = "eu-west-1"
        [cloudwatch]
        enabled = false
        [[incident.sink]]
        type = "ops_center"
        region = "eu-central-1"
        [[incident.sink]]
        type = "sns"
        topic_arn = "arn:aws:sns:us-east-1:123456789012:pages"
        [[incident.sink]]
        type = "webhook"
        url = "https://hooks.example.com/x"
        preset = "alertmanager"
        "#,
    );
    let trials = needs(&config, "0123");
    insta::assert_snapshot!(told(&trials[2..]), @r"
    in eu-central-1
      OpsItems
    in us-east-1
      topic arn:aws:sns:us-east-1:123456789012:pages
    ");
}

#[test]
fn what_is_not_used_is_not_tried_and_a_region_may_be_left_to_the_environment() {
    let config = configured(&format!(
        r#"
        [cloudwatch]
        enabled = false
        [[incident.sink]]
        type = "incident_manager"
        response_plan = "{PLANS}/{{kind}}"
        vpns = ["vpn-0123456789abcdef0"]
        [incident]
        mode = "observe"
        "#
    ));
    insta::assert_snapshot!(told(&needs(&config, "0123")), @r#"
    without a Region
      tunnels vpn-0123456789abcdef0 203.0.113.11 within 600s
      plans *, nobody's is check-0123
        outage for outage of vpn-0123456789abcdef0, outage of site/milan-1
        redundancy_lost for redundancy_lost of vpn-0123456789abcdef0, redundancy_lost of site/milan-1
        one_sided for one_sided of vpn-0123456789abcdef0, one_sided of site/milan-1
    in eu-central-1 as arn:aws:iam::123456789012:role/watcher
      tunnels vpn-0fedcba9876543210 198.51.100.21 within 600s
    "#);
}

#[test]
fn sinks_whose_page_only_a_drill_can_try_are_named() {
    let sinks = |types: &str| {
        let config = configured(&format!("[aws]\nregion = \"eu-west-1\"\n{types}"));
        untried(&config).unwrap_or_default()
    };
    let plan =
        format!("[[incident.sink]]\ntype = \"incident_manager\"\nresponse_plan = \"{PLANS}/{{kind}}\"\n");
    assert_eq!(sinks(&plan), "");
    let more = "[[incident.sink]]\ntype = \"ops_center\"\n[[incident.sink]]\ntype = \"webhook\"\n\
                url = \"https://hooks.example.com/x\"\npreset = \"slack\"\n";
    assert_eq!(
        sinks(&(plan + more)),
        "\ndelivery to ops_center, webhook was not tested: run bothends drill\n"
    );
}

fn tried(call: Call, on: &str, verdict: PermissionVerdict) -> Tried {
    let grant = if call == Call::GetMetricData {
        Grant::if_equal("aws:RequestedRegion", "eu-west-1")
    } else {
        Grant::on_any(vec![format!("{PLANS}/bothends-*")])
    };
    Tried { call, on: on.to_owned(), verdict, grant }
}

fn outcome(tried: Vec<Tried>) -> TrialOutcome {
    let arn = "arn:aws:sts::123456789012:assumed-role/gateway/bothends-milan-1".to_owned();
    let identity = Some(CallerIdentity { account: "123456789012".to_owned(), arn });
    TrialOutcome { at: "in eu-west-1".to_owned(), identity, tried, ..TrialOutcome::default() }
}

#[test]
fn the_table_merges_what_came_to_the_same_and_says_what_to_add() {
    let here = TrialOutcome {
        findings: vec!["the permission is missing".to_owned(), "something \x1b[31melse".to_owned()],
        ..outcome(vec![
            tried(Call::GetMetricData, "TunnelState of 2 tunnels", PermissionVerdict::Denied),
            tried(Call::ListReplicationSets, "", PermissionVerdict::Allowed),
            tried(Call::StartIncident, "bothends-*", PermissionVerdict::NotDenied),
            tried(Call::GetIncidentRecord, "bothends-outage", PermissionVerdict::NotDenied),
            tried(Call::GetIncidentRecord, "bothends-one_sided", PermissionVerdict::NotDenied),
            tried(Call::GetIncidentRecord, "bothends-redundancy_lost", PermissionVerdict::Denied),
            tried(Call::UpdateIncidentRecord, "bothends-outage", PermissionVerdict::Denied),
        ])
    };
    let elsewhere = TrialOutcome {
        at: "in eu-central-1 as arn:aws:iam::123456789012:role/watcher".to_owned(),
        tried: vec![Tried {
            call: Call::AssumeRole,
            on: "arn:aws:iam::123456789012:role/watcher".to_owned(),
            verdict: PermissionVerdict::Denied,
            grant: Grant::on(Some("arn:aws:iam::123456789012:role/watcher")),
        }],
        findings: vec!["the permission is missing".to_owned()],
        ..TrialOutcome::default()
    };
    let (text, exit) = render(&[here, elsewhere]);
    assert_eq!(exit, Exit::Permission);
    insta::assert_snapshot!(text, @r#"
    AWS in eu-west-1: account 123456789012, arn:aws:sts::123456789012:assumed-role/gateway/bothends-milan-1
      call                                on                          allowed?
      cloudwatch:GetMetricData            TunnelState of 2 tunnels    denied
      ssm-incidents:ListReplicationSets                               allowed
      ssm-incidents:StartIncident         bothends-*                  not denied
      ssm-incidents:GetIncidentRecord     bothends-outage and 1 more  not denied
      ssm-incidents:GetIncidentRecord     bothends-redundancy_lost    denied
      ssm-incidents:UpdateIncidentRecord  bothends-outage             denied

    AWS in eu-central-1 as arn:aws:iam::123456789012:role/watcher
      call            on                                      allowed?
      sts:AssumeRole  arn:aws:iam::123456789012:role/watcher  denied

    what is wrong
      - the permission is missing
      - something �[31melse

    to be added to the policy of arn:aws:sts::123456789012:assumed-role/gateway/bothends-milan-1, for what is denied in eu-west-1
      {"Effect":"Allow","Action":["cloudwatch:GetMetricData"],"Resource":["*"],"Condition":{"StringEquals":{"aws:RequestedRegion":"eu-west-1"}}}
      {"Effect":"Allow","Action":["ssm-incidents:GetIncidentRecord","ssm-incidents:UpdateIncidentRecord"],"Resource":["arn:aws:ssm-incidents::123456789012:response-plan/bothends-*"]}

    to be added to the policy of the credentials in use, for what is denied in eu-central-1 as arn:aws:iam::123456789012:role/watcher
      {"Effect":"Allow","Action":["sts:AssumeRole"],"Resource":["arn:aws:iam::123456789012:role/watcher"]}

    "not denied": to have no effect, the call named something impossible (a datum dated 2010; a response plan or a record that
    does not exist). AWS rejected that, but not for a missing permission. AWS does not document which it checks first: only a drill,
    or the first minute of metrics, proves the permission.
    "#);
}

#[test]
fn the_exit_code_tells_want_of_a_permission_from_other_bad_news() {
    let exit = |outcome: TrialOutcome| render(&[outcome]).1;
    let of = |verdict| outcome(vec![tried(Call::ListIncidentRecords, "", verdict)]);
    assert_eq!(exit(of(PermissionVerdict::Allowed)), Exit::Success);
    assert_eq!(exit(of(PermissionVerdict::NotDenied)), Exit::Success);
    assert_eq!(exit(of(PermissionVerdict::NotTried)), Exit::Success);
    assert_eq!(exit(of(PermissionVerdict::Failed)), Exit::BadNews);
    assert_eq!(exit(of(PermissionVerdict::Denied)), Exit::Permission);
    assert_eq!(exit(of(PermissionVerdict::NoCredentials)), Exit::Permission);
    let found = TrialOutcome { findings: vec!["no plan".to_owned()], ..of(PermissionVerdict::Allowed) };
    assert_eq!(exit(found), Exit::BadNews);
    let both = outcome(
        [PermissionVerdict::Denied, PermissionVerdict::Failed]
            .map(|v| tried(Call::ListIncidentRecords, "", v))
            .into(),
    );
    assert_eq!(exit(both), Exit::Permission);
}

#[test]
fn plans_of_two_places_that_fold_incidents_are_bad_news() {
    let plan = |name: &str, kind| SeenPlan {
        plan: PlanUse {
            arn: format!("{PLANS}/{name}"),
            serves: vec![(VpnId::new("vpn-0123456789abcdef0").into(), kind)],
        },
        dedupe: Some("vpn".to_owned()),
    };
    let place = |plan| TrialOutcome { plans: vec![plan], ..outcome(Vec::new()) };
    let (text, exit) = render(&[place(plan("a", Kind::Outage)), place(plan("b", Kind::OneSided))]);
    assert!(text.contains("the response plans a, b have the same dedupe string \"vpn\""), "{text}");
    assert_eq!(exit, Exit::BadNews);
    assert_eq!(render(&[place(plan("a", Kind::Outage))]).1, Exit::Success);
}

#[test]
fn credentials_that_all_can_read_are_refused_beside_the_configuration_and_a_warning_elsewhere() {
    const KEY: &str = "aws_secret_access_key = wJalrXUtnFEMI\n";
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let [path, service, own] =
        ["bothends.toml", "credentials", "own"].map(|name| directory.path().join(name));
    for (file, text) in [(&path, "# nothing\n"), (&service, KEY), (&own, KEY)] {
        fs::write(file, text).unwrap();
        fs::set_permissions(file, Permissions::from_mode(0o644)).unwrap();
    }
    let named = own.to_str().unwrap().to_owned();
    let env = BTreeMap::from([("AWS_SHARED_CREDENTIALS_FILE".to_owned(), named.clone())]);
    let us = process::user();

    let refused = config::load_to_check(&path, &env, us, &|_| Vec::new()).unwrap_err().to_string();
    let beside = format!("{}:1: holds an aws_secret_access_key", service.display());
    assert!(refused.contains(&beside) && !refused.contains(&format!("{named}:1: ")), "{refused}");
    let warned = refused_by_run(&path, &env, us);
    let [warned] = &warned[..] else { panic!("{warned:?}") };
    assert!(warned.starts_with(&format!("{named}:1: holds an aws_secret_access_key")), "{warned}");
    assert!(
        warned.ends_with("(`bothends run` as this user refuses that; the service does not see it)"),
        "{warned}"
    );
}
