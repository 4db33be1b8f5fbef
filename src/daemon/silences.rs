//! The silences: a task on the I/O thread has the list. It answers the control socket, has every change saved before it is
//! acknowledged, informs the core of the list and of each weekly window, and writes to the journal what begins and ends.
//!
//! One clock decides, the core's: its status says what date it is, and the task carries that on. When the date jumps, because AWS's
//! clock has become known or the host's was set, the silences that were added for a duration from now on go with it, here and in the
//! core alike; and before AWS's clock is known none is given up for its date.
//!
//! Where the disk fails, a silence is in force all the same, and the answer says that a restart loses it: who works on a gateway at
//! night needs the silence now, and the store writes it as soon as it can.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::sync::watch;
use tokio::time::sleep;

use super::context::IoContext;
use crate::catalogue::silence::{SilenceChange, SilenceNotice, silenced};
use crate::clock;
use crate::domain::event::Event;
use crate::domain::plan::Plan;
use crate::domain::silence::{Silence, SilenceId, SilenceScope};
use crate::domain::status::Status;
use crate::domain::time::{self, Now, Stamp};
use crate::health::{Component, Health, Problem};
use crate::http::silences::{SilenceAnswer, SilenceQuestion, SilenceRequest, StillSilenced};
use crate::http::status_json::SilenceJson;
use crate::silences::cover::{self, Extent};
use crate::silences::{self, Silences, Standing, Unknown, Zones};
use crate::store::{Store, StoredSilences};

/// The longest time between two looks at the list: the wall clock may jump, and time zones change.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The task's state.
pub(super) struct Keeper {
    list: Silences,
    /// As the core has it.
    sent: Arc<[Silence]>,
    /// Those whose window has begun, as the journal has it.
    begun: BTreeMap<SilenceId, Silence>,
    /// Those whose window has ended, as the journal has it, and that are not removed yet.
    ended: BTreeSet<SilenceId>,
    /// Those of a store that could not be read at the start.
    late: UnboundedReceiver<Silences>,
    /// The date as it was last.
    dated: Now,
    zones: Zones,
    /// What is stated of unknown zones.
    stated: Option<Problem>,
    status: watch::Receiver<Arc<Status>>,
    health: Health,
    plan: watch::Receiver<Arc<Plan>>,
    store: Store,
    events: mpsc::Sender<Event>,
}

impl Keeper {
    /// With the silences of the last run, which the core has remembered.
    pub(super) fn new(context: &IoContext, StoredSilences { list, late }: StoredSilences) -> Self {
        Self {
            list,
            sent: Arc::default(),
            begun: BTreeMap::new(),
            ended: BTreeSet::new(),
            late,
            dated: context.status.borrow().at,
            zones: silences::zones,
            stated: None,
            status: context.status.clone(),
            health: context.health.clone(),
            plan: context.plan.clone(),
            store: context.store.clone(),
            events: context.events.clone(),
        }
    }

    /// The date by which the core decides. If it has jumped, what was reckoned from it has moved.
    async fn date(&mut self) -> Stamp {
        let mono = clock::now().mono;
        let now = Now { mono, wall: self.status.borrow().date(mono) };
        let jumped = time::jumped(self.dated, now);
        self.dated = now;
        if let Some(expected) = jumped {
            let moved = self.list.moved(expected, now.wall);
            for silence in self.begun.values_mut() {
                *silence = silence.moved(expected, now.wall);
            }
            if !moved.is_empty() {
                // The store states it if it cannot, and writes it later.
                let _unsaved = self.store.keep_silences(moved).await;
            }
        }
        now.wall
    }

