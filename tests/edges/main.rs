//! Tests of the edges: the adapters, against an AWS that they cannot tell from the real one, and the whole daemon, on
//! real tunnels.

mod aws;
mod daemon;
mod lab;
mod receiver;
#[path = "../stand_in/mod.rs"]
mod stand_in;
