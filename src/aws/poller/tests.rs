use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use super::*;
use crate::domain::names::{Role, Routing, VpnId};
use crate::domain::plan::{AwsRules, IncidentRules, ProbeRules, QualityRules, Route, TunnelPlan, VpnPlan};
use crate::domain::time::{Moment, Stamp};
use crate::health::{Problems, Severity};

fn source(region: &str) -> SourceId {
    SourceId { kind: SourceKind::CloudWatch, place: AwsPlace { region: Some(region.into()), role_arn: None } }
}

fn plan(vpns: &[(&str, &[SourceId])]) -> Plan {
    let vpn = |(id, sources): &(&str, &[SourceId])| {
        let vpn = VpnId::new(*id);
        let tunnel = TunnelId { vpn: vpn.clone(), outside_ip: "203.0.113.11".parse().unwrap() };
        let route = Route {
            inside_ip: "169.254.10.1".parse().unwrap(),
            source_ip: "169.254.10.2".parse().unwrap(),
            interface: None,
            fwmark: None,
        };
        let second = Duration::from_secs(1);
        Arc::new(VpnPlan {
            id: vpn,
            name: "Milan".into(),
            routing: Routing::Unknown,
            tunnels: vec![Arc::new(TunnelPlan {
                id: tunnel,
                name: "tunnel 1".into(),
                role: Role::Active,
                route: Arc::new(route),
                through: Default::default(),
                uplink: None,
                sensors: Default::default(),
            })],
            probe: ProbeRules {
                interval: second,
                suspect_interval: second,
                timeout: second,
                down_after: std::num::NonZeroU32::MIN,
                up_after: std::num::NonZeroU32::MIN,
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
                stale_after: Duration::from_secs(600),
                sources: sources.to_vec(),
            },
        })
    };
    Plan {
        site: "milan-1".into(),
        votes_if_address: None,
        vpns: vpns.iter().map(vpn).collect(),
        parents: Vec::new(),
        sinks: Vec::new(),
    }
}

/// Answers when told to, with a scripted answer.
#[derive(Clone, Default)]
struct Scripted {
    calls: Arc<Mutex<Vec<String>>>,
    called: Arc<Notify>,
    /// Regions whose calls hang until `release`.
    hanging: Arc<Mutex<Vec<String>>>,
    release: Arc<Notify>,
    failure: Arc<Mutex<Option<Failure>>>,
    /// Whether history requests are never answered.
    forgetful: Arc<AtomicBool>,
    /// The tunnels that were called down at each poll.
    called_down: Arc<Mutex<Vec<usize>>>,
    /// The tunnels whose maintenance was asked about.
    rounds: Arc<Mutex<Vec<String>>>,
    maintenance: Arc<Mutex<OfMaintenance>>,
}

/// How questions about maintenance are answered.
#[derive(Clone, Copy, Default)]
enum OfMaintenance {
    #[default]
    Pending,
    Denied,
    Fails,
    Never,
}

struct ScriptedSource(Scripted, SourceId);

impl Ask for ScriptedSource {
    fn call(&self) -> Call {
        Call::GetMetricData
    }

    async fn ask(
        &mut self,
        coverage: &Coverage,
        called_down: &BTreeSet<TunnelId>,
    ) -> Result<SourceAnswer, Failure> {
        self.0.called_down.lock().unwrap().push(called_down.len());
        let region = self.1.place.region.as_deref().unwrap_or_default().to_owned();
        self.0.calls.lock().unwrap().push(format!("{region}: {} tunnels", coverage.tunnels().count()));
        self.0.called.notify_one();
        let hangs = self.0.hanging.lock().unwrap().contains(&region);
        if hangs {
            self.0.release.notified().await;
        }
        match self.0.failure.lock().unwrap().clone() {
            Some(failure) => Err(failure),
            None => Ok(SourceAnswer::at(Moment::ORIGIN, Stamp::from_secs(0))),
        }
    }

