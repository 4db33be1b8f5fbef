//! Bringing the sinks' records into line with the Board.
//!
//! One [`reconcile::Reconciler`] per sink decides, purely; [`shell::run`] executes what it decides. [`sink`] says what a
//! vendor must be able to do, [`wording`] what people read.

pub mod action;
mod backoff;
mod lookup;
mod raw_data;
pub mod reconcile;
pub mod settings;
pub mod shell;
pub mod sink;
mod token;
pub mod wording;
