//! What the daemon tells people and Prometheus: facts become journal records ([`wording`], sent by [`journal`]) and
//! numbers ([`prometheus`]).
//!
//! Every text of the journal is in [`wording`], every `MESSAGE_ID` in [`message_id`], how often the journal is told of one thing in
//! [`topic`], every metric's name, help and unit in [`metric`].

pub mod journal;
pub mod message_id;
pub mod metric;
pub mod names;
pub mod prometheus;
#[cfg(test)]
mod tests;
pub mod topic;
pub mod wording;
