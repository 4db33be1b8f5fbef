//! A proposal as text: as TOML, the way a person would write a configuration, and as JSON for scripts, with the same keys and one
//! more member for what is not configuration. docs/discover.md documents both.

use std::net::IpAddr;

use serde::Serialize;

use super::proposal::{Aws, NameFrom, Proposal, Tunnel, Vpn, one_line};
use crate::domain::names::Role;

/// The column where comments after keys begin, unless the key is longer.
const COMMENTS_AT: usize = 40;
/// Longer than any of our own texts.
const LONGEST_COMMENT: usize = 1000;

/// The configuration file.
pub(super) fn toml(proposal: &Proposal) -> String {
    let Proposal { region, at, role_arn, vpns, warnings, left_out } = proposal;
    let mut text = Text::default();
    let at = at.as_deref().map(|at| format!(" at {at}")).unwrap_or_default();
    text.line(&format!("# Made by `bothends discover` from ec2:DescribeVpnConnections in {region}{at}."));
    text.line(
        "# Review it, above all the roles; `bothends check` explains it. bothends.toml(5) lists every key.",
    );
    for warning in warnings {
        text.line(&format!("# Attention: {}.", one_line(warning, LONGEST_COMMENT)));
    }
    for left_out in left_out {
        text.line(&format!("# Left out: {}.", one_line(left_out, LONGEST_COMMENT)));
    }
    text.line("");
    text.line("[site]");
    text.key("# name", "milan-1", "default: the host name; must be unique per daemon");
    text.line("");
    text.line("[aws]");
    text.key("region", region, "");
    text.line("# ec2_telemetry = true                  # also poll EC2: fresher than CloudWatch; detects changed addresses");
    for one in vpns {
        vpn(&mut text, one, role_arn.as_deref());
    }
    text.line("");
    text.line("[incident]");
    text.key("mode", "observe", "detects and records incidents, sends nothing; \"raise\" needs a sink");
    text.line("");
    text.line("# Where incidents go. Fill in your account and response plan, uncomment, and set mode = \"raise\" above.");
    text.line("# [[incident.sink]]");
    text.line("# type = \"incident_manager\"");
    text.line("# response_plan = \"arn:aws:ssm-incidents::123456789012:response-plan/bothends-{vpn_id}-{kind}\"   # placeholders optional");
    text.0
}

fn vpn(text: &mut Text, vpn: &Vpn, role_arn: Option<&str>) {
    let Vpn { id, name, name_from, routing, all_down, tunnels } = vpn;
    text.line("");
    text.line("[[vpn]]");
    text.key("id", id, "");
    let from = match name_from {
        NameFrom::Tag => "its Name tag",
        NameFrom::TagAltered => "its Name tag, changed to fit: one line, 64 characters",
        NameFrom::Id => "it has no Name tag; any display name will do",
    };
    text.key("name", name, from);
    match routing {
        Some(routing @ "bgp") => {
            text.key("routing", routing, "AWS down while probes pass means that BGP is down")
        }
        Some(routing) => {
            text.key("routing", routing, "AWS down while probes pass means that the two ends disagree")
        }
        None => text.key("# routing", "bgp", "or \"static\"; AWS did not say"),
    }
    if let Some(role_arn) = role_arn {
        text.key("role_arn", role_arn, "the role that discover used");
    }
    let down = match (*all_down, tunnels.len()) {
        (false, _) => Down::NotAll,
        (true, 1) => {
            text.line(
                "# AWS reported its only tunnel DOWN at that moment. At least one must be active, so it is.",
            );
            Down::Only
        }
        (true, _) => {
            text.line("# AWS reported every tunnel DOWN at that moment. At least one must be active, so all are proposed as active:");
            text.line("# set role = \"standby\" for those that are meant to be down.");
            Down::All
        }
    };
    for one in tunnels {
        tunnel(text, one, down);
    }
}

/// Which tunnels of the connection AWS reports DOWN.
#[derive(Clone, Copy)]
enum Down {
    /// Not all of them.
    NotAll,
    /// All of several.
    All,
    /// The only one.
    Only,
}

fn tunnel(text: &mut Text, tunnel: &Tunnel, down: Down) {
    let Tunnel { name, outside_ip, inside_ip, source_ip, interface, carried_by, role, aws } = tunnel;
    text.line("");
    text.line("[[vpn.tunnel]]");
    text.line(&format!("# {}", state_words(aws)));
    text.key("name", name, "");
    text.key("outside_ip", &outside_ip.to_string(), "AWS's outside address");
    text.key("inside_ip", &inside_ip.to_string(), "AWS's address inside the tunnel: this is probed");
    text.key("source_ip", &source_ip.to_string(), "this gateway's address inside the tunnel");
    match (interface, carried_by.as_slice()) {
        (Some(interface), _) => text.key("interface", interface, "the interface that has source_ip"),
        (None, []) => {
            text.key("# interface", "ipsec0", "not set: the host that ran discover does not have source_ip")
        }
        (None, carriers) => {
            let why = format!("not set: the host that ran discover has source_ip on {}", carriers.join(", "));
            text.key("# interface", "ipsec0", &why);
        }
    }
    let why = match role {
        Role::Standby => "because AWS says DOWN; use \"active\" if it should carry traffic",
        Role::Active | Role::Unused => {
            if aws.status == Some("down") && matches!(down, Down::NotAll) {
                "AWS says DOWN, which with BGP is a fault; \"standby\" or \"unused\" if it is meant to be down"
            } else {
                "or \"standby\": no alert if only this one is down; \"unused\": not probed"
            }
        }
    };
    text.key("role", role.as_str(), why);
    match down {
        Down::All => text.key("# role", "standby", "instead of the line above, if it is meant to be down"),
        Down::NotAll | Down::Only => {}
    }
}

