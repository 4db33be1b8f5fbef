//! `bothends drill`: a test incident through the sinks. `incident::drill` says why it is never taken for a real one.
//!
//! The command speaks to the sinks by itself, with the configuration's own settings and the daemon's name; a daemon need not run.
//! It refuses while a real incident is open, or about to be: at the sinks, or by the daemon's word. Each sink gets its drill alone,
//! one after the other, so that none is open for longer than it takes to read it back.

mod chosen;
mod performance;
mod watch;

use std::io::{self, BufRead as _, IsTerminal as _};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use self::chosen::{Round, chosen};
use self::performance::{Outcome, Stage, keep, left_open, tell};
use self::watch::{Daemon, Watch};
use super::say;
use crate::aws::{AwsConnections, AwsSettings, Failure};
use crate::clock;
use crate::config::{Config, Mode, Vendor};
use crate::daemon::places::{self, Place};
use crate::incident::drill::Drill as Incident;
use crate::incident::settings::Settings;
use crate::incident::sink::SinkError;
use crate::process::Exit;

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct Drill {
    /// Through this sink alone, such as incident_manager or sns-2.
    #[arg(long, value_name = "SINK")]
    sink: Option<String>,
    /// As if it were of this connection; else of the first that a sink takes.
    #[arg(long, value_name = "VPN_ID")]
    vpn: Option<String>,
    /// As if it were of this kind; else of the first that a sink takes.
    #[arg(long, value_name = "KIND", value_parser = ["outage", "redundancy_lost", "one_sided"])]
    kind: Option<String>,
    /// Keep each drill open for so long, for a telephone to ring; a real incident ends it.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=600))]
    hold: u64,
    /// Do not ask first.
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(config: &Config, arguments: &Drill) -> Exit {
    let rounds = match chosen(config, arguments) {
        Ok(rounds) => rounds,
        Err(problem) => {
            complain!("{problem}");
            return Exit::Usage;
        }
    };
    if !arguments.yes && !io::stdin().is_terminal() {
        complain!("standard input is no terminal, so that nobody can be asked; add --yes");
        return Exit::Usage;
    }
    announce(config, &rounds);
    if !arguments.yes && !agreed() {
        complain!("nothing was started");
        return Exit::BadNews;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain!("cannot start: {error}");
            return Exit::Internal;
        }
    };
    // The same name as the daemon's: a role that trusts only that session is tried as well.
    let connections = match AwsConnections::load(AwsSettings::from_env(Arc::clone(&config.plan.site))) {
        Ok(connections) => connections,
        Err(error) => {
            complain!("{error}");
            return Exit::Configuration;
        }
    };
    runtime.block_on(drill(config, connections, &rounds, Duration::from_secs(arguments.hold)))
}

/// What will be done to whom.
fn announce(config: &Config, rounds: &[Round]) {
    say!("a test incident, marked DRILL, of impact 5:");
    for Round { sink, vpn, kind } in rounds {
        let target = match &sink.vendor {
            Vendor::OpsCenter => "an OpsItem of the lowest severity".to_owned(),
            Vendor::IncidentManager { .. } | Vendor::Sns { .. } | Vendor::Webhook(_) => {
                sink.target(&vpn.id, *kind)
            }
        };
        say!("  {}: as {} of {} ({}), to {target}", sink.id, kind.as_str(), vpn.name, vpn.id);
    }
    say!("it is read back and resolved; whoever is paged by these is paged");
    match config.mode {
        Mode::Raise => {}
        Mode::Observe => say!("mode = \"observe\" holds back real incidents only: the drill is sent"),
    }
}

fn agreed() -> bool {
    say::text(format_args!("type yes to go on: "));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).is_ok() && answer.trim() == "yes"
}

/// A round at its sink, made ready.
struct Ready<'r> {
    round: &'r Round,
    place: Place,
    settings: Settings,
}

async fn drill(config: &Config, connections: AwsConnections, rounds: &[Round], hold: Duration) -> Exit {
    let watch = match Watch::new(config.http.listen) {
        Ok(watch) => watch,
        Err(error) => {
            complain!("cannot listen for signals: {error}");
            return Exit::Internal;
        }
    };
    match watch.daemon() {
        Daemon::Quiet => {}
        Daemon::Absent(why) => {
            complain!("no word from the daemon ({why}): the sinks alone are asked what is open")
        }
        Daemon::Busy(what) => {
            complain!("nothing was started: {what}");
            return Exit::BadNews;
        }
    }
    let mut all = Vec::new();
    for round in rounds {
        let settings = places::settings(&connections, config, &round.sink).await;
        let region = round.sink.region.clone().or_else(|| config.aws.region.clone());
        let place = places::open(connections.clone(), &round.sink, region, &settings.site);
        all.push(Ready { round, place, settings });
    }
    let mut failed = Vec::new();
    let mut ready = Vec::new();
    for one in all {
        match left_open(&one.place, &one.settings).await {
            Ok(None) => ready.push(one),
            Ok(Some(record)) => {
                complain!(
                    "nothing was started: {record} is open at {}, and is no drill's",
                    one.round.sink.id
                );
                return Exit::BadNews;
            }
            Err(error) => {
                say!("{}\n  not started  what is open there cannot be seen: {error}", one.round.sink.id);
                failed.push(error);
            }
        }
    }
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

async fn perform(config: &Config, ready: &Ready<'_>, watch: &Watch, hold: Duration) -> Outcome {
    let Ready { round, place, settings } = ready;
    let incident = Incident {
        site: Arc::clone(&config.plan.site),
        vpn: round.vpn.id.clone(),
        vpn_name: Arc::clone(&round.vpn.name),
        kind: round.kind,
        at: clock::wall(),
    };
    let stage = Stage { incident: &incident, settings, watch, hold };
    match place {
        Place::IncidentManager(sink) => keep(sink, &stage).await,
        Place::OpsCenter(sink) => keep(sink, &stage).await,
        Place::Sns(sink) => tell(sink, &stage).await,
        Place::Webhook(sink, _) => tell(&**sink, &stage).await,
    }
}

fn is_permission(error: &SinkError) -> bool {
    let failure = match error {
        SinkError::Temporary { source, .. } | SinkError::Rejected { source, .. } => source.as_deref(),
        SinkError::TokenKnown | SinkError::NotFound => None,
    };
    let Some(failure) = failure.and_then(|source| source.downcast_ref::<Failure>()) else { return false };
    failure.kind.is_of_permission()
}
