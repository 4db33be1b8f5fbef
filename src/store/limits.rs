//! How `max_size` is shared out, so that file and log together stay below it at any moment.

use super::capacity::{SENT_BYTES, TRANSITION_BYTES, UNSENT_BYTES_MAX};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Pages in use may hold so many bytes when a commit ends. A file never shrinks, but freed pages are used again.
    pub(super) used: u64,
    /// When they would hold more, so many bytes are freed at once and not page by page with every commit.
    pub(super) slack: u64,
    /// The log is emptied once it is so long.
    pub(super) log: u64,
    /// A commit takes up so many bytes of history; what waits beyond that has a commit of its own.
    pub(super) commit: u64,
    /// So many rows are folded or removed in one go.
    pub(super) rows: i64,
    /// So many transitions are kept.
    pub(super) transitions: i64,
    /// Settled incidents may hold so many bytes.
    pub(super) incidents: u64,
}

impl Limits {
    /// A file that is full may grow by a commit before that has made room, and the log may take a commit beyond its
    /// length, in which every row may have a page to itself that is also noted in an index. The shares are in 64ths:
    /// 48 used, 4 growth, 4 log, and 8 for what the commit writes to the log.
    pub(super) const fn of(max_size: u64) -> Self {
        let share = max_size / 64;
        let rows = share / SENT_BYTES / 8;
        Self {
            used: 48 * share,
            slack: share,
            log: 4 * share,
            commit: share,
            rows: rows as i64,
            transitions: (16 * share / TRANSITION_BYTES) as i64,
            incidents: 8 * share,
        }
    }

    /// Bytes that rollups have if transitions and incidents take up their shares.
    pub(super) const fn rollups(&self) -> u64 {
        self.used - self.incidents - self.transitions as u64 * TRANSITION_BYTES
    }

    /// How many rollups a commit takes up.
    pub(super) const fn rollups_per_commit(&self) -> usize {
        (self.commit / UNSENT_BYTES_MAX) as usize
    }
}
