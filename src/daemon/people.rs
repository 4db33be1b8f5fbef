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
use super::facts::Facts;
use super::notify::Notifier;
use super::reload::{self, Taken};
use super::sinks::Sinks;
use super::{DRAIN_WITHIN, cannot_start, publisher::Publishing};
use crate::aws::AwsConnections;
use crate::aws::poller::{self, Order, Outlets};
use crate::clock;
use crate::config::Config;
use crate::control::server::{self as control, Asked};
use crate::domain::board::Board;
use crate::domain::event::Event;
use crate::domain::status::Status;
use crate::driver::Command;
use crate::health::{Component, Health, Problem, Problems, Severity};
use crate::http::listener::{self, BindError};
use crate::http::server::{self, About, Limits, Sources};
use crate::probe::held;
use crate::process::{Exit, environment};
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
    pub(super) events: mpsc::Sender<Event>,
    pub(super) orders: mpsc::Sender<Order>,
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
    spawn_listener(&people, bound, about_in, &mut tasks);
    let notifier = Notifier::new(people.status.clone(), people.health.watch());
    spawn_housekeeping(&people, notifier.clone(), &mut tasks);
    let mut asked = spawn_control(&people, &mut tasks);
    let (address, address_in) = watch::channel(people.config.plan.votes_if_address);
    spawn_held(&people, address_in, &mut tasks);
    tasks.spawn(tell_problems(people.health.watch(), Arc::clone(&people.config.plan.site)));
    let mut parts = Parts { sinks: Sinks::new(&people), publishing: Publishing::default(), address, about };
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
        let answer = match reload::reload(&people, &mut parts.sinks, &notifier).await {
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
    drop(asked);
    drain(people, parts, status, tasks, store).await;
    if ended_by_itself { Exit::Internal } else { Exit::Success }
}

/// What follows the configuration on this thread.
struct Parts {
    sinks: Sinks,
    publishing: Publishing,
    address: watch::Sender<Option<IpAddr>>,
    about: watch::Sender<About>,
}

impl Parts {
    /// Does as the configuration in force says. Returns what people should look after because of it, a line each.
    async fn adopt(&mut self, people: &People, tasks: &mut JoinSet<()>) -> Vec<String> {
        self.address.send_replace(people.config.plan.votes_if_address);
        self.about.send_replace(reload::about(&people.config));
        let left = self.sinks.adopt(&people.config, tasks).await;
        self.publishing.adopt(people, tasks);
        // Tells the pollers what is watched; they end only with the daemon.
        let _ = people.orders.send(Order::Watch(Arc::clone(&people.config.plan))).await;
        left
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
    let pollers = poller::run(people.connections.clone(), orders, outlets);
    let ends = until_driver_ends(people);
    // A poll that is under way at the end is of no use to anybody.
    tasks.spawn(async move {
        tokio::select! {
            () = pollers => {}
            () = ends => {}
        }
    });
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

fn spawn_listener(
    people: &People,
    bound: Result<TcpListener, BindError>,
    about: watch::Receiver<About>,
    tasks: &mut JoinSet<()>,
) {
    let prometheus = Arc::clone(&people.prometheus);
    let sources = Sources::new(
        people.status.clone(),
        people.health.watch(),
        about,
        Arc::new(move |status, now| (prometheus::CONTENT_TYPE, prometheus.render(status, now))),
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
        health.set(Component::Listener, Problem { severity: Severity::Degraded, text });
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

/// Every problem is told when it comes, when it becomes another and when it goes, whoever has it; the journal folds what comes
/// and goes too often.
async fn tell_problems(mut problems: watch::Receiver<Problems>, site: Arc<str>) {
    let mut told = Problems::new();
    loop {
        let mut current = problems.borrow_and_update().clone();
        // What is wrong with the configuration is told where it is found, with all its problems.
        current.remove(&Component::Configuration);
        for (component, problem) in &current {
            if told.get(component) != Some(problem) {
                Notice::Problem { component, problem }.record(Some(&site)).emit();
            }
        }
        for component in told.keys().filter(|component| !current.contains_key(component)) {
            Notice::ProblemOver { component }.record(Some(&site)).emit();
        }
        told = current;
        if problems.changed().await.is_err() {
            return;
        }
    }
}

/// The driver holds the status' sending end.
fn until_driver_ends(people: &People) -> impl Future<Output = ()> + Send + 'static {
    let mut status = people.status.clone();
    async move { while status.changed().await.is_ok() {} }
}
