//! Keeps what is shown of the daemon's health: `/readyz`, `/status`, the metrics, systemd's line and the journal all read this
//! one list.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::clock;
use crate::domain::status::Status;
use crate::health::overview::Configured;
use crate::health::overview::{OpenProblem, Overview, ShownProblems};
use crate::health::{Component, Problem, Problems};
use crate::telemetry::wording::Notice;

/// What follows from the status, and from how long something lasts, is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks until `ends`; at once when a part states or clears a problem.
pub(super) async fn keep(
    shown: watch::Sender<ShownProblems>,
    mut stated: watch::Receiver<Problems>,
    status: watch::Receiver<Arc<Status>>,
    configured: watch::Receiver<Configured>,
    ends: impl Future<Output = ()>,
) {
    let mut overview = Overview::default();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(ends);
    loop {
        let status_now = Arc::clone(&status.borrow());
        let configured_now = configured.borrow().clone();
        let open =
            overview.look(&stated.borrow_and_update(), &status_now, &configured_now, clock::now().mono);
        shown.send_if_modified(|shown| {
            let is_news = **shown != open;
            if is_news {
                *shown = Arc::new(open);
            }
            is_news
        });
        tokio::select! {
            _ = ticks.tick() => {}
            Ok(()) = stated.changed() => {}
            () = &mut ends => return,
        }
    }
}

/// Every problem has a record when it comes, when it becomes another and when it goes; the journal folds what comes and goes too
/// often.
pub(super) async fn tell(mut shown: watch::Receiver<ShownProblems>, site: Arc<str>) {
    let mut told = ShownProblems::default();
    loop {
        let current = Arc::clone(&shown.borrow_and_update());
        for record in news(&told, &current) {
            record.record(Some(&site)).emit();
        }
        told = current;
        if shown.changed().await.is_err() {
            return;
        }
    }
}

/// What the journal has not said: first what is over.
fn news<'a>(told: &'a [OpenProblem], current: &'a [OpenProblem]) -> Vec<Notice<'a>> {
    // What is wrong with the configuration has a record where it is found, with all its problems.
    let of_journal = |open: &&OpenProblem| open.component != Component::Configuration;
    let same =
        |a: &OpenProblem, b: &OpenProblem| a.component == b.component && a.problem.code == b.problem.code;
    let over = told.iter().filter(of_journal).filter(|was| !current.iter().any(|open| same(was, open)));
    let begun = current.iter().filter(of_journal).filter(|open| !told.contains(open));
    over.map(|OpenProblem { component, problem: Problem { code, .. } }| Notice::ProblemOver {
        component,
        code: *code,
    })
    .chain(begun.map(|OpenProblem { component, problem }| Notice::Problem { component, problem }))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Code, Severity};

    fn open(code: Code, text: &str) -> OpenProblem {
        OpenProblem { component: Component::Store, problem: Problem::new(code, text) }
    }

    fn said(told: &[OpenProblem], current: &[OpenProblem]) -> Vec<String> {
        news(told, current).iter().map(|notice| notice.record(None).kind.name.to_owned()).collect()
    }

    #[test]
    fn the_journal_says_what_begins_changes_and_ends_and_nothing_twice() {
        let (full, slow) = (open(Code::StoreFailing, "full"), open(Code::RawSockets, "slow"));
        assert_eq!(said(&[], std::slice::from_ref(&full)), ["PROBLEM_STORE_FAILING"]);
        assert_eq!(said(std::slice::from_ref(&full), std::slice::from_ref(&full)), [""; 0]);
        let other = open(Code::StoreFailing, "gone");
        assert_eq!(said(std::slice::from_ref(&full), &[other]), ["PROBLEM_STORE_FAILING"]);
        let worse = OpenProblem { problem: slow.problem.clone().with(Severity::Failed), ..slow.clone() };
        assert_eq!(said(std::slice::from_ref(&slow), &[worse]), ["PROBLEM_RAW_SOCKETS"]);
        assert_eq!(said(&[full], &[slow]), ["PROBLEM_ENDED", "PROBLEM_RAW_SOCKETS"]);
    }

    #[test]
    fn a_refused_reload_has_its_own_record() {
        let refused = OpenProblem {
            component: Component::Configuration,
            problem: Problem::new(Code::ReloadRefused, "wrong"),
        };
        assert_eq!(said(&[], std::slice::from_ref(&refused)), [""; 0]);
        assert_eq!(said(&[refused], &[]), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_stated_is_shown_at_once_and_what_lasts_becomes_worse() {
        let health = crate::health::Health::default();
        let (shown, mut seen) = watch::channel(ShownProblems::default());
        let (status, status_in) = watch::channel(Arc::new(Status::default()));
        let mut gone = status_in.clone();
        let ends = async move { while gone.changed().await.is_ok() {} };
        let (_configured, configured_in) = watch::channel(Configured::default());
        let running = tokio::spawn(keep(shown, health.watch(), status_in, configured_in, ends));
        health.set(Component::Sink("webhook".into()), Problem::new(Code::SinkRejects, "no"));
        seen.wait_for(|shown| shown.len() == 1).await.unwrap();
        health.clear(&Component::Sink("webhook".into()));
        seen.wait_for(|shown| shown.is_empty()).await.unwrap();
        drop(status);
        running.await.unwrap();
    }
}
