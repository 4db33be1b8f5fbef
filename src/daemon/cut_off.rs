//! Whether this site is cut off from AWS: the problem that stands before all others, because nobody can be paged from here then.

use std::sync::Arc;

use tokio::sync::watch;

use crate::domain::status::{SourceStatus, Status};
use crate::health::overview::Configured;
use crate::health::{Code, Component, Health, Problem, Problems};

/// So many questions in a row that nobody answered make no accident.
const REFUSALS: u32 = 2;

/// States and clears the problem as AWS becomes unreachable and answers again, until the driver ends. `configured`: some sinks do
/// not go by AWS, and may be reached all the same.
pub(super) async fn tell(
    health: Health,
    mut status: watch::Receiver<Arc<Status>>,
    configured: watch::Receiver<Configured>,
) {
    while status.changed().await.is_ok() {
        let now = Arc::clone(&status.borrow_and_update());
        let problems = health.watch().borrow().clone();
        match is_cut_off(&now.sources, &problems) {
            true => {
                let others = not_by_aws(&configured.borrow());
                health.set(Component::Site, problem(&now.sources, &problems, &others))
            }
            false => health.clear(&Component::Site),
        };
    }
}

/// The sinks that a site may reach that does not reach AWS.
fn not_by_aws(configured: &Configured) -> Vec<String> {
    let others = configured.sinks.iter().filter(|sink| sink.way.is_none());
    others.map(|sink| sink.plan.id.to_string()).collect()
}

/// Whether no source of AWS's evidence reaches AWS, by the core's word: one that answers, if only with a refusal, is reached.
fn is_cut_off(sources: &[SourceStatus], problems: &Problems) -> bool {
    let unreached = |source: &SourceStatus| {
        // Who has no credentials at all asks nothing: that is a mistake, and no cut.
        let has_none =
            problem_of(source, problems).is_some_and(|problem| problem.code == Code::CredentialsFailing);
        source.refusals_in_row >= REFUSALS && source.cut_off && !has_none
    };
    !sources.is_empty() && sources.iter().all(unreached)
}

fn problem_of<'a>(source: &SourceStatus, problems: &'a Problems) -> Option<&'a Problem> {
    problems.get(&Component::Source(source.id.to_string()))
}

fn problem(sources: &[SourceStatus], problems: &Problems, others: &[String]) -> Problem {
    let asked: Vec<String> = sources.iter().map(|source| source.id.to_string()).collect();
    let paged = if others.is_empty() {
        "nobody can be paged from here".to_owned()
    } else {
        format!(
            "nobody can be paged from here through AWS, only through {}, and only for incidents that are already open",
            others.join(", ")
        )
    };
    // Whether the way is cut, or only what gives the credentials fails, is for a person to see.
    let without_credentials = sources
        .iter()
        .filter_map(|source| problem_of(source, problems))
        .find(|problem| problem.code == Code::CredentialsSourceFailing);
    let why = without_credentials.map_or_else(String::new, |problem| format!(". {}", problem.text));
    let text = format!(
        "this site is cut off; {paged}. AWS does not answer ({}): no outage can be confirmed{why}",
        asked.join(", ")
    );
    Problem::new(Code::SiteCutOff, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{AwsPlace, SourceId, SourceKind};

    fn source(kind: SourceKind, refusals_in_row: u32, cut_off: bool) -> SourceStatus {
        let id = SourceId { kind, place: AwsPlace::default() };
        SourceStatus { id, last_answer: None, refusals_in_row, cut_off }
    }

    fn problems(codes: &[(SourceKind, Code)]) -> Problems {
        let problem = |(kind, code): &(SourceKind, Code)| {
            let component = Component::Source(source(*kind, 0, true).id.to_string());
            (component, Problem::new(*code, "GetMetricData: no AWS credentials: helper: no such host"))
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
        // One lost question is no cut.
        assert!(!is_cut_off(&[source(CloudWatch, 1, true), source(Ec2, 5, true)], &none));
        assert!(!is_cut_off(&[], &none));
    }

    #[test]
    fn a_helper_that_fails_because_the_way_is_cut_is_a_cut_and_credentials_that_are_missing_are_none() {
        use SourceKind::{CloudWatch, Ec2};
        let both = [source(CloudWatch, 2, true), source(Ec2, 2, true)];
        let failing = problems(&[(CloudWatch, Code::CredentialsSourceFailing), (Ec2, Code::AwsUnreachable)]);
        assert!(is_cut_off(&both, &failing));
        let text = problem(&both, &failing, &[]).text;
        assert!(text.starts_with("this site is cut off; nobody can be paged from here. "), "{text}");
        assert!(
            text.ends_with("confirmed. GetMetricData: no AWS credentials: helper: no such host"),
            "{text}"
        );
        let missing = problems(&[(CloudWatch, Code::CredentialsFailing), (Ec2, Code::CredentialsFailing)]);
        assert!(!is_cut_off(&both, &missing));
    }

    #[test]
    fn the_sentence_stands_first_and_names_what_can_still_page() {
        let (sources, none) = ([source(SourceKind::CloudWatch, 2, true)], Problems::new());
        let others = ["pagerduty".to_owned()];
        insta::assert_snapshot!(
            format!("{}\n{}", problem(&sources, &none, &[]).text, problem(&sources, &none, &others).text),
            @"
        this site is cut off; nobody can be paged from here. AWS does not answer (cloudwatch): no outage can be confirmed
        this site is cut off; nobody can be paged from here through AWS, only through pagerduty, and only for incidents that are already open. AWS does not answer (cloudwatch): no outage can be confirmed
        "
        );
        assert!(Component::Site < Component::Source(String::new()), "it is the first of all problems");
    }
}
