//! The pages as they are now: rendered when somebody looks, once for all who look within a second.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt::{self, Write as _};
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderValue;
use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, watch};
use tokio::time;

use super::input::{Input, Links};
use super::past::{History, Reader};
use super::template::{Template, policy};
use super::view::{CHARTED_MAX, PageView};
use crate::clock;
use crate::domain::maintenance::MaintenanceState;
use crate::domain::status::{Status, TunnelStatus};
use crate::domain::time::{Moment, Now};
use crate::domain::verdict::Evidence;
use crate::health::overview::{OpenProblem, ShownProblems};
use crate::history::Present;
use crate::http::pages::{Pages, Rendered, Subject};
use crate::http::routes::About;
use crate::records::Records;

/// A page serves everybody for this long, unless something changes.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// Pages that are kept at a time.
const KEPT_MAX: usize = 64;

/// Changes within this time are one.
const CHANGES_EVERY: Duration = Duration::from_secs(1);

/// Where the pages come from.
#[derive(Clone)]
pub struct PageSources {
    /// The driver's newest status.
    pub status: watch::Receiver<Arc<Status>>,
    /// The open problems.
    pub problems: watch::Receiver<ShownProblems>,
    /// The records that are open at the sinks.
    pub records: Records,
    /// The daemon, as of the last reload.
    pub about: watch::Receiver<About>,
    /// What the configuration says of each connection, as of the last reload.
    pub links: watch::Receiver<Arc<Links>>,
    /// Both clocks; tests replace it.
    pub now: fn() -> Now,
}

impl fmt::Debug for PageSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageSources").finish_non_exhaustive()
    }
}

/// Renders `/` and `/vpn/ID`.
#[derive(Debug)]
pub struct StatusPages {
    sources: PageSources,
    past: Reader,
    template: Result<Template, String>,
    policy: HeaderValue,
    version: watch::Receiver<u64>,
    kept: Mutex<LastRendered>,
}

/// What was rendered last.
#[derive(Debug, Default)]
struct LastRendered {
    version: u64,
    at: Option<Moment>,
    pages: BTreeMap<Subject, Bytes>,
}

impl StatusPages {
    /// The pages, and the task that notices changes; it ends when the driver does.
    pub fn new(
        sources: PageSources,
        history: Arc<History>,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send + 'static) {
        // The version of another run of the daemon is another one.
        let (version, versions) = watch::channel((clock::wall().as_millis()).unsigned_abs());
        let noticing = notice(sources.clone(), version);
        let pages = Self {
            sources,
            past: Reader::new(history),
            template: Template::new().map_err(|error| error.to_string()),
            // Without a policy of its own a page may do nothing at all.
            policy: policy().unwrap_or_else(|| HeaderValue::from_static("default-src 'none'; sandbox")),
            version: versions,
            kept: Mutex::default(),
        };
        (Arc::new(pages), noticing)
    }

    async fn page(&self, subject: Subject) -> Rendered {
        let mut kept = self.kept.lock().await;
        let (now, version) = ((self.sources.now)(), *self.version.borrow());
        let is_fresh = kept.at.is_some_and(|at| now.mono.since(at) < KEPT_FOR) && kept.version == version;
        if !is_fresh {
            *kept = LastRendered { version, at: Some(now.mono), pages: BTreeMap::new() };
        }
        if let Some(page) = kept.pages.get(&subject) {
            return Rendered::Page(page.clone());
        }
        match self.render_now(&subject, version).await {
            Ok(Some(html)) => {
                let html = Bytes::from(html);
                if kept.pages.len() < KEPT_MAX {
                    kept.pages.insert(subject, html.clone());
                }
                Rendered::Page(html)
            }
            Ok(None) => Rendered::Unknown,
            Err(why) => Rendered::Failed(why),
        }
    }

    async fn render_now(&self, subject: &Subject, version: u64) -> Result<Option<String>, String> {
        let status = Arc::clone(&self.sources.status.borrow());
        let (vpn, minutes) = match subject {
            Subject::Site => (None, status.vpns.len() <= CHARTED_MAX),
            Subject::Vpn(id) => match status.vpns.iter().find(|vpn| vpn.id.as_str() == id) {
                Some(vpn) => (Some(vpn.id.clone()), true),
                None => return Ok(None),
            },
        };
        let past = self.past.read(vpn, minutes, Present::of(&status), (self.sources.now)()).await;
        let problems = Arc::clone(&self.sources.problems.borrow());
        let (about, links) = (self.sources.about.borrow().clone(), Arc::clone(&self.sources.links.borrow()));
        let input = Input {
            status: &status,
            problems: &problems,
            records: &self.sources.records,
            about: &about,
            links: &links,
            past: &past,
            now: (self.sources.now)(),
        };
        let page = match subject {
            Subject::Site => Some(PageView::site(input)),
            Subject::Vpn(id) => PageView::vpn(input, id),
        };
        let template = self.template.as_ref().map_err(Clone::clone)?;
        page.map(|page| template.render(&page, version).map_err(|error| error.to_string())).transpose()
    }
}

