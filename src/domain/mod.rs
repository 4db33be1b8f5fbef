//! The decisions, and nothing else.
//!
//! Everything in here is `std` only: it reads no clock, does no input or output, writes no log and counts no
//! metric. Time comes in as an argument ([`time::Now`]), what happened comes in as an [`event::Event`], and what
//! should be done or told is polled from the [`monitor::Monitor`] as [`request::Request`]s and [`fact::Fact`]s.
//! The same events at the same times give the same requests and the same facts.
//!
//! Read in this order: [`names`] and [`verdict`] (the vocabulary), [`plan`] (what is to be watched), [`echo`] and
//! [`check`] (an end's own view), [`remote`] (AWS's view), [`correlate`] (both views together), [`incident`] (what
//! people must know), [`rollup`] (what goes to CloudWatch), [`monitor`] (the composition).

pub mod board;
pub mod event;
pub mod fact;
pub mod names;
pub mod plan;
pub mod request;
pub mod rollup;
pub mod status;
pub mod time;
pub mod verdict;
