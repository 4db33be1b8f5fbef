//! The one list of open problems that `/readyz`, `/status`, the metrics, systemd's line and the journal show. Three problems are found here: a site that is cut off from AWS, which comes first because it can page nobody;
//! credentials that nobody renews, before they expire; and a host clock that is far from AWS's.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::context::{MAX_CLOCK_OFFSET, time_at_cloudwatch};
use crate::aws::{AwsConnections, ClockOffset, Outlook};
use crate::catalogue::Notice;
use crate::clock;
use crate::domain::status::{SourceStatus, Status};
use crate::health::overview::Configured;
use crate::health::overview::{OpenProblem, Overview, ShownProblems};
use crate::health::{Code, Component, Health, Problem, Problems};

/// How often problems that follow from the status, or from how long something lasts, are computed.
const COMPUTE_EVERY: Duration = Duration::from_secs(1);

/// Keeps the list until `ends` completes; updates it at once when a part states or clears a problem.
pub(super) async fn keep_overview(
    shown: watch::Sender<ShownProblems>,
    mut stated: watch::Receiver<Problems>,
    status: watch::Receiver<Arc<Status>>,
    configured: watch::Receiver<Configured>,
    ends: impl Future<Output = ()>,
) {
    let mut overview = Overview::default();
    let mut ticks = interval(COMPUTE_EVERY);
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

/// Every problem has a record when it begins, changes and ends; the journal suppresses repetitions that come too often.
pub(super) async fn keep_journal(mut shown: watch::Receiver<ShownProblems>, site: Arc<str>) {
    let mut logged = ShownProblems::default();
    loop {
        let current = Arc::clone(&shown.borrow_and_update());
        for record in news(&logged, &current) {
            record.record(Some(&site)).emit();
        }
        logged = current;
        if shown.changed().await.is_err() {
            return;
        }
    }
}

/// What is not logged yet: first the problems that ended.
fn news<'a>(logged: &'a [OpenProblem], current: &'a [OpenProblem]) -> Vec<Notice<'a>> {
    // A problem of the configuration has a record where it is found, with all its lines.
    let of_journal = |open: &&OpenProblem| open.component != Component::Configuration;
    let same =
        |a: &OpenProblem, b: &OpenProblem| a.component == b.component && a.problem.code == b.problem.code;
    let over = logged.iter().filter(of_journal).filter(|was| !current.iter().any(|open| same(was, open)));
    let begun = current.iter().filter(of_journal).filter(|open| !logged.contains(open));
    over.map(|OpenProblem { component, problem: Problem { code, .. } }| Notice::ProblemOver {
        component,
        code: *code,
    })
    .chain(begun.map(|OpenProblem { component, problem }| Notice::Problem { component, problem }))
    .collect()
}

/// Fewer unanswered requests in a row may be an accident.
const REFUSALS: u32 = 2;

/// States the problem when AWS becomes unreachable, and clears it when AWS answers again; until the driver ends. `configured` names
/// the sinks that are not at AWS and may still be reachable.
pub(super) async fn watch_reach(
    health: Health,
    mut status: watch::Receiver<Arc<Status>>,
    configured: watch::Receiver<Configured>,
) {
    while status.changed().await.is_ok() {
        let now = Arc::clone(&status.borrow_and_update());
        let problems = health.watch().borrow().clone();
        match is_cut_off(&now.sources, &problems) {
            true => {
                let others = sinks_outside_aws(&configured.borrow());
                health.set(Component::Site, cut_off(&now.sources, &problems, &others))
            }
            false => health.clear(&Component::Site),
        };
    }
}

/// The sinks that a site without AWS may still reach.
fn sinks_outside_aws(configured: &Configured) -> Vec<String> {
    let others = configured.sinks.iter().filter(|sink| sink.way.is_none());
    others.map(|sink| sink.plan.id.to_string()).collect()
}

/// Whether no source of evidence reaches AWS, as the core says. AWS is reached if it answers anything, even a refusal.
fn is_cut_off(sources: &[SourceStatus], problems: &Problems) -> bool {
    let unreached = |source: &SourceStatus| {
        // Without any credentials nothing is asked: that is a mistake in the setup, and says nothing about the network.
        let has_none =
            problem_of(source, problems).is_some_and(|problem| problem.code == Code::CredentialsFailing);
        source.refusals_in_row >= REFUSALS && source.cut_off && !has_none
    };
    !sources.is_empty() && sources.iter().all(unreached)
}

fn problem_of<'a>(source: &SourceStatus, problems: &'a Problems) -> Option<&'a Problem> {
    problems.get(&Component::Source(source.id.to_string()))
}

fn cut_off(sources: &[SourceStatus], problems: &Problems, others: &[String]) -> Problem {
    let asked: Vec<String> = sources.iter().map(|source| source.id.to_string()).collect();
    let without_credentials = sources
        .iter()
        .filter_map(|source| problem_of(source, problems))
        .find(|problem| problem.code == Code::CredentialsSourceFailing);
    Problem::site_cut_off(&asked, others, without_credentials)
}

