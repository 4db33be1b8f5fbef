//! Text → domain types: "parse, don't validate". What comes out of [`load`] needs no further check.
//!
//! Files are read in order ([`files`]). Each is walked once along the [`schema`], with its line numbers kept ([`document`]).
//! The crate `config` merges the single tables and the environment ([`section`]), and the merged values are read into domain
//! types ([`globals`], [`labels`], [`sensors`], [`vpns`], [`parents`], [`sinks`]). No step stops at the first problem: all are listed at once, up to a bound, each
//! with file, line, key, the value found and what is expected.

mod custody;
mod describe;
mod document;
mod files;
mod globals;
mod hints;
mod labels;
pub mod needs;
mod parents;
pub mod patterns;
mod problem;
mod quantity;
mod schema;
mod section;
mod sensors;
mod settings;
mod sinks;
#[cfg(test)]
mod tests;
mod through;
mod vpns;
mod webhook;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use self::files::{ReadBy, Surroundings};
use self::problem::Notes;
use self::schema::RENAMED;
use self::section::{Merged, Section};
use self::sensors::Sensors;
use self::sinks::{Beside, SinkReader};
use self::vpns::{Common, VpnReader};
use crate::domain::names::Kind;
use crate::domain::plan::{Plan, QualityRules};
use crate::settings::{Labels, SensorSettings};

pub use self::custody::{exposed, exposed_beside, exposed_credentials, exposed_of_aws, foreign};
pub use self::describe::describe;
pub use self::files::{SERVICE, WebhookTrial, closed_to, host_name, unread};
pub use self::hints::is_hidden;
pub use self::problem::{ConfigProblem, PROBLEMS_MAX, ProblemKind, Provenance, Rejection, Warning};
pub use self::settings::{
    AwsDefaults, CloudWatchSettings, Config, HttpSettings, Loaded, Mode, PossibleIncident, SinkSettings,
    Vendor, VpnDetails,
};

/// The path that the package installs.
pub const DEFAULT_PATH: &str = "/etc/bothends/bothends.toml";

/// Reads the configuration: `path`, then `conf.d/*.toml` beside it in lexical order, then the variables
/// `BOTHENDS_SECTION__KEY` of `env`.
///
/// `STATE_DIRECTORY` in `env` is the default for the store's directory, and the kernel's host name for the site's name.
///
/// # Errors
/// Every problem of the whole configuration at once.
pub fn load(path: &Path, env: &BTreeMap<String, String>) -> Result<Loaded, Rejection> {
    load_for(&ReadBy::Unknown, path, env, &|_| Vec::new())
}

fn load_for(
    reader: &ReadBy,
    path: &Path,
    env: &BTreeMap<String, String>,
    trial: WebhookTrial<'_>,
) -> Result<Loaded, Rejection> {
    load_in(path, &Surroundings { env, host_name: files::host_name(), renamed: RENAMED, reader, trial })
}

/// The same for `run`, as the user `us`: others must not be able to read the secrets or change the files, and every file that
/// is named must be readable. Webhooks are put to a `trial`, because a fault in one should be found before the first page.
///
/// # Errors
/// Every problem of the whole configuration at once, those that [`exposed`], [`exposed_credentials`], [`exposed_of_aws`],
/// [`exposed_beside`], [`foreign`] and the trial find among them.
pub fn load_to_run(
    path: &Path,
    env: &BTreeMap<String, String>,
    us: u32,
    trial: WebhookTrial<'_>,
) -> Result<Loaded, Rejection> {
    let loaded = load_for(&ReadBy::Us, path, env, trial);
    let others = [exposed_of_aws(path, env), exposed_beside(path, env), foreign(path, us)];
    refusing(loaded, exposed_itself(path).chain(others.into_iter().flatten()))
}

/// The same for `check`, by the user `us`: a file may be checked before it is in its final place. What the service's user could
/// not read is a warning, if this host has that user and `us` may look.
///
/// # Errors
/// Every problem of the whole configuration at once, those that [`exposed`], [`exposed_credentials`] and the trial find among them.
pub fn load_to_check(
    path: &Path,
    env: &BTreeMap<String, String>,
    us: u32,
    trial: WebhookTrial<'_>,
) -> Result<Loaded, Rejection> {
    refusing(load_for(&ReadBy::checked_by(us), path, env, trial), exposed_itself(path))
}

/// Secrets in the configuration and its credentials that others can read, wherever it will be used.
fn exposed_itself(path: &Path) -> impl Iterator<Item = ConfigProblem> {
    exposed(path).into_iter().chain(exposed_credentials(path))
}

fn refusing(
    loaded: Result<Loaded, Rejection>,
    more: impl Iterator<Item = ConfigProblem>,
) -> Result<Loaded, Rejection> {
    let (loaded, mut problems, unlisted) = match loaded {
        Ok(loaded) => (Some(loaded), Vec::new(), 0),
        Err(Rejection { problems, unlisted }) => (None, problems, unlisted),
    };
    problems.extend(more);
    loaded.filter(|_| problems.is_empty()).ok_or_else(|| Rejection::of(problems, unlisted))
}

fn load_in(path: &Path, surroundings: &Surroundings<'_>) -> Result<Loaded, Rejection> {
    let mut notes = Notes::default();
    let files = files::read(path, &mut notes);
    read(path, files, surroundings, notes)
}

/// The listener's address by this configuration, whatever else is wrong with it; the default where it cannot be determined.
pub fn listener(path: &Path, env: &BTreeMap<String, String>) -> SocketAddr {
    let mut notes = Notes::default();
    let files = files::read(path, &mut notes);
    let documents = files
        .iter()
        .filter_map(|file| document::parse(&file.path, &file.text, RENAMED, &mut notes))
        .collect();
    let overrides = section::overrides(env, RENAMED, &mut notes);
    let merged = section::merge(path, documents, overrides, &mut notes);
    globals::http(&Section::root(&merged).section("http"), &mut notes).listen
}

