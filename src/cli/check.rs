//! `bothends check`: explains the configuration; with `--aws`, whether AWS allows what it needs.

mod aws;
mod sensors;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::as_service::{self, Task, Whose};
use super::{terminal, unit};
use crate::access::User;
use crate::clock;
use crate::config::needs::{Needs, UNIT, mebibytes};
use crate::config::{self, Config, DEFAULT_PATH, Loaded, Rejection, SERVICE, describe};
use crate::daemon::{self, HostRefusal, any_sink};
use crate::domain::plan::TunnelPlan;
use crate::health::Problem;
use crate::http::protection::Protection;
use crate::probe::address::{self, Ownership};
use crate::probe::permission::datagram_closed_to;
use crate::process::{self, Exit, Granted, environment};
use crate::settings::{StoreSettings, WebhookSettings};
use crate::store::{Capacity, capacity};

pub(super) fn run(path: &Path, aws: bool, to_run: bool, own_credentials: bool) -> Exit {
    if aws || to_run {
        let whose = as_service::whose(own_credentials, path);
        whose.say(if aws { Task::AskAws } else { Task::CheckStart });
        if whose == Whose::Service {
            let asked = [(aws, "--aws"), (to_run, "--to-run")];
            let asked = asked.into_iter().filter_map(|(asked, option)| asked.then_some(option));
            return as_service::run(&std::iter::once("check").chain(asked).collect::<Vec<_>>());
        }
    }
    let (env, us) = (environment(), process::user());
    let trial = |webhook: &WebhookSettings| {
        any_sink::trial(webhook, if to_run { any_sink::Reach::Daemon } else { any_sink::Reach::Other })
    };
    let loaded = if to_run {
        config::load_to_run(path, &env, us, &trial)
    } else {
        config::load_to_check(path, &env, us, &trial)
    };
    match &loaded {
        Ok(loaded) => explain(loaded, sensors::Asker::here(us, to_run)),
        Err(rejection) => complain!("{rejection}"),
    }
    if !to_run {
        for refused in refused_by_run(path, &env, us) {
            complain!("warning: {refused}");
        }
        for lacking in service_lacks(path, us) {
            complain!("warning: {lacking} (the service's start is refused)");
        }
        if let (Ok(loaded), Some(service)) = (&loaded, service_beside(path, us)) {
            for closed in sensors::closed_to(service, &loaded.config.sensors) {
                complain!("warning: {closed}");
            }
        }
    }
    let Ok(Loaded { config, .. }) = &loaded else { return Exit::Configuration };
    let reach = if to_run { any_sink::Reach::Daemon } else { any_sink::Reach::Other };
    let faults = daemon::listener_faults(&config.http.protection, reach);
    if !faults.is_empty() {
        complain!("{}", Rejection::of_file(path, faults));
        return Exit::Configuration;
    }
    if to_run {
        let lacking = Needs::of(config).lacking(&Granted::here());
        if !lacking.is_empty() {
            complain!("{}", Rejection::of_file(path, lacking));
            return Exit::Configuration;
        }
    }
    if to_run && let Err(HostRefusal { why, exit }) = daemon::connections(config) {
        complain!("{why}");
        return exit;
    }
    if aws { aws::run(config) } else { Exit::Success }
}

/// Problems with the files beside the configuration for which `run` would refuse it. Only warnings: a file may be checked before
/// it is installed, on another host, or by a user with other credentials.
fn refused_by_run(path: &Path, env: &BTreeMap<String, String>, us: u32) -> Vec<String> {
    let around = config::foreign(path, us).into_iter().chain(config::exposed_beside(path, env));
    let around = around.map(|problem| format!("{problem} (`bothends run` refuses that)"));
    let own = config::exposed_of_aws(path, env).into_iter().map(|problem| {
        format!("{problem} (`bothends run` as this user refuses that; the service does not see it)")
    });
    around.chain(own).collect()
}

