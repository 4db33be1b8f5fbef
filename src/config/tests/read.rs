//! What a right configuration becomes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::tests::{Files, OTHER_VPN, SINK, VPN, load_file, load_text};
use crate::config::{Loaded, Mode, Vendor, schema};
use crate::domain::names::{Kind, Role, SourceKind, VpnId};
use crate::domain::plan::{QualityRules, VpnPlan};

const REFERENCE: &str = include_str!("../../../config/bothends.toml");

fn path_of(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// The reference with every key switched on that stands behind one of `marks`.
fn reference_with(marks: &[&str]) -> String {
    let is_key = |line: &str| {
        line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '))
    };
    let switch = |line: &'static str| {
        let key = marks.iter().find_map(|mark| line.strip_prefix(mark)).filter(|rest| is_key(rest));
        key.unwrap_or(line)
    };
    REFERENCE.lines().map(switch).collect::<Vec<_>>().join("\n")
}

const DEFAULT: &str = "#";
const EXAMPLE: &str = "# ";

#[test]
fn the_reference_configuration_is_right_as_it_is_and_with_everything_switched_on() {
    let as_is = load_file(&path_of("config/bothends.toml"), &[]).unwrap();
    assert_eq!(as_is.warnings, []);
    let full = Files::new(&reference_with(&[EXAMPLE, DEFAULT])).read(&[]).unwrap();
    assert_eq!(full.warnings, []);
    let full = full.config;
    assert_eq!(full.plan.vpns[0].probe.interval, Duration::from_secs(5), "the overrides are on");
    assert!(full.plan.vpns[0].tunnels[0].route.interface.is_some(), "the examples are on");
}

#[test]
fn what_the_reference_configuration_calls_defaults_are_the_defaults() {
    let as_is = Files::new(REFERENCE).read(&[]).unwrap();
    let said = reference_with(&[DEFAULT]);
    assert_ne!(said, REFERENCE);
    let said = Files::new(&said).read(&[]).unwrap();
    assert_eq!(Loaded { files: Vec::new(), ..said }, Loaded { files: Vec::new(), ..as_is });
}

#[test]
fn the_reference_and_the_documentation_name_every_key() {
    fn names(keys: &[schema::Key], found: &mut Vec<&'static str>) {
        for key in keys {
            found.push(key.name);
            match key.shape {
                schema::Shape::Table(keys) | schema::Shape::Tables(keys) => names(keys, found),
                schema::Shape::Scalar | schema::Shape::List | schema::Shape::Own => {}
            }
        }
    }
    let mut keys = Vec::new();
    names(schema::ROOT, &mut keys);
    let documentation = std::fs::read_to_string(path_of("docs/configuration.md")).unwrap();
    for key in keys {
        assert!(REFERENCE.contains(key), "the reference does not show {key}");
        let forms = [format!("`{key}`"), format!("[{key}]"), format!(".{key}]"), format!(" {key} = ")];
        let explained = forms.iter().any(|form| documentation.contains(form));
        assert!(explained, "the documentation does not explain {key}");
    }
}

#[test]
fn the_examples_of_the_documentation_are_valid() {
    let documentation = std::fs::read_to_string(path_of("docs/configuration.md")).unwrap();
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "0123456789abcdef0123456789abcdef\n").unwrap();
    let documentation = documentation.replace("/etc/bothends/pagerduty.key", secret.path().to_str().unwrap());
    let mut seen = 0;
    for block in documentation.split("```toml\n").skip(1) {
        let example = block.split("```").next().unwrap();
        let whole = example.contains("[[vpn]]");
        let text = if whole { example.to_owned() } else { format!("{VPN}{example}{SINK}") };
        if let Err(rejection) = load_text(&text) {
            panic!("{rejection:?}\n{text}");
        }
        seen += 1;
    }
    assert!(seen >= 3, "{seen}");
}

