use std::collections::BTreeMap;
use std::fs::{OpenOptions, Permissions};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::proposal::{Proposal, ProposalContext};
use super::render;
use crate::access::User;
use crate::aws::{Discovered, DiscoveredTunnel, DiscoveredVpn};
use crate::config::{self, Config, Loaded};
use crate::domain::event::TelemetryStatus;
use crate::domain::names::{Role, Routing, VpnId};
use crate::domain::time::Stamp;
use crate::probe::Carrier;
use crate::process;

const MILAN: &str = "vpn-0123456789abcdef0";
const ROME: &str = "vpn-0fedcba9876543210";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn tunnel(addresses: [&str; 3], status: TelemetryStatus, message: &str) -> DiscoveredTunnel {
    let [outside_ip, inside_ip, source_ip] = addresses.map(ip);
    let changed = (status != TelemetryStatus::Other).then_some(Stamp::from_millis(1_795_341_600_123));
    DiscoveredTunnel { outside_ip, inside_ip, source_ip, status, message: message.to_owned(), changed }
}

fn vpn(id: &str, name: Option<&str>, tunnels: &[DiscoveredTunnel]) -> DiscoveredVpn {
    let (id, name, tunnels) = (VpnId::new(id), name.map(str::to_owned), tunnels.to_vec());
    DiscoveredVpn { id, name, routing: Routing::Bgp, tunnels }
}

fn discovered(connections: Vec<DiscoveredVpn>) -> Discovered {
    let at = Some(Stamp::from_secs(1_795_345_200));
    Discovered { region: "eu-west-1".into(), at, connections, left_out: Vec::new(), warnings: Vec::new() }
}

const ONE: [&str; 3] = ["203.0.113.11", "169.254.10.1", "169.254.10.2"];
const TWO: [&str; 3] = ["203.0.113.12", "169.254.11.1", "169.254.11.2"];
const THREE: [&str; 3] = ["2001:db8::21", "fd00:10::1", "fd00:10::2"];

/// A host that has the first tunnel's address on a tunnel interface and the second's on its loopback.
fn carriers(address: IpAddr) -> io::Result<Vec<Carrier>> {
    let on = |name: &str, is_loopback| Ok(vec![Carrier { name: name.to_owned(), is_loopback }]);
    match address.to_string().as_str() {
        "169.254.10.2" => on("ipsec0", false),
        "169.254.11.2" => on("lo", true),
        _ => Ok(Vec::new()),
    }
}

fn proposed(connections: Vec<DiscoveredVpn>) -> Proposal {
    Proposal::of(&discovered(connections), &ProposalContext { role_arn: None, carriers: &carriers }).unwrap()
}

/// Takes a text as `bothends check` does.
fn checked(text: &str) -> Result<Config, String> {
    loaded(text).map(|loaded| loaded.config)
}

fn loaded(text: &str) -> Result<Loaded, String> {
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("bothends.toml");
    std::fs::write(&file, text).unwrap();
    config::load(&file, &BTreeMap::new()).map_err(|rejection| rejection.to_string())
}

fn usual() -> Vec<DiscoveredVpn> {
    let of_milan = [
        tunnel(ONE, TelemetryStatus::Up, "IPSEC IS UP"),
        tunnel(TWO, TelemetryStatus::Down, "IPSEC IS DOWN"),
    ];
    vec![
        DiscoveredVpn { routing: Routing::Static, ..vpn(MILAN, Some("Milan DC, primary"), &of_milan) },
        vpn(ROME, None, &[tunnel(THREE, TelemetryStatus::Other, "")]),
    ]
}

