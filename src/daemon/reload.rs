//! SIGHUP and `bothends reload`: the configuration is read again. Unchanged parts continue; a wrong configuration changes nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::any_sink;
use super::context::IoContext;
use super::notify::Notifier;
use super::protection::listener_faults;
use super::sinks::Sinks;
use crate::catalogue::{Names, Notice, silence};
use crate::config::needs::Needs;
use crate::config::{self, Config, Loaded, Rejection, Warning};
use crate::domain::plan::Plan;
use crate::domain::silence::Silence;
use crate::driver::Command;
use crate::health::{Component, Problem};
use crate::http::routes::{About, ReloadAnswer};
use crate::process::{self, Granted};
use crate::settings::{StoreSettings, WebhookSettings};
use crate::silences::cover;

/// Reads the configuration, and tries what can be tried without effect.
pub(super) fn read(config_path: &Path) -> Result<Loaded, Rejection> {
    let trial = |webhook: &WebhookSettings| any_sink::trial(webhook, any_sink::Reach::Daemon);
    let loaded = config::load_to_run(config_path, &process::environment(), process::user(), &trial)?;
    let mut lacking = Needs::of(&loaded.config).lacking(&Granted::here());
    lacking.extend(listener_faults(&loaded.config.http.protection, any_sink::Reach::Daemon));
    if lacking.is_empty() { Ok(loaded) } else { Err(Rejection::of_file(config_path, lacking)) }
}

/// What `/status` says of the daemon.
pub(super) fn about(config: &Config) -> About {
    About { version: env!("CARGO_PKG_VERSION"), mode: config.mode.as_str() }
}

/// Logs the warnings of the configuration that are not `known` already.
pub(super) fn warn(loaded: &Loaded, known: &[Warning]) {
    for warning in loaded.warnings.iter().filter(|warning| !known.iter().any(|known| warning.repeats(known)))
    {
        let what = warning.to_string();
        Notice::ConfigurationWarning { what: &what }.record(Some(&loaded.config.plan.site)).emit();
    }
}

/// Logs that the daemon has started, and what it monitors.
pub(super) fn started(config: &Config) {
    let (vpns, tunnels) = watched(config);
    let (version, mode) = (env!("CARGO_PKG_VERSION"), config.mode.as_str());
    Notice::Started { version, vpns, tunnels, mode }.record(Some(&config.plan.site)).emit();
}

/// A configuration that the core has accepted.
pub(super) struct Reloaded {
    pub(super) config: Config,
    pub(super) warnings: Vec<Warning>,
    /// Warnings, and settings that take effect only at the next start; a line each.
    pub(super) notes: Vec<String>,
}

impl Reloaded {
    /// The answer to the command, once all parts follow the configuration.
    pub(super) fn answer(config: &Config, notes: Vec<String>) -> ReloadAnswer {
        let (vpns, tunnels) = watched(config);
        ReloadAnswer::InForce { vpns, tunnels, notes }
    }
}

/// Reads the configuration and passes it to the core. `Err` if it is wrong or the daemon is ending; then nothing has changed.
pub(super) async fn reload(
    context: &IoContext,
    sinks: &mut Sinks,
    notifier: &Notifier,
) -> Result<Reloaded, ReloadAnswer> {
    let loaded = match read_apart(&context.config_path).await {
        Ok(loaded) => loaded,
        Err(rejection) => {
            refuse(context, &rejection);
            notifier.refused(&rejection);
            return Err(ReloadAnswer::Refused { problems: rejection.lines() });
        }
    };
    // Warnings that the configuration in force has as well are logged already.
    warn(&loaded, &context.warnings);
    let Loaded { mut config, warnings, files: _ } = loaded;
    let (done, in_force) = oneshot::channel();
    sinks.retire(context, &config).await;
    let command = Command::Reconfigure(Arc::clone(&config.plan), done);
    // The records of what the change causes use the names of the new plan.
    context.facts.set_names(Names::from(&*config.plan));
    if context.commands.send(command).await.is_err() || in_force.await.is_err() {
        // The driver is gone.
        return Err(ReloadAnswer::Ending);
    }
    context.connections.dialer().set_key_exchange(config.aws.key_exchange);
    context.prometheus.config_reload(true);
    let (vpns, tunnels) = watched(&config);
    Notice::Reloaded { vpns, tunnels }.record(Some(&config.plan.site)).emit();
    let mut notes: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    // The status is newer than the change of the plan, and so than every silence that was added before.
    let silences = Arc::clone(&context.status.borrow().silences);
    let uncovered = uncovered(&silences, &context.config.plan, &config.plan);
    for what in &uncovered {
        Notice::ConfigurationWarning { what }.record(Some(&config.plan.site)).emit();
    }
    notes.extend(uncovered);
    notes.extend(keep_what_needs_a_restart(context, &mut config));
    Ok(Reloaded { config, warnings, notes })
}

