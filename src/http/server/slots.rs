//! Which connections there may be, and which one is dropped for another.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::limits::Limits;
use crate::clock;
use crate::domain::time::Moment;

/// The open connections, oldest first.
pub(super) struct Slots {
    pub(super) limits: Limits,
    pub(super) taken: Vec<Taken>,
}

pub(super) struct Taken {
    /// The client's address; `None` on the control socket.
    pub(super) peer: Option<IpAddr>,
    pub(super) state: Arc<Mutex<ConnectionState>>,
    pub(super) task: AbortHandle,
}

/// The progress of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ConnectionState {
    /// No request has arrived.
    #[default]
    Silent,
    /// A request is being answered.
    Asked,
    /// The answer has been ready to read since this moment.
    Answered(Moment),
    /// The answer goes on until the client leaves.
    LongLived,
}

impl Slots {
    /// Whether there is a slot for a client of this address, if need be by dropping a connection.
    pub(super) fn make_room_for(&mut self, peer: Option<IpAddr>) -> bool {
        self.taken.retain(|taken| !taken.task.is_finished());
        let share = self.taken.iter().filter(|taken| taken.peer == peer).count();
        let dropped = if share >= self.limits.per_peer {
            self.first_to_drop(|taken| taken.peer == peer)
        } else if self.taken.len() >= self.limits.connections {
            self.first_to_drop(|_| true)
        } else {
            return true;
        };
        let Some(index) = dropped else { return false };
        self.taken.remove(index).task.abort();
        true
    }

    /// A client in good order sends its request at once and reads the answer at once; a status page connects again by itself.
    fn first_to_drop(&self, among: impl Fn(&Taken) -> bool) -> Option<usize> {
        let now = clock::now().mono;
        let rank = |state: ConnectionState| match state {
            ConnectionState::Silent => Some(0),
            ConnectionState::Answered(at) if now.since(at) >= self.limits.answer => Some(1),
            ConnectionState::LongLived => Some(2),
            ConnectionState::Answered(_) | ConnectionState::Asked => None,
        };
        let droppable = self.taken.iter().enumerate().filter(|(_, taken)| among(taken));
        let ranked = droppable.filter_map(|(index, taken)| Some((rank(*lock(&taken.state))?, index)));
        ranked.min().map(|(_, index)| index)
    }
}

/// The connections with a long-lived answer, oldest first, by what makes each of them leave.
#[derive(Debug, Default)]
pub(super) struct LongLivedSlots(Mutex<VecDeque<Arc<Notify>>>);

impl LongLivedSlots {
    /// Takes a slot for a connection that ends when `leave` is notified. If there were `limit` already, the oldest leaves.
    pub(super) fn enter(self: &Arc<Self>, leave: &Arc<Notify>, limit: usize) -> LongLivedSlot {
        let mut slots = lock(&self.0);
        while slots.len() >= limit.max(1) {
            if let Some(oldest) = slots.pop_front() {
                oldest.notify_one();
            }
        }
        slots.push_back(Arc::clone(leave));
        LongLivedSlot { of: Arc::clone(self), leave: Arc::clone(leave) }
    }
}

/// Leaves the slot when it is dropped.
#[derive(Debug)]
pub(super) struct LongLivedSlot {
    of: Arc<LongLivedSlots>,
    leave: Arc<Notify>,
}

impl Drop for LongLivedSlot {
    fn drop(&mut self) {
        lock(&self.of.0).retain(|other| !Arc::ptr_eq(other, &self.leave));
    }
}

/// What these locks hold is valid after every statement, so a poisoned one is harmless.
pub(super) fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
