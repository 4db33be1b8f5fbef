//! Watches both ends of AWS Site-to-Site VPN tunnels; ARCHITECTURE.md is the map.

#![warn(unreachable_pub)]

pub mod aws;
pub mod clock;
pub mod config;
pub mod domain;
pub mod driver;
pub mod health;
pub mod incident;
pub mod probe;
pub mod publish;
pub mod store;
