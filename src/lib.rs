//! Watches both ends of AWS Site-to-Site VPN tunnels; ARCHITECTURE.md is the map.

pub mod clock;
pub mod domain;
#[cfg(test)]
mod fixture;
pub mod health;
pub mod http;
pub mod incident;
pub mod publish;
pub mod systemd;
pub mod telemetry;