#[test]
fn the_configuration_reads_as_a_person_would_write_it() {
    insta::assert_snapshot!(render::toml(&proposed(usual())), @r#"
    # Made by `bothends discover` from ec2:DescribeVpnConnections in eu-west-1 at 2026-11-22T11:00:00Z.
    # Review it, above all the roles; `bothends check` explains it. bothends.toml(5) lists every key.

    [site]
    # name = "milan-1"                      # default: the host name; must be unique per daemon

    [aws]
    region = "eu-west-1"
    # ec2_telemetry = true                  # also poll EC2: fresher than CloudWatch; detects changed addresses

    [[vpn]]
    id = "vpn-0123456789abcdef0"
    name = "Milan DC, primary"              # its Name tag
    routing = "static"                      # AWS down while probes pass means that the two ends disagree

    [[vpn.tunnel]]
    # AWS reported UP (IPSEC IS UP), last change 2026-11-22T10:00:00Z.
    name = "tunnel 1"
    outside_ip = "203.0.113.11"             # AWS's outside address
    inside_ip = "169.254.10.1"              # AWS's address inside the tunnel: this is probed
    source_ip = "169.254.10.2"              # this gateway's address inside the tunnel
    interface = "ipsec0"                    # the interface that has source_ip
    role = "active"                         # or "standby": no alert if only this one is down; "unused": not probed

    [[vpn.tunnel]]
    # AWS reported DOWN (IPSEC IS DOWN), last change 2026-11-22T10:00:00Z.
    name = "tunnel 2"
    outside_ip = "203.0.113.12"             # AWS's outside address
    inside_ip = "169.254.11.1"              # AWS's address inside the tunnel: this is probed
    source_ip = "169.254.11.2"              # this gateway's address inside the tunnel
    # interface = "ipsec0"                  # not set: the host that ran discover has source_ip on lo
    role = "standby"                        # because AWS says DOWN; use "active" if it should carry traffic

    [[vpn]]
    id = "vpn-0fedcba9876543210"
    name = "vpn-0fedcba9876543210"          # it has no Name tag; any display name will do
    routing = "bgp"                         # AWS down while probes pass means that BGP is down

    [[vpn.tunnel]]
    # AWS did not report its state.
    name = "tunnel 1"
    outside_ip = "2001:db8::21"             # AWS's outside address
    inside_ip = "fd00:10::1"                # AWS's address inside the tunnel: this is probed
    source_ip = "fd00:10::2"                # this gateway's address inside the tunnel
    # interface = "ipsec0"                  # not set: the host that ran discover does not have source_ip
    role = "active"                         # or "standby": no alert if only this one is down; "unused": not probed

    [incident]
    mode = "observe"                        # detects and records incidents, sends nothing; "raise" needs a sink

    # Where incidents go. Fill in your account and response plan, uncomment, and set mode = "raise" above.
    # [[incident.sink]]
    # type = "incident_manager"
    # response_plan = "arn:aws:ssm-incidents::123456789012:response-plan/bothends-{vpn_id}-{kind}"   # placeholders optional
    "#);
}

#[test]
fn the_configuration_passes_the_check_and_says_what_aws_said() {
    let Loaded { config, warnings, files: _ } = loaded(&render::toml(&proposed(usual()))).unwrap();
    let [milan, rome] = config.plan.vpns.as_slice() else { panic!("{:?}", config.plan.vpns) };
    assert_eq!((&*milan.name, &*rome.name), ("Milan DC, primary", ROME));
    assert_eq!(milan.routing, Routing::Static);
    let shown: Vec<_> = [milan, rome]
        .iter()
        .flat_map(|vpn| &vpn.tunnels)
        .map(|t| {
            (t.id.outside_ip, t.route.inside_ip, t.route.source_ip, t.route.interface.as_deref(), t.role)
        })
        .collect();
    let of = |[a, b, c]: [&str; 3], interface, role| (ip(a), ip(b), ip(c), interface, role);
    assert_eq!(
        shown,
        [of(ONE, Some("ipsec0"), Role::Active), of(TWO, None, Role::Standby), of(THREE, None, Role::Active)]
    );
    assert_eq!(warnings, []);
}

#[test]
fn the_sink_that_stands_there_as_an_example_would_be_taken() {
    let text = render::toml(&proposed(usual()));
    let (_, example) = text.split_once("# [[incident.sink]]").unwrap();
    let sink = example.replace("\n# ", "\n");
    let raising = text.replace("mode = \"observe\"", "mode = \"raise\"") + "\n[[incident.sink]]" + &sink;
    assert_eq!(checked(&raising).unwrap().sinks.len(), 1);
}

#[test]
fn where_every_tunnel_is_down_all_are_active_and_a_comment_says_why() {
    for tunnels in [
        &[tunnel(ONE, TelemetryStatus::Down, ""), tunnel(TWO, TelemetryStatus::Down, "")][..],
        &[tunnel(ONE, TelemetryStatus::Down, "")],
    ] {
        let text = render::toml(&proposed(vec![vpn(MILAN, None, tunnels)]));
        let config = checked(&text).unwrap();
        assert!(config.plan.vpns[0].tunnels.iter().all(|tunnel| tunnel.role == Role::Active));
        assert!(text.contains("DOWN at that moment. At least one must be active"), "{text}");
        // An only tunnel that stands by would be watched for nothing.
        let proposed_to_stand_by = text.lines().filter(|line| line.starts_with("# role = \"standby\""));
        assert_eq!(
            proposed_to_stand_by.count(),
            if tunnels.len() == 1 { 0 } else { tunnels.len() },
            "{text}"
        );
    }
}

#[test]
fn words_of_others_break_neither_a_line_nor_the_rules_for_names() {
    let cut = "ä".repeat(64);
    for (tag, name) in [
        ("R&D \"milan\" \\ C:", "R&D \"milan\" \\ C:"),
        ("two\nlines\u{2028}and\u{85}more", "two lines and more"),
        ("evil\u{202e}live", "evillive"),
        (&*"ä".repeat(65), &*cut),
        ("", MILAN),
        (" \t\n", MILAN),
    ] {
        let message = "IPSEC\nmode = \"raise\"\r\n# [[vpn]]";
        let connection = vpn(MILAN, Some(tag), &[tunnel(ONE, TelemetryStatus::Up, message)]);
        let text = render::toml(&proposed(vec![connection]));
        let config = checked(&text).unwrap_or_else(|problems| panic!("{tag:?}: {problems}\n{text}"));
        assert_eq!(&*config.plan.vpns[0].name, name, "{tag:?}");
        assert_eq!(config.mode, config::Mode::Observe);
    }
}

#[test]
fn connections_that_check_would_not_take_together_are_not_proposed_together() {
    let twice = || tunnel(["203.0.113.13", TWO[1], TWO[2]], TelemetryStatus::Up, "");
    let (milan, rome) =
        (vpn(MILAN, None, &[tunnel(TWO, TelemetryStatus::Up, "")]), vpn(ROME, None, &[twice()]));
    let both = discovered(vec![milan.clone(), rome.clone()]);
    let refusal = Proposal::of(&both, &ProposalContext { role_arn: None, carriers: &carriers }).unwrap_err();
    insta::assert_snapshot!(refusal.join("\n"), @"vpn-0123456789abcdef0, tunnel 203.0.113.12, and vpn-0fedcba9876543210, tunnel 203.0.113.13: both have the addresses 169.254.11.2 and 169.254.11.1 inside, which one configuration can tell apart only by interface, and here no interface tells them apart; discover them one by one, each with --write to a file of its own, and set interface under both before you put them together");

    // What it says to do leads to a configuration.
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("bothends.toml");
    std::fs::create_dir(directory.path().join("conf.d")).unwrap();
    for (connection, interface, file) in
        [(milan, "ipsec0", file.clone()), (rome, "ipsec1", directory.path().join("conf.d/rome.toml"))]
    {
        let text = render::toml(&proposed(vec![connection]));
        let with = text.replace("# interface = \"ipsec0\"", &format!("interface = \"{interface}\""));
        std::fs::write(file, with).unwrap();
    }
    let config = config::load(&file, &BTreeMap::new()).unwrap().config;
    assert_eq!(config.plan.vpns.len(), 2);
}

#[test]
fn connections_with_the_same_outside_addresses_are_refused_and_named() {
    // Two private connections over Direct Connect, from two transit gateways with the same address block.
    let private = |id: &str, inside: [&str; 2]| {
        let [inside_ip, source_ip] = inside;
        vpn(id, None, &[tunnel(["10.24.10.0", inside_ip, source_ip], TelemetryStatus::Up, "")])
    };
    let both = discovered(vec![
        private(MILAN, ["169.254.10.1", "169.254.10.2"]),
        private(ROME, ["169.254.12.1", "169.254.12.2"]),
    ]);
    let refusal = Proposal::of(&both, &ProposalContext { role_arn: None, carriers: &carriers }).unwrap_err();
    assert_eq!(refusal.len(), 1, "{refusal:?}");
    for told in [MILAN, ROME, "10.24.10.0", "one by one"] {
        assert!(refusal[0].contains(told), "{refusal:?}");
    }
}

#[test]
fn what_is_left_out_and_what_does_not_agree_stands_in_the_file() {
    let discovered = Discovered {
        left_out: vec![format!("{ROME}: it is modifying")],
        warnings: vec![format!("{MILAN}: a tunnel is not described")],
        ..discovered(vec![usual().remove(0)])
    };
    let proposal =
        Proposal::of(&discovered, &ProposalContext { role_arn: None, carriers: &carriers }).unwrap();
    let text = render::toml(&proposal);
    checked(&text).unwrap();
    assert!(text.contains(&format!("# Left out: {ROME}: it is modifying.")), "{text}");
    assert!(text.contains(&format!("# Attention: {MILAN}: a tunnel is not described.")), "{text}");
    let json: serde_json::Value = serde_json::from_str(&render::json(&proposal).unwrap()).unwrap();
    assert_eq!(json["discovered"]["left_out"][0], format!("{ROME}: it is modifying"));
}

mod whatever_aws_answers {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// From few addresses, so that they meet each other, of every kind.
    fn address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            6 => (0..4_u8, 0..8_u8).prop_map(|(a, b)| IpAddr::from([169, 254, 10 + a, b])),
            4 => (0..8_u8).prop_map(|host| IpAddr::from([203, 0, 113, 10 + host])),
            1 => (0..4_u16).prop_map(|host| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, host])),
            1 => prop::sample::select(vec!["0.0.0.0", "127.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "224.0.0.1"])
                .prop_map(ip),
            1 => any::<IpAddr>(),
        ]
    }

    fn one_tunnel() -> impl Strategy<Value = DiscoveredTunnel> {
        let status =
            prop::sample::select(vec![TelemetryStatus::Up, TelemetryStatus::Down, TelemetryStatus::Other]);
        (address(), address(), address(), status, any::<String>(), any::<Option<i64>>()).prop_map(
            |(outside_ip, inside_ip, source_ip, status, message, changed)| DiscoveredTunnel {
                outside_ip,
                inside_ip,
                source_ip,
                status,
                message,
                changed: changed.map(Stamp::from_millis),
            },
        )
    }

    fn connections() -> impl Strategy<Value = Vec<DiscoveredVpn>> {
        let name = prop_oneof![Just(None), any::<String>().prop_map(Some), "\\PC{0,80}".prop_map(Some)];
        let one = (name, vec(one_tunnel(), 1..4));
        vec(one, 1..4).prop_map(|all| {
            all.into_iter()
                .enumerate()
                .map(|(index, (name, tunnels))| DiscoveredVpn {
                    id: VpnId::new(format!("vpn-0123456789abcdef{index}")),
                    name,
                    routing: Routing::Unknown,
                    tunnels,
                })
                .collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        /// The judgement is that of `check`: a text read as a file, and the same text judged before it is printed, come to the same.
        #[test]
        fn what_is_printed_passes_the_check_or_is_refused_before(connections in connections(), lines in vec(any::<String>(), 0..3)) {
            let discovered = Discovered { left_out: lines.clone(), warnings: lines, ..discovered(connections) };
            if let Ok(proposal) = Proposal::of(&discovered, &ProposalContext { role_arn: None, carriers: &carriers }) {
                let text = render::toml(&proposal);
                let judged = config::of_text("(discovered)", &text).is_ok();
                let as_file = checked(&text);
                prop_assert_eq!(judged, as_file.is_ok(), "{:?}\n{}", as_file, text);
            }
        }

        /// With addresses as AWS gives them, whatever its other words are, nothing is refused.
        #[test]
        fn with_plausible_addresses_it_is_printed(
            names in vec(any::<Option<String>>(), 1..4),
            message in any::<String>(),
            lines in vec(any::<String>(), 0..3),
        ) {
            let connections = names.into_iter().zip(1_u8..).map(|(name, n)| DiscoveredVpn {
                id: VpnId::new(format!("vpn-0123456789abcdef{n}")),
                name,
                routing: Routing::Static,
                tunnels: vec![
                    tunnel([&format!("203.0.113.{n}"), &format!("169.254.{n}.1"), &format!("169.254.{n}.2")], TelemetryStatus::Down, &message),
                    tunnel([&format!("198.51.100.{n}"), &format!("169.254.{n}.5"), &format!("169.254.{n}.6")], TelemetryStatus::Up, &message),
                ],
            });
            let discovered = Discovered { left_out: lines.clone(), warnings: lines, ..discovered(connections.collect()) };
            let proposal = Proposal::of(&discovered, &ProposalContext { role_arn: None, carriers: &carriers }).unwrap();
            checked(&render::toml(&proposal)).map_err(TestCaseError::fail)?;
            checked(&toml_of(&render::json(&proposal).unwrap())).map_err(TestCaseError::fail)?;
        }
    }
}

#[test]
fn the_role_that_asked_is_the_role_that_watches() {
    let role: &str = "arn:aws:iam::123456789012:role/BothEndsRead";
    let context = ProposalContext { role_arn: Some(role.into()), carriers: &carriers };
    let proposal = Proposal::of(&discovered(usual()), &context).unwrap();
    let config = checked(&render::toml(&proposal)).unwrap();
    assert_eq!(checked(&toml_of(&render::json(&proposal).unwrap())).unwrap().vpns, config.vpns);
    assert!(config.vpns.values().all(|vpn| vpn.role_arn.as_deref() == Some(role)));
}

/// The JSON without what is no configuration, as TOML.
fn toml_of(json: &str) -> String {
    fn pairs(table: &serde_json::Map<String, serde_json::Value>) -> Vec<String> {
        table.iter().map(|(key, value)| format!("{key} = {}", inline(value))).collect()
    }
    fn inline(value: &serde_json::Value) -> String {
        match value {
            serde_json::Value::Object(table) => format!("{{ {} }}", pairs(table).join(", ")),
            serde_json::Value::Array(list) => {
                format!("[{}]", list.iter().map(inline).collect::<Vec<_>>().join(", "))
            }
            // JSON's escapes are TOML's.
            serde_json::Value::String(_) => value.to_string(),
            other @ (serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_)) => {
                panic!("{other} has no form in TOML, or none here")
            }
        }
    }
    let mut document: serde_json::Map<_, _> = serde_json::from_str(json).unwrap();
    assert!(document.remove("discovered").is_some());
    pairs(&document).join("\n")
}