fn explain(loaded: &Loaded, asker: sensors::Asker) {
    let Loaded { config, warnings, files: _ } = loaded;
    terminal::text(format_args!("{}", describe(loaded)));
    say!("            {}", capacity_of_store(config));
    let needs = Needs::of(config);
    say!(
        "needs       up to {} of memory and {} open files; the package's unit grants {} and {}",
        mebibytes(needs.memory),
        needs.files,
        UNIT.memory.map_or_else(String::new, mebibytes),
        UNIT.files
    );
    sensors::report(config, asker);
    for warning in warnings {
        complain!("warning: {warning}");
    }
    // Only a warning: this host may grant more. `run` and `check --to-run` compare with what it grants, and refuse.
    for lacking in needs.lacking(&UNIT) {
        complain!("warning: with the package's unit as it is shipped, {lacking}");
    }
    let own = address::own_addresses().unwrap_or_default();
    for tunnel in config.plan.vpns.iter().flat_map(|vpn| vpn.used_tunnels()) {
        if let Some(mistake) = address::address_mistake(tunnel, &own) {
            complain!("warning: {}: {mistake}", tunnel.id.vpn);
        } else if let Some(complaint) = not_here(tunnel) {
            complain!("warning: {complaint}");
        }
    }
    if let Some(expiry) =
        Protection::read(&config.http.protection).ok().and_then(|protection| protection.expiry())
        && expiry.is_near(clock::wall())
    {
        complain!("warning: {}", Problem::certificate_expiring(expiry.ends, clock::wall()).text);
    }
    let listen = config.http.listen.ip();
    if !listen.is_unspecified() && !listen.is_loopback() && matches!(address::holds(listen), Ok(false)) {
        complain!(
            "warning: [http] listen: this host does not have the address {listen}; until it does, nobody can ask for \
             /readyz and /metrics"
        );
    }
}

/// How long the store's `max_size` lasts.
fn capacity_of_store(config: &Config) -> String {
    let StoreSettings { path: _, max_size, keep, spool: _ } = config.store;
    let tunnels = config.plan.vpns.iter().map(|vpn| vpn.used_tunnels().count()).sum::<usize>();
    let Capacity { bytes, history, waiting } = capacity(max_size, keep, tunnels as u64);
    let [keep, history, waiting] = [keep, history, waiting].map(days);
    let megabytes = bytes as f64 / 1e6;
    let of_tunnels = if tunnels == 1 { "one tunnel".to_owned() } else { format!("{tunnels} tunnels") };
    let history = if history == keep {
        format!("{keep} of {of_tunnels} take about {megabytes:.1} MB of it")
    } else {
        format!("it holds about {history} of {of_tunnels}, of which {keep} would take {megabytes:.1} MB")
    };
    if config.cloudwatch.is_none() {
        return history;
    }
    format!("{history}; while CloudWatch takes nothing, minutes wait for up to {waiting}")
}

fn days(duration: Duration) -> String {
    match duration.as_secs() / 86_400 {
        0 => "less than a day".to_owned(),
        1 => "a day".to_owned(),
        days => format!("{days} days"),
    }
}

/// Why this host cannot send from the tunnel's address. Only a warning: the configuration may be for another host.
fn not_here(tunnel: &TunnelPlan) -> Option<String> {
    let TunnelPlan { id, name, role: _, route: _, through: _, uplink: _, sensors: _ } = tunnel;
    let (route, what) = tunnel.checks().find_map(|(_, route)| match address::owns(route) {
        Ok(Ownership::Here) => None,
        Ok(missing @ (Ownership::NoAddress | Ownership::NoInterface)) => Some((route, missing.to_string())),
        Err(error) => Some((route, format!("cannot find out whether this host has its address: {error}"))),
    })?;
    let interface = route.interface.as_deref().map(|name| format!(", interface {name}")).unwrap_or_default();
    Some(format!(
        "{id}, {name}: {what} (source_ip {}{interface}); until it does, this end has no vote on this tunnel",
        route.source_ip
    ))
}

/// The service's user, where what he lacks is to be said. Only root sees it, because other users meet the same refusals
/// themselves; and only for the installed file, because another may not be in its place yet.
fn service_beside(path: &Path, us: u32) -> Option<User> {
    let home = Path::new(DEFAULT_PATH).parent();
    if us != 0 || !home.is_some_and(|home| path.starts_with(home)) {
        return None;
    }
    User::named(SERVICE).filter(|service| service.uid() != us)
}

/// What the service lacks to run with the configuration at `path`.
fn service_lacks(path: &Path, us: u32) -> Vec<String> {
    let Some(service) = service_beside(path, us) else { return Vec::new() };
    let mut lacks: Vec<_> = config::closed_to(&service, path).iter().map(ToString::to_string).collect();
    lacks.extend(no_sockets(&service, || unit::property("AmbientCapabilities")));
    lacks
}

fn no_sockets(service: &User, capabilities: impl FnOnce() -> Option<String>) -> Option<String> {
    let why = datagram_closed_to(service.groups())?;
    let raw = capabilities().is_some_and(|granted| granted.contains("cap_net_raw"));
    (!raw).then(|| format!("the user {SERVICE} cannot open ICMP sockets: {why}"))
}
