//! `bothends check --aws`: what AWS allows, found out without an effect.

use serde_json::{Value, json};

use super::process::Ended;
use super::site::{
    FIVE, MILAN, ONE, PAGER, PLAN, PRE_SHARED_KEY, ROME, ROMES_PLAN, ROMES_REGION, ROMES_TOPIC, SECRET, Site,
    THREE, TOPIC, TWO, WATCHER,
};

/// Checks, and makes sure that nothing was opened or stored, and no secret told.
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

/// It ends with this exit code, in these words.
#[track_caller]
fn tells(ended: &Ended, code: i32, told: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}\n{}", ended.stdout, ended.stderr);
    for words in told {
        assert!(ended.stdout.contains(words), "{words:?} is not told in\n{}", ended.stdout);
    }
}

/// The verdict in the row of a call.
#[track_caller]
fn verdict<'t>(ended: &'t Ended, call: &str) -> Vec<&'t str> {
    let rows = ended.stdout.lines().filter(|line| line.split_whitespace().next() == Some(call));
    rows.map(|row| row.rsplit("  ").next().unwrap().trim()).collect()
}

/// What is given to Incident Manager to be started or changed.
fn written(site: &Site) -> Vec<Value> {
    let operations = ["StartIncident", "CreateTimelineEvent", "UpdateRelatedItems", "UpdateIncidentRecord"];
    operations.into_iter().flat_map(|operation| site.received(operation)).collect()
}

#[test]
fn without_the_option_nobody_is_asked() {
    let site = Site::new();
    assert_eq!(site.run(&["check"]).code, Some(0));
    assert!(site.received_at_all().is_empty());
}

#[test]
fn every_call_of_the_configuration_is_tried_and_nothing_is_opened() {
    let site = Site::new();
    let ended = check(&site);
    tells(&ended, 0, &["AWS in eu-west-1: account 123456789012, arn:aws:iam::123456789012:user/gateway"]);
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
    assert_eq!(verdict(&ended, "ec2:DescribeVpnConnections"), Vec::<&str>::new(), "it is not used");
    // Each came as far as it was meant to: what it asked for was well-formed, and is nobody's.
    for request in written(&site) {
        assert_eq!(request["result"], "ResourceNotFoundException", "{request}");
    }
    assert_eq!(site.received("PutMetricData")[0]["result"], "InvalidParameterValue");
    assert_ne!(site.received("StartIncident")[0]["parameters"]["responsePlanArn"], PLAN);
}

