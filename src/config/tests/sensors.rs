//! What is looked at besides probes and AWS.

use std::path::Path;
use std::time::Duration;

use crate::config::Config;
use crate::config::needs::Needs;
use crate::config::tests::{Files, OTHER_VPN, SINK, VPN, load_text};
use crate::domain::plan::{SensorRules, TunnelPlan};
use crate::domain::sensor::SensorKind;
use crate::settings::{BgpSettings, IpsecSettings, Subject, UplinkSettings};

fn loaded(more: &str) -> Config {
    load_text(&format!("{more}\n{VPN}{SINK}")).unwrap_or_else(|rejection| panic!("{rejection}\n{more}"))
}

fn tunnels(config: &Config) -> Vec<&TunnelPlan> {
    config.plan.vpns.iter().flat_map(|vpn| &vpn.tunnels).map(AsRef::as_ref).collect()
}

fn kinds(more: &str) -> Vec<&'static str> {
    let config = loaded(more);
    tunnels(&config)[0].sensors.kinds.iter().map(|kind| kind.as_str()).collect()
}

#[test]
fn a_table_switches_its_sensor_on_and_without_it_nothing_runs() {
    assert_eq!(kinds(""), [""; 0]);
    assert_eq!(kinds("[ipsec]"), ["ipsec"]);
    assert_eq!(kinds("[bgp]\ndaemon = \"bird\""), ["bgp"]);
    assert_eq!(kinds("[path]"), ["path", "trace"]);
    let uplink = "[[uplink]]\nname = \"wan1\"\nreferences = [\"192.0.2.1\"]";
    assert_eq!(kinds(uplink), ["path", "trace"]);
    assert_eq!(kinds(&format!("[path]\nenabled = false\n{uplink}")), [""; 0]);
    assert_eq!(kinds("[mtu]"), ["mtu"]);
}

#[test]
fn a_variable_switches_a_sensor_on_as_its_table_does() {
    let files = Files::new(&format!("{VPN}{SINK}"));
    let config =
        files.load(&[("BOTHENDS_IPSEC__SOURCE", "kernel"), ("BOTHENDS_MTU__INTERVAL", "10m")]).unwrap();
    assert_eq!(config.sensors.ipsec, Some(IpsecSettings::Kernel));
    let SensorRules { kinds, mtu_interval, .. } = &tunnels(&config)[0].sensors;
    assert_eq!(kinds.iter().copied().collect::<Vec<_>>(), [SensorKind::Ipsec, SensorKind::Mtu]);
    assert_eq!(*mtu_interval, Duration::from_secs(600));
    let off = files.load(&[("BOTHENDS_PATH__ENABLED", "false")]).unwrap();
    assert!(tunnels(&off)[0].sensors.kinds.is_empty());
}

#[test]
fn the_daemons_are_asked_where_debian_has_them_and_the_mtu_by_the_hour() {
    let config = loaded("[ipsec]\n[bgp]\ndaemon = \"bird\"\n[mtu]");
    assert_eq!(config.sensors.ipsec, Some(IpsecSettings::Vici { socket: "/run/charon.vici".into() }));
    assert_eq!(config.sensors.bgp, Some(BgpSettings::Bird { socket: "/run/bird/bird.ctl".into() }));
    let config = loaded("[bgp]\ndaemon = \"frr\"\n[mtu]");
    assert_eq!(config.sensors.bgp, Some(BgpSettings::Frr { vtysh: "/usr/bin/vtysh".into() }));
    let rules = &tunnels(&config)[0].sensors;
    assert_eq!((rules.mtu_interval, rules.bgp_required), (Duration::from_secs(3600), false));
}

#[test]
fn only_used_tunnels_are_subjects_in_the_order_of_the_configuration() {
    let config = loaded(&format!(
        "[ipsec]\n{OTHER_VPN}interface = \"ipsec0\"\nipsec_socket = \"/run/charon2.vici\"\n\
         [[vpn.tunnel]]\noutside_ip = \"203.0.113.22\"\ninside_ip = \"169.254.21.1\"\nsource_ip = \"169.254.21.2\"\n\
         role = \"unused\"\n"
    ));
    let outside: Vec<_> =
        config.sensors.subjects.iter().map(|subject| subject.tunnel.outside_ip.to_string()).collect();
    assert_eq!(outside, ["203.0.113.21", "203.0.113.11"]);
    let Subject { tunnel, inside_ip, source_ip, interface, ipsec_socket, uplink, monitored_prefixes } =
        &*config.sensors.subjects[0];
    assert_eq!(tunnel.vpn.as_str(), "vpn-0123456789abcdef1");
    assert_eq!(
        (inside_ip.to_string(), source_ip.to_string()),
        ("169.254.20.1".into(), "169.254.20.2".into())
    );
    assert_eq!(interface.as_deref(), Some("ipsec0"));
    assert_eq!(ipsec_socket.as_deref(), Some(Path::new("/run/charon2.vici")));
    assert_eq!((&**uplink, monitored_prefixes.len()), (&UplinkSettings::default(), 0));
    let unused = tunnels(&config)[1];
    assert_eq!((unused.is_used(), &unused.sensors), (false, &SensorRules::default()));
}

