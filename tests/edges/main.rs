//! Tests of the edges: the adapters, against an AWS that they cannot tell from the real one.

mod aws;
mod daemon;
#[path = "../stand_in/mod.rs"]
mod stand_in;
