//! Builds the daemon, spawns its parts, supervises them and drains them.
//!
//! ```text
//! this thread   probe + driver, on a current-thread runtime of their own: nothing delays an echo
//! "io"          AWS, the sinks, the publisher, HTTP, the control socket, signals, reloads: likewise
//! "store"       SQLite
//! "journal"     journald or standard error
//! ```
//! To end, the daemon cancels the sources: the driver returns, its channels close, and the parts that read them end, within
//! [`io_thread::DRAIN_WITHIN`].

pub mod any_sink;
mod context;
mod io_thread;
mod notify;
pub mod page;
mod prepare;
mod problems;
mod protection;
mod reload;
mod silences;
mod sinks;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::thread;

use log::LevelFilter;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use crate::aws::{AwsConnections, ConnectionSettings};
use crate::catalogue::Notice;
use crate::catalogue::parts::Detail;
use crate::clock;
use crate::config::{Config, Loaded, Rejection, needs};
use crate::domain::monitor::Monitor;
use crate::domain::request::{AwsRequest, Request};
use crate::driver;
use crate::health::Health;
use crate::http::listener;
use crate::http::protection::Protection;
use crate::probe::{self, Prober};
use crate::process::{self, Exit};
use crate::records::Records;
use crate::sensors::runner::{self, Questions};
use crate::store::{self, OpenError, Store};
use crate::telemetry::journal;
use crate::telemetry::prometheus::Prometheus;

use self::context::IoContext;

pub use self::protection::listener_faults;

/// Threads for name lookups and files: enough that some that hang block no others, and far fewer than the unit's `TasksMax=`.
const BLOCKING_THREADS: usize = 64;

/// Events of the pollers and sinks that may wait for the driver, which handles them within microseconds.
const EVENTS: usize = 1024;

/// Questions to AWS that may wait for the pollers: far more than there are sources.
const AWS_REQUESTS: usize = 256;

/// `bothends run`.
pub fn run(config_path: &Path) -> Exit {
    let level = journal::level_from_env();
    if let Err(error) = journal::init_logging(*level.as_ref().unwrap_or(&LevelFilter::Info)) {
        // If standard error is closed, the exit code still reports it; a panic would hide it.
        let _ = writeln!(io::stderr(), "cannot start logging: {error}");
        return Exit::Internal;
    }
    if let Err(error) = level {
        Notice::LogLevelInvalid { why: &error.to_string() }.record(None).emit();
    }
    let exit = start(config_path);
    log::logger().flush();
    if exit != Exit::Success {
        journal::wait_until_read();
    }
    exit
}

fn start(config_path: &Path) -> Exit {
    let files = process::raise_files();
    let loaded = match reload::read(config_path) {
        Ok(loaded) => loaded,
        Err(rejection) => {
            return cannot_start(None, &rejection, Exit::Configuration);
        }
    };
    reload::warn(&loaded, &[]);
    let config = &loaded.config;
    let site = Arc::clone(&config.plan.site);
    let site = Some(&*site);
    let connections = match connections(config) {
        Ok(connections) => connections,
        Err(HostRefusal { why, exit }) => return cannot_start(site, &why, exit),
    };
    let io = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let bound = match io.block_on(listener::bind(config.http.listen)) {
        Err(error) if !error.may_pass() => {
            let exit = if error.is_permission() { Exit::Permission } else { Exit::Configuration };
            return cannot_start(site, &error, exit);
        }
        bound => bound,
    };
    let protection = match Protection::read(&config.http.protection) {
        Ok(protection) => protection,
        // They were read a moment ago, so this is a renewal that is under way, or a disk that fails.
        Err(faults) => {
            return cannot_start(
                site,
                &Rejection::of_file(config_path, protection::lines(&faults)),
                Exit::Configuration,
            );
        }
    };
    let health = Health::default();
    let opened = match open_store(config, &health) {
        Ok(opened) => opened,
        Err(error) => {
            let exit = if error.is_misconfigured() { Exit::Configuration } else { Exit::Internal };
            return cannot_start(site, &error, exit);
        }
    };
    let sockets = usize::try_from(files.saturating_sub(needs::files::RESERVE)).unwrap_or(usize::MAX);
    let listener = io_thread::OpenListener { bound, protection };
    monitor_and_serve(config_path, loaded, connections, (io, listener), health, opened, sockets)
}

/// Why this host does not let the daemon start.
#[derive(Debug)]
pub struct HostRefusal {
    /// The reason, for an operator.
    pub why: String,
    /// The code to exit with.
    pub exit: Exit,
}

