//! What goes out to CloudWatch, when, and in what order.
//!
//! [`machine::Publisher`] decides everything and does nothing: it takes what happened and is polled for what should
//! be done. [`shell::run`] does it, on one task. What is to be published comes through a [`shell::Feed`] straight from the
//! facts, so that a broken store delays nothing; the [`sink::Spool`] holds what could not be sent, across restarts.

pub mod datum;
pub mod machine;
pub mod shell;
pub mod sink;