const EXPIRY_LOOK_EVERY: Duration = Duration::from_secs(60);

/// A source of credentials that hangs is given up before the next round.
const GIVE_UP_AFTER: Duration = Duration::from_secs(50);

/// States, each minute and without end, the credentials that are about to expire.
pub(super) async fn watch_expiry(connections: AwsConnections, health: Health) {
    let mut stated = BTreeSet::new();
    let mut ticks = interval(EXPIRY_LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = time_at_cloudwatch(&connections).now.wall;
        let Ok(outlooks) = timeout(GIVE_UP_AFTER, connections.outlooks(now)).await else { continue };
        let mut stated_now = BTreeSet::new();
        for (role, outlook) in outlooks {
            match outlook {
                Outlook::Good => {}
                Outlook::Expiring(at) => {
                    let component = Component::credentials(role.as_deref());
                    health.set(
                        component.clone(),
                        Problem::credentials_expiring(role.as_deref(), at.as_millis()),
                    );
                    stated_now.insert(component);
                }
            }
        }
        // Credentials no longer in use do not expire.
        for component in stated.difference(&stated_now) {
            health.clear(component);
        }
        stated = stated_now;
    }
}

/// States the problem when the clock offset passes the limit, and states it anew only after the offset has moved by as much again.
#[derive(Debug)]
pub(super) struct OffsetReporter {
    health: Health,
    /// The offset in the problem as stated, in milliseconds.
    stated: Option<i64>,
}

impl OffsetReporter {
    pub(super) fn new(health: Health) -> Self {
        Self { health, stated: None }
    }

    /// Takes the offset as AWS's last answer shows it.
    pub(super) fn observe(&mut self, offset: ClockOffset) {
        match offset.exceeds(MAX_CLOCK_OFFSET) {
            Some(true) if self.has_moved(offset) => {
                self.stated = Some(offset.millis);
                self.health.set(Component::Clock, Problem::clock_off(offset.millis));
            }
            Some(false) if self.stated.take().is_some() => _ = self.health.clear(&Component::Clock),
            // A round trip too long to decide by changes nothing.
            Some(_) | None => {}
        }
    }

