//! The real binary from end to end: a daemon in a network namespace of its own, the stand-in for AWS beside it.
//!
//! There is no IPsec here: the tunnels' inside addresses are the namespace's own, and a packet filter cuts them. Every
//! wait ends with the awaited condition, or fails. Needs root, iproute2, nft, setpriv, and util-linux's unshare,
//! nsenter, mount and script.

mod answers;
mod bounds;
mod check;
mod clocks;
mod commands;
mod configuration;
mod control;
mod discover;
mod disk;
mod drill;
mod hanging;
mod health;
mod incidents;
mod invalid_answers;
mod listener;
mod maintenance;
mod matrix;
mod minute;
#[path = "../../probe/net.rs"]
#[expect(dead_code, reason = "used by the tests of the probe")]
mod net;
pub(crate) mod on_disk;
mod ops_center;
mod other_sinks;
mod pair;
mod permissions;
mod process;
mod protected;
mod refusals;
mod reload;
mod restart;
mod secrets;
mod several;
mod shared_records;
mod shutdown;
mod silence;
mod site;
mod sns;
mod standby;
mod store;
mod systemd;
mod unreadable_files;
mod wait;
mod webhook;
