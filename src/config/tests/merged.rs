//! Several files, and variables.

use std::time::Duration;

use crate::config::files::ReadBy;
use crate::config::schema::Renamed;
use crate::config::tests::{Files, OTHER_VPN, SINK, VPN};
use crate::config::{Loaded, Provenance, Surroundings, load_in};

#[test]
fn tables_of_later_files_override_key_by_key() {
    let main = format!("[probe]\ninterval = \"2s\"\ntimeout = \"3s\"\n{VPN}{SINK}");
    let files = Files::new(&main)
        .with("20.toml", "[probe]\ninterval = \"5s\"\n[incident]\nopen_after = { outage = \"1m\" }\n")
        .with("10.toml", "[probe]\ninterval = \"4s\"\n[incident.open_after]\nredundancy_lost = \"3m\"\n");
    let loaded = files.read(&[]).unwrap();
    let vpn = &loaded.config.plan.vpns[0];
    assert_eq!(vpn.probe.interval, Duration::from_secs(5));
    assert_eq!(vpn.probe.timeout, Duration::from_secs(3));
    assert_eq!(vpn.incident.open_after_outage, Duration::from_secs(60));
    assert_eq!(vpn.incident.open_after_redundancy_lost, Duration::from_secs(180));
    let names: Vec<_> = loaded.files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["bothends.toml", "10.toml", "20.toml"]);
}

