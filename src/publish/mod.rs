//! Metrics to CloudWatch: what is sent, when, and in which order.
//!
//! [`machine::Publisher`] decides everything and does nothing: it takes events and is polled for actions. [`shell::run`] executes
//! them, on one task. Facts arrive directly through a [`shell::Feed`]: a broken store delays nothing. The [`sink::Spool`] keeps
//! unsent rollups across restarts.

pub mod datum;
pub mod machine;
pub mod shell;
pub mod sink;
