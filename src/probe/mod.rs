//! ICMP echoes: executes the core's requests and reports the outcomes. It decides nothing.
//!
//! Tasks: one per echo in flight (from [`Prober::execute`] to the reply or the end of the wait), and one receiver per open
//! client, started by surge-ping. All of them run on the probing thread's current-thread runtime: a busy neighbour would make
//! round trips look longer than they are.

pub mod address;
mod echo;
pub mod errno;
pub mod permission;
mod prober;
pub mod round;

pub use address::{Carrier, Ownership, carriers, owns};
pub use prober::Prober;
