//! What must outlive a restart, and the history: one SQLite file, written by one thread.
//!
//! [`Store::open`] gives a cloneable handle; the thread behind it is a thin loop around a [`StoreEngine`]. What it takes in is one of two things:
//! - *state* (incidents, the ledger, what was ever seen Up, what has been sent): never dropped, committed at once;
//! - *history* (rollups, transitions): buffered, committed with the next state or at the latest after a minute, so that
//!   flash lives; dropped and counted if it comes faster than the disk can take it.
//!
//! Every commit is synced to the disk: in calm there is one a minute. If the disk fails, everything is kept in memory (of
//! history only so much), is tried again, and the problem is stated; nobody who records waits for a disk.

mod allot;
mod codec;
mod database;
mod disk;
mod engine;
#[cfg(test)]
mod fixture;
mod history;
mod open;
mod schema;
mod state;
mod thread;

pub use self::database::{Capacity, capacity};
pub use self::engine::{Counts, StoreEngine};
pub use self::open::OpenError;
pub use self::thread::{Opened, Store, StoreThread};
