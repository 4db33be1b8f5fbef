//! What was asked for: which sinks get a drill, and of what.

use std::sync::Arc;

use clap::Args;

use crate::config::{Config, SinkSettings};
use crate::domain::names::Kind;
use crate::domain::plan::VpnPlan;

/// The arguments.
#[derive(Debug, Args)]
pub(in crate::cli) struct Drill {
    /// Only this sink, such as incident_manager or sns-2.
    #[arg(long, value_name = "SINK")]
    sink: Option<String>,
    /// Use this connection; default: the first that the sink takes.
    #[arg(long, value_name = "VPN_ID")]
    vpn: Option<String>,
    /// Use this kind of incident; default: the first that the sink takes.
    #[arg(long, value_name = "KIND", value_parser = ["outage", "redundancy_lost", "one_sided"])]
    kind: Option<String>,
    /// Keep the test incident open this long so that paging can happen; a real incident ends it. Default: 0, or 60 for a
    /// sink whose receiver groups alerts (Alertmanager).
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=600))]
    pub(super) hold: Option<u64>,
    /// Skip the confirmation.
    #[arg(long)]
    pub(super) yes: bool,
    /// As root: use the credentials and environment of this shell, not the service's.
    #[arg(long)]
    pub(super) own_credentials: bool,
}

impl Drill {
    /// The same command, agreed to, for a process that has the service's credentials.
    pub(super) fn agreed_to(&self) -> Vec<String> {
        let mut words = vec!["drill".to_owned(), "--yes".to_owned()];
        words.extend(self.hold.map(|seconds| format!("--hold={seconds}")));
        let chosen = [("sink", &self.sink), ("vpn", &self.vpn), ("kind", &self.kind)];
        words.extend(chosen.iter().filter_map(|(name, value)| Some(format!("--{name}={}", value.as_ref()?))));
        words
    }
}

/// One drill at one sink.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Round {
    pub(super) sink: SinkSettings,
    pub(super) vpn: Arc<VpnPlan>,
    pub(super) kind: Kind,
}

/// One round for each sink that was asked for, of the first connection and kind that it takes.
pub(super) fn chosen(config: &Config, arguments: &Drill) -> Result<Vec<Round>, String> {
    let Drill { sink, vpn, kind, hold: _, yes: _, own_credentials: _ } = arguments;
    let vpns = &config.plan.vpns;
    if config.sinks.is_empty() {
        return Err("there is no sink to test: add an [[incident.sink]] to the configuration".to_owned());
    }
    let ids: Vec<&str> = config.sinks.iter().map(|sink| sink.id.as_str()).collect();
    known("--sink", sink.as_deref(), "sink", &ids)?;
    let ids: Vec<&str> = vpns.iter().map(|vpn| vpn.id.as_str()).collect();
    known("--vpn", vpn.as_deref(), "connection", &ids)?;
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
        let takes = match sink {
            Some(sink) => format!("the sink {sink} does not take"),
            None => "no sink takes".to_owned(),
        };
        let kind = kind.as_deref().unwrap_or("an incident");
        let of = vpn.as_deref().map_or_else(String::new, |vpn| format!(" of {vpn}"));
        return Err(format!(
            "{takes} {kind}{of}: choose another --kind or --vpn, or change `kinds` and `vpns` of [[incident.sink]]"
        ));
    }
    Ok(rounds)
}

/// Whether what an option names is one of these.
fn known(option: &str, named: Option<&str>, what: &str, ids: &[&str]) -> Result<(), String> {
    match named.filter(|named| !ids.contains(named)) {
        None => Ok(()),
        Some(named) => {
            let ids = ids.join(", ");
            Err(format!("{option} {named}: the configuration has no such {what}; it has {ids}"))
        }
    }
}
