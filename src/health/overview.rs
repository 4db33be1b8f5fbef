//! The problems that are shown: those that parts state and those that follow from the status, without those that another open
//! problem explains, and with their current severity.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{Code, Component, Problem, Problems, Severity};
use crate::domain::names::{AwsPlace, Kind, VpnId};
use crate::domain::plan::SinkPlan;
use crate::domain::status::Status;
use crate::domain::time::Moment;
use crate::domain::votes::{self, Lack, Missing};

/// The shown problems, most severe first.
pub type ShownProblems = Arc<Vec<OpenProblem>>;

/// A problem that is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenProblem {
    /// The component.
    pub component: Component,
    /// The problem.
    pub problem: Problem,
}

/// Remembers since when each problem has been open.
#[derive(Debug, Default)]
pub struct Overview {
    since: BTreeMap<(Component, Code), Moment>,
}

impl Overview {
    /// The problems to show now, most severe first.
    pub fn look(
        &mut self,
        stated: &Problems,
        status: &Status,
        configured: &Configured,
        now: Moment,
    ) -> Vec<OpenProblem> {
        let sources = SourceStates::of(status);
        let (mut open, shared) = sources.by_identity(stated);
        open.extend(without_votes(status));
        let key = |of: &OpenProblem| (of.component.clone(), of.problem.code);
        let mut before = std::mem::take(&mut self.since);
        self.since =
            open.iter().map(key).map(|key| (before.remove(&key).unwrap_or(now), key)).map(swap).collect();
        let lasting: Vec<usize> = (0..open.len())
            .filter(|place| {
                let of = &open[*place];
                let lasts = self.since.get(&key(of)).map_or(Duration::ZERO, |since| now.since(*since));
                of.problem.code.entry().fails_after.is_some_and(|limit| lasts >= limit)
                    && is_in_the_way(of, &open, status, configured)
            })
            .collect();
        for place in lasting {
            open[place].problem.severity = Severity::Failed;
        }
        let scene = CauseContext { sources, shared, configured };
        let mut open = Causes::among(&open, &scene).without_effects(open);
        open.sort_by(|a, b| {
            let rank = |of: &OpenProblem| (std::cmp::Reverse(of.problem.severity), of.problem.code);
            rank(a).cmp(&rank(b)).then_with(|| a.component.cmp(&b.component))
        });
        open
    }
}

/// Whether a lasting problem prevents the daemon from doing its job. A sink that cannot be used does so if a kind of incident
/// that pages, of a connection, has no other sink that can.
fn is_in_the_way(of: &OpenProblem, open: &[OpenProblem], status: &Status, configured: &Configured) -> bool {
    let Component::Preparation(sink) = &of.component else { return true };
    let is_unprepared = |plan: &SinkPlan| {
        open.iter()
            .any(|of| matches!(&of.component, Component::Preparation(sink) if sink == plan.id.as_str()))
    };
    let Some(SinkUse { plan, way: _ }) = configured.sink(sink) else { return false };
    let taken = status.vpns.iter().flat_map(|vpn| plan.kinds.iter().map(|kind| (&vpn.id, *kind)));
    taken
        .filter(|(vpn, kind)| Kind::BY_DEFAULT.contains(kind) && plan.takes_vpn(vpn, *kind))
        .any(|(vpn, kind)| configured.taking(vpn, kind).all(is_unprepared))
}

/// How each source connects, by its name.
struct SourceStates<'a> {
    of_vpns: BTreeMap<&'a str, Vec<String>>,
    ways: BTreeMap<String, AwsPlace>,
}

impl<'a> SourceStates<'a> {
    fn of(status: &'a Status) -> Self {
        let mut ways: BTreeMap<String, AwsPlace> =
            status.sources.iter().map(|source| (source.id.to_string(), source.id.place.clone())).collect();
        let mut of_vpns = BTreeMap::new();
        for vpn in &status.vpns {
            let words: Vec<_> = vpn.sources.iter().map(ToString::to_string).collect();
            ways.extend(words.iter().cloned().zip(vpn.sources.iter().map(|source| source.place.clone())));
            of_vpns.insert(vpn.id.as_str(), words);
        }
        Self { of_vpns, ways }
    }

