//! Bringing the sinks' records into line with the Board.
//!
//! One [`reconcile::Reconciler`] per sink decides, purely; [`shell::run`] executes what it decides. [`sink`] says what a
//! vendor must be able to do, [`wording`] what people read.
//!
//! A sink that keeps no records that could be read back, and only takes messages, has a [`dispatcher::MessageDispatcher`] instead.
//! Both are an [`outbox::Machine`] and have the same executor; a [`message`] is what is sent.
//!
//! A [`drill`] goes the same ways, and neither takes it for an incident.

pub mod account;
pub mod action;
pub mod dispatcher;
pub mod drill;
mod lookup;
pub mod message;
pub mod outbox;
mod raw_data;
pub mod reconcile;
pub mod settings;
pub mod shell;
pub mod sink;
pub mod specimen;
mod token;
pub mod wording;
