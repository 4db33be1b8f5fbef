use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::domain::event::Remembered;

/// Nothing is probed here.
struct Nothing;

impl Probe for Nothing {
    fn execute(&mut self, _: EchoRequest) {}

    fn retire(&mut self, _: &CheckId, _: ClientId) {}
}

/// What the watchdog heard until the status was published so often, beside a thread that never beats.
fn heard(patience: Duration, publications: u32) -> Vec<Option<Stuck>> {
    let plan = Plan { site: "milan-1".into(), votes_if_address: None, vpns: Vec::new(), sinks: Vec::new() };
    let monitor = Monitor::new(Arc::new(plan), Remembered::default(), clock::now());
    let (_echoes, echoes) = mpsc::unbounded_channel();
    let (_events, events) = mpsc::channel(1);
    let (_commands, commands) = mpsc::channel(1);
    let (shutdown, shutdown_in) = watch::channel(false);
    let io_beat = Arc::new(AtomicI64::new(clock::now().mono.as_nanos()));
    let inputs = Inputs { echoes, events, commands, shutdown: shutdown_in, io_beat };
    let (status, mut status_in) = watch::channel(Arc::<Status>::default());
    let heard = Rc::new(RefCell::new(Vec::new()));
    let outputs = Outputs {
        probe: Nothing,
        ask_aws: Box::new(|_| {}),
        facts: Box::new(|_| {}),
        board: watch::channel(Arc::<Board>::default()).0,
        status,
        // Held by the driver's thread alone: what is kept by an `Rc` cannot be told from another.
        watchdog: Watchdog {
            patience,
            tell: Box::new({
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
fn the_watchdog_hears_that_nothing_is_stuck_whenever_the_status_is_published() {
    assert_eq!(heard(Duration::MAX, 2), [None, None]);
}

#[test]
fn the_watchdog_hears_that_the_thread_that_speaks_to_people_is_stuck() {
    assert_eq!(heard(STATUS_EVERY / 2, 2), [None, Some(Stuck::People)]);
}