#[test]
fn a_short_configuration_has_the_defaults() {
    let config = load_text(&format!("{VPN}{SINK}")).unwrap();
    assert_eq!(&*config.plan.site, "gateway-1");
    let vpn = &config.plan.vpns[0];
    assert_eq!(&*vpn.name, "vpn-0123456789abcdef0");
    assert_eq!(&*vpn.tunnels[0].name, "tunnel 1");
    assert_eq!(vpn.tunnels[0].role, Role::Active);
    assert_eq!(vpn.aws.poll_interval, Duration::from_secs(60));
    assert_eq!(config.http.listen, "127.0.0.1:9846".parse().unwrap());
    assert_eq!(config.store.path, Path::new("/var/lib/bothends/bothends.db"));
    assert_eq!(config.store.max_size, 64_000_000);
    assert_eq!(config.store.keep, Duration::from_secs(90 * 24 * 3600));
    assert_eq!(config.sinks[0].impact.values().copied().collect::<Vec<_>>(), [1, 3, 2, 4]);
    assert!(
        !config.plan.sinks[0].kinds.contains(&Kind::Degraded),
        "it never pages unless a sink asks for it"
    );
    assert_eq!(config.plan.sinks[0].id, config.sinks[0].id);
}

#[test]
fn the_store_lies_in_the_state_directory_of_systemd() {
    let files = Files::new(&format!("{VPN}{SINK}"));
    let path = |env| files.load(&[("STATE_DIRECTORY", env)]).unwrap().store.path;
    assert_eq!(path("/var/lib/other:/var/lib/more"), Path::new("/var/lib/other/bothends.db"));
    assert_eq!(path(""), Path::new("/var/lib/bothends/bothends.db"));
}

#[test]
fn a_connection_overrides_rules_key_by_key() {
    let main = format!(
        "[probe]\ninterval = \"2s\"\nup_after = 7\n[quality]\nmax_loss = \"2%\"\nmax_rtt = \"150ms\"\n[incident]\nopen_after = {{ outage = \"1m\" }}\n{VPN}\
         [vpn.probe]\ninterval = \"5s\"\n[vpn.quality]\nmax_rtt = \"off\"\nafter = \"3s\"\n[vpn.incident]\nopen_after.degraded = \"off\"\none_sided_after = \"off\"\nopen_after.redundancy_lost = \"0s\"\n\
         {OTHER_VPN}{SINK}"
    );
    let config = load_text(&main).unwrap();
    let [first, second] = &*config.plan.vpns else { panic!("{config:?}") };
    assert_eq!((first.probe.interval, first.probe.up_after.get()), (Duration::from_secs(5), 7));
    assert_eq!((second.probe.interval, second.probe.up_after.get()), (Duration::from_secs(2), 7));
    assert_eq!(first.incident.open_after(Kind::Outage), Some(Duration::from_secs(60)));
    assert_eq!(first.incident.open_after(Kind::RedundancyLost), Some(Duration::ZERO));
    assert_eq!(first.incident.open_after(Kind::OneSided), None);
    assert_eq!(second.incident.open_after(Kind::OneSided), Some(Duration::from_secs(900)));
    let of = |vpn: &VpnPlan| (vpn.incident.open_after(Kind::Degraded), vpn.quality);
    let rules = QualityRules { max_loss_percent: 2.0, ..QualityRules::default() };
    assert_eq!(of(first), (None, QualityRules { after: Duration::from_secs(3), ..rules }));
    let max_rtt = Some(Duration::from_millis(150));
    assert_eq!(of(second), (Some(Duration::from_secs(300)), QualityRules { max_rtt, ..rules }));
}

#[test]
fn tunnels_may_be_inside_ipv6() {
    let text =
        format!("{VPN}{SINK}").replace("169.254.10.1", "fd00:10::1").replace("169.254.10.2", "fd00:10::2");
    let config = load_text(&text).unwrap();
    let route = &config.plan.vpns[0].tunnels[0].route;
    assert!(route.inside_ip.is_ipv6() && route.source_ip.is_ipv6());
}

#[test]
fn the_same_inside_addresses_on_another_interface_are_another_tunnel() {
    let same = OTHER_VPN.replace("169.254.20.", "169.254.10.");
    let text = format!("{VPN}interface = \"ipsec0\"\n{same}interface = \"ipsec1\"\n{SINK}");
    assert_eq!(load_text(&text).unwrap().plan.vpns.len(), 2);
}