#[test]
fn a_connection_overrides_the_rules_of_bgp_key_by_key_and_one_of_static_routes_has_none() {
    let config = loaded(&format!(
        "[bgp]\ndaemon = \"bird\"\nrequired = true\nmonitored_prefixes = [\"10.0.0.0/16\", \"2001:DB8::/32\"]\n\
         {OTHER_VPN}[vpn.bgp]\nrequired = false\n"
    ));
    let rules: Vec<_> = tunnels(&config).iter().map(|tunnel| tunnel.sensors.bgp_required).collect();
    assert_eq!(rules, [false, true]);
    for subject in &config.sensors.subjects {
        let prefixes: Vec<_> = subject.monitored_prefixes.iter().map(|prefix| &**prefix).collect();
        assert_eq!(prefixes, ["10.0.0.0/16", "2001:db8::/32"]);
    }
    let vpn = VPN.replace("[[vpn.tunnel]]", "routing = \"static\"\n[[vpn.tunnel]]");
    let config = load_text(&format!("[bgp]\ndaemon = \"bird\"\n{vpn}{SINK}")).unwrap();
    assert!(tunnels(&config)[0].sensors.kinds.is_empty());
}

#[test]
fn one_uplink_is_that_of_every_tunnel_and_of_several_each_names_its_own() {
    let one = loaded("[[uplink]]\nname = \"wan1\"\nreferences = [\"192.0.2.1\", \"2001:db8::1\"]");
    let uplink = &one.sensors.subjects[0].uplink;
    assert_eq!((uplink.name.as_deref(), uplink.references.len()), (Some("wan1"), 2));
    assert_eq!((&uplink.interface, uplink.source), (&None, None));
    assert_eq!(tunnels(&one)[0].uplink.as_deref(), Some("wan1"));
    assert_eq!(tunnels(&loaded("[path]"))[0].uplink, None);

    let nameless = loaded("[[uplink]]\nreferences = [\"192.0.2.1\"]");
    assert_eq!(tunnels(&nameless)[0].uplink.as_deref(), Some("uplink"));
    assert_eq!(nameless.sensors.subjects[0].uplink.name.as_deref(), Some("uplink"));

    let two = "[[uplink]]\nname = \"wan1\"\ninterface = \"eth0\"\nreferences = [\"192.0.2.1\"]\n\
               [[uplink]]\nname = \"wan2\"\nsource = \"192.0.2.10\"\nreferences = [\"192.0.2.1\"]\n";
    let files = Files::new(&format!("{VPN}uplink = \"wan2\"\n{SINK}")).with("uplinks.toml", two);
    let config = files.load(&[]).unwrap();
    assert_eq!(config.sensors.subjects[0].uplink.name.as_deref(), Some("wan2"));
    assert_eq!(tunnels(&config)[0].uplink.as_deref(), Some("wan2"));
}

#[test]
fn of_a_tunnel_without_an_interface_the_kernel_knows_nothing() {
    let kernel = "[ipsec]\nsource = \"kernel\"\n";
    let files = Files::new(&format!("{kernel}{VPN}{OTHER_VPN}interface = \"ipsec0\"\n{SINK}"));
    insta::assert_snapshot!(files.warnings(&[]), @r#"bothends.toml:6: vpn[0].tunnel[0].interface: not set, and [ipsec] source = "kernel" reads the counters of the tunnel's interface: without it nothing is known of its IPsec"#);
    let unused = VPN.replace("[[vpn.tunnel]]", "[[vpn.tunnel]]\nrole = \"unused\"");
    let unused = format!(
        "{kernel}{OTHER_VPN}interface = \"ipsec0\"\n{}{SINK}",
        unused.replace("[[vpn]]\nid = \"vpn-0123456789abcdef0\"\n", "")
    );
    assert_eq!(Files::new(&unused).warnings(&[]), "");
}

#[test]
fn an_uplink_that_may_stand_in_a_lost_file_is_not_said_to_be_missing() {
    let files = Files::new(&format!(
        "{VPN}uplink = \"wan1\"\nipsec_socket = \"/run/a\"\n[vpn.bgp]\nrequired = true\n{SINK}"
    ))
    .with("uplinks.toml", "[[uplink]\n");
    let reported = files.problems(&[]);
    assert!(reported.starts_with("conf.d/uplinks.toml:1: is not TOML"), "{reported}");
    assert_eq!(reported.lines().count(), 1, "{reported}");
}

#[test]
fn the_sensors_are_reckoned_with_in_what_a_configuration_needs() {
    let needs = |more: &str| Needs::of(&loaded(more));
    let (nothing, vici) = (needs(""), needs("[ipsec]"));
    assert!(vici.files > nothing.files);
    // The longest answer as it is read, and as it is kept.
    assert_eq!(vici.memory - nothing.memory, 2 * crate::sensors::ANSWER_MAX as u64);
    let all = needs("[ipsec]\n[bgp]\ndaemon = \"frr\"\n[path]\n[mtu]");
    assert!(all.files > vici.files + 4 && all.memory > vici.memory + (16 << 20), "{all:?}");
    assert_eq!(needs("[path]\nenabled = false"), nothing);
}
