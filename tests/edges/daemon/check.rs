//! `bothends check --aws`: finds out what AWS allows, without side effects.

use serde_json::{Value, json};

use super::process::Ended;
use super::site::{
    FIVE, MILAN, ONE, PAGER, PLAN, PRE_SHARED_KEY, ROME, ROMES_PLAN, ROMES_REGION, ROMES_TOPIC, SECRET, Site,
    THREE, TOPIC, TWO, WATCHER,
};

/// Runs the check, and asserts that it created and stored nothing and printed no secret.
#[track_caller]
fn check(site: &Site) -> Ended {
    let mut command = site.command(&site.home, &["check", "--aws"]);
    command.env("RUST_LOG", "trace").env("BOTHENDS_LOG", "trace");
    let ended = site.run_command(command);
    assert_eq!(site.control(json!({ "incidents": {} })), json!([]), "{ended:?}");
    assert_eq!(site.control(json!({ "metrics": {} })), json!([]), "{ended:?}");
    for finding in ended.stdout.lines().filter_map(|line| line.strip_prefix("  - ")) {
        assert!(!finding.contains("  "), "stray blanks in {finding:?}");
    }
    for secret in [PRE_SHARED_KEY, SECRET] {
        assert!(!ended.stdout.contains(secret) && !ended.stderr.contains(secret), "{secret} in {ended:?}");
    }
    ended
}

/// Asserts the exit code and texts of the output.
#[track_caller]
fn assert_ended(ended: &Ended, code: i32, expected: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}\n{}", ended.stdout, ended.stderr);
    for text in expected {
        assert!(ended.stdout.contains(text), "{text:?} is missing from\n{}", ended.stdout);
    }
}

/// The verdict in a call's row.
#[track_caller]
fn verdict<'t>(ended: &'t Ended, call: &str) -> Vec<&'t str> {
    let rows = ended.stdout.lines().filter(|line| line.split_whitespace().next() == Some(call));
    rows.map(|row| row.rsplit("  ").next().unwrap().trim()).collect()
}

/// What Incident Manager was asked to create or change.
fn written(site: &Site) -> Vec<Value> {
    let operations = ["StartIncident", "CreateTimelineEvent", "UpdateRelatedItems", "UpdateIncidentRecord"];
    operations.into_iter().flat_map(|operation| site.received(operation)).collect()
}

#[test]
fn without_the_option_aws_is_not_called() {
    let site = Site::new();
    assert_eq!(site.run(&["check"]).code, Some(0));
    assert!(site.all_received().is_empty());
}

#[test]
fn every_call_of_the_configuration_is_tried_and_nothing_is_created() {
    let site = Site::new();
    let ended = check(&site);
    assert_ended(
        &ended,
        0,
        &["AWS in eu-west-1: account 123456789012, arn:aws:iam::123456789012:user/gateway"],
    );
    for (call, said) in [
        ("cloudwatch:GetMetricData", "allowed"),
        ("cloudwatch:PutMetricData", "not denied"),
        ("ssm-incidents:ListReplicationSets", "allowed"),
        ("ssm-incidents:GetReplicationSet", "allowed"),
        ("ssm-incidents:ListIncidentRecords", "allowed"),
        ("ssm-incidents:StartIncident", "not denied"),
        ("ssm-incidents:GetResponsePlan", "allowed"),
        ("ssm-incidents:GetIncidentRecord", "not denied"),
        ("ssm-incidents:CreateTimelineEvent", "not denied"),
        ("ssm-incidents:UpdateRelatedItems", "not denied"),
        ("ssm-incidents:UpdateIncidentRecord", "not denied"),
    ] {
        assert_eq!(verdict(&ended, call), [said], "{call} in\n{}", ended.stdout);
    }
    assert_eq!(verdict(&ended, "ec2:DescribeVpnConnections"), Vec::<&str>::new(), "it is not called");
    // Each call passed validation, with an id that does not exist.
    for request in written(&site) {
        assert_eq!(request["result"], "ResourceNotFoundException", "{request}");
    }
    assert_eq!(site.received("PutMetricData")[0]["result"], "InvalidParameterValue");
    assert_ne!(site.received("StartIncident")[0]["parameters"]["responsePlanArn"], PLAN);
}