/// What this configuration takes out of the silences, one line for each of these.
fn uncovered(silences: &[Silence], before: &Plan, plan: &Plan) -> Vec<String> {
    let lost = |silence: &Silence| {
        let lost = cover::lost(&silence.of, before, plan)?;
        Some(silence::uncovered(silence, &lost, before))
    };
    silences.iter().filter_map(lost).collect()
}

/// The listener and the store are opened once.
fn keep_what_needs_a_restart(context: &IoContext, config: &mut Config) -> Option<String> {
    let mut pending = Vec::new();
    if config.http.listen != context.config.http.listen {
        pending.push("[http] listen");
    }
    if config.http.hosts != context.config.http.hosts {
        pending.push("[http] hosts");
    }
    if config.http.protection.tls != context.config.http.protection.tls {
        pending.push("[http] tls_certificate and tls_key");
    }
    if config.http.protection.token != context.config.http.protection.token {
        pending.push("[http] token_file");
    }
    // Whether rollups wait follows from another table.
    let store = StoreSettings { spool: context.config.store.spool, ..config.store.clone() };
    if store != context.config.store {
        pending.push("[store]");
    }
    config.http = context.config.http.clone();
    config.store = context.config.store.clone();
    if pending.is_empty() {
        context.health.clear(&Component::Configuration);
        return None;
    }
    let problem = Problem::restart_needed(&pending);
    let text = problem.text.clone();
    context.health.set(Component::Configuration, problem);
    Some(text)
}

/// Reads it on a thread of its own, because a disk or network file system may hang, and pages must not wait for it.
async fn read_apart(path: &Path) -> Result<Loaded, Rejection> {
    let path = path.to_owned();
    let refused = |what: &str| Err(Rejection::of_file(&path, vec![what.to_owned()]));
    if READING.swap(true, Ordering::AcqRel) {
        return refused(
            "the previous reload is still reading: a disk or network does not answer, or the configuration takes long to check",
        );
    }
    let (done, outcome) = oneshot::channel();
    let reading = {
        let path = path.clone();
        move || {
            let read = read(&path);
            READING.store(false, Ordering::Release);
            let _gone = done.send(read);
        }
    };
    if let Err(error) = thread::Builder::new().name("reload".into()).spawn(reading) {
        READING.store(false, Ordering::Release);
        return refused(&format!("cannot start a thread to read it: {error}"));
    }
    match timeout(READ_WITHIN, outcome).await {
        Ok(Ok(read)) => read,
        Ok(Err(_)) => refused("the thread that read it has ended"),
        Err(_) => refused(&format!(
            "it, or a file that it names, was not read and checked within {} s: a disk or network does not \
             answer, or this host is too slow or busy; see how long `bothends check` takes",
            READ_WITHIN.as_secs()
        )),
    }
}

/// Whether a thread is reading: if it hangs, no second one is started.
static READING: AtomicBool = AtomicBool::new(false);

/// Worn flash takes a second for a file. `bothends reload` waits three times as long as this.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// The most problems shown in `/readyz` and the journal.
const PROBLEMS_SHOWN: usize = 20;

/// The first problems, a line each, and how many more there are.
fn first_problems(rejection: &Rejection) -> String {
    let mut lines: Vec<_> = rejection.problems.iter().take(PROBLEMS_SHOWN).map(ToString::to_string).collect();
    let more = rejection.count().saturating_sub(lines.len());
    if more > 0 {
        lines.push(format!("and {more} more: `bothends check` lists more"));
    }
    lines.join("\n")
}

fn refuse(context: &IoContext, rejection: &Rejection) {
    let problems = first_problems(rejection);
    context.prometheus.config_reload(false);
    Notice::ReloadRefused { problems: &problems }.record(Some(&context.config.plan.site)).emit();
    context.health.set(Component::Configuration, Problem::reload_refused(&problems));
}

fn watched(config: &Config) -> (usize, usize) {
    let vpns = &config.plan.vpns;
    (vpns.len(), vpns.iter().map(|vpn| vpn.used_tunnels().count()).sum())
}
