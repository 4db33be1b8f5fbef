use std::cell::RefCell;
use std::num::NonZeroU32;
use std::rc::Rc;

use super::*;
use crate::domain::event::Remembered;
use crate::domain::names::{Role, Routing};
use crate::domain::plan::{AwsRules, IncidentRules, ProbeRules, QualityRules, Route, TunnelPlan, VpnPlan};
use crate::fixture;

/// What the watchdog heard until the status was published so often, beside a thread that never beats.
fn heard(patience: Duration, publications: u32) -> Vec<Option<Stuck>> {
    let plan = Arc::new(Plan {
        site: "milan-1".into(),
        votes_if_address: None,
        vpns: Vec::new(),
        parents: Vec::new(),
        sinks: Vec::new(),
    });
    let monitor = Monitor::new(Arc::clone(&plan), Remembered::default(), clock::now());
    let (_echoes, echoes) = mpsc::unbounded_channel();
    let (_events, events) = mpsc::channel(1);
    let (_commands, commands) = mpsc::channel(1);
    let (shutdown, shutdown_in) = watch::channel(false);
    let io_beat = Arc::new(AtomicI64::new(clock::now().mono.as_nanos()));
    let inputs = Inputs { echoes, events, commands, shutdown: shutdown_in, io_beat };
    let (status, mut status_in) = watch::channel(Arc::<Status>::default());
    let heard = Rc::new(RefCell::new(Vec::new()));
    let outputs = Outputs {
        requests: Box::new(|_| {}),
        plan: watch::channel(Arc::clone(&plan)).0,
        facts: Box::new(|_| {}),
        board: watch::channel(Arc::<Board>::default()).0,
        status,
        // Held by the driver's thread alone: what is kept by an `Rc` cannot be told from another.
        watchdog: Watchdog {
            patience,
            report: Box::new({
                let heard = Rc::clone(&heard);
                move |stuck| heard.borrow_mut().push(stuck)
            }),
        },
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::join!(run(monitor, inputs, outputs), async {
            for _ in 0..publications {
                status_in.changed().await.unwrap();
            }
            shutdown.send_replace(true);
        });
    });
    heard.take()
}

#[test]
fn what_is_open_is_shown_before_the_core_has_run() {
    let second = Duration::from_secs(1);
    let tunnel = TunnelPlan {
        id: fixture::tunnel(1),
        name: "tunnel 1".into(),
        role: Role::Active,
        through: Default::default(),
        uplink: None,
        sensors: Default::default(),
        route: Arc::new(Route {
            inside_ip: [169, 254, 10, 1].into(),
            source_ip: [169, 254, 10, 2].into(),
            interface: None,
            fwmark: None,
        }),
    };
    let vpn = VpnPlan {
        id: fixture::vpn(),
        name: "Milan DC".into(),
        routing: Routing::Unknown,
        tunnels: vec![Arc::new(tunnel)],
        probe: ProbeRules {
            interval: second,
            suspect_interval: second,
            timeout: second,
            down_after: NonZeroU32::MIN,
            up_after: NonZeroU32::MIN,
        },
        quality: QualityRules::default(),
        incident: IncidentRules {
            open_after_outage: second,
            open_after_redundancy_lost: second,
            one_sided_after: None,
            degraded_after: None,
            resolve_after: second,
            start_grace: second,
        },
        aws: AwsRules {
            poll_interval: second,
            suspect_poll_interval: second,
            stale_after: second,
            sources: Vec::new(),
        },
    };
    let plan = Plan {
        site: "milan-1".into(),
        votes_if_address: None,
        vpns: vec![Arc::new(vpn)],
        parents: Vec::new(),
        sinks: Vec::new(),
    };
    let remembered = Remembered { incidents: vec![Arc::new(fixture::incident())], ..Remembered::default() };
    let monitor = Monitor::new(Arc::new(plan), remembered, clock::now());
    let (board, status) = outputs_at_start(&monitor, clock::now());
    let open = &status.borrow().incidents;
    assert_eq!(open.len(), 1);
    assert_eq!(board.borrow().incidents, *open);
}

#[test]
fn the_watchdog_hears_that_nothing_is_stuck_whenever_the_status_is_published() {
    assert_eq!(heard(Duration::MAX, 2), [None, None]);
}

#[test]
fn the_watchdog_hears_that_the_thread_that_speaks_to_people_is_stuck() {
    assert_eq!(heard(STATUS_EVERY / 2, 2), [None, Some(Stuck::IoThread)]);
}

const PATIENCE: Duration = Duration::from_secs(15);

fn at(seconds: u64) -> Moment {
    Moment::ORIGIN + Duration::from_secs(seconds)
}

#[test]
fn a_core_that_asks_for_what_is_over_is_stuck_however_busy_its_thread_is() {
    let mut vitals = Vitals::default();
    for second in 0..15 {
        vitals.called(at(second), Some(at(0)));
        let stuck = vitals.look(at(second), at(second), PATIENCE);
        assert_eq!(stuck, None, "{second}: it may take a moment to catch up");
    }
    vitals.called(at(15), Some(at(15)));
    assert_eq!(vitals.look(at(15), at(15), PATIENCE), Some(Stuck::Core));
    vitals.called(at(16), Some(at(17)));
    assert_eq!(vitals.look(at(16), at(16), PATIENCE), None, "it has caught up");
}

#[test]
fn a_core_that_wants_nothing_or_something_later_makes_progress() {
    let mut vitals = Vitals::default();
    for second in 0..100 {
        vitals.called(at(second), (second % 2 == 0).then(|| at(second + 1)));
        assert_eq!(vitals.look(at(second), at(second), PATIENCE), None);
    }
}

#[test]
fn a_thread_that_does_not_beat_is_stuck_after_the_patience_and_alive_with_its_next_beat() {
    let mut vitals = Vitals::default();
    for second in 0..15 {
        assert_eq!(vitals.look(at(second), at(0), PATIENCE), None, "{second}");
    }
    assert_eq!(vitals.look(at(15), at(0), PATIENCE), Some(Stuck::IoThread));
    assert_eq!(vitals.look(at(16), at(16), PATIENCE), None);
}

#[test]
fn a_thread_that_could_not_beat_because_the_host_slept_is_not_stuck() {
    let mut vitals = Vitals::default();
    assert_eq!(vitals.look(at(1), at(1), PATIENCE), None);
    assert_eq!(vitals.look(at(3600), at(1), PATIENCE), None);
    assert_eq!(vitals.look(at(3601), at(3601), PATIENCE), None);
}
