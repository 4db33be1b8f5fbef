//! Merged values → [`Config`].

use std::sync::Arc;

use crate::domain::names::Kind;
use crate::domain::plan::Plan;

use super::merge::Merged;
use super::patterns;
use super::problem::{Notes, ProblemKind};
use super::provenance::Provenance;
use super::section::Section;
use super::settings::{Config, Mode, SinkSettings};
use super::sinks::{Beside, SinkReader};
use super::surroundings::Surroundings;
use super::vpns::{Common, VpnReader};
use super::{globals, rules};

/// Reads everything. The result is of use only if nothing was noted. `complete`: every file was understood, so that what is not
/// there is known to be missing.
pub(super) fn config(
    merged: &Merged,
    surroundings: &Surroundings<'_>,
    complete: bool,
    notes: &mut Notes,
) -> Config {
    let root = Section::root(merged);
    let site = globals::site(&root.section("site"), surroundings.host_name.as_deref(), notes);
    let votes_if_address = globals::votes_if_address(&root.section("site"), notes);
    let (aws, aws_rules) = globals::aws(&root.section("aws"), notes);
    let probe = rules::probe(&root.section("probe"), rules::PROBE_DEFAULT, notes);
    let incident_section = root.section("incident");
    let incident = rules::incident(&incident_section, rules::INCIDENT_DEFAULT, notes);
    let mode = incident_section.text("mode", &patterns::MODE, notes).unwrap_or(Mode::Raise);
    let cloudwatch = globals::cloudwatch(&root.section("cloudwatch"), notes);
    let http = globals::http(&root.section("http"), notes);
    let store = globals::store(&root.section("store"), surroundings.env, cloudwatch.is_some(), notes);

    let common = Common { aws, metrics: cloudwatch, aws_rules, probe, incident };
    let mut vpns = VpnReader::default();
    for item in &merged.vpns {
        vpns.read(&Section::item(item, &merged.main), &common, notes);
    }
    let mut sinks = SinkReader::default();
    for item in &merged.sinks {
        let beside = Beside { vpns: &vpns, region: common.aws.region.as_deref(), surroundings, complete };
        sinks.read(&Section::item(item, &merged.main), &beside, notes);
    }
    if complete {
        presence(merged, mode, notes);
    }

    let VpnReader { plans, settings, .. } = vpns;
    let SinkReader { settings: sinks, .. } = sinks;
    let plan = Plan { site, votes_if_address, vpns: plans, sinks: Vec::new() };
    match mode {
        Mode::Raise => homeless(&plan, &sinks, &merged.main, notes),
        Mode::Observe => {}
    }
    let told = match mode {
        Mode::Raise => sinks.iter().map(SinkSettings::plan).collect(),
        Mode::Observe => Vec::new(),
    };
    Config {
        plan: Arc::new(Plan { sinks: told, ..plan }),
        mode,
        aws: common.aws,
        vpns: settings,
        sinks,
        cloudwatch: common.metrics,
        http,
        store,
    }
}

/// Without a connection there is nothing to watch; without a sink nobody would ever be paged.
fn presence(merged: &Merged, mode: Mode, notes: &mut Notes) {
    let mut missing = |key: &str, allowed: &str| {
        notes.problem(merged.main.clone(), key, ProblemKind::Missing { allowed: allowed.to_owned() });
    };
    if merged.vpns.is_empty() {
        missing("vpn", "at least one [[vpn]]");
    }
    if merged.sinks.is_empty() && mode == Mode::Raise {
        missing(
            "incident.sink",
            "at least one [[incident.sink]]; or [incident] mode = \"observe\", which records incidents and pages nobody",
        );
    }
}

/// Warns of incidents that would open and go nowhere.
fn homeless(plan: &Plan, sinks: &[SinkSettings], main: &Provenance, notes: &mut Notes) {
    for vpn in &plan.vpns {
        let lost: Vec<_> = Kind::ALL
            .into_iter()
            .filter(|kind| vpn.incident.open_after(*kind).is_some())
            .filter(|kind| !sinks.iter().any(|sink| sink.plan().takes(&vpn.id, *kind)))
            .map(Kind::as_str)
            .collect();
        if !lost.is_empty() {
            let what =
                format!("no sink takes {} of {}: recorded, but not sent to anybody", lost.join(", "), vpn.id);
            notes.warning(main.clone(), "incident.sink", what);
        }
    }
}
