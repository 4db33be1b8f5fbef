//! `bothends drill`: a test incident through the sinks. `incident::drill` says why it is never taken for a real one.
//!
//! The command calls the sinks itself, with the configuration's settings and the daemon's session name; the daemon need not run. It
//! refuses while a real incident is open or pending, at the sinks or in the daemon's status. The sinks get their drills one after
//! the other, so that none is open for longer than it takes to read it back.

mod performance;

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use self::performance::{Daemon, Outcome, Stage, Watch, drill_messages, drill_record, left_open};
use super::as_service::{self, Task, Whose};
use super::terminal;
use crate::aws::{AwsConnections, ConnectionSettings, Failure, FailureClass};
use crate::clock;
use crate::config::{Config, Mode, SinkSettings, Vendor};
use crate::daemon::any_sink::{self, AnySink};
use crate::domain::names::Kind;
use crate::domain::plan::VpnPlan;
use crate::incident::drill::Drill;
use crate::incident::settings::SinkRules;
use crate::incident::sink::SinkError;
use crate::process::Exit;
use crate::settings::{WebhookBody, WebhookPreset};

pub(super) fn run(path: &Path, config: &Config, arguments: &DrillArguments) -> Exit {
    let rounds = match chosen(config, arguments) {
        Ok(rounds) => rounds,
        Err(problem) => {
            complain!("{problem}");
            return Exit::Usage;
        }
    };
    if !arguments.yes && !io::stdin().is_terminal() {
        complain!("stdin is not a terminal; use --yes to skip confirmation");
        return Exit::Usage;
    }
    let whose = as_service::whose(arguments.own_credentials, path);
    whose.say(Task::AskAws);
    // With both options this is the process that runs as the service; the first has announced it.
    if !(arguments.yes && arguments.own_credentials) {
        announce(config, &rounds, arguments.hold);
    }
    if !arguments.yes && !is_confirmed() {
        complain!("nothing was started");
        return Exit::BadNews;
    }
    if whose == Whose::Service {
        let words = arguments.confirmed();
        return as_service::run(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let runtime = match terminal::runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    // The daemon's session name, so that a role that trusts only that session is tested as well.
    let settings = ConnectionSettings::from_env(Arc::clone(&config.plan.site));
    let settings = ConnectionSettings { key_exchange: config.aws.key_exchange, ..settings };
    let connections = match AwsConnections::load(settings) {
        Ok(connections) => connections,
        Err(error) => {
            complain!("{error}");
            return Exit::Configuration;
        }
    };
    let exit = runtime.block_on(drill(path, config, connections, &rounds, arguments.hold));
    // Do not wait for a name that does not resolve.
    runtime.shutdown_background();
    exit
}

/// Says what will be sent, and where.
fn announce(config: &Config, rounds: &[SinkDrill], hold: Option<u64>) {
    say!("a test incident titled DRILL, with impact 5 (none), to each of these sinks:");
    for SinkDrill { sink, vpn, kind } in rounds {
        let target = match &sink.vendor {
            Vendor::OpsCenter => "an OpsItem of the lowest severity".to_owned(),
            Vendor::IncidentManager { .. } | Vendor::Sns { .. } | Vendor::Webhook(_) => {
                sink.target(&vpn.id, *kind)
            }
        };
        say!("  {}: as {} of {} ({}), to {target}", sink.id, kind.as_str(), vpn.name, vpn.id);
    }
    say!("This WILL page on-call contacts where a sink pages. The incident is then read back and resolved.");
    for SinkDrill { sink, .. } in rounds {
        if let Some(note) = about_grouping(sink, hold) {
            say!("{note}");
        }
    }
    match config.mode {
        Mode::Raise => {}
        Mode::Observe => say!("mode = \"observe\" suppresses real incidents only: the drill is sent"),
    }
}

/// Alertmanager waits this long before it sends the first notice of a group (`group_wait`, 30 s by default,
/// <https://prometheus.io/docs/alerting/latest/configuration/#route>), and drops an alert that is over by then.
const GROUP_WAIT: u64 = 30;
/// So an alert that should page stays for longer.
const HOLD_GROUPED: u64 = 60;

/// Whether a sink's receiver waits before it pages.
fn groups(sink: &SinkSettings) -> bool {
    match &sink.vendor {
        Vendor::Webhook(webhook) => match webhook.body {
            WebhookBody::Preset(WebhookPreset::Alertmanager) => true,
            WebhookBody::Preset(WebhookPreset::PagerDuty | WebhookPreset::Slack)
            | WebhookBody::Template { .. } => false,
        },
        Vendor::IncidentManager { .. } | Vendor::OpsCenter | Vendor::Sns { .. } => false,
    }
}

/// How long a drill stays open at a sink.
fn hold_time(sink: &SinkSettings, hold: Option<u64>) -> Duration {
    let default = if groups(sink) { HOLD_GROUPED } else { 0 };
    Duration::from_secs(hold.unwrap_or(default))
}

/// A note or warning if the sink's receiver groups alerts.
fn about_grouping(sink: &SinkSettings, hold: Option<u64>) -> Option<String> {
    if !groups(sink) {
        return None;
    }
    let seconds = hold_time(sink, hold).as_secs();
    Some(if seconds > GROUP_WAIT {
        format!(
            "{}: the drill stays open for {seconds} s, because Alertmanager waits for group_wait ({GROUP_WAIT} s by default) \
             before it notifies anybody",
            sink.id
        )
    } else {
        format!(
            "{}: NOBODY MAY BE NOTIFIED: Alertmanager waits for group_wait ({GROUP_WAIT} s by default), and the drill is \
             over after {seconds} s; use --hold {HOLD_GROUPED}",
            sink.id
        )
    })
}

fn is_confirmed() -> bool {
    terminal::text(format_args!("type yes to go on: "));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).is_ok() && answer.trim() == "yes"
}

/// A drill whose sink is open.
struct Ready<'r> {
    round: &'r SinkDrill,
    place: AnySink,
    settings: SinkRules,
}

