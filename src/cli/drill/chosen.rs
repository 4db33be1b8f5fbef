//! Which sinks get a drill, and of what.

use std::sync::Arc;

use super::Drill;
use crate::config::{Config, SinkSettings};
use crate::domain::names::Kind;
use crate::domain::plan::VpnPlan;

/// One drill at one sink.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Round {
    pub(super) sink: SinkSettings,
    pub(super) vpn: Arc<VpnPlan>,
    pub(super) kind: Kind,
}

/// One round for each sink that was asked for, of the first connection and kind that it takes.
pub(super) fn chosen(config: &Config, arguments: &Drill) -> Result<Vec<Round>, String> {
    let Drill { sink, vpn, kind, hold: _, yes: _ } = arguments;
    let vpns = &config.plan.vpns;
    let known = |name: &str, found: &str, known: Vec<&str>| {
        let known = if known.is_empty() { "none is configured".to_owned() } else { known.join(", ") };
        format!("{name}: found {found:?}, allowed: {known}")
    };
    if let Some(id) = sink.as_deref().filter(|id| !config.sinks.iter().any(|sink| sink.id.as_str() == *id)) {
        return Err(known("--sink", id, config.sinks.iter().map(|sink| sink.id.as_str()).collect()));
    }
    if let Some(id) = vpn.as_deref().filter(|id| !vpns.iter().any(|vpn| vpn.id.as_str() == *id)) {
        return Err(known("--vpn", id, vpns.iter().map(|vpn| vpn.id.as_str()).collect()));
    }
    if config.sinks.is_empty() {
        return Err("there is no sink to try: the configuration has no [[incident.sink]]".to_owned());
    }
    let wanted = |text: &Option<String>, id: &str| text.as_deref().is_none_or(|text| text == id);
    let of = |sink: &SinkSettings| {
        let plan = sink.plan();
        let pairs = vpns.iter().flat_map(|vpn| Kind::ALL.map(|kind| (vpn, kind)));
        let (vpn, kind) = pairs
            .filter(|(of, _)| wanted(vpn, of.id.as_str()))
            .filter(|(_, of)| wanted(kind, of.as_str()))
            .find(|(vpn, kind)| plan.takes(&vpn.id, *kind))?;
        Some(Round { sink: sink.clone(), vpn: Arc::clone(vpn), kind })
    };
    let rounds: Vec<_> =
        config.sinks.iter().filter(|of| wanted(sink, of.id.as_str())).filter_map(of).collect();
    if rounds.is_empty() {
        return Err("no sink takes this: see `kinds` and `vpns` of [[incident.sink]]".to_owned());
    }
    Ok(rounds)
}
