use std::cell::Cell;
use std::rc::Rc;

use super::*;
use crate::domain::event::Remembered;

/// Nothing is probed here.
struct Nothing;

impl Probe for Nothing {
    fn execute(&mut self, _: EchoRequest) {}

    fn retire(&mut self, _: &CheckId, _: ClientId) {}
}

/// How often the watchdog was fed until the status was published so often, while the I/O thread's last beat is so old.
fn fed(io_beat_age: Duration, publications: u32) -> u32 {
    let plan = Plan { site: "milan-1".into(), votes_if_address: None, vpns: Vec::new(), sinks: Vec::new() };
    let monitor = Monitor::new(Arc::new(plan), Remembered::default(), clock::now());
    let (_echoes, echoes) = mpsc::unbounded_channel();
    let (_events, events) = mpsc::channel(1);
    let (_commands, commands) = mpsc::channel(1);
    let (shutdown, shutdown_in) = watch::channel(false);
    let io_beat = Arc::new(AtomicI64::new((clock::now().mono - io_beat_age).as_nanos()));
    let inputs = Inputs { echoes, events, commands, shutdown: shutdown_in, io_beat };
    let (status, mut status_in) = watch::channel(Arc::<Status>::default());
    let fed = Rc::new(Cell::new(0));
    let outputs = Outputs {
        probe: Nothing,
        ask_aws: Box::new(|_| {}),
        facts: Box::new(|_| {}),
        board: watch::channel(Arc::<Board>::default()).0,
        status,
        // Held by the driver's thread alone: what is counted by an `Rc` cannot be fed from another.
        pet: Box::new({
            let fed = Rc::clone(&fed);
            move || fed.set(fed.get() + 1)
        }),
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
    fed.get()
}

#[test]
fn the_watchdog_is_fed_whenever_the_status_is_published() {
    assert_eq!(fed(Duration::ZERO, 2), 2);
}

#[test]
fn the_watchdog_is_not_fed_while_the_thread_that_speaks_to_people_is_stuck() {
    assert_eq!(fed(BEAT_FRESH_FOR, 2), 0);
}

fn at(seconds: u64) -> Moment {
    Moment::ORIGIN + Duration::from_secs(seconds)
}

#[test]
fn a_core_that_asks_for_what_is_over_makes_no_progress_however_busy_its_thread_is() {
    let mut progress = Progress::default();
    for second in 0..15 {
        progress.called(at(second), Some(at(0)));
        assert!(progress.is_made(at(second)), "{second}: it may take a moment to catch up");
    }
    progress.called(at(15), Some(at(15)));
    assert!(!progress.is_made(at(15)));
    progress.called(at(16), Some(at(17)));
    assert!(progress.is_made(at(16)), "it has caught up");
}

#[test]
fn a_core_that_wants_nothing_or_something_later_makes_progress() {
    let mut progress = Progress::default();
    for second in 0..100 {
        progress.called(at(second), (second % 2 == 0).then(|| at(second + 1)));
        assert!(progress.is_made(at(second)));
    }
}