async fn drill(
    path: &Path,
    config: &Config,
    connections: AwsConnections,
    rounds: &[SinkDrill],
    hold: Option<u64>,
) -> Exit {
    let watch = match Watch::new(path, &config.http) {
        Ok(watch) => watch,
        Err(error) => {
            complain!("cannot listen for signals: {error}");
            return Exit::Internal;
        }
    };
    match watch.daemon() {
        Daemon::Quiet => {}
        Daemon::Absent(why) => {
            complain!("the daemon does not answer ({why}): only the sinks are checked for open incidents")
        }
        Daemon::Busy(what) => {
            complain!("nothing was started: {what}");
            return Exit::BadNews;
        }
    }
    let looked = tokio::select! {
        looked = look(config, &connections, rounds) => looked,
        // Nothing is open yet.
        () = watch.interrupted() => Err("interrupted".to_owned()),
    };
    let Looked { ready, mut failed } = match looked {
        Ok(looked) => looked,
        Err(why) => {
            complain!("nothing was started: {why}");
            return Exit::BadNews;
        }
    };
    let mut well = failed.is_empty();
    for one in &ready {
        say!("{}", one.round.sink.id);
        if let Some(why) = watch.why_stop() {
            say!("  not started  {why}");
            well = false;
            continue;
        }
        let outcome = perform(config, one, &watch, hold).await;
        well &= outcome.well();
        failed.extend(outcome.errors());
    }
    if well {
        Exit::Success
    } else if failed.iter().any(is_permission) {
        Exit::Permission
    } else {
        Exit::BadNews
    }
}

/// The result of looking for open real incidents.
struct Looked<'r> {
    ready: Vec<Ready<'r>>,
    failed: Vec<SinkError>,
}

