//! SIGHUP and `bothends reload`: the configuration is read again. What did not change goes on; a wrong one changes nothing.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::notify::Notifier;
use super::people::People;
use super::sinks::Sinks;
use crate::config::{Config, Rejection, Warning};
use crate::control::Answer;
use crate::driver::Command;
use crate::health::{Component, Problem, Severity};
use crate::http::server::About;
use crate::telemetry::names::Names;
use crate::telemetry::wording::Notice;

/// What `/status` says of the daemon.
pub(super) fn about(config: &Config) -> About {
    About { version: env!("CARGO_PKG_VERSION"), mode: config.mode.as_str() }
}

/// Says what of the configuration may be meant otherwise, unless it has been `told` already.
pub(super) fn warn(config: &Config, told: &[Warning]) {
    for warning in config.warnings.iter().filter(|warning| !told.iter().any(|told| warning.repeats(told))) {
        let what = warning.to_string();
        Notice::ConfigurationWarning { what: &what }.record(Some(&config.plan.site)).emit();
    }
}

/// Says what is watched.
pub(super) fn started(config: &Config) {
    let (vpns, tunnels) = watched(config);
    let (version, mode) = (env!("CARGO_PKG_VERSION"), config.mode.as_str());
    Notice::Started { version, vpns, tunnels, mode }.record(Some(&config.plan.site)).emit();
}

/// A configuration that the core has taken.
pub(super) struct Taken {
    pub(super) config: Config,
    /// What is allowed but deserves a look, and what takes force with the next start only; a line each.
    pub(super) notes: Vec<String>,
}

impl Taken {
    /// What who asked is told, once everything does as it says.
    pub(super) fn answer(config: &Config, notes: Vec<String>) -> Answer {
        let (vpns, tunnels) = watched(config);
        Answer::InForce { vpns, tunnels, notes }
    }
}

/// Reads the configuration and has the core take it. `Err` if it is wrong, or the daemon is ending, and all stays as it was.
pub(super) async fn reload(people: &People, sinks: &mut Sinks, notifier: &Notifier) -> Result<Taken, Answer> {
    let mut config = match super::load(&people.config_path) {
        Ok(config) => config,
        Err(rejection) => {
            refuse(people, &rejection);
            notifier.refused(&rejection);
            let problems = rejection.problems.iter().map(ToString::to_string).collect();
            return Err(Answer::Refused { problems });
        }
    };
    // What stands in the configuration in force has been told.
    warn(&config, &people.config.warnings);
    let (done, in_force) = oneshot::channel();
    sinks.retire(&config).await;
    let command = Command::Reconfigure(Arc::clone(&config.plan), done);
    // Records of what the change brings about are worded with the names of the new plan.
    people.facts.set_names(Names::from(&*config.plan));
    if people.commands.send(command).await.is_err() || in_force.await.is_err() {
        // The driver is gone.
        return Err(Answer::Ending);
    }
    people.prometheus.config_reload(true);
    let (vpns, tunnels) = watched(&config);
    Notice::Reloaded { vpns, tunnels }.record(Some(&config.plan.site)).emit();
    let mut notes: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    notes.extend(keep_what_needs_a_restart(people, &mut config));
    Ok(Taken { config, notes })
}

/// The listener and the store are opened once.
fn keep_what_needs_a_restart(people: &People, config: &mut Config) -> Option<String> {
    let mut pending = Vec::new();
    if config.http != people.config.http {
        pending.push("[http] listen");
    }
    if config.store != people.config.store {
        pending.push("[store]");
    }
    config.http = people.config.http;
    config.store = people.config.store.clone();
    if pending.is_empty() {
        people.health.clear(&Component::Configuration);
        return None;
    }
    let text =
        format!("{} changed, which needs a restart: systemctl restart bothends", pending.join(" and "));
    Notice::ConfigurationWarning { what: &text }.record(Some(&config.plan.site)).emit();
    people.health.set(Component::Configuration, Problem { severity: Severity::Degraded, text: text.clone() });
    Some(text)
}

fn refuse(people: &People, rejection: &Rejection) {
    let problems = rejection.to_string();
    people.prometheus.config_reload(false);
    Notice::ReloadRefused { problems: &problems }.record(Some(&people.config.plan.site)).emit();
    let text = format!("the last reload was refused: {problems}");
    people.health.set(Component::Configuration, Problem { severity: Severity::Degraded, text });
}

fn watched(config: &Config) -> (usize, usize) {
    let vpns = &config.plan.vpns;
    (vpns.len(), vpns.iter().map(|vpn| vpn.used_tunnels().count()).sum())
}