#[test]
fn a_denied_permission_is_named_with_the_policy_statement_to_add() {
    let site = Site::new();
    site.home.add("ec2.toml", "[aws]\nec2_telemetry = true\n");
    let records = "\"Resource\":[\"arn:aws:ssm-incidents::123456789012:response-plan/bothends\",\"arn:aws:ssm-incidents::123456789012:incident-record/bothends/*\"]";
    let plans = "\"Resource\":[\"arn:aws:ssm-incidents::123456789012:response-plan/bothends\"";
    let region = "\"Condition\":{\"StringEquals\":{\"aws:RequestedRegion\":\"eu-west-1\"}}";
    for (call, limits) in [
        ("cloudwatch:GetMetricData", region),
        (
            "cloudwatch:PutMetricData",
            "\"Condition\":{\"StringEquals\":{\"cloudwatch:namespace\":\"BothEnds\"}}",
        ),
        ("ec2:DescribeVpnConnections", region),
        ("ec2:GetVpnTunnelReplacementStatus", "vpn-connection/vpn-0123456789abcdef0\"]"),
        ("ssm-incidents:ListReplicationSets", region),
        ("ssm-incidents:GetReplicationSet", "replication-set/stand-in\"]"),
        ("ssm-incidents:ListIncidentRecords", region),
        ("ssm-incidents:StartIncident", plans),
        ("ssm-incidents:GetResponsePlan", plans),
        ("ssm-incidents:GetIncidentRecord", records),
        ("ssm-incidents:CreateTimelineEvent", records),
        ("ssm-incidents:UpdateRelatedItems", records),
        ("ssm-incidents:UpdateIncidentRecord", records),
    ] {
        site.fault(call.split_once(':').unwrap().1, json!("denied"));
        let ended = check(&site);
        assert_ended(
            &ended,
            77,
            &[&format!("the permission {call} on"), "to be added to the policy of arn:aws:iam::"],
        );
        let statement = format!("{{\"Effect\":\"Allow\",\"Action\":[\"{call}\"],");
        let lines: Vec<_> = ended.stdout.lines().filter(|line| line.contains("\"Effect\"")).collect();
        assert!(lines.len() == 1 && lines[0].contains(&statement) && lines[0].contains(limits), "{lines:?}");
        assert_eq!(verdict(&ended, call), ["denied"]);
        assert_eq!(ended.stdout.matches("  denied\n").count(), 1, "{call} alone in\n{}", ended.stdout);
        site.clear_faults();
    }
    assert_ended(&check(&site), 0, &["nothing that could be tested is denied"]);
    let described = site.received("DescribeVpnConnections");
    assert!(described.iter().all(|request| request["parameters"]["DryRun"] == true), "{described:?}");
    assert_eq!(described.last().unwrap()["result"], "DryRunOperation");
}

#[test]
fn an_account_without_incident_manager_gets_alternatives_suggested() {
    let site = Site::with(json!({ "replication_sets": [] }));
    let ended = check(&site);
    let expected =
        ["this account has no Incident Manager in eu-west-1", "\"ops_center\", \"sns\" or \"webhook\""];
    assert_ended(&ended, 1, &expected);
    assert_eq!(verdict(&ended, "ssm-incidents:StartIncident"), ["not tried"]);
    assert_eq!(written(&site), Vec::<Value>::new());

    let elsewhere = Site::with(json!({ "replication_regions": ["eu-north-1", ROMES_REGION] }));
    let expected = "Incident Manager of this account is in eu-central-1, eu-north-1 and not in eu-west-1: set region under [[incident.sink]]";
    assert_ended(&check(&elsewhere), 1, &[expected]);
}