/// Looks at every sink. `Err` says why no drill may begin.
async fn look<'r>(
    config: &Config,
    connections: &AwsConnections,
    rounds: &'r [SinkDrill],
) -> Result<Looked<'r>, String> {
    let mut all = Vec::new();
    for round in rounds {
        let settings = any_sink::settings(connections, config, &round.sink).await;
        let region = round.sink.region.clone().or_else(|| config.aws.region.clone());
        let place = any_sink::open(connections.clone(), &round.sink, region, &settings.site);
        all.push(Ready { round, place, settings });
    }
    let mut looked = Looked { ready: Vec::new(), failed: Vec::new() };
    for one in all {
        match left_open(&one.place, &one.settings).await {
            Ok(None) => looked.ready.push(one),
            Ok(Some(record)) => {
                return Err(format!("{record} is open at {} and is not a drill", one.round.sink.id));
            }
            Err(error) => {
                say!("{}\n  not started  cannot check for open records: {error}", one.round.sink.id);
                looked.failed.push(error);
            }
        }
    }
    Ok(looked)
}

async fn perform(config: &Config, ready: &Ready<'_>, watch: &Watch, hold: Option<u64>) -> Outcome {
    let Ready { round, place, settings } = ready;
    let incident = Drill {
        site: Arc::clone(&config.plan.site),
        vpn: round.vpn.id.clone(),
        vpn_name: Arc::clone(&round.vpn.name),
        kind: round.kind,
        at: clock::wall(),
    };
    let hold = hold_time(&round.sink, hold);
    let stage = Stage { incident: &incident, settings, watch, hold };
    match place {
        AnySink::IncidentManager(sink) => drill_record(sink, &stage).await,
        AnySink::OpsCenter(sink) => drill_record(sink, &stage).await,
        AnySink::Sns(sink) => drill_messages(sink, &stage).await,
        AnySink::Webhook(sink, _) => drill_messages(&**sink, &stage).await,
    }
}

fn is_permission(error: &SinkError) -> bool {
    let failure = match error {
        SinkError::Temporary { source, .. } | SinkError::Rejected { source, .. } => source.as_deref(),
        SinkError::TokenKnown | SinkError::NotFound => None,
    };
    let Some(failure) = failure.and_then(|source| source.downcast_ref::<Failure>()) else { return false };
    failure.kind.class() == FailureClass::Permission
}

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct DrillArguments {
    /// Only this sink, such as incident_manager or sns-2.
    #[arg(long, value_name = "SINK")]
    sink: Option<String>,
    /// Use this connection; default: the first that the sink takes.
    #[arg(long, value_name = "VPN_ID")]
    vpn: Option<String>,
    /// Use this kind of incident; default: the first that the sink takes.
    #[arg(long, value_name = "KIND", value_parser = ["outage", "redundancy_lost", "one_sided", "degraded"])]
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

impl DrillArguments {
    /// The same command, confirmed, for the process with the service's credentials.
    pub(super) fn confirmed(&self) -> Vec<String> {
        let mut words = vec!["drill".to_owned(), "--yes".to_owned()];
        words.extend(self.hold.map(|seconds| format!("--hold={seconds}")));
        let chosen = [("sink", &self.sink), ("vpn", &self.vpn), ("kind", &self.kind)];
        words.extend(chosen.iter().filter_map(|(name, value)| Some(format!("--{name}={}", value.as_ref()?))));
        words
    }
}

/// One drill at one sink.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SinkDrill {
    pub(super) sink: SinkSettings,
    pub(super) vpn: Arc<VpnPlan>,
    pub(super) kind: Kind,
}

/// One drill for each requested sink, of the first connection and kind that it takes.
pub(super) fn chosen(config: &Config, arguments: &DrillArguments) -> Result<Vec<SinkDrill>, String> {
    let DrillArguments { sink, vpn, kind, hold: _, yes: _, own_credentials: _ } = arguments;
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
            .find(|(vpn, kind)| plan.takes_vpn(&vpn.id, *kind))?;
        Some(SinkDrill { sink: sink.clone(), vpn: Arc::clone(vpn), kind })
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

/// Checks that the option names one of these.
fn known(option: &str, named: Option<&str>, what: &str, ids: &[&str]) -> Result<(), String> {
    match named.filter(|named| !ids.contains(named)) {
        None => Ok(()),
        Some(named) => {
            let ids = ids.join(", ");
            Err(format!("{option} {named}: the configuration has no such {what}; it has {ids}"))
        }
    }
}