#[test]
fn observing_keeps_the_sinks_out_of_the_plan_and_needs_none() {
    let config = load_text(&format!("[incident]\nmode = \"observe\"\n{VPN}{SINK}")).unwrap();
    assert_eq!(config.mode, Mode::Observe);
    assert_eq!(config.plan.sinks, []);
    assert_eq!(config.sinks.len(), 1);
    load_text(&format!("[incident]\nmode = \"observe\"\n{VPN}")).unwrap();
}

#[test]
fn a_response_plan_is_filled_in_for_connection_and_kind() {
    let config = load_text(&format!("{VPN}{SINK}")).unwrap();
    let sink = &config.sinks[0];
    let plan = sink.target(&VpnId::new("vpn-0123abcd"), Kind::RedundancyLost);
    assert_eq!(
        plan,
        "arn:aws:ssm-incidents::123456789012:response-plan/bothends-vpn-0123abcd-redundancy_lost"
    );
    assert_eq!(sink.vendor.as_str(), "incident_manager");
    assert!(
        matches!(&sink.vendor, Vendor::IncidentManager { response_plan } if response_plan.contains("{kind}"))
    );
}

#[test]
fn two_sinks_may_share_a_plan_if_they_never_take_the_same_incident() {
    let text = format!(
        "{VPN}{SINK}kinds = [\"outage\"]\n{SINK}kinds = [\"redundancy_lost\", \"one_sided\"]\nimpact.one_sided = 5\n"
    );
    let config = load_text(&text).unwrap();
    assert_eq!(config.sinks[1].impact(Kind::OneSided), 5);
    assert_eq!(config.sinks[1].impact(Kind::Outage), 1);
}

#[test]
fn a_sink_is_called_by_its_name_or_its_place_among_its_type_and_a_name_changes_nobody_elses() {
    let ids = |name: &str| {
        let other = SINK.replace("response-plan/", "response-plan/other-");
        let text = format!("{VPN}{SINK}{name}\n{other}");
        load_text(&text).unwrap().sinks.iter().map(|sink| sink.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ids(""), ["incident_manager", "incident_manager-2"]);
    assert_eq!(ids("name = \"night.shift\""), ["night.shift", "incident_manager-2"]);
}

#[test]
fn services_of_one_address_are_two_sinks_and_each_is_the_same_sink_wherever_it_stands() {
    let directory = tempfile::tempdir().unwrap();
    let service = |name: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, "0123456789abcdef0123456789abcdef").unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let path = path.display();
        format!("[[incident.sink]]\ntype = \"webhook\"\npreset = \"pagerduty\"\nsecret_file = \"{path}\"\n")
    };
    let load = |sinks: &[&str]| load_text(&format!("{VPN}{}", sinks.concat())).unwrap().plan.sinks.clone();
    let (network, database) = (service("network"), service("database"));
    let sinks = load(&[&network, &database]);
    assert_ne!(sinks[0].destination, sinks[1].destination);
    let turned = load(&[&database, &network]);
    assert_eq!((&turned[0].id, &turned[0].destination), (&sinks[0].id, &sinks[1].destination));
    assert_eq!(turned[1].destination, sinks[0].destination);
    std::fs::write(directory.path().join("network"), "another key").unwrap();
    assert_eq!(load(&[&network])[0].destination, sinks[0].destination, "another secret is no other place");
    let reported = load_text(&format!("{VPN}{network}{network}")).unwrap_err().to_string();
    assert!(
        reported.contains("to the same address, with the same body, headers and secret, as"),
        "{reported}"
    );
}