    fn has_moved(&self, offset: ClockOffset) -> bool {
        let by = |stated: i64| Duration::from_millis(stated.abs_diff(offset.millis));
        self.stated.is_none_or(|stated| by(stated) > MAX_CLOCK_OFFSET + offset.within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{AwsPlace, SourceId, SourceKind};
    use crate::health::{Code, Severity};

    fn open(code: Code, text: &str) -> OpenProblem {
        OpenProblem { component: Component::Store, problem: Problem::of(code, text) }
    }

    fn record_names(logged: &[OpenProblem], current: &[OpenProblem]) -> Vec<String> {
        news(logged, current).iter().map(|notice| notice.record(None).kind.name.to_owned()).collect()
    }

    #[test]
    fn a_problem_is_logged_when_it_begins_changes_and_ends_and_never_twice() {
        let (full, slow) = (open(Code::StoreFailing, "full"), open(Code::RawSockets, "slow"));
        assert_eq!(record_names(&[], std::slice::from_ref(&full)), ["PROBLEM_STORE_FAILING"]);
        assert_eq!(record_names(std::slice::from_ref(&full), std::slice::from_ref(&full)), [""; 0]);
        let other = open(Code::StoreFailing, "gone");
        assert_eq!(record_names(std::slice::from_ref(&full), &[other]), ["PROBLEM_STORE_FAILING"]);
        let worse = OpenProblem { problem: slow.problem.clone().with(Severity::Failed), ..slow.clone() };
        assert_eq!(record_names(std::slice::from_ref(&slow), &[worse]), ["PROBLEM_RAW_SOCKETS"]);
        assert_eq!(record_names(&[full], &[slow]), ["PROBLEM_ENDED", "PROBLEM_RAW_SOCKETS"]);
    }

    #[test]
    fn a_refused_reload_has_its_own_record() {
        let refused = OpenProblem {
            component: Component::Configuration,
            problem: Problem::of(Code::ReloadRefused, "wrong"),
        };
        assert_eq!(record_names(&[], std::slice::from_ref(&refused)), [""; 0]);
        assert_eq!(record_names(&[refused], &[]), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stated_problem_is_shown_at_once_and_removed_when_cleared() {
        let health = crate::health::Health::default();
        let (shown, mut seen) = watch::channel(ShownProblems::default());
        let (status, status_in) = watch::channel(Arc::new(Status::default()));
        let mut gone = status_in.clone();
        let ends = async move { while gone.changed().await.is_ok() {} };
        let (_configured, configured_in) = watch::channel(Configured::default());
        let running = tokio::spawn(keep_overview(shown, health.watch(), status_in, configured_in, ends));
        health.set(Component::Sink("webhook".into()), Problem::of(Code::SinkRejects, "no"));
        seen.wait_for(|shown| shown.len() == 1).await.unwrap();
        health.clear(&Component::Sink("webhook".into()));
        seen.wait_for(|shown| shown.is_empty()).await.unwrap();
        drop(status);
        running.await.unwrap();
    }

    fn source(kind: SourceKind, refusals_in_row: u32, cut_off: bool) -> SourceStatus {
        let id = SourceId { kind, place: AwsPlace::default() };
        SourceStatus { id, last_answer: None, refusals_in_row, cut_off }
    }

    fn problems(codes: &[(SourceKind, Code)]) -> Problems {
        let problem = |(kind, code): &(SourceKind, Code)| {
            let component = Component::Source(source(*kind, 0, true).id.to_string());
            (component, Problem::of(*code, "GetMetricData: no AWS credentials: helper: no such host"))
        };
        codes.iter().map(problem).collect()
    }

    #[test]
    fn a_site_is_cut_off_when_no_source_reaches_aws_and_not_when_one_does() {
        use SourceKind::{CloudWatch, Ec2};
        let none = Problems::new();
        assert!(is_cut_off(&[source(CloudWatch, 2, true), source(Ec2, 5, true)], &none));
        // A refusal is an answer.
        assert!(!is_cut_off(&[source(CloudWatch, 2, true), source(Ec2, 5, false)], &none));
        // One lost request does not cut a site off.
        assert!(!is_cut_off(&[source(CloudWatch, 1, true), source(Ec2, 5, true)], &none));
        assert!(!is_cut_off(&[], &none));
    }

    #[test]
    fn a_credential_helper_that_fails_counts_as_cut_off_and_missing_credentials_do_not() {
        use SourceKind::{CloudWatch, Ec2};
        let both = [source(CloudWatch, 2, true), source(Ec2, 2, true)];
        let failing = problems(&[(CloudWatch, Code::CredentialsSourceFailing), (Ec2, Code::AwsUnreachable)]);
        assert!(is_cut_off(&both, &failing));
        let text = cut_off(&both, &failing, &[]).text;
        assert!(text.starts_with("this site is cut off; nobody can be paged from here. "), "{text}");
        assert!(
            text.ends_with("confirmed. GetMetricData: no AWS credentials: helper: no such host"),
            "{text}"
        );
        let missing = problems(&[(CloudWatch, Code::CredentialsFailing), (Ec2, Code::CredentialsFailing)]);
        assert!(!is_cut_off(&both, &missing));
    }

    #[test]
    fn the_cut_off_problem_comes_first_and_names_the_sinks_that_can_still_page() {
        let (sources, none) = ([source(SourceKind::CloudWatch, 2, true)], Problems::new());
        let others = ["pagerduty".to_owned()];
        insta::assert_snapshot!(
            format!("{}\n{}", cut_off(&sources, &none, &[]).text, cut_off(&sources, &none, &others).text),
            @"
        this site is cut off; nobody can be paged from here. AWS does not answer (cloudwatch): no outage can be confirmed
        this site is cut off; nobody can be paged from here through AWS, only through pagerduty, and only for incidents that are already open. AWS does not answer (cloudwatch): no outage can be confirmed
        "
        );
        assert!(Component::Site < Component::Source(String::new()), "it is the first of all problems");
    }

    fn clock_problem(reporter: &OffsetReporter) -> Option<String> {
        reporter.health.watch().borrow().get(&Component::Clock).map(|problem| problem.text.clone())
    }

    fn off(seconds: i64) -> ClockOffset {
        ClockOffset { millis: seconds * 1000, within: Duration::from_millis(600) }
    }

    #[test]
    fn a_wrong_clock_keeps_one_text_until_it_is_set() {
        let mut reporter = OffsetReporter::new(Health::default());
        reporter.observe(off(59));
        assert_eq!(clock_problem(&reporter), None);
        reporter.observe(off(-3600));
        let text = clock_problem(&reporter).unwrap();
        assert!(text.contains("3600 s behind AWS's"), "{text}");
        reporter.observe(off(-3610));
        assert_eq!(clock_problem(&reporter).unwrap(), text);
        reporter.observe(off(3600));
        assert!(clock_problem(&reporter).unwrap().contains("3600 s ahead of AWS's"));
        reporter.observe(off(0));
        assert_eq!(clock_problem(&reporter), None);
    }

    #[test]
    fn an_answer_too_slow_to_measure_by_neither_raises_nor_clears_it() {
        let mut reporter = OffsetReporter::new(Health::default());
        let slow = |seconds: i64| ClockOffset { millis: seconds * 1000, within: Duration::from_secs(10) };
        reporter.observe(slow(65));
        assert_eq!(clock_problem(&reporter), None);
        reporter.observe(off(65));
        reporter.observe(slow(55));
        assert!(clock_problem(&reporter).is_some());
    }
}
