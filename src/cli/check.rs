//! `bothends check`: what the configuration means.

use crate::config::{Config, describe};
use crate::domain::plan::TunnelPlan;
use crate::probe::{Ownership, owns};
use crate::process::Exit;

pub(super) fn run(config: &Config) -> Exit {
    print!("{}", describe(config));
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    for tunnel in config.plan.vpns.iter().flat_map(|vpn| vpn.used_tunnels()) {
        if let Some(complaint) = not_here(tunnel) {
            eprintln!("warning: {complaint}");
        }
    }
    Exit::Success
}

/// A configuration may be checked on another host than the one it is for, so this is no error.
fn not_here(tunnel: &TunnelPlan) -> Option<String> {
    let TunnelPlan { id, name, role: _, route } = tunnel;
    let what = match owns(route) {
        Ok(Ownership::Here) => return None,
        Ok(missing @ (Ownership::NoAddress | Ownership::NoInterface)) => missing.to_string(),
        Err(error) => format!("cannot find out whether this host has its address: {error}"),
    };
    let interface = route.interface.as_deref().map(|name| format!(", interface {name}")).unwrap_or_default();
    Some(format!(
        "{id}, {name}: {what} (source_ip {}{interface}); until it does, our end has no vote on this tunnel",
        route.source_ip
    ))
}
