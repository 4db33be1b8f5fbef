//! Keeps the sinks' records in line with the Board.
//!
//! One [`reconcile::Reconciler`] per sink decides, as a pure machine; [`shell::run`] executes its decisions. [`sink`] says
//! what a vendor must be able to do; [`wording`] has the texts.
//!
//! A sink that only accepts messages, and keeps no records that can be read back, has a [`dispatcher::MessageDispatcher`]
//! instead. Both are an [`outbox::Machine`] and run in the same shell; a [`message`] is what is sent.
//!
//! A [`drill`] uses the same paths, and neither machine mistakes it for an incident.

pub mod account;
pub mod action;
pub mod dispatcher;
pub mod drill;
mod family;
mod lookup;
pub mod message;
pub mod outbox;
mod raw_data;
pub mod reconcile;
pub mod settings;
pub mod shell;
pub mod sink;
pub mod specimen;
mod text;
mod token;
mod withheld;
pub mod wording;
