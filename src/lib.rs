//! Watches both ends of AWS Site-to-Site VPN tunnels; ARCHITECTURE.md is the map.

pub mod aws;
pub mod clock;
pub mod domain;
pub mod health;
pub mod incident;
pub mod publish;
