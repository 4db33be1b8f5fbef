//! A proposal as a configuration, as a person would write it.

use super::proposal::{Aws, NameFrom, Proposal, Tunnel, Vpn};
use crate::domain::names::Role;

/// Comments behind keys begin in this column, if the keys are not longer.
const COMMENTS_AT: usize = 40;

/// The file.
pub(super) fn render(proposal: &Proposal) -> String {
    let Proposal { region, at, role_arn, vpns, warnings } = proposal;
    let mut text = Text::default();
    let at = at.as_deref().map(|at| format!(" at {at}")).unwrap_or_default();
    text.line(&format!("# What `bothends discover` made of ec2:DescribeVpnConnections in {region}{at}."));
    text.line("# Read it, above all the roles; `bothends check` prints what it means. bothends.toml(5) has every key.");
    for warning in warnings {
        text.line(&format!("# Attention: {warning}."));
    }
    text.line("");
    text.line("[site]");
    text.key("# name", "milan-1", "the host name unless this is set; unique per daemon");
    text.line("");
    text.line("[aws]");
    text.key("region", region, "");
    text.line("# ec2_telemetry = true                  # ask EC2 as well: fresher than CloudWatch, and tells when addresses change");
    for one in vpns {
        vpn(&mut text, one, role_arn.as_deref());
    }
    text.line("");
    text.line("[incident]");
    text.key("mode", "observe", "decides and records everything and sends nothing; \"raise\" needs a sink");
    text.line("");
    text.line("# Whom to tell. Fill in your account and response plan, take the marks away, and set mode = \"raise\" above.");
    text.line("# [[incident.sink]]");
    text.line("# type = \"incident_manager\"");
    text.line("# response_plan = \"arn:aws:ssm-incidents::123456789012:response-plan/bothends-{vpn_id}-{kind}\"   # placeholders optional");
    text.0
}

fn vpn(text: &mut Text, vpn: &Vpn, role_arn: Option<&str>) {
    let Vpn { id, name, name_from, all_down, tunnels } = vpn;
    text.line("");
    text.line("[[vpn]]");
    text.key("id", id, "");
    let from = match name_from {
        NameFrom::Tag => "its Name tag",
        NameFrom::TagAltered => "its Name tag, made to fit: one line, 64 characters",
        NameFrom::Id => "it has no Name tag: people's words for it",
    };
    text.key("name", name, from);
    if let Some(role_arn) = role_arn {
        text.key("role_arn", role_arn, "AWS was asked with this role");
    }
    let one_of = match (*all_down, tunnels.len()) {
        (false, _) => Down::NotAll,
        (true, 1) => {
            text.line("# AWS says at that moment that its only tunnel is DOWN. One at least must be active, so it is.");
            Down::Only
        }
        (true, _) => {
            text.line("# AWS says at that moment that every tunnel is DOWN. One at least must be active, so all are proposed so:");
            text.line("# make those standby that are meant to be down.");
            Down::All
        }
    };
    for one in tunnels {
        tunnel(text, one, one_of);
    }
}

/// What a tunnel that AWS calls DOWN is one of.
#[derive(Clone, Copy)]
enum Down {
    /// Others are not.
    NotAll,
    /// There are others, and they are DOWN, too.
    All,
    /// There is no other.
    Only,
}

fn tunnel(text: &mut Text, tunnel: &Tunnel, one_of: Down) {
    let Tunnel { name, outside_ip, inside_ip, source_ip, interface, carried_by, role, aws } = tunnel;
    text.line("");
    text.line("[[vpn.tunnel]]");
    text.line(&format!("# {}", said(aws)));
    text.key("name", name, "");
    text.key("outside_ip", &outside_ip.to_string(), "AWS's end outside");
    text.key("inside_ip", &inside_ip.to_string(), "AWS's end inside the tunnel: probed");
    text.key("source_ip", &source_ip.to_string(), "our end inside the tunnel");
    match (interface, carried_by.as_slice()) {
        (Some(interface), _) => text.key("interface", interface, "this host has source_ip there"),
        (None, []) => {
            text.key("# interface", "ipsec0", "the host that this was made on does not have source_ip")
        }
        (None, carriers) => {
            let why = format!("the host that this was made on has source_ip on {}", carriers.join(", "));
            text.key("# interface", "ipsec0", &why);
        }
    }
    let why = match role {
        Role::Standby => "proposed because AWS says DOWN; \"active\" if it should carry traffic",
        Role::Active | Role::Unused => {
            "\"standby\": down alone is nothing; \"unused\": neither probed nor counted"
        }
    };
    text.key("role", role.as_str(), why);
    match one_of {
        Down::All => text.key(
            "# role",
            "standby",
            "because AWS says DOWN: in place of the line above, if it is meant to be down",
        ),
        Down::NotAll | Down::Only => {}
    }
}

fn said(aws: &Aws) -> String {
    let Aws { status, message, changed } = aws;
    let Some(status) = status else {
        return "AWS says nothing of its state at that moment.".to_owned();
    };
    let message = if message.is_empty() { String::new() } else { format!(" ({message})") };
    let changed = changed.as_deref().map(|at| format!(", last change {at}")).unwrap_or_default();
    format!("AWS says {}{message} at that moment{changed}.", status.to_uppercase())
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