    async fn maintenance(&mut self, tunnel: &TunnelId) -> Result<(Maintenance, Stamp), Failure> {
        self.0.rounds.lock().unwrap().push(tunnel.to_string());
        self.0.called.notify_one();
        let answer = *self.0.maintenance.lock().unwrap();
        match answer {
            OfMaintenance::Pending => Ok((ANNOUNCED, Stamp::from_secs(7))),
            OfMaintenance::Denied => Err(failure(FailureKind::Denied, "denied")),
            OfMaintenance::Fails => Err(failure(FailureKind::ServiceFault, "an error")),
            OfMaintenance::Never => std::future::pending().await,
        }
    }

    async fn history(&mut self, request: &HistoryRequest, tunnels: &[TunnelId]) -> Result<History, Failure> {
        self.0.called.notify_one();
        if self.0.forgetful.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if let Some(failure) = self.0.failure.lock().unwrap().clone() {
            return Err(failure);
        }
        let points = tunnels.iter().map(|tunnel| (tunnel.clone(), Vec::new())).collect();
        Ok(History { vpn: request.vpn.clone(), asked: Moment::ORIGIN, date: request.to, points })
    }
}

const ANNOUNCED: Maintenance =
    Maintenance { pending: true, applied_after: Some(Stamp::from_secs(600)), last_applied: None };

struct World {
    script: Scripted,
    events: mpsc::Receiver<Event>,
    outcomes: Arc<Mutex<Vec<PollResult>>>,
    problems: watch::Receiver<Problems>,
}

impl World {
    fn new() -> (Self, Pollers<impl Fn(&SourceId) -> ScriptedSource>) {
        let (sender, events) = mpsc::channel(16);
        let health = Health::default();
        let problems = health.watch();
        let outcomes: Arc<Mutex<Vec<PollResult>>> = Arc::default();
        let observed = Arc::clone(&outcomes);
        let observe = Arc::new(move |outcome: &PollOutcome| observed.lock().unwrap().push(outcome.result));
        let script = Scripted::default();
        let scripted = script.clone();
        let pollers = Pollers::new(Outlets { events: sender, health, observe }, move |source: &SourceId| {
            ScriptedSource(scripted.clone(), source.clone())
        });
        (Self { script, events, outcomes, problems }, pollers)
    }

    async fn event(&mut self) -> Event {
        tokio::time::timeout(Duration::from_secs(10), self.events.recv()).await.unwrap().unwrap()
    }

    fn calls(&self) -> Vec<String> {
        self.script.calls.lock().unwrap().clone()
    }

    fn problem(&self) -> Option<(Severity, String)> {
        self.problems.borrow().values().next().map(|problem| (problem.severity, problem.text.clone()))
    }
}

fn answered_by(event: &Event) -> SourceId {
    let Event::Answered(answer) = event else { panic!("{event:?} is no answer") };
    answer.source.clone()
}

fn history_of(source: &SourceId) -> HistoryRequest {
    let (from, to) = (Stamp::from_secs(0), Stamp::from_secs(600));
    HistoryRequest { source: source.clone(), vpn: VpnId::new("vpn-0a"), from, to }
}