#[test]
fn there_is_one_poller_per_source_region_and_role() {
    let text = format!(
        "[aws]\nregion = \"eu-west-1\"\nec2_telemetry = true\n{}{OTHER_VPN}{SINK}",
        VPN.replace(
            "[[vpn.tunnel]]",
            "region = \"eu-south-1\"\nrole_arn = \"arn:aws:iam::123456789012:role/r\"\n[[vpn.tunnel]]"
        )
    );
    let config = load_text(&text).unwrap();
    let shown = |index: usize| {
        config.plan.vpns[index].aws.sources.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let role = "arn:aws:iam::123456789012:role/r";
    assert_eq!(
        shown(0),
        [format!("cloudwatch in eu-south-1 as {role}"), format!("ec2 in eu-south-1 as {role}")]
    );
    assert_eq!(shown(1), ["cloudwatch in eu-west-1", "ec2 in eu-west-1"]);
    let without = load_text(&format!("{VPN}{SINK}")).unwrap();
    let kinds: Vec<_> = without.plan.vpns[0].aws.sources.iter().map(|source| source.kind).collect();
    assert_eq!(kinds, [SourceKind::CloudWatch]);
}

#[test]
fn what_deserves_a_look_is_a_warning() {
    let main = format!(
        "[http]\nlisten = \"0.0.0.0:9846\"\n{VPN}role = \"standby\"\n{OTHER_VPN}{SINK}kinds = [\"outage\"]\n\
         vpns = [\"vpn-0123456789abcdef0\"]\n"
    );
    insta::assert_snapshot!(Files::new(&main).warnings(&[]), @r#"
    bothends.toml:2: http.listen: not a loopback address; /status and /metrics are unauthenticated
    bothends.toml:6: vpn[0].tunnel: no tunnel is active: neither outage nor redundancy_lost can ever open
    bothends.toml: incident.sink: no sink takes redundancy_lost, one_sided of vpn-0123456789abcdef0: recorded, but not sent to anybody
    bothends.toml: incident.sink: no sink takes outage, redundancy_lost, one_sided of vpn-0123456789abcdef1: recorded, but not sent to anybody
    "#);
}

#[test]
fn a_connection_whose_alarms_would_not_see_the_daemons_metrics_is_a_warning() {
    let with = |cloudwatch: &str, vpn: &str| {
        let vpn = VPN.replace("[[vpn.tunnel]]", &format!("{vpn}\n[[vpn.tunnel]]"));
        Files::new(&format!("[aws]\nregion = \"eu-west-1\"\n[cloudwatch]\n{cloudwatch}\n{vpn}{SINK}"))
            .warnings(&[])
    };
    let role = |account: &str| format!("role_arn = \"arn:aws:iam::{account}:role/BothEnds\"");
    let elsewhere = "region = \"eu-south-1\"";
    let reported = [
        with("", elsewhere),
        with(elsewhere, ""),
        with("", &role("210987654321")),
        with(&role("123456789012"), &role("210987654321")),
    ];
    insta::assert_snapshot!(reported.join("\n"), @r#"
    bothends.toml:8: vpn[0].region: is eu-south-1, and the daemon's metrics go to eu-west-1: CloudWatch alarms beside the connection (alarms.yaml) will not see its heartbeat and will fire falsely
    bothends.toml:6: vpn[0].region: is eu-west-1, and the daemon's metrics go to eu-south-1: CloudWatch alarms beside the connection (alarms.yaml) will not see its heartbeat and will fire falsely
    bothends.toml:8: vpn[0].role_arn: AWS is asked about it in account 210987654321, and the daemon's metrics go to the daemon's own account: if these are different accounts, CloudWatch alarms beside the connection (alarms.yaml) will not see its heartbeat and will fire falsely
    bothends.toml:8: vpn[0].role_arn: AWS is asked about it in account 210987654321, and the daemon's metrics go to account 123456789012: if these are different accounts, CloudWatch alarms beside the connection (alarms.yaml) will not see its heartbeat and will fire falsely
    "#);
    for (cloudwatch, vpn) in [
        ("", String::new()),
        ("", "region = \"eu-west-1\"".to_owned()),
        (elsewhere, elsewhere.to_owned()),
        ("enabled = false", elsewhere.to_owned()),
        (role("210987654321").as_str(), role("210987654321")),
    ] {
        assert_eq!(with(cloudwatch, &vpn), "", "{cloudwatch} {vpn}");
    }
    // Where the SDK's own chain leads is not known here.
    let unknown = VPN.replace("[[vpn.tunnel]]", &format!("{elsewhere}\n[[vpn.tunnel]]"));
    assert_eq!(Files::new(&format!("{unknown}{SINK}")).warnings(&[]), "");
}

#[test]
fn a_value_that_is_wrong_and_a_secret_is_not_repeated() {
    let text = VPN.replace("203.0.113.11", "https://noc:hunter2@wiki.example.com");
    let reported = load_text(&format!("{text}{SINK}")).unwrap_err().to_string();
    assert!(reported.contains("invalid value (not shown: a URL with a password in it)"), "{reported}");
    assert!(!reported.contains("hunter2"), "{reported}");
}
