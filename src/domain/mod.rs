//! The decisions, and nothing else.
//!
//! Everything in here is `std` only: it reads no clock, does no input or output, writes no log and counts no metric. Time comes
//! in as an argument ([`time::Now`]), events come in as [`event::Event`], and what to do and what to report is polled from the
//! [`monitor::Monitor`] as [`request::Request`]s and [`fact::Fact`]s. The same events at the same times give the same requests
//! and facts.
//! Read in this order: [`names`], [`scope`] and [`verdict`] (the vocabulary), [`plan`] (what to watch), [`echo`] and
//! [`check`] and [`through`] (an end's own view), [`quality`] (how good a tunnel is that is Up), [`remote`] (AWS's view),
//! [`maintenance`] (what AWS says of its endpoints), [`downs`] and [`carrying`] (both views together), [`incident`] (when one
//! opens and ends), [`stopped`] (since when), [`rollup`] (what goes to CloudWatch), [`retrospect`] (what
//! happened while AWS could not be reached), [`votes`] (what it can decide on), [`monitor`] (the composition).

pub mod board;
pub mod carrying;
pub mod cause;
pub mod check;
pub mod clients;
pub mod condition;
pub mod connection;
pub mod downs;
pub mod echo;
pub mod event;
pub mod fact;
pub mod holding;
pub mod incident;
pub mod loss;
pub mod maintenance;
pub mod monitor;
pub mod names;
pub mod parents;
pub mod plan;
pub mod polling;
pub mod quality;
pub mod remote;
pub mod request;
pub mod retrospect;
pub mod rollup;
pub mod scope;
pub mod sensing;
pub mod sensor;
pub mod side;
pub mod silence;
pub mod status;
pub mod stopped;
pub mod story;
pub mod through;
pub mod time;
pub mod timers;
pub mod tunnel;
pub mod verdict;
pub mod votes;
pub mod withholding;
