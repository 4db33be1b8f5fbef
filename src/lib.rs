//! Watches both ends of AWS Site-to-Site VPN tunnels; ARCHITECTURE.md is the map.

#![warn(unreachable_pub, clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

pub mod access;
pub mod aws;
pub mod backoff;
pub mod catalogue;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod driver;
pub mod health;
pub mod history;
pub mod http;
pub mod incident;
pub mod outbound;
pub mod page;
pub mod probe;
pub mod process;
pub mod publish;
pub mod records;
pub mod report;
pub mod sensors;
pub mod settings;
pub mod silences;
pub mod store;
pub mod systemd;
pub mod telemetry;
pub mod webhook;

#[cfg(test)]
mod fixture;
