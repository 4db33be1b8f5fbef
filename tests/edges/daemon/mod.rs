//! The real binary from end to end: a daemon in a network namespace of its own, the stand-in for AWS beside it.
//!
//! There is no IPsec here: the tunnels' inside addresses are the namespace's own, and a packet filter cuts them. Every wait
//! ends with what is waited for, or fails. Needs root, iproute2, nft, setpriv, and util-linux's unshare, nsenter, mount and script.

mod answers;
mod bounds;
mod check;
mod clocks;
mod commands;
mod configuration;
mod control;
mod custody;
mod discover;
mod disk;
mod drill;
mod ending;
mod hanging;
mod health;
mod incidents;
mod listener;
mod matrix;
mod minute;
#[path = "../../probe/net.rs"]
#[expect(dead_code, reason = "the tests of the probe need more of it")]
mod net;
mod nonsense;
pub(crate) mod on_disk;
mod ops_center;
mod other_sinks;
mod pair;
mod people;
mod process;
mod reach;
mod refusals;
mod reload;
mod restart;
mod secrets;
mod several;
mod site;
mod sns;
mod standby;
mod store;
mod systemd;
mod wait;
mod webhook;