#[test]
fn a_missing_response_plan_and_merging_dedupe_strings_are_errors() {
    let missing = Site::with(json!({ "response_plans": [{ "arn": ROMES_PLAN }] }));
    let expected = format!(
        "Incident Manager GetResponsePlan in eu-west-1: there is no response plan {PLAN} (for outage of {MILAN}"
    );
    assert_ended(&check(&missing), 1, &[&expected, "correct response_plan"]);

    let merging = Site::with(json!({ "response_plans": [{ "arn": PLAN, "dedupe_string": "vpn" }] }));
    assert_ended(
        &check(&merging),
        1,
        &["the response plan bothends has the dedupe string \"vpn\"", "its own plan"],
    );
    let kinds = ["outage", "redundancy_lost", "one_sided"];
    merging.home.edit(PLAN, &format!("{PLAN}-{{kind}}"));
    let plans = |dedupe: fn(&str) -> String| {
        let plan = |kind: &str| json!({ "arn": format!("{PLAN}-{kind}"), "dedupe_string": dedupe(kind) });
        json!({ "response_plans": kinds.map(plan) })
    };
    let each_its_own = Site::with(plans(str::to_owned));
    each_its_own.home.edit(PLAN, &format!("{PLAN}-{{kind}}"));
    assert_ended(&check(&each_its_own), 0, &["and 2 more", "bothends-*"]);
    let all_the_same = Site::with(plans(|_| "vpn".to_owned()));
    all_the_same.home.edit(PLAN, &format!("{PLAN}-{{kind}}"));
    assert_ended(&check(&all_the_same), 1, &["have the same dedupe string \"vpn\""]);
}

#[test]
fn a_tunnel_unknown_to_cloudwatch_is_named() {
    let site = Site::new();
    site.cloudwatch_shows(&ONE, json!("silent"));
    let expected = format!("CloudWatch in eu-west-1 has no TunnelState of {MILAN} {}", ONE.outside);
    let ended = check(&site);
    assert_ended(&ended, 1, &[&expected]);
    assert_eq!(verdict(&ended, "cloudwatch:GetMetricData"), ["allowed"]);
}

#[test]
fn a_wrong_id_with_correct_addresses_is_named() {
    let site = Site::new();
    site.home.edit(MILAN, "vpn-00000000000000bad");
    assert_ended(
        &check(&site),
        1,
        &["nothing under VpnId vpn-00000000000000bad", "bothends discover vpn-00000000000000bad"],
    );
}

#[test]
fn an_address_of_another_connection_is_named_with_and_without_ec2() {
    let site = Site::new();
    site.home.edit(TWO.outside, FIVE.outside);
    let expected = format!(
        "{}, {} under VpnId {MILAN}, and {} is not among them",
        ONE.outside, TWO.outside, FIVE.outside
    );
    assert_ended(&check(&site), 1, &[&expected]);
    site.home.add("ec2.toml", "[aws]\nec2_telemetry = true\n");
    assert_ended(&check(&site), 1, &[&expected]);
}

#[test]
fn what_only_ec2_can_confirm_is_no_error() {
    let site = Site::new();
    site.control(json!({ "set_switches": { "switches": { "tunnel_dimensions": "no_aggregate" } } }));
    assert_ended(
        &check(&site),
        1,
        &[&format!("nothing under VpnId {MILAN}"), "set [aws] ec2_telemetry = true"],
    );
    site.home.add("ec2.toml", "[aws]\nec2_telemetry = true\n");
    assert_ended(&check(&site), 0, &["nothing that could be tested is denied"]);
}

