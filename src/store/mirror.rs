//! The domain's types as JSON. The domain stays `std` only, so each stored type has a mirror here, field by field: a field
//! that is added there breaks the build here, where its default for older rows must be chosen.
//!
//! Moments of the monotonic clock mean nothing to another run. Only the wall clock's half of a [`Now`] is stored; on reading, the other half
//! is counted back from an anchor.

mod incident;
mod ledger;
mod transition;
mod view;

pub(super) use self::incident::{read_incident, write_incident};
pub(super) use self::ledger::{read_row, write_row};
pub(super) use self::transition::{Change, Transition, ViewChange, read_view_change, write_transition};

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::names::{Kind, TunnelId, VpnId};
use crate::domain::rollup::{Rollup, RttBin};
use crate::domain::time::{Now, Stamp};

/// The kind that has this word.
pub(super) fn kind(word: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.as_str() == word)
}

/// Round-trip times as JSON: `[[nanoseconds, count], …]`.
pub(super) fn write_rtt(bins: &[RttBin]) -> String {
    let pairs: Vec<_> = bins.iter().map(|bin| (nanos(bin.mean), bin.count)).collect();
    serde_json::to_string(&pairs).unwrap_or_default()
}

/// The opposite of [`write_rtt`]. Errors if the text is not such.
pub(super) fn read_rtt(text: &str) -> serde_json::Result<Vec<RttBin>> {
    let pairs: Vec<(u64, u32)> = serde_json::from_str(text)?;
    Ok(pairs.into_iter().map(|(mean, count)| RttBin { mean: Duration::from_nanos(mean), count }).collect())
}

/// Tells apart two parts of one minute of one tunnel. It must be the same in every release.
pub(super) fn digest(rollup: &Rollup) -> i64 {
    let Rollup { tunnel: _, minute: _, replies, late, lost, faults, rtt, up, both_ends_down } = rollup;
    let rtt = write_rtt(rtt);
    let text = format!("{replies} {late} {lost} {faults} {up:?} {both_ends_down:?} {rtt}");
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(8).fold(0, |digest, byte| digest << 8 | i64::from(*byte))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What is known of a moment of another run: its stamp.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
struct Millis(i64);

impl Millis {
    fn of(now: Now) -> Self {
        Self(now.wall.as_millis())
    }

    fn stamp(self) -> Stamp {
        Stamp::from_millis(self.0)
    }

    fn anchored(self, anchor: Now) -> Now {
        let wall = self.stamp();
        let mono = anchor.mono - anchor.wall.since(wall) + wall.since(anchor.wall);
        Now { mono, wall }
    }
}

impl From<Stamp> for Millis {
    fn from(stamp: Stamp) -> Self {
        Self(stamp.as_millis())
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Tunnel {
    vpn: String,
    outside_ip: std::net::IpAddr,
}

impl From<&TunnelId> for Tunnel {
    fn from(TunnelId { vpn, outside_ip }: &TunnelId) -> Self {
        Self { vpn: vpn.as_str().to_owned(), outside_ip: *outside_ip }
    }
}

impl From<Tunnel> for TunnelId {
    fn from(Tunnel { vpn, outside_ip }: Tunnel) -> Self {
        Self { vpn: VpnId::new(vpn), outside_ip }
    }
}

/// The mirror of an enum whose variants hold nothing, with the conversions both ways.
macro_rules! mirror_words {
    ($mirror:ident of $domain:ty { $($variant:ident),+ $(,)? }) => {
        #[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(clippy::enum_variant_names, reason = "the names are the domain's")]
        pub(super) enum $mirror { $($variant),+ }

        impl From<$domain> for $mirror {
            fn from(word: $domain) -> Self {
                match word { $(<$domain>::$variant => Self::$variant),+ }
            }
        }

        impl From<$mirror> for $domain {
            fn from(word: $mirror) -> Self {
                match word { $($mirror::$variant => Self::$variant),+ }
            }
        }
    };
}
use mirror_words;

#[cfg(test)]
mod tests;
