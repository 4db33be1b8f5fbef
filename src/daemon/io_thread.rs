//! The I/O thread: pollers, sinks, publisher, listener, control socket, signals. Its beat shows the driver that it is alive.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use super::any_sink;
use super::context::IoContext;
use super::notify::Notifier;
use super::page;
use super::prepare::{self, Preparing};
use super::problems::{self, OffsetReporter};
use super::protection;
use super::reload::{self, Reloaded};
use super::silences;
use super::sinks::Publishing;
use super::sinks::Sinks;
use crate::aws::poller::{self, Outlets};
use crate::catalogue::Notice;
use crate::clock;
use crate::config::{self, Config, Mode};
use crate::domain::names::AwsPlace;
use crate::domain::plan::Plan;
use crate::domain::request::AwsRequest;
use crate::domain::sensor::SenseRequest;
use crate::domain::status::Status;
use crate::health::overview::ShownProblems;
use crate::health::overview::{Configured, SinkUse};
use crate::health::{Component, Health, Problem};
use crate::http::history::History;
use crate::http::listener::{self, BindError};
use crate::http::protection::{Protection, renew};
use crate::http::routes::{About, App, Hosts, ReloadRequest, Sources};
use crate::http::server::{self, Limits};
use crate::http::silences::SilenceRequest;
use crate::page::Links;
use crate::page::live::{PageSources, StatusPages};
use crate::probe::address;
use crate::process::{Exit, environment};
use crate::records::OpenRecord;
use crate::sensors::runner;
use crate::settings::SensorSettings;
use crate::store::{Counts, Store, StoreThread, StoredSilences};
use crate::systemd;
use crate::telemetry::prometheus;

/// The interval of the beat.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// systemd sends SIGKILL after its own, longer limit; this leaves time to log that something did not end.
pub(super) const DRAIN_WITHIN: Duration = Duration::from_secs(4);

/// What the core asks of AWS and of the sensors.
pub(super) type Requests = (mpsc::Receiver<AwsRequest>, mpsc::Receiver<SenseRequest>);

/// What was opened before this thread began.
pub(super) struct Opened {
    /// The listener.
    pub(super) listener: OpenListener,
    /// The silences of the last run.
    pub(super) silences: StoredSilences,
    /// The store's thread, to wait for at the end.
    pub(super) store: StoreThread,
}

/// The listener, as far as it could be opened.
pub(super) struct OpenListener {
    /// Itself, or why there is none yet.
    pub(super) bound: Result<TcpListener, BindError>,
    /// What protects it.
    pub(super) protection: Protection,
}

