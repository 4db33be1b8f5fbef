//! The daemon's output to the journal ([`journal`]) and to Prometheus ([`prometheus`]). The records and their texts are in
//! [`crate::catalogue`]; every metric's name, help and unit is in [`metric`].

pub mod journal;
pub mod metric;
pub mod prometheus;
