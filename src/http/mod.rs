//! `/`, `/vpn/ID`, `/events`, `/metrics`, `/healthz`, `/readyz`, `/status` and `/history` on the listener and on the control
//! socket; `POST /reload` and `/silences` on the control socket only; and the commands' client.

pub mod client;
pub mod history;
pub mod history_lines;
pub mod listener;
pub mod long_lived;
pub mod pages;
pub mod protection;
pub mod routes;
pub mod server;
pub mod silences;
pub mod status_json;
pub mod summary;
mod text;
pub mod tls;
pub mod token;