#[test]
fn the_json_is_the_configuration_in_its_own_names_and_shape() {
    for connections in [
        usual(),
        vec![usual().remove(1)],
        vec![vpn(MILAN, Some("\"\\ä"), &[tunnel(ONE, TelemetryStatus::Down, "")])],
    ] {
        let proposal = proposed(connections);
        let json = loaded(&toml_of(&render::json(&proposal).unwrap())).unwrap();
        let toml = loaded(&render::toml(&proposal)).unwrap();
        let without_files = |loaded: Loaded| Loaded { files: Vec::new(), ..loaded };
        assert_eq!(without_files(json), without_files(toml));
    }
}

#[test]
fn the_json_has_the_documented_shape() {
    let one = vec![usual().remove(0)];
    insta::assert_snapshot!(render::json(&proposed(one)).unwrap(), @r#"
    {
      "aws": {
        "region": "eu-west-1"
      },
      "vpn": [
        {
          "id": "vpn-0123456789abcdef0",
          "name": "Milan DC, primary",
          "routing": "static",
          "tunnel": [
            {
              "name": "tunnel 1",
              "outside_ip": "203.0.113.11",
              "inside_ip": "169.254.10.1",
              "source_ip": "169.254.10.2",
              "interface": "ipsec0",
              "role": "active"
            },
            {
              "name": "tunnel 2",
              "outside_ip": "203.0.113.12",
              "inside_ip": "169.254.11.1",
              "source_ip": "169.254.11.2",
              "role": "standby"
            }
          ]
        }
      ],
      "incident": {
        "mode": "observe"
      },
      "discovered": {
        "region": "eu-west-1",
        "at": "2026-11-22T11:00:00Z",
        "warnings": [],
        "left_out": [],
        "vpn": [
          {
            "id": "vpn-0123456789abcdef0",
            "name_from": "tag",
            "all_down": false,
            "tunnel": [
              {
                "outside_ip": "203.0.113.11",
                "carried_by": [
                  "ipsec0"
                ],
                "aws": {
                  "status": "up",
                  "message": "IPSEC IS UP",
                  "changed": "2026-11-22T10:00:00Z"
                }
              },
              {
                "outside_ip": "203.0.113.12",
                "carried_by": [
                  "lo"
                ],
                "aws": {
                  "status": "down",
                  "message": "IPSEC IS DOWN",
                  "changed": "2026-11-22T10:00:00Z"
                }
              }
            ]
          }
        ]
      }
    }
    "#);
}

#[test]
fn a_file_that_came_to_be_meanwhile_is_not_written_over() {
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("bothends.toml");
    super::write(&file, "# first\n", |_| Ok(())).unwrap();
    let error = super::write(&file, "# second\n", |_| Ok(())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "# first\n");
}

#[test]
fn a_bgp_tunnel_that_aws_calls_down_is_a_fault_and_stays_active() {
    let routed = |routing| {
        let mut milan = usual().remove(0);
        milan.routing = routing;
        render::toml(&proposed(vec![milan]))
    };
    let bgp = routed(Routing::Bgp);
    assert!(
        !bgp.contains("role = \"standby\"") && bgp.contains("AWS says DOWN, which with BGP is a fault"),
        "{bgp}"
    );
    assert!(bgp.contains("means that BGP is down"), "{bgp}");
    for routing in [Routing::Static, Routing::Unknown] {
        let other = routed(routing);
        assert!(other.contains("role = \"standby\"") && !other.contains("BGP is down"), "{other}");
    }
}

#[test]
fn a_file_is_the_services_to_read_whatever_the_umask() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bothends.toml");
    std::fs::write(&file, "").unwrap();
    let mode = || file.metadata().unwrap().permissions().mode() & 0o777;
    let narrow = || std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let open = OpenOptions::new().write(true).open(&file).unwrap();
    let us = process::user();
    narrow();
    super::readable_by(&open, None, us).unwrap();
    assert_eq!(mode(), 0o600, "a host without the service");
    // Whoever runs this may give a file to a group of his own.
    let name = nix::unistd::User::from_uid(us.into()).unwrap().unwrap().name;
    super::readable_by(&open, User::named(&name).as_ref(), us).unwrap();
    assert_eq!(mode(), 0o640);
    if us == 0 {
        let nobody = User::named("nobody").unwrap();
        narrow();
        super::readable_by(&open, Some(&nobody), us).unwrap();
        assert_eq!((mode(), file.metadata().unwrap().gid()), (0o640, nobody.groups()[0]));
        narrow();
        super::readable_by(&open, User::named("root").as_ref(), 4711).unwrap();
        assert_eq!(mode(), 0o600, "the group of another than the service");
    }
}

#[test]
fn a_file_that_cannot_be_given_to_the_service_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bothends.toml");
    let refused = |_: &std::fs::File| Err(std::io::ErrorKind::PermissionDenied.into());
    let warning = super::write(&file, "# whole\n", refused).unwrap().unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "# whole\n");
    let mend = format!("): chgrp bothends {0} && chmod 640 {0}", file.display());
    assert!(warning.contains("is written, but the group bothends") && warning.ends_with(&mend), "{warning}");
}

#[test]
fn a_file_that_a_failed_command_left_empty_is_told_to_be_removed() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    assert!(super::exists(empty.path()).ends_with(&format!(": rm {}", empty.path().display())));
    std::fs::write(empty.path(), "x").unwrap();
    assert!(super::exists(empty.path()).ends_with("or move that one away"));
}