impl Pages for StatusPages {
    fn render(&self, subject: Subject) -> BoxFuture<'_, Rendered> {
        Box::pin(self.page(subject))
    }

    fn versions(&self) -> watch::Receiver<u64> {
        self.version.clone()
    }

    fn policy(&self) -> &HeaderValue {
        &self.policy
    }
}

/// Counts the changes, at most one a second.
async fn notice(mut sources: PageSources, version: watch::Sender<u64>) {
    let mut seen = None;
    loop {
        let looks = {
            let status = Arc::clone(&sources.status.borrow_and_update());
            let problems = Arc::clone(&sources.problems.borrow_and_update());
            sources.about.borrow_and_update();
            sources.links.borrow_and_update();
            looks(&status, &problems, &sources.records, (sources.now)())
        };
        if seen.replace(looks).is_some_and(|before| before != looks) {
            version.send_modify(|version| *version += 1);
            time::sleep(CHANGES_EVERY).await;
        }
        let alive = tokio::select! {
            changed = sources.status.changed() => changed.is_ok(),
            Ok(()) = sources.problems.changed() => true,
            Ok(()) = sources.about.changed() => { seen = Some(0); true }
            Ok(()) = sources.links.changed() => { seen = Some(0); true }
        };
        if !alive {
            return;
        }
    }
}

/// A hash of what a page shows, without what changes with every echo.
fn looks(status: &Status, problems: &[OpenProblem], records: &Records, now: Now) -> u64 {
    let mut hasher = DefaultHasher::new();
    status.site.hash(&mut hasher);
    for vpn in &status.vpns {
        (&vpn.id, &vpn.name, vpn.routing.as_str()).hash(&mut hasher);
        for (kind, phase) in &vpn.phases {
            (kind, phase.as_str()).hash(&mut hasher);
        }
        for tunnel in &vpn.tunnels {
            hash_tunnel(tunnel, &mut hasher);
        }
    }
    for incident in &status.incidents {
        (&incident.id, incident.revision).hash(&mut hasher);
        for open in records.of(&incident.id) {
            (&open.sink, &open.record).hash(&mut hasher);
        }
    }
    for parent in &status.parents {
        (&parent.id, parent.state.as_str(), parent.since.wall).hash(&mut hasher);
        for (kind, phase) in &parent.phases {
            (kind, phase.as_str()).hash(&mut hasher);
        }
    }
    for silence in status.silences.iter() {
        (silence.id, silence.from, silence.until, silence.is_active(now.wall)).hash(&mut hasher);
    }
    for OpenProblem { component, problem } in problems {
        (component.to_string(), problem.code, problem.severity, &problem.text).hash(&mut hasher);
    }
    hasher.finish()
}

fn hash_tunnel(tunnel: &TunnelStatus, hasher: &mut DefaultHasher) {
    (&tunnel.id, &tunnel.name, tunnel.role, tunnel.assessment, tunnel.assessed_since.wall, tunnel.carrying)
        .hash(hasher);
    for view in [&tunnel.local, &tunnel.aws] {
        (view.verdict, view.since.wall).hash(hasher);
        match &view.evidence {
            Evidence::Local(_) => {}
            Evidence::Aws(evidence) => (evidence.as_of, &evidence.words).hash(hasher),
        }
    }
    (tunnel.quality.as_str(), tunnel.quality.reason()).hash(hasher);
    if let Some(diagnosis) = &tunnel.diagnosis {
        diagnosis.cause.hash(hasher);
        // Clues have numbers that cannot be hashed. They are few, and there are none while all is well.
        let mut text = String::new();
        _ = write!(text, "{:?} {:?} {:?}", diagnosis.confidence, diagnosis.lead, diagnosis.clues);
        text.hash(hasher);
    }
    match tunnel.maintenance {
        MaintenanceState::NotAsked => {}
        MaintenanceState::Denied => true.hash(hasher),
        MaintenanceState::Known { maintenance, as_of: _ } => {
            (maintenance.pending, maintenance.applied_after).hash(hasher)
        }
    }
}

#[cfg(test)]
mod tests;