fn state_words(aws: &Aws) -> String {
    let Aws { status, message, changed } = aws;
    let Some(status) = status else {
        return "AWS did not report its state.".to_owned();
    };
    let message = if message.is_empty() { String::new() } else { format!(" ({message})") };
    let changed = changed.as_deref().map(|at| format!(", last change {at}")).unwrap_or_default();
    format!("AWS reported {}{message}{changed}.", status.to_uppercase())
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn key(&mut self, key: &str, value: &str, comment: &str) {
        let line = format!("{key} = {}", quoted(value));
        if comment.is_empty() {
            self.line(&line);
        } else {
            self.line(&format!(
                "{line:<width$}# {comment}",
                width = COMMENTS_AT.max(line.chars().count() + 1)
            ));
        }
    }
}

/// A basic string (TOML 1.0, "String").
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The document for scripts.
pub(super) fn json(proposal: &Proposal) -> Result<String, serde_json::Error> {
    let Proposal { region, at, role_arn, vpns, warnings, left_out } = proposal;
    let document = Document {
        aws: AwsTable { region },
        vpn: vpns.iter().map(|vpn| VpnTable::of(vpn, role_arn.as_deref())).collect(),
        incident: IncidentTable { mode: "observe" },
        discovered: Discovered {
            region,
            at: at.as_deref(),
            warnings,
            left_out,
            vpn: vpns.iter().map(DiscoveredVpn::of).collect(),
        },
    };
    serde_json::to_string_pretty(&document).map(|json| json + "\n")
}

/// Without `discovered`, this is a configuration.
#[derive(Serialize)]
struct Document<'a> {
    aws: AwsTable<'a>,
    vpn: Vec<VpnTable<'a>>,
    incident: IncidentTable,
    discovered: Discovered<'a>,
}

#[derive(Serialize)]
struct AwsTable<'a> {
    region: &'a str,
}

#[derive(Serialize)]
struct IncidentTable {
    mode: &'static str,
}

/// TOML has no null, so unknown keys are left out.
#[derive(Serialize)]
struct VpnTable<'a> {
    id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    routing: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_arn: Option<&'a str>,
    tunnel: Vec<TunnelTable<'a>>,
}

#[derive(Serialize)]
struct TunnelTable<'a> {
    name: &'a str,
    outside_ip: IpAddr,
    inside_ip: IpAddr,
    source_ip: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<&'a str>,
    role: &'static str,
}

#[derive(Serialize)]
struct Discovered<'a> {
    region: &'a str,
    at: Option<&'a str>,
    warnings: &'a [String],
    left_out: &'a [String],
    vpn: Vec<DiscoveredVpn<'a>>,
}

#[derive(Serialize)]
struct DiscoveredVpn<'a> {
    id: &'a str,
    name_from: NameFrom,
    all_down: bool,
    tunnel: Vec<DiscoveredTunnel<'a>>,
}

#[derive(Serialize)]
struct DiscoveredTunnel<'a> {
    outside_ip: IpAddr,
    carried_by: &'a [String],
    aws: &'a Aws,
}

impl<'a> VpnTable<'a> {
    fn of(vpn: &'a Vpn, role_arn: Option<&'a str>) -> Self {
        let Vpn { id, name, name_from: _, routing, all_down: _, tunnels } = vpn;
        Self { id, name, routing: *routing, role_arn, tunnel: tunnels.iter().map(TunnelTable::of).collect() }
    }
}

impl<'a> TunnelTable<'a> {
    fn of(tunnel: &'a Tunnel) -> Self {
        let Tunnel { name, outside_ip, inside_ip, source_ip, interface, carried_by: _, role, aws: _ } =
            tunnel;
        Self {
            name,
            outside_ip: *outside_ip,
            inside_ip: *inside_ip,
            source_ip: *source_ip,
            interface: interface.as_deref(),
            role: role.as_str(),
        }
    }
}

impl<'a> DiscoveredVpn<'a> {
    fn of(vpn: &'a Vpn) -> Self {
        let Vpn { id, name: _, name_from, routing: _, all_down, tunnels } = vpn;
        let tunnel = tunnels
            .iter()
            .map(|tunnel| DiscoveredTunnel {
                outside_ip: tunnel.outside_ip,
                carried_by: &tunnel.carried_by,
                aws: &tunnel.aws,
            })
            .collect();
        Self { id, name_from: *name_from, all_down: *all_down, tunnel }
    }
}
