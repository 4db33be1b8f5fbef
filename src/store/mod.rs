//! What must outlive a restart, and the history: one SQLite file, written by one thread.
//!
//! [`Store::open`] returns a cloneable handle; the thread behind it is a thin loop around a [`StoreEngine`]. It stores two
//! kinds of data:
//! - *state* (incidents, the ledger, when was paged, silences, what was ever seen Up, what has been sent): never dropped, committed
//!   at once;
//! - *history* (rollups, transitions, when the daemon watched): buffered, committed with the next state or at the latest after a minute, so that
//!   flash lives; dropped and counted if it comes faster than the disk can take it.
//!
//! Every commit is synced to the disk: when nothing happens there is one a minute. If the disk fails, everything is kept in
//! memory (of history a bounded amount) and retried, and the problem is stated; no caller waits for a disk.

mod allot;
mod codec;
mod database;
mod disk;
mod engine;
#[cfg(test)]
mod fixture;
mod history;
mod open;
mod recall;
mod schema;
mod state;
mod thread;
mod watched;

pub use self::database::{Capacity, capacity};
pub use self::engine::{Counts, StoreEngine};
pub use self::open::OpenError;
pub use self::recall::{Recall, recall_file};
pub use self::thread::{Opened, Recalling, Store, StoreThread, StoredSilences};