#[test]
fn every_region_and_role_is_tried_as_the_daemon_does_and_a_role_that_cannot_be_assumed_is_reported_once() {
    let site = Site::new();
    let rome = |role: &str| {
        format!(
            "[[vpn]]\nid = \"{ROME}\"\nregion = \"{ROMES_REGION}\"\nrole_arn = \"{role}\"\n{}\
             [[incident.sink]]\ntype = \"incident_manager\"\nresponse_plan = \"{ROMES_PLAN}\"\nvpns = [\"{ROME}\"]\n\
             role_arn = \"{PAGER}\"\n",
            THREE.toml()
        )
    };
    site.home.add("rome.toml", &rome(WATCHER));
    let ended = check(&site);
    assert_ended(
        &ended,
        0,
        &[&format!("AWS in {ROMES_REGION} as {WATCHER}: account"), ":assumed-role/pager/bothends-milan-1"],
    );
    assert_eq!(verdict(&ended, "sts:AssumeRole"), ["allowed", "allowed"]);
    let asked = site.received("GetMetricData");
    let principal = |request: &Value| request["principal"].as_str().unwrap().to_owned();
    assert!(asked.iter().any(|request| principal(request).contains(":assumed-role/watcher/")), "{asked:?}");

    let nobodys = WATCHER.replace("watcher", "nobody");
    site.home.add("rome.toml", &rome(&nobodys));
    let ended = check(&site);
    let statement =
        format!("{{\"Effect\":\"Allow\",\"Action\":[\"sts:AssumeRole\"],\"Resource\":[\"{nobodys}\"]}}");
    let nothing_else = format!("nothing else was tried in {ROMES_REGION} as {nobodys}");
    assert_ended(&ended, 77, &[&statement, &nothing_else, "trust policy must allow"]);
    assert_eq!(verdict(&ended, "sts:AssumeRole"), ["denied", "allowed"]);
    assert_eq!(verdict(&ended, "cloudwatch:GetMetricData"), ["allowed"], "elsewhere it goes on");
}

#[test]
fn a_profiles_role_that_cannot_be_assumed_is_named_as_the_missing_permission() {
    let site = Site::new();
    let nobodys = WATCHER.replace("watcher", "nobody");
    std::fs::write(
        site.home.file("aws-config"),
        format!("[profile hub]\nrole_arn = {nobodys}\nsource_profile = keys\n"),
    )
    .unwrap();
    let with_profile = |mut command: std::process::Command| {
        command.env("AWS_CONFIG_FILE", site.home.file("aws-config")).env("AWS_PROFILE", "hub");
        let credentials =
            format!("[keys]\naws_access_key_id = AKIASTANDINEXAMPLE01\naws_secret_access_key = {SECRET}\n");
        let file = site.home.file("credentials");
        std::fs::write(&file, credentials).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        command.env("AWS_SHARED_CREDENTIALS_FILE", file);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        command
    };
    let ended = site.run_command(with_profile(site.command(&site.home, &["check", "--aws"])));
    let statement =
        format!("{{\"Effect\":\"Allow\",\"Action\":[\"sts:AssumeRole\"],\"Resource\":[\"{nobodys}\"]}}");
    assert_ended(
        &ended,
        77,
        &[&statement, &format!("sts:AssumeRole on {nobodys}, whose trust policy must allow")],
    );
    assert!(!ended.stdout.contains("sts:GetCallerIdentity\""), "{}", ended.stdout);

    let ended = site.run_command(with_profile(site.bare(&["discover", "--region", "eu-west-1", MILAN])));
    assert_eq!(ended.code, Some(77), "{ended:?}");
    for text in
        [&format!("may not assume {nobodys}"), "They need sts:AssumeRole on that role", "not authorized"]
    {
        assert!(ended.stderr.contains(text), "{text:?}: {ended:?}");
    }
    assert!(!ended.stderr.contains("ec2:DescribeVpnConnections"), "{ended:?}");
}

#[test]
fn other_failures_are_not_reported_as_missing_permissions() {
    let site = Site::new();
    for (operation, kind, expected) in [
        ("StartIncident", "unavailable", "AWS failed"),
        ("StartIncident", "close", "the connection broke"),
        ("ListIncidentRecords", "garbage", "cannot be understood"),
        ("PutMetricData", "internal", "AWS failed"),
    ] {
        site.fault(operation, json!(kind));
        let ended = check(&site);
        assert_ended(&ended, 1, &[&format!("{operation} in eu-west-1"), expected]);
        let failed = ended.stdout.lines().filter(|line| line.ends_with("  failed")).collect::<Vec<_>>();
        assert!(failed.len() == 1 && failed[0].contains(operation), "{failed:?}");
        site.clear_faults();
    }
    // After a call without an answer, this service's other calls are not tried; other services are.
    site.fault("ListIncidentRecords", json!("reset"));
    let ended = check(&site);
    assert_eq!(verdict(&ended, "ssm-incidents:UpdateIncidentRecord"), ["not tried"], "{}", ended.stdout);
    assert_eq!(verdict(&ended, "cloudwatch:PutMetricData"), ["not denied"]);
    site.clear_faults();
    site.fault("ListReplicationSets", json!("reset"));
    assert_ended(&check(&site), 1, &["it is not in every Region", "set region under [[incident.sink]]"]);
    site.clear_faults();

    site.fault_times("GetResponsePlan", json!("throttle"), 2);
    assert_ended(&check(&site), 0, &[]);
}

