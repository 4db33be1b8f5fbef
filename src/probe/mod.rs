//! ICMP echoes: executes what the core wants asked, and says what came of it. It decides nothing.
//!
//! Tasks: one per echo in flight (from [`Prober::execute`] to the reply or the end of the wait) and one receiver per
//! open client, which surge-ping starts. All of them belong on the probing thread's current-thread runtime: a busy
//! neighbour would make round trips look longer than they are.

pub mod address;
mod echo;
pub mod errno;
pub mod permission;
mod prober;
pub mod round;

pub use address::{Carrier, Ownership, carriers, owns};
pub use prober::Prober;