/// Runs until a signal ends the daemon or the driver ends.
///
/// # Errors
/// Why it cannot start.
pub(super) fn run(
    runtime: &Runtime,
    context: IoContext,
    requests: Requests,
    opened: Opened,
) -> Result<Exit, String> {
    runtime.block_on(async move {
        let signals = Signals::new().map_err(|error| format!("cannot listen for signals: {error}"))?;
        Ok(work(context, requests, opened, signals).await)
    })
}

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// A stop does not wait for a disk that hangs.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn work(
    mut context: IoContext,
    (requests, questions): Requests,
    Opened { listener, silences, store }: Opened,
    mut signals: Signals,
) -> Exit {
    let started = clock::now();
    let mut tasks = JoinSet::new();
    let (about, about_in) = watch::channel(reload::about(&context.config));
    spawn_pollers(&context, requests, &mut tasks);
    let (in_force, in_force_in) = watch::channel(configured(&context.config));
    let shown = spawn_overview(&context, in_force_in.clone(), &mut tasks);
    let notifier = Notifier::new(context.status.clone(), shown.clone());
    let (links, links_in) = watch::channel(Arc::default());
    let pages = spawn_pages(&context, about_in.clone(), links_in, shown.clone(), &mut tasks);
    let sources = sources(&context, about_in, shown.clone(), pages);
    let look = Arc::new(Notify::new());
    spawn_listener(&context, listener, App::public(sources.clone()), &look, &mut tasks);
    spawn_housekeeping(&context, notifier.clone(), &mut tasks);
    let (mut reloads, silence_requests) = spawn_control(&context, sources, &mut tasks);
    context.spawn(&mut tasks, silences::keep(silences::Keeper::new(&context, silences), silence_requests));
    let (address, address_in) = watch::channel(context.config.plan.votes_if_address);
    spawn_held(&context, address_in, &mut tasks);
    let (plan, plan_in) = watch::channel(Arc::clone(&context.config.plan));
    spawn_own(&context, plan_in, &mut tasks);
    let (sensors, sensors_in) = watch::channel(Arc::new(context.config.sensors.clone()));
    context.spawn(&mut tasks, runner::run(sensors_in, questions, context.events.clone()));
    tasks.spawn(problems::watch_reach(context.health.clone(), context.status.clone(), in_force_in));
    tasks.spawn(prepare::watch_fresh_sockets(context.status.clone(), context.health.clone()));
    let mut parts = Parts {
        sinks: Sinks::default(),
        publishing: Publishing::new(shown),
        preparing: Preparing::default(),
        address,
        plan,
        sensors,
        about,
        links,
        in_force,
    };
    let begun = tokio::select! {
        () = signals.stop() => false,
        _left = parts.adopt(&context, &mut tasks) => true,
    };
    if begun {
        reload::started(&context.config);
    }

    let mut status = context.status.clone();
    let ended_by_itself = loop {
        if !begun {
            break false;
        }
        let request: Option<ReloadRequest> = tokio::select! {
            changed = status.changed() => if changed.is_err() { break true } else { continue },
            _ = signals.terminate.recv() => break false,
            _ = signals.interrupt.recv() => break false,
            _ = signals.hangup.recv() => None,
            Some(request) = reloads.recv() => Some(request),
        };
        notifier.reloading();
        let reloaded = tokio::select! {
            () = signals.stop() => break false,
            reloaded = reload::reload(&context, &mut parts.sinks, &notifier) => reloaded,
        };
        let answer = match reloaded {
            Ok(Reloaded { config, warnings, mut notes }) => {
                context.config = config;
                context.warnings = warnings;
                notes.extend(tokio::select! {
                    () = signals.stop() => break false,
                    left = parts.adopt(&context, &mut tasks) => left,
                });
                look.notify_one();
                notifier.reloaded();
                Reloaded::answer(&context.config, notes)
            }
            Err(answer) => answer,
        };
        if let Some(request) = request {
            // The client may be gone; the reload stands all the same.
            let _ = request.answer.send(answer);
        }
    };
    systemd::stopping();
    Notice::Stopping { after: clock::now().mono.since(started.mono) }
        .record(Some(&context.config.plan.site))
        .emit();
    log_what_stays_open(&context);
    drop(reloads);
    drain(context, parts, status, tasks, store).await;
    if ended_by_itself { Exit::Internal } else { Exit::Success }
}

/// The parts of this thread that follow the configuration.
struct Parts {
    sinks: Sinks,
    publishing: Publishing,
    preparing: Preparing,
    address: watch::Sender<Option<IpAddr>>,
    plan: watch::Sender<Arc<Plan>>,
    sensors: watch::Sender<Arc<SensorSettings>>,
    about: watch::Sender<About>,
    links: watch::Sender<Arc<Links>>,
    in_force: watch::Sender<Configured>,
}

impl Parts {
    /// Makes the parts follow the configuration in force. Returns the records that people must close because of it, a line each.
    async fn adopt(&mut self, context: &IoContext, tasks: &mut JoinSet<()>) -> Vec<String> {
        self.address.send_replace(context.config.plan.votes_if_address);
        self.plan.send_replace(Arc::clone(&context.config.plan));
        self.sensors.send_replace(Arc::new(context.config.sensors.clone()));
        self.about.send_replace(reload::about(&context.config));
        self.in_force.send_replace(configured(&context.config));
        state_settings(context);
        let left = self.sinks.adopt(context, tasks).await;
        self.publishing.adopt(context, tasks);
        self.preparing.adopt(context, tasks);
        self.links.send_replace(page::links(context).await);
        left
    }
}

/// The sinks and the publisher, with the Region and role of each.
fn configured(config: &Config) -> Configured {
    let sinks = match config.mode {
        Mode::Raise => config.sinks.as_slice(),
        Mode::Observe => &[],
    };
    let sinks = sinks.iter();
    let publisher = config.cloudwatch.as_ref().map(|cloudwatch| AwsPlace {
        region: cloudwatch.region.clone().or_else(|| config.aws.region.clone()),
        role_arn: cloudwatch.role_arn.clone(),
    });
    Configured {
        sinks: sinks
            .map(|sink| SinkUse { plan: sink.plan(), way: any_sink::aws_place(&config.aws, sink) })
            .collect(),
        publisher,
    }
}

/// Logs the open records, which nothing resolves while the daemon is stopped.
fn log_what_stays_open(context: &IoContext) {
    let plan = &context.config.plan;
    for OpenRecord { incident, sink, record } in context.records.all() {
        let name = &plan.name_of(&incident.scope);
        let notice = Notice::StaysOpen { sink: &sink, incident: &incident, name, record: &record };
        notice.record(Some(&plan.site)).emit();
    }
}