#[test]
fn missing_credentials_or_a_missing_region_is_reported_and_nothing_else_is_tried() {
    let site = Site::new();
    let mut keyless = site.command(&site.home, &["check", "--aws"]);
    keyless.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    let expected = [
        "no AWS credentials: no profile [default]",
        "set AWS_PROFILE",
        "nothing else was tried in eu-west-1",
    ];
    let ended = site.run_command(keyless);
    assert_ended(&ended, 77, &expected);
    assert!(
        !ended.stdout.contains("/etc/bothends/credentials") && !ended.stdout.contains("restart"),
        "{ended:?}"
    );
    assert!(site.all_received().is_empty());

    site.fault("*", json!("expired"));
    assert_ended(&check(&site), 77, &["does not accept", "nothing else was tried"]);
    site.clear_faults();

    site.home.edit("region = \"eu-west-1\"", "");
    assert_ended(&check(&site), 1, &["no Region is configured; set region under [aws], or AWS_REGION"]);
}

#[test]
fn the_other_sinks_are_tried_without_sending_anything() {
    let site = Site::new();
    let sinks = format!(
        "[[incident.sink]]\ntype = \"ops_center\"\n[[incident.sink]]\ntype = \"sns\"\ntopic_arn = \"{ROMES_TOPIC}\"\n"
    );
    site.home.add("sinks.toml", &sinks);
    let ended = check(&site);
    assert_ended(&ended, 0, &["ssm:CreateOpsItem and sns:Publish have no dry run", ROMES_REGION]);
    for (call, said) in [
        ("ssm:DescribeOpsItems", "allowed"),
        ("ssm:GetOpsItem", "not denied"),
        ("ssm:UpdateOpsItem", "not denied"),
        ("ssm:CreateOpsItem", "not tried"),
        ("sns:GetTopicAttributes", "allowed"),
        ("sns:Publish", "not tried"),
    ] {
        assert_eq!(verdict(&ended, call), [said], "{call}\n{}", ended.stdout);
    }
    assert_eq!(site.control(json!({ "ops_items": {} })), json!([]));
    assert!(site.received("Publish").is_empty() && site.received("CreateOpsItem").is_empty());
    assert_ended(&ended, 0, &["delivery to ops_center, sns was not tested: run bothends drill"]);
}

#[test]
fn a_missing_or_denied_topic_is_found_before_the_first_page() {
    // The second topic is looked up in the Region of its ARN.
    for missing in [TOPIC, ROMES_TOPIC].map(|topic| topic.replace("alerts", "nowhere")) {
        let site = Site::new();
        site.home
            .add("sinks.toml", &format!("[[incident.sink]]\ntype = \"sns\"\ntopic_arn = \"{missing}\"\n"));
        let ended = check(&site);
        assert_ended(&ended, 1, &[&format!("there is no topic {missing}; create it, or correct topic_arn")]);
        assert_eq!(verdict(&ended, "sns:GetTopicAttributes"), ["failed"]);
    }
    let site = Site::new();
    site.home.add("sinks.toml", &format!("[[incident.sink]]\ntype = \"sns\"\ntopic_arn = \"{TOPIC}\"\n"));
    site.fault("GetTopicAttributes", json!("denied"));
    let statement = format!(
        "{{\"Effect\":\"Allow\",\"Action\":[\"sns:GetTopicAttributes\"],\"Resource\":[\"{TOPIC}\"]}}"
    );
    assert_ended(&check(&site), 77, &["the permission sns:GetTopicAttributes on the topic", &statement]);
}
