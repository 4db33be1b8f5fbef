//! Watches both ends of AWS Site-to-Site VPN tunnels; ARCHITECTURE.md is the map.

#![warn(unreachable_pub)]

pub mod clock;
pub mod domain;
pub mod driver;
#[cfg(test)]
mod fixture;
pub mod health;
pub mod http;
pub mod incident;
pub mod probe;
pub mod publish;
pub mod systemd;
pub mod telemetry;
