//! The silences: a task on the I/O thread has the list. It answers the control socket, has every change saved before it is
//! acknowledged, informs the core of the list and of each weekly window, and writes to the journal what begins and ends.
//!
//! Where the disk fails, a silence is in force all the same, and the answer says that a restart loses it: who works on a gateway at
//! night needs the silence now, and the store writes it as soon as it can.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::context::IoContext;
use crate::catalogue::silence::{SilenceChange, SilenceNotice, silenced};
use crate::clock;
use crate::domain::event::Event;
use crate::domain::plan::Plan;
use crate::domain::silence::{Silence, SilenceId, SilenceScope};
use crate::domain::time::Stamp;
use crate::http::silences::{ListedSilence, SilenceAnswer, SilenceQuestion, SilenceRequest, StillSilenced};
use crate::silences::cover::{self, Extent};
use crate::silences::{self, Silences, zones};
use crate::store::Store;

/// The longest time between two looks at the list: the wall clock may jump, and time zones change.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The task's state.
pub(super) struct Keeper {
    list: Silences,
    /// As the core has it.
    sent: Arc<[Silence]>,
    /// Those whose window has begun, as the journal has it.
    begun: BTreeMap<SilenceId, Silence>,
    plan: watch::Receiver<Arc<Plan>>,
    store: Store,
    events: mpsc::Sender<Event>,
}

impl Keeper {
    /// With the silences of the last run, which the core has remembered.
    pub(super) fn new(context: &IoContext, list: Silences) -> Self {
        Self {
            list,
            sent: Arc::default(),
            begun: BTreeMap::new(),
            plan: context.plan.clone(),
            store: context.store.clone(),
            events: context.events.clone(),
        }
    }

    /// Removes what is over, and passes on what has changed with the time.
    async fn look(&mut self, now: Stamp) {
        let over = self.list.remove_over(now, zones);
        // Those that ended while the daemon was stopped; of the others this run has seen the window.
        for silence in over.iter().filter(|silence| !self.begun.contains_key(&silence.id)) {
            self.report(silence, SilenceChange::Ended { by: None });
        }
        self.pass_on(now).await;
        if !over.is_empty() {
            let ids = over.iter().map(|silence| silence.id).collect();
            // The store states it if it cannot, and writes it later; meanwhile a restart finds them over, too.
            let _unsaved = self.store.forget_silences(ids).await;
        }
    }

    /// Gives the core the list if it is another than before, and writes to the journal which windows have begun and ended.
    async fn pass_on(&mut self, now: Stamp) {
        let present = self.list.present(now, zones);
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
            }
        }
        for (id, silence) in &active {
            if self.begun.get(id).is_none_or(|before| before.from != silence.from) {
                self.report(silence, SilenceChange::Began);
            }
        }
        self.begun = active;
    }

    async fn answer(&mut self, what: SilenceQuestion, now: Stamp) -> SilenceAnswer {
        match what {
            SilenceQuestion::List => {
                let present = self.list.present(now, zones);
                SilenceAnswer::Listed {
                    silences: present.iter().map(|silence| self.json(silence, now)).collect(),
                }
            }
            SilenceQuestion::Add { wanted, by } => {
                let plan = Arc::clone(&self.plan.borrow());
                let mut list = self.list.clone();
                let added = match list.add(&wanted, by, &plan, now, zones) {
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
                    silences: added.iter().map(|silence| self.json(silence, now)).collect(),
                    unsaved,
                }
            }
            SilenceQuestion::End { id, by } => {
                let mut list = self.list.clone();
                let ended = match list.end(id) {
                    Ok(first) => silences::window(&first, now, zones).unwrap_or(first),
                    Err(refusal) => return SilenceAnswer::Refused { problem: refusal.to_string() },
                };
                let unsaved = self.store.forget_silences(vec![id]).await.err();
                self.list = list;
                self.begun.remove(&id);
                self.report(&ended, SilenceChange::Ended { by: Some(by) });
                self.pass_on(now).await;
                SilenceAnswer::Ended {
                    silence: self.json(&ended, now),
                    still: self.still(&ended.of, now),
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

    fn json(&self, silence: &Silence, now: Stamp) -> ListedSilence {
        let plan = self.plan.borrow();
        let Silence { id, of, from, until, weekly, reason, by, added } = silence;
        ListedSilence {
            id: id.0,
            scope: of.word().to_owned(),
            what: silenced(of, &plan),
            matches: silences::matches(of, &plan),
            active: silence.is_active(now),
            from: clock::rfc3339(*from),
            until: clock::rfc3339(*until),
            weekly: weekly.as_deref().map(str::to_owned),
            reason: reason.to_string(),
            by_uid: *by,
            added: clock::rfc3339(*added),
        }
    }

    /// When the list must be looked at again.
    fn pause(&self, now: Stamp) -> Duration {
        self.list.next_change(now, zones).map_or(LOOK_EVERY, |change| change.since(now).min(LOOK_EVERY))
    }
}

/// Keeps the silences for as long as it runs. Without a control socket nobody asks.
pub(super) async fn keep(mut keeper: Keeper, mut requests: mpsc::Receiver<SilenceRequest>) {
    loop {
        keeper.look(clock::wall()).await;
        let pause = keeper.pause(clock::wall());
        tokio::select! {
            Some(SilenceRequest { what, answer }) = requests.recv() => {
                let done = keeper.answer(what, clock::wall()).await;
                // The client may be gone; what was done stands all the same.
                let _gone = answer.send(done);
            }
            () = sleep(pause) => {}
        }
    }
}
