//! How long the status page takes: 10,000 outages in 90 days of one connection, alone and among others, from the store's file to the
//! HTML. Several runs of each, by the fastest, the median and the slowest; nothing fails, for a busy machine is no defect.

#[path = "shared/outages.rs"]
mod outages;
#[path = "shared/plan.rs"]
mod plan;

use std::sync::Arc;
use std::time::Duration;

use bothends::clock;
use bothends::daemon::page::history;
use bothends::domain::event::Remembered;
use bothends::domain::monitor::Monitor;
use bothends::domain::names::VpnId;
use bothends::domain::time::{Moment, Now};
use bothends::health::Health;
use bothends::health::overview::ShownProblems;
use bothends::http::pages::{Pages, Rendered, Subject};
use bothends::http::routes::About;
use bothends::page::live::{PageSources, StatusPages};
use bothends::records::Records;
use bothends::store::{Opened, Store};
use tokio::sync::watch;

const RUNS: usize = 11;
const OUTAGES: u32 = 10_000;
const DAYS: u32 = 90;

fn main() {
    let build = if cfg!(debug_assertions) { "unoptimised" } else { "optimised" };
    println!(
        "bothends {}, {build}: milliseconds for a page, with {OUTAGES} outages in {DAYS} days",
        env!("CARGO_PKG_VERSION")
    );
    let directory = tempfile::tempdir().expect("there is a directory for temporary files");
    let settings = outages::settings(directory.path());
    drop(outages::write(&settings, OUTAGES, DAYS));
    let Opened { store, .. } =
        Store::open(&settings, Health::default(), now()).expect("the file was just written");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it is a small one");
    let [tunnel, _] = outages::tunnels();
    for connections in [1, 60, 250] {
        for (what, subject) in
            [("/", Subject::Site), ("/vpn/ID", Subject::Vpn(tunnel.vpn.as_str().to_owned()))]
        {
            let mut runs: Vec<_> =
                (0..RUNS).map(|_| runtime.block_on(run(&store, connections, subject.clone()))).collect();
            runs.sort_unstable();
            let [min, median, max] =
                [runs[0].0, runs[RUNS / 2].0, runs[RUNS - 1].0].map(|it| it.as_secs_f64() * 1e3);
            println!(
                "{connections:>3} connections, {what:<7}: {min:6.1} at the least, {median:6.1} the median, {max:6.1} at the most; {} bytes",
                runs[0].1
            );
        }
    }
}

/// When the history ends.
fn now() -> Now {
    Now { mono: Moment::ORIGIN + Duration::from_secs(91 * 86_400), wall: outages::END }
}

/// How long a page takes of which nothing is kept, and its size.
async fn run(store: &Store, connections: u8, subject: Subject) -> (Duration, usize) {
    let [tunnel, _] = outages::tunnels();
    // The connection of the outages, with its addresses; the others have none of these.
    let own = (tunnel.vpn, 113);
    let others = (0..=u8::MAX).filter(|n| *n != 113).map(|n| (VpnId::new(format!("vpn-{n:017x}")), n));
    let vpns = std::iter::once(own).chain(others).take(connections.into());
    let monitor = Monitor::new(Arc::new(plan::of(vpns)), Remembered::default(), now());
    let (_status, status) = watch::channel(Arc::new(monitor.status(now())));
    let (_problems, problems) = watch::channel(ShownProblems::default());
    let (_about, about) = watch::channel(About { version: "0.1.0", mode: "raise" });
    let (_links, links) = watch::channel(Arc::default());
    let sources = PageSources { status, problems, records: Records::default(), about, links, now };
    let (pages, _noticing) = StatusPages::new(sources, history(store.clone()));
    let begun = clock::now().mono;
    let rendered = pages.render(subject).await;
    let took = clock::now().mono.since(begun);
    let Rendered::Page(html) = rendered else { panic!("{rendered:?}") };
    let html = String::from_utf8_lossy(&html);
    assert!(!html.contains("History not available"), "the store has not answered in time");
    (took, html.len())
}
