use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use super::json;
use super::proposal::{Proposal, Scope};
use super::toml::render;
use crate::aws::{Discovered, DiscoveredTunnel, DiscoveredVpn};
use crate::config;
use crate::domain::event::TelemetryStatus;
use crate::domain::names::{Role, VpnId};
use crate::domain::time::Stamp;
use crate::probe::Carrier;

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
    DiscoveredVpn { id: VpnId::new(id), name: name.map(str::to_owned), tunnels: tunnels.to_vec() }
}

fn discovered(connections: Vec<DiscoveredVpn>) -> Discovered {
    let at = Some(Stamp::from_secs(1_795_345_200));
    Discovered { region: "eu-west-1".into(), at, connections, left_out: Vec::new() }
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
    Proposal::of(&discovered(connections), &Scope { role_arn: None, carriers: &carriers }).unwrap()
}

/// Takes a text as `bothends check` does.
fn checked(text: &str) -> Result<config::Config, String> {
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("bothends.toml");
    std::fs::write(&file, text).unwrap();
    config::load(&file, &BTreeMap::new()).map_err(|rejection| rejection.to_string())
}

fn usual() -> Vec<DiscoveredVpn> {
    vec![
        vpn(
            MILAN,
            Some("Milan DC, primary"),
            &[
                tunnel(ONE, TelemetryStatus::Up, "2 BGP ROUTES"),
                tunnel(TWO, TelemetryStatus::Down, "IPSEC IS DOWN"),
            ],
        ),
        vpn(ROME, None, &[tunnel(THREE, TelemetryStatus::Other, "")]),
    ]
}

