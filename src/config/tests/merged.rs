//! Several files, and variables.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::schema::Renamed;
use crate::config::tests::{Files, OTHER_VPN, SINK, VPN};
use crate::config::{Surroundings, load_in};

#[test]
fn tables_of_later_files_override_key_by_key() {
    let main = format!("[probe]\ninterval = \"2s\"\ntimeout = \"3s\"\n{VPN}{SINK}");
    let files = Files::new(&main)
        .with("20.toml", "[probe]\ninterval = \"5s\"\n[incident]\nopen_after = { outage = \"1m\" }\n")
        .with("10.toml", "[probe]\ninterval = \"4s\"\n[incident.open_after]\nredundancy_lost = \"3m\"\n");
    let config = files.load(&[]).unwrap();
    let vpn = &config.plan.vpns[0];
    assert_eq!(vpn.probe.interval, Duration::from_secs(5));
    assert_eq!(vpn.probe.timeout, Duration::from_secs(3));
    assert_eq!(vpn.incident.open_after_outage, Duration::from_secs(60));
    assert_eq!(vpn.incident.open_after_redundancy_lost, Duration::from_secs(180));
    let names: Vec<_> = config.files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["bothends.toml", "10.toml", "20.toml"]);
}

#[test]
fn connections_and_sinks_of_later_files_are_added() {
    let other_sink = SINK.replace("response-plan/", "response-plan/night-");
    let files = Files::new(&format!("{VPN}{SINK}")).with("b.toml", format!("{OTHER_VPN}{other_sink}"));
    let config = files.load(&[]).unwrap();
    let vpns: Vec<_> = config.plan.vpns.iter().map(|vpn| vpn.id.as_str()).collect();
    assert_eq!(vpns, ["vpn-0123456789abcdef0", "vpn-0123456789abcdef1"]);
    let sinks: Vec<_> = config.sinks.iter().map(|sink| sink.id.as_str()).collect();
    assert_eq!(sinks, ["incident_manager", "incident_manager-2"]);
}

#[test]
fn the_same_connection_in_two_files_is_an_error_that_names_both() {
    let files = Files::new(&format!("{VPN}{SINK}"))
        .with("b.toml", OTHER_VPN.replace("vpn-0123456789abcdef1", "vpn-0123456789abcdef0"));
    let directory = files.directory.path().display();
    let told = files.load(&[]).unwrap_err().to_string();
    let expected = format!(
        "{directory}/conf.d/b.toml:3: vpn[0].id: is the same as vpn[0].id at {directory}/bothends.toml:3"
    );
    assert_eq!(told, expected);
}