    /// Removes what is over, and passes on what has changed with the time.
    async fn look(&mut self) {
        let now = self.date().await;
        let over = if self.status.borrow().is_date_confirmed {
            self.list.remove_over(now, self.zones)
        } else {
            Vec::new()
        };
        // Those that ended while the daemon was stopped; of the others this run has seen the window.
        for silence in &over {
            if !self.ended.remove(&silence.id) && !self.begun.contains_key(&silence.id) {
                self.report(silence, SilenceChange::Ended { by: None });
            }
        }
        self.pass_on(now).await;
        self.ended.retain(|id| !over.iter().any(|silence| silence.id == *id));
        self.state_unknown(now);
        if !over.is_empty() {
            let ids = over.iter().map(|silence| silence.id).collect();
            // The store states it if it cannot, and writes it later; meanwhile a restart finds them over, too.
            let _unsaved = self.store.forget_silences(ids).await;
        }
    }

    /// Gives the core the list if it is another than before, and writes to the journal which windows have begun and ended.
    async fn pass_on(&mut self, now: Stamp) {
        let present = self.list.present(now, self.zones);
        if self.sent != present {
            self.sent = Arc::clone(&present);
            // Without the driver the daemon is ending.
            let _ending = self.events.send(Event::Silences(Arc::clone(&present))).await;
        }
        let active = present.iter().filter(|silence| silence.is_active(now));
        let active: BTreeMap<_, _> = active.map(|silence| (silence.id, silence.clone())).collect();
        for (id, silence) in &self.begun {
            if active.get(id).is_none_or(|now| now.from != silence.from) {
                self.report(silence, SilenceChange::Ended { by: None });
                self.ended.insert(*id);
            }
        }
        for (id, silence) in &active {
            if self.begun.get(id).is_none_or(|before| before.from != silence.from) {
                self.report(silence, SilenceChange::Began);
                self.ended.remove(id);
            }
        }
        self.begun = active;
    }

    /// States the weekly silences whose zone is not known, as long as that lasts.
    fn state_unknown(&mut self, now: Stamp) {
        let unknown = self.list.standings(now, self.zones).filter_map(|(first, standing)| match standing {
            Standing::Unknown(Unknown::Zone) => Some((first.id, first.weekly.clone()?)),
            Standing::Unknown(Unknown::Date) | Standing::Window(_) | Standing::Over => None,
        });
        let unknown: Vec<_> = unknown.collect();
        let problem = (!unknown.is_empty()).then(|| Problem::silence_zone_unknown(&unknown));
        if self.stated == problem {
            return;
        }
        match &problem {
            Some(problem) => self.health.set(Component::Silences, problem.clone()),
            None => self.health.clear(&Component::Silences),
        };
        self.stated = problem;
    }

    async fn answer(&mut self, what: SilenceQuestion) -> SilenceAnswer {
        let now = self.date().await;
        match what {
            SilenceQuestion::List => {
                let each = self.list.standings(now, self.zones);
                SilenceAnswer::Listed {
                    silences: each.map(|(first, standing)| self.json(first, &standing, now)).collect(),
                }
            }
            SilenceQuestion::Add { wanted, by } => {
                let plan = Arc::clone(&self.plan.borrow());
                let mut list = self.list.clone();
                let added = match list.add(&wanted, by, &plan, now, self.zones) {
                    Ok(added) => added,
                    Err(refusal) => return SilenceAnswer::Refused { problem: refusal.to_string() },
                };
                let unsaved = self.store.keep_silences(added.clone()).await.err();
                self.list = list;
                for silence in &added {
                    self.report(silence, SilenceChange::Added);
                }
                self.pass_on(now).await;
                SilenceAnswer::Added {
                    silences: added.iter().map(|silence| self.added(silence, now)).collect(),
                    unsaved,
                }
            }
            SilenceQuestion::End { id, by } => {
                let mut list = self.list.clone();
                let first = match list.end(id) {
                    Ok(first) => first,
                    Err(refusal) => return SilenceAnswer::Refused { problem: refusal.to_string() },
                };
                let unsaved = self.store.forget_silences(vec![id]).await.err();
                self.list = list;
                self.begun.remove(&id);
                self.ended.remove(&id);
                let standing = silences::standing(&first, now, self.zones);
                let ended = match &standing {
                    Standing::Window(window) => window,
                    Standing::Over | Standing::Unknown(_) => &first,
                };
                self.report(ended, SilenceChange::Ended { by: Some(by) });
                self.pass_on(now).await;
                SilenceAnswer::Ended {
                    silence: Box::new(self.json(&first, &standing, now)),
                    still: self.still(&first.of, now),
                    unsaved,
                }
            }
        }
    }

