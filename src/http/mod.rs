//! The listener: `/metrics`, `/healthz`, `/readyz` and `/status`, and the client that `bothends status` asks it with.

pub mod client;
pub mod host;
pub mod listener;
mod routes;
pub mod server;
pub mod status_json;
