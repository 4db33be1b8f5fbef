//! The thread that speaks to AWS and to people: pollers, sinks, publisher, listener, control socket, signals. It beats, so that the driver
//! knows that it is alive.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use super::clock_offset::Teller;
use super::cut_off;
use super::facts::Facts;
use super::notify::Notifier;
use super::places;
use super::prepare::{self, Preparing};
use super::reload::{self, Taken};
use super::sinks::Sinks;
use super::{DRAIN_WITHIN, cannot_start, outlook, overview, publisher::Publishing};
use crate::aws::AwsConnections;
use crate::aws::poller::{self, Order, Outlets};
use crate::clock;
use crate::config::{self, Config, Mode};
use crate::control::server::{self as control, Asked};
use crate::domain::board::Board;
use crate::domain::event::Event;
use crate::domain::plan::Plan;
use crate::domain::status::Status;
use crate::driver::Command;
use crate::health::configured::{Configured, SinkUse, Way};
use crate::health::overview::Shown;
use crate::health::{Code, Component, Health, Problem};
use crate::http::host::Hosts;
use crate::http::listener::{self, BindError};
use crate::http::server::{self, About, Limits, Sources};
use crate::probe::{held, own};
use crate::process::{Exit, environment};
use crate::records::{OpenRecord, Records};
use crate::store::{Counts, Store, StoreThread};
use crate::systemd;
use crate::telemetry::prometheus::{self, Prometheus};
use crate::telemetry::wording::Notice;

/// The thread shows that it is alive this often.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// What this thread is given.
pub(super) struct People {
    pub(super) config_path: PathBuf,
    pub(super) config: Config,
    pub(super) connections: AwsConnections,
    pub(super) store: Store,
    pub(super) prometheus: Arc<Prometheus>,
    pub(super) health: Health,
    pub(super) records: Records,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) plan: watch::Receiver<Arc<Plan>>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) shutdown: watch::Sender<bool>,
    pub(super) board: watch::Receiver<Arc<Board>>,
    pub(super) status: watch::Receiver<Arc<Status>>,
    pub(super) facts: Facts,
    pub(super) io_beat: Arc<AtomicI64>,
}