/// Cancels the sources, and waits a limited time for the rest to end.
async fn drain(
    context: IoContext,
    parts: Parts,
    mut status: watch::Receiver<Arc<Status>>,
    mut tasks: JoinSet<()>,
    store: StoreThread,
) {
    let site = Arc::clone(&context.config.plan.site);
    context.shutdown.send_replace(true);
    let drained = timeout(DRAIN_WITHIN, async move {
        while status.changed().await.is_ok() {}
        context.facts.set_publisher(None);
        drop((context, parts, status));
        tokio::join!(async { while tasks.join_next().await.is_some() {} }, store.ended());
    });
    if drained.await.is_err() {
        Notice::Unfinished { after: DRAIN_WITHIN }.record(Some(&site)).emit();
    }
}

fn spawn_pollers(context: &IoContext, requests: mpsc::Receiver<AwsRequest>, tasks: &mut JoinSet<()>) {
    let prometheus = Arc::clone(&context.prometheus);
    let outlets = Outlets {
        events: context.events.clone(),
        health: context.health.clone(),
        observe: Arc::new(move |outcome| prometheus.aws_poll(outcome.source.kind, outcome.result.as_str())),
    };
    let pollers = poller::run(context.connections.clone(), context.plan.clone(), requests, outlets);
    // A poll in flight at the end has no use.
    context.spawn(tasks, pollers);
}

/// The list of open problems, and the journal's records of them.
fn spawn_overview(
    context: &IoContext,
    configured: watch::Receiver<Configured>,
    tasks: &mut JoinSet<()>,
) -> watch::Receiver<ShownProblems> {
    let (shown, shown_in) = watch::channel(ShownProblems::default());
    tasks.spawn(problems::keep_overview(
        shown,
        context.health.watch(),
        context.status.clone(),
        configured,
        context.until_driver_ends(),
    ));
    let expiry = problems::watch_expiry(context.connections.clone(), context.health.clone());
    context.spawn(tasks, expiry);
    tasks.spawn(problems::keep_journal(shown_in.clone(), Arc::clone(&context.config.plan.site)));
    shown_in
}

/// What a configuration says of itself: its labels, and its mode; a daemon in mode `observe` pages nobody, and that is a problem.
fn state_settings(context: &IoContext) {
    let mode = context.config.mode;
    context.prometheus.mode(mode.as_str());
    let labels = context.config.vpns.iter().map(|(vpn, details)| (vpn.clone(), details.labels.clone()));
    context.prometheus.labels(labels.collect());
    match mode {
        Mode::Raise => _ = context.health.clear(&Component::Mode),
        Mode::Observe => {
            context.health.set(Component::Mode, Problem::observe());
        }
    }
}

/// Watches whether this host holds the address on which its vote depends.
fn spawn_held(context: &IoContext, wanted: watch::Receiver<Option<IpAddr>>, tasks: &mut JoinSet<()>) {
    let watching = address::watch_held(wanted, context.events.clone());
    context.spawn(tasks, watching);
}

/// Watches for addresses configured as AWS's that are this host's own.
fn spawn_own(context: &IoContext, plans: watch::Receiver<Arc<Plan>>, tasks: &mut JoinSet<()>) {
    let health = context.health.clone();
    let watching = address::watch_mistakes(plans, move |vpn, mistakes| {
        let component = Component::HostAddresses(vpn.to_string());
        match mistakes {
            [] => health.clear(&component),
            [..] => health.set(component, Problem::addresses_swapped(mistakes)),
        };
    });
    context.spawn(tasks, watching);
}

/// The sources of the HTTP answers.
fn sources(
    context: &IoContext,
    about: watch::Receiver<About>,
    shown: watch::Receiver<ShownProblems>,
    pages: Arc<StatusPages>,
) -> Sources {
    let prometheus = Arc::clone(&context.prometheus);
    Sources {
        status: context.status.clone(),
        problems: shown,
        records: context.records.clone(),
        about,
        metrics: Arc::new(move |status, problems, now| {
            (prometheus::CONTENT_TYPE, prometheus.render(status, problems, now))
        }),
        history: history(context.store.clone()),
        pages,
        hosts: Hosts::new(&context.config.http.hosts, config::host_name().as_deref()),
        now: clock::now,
    }
}

/// How what is remembered is read.
fn history(store: Store) -> Arc<History> {
    Arc::new(move |wanted, reading| {
        let (parts, taken) = mpsc::channel(1);
        let mut recalling = store.recall(wanted);
        tokio::spawn(async move {
            let _reading = reading;
            while let Some(part) = recalling.next().await.transpose() {
                let failed = part.is_err();
                // The client may be gone.
                if parts.send(part).await.is_err() || failed {
                    return;
                }
            }
        });
        taken
    })
}