    /// The stated problems. Failing credentials are one problem for any number of sources that use them: these sources are
    /// returned too, with the component of their problem.
    fn by_identity(&self, stated: &Problems) -> (Vec<OpenProblem>, BTreeMap<Component, Component>) {
        let mut open = Vec::<OpenProblem>::new();
        let mut shared = BTreeMap::new();
        for (component, problem) in stated {
            let mut component = component.clone();
            if let Component::Source(source) = &component
                && is_of_credentials(problem.code)
                && let Some(way) = self.ways.get(source)
            {
                let identity = identity(way);
                shared.insert(component, identity.clone());
                component = identity;
            }
            let same = |of: &&mut OpenProblem| of.component == component && of.problem.code == problem.code;
            match open.iter_mut().find(same) {
                Some(known) => {
                    known.problem.severity = known.problem.severity.max(problem.severity);
                }
                None => open.push(OpenProblem { component, problem: problem.clone() }),
            }
        }
        (open, shared)
    }
}

/// Whether the credentials are the problem, and not the component that uses them.
fn is_of_credentials(code: Code) -> bool {
    matches!(code, Code::CredentialsFailing | Code::CredentialsSourceFailing)
}

fn swap<A, B>((a, b): (A, B)) -> (B, A) {
    (b, a)
}

/// The data that decides which problem can explain which.
struct CauseContext<'a> {
    sources: SourceStates<'a>,
    /// The component with the problem of these sources.
    shared: BTreeMap<Component, Component>,
    configured: &'a Configured,
}

/// Which open problem explains which.
struct Causes {
    /// By the index of the effect, the indexes of its causes.
    of: Vec<Vec<usize>>,
}

impl Causes {
    fn among(open: &[OpenProblem], scene: &CauseContext<'_>) -> Self {
        let mut places = BTreeMap::<&Component, Vec<usize>>::new();
        for (place, of) in open.iter().enumerate() {
            places.entry(&of.component).or_default().push(place);
        }
        let of = open.iter().map(|effect| causes(effect, open, &places, scene)).collect();
        Self { of }
    }

    /// The problems that no open problem explains, each at least as severe as those that it explains.
    fn without_effects(self, mut open: Vec<OpenProblem>) -> Vec<OpenProblem> {
        // No code leads back to itself, so this ends; a cause may itself be an effect.
        let mut raised = true;
        while raised {
            raised = false;
            for (effect, causes) in self.of.iter().enumerate() {
                let severity = open[effect].problem.severity;
                for cause in causes {
                    let of = &mut open[*cause].problem;
                    raised |= of.severity < severity;
                    of.severity = of.severity.max(severity);
                }
            }
        }
        let mut causes = self.of.into_iter();
        open.retain(|_| causes.next().is_none_or(|causes| causes.is_empty()));
        open
    }
}

/// The indexes of the problems that explain a problem.
fn causes(
    effect: &OpenProblem,
    open: &[OpenProblem],
    places: &BTreeMap<&Component, Vec<usize>>,
    scene: &CauseContext<'_>,
) -> Vec<usize> {
    let behind = effect.problem.code.entry().behind;
    if behind.is_empty() {
        return Vec::new();
    }
    let at = |component: &Component| {
        let places = places.get(component).into_iter().flatten();
        places.copied().filter(|place| behind.contains(&open[*place].problem.code)).collect::<Vec<_>>()
    };
    // A request to AWS fails because of the site, the Region or the identity, not because of another component's.
    let by_aws = |way: &AwsPlace| {
        let explaining = places.keys().filter(|cause| scene.explains(cause, way));
        explaining.flat_map(|cause| at(cause)).collect()
    };
    let by_sink = |sink: &str| match scene.configured.sink(sink) {
        Some(SinkUse { way: Some(way), .. }) => by_aws(way),
        Some(SinkUse { way: None, .. }) | None => Vec::new(),
    };
    match &effect.component {
        Component::Connection(vpn) => {
            let mut found = at(&effect.component);
            found.extend(at(&Component::Addresses(vpn.clone())));
            found.extend(at(&Component::HostAddresses(vpn.clone())));
            let sources = scene.sources.of_vpns.get(vpn.as_str()).into_iter().flatten();
            let asked: Vec<_> = sources
                .map(|source| {
                    let source = Component::Source(source.clone());
                    at(scene.shared.get(&source).unwrap_or(&source))
                })
                .collect();
            // A source that answers, and there is still no evidence: then the other sources are not the reason.
            if asked.iter().all(|places| !places.is_empty()) {
                found.extend(asked.into_iter().flatten());
            }
            found
        }
        Component::Addresses(vpn) | Component::Identity(vpn) => at(&Component::Connection(vpn.clone())),
        Component::Source(_) => at(&Component::Site),
        Component::Sink(sink) | Component::Preparation(sink) => by_sink(sink),
        Component::Publisher => scene.configured.publisher.as_ref().map(by_aws).unwrap_or_default(),
        Component::Credentials(_) => {
            // A role's credentials are obtained with the daemon's own.
            let own = Component::credentials(None);
            let causes = BTreeSet::from([&Component::Site, &effect.component, &own]);
            causes.into_iter().flat_map(at).collect()
        }
        Component::Site
        | Component::HostAddresses(_)
        | Component::FreshSocket(_)
        | Component::Mode
        | Component::Store
        | Component::Configuration
        | Component::Probe
        | Component::Silences
        | Component::Clock
        | Component::Listener
        | Component::ListenerCertificate
        | Component::ListenerToken => Vec::new(),
    }
}

