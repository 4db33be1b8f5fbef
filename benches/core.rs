//! What the core costs on the processor: an echo and its reply, of tunnels that are all well, from the wake-up that sends it to the
//! last fact that is taken. Time is virtual: nothing is sent, and nothing is waited for. Several runs of each, by the cheapest, the
//! median and the dearest; nothing fails, for a busy machine is no defect.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bothends::clock;
use bothends::domain::event::{Event, Remembered};
use bothends::domain::fact::Fact;
use bothends::domain::monitor::Monitor;
use bothends::domain::names::{Role, Routing, TunnelId, VpnId};
use bothends::domain::plan::{
    AwsRules, IncidentRules, Plan, ProbeRules, QualityRules, Route, TunnelPlan, VpnPlan,
};
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
    let mut monitor = Monitor::new(Arc::new(plan(vpns)), Remembered::default(), now);
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

fn plan(vpns: u8) -> Plan {
    let second = Duration::from_secs(1);
    let vpn = |n: u8| {
        let id = VpnId::new(format!("vpn-{n:017x}"));
        let tunnel = |last: u8| {
            Arc::new(TunnelPlan {
                id: TunnelId { vpn: id.clone(), outside_ip: [203, 0, n, last].into() },
                name: format!("tunnel {last}").into(),
                role: Role::Active,
                through: Default::default(),
                uplink: None,
                sensors: Default::default(),
                route: Arc::new(Route {
                    inside_ip: [169, 254, n, 4 * last + 1].into(),
                    source_ip: [169, 254, n, 4 * last + 2].into(),
                    interface: None,
                    fwmark: None,
                }),
            })
        };
        Arc::new(VpnPlan {
            id: id.clone(),
            name: "Milan DC".into(),
            routing: Routing::Unknown,
            tunnels: vec![tunnel(1), tunnel(2)],
            probe: ProbeRules {
                interval: second,
                suspect_interval: second / 5,
                timeout: second,
                down_after: NonZeroU32::new(10).expect("not zero"),
                up_after: NonZeroU32::new(5).expect("not zero"),
            },
            quality: QualityRules::default(),
            incident: IncidentRules {
                open_after_outage: 30 * second,
                open_after_redundancy_lost: 120 * second,
                one_sided_after: None,
                degraded_after: None,
                resolve_after: 300 * second,
                start_grace: 120 * second,
            },
            aws: AwsRules {
                poll_interval: 60 * second,
                suspect_poll_interval: 15 * second,
                stale_after: 600 * second,
                sources: Vec::new(),
            },
        })
    };
    Plan {
        site: "milan-1".into(),
        votes_if_address: None,
        vpns: (0..vpns).map(vpn).collect(),
        parents: Vec::new(),
        sinks: Vec::new(),
    }
}
