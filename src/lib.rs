//! Watches both ends of AWS Site-to-Site VPN tunnels; ARCHITECTURE.md is the map.

#![warn(unreachable_pub)]

pub mod clock;
pub mod domain;
pub mod driver;
pub mod health;
pub mod incident;
pub mod probe;
pub mod publish;