/// The pages for people, and the task that notices when they change.
fn spawn_pages(
    context: &IoContext,
    about: watch::Receiver<About>,
    links: watch::Receiver<Arc<Links>>,
    problems: watch::Receiver<ShownProblems>,
    tasks: &mut JoinSet<()>,
) -> Arc<StatusPages> {
    let sources = PageSources {
        status: context.status.clone(),
        problems,
        records: context.records.clone(),
        about,
        links,
        now: clock::now,
    };
    let (pages, noticing) = StatusPages::new(sources, page::history(context.store.clone()));
    tasks.spawn(noticing);
    pages
}

fn spawn_listener(
    context: &IoContext,
    OpenListener { bound, protection }: OpenListener,
    app: App,
    asked: &Arc<Notify>,
    tasks: &mut JoinSet<()>,
) {
    let health = context.health.clone();
    let ends = context.until_driver_ends();
    let (protection, protection_in) = watch::channel(protection);
    let files = context.config.http.protection.clone();
    let report = protection::report(context.health.clone());
    context.spawn(tasks, renew(files, protection, Arc::clone(asked), report));
    tasks.spawn(async move {
        tokio::pin!(ends);
        let listener = match bound {
            Ok(listener) => listener,
            Err(error) => tokio::select! {
                listener = bind_late(error, &health) => listener,
                () = &mut ends => return,
            },
        };
        server::serve(listener, app, protection_in, Limits::TCP, ends).await;
    });
}

/// `/readyz` cannot be asked meanwhile, so the journal and systemd's status line report the problem.
async fn bind_late(error: BindError, health: &Health) -> TcpListener {
    let listener = listener::bind_after(error, |error| {
        health.set(Component::Listener, Problem::listener_failing(error));
    });
    let listener = listener.await;
    health.clear(&Component::Listener);
    listener
}

/// Serves the control socket, if systemd has made a directory for it.
fn spawn_control(
    context: &IoContext,
    sources: Sources,
    tasks: &mut JoinSet<()>,
) -> (mpsc::Receiver<ReloadRequest>, mpsc::Receiver<SilenceRequest>) {
    let limits = Limits::SOCKET;
    let (reloads, reloads_in) = mpsc::channel(limits.connections);
    let (silences, silences_in) = mpsc::channel(limits.connections);
    if let Some(path) = listener::socket(&environment()) {
        match listener::bind_socket(&path) {
            Ok(listener) => {
                let app = App::control(sources, reloads, silences);
                // Its directory and mode protect it.
                let open = watch::channel(Protection::default()).1;
                tasks.spawn(server::serve(listener, app, open, limits, context.until_driver_ends()));
            }
            Err(error) => {
                Notice::ControlSocketFailing { why: &error.to_string() }
                    .record(Some(&context.config.plan.site))
                    .emit();
            }
        }
    }
    (reloads_in, silences_in)
}

/// Beats, notifies systemd, and updates the metrics that no part reports itself.
fn spawn_housekeeping(context: &IoContext, notifier: Notifier, tasks: &mut JoinSet<()>) {
    let ends = context.until_driver_ends();
    let (prometheus, store, connections) =
        (Arc::clone(&context.prometheus), context.store.clone(), context.connections.clone());
    let mut reporter = OffsetReporter::new(context.health.clone());
    let site = Arc::clone(&context.config.plan.site);
    let io_beat = Arc::clone(&context.io_beat);
    context.spawn(tasks, {
        let prometheus = Arc::clone(&prometheus);
        async move { prometheus.upkeep().await }
    });
    tasks.spawn(async move {
        let mut beat = interval(BEAT_EVERY);
        // Losses during the start count as well.
        let mut dropped = Counts::default();
        tokio::pin!(ends);
        loop {
            tokio::select! {
                _ = beat.tick() => {}
                () = &mut ends => return,
            }
            let now = clock::now();
            io_beat.store(now.mono.as_nanos(), Ordering::Relaxed);
            let offset = connections.clock().map(|clock| clock.offset(now));
            prometheus.clock_offset(offset.map(|offset| offset.millis));
            if let Some(offset) = offset {
                reporter.observe(offset);
            }
            prometheus.credentials_expiry(connections.credentials_expiry());
            let counts = store.counts();
            prometheus.rollups_dropped(counts.rollups_dropped - dropped.rollups_dropped);
            let lost = counts.transitions_dropped - dropped.transitions_dropped;
            prometheus.facts_dropped("store", lost);
            if lost > 0 {
                Notice::FactsDropped { consumer: "store", count: lost }.record(Some(&site)).emit();
            }
            dropped = counts;
            notifier.update();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_the_listeners_leave_time_to_end_in() {
        for limits in [Limits::TCP, Limits::SOCKET] {
            assert!(limits.ending * 4 < DRAIN_WITHIN, "{limits:?}");
        }
    }
}