#[test]
fn what_is_denied_is_named_with_the_statement_to_add() {
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
        tells(
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
    tells(&check(&site), 0, &["nothing that could be tested is denied"]);
    let described = site.received("DescribeVpnConnections");
    assert!(described.iter().all(|request| request["parameters"]["DryRun"] == true), "{described:?}");
    assert_eq!(described.last().unwrap()["result"], "DryRunOperation");
}

#[test]
fn an_account_without_incident_manager_is_told_what_to_use_instead() {
    let site = Site::with(json!({ "replication_sets": [] }));
    let ended = check(&site);
    let told =
        ["this account has no Incident Manager in eu-west-1", "\"ops_center\", \"sns\" or \"webhook\""];
    tells(&ended, 1, &told);
    assert_eq!(verdict(&ended, "ssm-incidents:StartIncident"), ["not tried"]);
    assert_eq!(written(&site), Vec::<Value>::new());

    let elsewhere = Site::with(json!({ "replication_regions": ["eu-north-1", ROMES_REGION] }));
    let told = "Incident Manager of this account is in eu-central-1, eu-north-1 and not in eu-west-1: set region under [[incident.sink]]";
    tells(&check(&elsewhere), 1, &[told]);
}

#[test]
fn a_plan_that_is_missing_and_dedupe_strings_that_fold_incidents_are_bad_news() {
    let missing = Site::with(json!({ "response_plans": [{ "arn": ROMES_PLAN }] }));
    let told = format!(
        "Incident Manager GetResponsePlan in eu-west-1: there is no response plan {PLAN} (for outage of {MILAN}"
    );
    tells(&check(&missing), 1, &[&told, "correct response_plan"]);

    let folding = Site::with(json!({ "response_plans": [{ "arn": PLAN, "dedupe_string": "vpn" }] }));
    tells(&check(&folding), 1, &["the response plan bothends has the dedupe string \"vpn\"", "its own plan"]);
    let kinds = ["outage", "redundancy_lost", "one_sided"];
    folding.home.edit(PLAN, &format!("{PLAN}-{{kind}}"));
    let plans = |dedupe: fn(&str) -> String| {
        let plan = |kind: &str| json!({ "arn": format!("{PLAN}-{kind}"), "dedupe_string": dedupe(kind) });
        json!({ "response_plans": kinds.map(plan) })
    };
    let each_its_own = Site::with(plans(str::to_owned));
    each_its_own.home.edit(PLAN, &format!("{PLAN}-{{kind}}"));
    tells(&check(&each_its_own), 0, &["and 2 more", "bothends-*"]);
    let all_the_same = Site::with(plans(|_| "vpn".to_owned()));
    all_the_same.home.edit(PLAN, &format!("{PLAN}-{{kind}}"));
    tells(&check(&all_the_same), 1, &["have the same dedupe string \"vpn\""]);
}

#[test]
fn a_tunnel_of_which_cloudwatch_knows_nothing_is_named() {
    let site = Site::new();
    site.cloudwatch_shows(&ONE, json!("silent"));
    let told = format!("CloudWatch in eu-west-1 has no TunnelState of {MILAN} {}", ONE.outside);
    let ended = check(&site);
    tells(&ended, 1, &[&told]);
    assert_eq!(verdict(&ended, "cloudwatch:GetMetricData"), ["allowed"]);
}

#[test]
fn a_wrong_id_whose_addresses_are_right_is_named() {
    let site = Site::new();
    site.home.edit(MILAN, "vpn-00000000000000bad");
    tells(
        &check(&site),
        1,
        &["nothing under VpnId vpn-00000000000000bad", "bothends discover vpn-00000000000000bad"],
    );
}

#[test]
fn an_address_of_another_connection_is_named_whoever_else_will_be_asked() {
    let site = Site::new();
    site.home.edit(TWO.outside, FIVE.outside);
    let told = format!(
        "{}, {} under VpnId {MILAN}, and {} is not among them",
        ONE.outside, TWO.outside, FIVE.outside
    );
    tells(&check(&site), 1, &[&told]);
    site.home.add("ec2.toml", "[aws]\nec2_telemetry = true\n");
    tells(&check(&site), 1, &[&told]);
}

#[test]
fn what_is_left_to_ec2_to_confirm_is_not_found_fault_with() {
    let site = Site::new();
    site.control(json!({ "set_switches": { "switches": { "tunnel_dimensions": "no_aggregate" } } }));
    tells(&check(&site), 1, &[&format!("nothing under VpnId {MILAN}"), "set [aws] ec2_telemetry = true"]);
    site.home.add("ec2.toml", "[aws]\nec2_telemetry = true\n");
    tells(&check(&site), 0, &["nothing that could be tested is denied"]);
}

#[test]
fn every_place_is_tried_as_the_daemon_calls_it_and_a_role_that_cannot_be_assumed_is_told_once() {
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
    tells(
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
    tells(&ended, 77, &[&statement, &nothing_else, "trust policy must allow"]);
    assert_eq!(verdict(&ended, "sts:AssumeRole"), ["denied", "allowed"]);
    assert_eq!(verdict(&ended, "cloudwatch:GetMetricData"), ["allowed"], "elsewhere it goes on");
}

#[test]
fn the_role_of_a_profile_that_cannot_be_assumed_is_what_the_policy_lacks() {
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
    tells(&ended, 77, &[&statement, &format!("sts:AssumeRole on {nobodys}, whose trust policy must allow")]);
    assert!(!ended.stdout.contains("sts:GetCallerIdentity\""), "{}", ended.stdout);

    let ended = site.run_command(with_profile(site.bare(&["discover", "--region", "eu-west-1", MILAN])));
    assert_eq!(ended.code, Some(77), "{ended:?}");
    for words in
        [&format!("may not assume {nobodys}"), "They need sts:AssumeRole on that role", "not authorized"]
    {
        assert!(ended.stderr.contains(words), "{words:?}: {ended:?}");
    }
    assert!(!ended.stderr.contains("ec2:DescribeVpnConnections"), "{ended:?}");
}

#[test]
fn what_goes_wrong_otherwise_is_no_want_of_a_permission() {
    let site = Site::new();
    for (operation, kind, told) in [
        ("StartIncident", "unavailable", "AWS failed"),
        ("StartIncident", "close", "the connection broke"),
        ("ListIncidentRecords", "garbage", "cannot be understood"),
        ("PutMetricData", "internal", "AWS failed"),
    ] {
        site.fault(operation, json!(kind));
        let ended = check(&site);
        tells(&ended, 1, &[&format!("{operation} in eu-west-1"), told]);
        let failed = ended.stdout.lines().filter(|line| line.ends_with("  failed")).collect::<Vec<_>>();
        assert!(failed.len() == 1 && failed[0].contains(operation), "{failed:?}");
        site.clear_faults();
    }
    // Where nothing comes back the rest is not waited for; what else AWS is used for is.
    site.fault("ListIncidentRecords", json!("reset"));
    let ended = check(&site);
    assert_eq!(verdict(&ended, "ssm-incidents:UpdateIncidentRecord"), ["not tried"], "{}", ended.stdout);
    assert_eq!(verdict(&ended, "cloudwatch:PutMetricData"), ["not denied"]);
    site.clear_faults();
    site.fault("ListReplicationSets", json!("reset"));
    tells(&check(&site), 1, &["it is not in every Region", "set region under [[incident.sink]]"]);
    site.clear_faults();

    site.fault_times("GetResponsePlan", json!("throttle"), 2);
    tells(&check(&site), 0, &[]);
}

#[test]
fn without_credentials_or_a_region_that_is_said_and_nothing_else_is_tried() {
    let site = Site::new();
    let mut keyless = site.command(&site.home, &["check", "--aws"]);
    keyless.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    let told = [
        "no AWS credentials: no profile [default]",
        "set AWS_PROFILE",
        "nothing else was tried in eu-west-1",
    ];
    let ended = site.run_command(keyless);
    tells(&ended, 77, &told);
    assert!(
        !ended.stdout.contains("/etc/bothends/credentials") && !ended.stdout.contains("restart"),
        "{ended:?}"
    );
    assert!(site.received_at_all().is_empty());

    site.fault("*", json!("expired"));
    tells(&check(&site), 77, &["does not accept", "nothing else was tried"]);
    site.clear_faults();

    site.home.edit("region = \"eu-west-1\"", "");
    tells(&check(&site), 1, &["no Region is configured; set region under [aws], or AWS_REGION"]);
}

#[test]
fn the_other_sinks_are_tried_as_far_as_nobody_hears_of_it() {
    let site = Site::new();
    let sinks = format!(
        "[[incident.sink]]\ntype = \"ops_center\"\n[[incident.sink]]\ntype = \"sns\"\ntopic_arn = \"{ROMES_TOPIC}\"\n"
    );
    site.home.add("sinks.toml", &sinks);
    let ended = check(&site);
    tells(&ended, 0, &["ssm:CreateOpsItem and sns:Publish have no dry run", ROMES_REGION]);
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
    tells(&ended, 0, &["delivery to ops_center, sns was not tested: run bothends drill"]);
}

#[test]
fn a_topic_that_is_missing_elsewhere_or_denied_is_known_before_the_first_page() {
    // The second is looked for where its ARN says that it is.
    for missing in [TOPIC, ROMES_TOPIC].map(|topic| topic.replace("alerts", "nowhere")) {
        let site = Site::new();
        site.home
            .add("sinks.toml", &format!("[[incident.sink]]\ntype = \"sns\"\ntopic_arn = \"{missing}\"\n"));
        let ended = check(&site);
        tells(&ended, 1, &[&format!("there is no topic {missing}; create it, or correct topic_arn")]);
        assert_eq!(verdict(&ended, "sns:GetTopicAttributes"), ["failed"]);
    }
    let site = Site::new();
    site.home.add("sinks.toml", &format!("[[incident.sink]]\ntype = \"sns\"\ntopic_arn = \"{TOPIC}\"\n"));
    site.fault("GetTopicAttributes", json!("denied"));
    let statement = format!(
        "{{\"Effect\":\"Allow\",\"Action\":[\"sns:GetTopicAttributes\"],\"Resource\":[\"{TOPIC}\"]}}"
    );
    tells(&check(&site), 77, &["the permission sns:GetTopicAttributes on the topic", &statement]);
}