/// The connections to AWS, on a host that allows echoes.
///
/// # Errors
/// If the host allows no ICMP socket, or has no CA certificates. Nothing is bound or sent to find out, so another daemon may be
/// running.
pub fn connections(config: &Config) -> Result<AwsConnections, HostRefusal> {
    probe::permission::icmp_access()
        .map_err(|denied| HostRefusal { why: denied.to_string(), exit: Exit::Permission })?;
    let settings = ConnectionSettings::from_env(Arc::clone(&config.plan.site));
    AwsConnections::load(ConnectionSettings { key_exchange: config.aws.key_exchange, ..settings })
        .map_err(|error| HostRefusal { why: error.to_string(), exit: Exit::Configuration })
}

/// Logs why, and returns the exit code.
fn cannot_start(site: Option<&str>, why: &dyn Display, exit: Exit) -> Exit {
    Notice::CannotStart { why: &why.to_string(), exit }.record(site).emit();
    exit
}

/// Opens the store. With a failing disk the daemon still monitors, from memory, until the disk works again. A file it must not write
/// to is a configuration error.
fn open_store(config: &Config, health: &Health) -> Result<store::Opened, OpenError> {
    Store::open(&config.store, health.clone(), clock::now())
}

fn monitor_and_serve(
    config_path: &Path,
    Loaded { config, warnings, files: _ }: Loaded,
    connections: AwsConnections,
    (io, listener): (Runtime, io_thread::OpenListener),
    health: Health,
    opened: store::Opened,
    sockets: usize,
) -> Exit {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let store::Opened { store, remembered, silences, thread: store_thread } = opened;
    let prometheus = Arc::new(Prometheus::new());
    let (events, events_in) = mpsc::channel(EVENTS);
    let (aws_requests, aws_requests_in) = mpsc::channel(AWS_REQUESTS);
    let (questions, questions_in) = runner::channel();
    let (plan, plan_in) = watch::channel(Arc::clone(&config.plan));
    let (commands, commands_in) = mpsc::channel(4);
    let (shutdown, shutdown_in) = watch::channel(false);
    let io_beat = Arc::new(AtomicI64::new(clock::now().mono.as_nanos()));
    let (facts, fact_sink) = context::facts(&config, store.clone(), Arc::clone(&prometheus));
    let now = clock::now();
    let monitor = Monitor::new(Arc::clone(&config.plan), remembered, now);
    let (board, status) = driver::outputs_at_start(&monitor, now);

    let context = IoContext {
        config_path: config_path.to_owned(),
        config,
        warnings,
        connections,
        store,
        prometheus,
        health: health.clone(),
        records: Records::default(),
        events,
        plan: plan_in,
        commands,
        shutdown,
        board: board.subscribe(),
        status: status.subscribe(),
        facts,
        io_beat: Arc::clone(&io_beat),
    };
    let spawned = thread::Builder::new().name("io".into()).spawn(move || {
        let site = Arc::clone(&context.config.plan.site);
        let opened = io_thread::Opened { listener, silences, store: store_thread };
        let exit = io_thread::run(&io, context, (aws_requests_in, questions_in), opened)
            .unwrap_or_else(|why| cannot_start(Some(&site), &why, Exit::Internal));
        // Do not wait for names that do not resolve, or for files on a disk that hangs.
        io.shutdown_background();
        exit
    });
    let io = match spawned {
        Ok(io) => io,
        Err(error) => {
            return cannot_start(None, &format!("cannot start the I/O thread: {error}"), Exit::Internal);
        }
    };

    let (echoes, echoes_in) = mpsc::unbounded_channel();
    let inputs = driver::Inputs {
        echoes: echoes_in,
        events: events_in,
        commands: commands_in,
        shutdown: shutdown_in,
        io_beat,
    };
    let outputs = driver::Outputs {
        requests: executor(Prober::new(echoes, health).with_at_most(sockets), questions, aws_requests),
        plan,
        facts: fact_sink.into_closure(),
        board,
        status,
        watchdog: notify::watchdog(),
    };
    runtime.block_on(driver::run(monitor, inputs, outputs));
    // The driver's ends of all channels are closed by now, so the I/O thread is ending.
    match io.join() {
        Ok(exit) => exit,
        Err(_panicked) => Exit::Internal,
    }
}

fn runtime() -> Result<Runtime, Exit> {
    tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
        .map_err(|error| cannot_start(None, &error, Exit::Internal))
}

/// Executes the core's requests without waiting.
fn executor(
    mut prober: Prober,
    sensors: Questions,
    aws: mpsc::Sender<AwsRequest>,
) -> Box<dyn FnMut(Request)> {
    Box::new(move |request| match request {
        Request::Echo(echo) => prober.execute(echo),
        Request::Retire { check, client } => prober.retire(&check, client),
        Request::Sense(request) => sensors.put(request),
        // A full queue means that the pollers have read nothing for minutes; the core asks again later.
        Request::AskAws(request) => {
            if aws.try_send(request).is_err() {
                Detail::QuestionLeftOut.record().emit();
            }
        }
    })
}
