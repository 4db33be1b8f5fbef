//! One door: `/metrics`, `/healthz`, `/readyz` and `/status` on the listener and on the control socket, on which alone a command may
//! also have the configuration reloaded; and the client that the commands ask with.

pub mod client;
pub mod listener;
pub mod routes;
pub mod server;
pub mod status_json;