#[test]
fn the_configuration_reads_as_a_person_would_write_it() {
    insta::assert_snapshot!(render(&proposed(usual())), @r#"
    # What `bothends discover` made of ec2:DescribeVpnConnections in eu-west-1 at 2026-11-22T11:00:00Z.
    # Read it, above all the roles; `bothends check` prints what it means. bothends.toml(5) has every key.

    [site]
    # name = "milan-1"                      # the host name unless this is set; unique per daemon

    [aws]
    region = "eu-west-1"
    # ec2_telemetry = true                  # ask EC2 as well: fresher than CloudWatch, and tells when addresses change

    [[vpn]]
    id = "vpn-0123456789abcdef0"
    name = "Milan DC, primary"              # its Name tag

    [[vpn.tunnel]]
    # AWS says UP (2 BGP ROUTES) at that moment, last change 2026-11-22T10:00:00Z.
    name = "tunnel 1"
    outside_ip = "203.0.113.11"             # AWS's end outside
    inside_ip = "169.254.10.1"              # AWS's end inside the tunnel: probed
    source_ip = "169.254.10.2"              # our end inside the tunnel
    interface = "ipsec0"                    # this host has source_ip there
    role = "active"                         # "standby": down alone is nothing; "unused": neither probed nor counted

    [[vpn.tunnel]]
    # AWS says DOWN (IPSEC IS DOWN) at that moment, last change 2026-11-22T10:00:00Z.
    name = "tunnel 2"
    outside_ip = "203.0.113.12"             # AWS's end outside
    inside_ip = "169.254.11.1"              # AWS's end inside the tunnel: probed
    source_ip = "169.254.11.2"              # our end inside the tunnel
    # interface = "ipsec0"                  # the host that this was made on has source_ip on lo
    role = "standby"                        # proposed because AWS says DOWN; "active" if it should carry traffic

    [[vpn]]
    id = "vpn-0fedcba9876543210"
    name = "vpn-0fedcba9876543210"          # it has no Name tag: people's words for it

    [[vpn.tunnel]]
    # AWS says nothing of its state at that moment.
    name = "tunnel 1"
    outside_ip = "2001:db8::21"             # AWS's end outside
    inside_ip = "fd00:10::1"                # AWS's end inside the tunnel: probed
    source_ip = "fd00:10::2"                # our end inside the tunnel
    # interface = "ipsec0"                  # the host that this was made on does not have source_ip
    role = "active"                         # "standby": down alone is nothing; "unused": neither probed nor counted

    [incident]
    mode = "observe"                        # decides and records everything and sends nothing; "raise" needs a sink

    # Whom to tell. Fill in your account and response plan, take the marks away, and set mode = "raise" above.
    # [[incident.sink]]
    # type = "incident_manager"
    # response_plan = "arn:aws:ssm-incidents::123456789012:response-plan/bothends-{vpn_id}-{kind}"   # placeholders optional
    "#);
}

#[test]
fn the_configuration_passes_the_check_and_says_what_aws_said() {
    let config = checked(&render(&proposed(usual()))).unwrap();
    let [milan, rome] = config.plan.vpns.as_slice() else { panic!("{:?}", config.plan.vpns) };
    assert_eq!((&*milan.name, &*rome.name), ("Milan DC, primary", ROME));
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
    assert_eq!(config.warnings, []);
}

#[test]
fn the_sink_that_stands_there_as_an_example_would_be_taken() {
    let text = render(&proposed(usual()));
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
        let text = render(&proposed(vec![vpn(MILAN, None, tunnels)]));
        let config = checked(&text).unwrap();
        assert!(config.plan.vpns[0].tunnels.iter().all(|tunnel| tunnel.role == Role::Active));
        assert!(text.contains("is DOWN. One at least must be active"), "{text}");
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
        let text = render(&proposed(vec![connection]));
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
    let refusal = Proposal::of(&both, &Scope { role_arn: None, carriers: &carriers }).unwrap_err();
    insta::assert_snapshot!(refusal.join("\n"), @"vpn-0123456789abcdef0, tunnel 203.0.113.12, and vpn-0fedcba9876543210, tunnel 203.0.113.13: both have the addresses 169.254.11.2 and 169.254.11.1 inside, which one configuration can tell apart only by interface, and here no interface tells them apart; discover them one by one, each with --write to a file of its own, and set interface under both before you put them together");

    // What it says to do leads to a configuration.
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("bothends.toml");
    std::fs::create_dir(directory.path().join("conf.d")).unwrap();
    for (connection, interface, file) in
        [(milan, "ipsec0", file.clone()), (rome, "ipsec1", directory.path().join("conf.d/rome.toml"))]
    {
        let text = render(&proposed(vec![connection]));
        let with = text.replace("# interface = \"ipsec0\"", &format!("interface = \"{interface}\""));
        std::fs::write(file, with).unwrap();
    }
    let config = config::load(&file, &BTreeMap::new()).unwrap();
    assert_eq!(config.plan.vpns.len(), 2);
}

#[test]
fn the_role_that_asked_is_the_role_that_watches() {
    let role: &str = "arn:aws:iam::123456789012:role/BothEndsRead";
    let scope = Scope { role_arn: Some(role.into()), carriers: &carriers };
    let proposal = Proposal::of(&discovered(usual()), &scope).unwrap();
    let config = checked(&render(&proposal)).unwrap();
    assert_eq!(checked(&toml_of(&json::render(&proposal).unwrap())).unwrap().vpns, config.vpns);
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
        let json = checked(&toml_of(&json::render(&proposal).unwrap())).unwrap();
        let toml = checked(&render(&proposal)).unwrap();
        let without_files = |config: config::Config| config::Config { files: Vec::new(), ..config };
        assert_eq!(without_files(json), without_files(toml));
    }
}

#[test]
fn the_json_has_the_documented_shape() {
    let one = vec![usual().remove(0)];
    insta::assert_snapshot!(json::render(&proposed(one)).unwrap(), @r#"
    {
      "aws": {
        "region": "eu-west-1"
      },
      "vpn": [
        {
          "id": "vpn-0123456789abcdef0",
          "name": "Milan DC, primary",
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
                  "message": "2 BGP ROUTES",
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
    super::write(&file, "# first\n").unwrap();
    let error = super::write(&file, "# second\n").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "# first\n");
}