impl CauseContext<'_> {
    /// Whether a problem of this component can be the reason why AWS cannot be reached by that route.
    fn explains(&self, cause: &Component, way: &AwsPlace) -> bool {
        match cause {
            Component::Site => true,
            Component::Source(source) => {
                self.sources.ways.get(source).is_some_and(|asked| asked.region == way.region)
            }
            // A role's credentials are obtained with the daemon's own.
            Component::Credentials(_) => *cause == identity(way) || *cause == Component::credentials(None),
            Component::Addresses(_)
            | Component::Identity(_)
            | Component::HostAddresses(_)
            | Component::Connection(_)
            | Component::Sink(_)
            | Component::Preparation(_)
            | Component::FreshSocket(_)
            | Component::Mode
            | Component::Publisher
            | Component::Store
            | Component::Configuration
            | Component::Probe
            | Component::Silences
            | Component::Clock
            | Component::Listener
            | Component::ListenerCertificate
            | Component::ListenerToken => false,
        }
    }
}

/// The component with the problems of these credentials.
fn identity(way: &AwsPlace) -> Component {
    Component::credentials(way.role_arn.as_deref())
}

/// The problems that follow from ends without a vote.
fn without_votes(status: &Status) -> Vec<OpenProblem> {
    let mut all = Vec::new();
    let mut of_host = BTreeMap::<Lack, Vec<Missing>>::new();
    for missing in votes::missing(status) {
        match missing.lack {
            Lack::NotPermitted | Lack::NoSocket => of_host.entry(missing.lack).or_default().push(missing),
            Lack::Gone
            | Lack::NoData
            | Lack::Old
            | Lack::Unclear
            | Lack::NeverAnswered
            | Lack::HostNeverAnswered
            | Lack::AddressMissing
            | Lack::Silent
            | Lack::SessionUnknown => all.push(of_connection(&missing)),
        }
    }
    all.extend(of_host.into_iter().map(|(lack, missing)| OpenProblem {
        component: Component::Probe,
        problem: Problem::without_sockets(lack, &missing),
    }));
    all
}

fn of_connection(missing: &Missing) -> OpenProblem {
    let component = Component::Connection(missing.vpn.to_string());
    OpenProblem { component, problem: Problem::without_vote(missing) }
}

/// The settings that decide which problem explains which, and which of them prevents paging: a problem of AWS explains only
/// what uses the same route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configured {
    /// The sinks that receive incidents; none in mode `observe`.
    pub sinks: Vec<SinkUse>,
    /// How metrics reach CloudWatch, if they are published.
    pub publisher: Option<AwsPlace>,
}

/// A sink, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkUse {
    /// The incidents that it accepts.
    pub plan: SinkPlan,
    /// Its route to AWS; `None` if it is not reached through AWS.
    pub way: Option<AwsPlace>,
}

impl Configured {
    pub(super) fn sink(&self, id: &str) -> Option<&SinkUse> {
        self.sinks.iter().find(|sink| sink.plan.id.as_str() == id)
    }

    /// The sinks that accept this kind of incident of this connection.
    pub(super) fn taking<'a>(&'a self, vpn: &'a VpnId, kind: Kind) -> impl Iterator<Item = &'a SinkPlan> {
        self.sinks.iter().map(|sink| &sink.plan).filter(move |plan| plan.takes_vpn(vpn, kind))
    }
}