fn throttled() -> Failure {
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_runtime_api::client::result::SdkError;
    use aws_smithy_types::error::ErrorMetadata;
    let mut response = HttpResponse::new(429.try_into().unwrap(), aws_smithy_types::body::SdkBody::empty());
    response.headers_mut().insert("retry-after", "60");
    let error = ErrorMetadata::builder().code("ThrottlingException").build();
    let place = AwsPlace { region: Some("eu-south-1".into()), role_arn: None };
    Failure::of(Call::GetMetricData, &place, SdkError::service_error(error, response))
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_delays_no_other_source() {
    let (mut world, mut pollers) = World::new();
    let (stuck, free) = (source("eu-south-1"), source("eu-west-1"));
    pollers.watch(&plan(&[("vpn-0a", &[stuck.clone(), free.clone()])]));
    world.script.hanging.lock().unwrap().push("eu-south-1".to_owned());
    pollers.ask(request(&stuck)).await;
    pollers.ask(request(&free)).await;
    assert_eq!(answered_by(&world.event().await), free);
    world.script.release.notify_one();
    assert_eq!(answered_by(&world.event().await), stuck);
}

#[tokio::test(start_paused = true)]
async fn requests_during_a_call_cause_one_more_call() {
    let (mut world, mut pollers) = World::new();
    let milan = source("eu-south-1");
    pollers.watch(&plan(&[("vpn-0a", std::slice::from_ref(&milan))]));
    world.script.hanging.lock().unwrap().push("eu-south-1".to_owned());
    pollers.ask(request(&milan)).await;
    world.script.called.notified().await;
    for _ in 0..5 {
        pollers.ask(request(&milan)).await;
    }
    world.script.hanging.lock().unwrap().clear();
    world.script.release.notify_one();
    world.event().await;
    world.event().await;
    assert_eq!(world.calls().len(), 2);
    pollers.ask(request(&milan)).await;
    world.event().await;
    assert_eq!(world.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_ends_is_dropped_and_counted_as_a_timeout() {
    let (mut world, mut pollers) = World::new();
    let milan = source("eu-south-1");
    pollers.watch(&plan(&[("vpn-0a", std::slice::from_ref(&milan))]));
    world.script.hanging.lock().unwrap().push("eu-south-1".to_owned());
    pollers.ask(request(&milan)).await;
    let event = tokio::time::timeout(Duration::from_secs(600), world.events.recv()).await.unwrap();
    assert_eq!(event, Some(Event::Refused { source: milan, reached: false }));
    assert_eq!(*world.outcomes.lock().unwrap(), [PollResult::Timeout]);
}

#[tokio::test(start_paused = true)]
async fn a_history_request_gives_way_to_one_about_the_present() {
    let (mut world, mut pollers) = World::new();
    let milan = source("eu-south-1");
    pollers.watch(&plan(&[("vpn-0a", std::slice::from_ref(&milan))]));
    world.script.forgetful.store(true, Ordering::Relaxed);
    pollers.ask_history(history_of(&milan)).await;
    world.script.called.notified().await;
    pollers.ask(request(&milan)).await;
    assert_eq!(world.event().await, Event::HistoryRefused { vpn: VpnId::new("vpn-0a") });
    assert_eq!(answered_by(&world.event().await), milan);
    assert_eq!(*world.outcomes.lock().unwrap(), [PollResult::Ok], "what was given up is no failure");

    world.script.forgetful.store(false, Ordering::Relaxed);
    pollers.ask_history(history_of(&milan)).await;
    assert!(matches!(world.event().await, Event::HistoryAnswered(_)));
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_history_request_counts_as_a_timeout() {
    let (mut world, mut pollers) = World::new();
    let milan = source("eu-south-1");
    pollers.watch(&plan(&[("vpn-0a", std::slice::from_ref(&milan))]));
    world.script.forgetful.store(true, Ordering::Relaxed);
    pollers.ask_history(history_of(&milan)).await;
    let event = tokio::time::timeout(Duration::from_secs(600), world.events.recv()).await.unwrap();
    assert_eq!(event, Some(Event::HistoryRefused { vpn: VpnId::new("vpn-0a") }));
    assert_eq!(*world.outcomes.lock().unwrap(), [PollResult::Timeout]);
    assert_eq!(world.problem().unwrap().0, Severity::Degraded);
    pollers.ask(request(&milan)).await;
    assert_eq!(world.event().await, Event::Refused { source: milan, reached: false });
    assert_eq!(world.calls(), Vec::<String>::new(), "AWS is left alone for a while");
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_requests_are_refused_without_a_call() {
    let (mut world, mut pollers) = World::new();
    let milan = source("eu-south-1");
    pollers.watch(&plan(&[("vpn-0a", std::slice::from_ref(&milan))]));
    *world.script.failure.lock().unwrap() = Some(throttled());
    for _ in 0..3 {
        pollers.ask(request(&milan)).await;
        assert_eq!(world.event().await, Event::Refused { source: milan.clone(), reached: true });
    }
    assert_eq!(world.calls().len(), 1);
    assert_eq!(*world.outcomes.lock().unwrap(), [PollResult::Throttled]);
    assert_eq!(world.problem().unwrap().0, Severity::Degraded);
}

#[tokio::test(start_paused = true)]
async fn the_plan_can_change_and_a_removed_source_stops() {
    let (mut world, mut pollers) = World::new();
    let milan = source("eu-south-1");
    pollers.watch(&plan(&[("vpn-0a", std::slice::from_ref(&milan))]));
    pollers.ask(request(&milan)).await;
    world.event().await;
    let sources = std::slice::from_ref(&milan);
    pollers.watch(&plan(&[("vpn-0a", sources), ("vpn-0b", sources)]));
    pollers.ask(request(&milan)).await;
    world.event().await;
    assert_eq!(world.calls(), ["eu-south-1: 1 tunnels", "eu-south-1: 2 tunnels"]);

    pollers.outlets.health.set(
        Component::Source(milan.to_string()),
        crate::health::Problem::of(crate::health::Code::AwsDenied, "denied"),
    );
    pollers.watch(&plan(&[("vpn-0a", &[])]));
    assert_eq!(world.problem(), None);
    pollers.ask(request(&milan)).await;
    assert_eq!(world.event().await, Event::Refused { source: milan, reached: false });
}

#[tokio::test(start_paused = true)]
async fn the_first_request_after_a_start_and_after_a_reload_is_served_however_late_the_pollers_start() {
    let (mut world, pollers) = World::new();
    let (milan, paris) = (source("eu-south-1"), source("eu-west-3"));
    let of = |sources: &[SourceId]| Arc::new(plan(&[("vpn-0a", sources)]));
    let (plan, plan_in) = watch::channel(of(std::slice::from_ref(&milan)));
    let (requests, requests_in) = mpsc::channel(4);
    // The driver sends its request before the pollers run.
    requests.try_send(AwsRequest::Views(request(&milan))).unwrap();
    let running = tokio::spawn(pollers.run(plan_in, requests_in));
    assert_eq!(answered_by(&world.event().await), milan);
    // A reload names a new source, and the driver asks it at once.
    plan.send_replace(of(std::slice::from_ref(&paris)));
    requests.try_send(AwsRequest::Views(request(&paris))).unwrap();
    assert_eq!(answered_by(&world.event().await), paris);
    drop(requests);
    running.await.unwrap();
}

fn ec2() -> SourceId {
    SourceId { kind: SourceKind::Ec2, ..source("eu-south-1") }
}

fn request(source: &SourceId) -> ViewsRequest {
    ViewsRequest { source: source.clone(), called_down: BTreeSet::new() }
}

#[tokio::test(start_paused = true)]
async fn ec2_is_asked_about_maintenance_without_a_request_and_cloudwatch_is_not() {
    let (mut world, mut pollers) = World::new();
    pollers.watch(&plan(&[("vpn-0a", &[source("eu-south-1"), ec2()]), ("vpn-0b", &[source("eu-south-1")])]));
    let Event::Maintenance { tunnel, state } = world.event().await else { panic!("another event") };
    assert_eq!(tunnel.to_string(), "vpn-0a 203.0.113.11");
    assert_eq!(state, MaintenanceState::Known { maintenance: ANNOUNCED, as_of: Stamp::from_secs(7) });
    assert_eq!(world.events.try_recv().ok(), None);
    assert_eq!(*world.script.rounds.lock().unwrap(), ["vpn-0a 203.0.113.11"]);
    // A new plan may have forgotten what was known.
    pollers.watch(&plan(&[("vpn-0a", &[ec2()])]));
    assert!(matches!(world.event().await, Event::Maintenance { .. }));
    assert_eq!(*world.outcomes.lock().unwrap(), [], "it is no poll");
}

#[tokio::test(start_paused = true)]
async fn a_denial_is_a_state_of_the_connection_and_no_problem() {
    let (mut world, mut pollers) = World::new();
    *world.script.maintenance.lock().unwrap() = OfMaintenance::Denied;
    let mut plan = plan(&[("vpn-0a", &[ec2()])]);
    let mut two = (*plan.vpns[0]).clone();
    let mut second = (*two.tunnels[0]).clone();
    second.id.outside_ip = "203.0.113.12".parse().unwrap();
    two.tunnels.push(Arc::new(second));
    plan.vpns[0] = Arc::new(two);
    pollers.watch(&plan);
    for address in ["203.0.113.11", "203.0.113.12"] {
        let Event::Maintenance { tunnel, state } = world.event().await else { panic!("another event") };
        assert_eq!((tunnel.outside_ip.to_string().as_str(), state), (address, MaintenanceState::Denied));
    }
    pollers.ask(request(&ec2())).await;
    assert_eq!(answered_by(&world.event().await), ec2());
    assert_eq!(world.script.rounds.lock().unwrap().len(), 1, "one call for the whole connection");
    assert_eq!((world.problem(), world.outcomes.lock().unwrap().clone()), (None, vec![PollResult::Ok]));
}

#[tokio::test(start_paused = true)]
async fn a_question_about_maintenance_gives_way_to_a_poll_and_its_failure_is_no_event() {
    let (mut world, mut pollers) = World::new();
    *world.script.maintenance.lock().unwrap() = OfMaintenance::Never;
    pollers.watch(&plan(&[("vpn-0a", &[ec2()])]));
    world.script.called.notified().await;
    pollers.ask(request(&ec2())).await;
    assert_eq!(answered_by(&world.event().await), ec2());
    *world.script.maintenance.lock().unwrap() = OfMaintenance::Fails;
    pollers.watch(&plan(&[("vpn-0a", &[ec2()])]));
    while world.script.rounds.lock().unwrap().len() < 2 {
        world.script.called.notified().await;
    }
    pollers.ask(request(&ec2())).await;
    assert_eq!(answered_by(&world.event().await), ec2());
    assert_eq!((world.problem(), world.outcomes.lock().unwrap().len()), (None, 2));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_about_maintenance_while_ec2_does_not_answer_polls() {
    let (mut world, mut pollers) = World::new();
    pollers.watch(&plan(&[("vpn-0a", &[ec2()])]));
    assert!(matches!(world.event().await, Event::Maintenance { .. }));
    *world.script.failure.lock().unwrap() = Some(throttled());
    pollers.ask(request(&ec2())).await;
    assert!(matches!(world.event().await, Event::Refused { .. }));
    pollers.watch(&plan(&[("vpn-0a", &[ec2()])]));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(world.script.rounds.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_tunnels_that_an_end_calls_down_are_those_of_the_newest_request() {
    let (mut world, mut pollers) = World::new();
    let milan = source("eu-south-1");
    pollers.watch(&plan(&[("vpn-0a", std::slice::from_ref(&milan))]));
    let down = TunnelId { vpn: VpnId::new("vpn-0a"), outside_ip: "203.0.113.11".parse().unwrap() };
    let of_down = ViewsRequest { called_down: BTreeSet::from([down]), ..request(&milan) };
    for request in [request(&milan), of_down, request(&milan)] {
        pollers.ask(request).await;
        world.event().await;
    }
    assert_eq!(*world.script.called_down.lock().unwrap(), [0, 1, 0]);
}

#[test]
fn each_source_is_asked_about_its_connections_with_the_longest_stale_after() {
    let (milan, paris) = (source("eu-south-1"), source("eu-west-3"));
    let mut plan =
        plan(&[("vpn-0a", &[milan.clone(), paris.clone()]), ("vpn-0b", std::slice::from_ref(&paris))]);
    let mut patient = (*plan.vpns[1]).clone();
    patient.aws.stale_after = Duration::from_secs(900);
    plan.vpns[1] = Arc::new(patient);
    let coverage = Coverage::of(&plan);
    let seen = |source: &SourceId| {
        let coverage = &coverage[source];
        let ids: Vec<&str> = coverage.vpns.iter().map(|(vpn, _)| vpn.as_str()).collect();
        (ids, coverage.stale_after.as_secs())
    };
    assert_eq!(seen(&milan), (vec!["vpn-0a"], 600));
    assert_eq!(seen(&paris), (vec!["vpn-0a", "vpn-0b"], 900));
}

fn reporter() -> (Reporter, Health) {
    let health = Health::default();
    let source = SourceId { kind: SourceKind::Ec2, place: AwsPlace::default() };
    (Reporter::new(&source, health.clone()), health)
}

fn shown(health: &Health) -> Option<String> {
    health.watch().borrow().values().next().map(|problem| problem.text.clone())
}

fn failure(kind: FailureKind, what: &str) -> Failure {
    let place = AwsPlace { region: Some("eu-south-1".into()), role_arn: None };
    let mut failure = Failure::garbage(Call::DescribeVpnConnections, &place, what);
    failure.kind = kind;
    failure
}

#[test]
fn a_broken_path_is_one_problem_however_it_shows() {
    let (mut reporter, health) = reporter();
    reporter.failed(&failure(FailureKind::TimedOut, "late"));
    let first = shown(&health);
    reporter.failed(&failure(FailureKind::Unreachable, "no such host"));
    assert_eq!(shown(&health), first);
    reporter.failed(&failure(FailureKind::Denied, "denied"));
    assert!(shown(&health).unwrap().contains("denied"));
    reporter.failed(&failure(FailureKind::Unreachable, "no such host"));
    assert!(shown(&health).unwrap().contains("no such host"));
}

#[test]
fn a_broken_path_does_not_count_as_credentials_to_renew() {
    for kind in [FailureKind::CredentialsFailed, FailureKind::Unreachable, FailureKind::TimedOut] {
        assert!(!kind.reached_aws(), "{kind:?}");
        assert_ne!(code(kind), Code::CredentialsFailing, "{kind:?}");
    }
    assert_eq!(code(FailureKind::CredentialsFailed), Code::CredentialsSourceFailing);
}

#[test]
fn addresses_that_differ_are_a_problem_of_their_connection_until_they_agree() {
    let (mut reporter, health) = reporter();
    let of = |complaint: Option<&str>| {
        vec![Agreement { vpn: VpnId::new("vpn-0123abcd"), complaint: complaint.map(str::to_owned) }]
    };
    reporter.compared(of(Some("another address")));
    reporter.compared(Vec::new());
    reporter.answered(&[]);
    let component = Component::Addresses("vpn-0123abcd".to_owned());
    assert_eq!(health.watch().borrow()[&component].text, "another address");
    reporter.compared(of(None));
    assert_eq!(shown(&health), None);
}

#[test]
fn the_remarks_of_one_answer_are_one_bounded_problem() {
    let (mut reporter, health) = reporter();
    let remarks: Vec<Remark> = (0..5).map(|n| Remark::advice(format!("remark {n}"))).collect();
    reporter.answered(&remarks);
    assert_eq!(shown(&health).unwrap(), "remark 0; remark 1; remark 2; and 2 more");
    reporter.answered(&[]);
    assert_eq!(shown(&health), None);
}
