//! What the core costs on the processor: an echo and its reply, of tunnels that are all well, from the wake-up that sends it to the
//! last fact that is taken. Time is virtual: nothing is sent, and nothing is waited for. Several runs of each, by the cheapest, the
//! median and the dearest; nothing fails, for a busy machine is no defect.

#[path = "shared/plan.rs"]
mod plan;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bothends::clock;
use bothends::domain::event::{Event, Remembered};
use bothends::domain::fact::Fact;
use bothends::domain::monitor::Monitor;
use bothends::domain::names::VpnId;
use bothends::domain::request::Request;
use bothends::domain::time::{Moment, Now, Stamp};

const RUNS: usize = 11;
const ECHOES: u64 = 200_000;
/// Verdicts are there by then.
const WARM_UP: u64 = 2_000;

fn main() {
    let build = if cfg!(debug_assertions) { "unoptimised" } else { "optimised" };
    println!(
        "bothends {}, {build}: nanoseconds of the core for an echo and its reply",
        env!("CARGO_PKG_VERSION")
    );
    for vpns in [1, 20] {
        let mut runs: Vec<u128> = (0..RUNS).map(|_| run(vpns)).collect();
        runs.sort_unstable();
        let [min, median, max] = [runs[0], runs[RUNS / 2], runs[RUNS - 1]];
        println!("{:>3} tunnels: {min} at the least, {median} the median, {max} at the most", 2 * vpns);
    }
}

/// Nanoseconds an echo of connections of two tunnels each.
fn run(vpns: u8) -> u128 {
    let echoes = if cfg!(debug_assertions) { ECHOES / 20 } else { ECHOES };
    let mut now = Now { mono: Moment::ORIGIN, wall: Stamp::from_secs(1_800_000_000) };
    let ids = (0..vpns).map(|n| (VpnId::new(format!("vpn-{n:017x}")), n));
    let mut monitor = Monitor::new(Arc::new(plan::of(ids)), Remembered::default(), now);
    play(&mut monitor, &mut now, WARM_UP);
    let begun = clock::now().mono;
    play(&mut monitor, &mut now, echoes);
    clock::now().mono.since(begun).as_nanos() / u128::from(echoes)
}

/// Calls the core when it wants to be called, and answers every echo, until so many have ended.
fn play(monitor: &mut Monitor, now: &mut Now, echoes: u64) {
    let rtt = Duration::from_millis(20);
    let mut ended = 0;
    while ended < echoes {
        let (at, _) = monitor.poll_timeout().expect("a check is always due");
        *now = now.after(at.since(now.mono));
        monitor.handle_timeout(*now);
        while let Some(request) = monitor.poll_request() {
            let Request::Echo(echo) = request else { continue };
            monitor.handle(Event::Sent { check: echo.check.clone(), echo: echo.echo, at: now.mono }, *now);
            monitor.handle(Event::Reply { check: echo.check.clone(), echo: echo.echo, rtt }, *now);
        }
        while let Some(fact) = monitor.poll_fact() {
            ended += u64::from(matches!(fact, Fact::EchoEnded { .. }));
            black_box(fact);
        }
        black_box(monitor.board());
    }
}