/// Reads a text as if it were the only file of a configuration; for `discover`, which writes one.
///
/// # Errors
/// Every problem, as `load` lists them.
pub fn of_text(name: &str, text: &str) -> Result<Loaded, Rejection> {
    let path = Path::new(name);
    let files = vec![files::SourceFile { path: path.to_owned(), text: text.to_owned() }];
    let surroundings = Surroundings {
        env: &BTreeMap::new(),
        // The host that it is for is unknown.
        host_name: Some("gateway".to_owned()),
        renamed: RENAMED,
        reader: &ReadBy::Unknown,
        trial: &|_| Vec::new(),
    };
    read(path, files, &surroundings, Notes::default())
}

fn read(
    path: &Path,
    files: Vec<files::SourceFile>,
    surroundings: &Surroundings<'_>,
    mut notes: Notes,
) -> Result<Loaded, Rejection> {
    let documents: Vec<_> = files
        .iter()
        .filter_map(|file| document::parse(&file.path, &file.text, surroundings.renamed, &mut notes))
        .collect();
    let overrides = section::overrides(surroundings.env, surroundings.renamed, &mut notes);
    let complete = notes.files_complete();

    let merged = section::merge(path, documents, overrides, &mut notes);
    let config = config_of(&merged, surroundings, complete, &mut notes);
    let warnings = notes.finish()?;
    Ok(Loaded { config, warnings, files: files.into_iter().map(|file| file.path).collect() })
}

/// Merged values → [`Config`]. The result is valid only if no problem was noted. `complete`: every file was understood, so that
/// an absent key is known to be missing.
fn config_of(merged: &Merged, surroundings: &Surroundings<'_>, complete: bool, notes: &mut Notes) -> Config {
    let root = Section::root(merged);
    let site = globals::site(&root.section("site"), surroundings.host_name.as_deref(), notes);
    let votes_if_address = globals::votes_if_address(&root.section("site"), notes);
    let labels = labels::read(&root.section("labels"), &Labels::new(), notes);
    let (aws, aws_rules) = globals::aws(&root.section("aws"), notes);
    let probe = globals::probe(&root.section("probe"), globals::PROBE_DEFAULT, notes);
    let quality = globals::quality(&root.section("quality"), QualityRules::default(), notes);
    let incident_section = root.section("incident");
    let incident = globals::incident(&incident_section, globals::INCIDENT_DEFAULT, notes);
    let mode = incident_section.text("mode", &patterns::MODE, notes).unwrap_or(Mode::Raise);
    let cloudwatch = globals::cloudwatch(&root.section("cloudwatch"), notes);
    let http = globals::http(&root.section("http"), notes);
    let store = globals::store(&root.section("store"), surroundings.env, cloudwatch.is_some(), notes);

    let sensors = Sensors::read(&root, merged, complete, notes);

    let common = Common { labels, aws, metrics: cloudwatch, aws_rules, probe, quality, incident, sensors };
    let mut vpns = VpnReader::default();
    for item in &merged.vpns {
        vpns.read(&Section::item(item, &merged.main), &common, notes);
    }
    vpns.must_not_hold(common.sensors.references(), notes);
    let groups = parents::groups(merged, &vpns, complete, notes);
    let parents = parents::parents(&site, &vpns.plans, groups, common.incident);
    let mut sinks = SinkReader::default();
    for item in &merged.sinks {
        let region = common.aws.region.as_deref();
        let beside = Beside { vpns: &vpns, parents: &parents, region, surroundings, complete };
        sinks.read(&Section::item(item, &merged.main), &beside, notes);
    }
    if complete {
        presence(merged, mode, notes);
    }

    let VpnReader { plans, settings, subjects, .. } = vpns;
    let SinkReader { settings: sinks, .. } = sinks;
    let plan = Plan { site, votes_if_address, vpns: plans, parents, sinks: Vec::new() };
    match mode {
        Mode::Raise => warn_unrouted(&plan, &sinks, &merged.main, notes),
        Mode::Observe => {}
    }
    let active = match mode {
        Mode::Raise => sinks.iter().map(SinkSettings::plan).collect(),
        Mode::Observe => Vec::new(),
    };
    Config {
        plan: Arc::new(Plan { sinks: active, ..plan }),
        mode,
        aws: common.aws,
        vpns: settings,
        sinks,
        cloudwatch: common.metrics,
        http,
        store,
        sensors: SensorSettings { ipsec: common.sensors.ipsec, bgp: common.sensors.bgp, subjects },
    }
}

/// Without a connection there is nothing to watch; without a sink no incident pages anybody.
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

/// Warns of incidents that no sink takes.
///
/// A parent needs no warning: it goes wherever its connections go, and where a sink does not take its kind, nothing of them is
/// held back there.
fn warn_unrouted(plan: &Plan, sinks: &[SinkSettings], main: &Provenance, notes: &mut Notes) {
    for vpn in &plan.vpns {
        let lost: Vec<_> = Kind::BY_DEFAULT
            .into_iter()
            .filter(|kind| vpn.incident.open_after(*kind).is_some())
            .filter(|kind| !sinks.iter().any(|sink| sink.plan().takes_vpn(&vpn.id, *kind)))
            .map(Kind::as_str)
            .collect();
        if !lost.is_empty() {
            let what =
                format!("no sink takes {} of {}: recorded, but not sent to anybody", lost.join(", "), vpn.id);
            notes.warning(main.clone(), "incident.sink", what);
        }
    }
}