#[test]
fn own_labels_merge_by_name_and_those_of_a_connection_win() {
    let main = format!(
        "[labels]\nenvironment = \"test\"\nTeam = \"network\"\n{VPN}{SINK}{}",
        OTHER_VPN
            .replace("[[vpn.tunnel]]", "[vpn.labels]\nenvironment = \"lab\"\nfloor = \"2\"\n[[vpn.tunnel]]")
    );
    let config = Files::new(&main).with("b.toml", "[labels]\nenvironment = \"prod\"\n").load(&[]).unwrap();
    let labels = config.vpns.values().map(|vpn| {
        let pairs = vpn.labels.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join(" ")
    });
    let labels: Vec<_> = labels.collect();
    assert_eq!(labels, ["Team=network environment=prod", "Team=network environment=lab floor=2"]);
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
    let reported = files.load(&[]).unwrap_err().to_string();
    let expected = format!(
        "{directory}/conf.d/b.toml:3: vpn[0].id: is the same as vpn[0].id at {directory}/bothends.toml:3"
    );
    assert_eq!(reported, expected);
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
    insta::assert_snapshot!(files.problems(&[]), @r#"conf.d/b.toml:3: probe.timeout: invalid value "wrong"; expected a duration with its unit, "100ms" to "10s""#);
}

#[test]
fn hidden_files_and_files_of_another_kind_are_left_alone() {
    let files = Files::new(&format!("{VPN}{SINK}"))
        .with(".b.toml", "wrong")
        .with("b.toml.dpkg-new", "wrong")
        .with("README", "wrong");
    assert_eq!(files.read(&[]).unwrap().files, [files.main()]);
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
fn a_wrong_variable_is_reported_by_its_name() {
    let files = Files::new(&format!("{VPN}{SINK}"));
    let reported = files.problems(&[
        ("BOTHENDS_PROBE__INTERVAL", "1"),
        ("BOTHENDS_PROBE__INTERVALL", "1s"),
        ("BOTHENDS_AWS__EC2_TELEMETRY", "yes"),
        ("BOTHENDS_VPN__0__ID", "vpn-0123abcd"),
        ("BOTHENDS_site__name", "x"),
    ]);
    insta::assert_snapshot!(reported, @r#"
    environment variable BOTHENDS_AWS__EC2_TELEMETRY: aws.ec2_telemetry: invalid value "yes"; expected true or false; write true
    environment variable BOTHENDS_PROBE__INTERVAL: probe.interval: invalid value "1"; expected a duration with its unit, "100ms" to "1m"; if seconds are meant, write "1s"
    environment variable BOTHENDS_PROBE__INTERVALL: unknown override; expected BOTHENDS_SECTION__KEY in capitals, with two underscores; only keys of single tables can be set by environment variables; did you mean BOTHENDS_PROBE__INTERVAL?
    environment variable BOTHENDS_VPN__0__ID: unknown override; expected BOTHENDS_SECTION__KEY in capitals, with two underscores; only keys of single tables can be set by environment variables; what stands in lists, [[vpn]], [[uplink]], [[group]] and [[incident.sink]], is set in a file, such as one in conf.d
    environment variable BOTHENDS_site__name: unknown override; expected BOTHENDS_SECTION__KEY in capitals, with two underscores; only keys of single tables can be set by environment variables; did you mean BOTHENDS_SITE__NAME?
    "#);
}

#[test]
fn a_key_s_variable_in_another_spelling_is_refused_and_led_back() {
    let files = Files::new(&format!("{VPN}{SINK}"));
    for (variable, meant) in [
        ("BOTHENDS_AWS_REGION", "BOTHENDS_AWS__REGION"),
        ("BOTHENDS__AWS__REGION", "BOTHENDS_AWS__REGION"),
        ("bothends_aws__region", "BOTHENDS_AWS__REGION"),
        ("BOTHENDS_AWS___REGION", "BOTHENDS_AWS__REGION"),
        ("BOTHENDS_INCIDENT_OPEN_AFTER_OUTAGE", "BOTHENDS_INCIDENT__OPEN_AFTER__OUTAGE"),
        ("BOTHENDS_INCIDENT__OPEN__AFTER__OUTAGE", "BOTHENDS_INCIDENT__OPEN_AFTER__OUTAGE"),
    ] {
        let reported = files.problems(&[(variable, "x")]);
        assert_eq!(reported.lines().count(), 1, "{reported}");
        assert!(reported.contains(&format!("{variable}: unknown override")), "{reported}");
        assert!(reported.ends_with(&format!("did you mean {meant}?")), "{reported}");
    }
}

#[test]
fn a_variable_that_ends_like_a_keys_and_sets_nothing_is_named() {
    let files = Files::new(&format!("{VPN}{SINK}"));
    let loaded = files
        .read(&[
            ("BOTHENDS_MODE", "observe"),
            ("BOTHENDS_REGION", "x"),
            ("BOTHENDS_AWS_MODE", "x"),
            ("BOTHENDS_NAME", "/a/b"),
        ])
        .unwrap();
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(warnings.join("\n"), @r"
    environment variable BOTHENDS_AWS_MODE: sets nothing; did you mean BOTHENDS_INCIDENT__MODE?
    environment variable BOTHENDS_MODE: sets nothing; did you mean BOTHENDS_INCIDENT__MODE?
    environment variable BOTHENDS_REGION: sets nothing; did you mean BOTHENDS_AWS__REGION?
    ");
}

#[test]
fn variables_of_others_are_none_of_our_business() {
    let files = Files::new(&format!("{VPN}{SINK}"));
    files
        .load(&[
            ("BOTHENDS_LOG", "x"),
            ("BOTHENDS_PORT", "tcp://10.0.0.1:9846"),
            ("BOTHENDS_SERVICE_HOST", "10.0.0.1"),
            ("BOTHENDS_VPN_ID", "vpn-0123abcd"),
            ("BOTHENDSX__Y", "x"),
            ("SITE__NAME", "x"),
            ("AWS_REGION", "x"),
        ])
        .unwrap();
}

const RENAMED: &[Renamed] = &[
    Renamed { from: "vpn.tunnel.inside", to: "inside_ip" },
    Renamed { from: "probe.every", to: "interval" },
];

/// The warnings, or else the problems.
fn with_renamed(files: &Files) -> Result<String, String> {
    renamed_in(files, &[]).map(|loaded| {
        let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
        warnings.join("\n").replace(&format!("{}/", files.directory.path().display()), "")
    })
}

fn renamed_in(files: &Files, env: &[(&str, &str)]) -> Result<Loaded, String> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let host_name = Some("gateway-1".to_owned());
    let trial: crate::config::WebhookTrial<'_> = &|_| Vec::new();
    let surroundings = Surroundings { env: &env, host_name, renamed: RENAMED, reader: &ReadBy::Us, trial };
    let directory = format!("{}/", files.directory.path().display());
    load_in(&files.main(), &surroundings).map_err(|rejection| rejection.to_string().replace(&directory, ""))
}

#[test]
fn a_renamed_key_is_read_with_a_warning() {
    let files = Files::new(&format!("{VPN}{SINK}").replace("inside_ip", "inside"));
    insta::assert_snapshot!(with_renamed(&files).unwrap(), @r#"bothends.toml:6: vpn[0].tunnel[0].inside: is now called "inside_ip"; rename it"#);
}

#[test]
fn a_renamed_key_beside_its_successor_is_an_error() {
    let both = format!("{VPN}inside = \"169.254.10.1\"\n{SINK}");
    insta::assert_snapshot!(with_renamed(&Files::new(&both)).unwrap_err(), @r#"bothends.toml:8: vpn[0].tunnel[0].inside: is the former name of "inside_ip", which is set as well; keep that one"#);
}

#[test]
fn of_both_names_in_two_files_the_later_file_has_it_and_the_former_name_is_a_warning() {
    let main = format!("[probe]\nevery = \"2s\"\n{VPN}{SINK}");
    let interval = |loaded: &Loaded| loaded.config.plan.vpns[0].probe.interval;
    let files = Files::new(&main).with("b.toml", "[probe]\ninterval = \"3s\"\n");
    assert_eq!(interval(&renamed_in(&files, &[]).unwrap()), Duration::from_secs(3));
    insta::assert_snapshot!(with_renamed(&files).unwrap(), @r#"bothends.toml:2: probe.every: is now called "interval"; rename it"#);

    let files = Files::new(&main.replace("every", "interval")).with("b.toml", "[probe]\nevery = \"3s\"\n");
    assert_eq!(interval(&renamed_in(&files, &[]).unwrap()), Duration::from_secs(3));
    insta::assert_snapshot!(with_renamed(&files).unwrap(), @r#"conf.d/b.toml:2: probe.every: is now called "interval"; rename it"#);
}

#[test]
fn each_use_of_a_former_name_is_one_warning() {
    let files = Files::new(&format!("[probe]\nevery = \"2s\"\n{VPN}{SINK}").replace("inside_ip", "inside"))
        .with("b.toml", format!("[probe]\nevery = \"3s\"\n{OTHER_VPN}"));
    insta::assert_snapshot!(with_renamed(&files).unwrap(), @r#"
    bothends.toml:2: probe.every: is now called "interval"; rename it
    bothends.toml:8: vpn[0].tunnel[0].inside: is now called "inside_ip"; rename it
    conf.d/b.toml:2: probe.every: is now called "interval"; rename it
    "#);
}

#[test]
fn a_variable_of_a_former_name_overrides_with_a_warning_and_beside_its_successor_is_an_error() {
    let files = Files::new(&format!("{VPN}{SINK}"));
    let loaded = renamed_in(&files, &[("BOTHENDS_PROBE__EVERY", "7s")]).unwrap();
    assert_eq!(loaded.config.plan.vpns[0].probe.interval, Duration::from_secs(7));
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(warnings.join("\n"), @"environment variable BOTHENDS_PROBE__EVERY: probe.every: is now called BOTHENDS_PROBE__INTERVAL; rename it");
    let both = [("BOTHENDS_PROBE__EVERY", "7s"), ("BOTHENDS_PROBE__INTERVAL", "8s")];
    insta::assert_snapshot!(renamed_in(&files, &both).unwrap_err(), @"environment variable BOTHENDS_PROBE__EVERY: is the former name of BOTHENDS_PROBE__INTERVAL, which is set as well; keep that one");
}

#[test]
fn a_warning_repeats_another_of_the_same_key_whatever_line_it_has_moved_to() {
    let warning = |text: &str| {
        let files = Files::new(text);
        let mut warning = renamed_in(&files, &[]).unwrap().warnings.remove(0);
        // As if it had been the same file.
        if let Provenance::File { path, line: _ } = &mut warning.place {
            *path = "bothends.toml".into();
        }
        warning
    };
    let once = warning(&format!("[probe]\nevery = \"2s\"\n{VPN}{SINK}"));
    let moved = warning(&format!("\n\n[probe]\nevery = \"3s\"\n{VPN}{SINK}"));
    let other = warning(&format!("{VPN}{SINK}").replace("inside_ip", "inside"));
    assert!(moved.repeats(&once) && moved != once);
    assert!(!other.repeats(&once));
}

#[test]
fn a_faster_pace_in_calm_takes_the_pace_in_doubt_along_where_that_is_not_set() {
    let main = format!("[aws]\npoll_interval = \"5s\"\n[probe]\ninterval = \"100ms\"\n{VPN}{SINK}");
    let config = Files::new(&main).load(&[]).unwrap();
    let vpn = &config.plan.vpns[0];
    assert_eq!(vpn.aws.suspect_poll_interval, vpn.aws.poll_interval);
    assert_eq!(vpn.probe.suspect_interval, vpn.probe.interval);
}
