//! SIGHUP: the configuration is read again. What did not change goes on; a wrong one changes nothing.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::people::People;
use crate::config::{self, Config};
use crate::driver::Command;
use crate::health::{Component, Problem, Severity};
use crate::http::server::About;
use crate::process::environment;
use crate::telemetry::names::Names;
use crate::telemetry::wording::Notice;

/// What `/status` says of the daemon.
pub(super) fn about(config: &Config) -> About {
    About { version: env!("CARGO_PKG_VERSION"), mode: config.mode.as_str() }
}

/// Says what of the configuration may be meant otherwise.
pub(super) fn warn(config: &Config) {
    for warning in &config.warnings {
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

/// Reads the configuration and puts it in force; `None` if it is wrong, and all stays as it was.
pub(super) async fn reload(people: &People) -> Option<Config> {
    let mut config = match config::load(&people.config_path, &environment()) {
        Ok(config) => config,
        Err(rejection) => {
            refuse(people, &rejection.to_string());
            return None;
        }
    };
    warn(&config);
    let (done, in_force) = oneshot::channel();
    let command = Command::Reconfigure(Arc::clone(&config.plan), done);
    // Records of what the change brings about are worded with the names of the new plan.
    people.facts.set_names(Names::from(&*config.plan));
    if people.commands.send(command).await.is_err() || in_force.await.is_err() {
        // The driver is gone: the daemon is ending.
        return None;
    }
    people.prometheus.config_reload(true);
    let (vpns, tunnels) = watched(&config);
    Notice::Reloaded { vpns, tunnels }.record(Some(&config.plan.site)).emit();
    keep_what_needs_a_restart(people, &mut config);
    Some(config)
}

/// The listener and the store are opened once.
fn keep_what_needs_a_restart(people: &People, config: &mut Config) {
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
        return;
    }
    let text =
        format!("{} changed, which needs a restart: systemctl restart bothends", pending.join(" and "));
    Notice::ConfigurationWarning { what: &text }.record(Some(&config.plan.site)).emit();
    people.health.set(Component::Configuration, Problem { severity: Severity::Degraded, text });
}

fn refuse(people: &People, problems: &str) {
    people.prometheus.config_reload(false);
    Notice::ReloadRefused { problems }.record(Some(&people.config.plan.site)).emit();
    let text = format!("the last reload was refused: {problems}");
    people.health.set(Component::Configuration, Problem { severity: Severity::Degraded, text });
}

fn watched(config: &Config) -> (usize, usize) {
    let vpns = &config.plan.vpns;
    (vpns.len(), vpns.iter().map(|vpn| vpn.used_tunnels().count()).sum())
}