/// Runs until a signal ends the daemon, or the driver is gone.
pub(super) fn run(
    runtime: &Runtime,
    people: People,
    orders: mpsc::Receiver<Order>,
    bound: Result<TcpListener, BindError>,
    store: StoreThread,
) -> Exit {
    runtime.block_on(async move {
        let signals = match Signals::new() {
            Ok(signals) => signals,
            Err(error) => {
                let site = &people.config.plan.site;
                return cannot_start(
                    Some(site),
                    &format!("cannot listen for signals: {error}"),
                    Exit::Internal,
                );
            }
        };
        work(people, orders, bound, store, signals).await
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
}

async fn work(
    mut people: People,
    orders: mpsc::Receiver<Order>,
    bound: Result<TcpListener, BindError>,
    store: StoreThread,
    mut signals: Signals,
) -> Exit {
    let started = clock::now();
    let mut tasks = JoinSet::new();
    let (about, about_in) = watch::channel(reload::about(&people.config));
    spawn_pollers(&people, orders, &mut tasks);
    let (in_force, in_force_in) = watch::channel(configured(&people.config));
    let shown = spawn_overview(&people, in_force_in.clone(), &mut tasks);
    let notifier = Notifier::new(people.status.clone(), shown.clone());
    spawn_listener(&people, bound, about_in, shown.clone(), &mut tasks);
    spawn_housekeeping(&people, notifier.clone(), &mut tasks);
    let mut asked = spawn_control(&people, &mut tasks);
    let (address, address_in) = watch::channel(people.config.plan.votes_if_address);
    spawn_held(&people, address_in, &mut tasks);
    let (plan, plan_in) = watch::channel(Arc::clone(&people.config.plan));
    spawn_own(&people, plan_in, &mut tasks);
    tasks.spawn(cut_off::tell(people.health.clone(), people.status.clone(), in_force_in));
    tasks.spawn(prepare::watch_fresh_sockets(people.status.clone(), people.health.clone()));
    let mut parts = Parts {
        sinks: Sinks::new(&people),
        publishing: Publishing::new(shown),
        preparing: Preparing::default(),
        address,
        plan,
        about,
        in_force,
    };
    parts.adopt(&people, &mut tasks).await;
    reload::started(&people.config);

    let mut status = people.status.clone();
    let ended_by_itself = loop {
        let asked: Option<Asked> = tokio::select! {
            changed = status.changed() => if changed.is_err() { break true } else { continue },
            _ = signals.terminate.recv() => break false,
            _ = signals.interrupt.recv() => break false,
            _ = signals.hangup.recv() => None,
            Some(asked) = asked.recv() => Some(asked),
        };
        notifier.reloading();
        let reloaded = tokio::select! {
            // Whoever wants the daemon to end need not wait for a disk that hangs.
            _ = signals.terminate.recv() => break false,
            _ = signals.interrupt.recv() => break false,
            reloaded = reload::reload(&people, &mut parts.sinks, &notifier) => reloaded,
        };
        let answer = match reloaded {
            Ok(Taken { config, mut notes }) => {
                people.config = config;
                notes.extend(parts.adopt(&people, &mut tasks).await);
                notifier.reloaded();
                Taken::answer(&people.config, notes)
            }
            Err(answer) => answer,
        };
        if let Some(asked) = asked {
            // Who asked may have gone; what was done is done all the same.
            let _ = asked.answer.send(answer);
        }
    };
    systemd::stopping();
    Notice::Stopping { after: clock::now().mono.since(started.mono) }
        .record(Some(&people.config.plan.site))
        .emit();
    tell_what_stays_open(&people);
    drop(asked);
    drain(people, parts, status, tasks, store).await;
    if ended_by_itself { Exit::Internal } else { Exit::Success }
}

/// What follows the configuration on this thread.
struct Parts {
    sinks: Sinks,
    publishing: Publishing,
    preparing: Preparing,
    address: watch::Sender<Option<IpAddr>>,
    plan: watch::Sender<Arc<Plan>>,
    about: watch::Sender<About>,
    in_force: watch::Sender<Configured>,
}

impl Parts {
    /// Does as the configuration in force says. Returns what people should look after because of it, a line each.
    async fn adopt(&mut self, people: &People, tasks: &mut JoinSet<()>) -> Vec<String> {
        self.address.send_replace(people.config.plan.votes_if_address);
        self.plan.send_replace(Arc::clone(&people.config.plan));
        self.about.send_replace(reload::about(&people.config));
        self.in_force.send_replace(configured(&people.config));
        state_mode(people);
        let left = self.sinks.adopt(&people.config, tasks).await;
        self.publishing.adopt(people, tasks);
        self.preparing.adopt(people, tasks);
        left
    }
}

/// Who pages whom, and how AWS is asked for it.
fn configured(config: &Config) -> Configured {
    let sinks = match config.mode {
        Mode::Raise => config.sinks.as_slice(),
        Mode::Observe => &[],
    };
    let sinks = sinks.iter();
    let publisher = config.cloudwatch.as_ref().map(|cloudwatch| Way {
        region: cloudwatch.region.clone().or_else(|| config.aws.region.clone()),
        role_arn: cloudwatch.role_arn.clone(),
    });
    Configured {
        sinks: sinks.map(|sink| SinkUse { plan: sink.plan(), way: places::way(&config.aws, sink) }).collect(),
        publisher,
    }
}

/// Nobody resolves these while the daemon is stopped.
fn tell_what_stays_open(people: &People) {
    let plan = &people.config.plan;
    for OpenRecord { incident, sink, record } in people.records.all() {
        let vpn_name = plan.vpn(&incident.vpn).map_or(incident.vpn.as_str(), |vpn| &vpn.name);
        let notice = Notice::StaysOpen { sink: &sink, incident: &incident, vpn_name, record: &record };
        notice.record(Some(&plan.site)).emit();
    }
}

/// Cancels the source of everything, and gives the rest its time to end.
async fn drain(
    people: People,
    parts: Parts,
    mut status: watch::Receiver<Arc<Status>>,
    mut tasks: JoinSet<()>,
    store: StoreThread,
) {
    let site = Arc::clone(&people.config.plan.site);
    people.shutdown.send_replace(true);
    let drained = timeout(DRAIN_WITHIN, async move {
        while status.changed().await.is_ok() {}
        people.facts.set_publisher(None);
        drop((people, parts, status));
        while tasks.join_next().await.is_some() {}
        store.ended().await;
    });
    if drained.await.is_err() {
        Notice::Unfinished { after: DRAIN_WITHIN }.record(Some(&site)).emit();
    }
}

fn spawn_pollers(people: &People, orders: mpsc::Receiver<Order>, tasks: &mut JoinSet<()>) {
    let prometheus = Arc::clone(&people.prometheus);
    let outlets = Outlets {
        events: people.events.clone(),
        health: people.health.clone(),
        observe: Arc::new(move |outcome| prometheus.aws_poll(outcome.source.kind, outcome.result.as_str())),
    };
    let pollers = poller::run(people.connections.clone(), people.plan.clone(), orders, outlets);
    let ends = until_driver_ends(people);
    // A poll that is under way at the end is of no use to anybody.
    tasks.spawn(async move {
        tokio::select! {
            () = pollers => {}
            () = ends => {}
        }
    });
}

/// What is shown of the daemon's health, and the journal's records of it.
fn spawn_overview(
    people: &People,
    configured: watch::Receiver<Configured>,
    tasks: &mut JoinSet<()>,
) -> watch::Receiver<Shown> {
    let (shown, shown_in) = watch::channel(Shown::default());
    tasks.spawn(overview::keep(
        shown,
        people.health.watch(),
        people.status.clone(),
        configured,
        until_driver_ends(people),
    ));
    let outlook = outlook::keep(people.connections.clone(), people.health.clone());
    let ends = until_driver_ends(people);
    tasks.spawn(async move {
        tokio::select! {
            () = outlook => {}
            () = ends => {}
        }
    });
    tasks.spawn(overview::tell(shown_in.clone(), Arc::clone(&people.config.plan.site)));
    shown_in
}

/// A daemon that is left at `observe` pages nobody, and says so.
fn state_mode(people: &People) {
    let mode = people.config.mode;
    people.prometheus.mode(mode.as_str());
    match mode {
        Mode::Raise => _ = people.health.clear(&Component::Mode),
        Mode::Observe => {
            let text = "incidents are recorded only; [incident] mode = \"raise\" pages";
            people.health.set(Component::Mode, Problem::new(Code::Observe, text));
        }
    }
}

/// Looks whether this host holds the address that it votes for.
fn spawn_held(people: &People, wanted: watch::Receiver<Option<IpAddr>>, tasks: &mut JoinSet<()>) {
    let telling = held::tell(wanted, people.events.clone());
    let ends = until_driver_ends(people);
    tasks.spawn(async move {
        tokio::select! {
            () = telling => {}
            () = ends => {}
        }
    });
}

/// Looks whether an address that should be AWS's is this host's own.
fn spawn_own(people: &People, plans: watch::Receiver<Arc<Plan>>, tasks: &mut JoinSet<()>) {
    let health = people.health.clone();
    let watching = own::watch(plans, move |vpn, mistake| {
        let component = Component::HostAddresses(vpn.to_string());
        match mistake {
            Some(text) => health.set(component, Problem::new(Code::AddressesSwapped, text)),
            None => health.clear(&component),
        };
    });
    let ends = until_driver_ends(people);
    tasks.spawn(async move {
        tokio::select! {
            () = watching => {}
            () = ends => {}
        }
    });
}

fn spawn_listener(
    people: &People,
    bound: Result<TcpListener, BindError>,
    about: watch::Receiver<About>,
    shown: watch::Receiver<Shown>,
    tasks: &mut JoinSet<()>,
) {
    let prometheus = Arc::clone(&people.prometheus);
    let sources = Sources::new(
        people.status.clone(),
        shown,
        people.records.clone(),
        about,
        Arc::new(move |status, problems, now| {
            (prometheus::CONTENT_TYPE, prometheus.render(status, problems, now))
        }),
        Hosts::new(&people.config.http.hosts, config::host_name().as_deref()),
    );
    let health = people.health.clone();
    let ends = until_driver_ends(people);
    tasks.spawn(async move {
        tokio::pin!(ends);
        let listener = match bound {
            Ok(listener) => listener,
            Err(error) => tokio::select! {
                listener = bind_late(error, &health) => listener,
                () = &mut ends => return,
            },
        };
        server::serve(listener, sources, Limits::default(), ends).await;
    });
}

/// Nobody can ask `/readyz` what is wrong meanwhile: the journal and the line of `systemctl status` say it.
async fn bind_late(error: BindError, health: &Health) -> TcpListener {
    let listener = listener::bind_after(error, |error| {
        let text =
            format!("{error}; it is tried again until it works, and the tunnels are watched meanwhile");
        health.set(Component::Listener, Problem::new(Code::ListenerFailing, text));
    });
    let listener = listener.await;
    health.clear(&Component::Listener);
    listener
}

/// What commands ask, if systemd has made a place for the socket.
fn spawn_control(people: &People, tasks: &mut JoinSet<()>) -> mpsc::Receiver<Asked> {
    let limits = control::Limits::default();
    let (asked, asked_in) = mpsc::channel(limits.clients);
    if let Some(path) = crate::control::socket(&environment()) {
        match control::bind(&path) {
            Ok(listener) => {
                tasks.spawn(control::serve(listener, asked, limits, until_driver_ends(people)));
            }
            Err(error) => log::warn!("{}: {error}", people.config.plan.site),
        }
    }
    asked_in
}

/// Beats, tells systemd how things are, and keeps the numbers that nobody reports by himself.
fn spawn_housekeeping(people: &People, notifier: Notifier, tasks: &mut JoinSet<()>) {
    let ends = until_driver_ends(people);
    let (prometheus, store, connections) =
        (Arc::clone(&people.prometheus), people.store.clone(), people.connections.clone());
    let mut teller = Teller::new(people.health.clone());
    let site = Arc::clone(&people.config.plan.site);
    let io_beat = Arc::clone(&people.io_beat);
    tasks.spawn({
        let (prometheus, ends) = (Arc::clone(&prometheus), until_driver_ends(people));
        async move {
            tokio::select! {
                () = prometheus.upkeep() => {}
                () = ends => {}
            }
        }
    });
    tasks.spawn(async move {
        let mut beat = interval(BEAT_EVERY);
        // What was lost at the start counts, too.
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
                teller.tell(offset);
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
            notifier.look();
        }
    });
}

/// The driver holds the status' sending end.
fn until_driver_ends(people: &People) -> impl Future<Output = ()> + Send + 'static {
    let mut status = people.status.clone();
    async move { while status.changed().await.is_ok() {} }
}