    /// What still covers what a silence silenced that has ended.
    fn still(&self, of: &SilenceScope, now: Stamp) -> Option<StillSilenced> {
        let (by, extent) = cover::still(of, &self.sent, &self.plan.borrow(), now)?;
        Some(StillSilenced {
            by: by.id.0,
            until: clock::rfc3339(by.until),
            whole: match extent {
                Extent::All => true,
                Extent::Part => false,
            },
        })
    }

    fn report(&self, silence: &Silence, change: SilenceChange) {
        let plan = self.plan.borrow();
        let what = silenced(&silence.of, &plan);
        SilenceNotice { silence, what: &what, change }.record(&plan.site).emit();
    }

    /// One that was just added, in its first window.
    fn added(&self, silence: &Silence, now: Stamp) -> SilenceJson {
        self.json(silence, &Standing::Window(silence.clone()), now)
    }

    fn json(&self, first: &Silence, standing: &Standing, now: Stamp) -> SilenceJson {
        let (silence, no_window) = match standing {
            Standing::Window(window) => (window, None),
            // It is removed as soon as AWS's clock says the same.
            Standing::Over => (first, Some("over, by a clock that AWS has not confirmed yet".to_owned())),
            Standing::Unknown(why) => (first, Some(why.to_string())),
        };
        SilenceJson { no_window, ..SilenceJson::new(silence, name(&silence.of, &self.plan.borrow()), now) }
    }

    /// When the list must be looked at again.
    fn pause(&self, now: Stamp) -> Duration {
        self.list.next_change(now, self.zones).map_or(LOOK_EVERY, |change| change.since(now).min(LOOK_EVERY))
    }
}

/// The names of what is silenced, as `/status` has them; `None` if it has left the configuration.
fn name(of: &SilenceScope, plan: &Plan) -> Option<String> {
    match of {
        SilenceScope::Site => Some(plan.site.to_string()),
        SilenceScope::Parent(id) => {
            let parent = plan.parents.iter().find(|parent| parent.id == *id)?;
            Some(parent.id.name.to_string())
        }
        SilenceScope::Connection(id) => plan.vpn(id).map(|vpn| vpn.name.to_string()),
        SilenceScope::Tunnel(id) => {
            let vpn = plan.vpn(&id.vpn)?;
            let tunnel = vpn.tunnels.iter().find(|tunnel| tunnel.id == *id)?;
            Some(format!("{}, {}", vpn.name, tunnel.name))
        }
    }
}

/// Keeps the silences for as long as it runs. Without a control socket nobody asks.
pub(super) async fn keep(mut keeper: Keeper, mut requests: mpsc::Receiver<SilenceRequest>) {
    loop {
        keeper.look().await;
        let pause = keeper.pause(keeper.dated.wall);
        tokio::select! {
            // The numbers of a file that was opened late come before another one is given.
            biased;
            Some(stored) = keeper.late.recv() => keeper.list.join(stored),
            Some(SilenceRequest { what, answer }) = requests.recv() => {
                let done = keeper.answer(what).await;
                // The client may be gone; what was done stands all the same.
                let _gone = answer.send(done);
            }
            () = until_jump(&mut keeper.status, keeper.dated) => {}
            () = sleep(pause) => {}
        }
    }
}

/// Waits until the core's date has jumped since `before`.
async fn until_jump(status: &mut watch::Receiver<Arc<Status>>, before: Now) {
    while status.changed().await.is_ok() {
        if time::jumped(before, status.borrow_and_update().at).is_some() {
            return;
        }
    }
    // Without the driver the daemon is ending.
    std::future::pending().await
}

#[cfg(test)]
mod tests;