#[test]
fn the_same_sink_in_two_files_is_an_error_that_names_both() {
    let files = Files::new(&format!("{VPN}{SINK}")).with("b.toml", SINK);
    insta::assert_snapshot!(files.problems(&[]), @r#"conf.d/b.toml:4: incident.sink[0].response_plan: sends outage of vpn-0123456789abcdef0 to the same response plan as incident.sink[0].response_plan at bothends.toml:11"#);
}

#[test]
fn an_overridden_mistake_is_blamed_on_nobody_and_an_overriding_one_on_its_own_file() {
    let main = format!("[probe]\ninterval = \"wrong\"\ntimeout = \"1s\"\n{VPN}{SINK}");
    let files = Files::new(&main).with("b.toml", "[probe]\ninterval = \"1s\"\ntimeout = \"wrong\"\n");
    insta::assert_snapshot!(files.problems(&[]), @r#"conf.d/b.toml:3: probe.timeout: found "wrong", allowed: a duration with its unit, "100ms" to "10s""#);
}

#[test]
fn hidden_files_and_files_of_another_kind_are_left_alone() {
    let files = Files::new(&format!("{VPN}{SINK}"))
        .with(".b.toml", "wrong")
        .with("b.toml.dpkg-new", "wrong")
        .with("README", "wrong");
    assert_eq!(files.load(&[]).unwrap().files, [files.main()]);
}

#[test]
fn variables_override_scalars_of_single_tables() {
    let main = format!("[site]\nname = \"from file\"\n[probe]\ndown_after = 3\n{VPN}{SINK}");
    let config = Files::new(&main)
        .load(&[
            ("BOTHENDS_SITE__NAME", "0123"),
            ("BOTHENDS_PROBE__DOWN_AFTER", "20"),
            ("BOTHENDS_AWS__EC2_TELEMETRY", "true"),
            ("BOTHENDS_CLOUDWATCH__ENABLED", "false"),
            ("BOTHENDS_INCIDENT__OPEN_AFTER__OUTAGE", "45s"),
            ("BOTHENDS_INCIDENT__ONE_SIDED_AFTER", "off"),
            ("BOTHENDS_HTTP__LISTEN", "[::1]:9000"),
        ])
        .unwrap();
    assert_eq!(&*config.plan.site, "0123", "a text of digits stays a text");
    assert_eq!(config.plan.vpns[0].probe.down_after.get(), 20);
    assert!(config.aws.ec2_telemetry);
    assert_eq!(config.cloudwatch, None);
    assert_eq!(config.plan.vpns[0].incident.open_after_outage, Duration::from_secs(45));
    assert_eq!(config.plan.vpns[0].incident.one_sided_after, None);
    assert_eq!(config.http.listen, "[::1]:9000".parse().unwrap());
}

#[test]
fn a_wrong_variable_is_told_by_its_name() {
    let files = Files::new(&format!("{VPN}{SINK}"));
    let told = files.problems(&[
        ("BOTHENDS_PROBE__INTERVAL", "1"),
        ("BOTHENDS_PROBE__INTERVALL", "1s"),
        ("BOTHENDS_AWS__EC2_TELEMETRY", "yes"),
        ("BOTHENDS_VPN__0__ID", "vpn-0123abcd"),
        ("BOTHENDS_site__name", "x"),
    ]);
    insta::assert_snapshot!(told, @r#"
    environment variable BOTHENDS_AWS__EC2_TELEMETRY: aws.ec2_telemetry: found "yes", allowed: true, false
    environment variable BOTHENDS_PROBE__INTERVAL: probe.interval: found "1", allowed: a duration with its unit, "100ms" to "1m"
    environment variable BOTHENDS_PROBE__INTERVALL: names no key: it must be BOTHENDS_SECTION__KEY in capitals, of a table that there is one of; did you mean BOTHENDS_PROBE__INTERVAL?
    environment variable BOTHENDS_VPN__0__ID: names no key: it must be BOTHENDS_SECTION__KEY in capitals, of a table that there is one of
    environment variable BOTHENDS_site__name: names no key: it must be BOTHENDS_SECTION__KEY in capitals, of a table that there is one of
    "#);
}

#[test]
fn variables_of_others_are_none_of_our_business() {
    let files = Files::new(&format!("{VPN}{SINK}"));
    files
        .load(&[("BOTHENDS_LOG", "x"), ("BOTHENDSX__Y", "x"), ("SITE__NAME", "x"), ("AWS_REGION", "x")])
        .unwrap();
}

const RENAMED: &[Renamed] = &[Renamed { from: "vpn.tunnel.inside", to: "inside_ip" }];

fn with_renamed(files: &Files) -> Result<String, String> {
    let env = BTreeMap::new();
    let surroundings = Surroundings { env: &env, host_name: Some("gateway-1".to_owned()), renamed: RENAMED };
    let directory = format!("{}/", files.directory.path().display());
    match load_in(&files.main(), &surroundings) {
        Ok(config) => Ok(config.warnings[0].to_string().replace(&directory, "")),
        Err(rejection) => Err(rejection.to_string().replace(&directory, "")),
    }
}

#[test]
fn a_renamed_key_is_read_with_a_warning() {
    let files = Files::new(&format!("{VPN}{SINK}").replace("inside_ip", "inside"));
    insta::assert_snapshot!(with_renamed(&files).unwrap(), @r#"bothends.toml:6: vpn[0].tunnel[0].inside: is called "inside_ip" today; rename it"#);
}

#[test]
fn a_renamed_key_beside_its_successor_is_an_error() {
    let both = format!("{VPN}inside = \"169.254.10.1\"\n{SINK}");
    insta::assert_snapshot!(with_renamed(&Files::new(&both)).unwrap_err(), @r#"bothends.toml:8: vpn[0].tunnel[0].inside: is the former name of "inside_ip", which is set as well; keep that one"#);
}

#[test]
fn a_faster_pace_in_calm_takes_the_pace_in_doubt_along_where_that_is_not_set() {
    let main = format!("[aws]\npoll_interval = \"5s\"\n[probe]\ninterval = \"100ms\"\n{VPN}{SINK}");
    let config = Files::new(&main).load(&[]).unwrap();
    let vpn = &config.plan.vpns[0];
    assert_eq!(vpn.aws.suspect_poll_interval, vpn.aws.poll_interval);
    assert_eq!(vpn.probe.suspect_interval, vpn.probe.interval);
}
