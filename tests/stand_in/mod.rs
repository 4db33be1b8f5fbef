//! An AWS to test against: CloudWatch, EC2, Incident Manager, OpsCenter, SNS and STS over real HTTP/1.1, for the real SDK.
//!
//! It is strict where AWS is strict: it recomputes every signature, checks every request member by member against AWS's
//! published models (`models/`), and enforces the documented limits. Undocumented behaviour of AWS is a switch
//! ([`Switches`]). CloudWatch's and EC2's views of a tunnel follow its real state, each with its own lag, and each can
//! be overridden. Faults are injected per operation ([`Fault`]).
//!
//! Everything is driven by one set of [`Command`]s: from Rust by [`StandIn::control`], from outside by `POST
//! /_stand-in/<command>` with the command's members as JSON. The control side is not authenticated: bind it to loopback
//! or to a network namespace.
//!
//! One thread serves everything on a runtime of its own, so tests may pause tokio's clock. The path of a request:
//! `server` (bytes) → `pipeline` → `api` (which service, which operation) → `sigv4` → `protocol` (bytes → [`wire`]) →
//! `check` (against the model) → `faults` → the service (`cloudwatch`, `ec2`, `incidents`, `ops_items`, `sns`, `sts`) →
//! `protocol` → `server`.

mod api;
mod check;
mod clock;
mod cloudwatch;
mod control;
mod ec2;
mod faults;
mod incidents;
mod model;
mod observation;
mod ops_items;
mod pipeline;
mod protocol;
mod refusal;
mod server;
mod settings;
mod sigv4;
mod sns;
mod state;
mod sts;
#[cfg(test)]
mod tests;
mod tunnels;
mod wire;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

pub(crate) use control::Command;
pub(crate) use settings::Settings;
use state::State;

/// A running stand-in; it stops, with all its connections, when dropped.
pub(crate) struct StandIn {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Serves `listener`, which may live in any network namespace, from a thread of its own.
    ///
    /// # Errors
    /// When the listener has no address, or the thread or its runtime cannot be created.
    pub(crate) fn start(listener: TcpListener, settings: Settings) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::from_settings(settings)));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let served = Arc::clone(&state);
        let thread = std::thread::Builder::new().name("aws-stand-in".to_owned()).spawn(move || {
            if let Err(error) = runtime.block_on(server::serve(listener, served, stopped)) {
                eprintln!("aws-stand-in: {error}");
            }
        })?;
        Ok(Self { address, state, stop: Some(stop), thread: Some(thread) })
    }

    /// The endpoint for an AWS client, without a trailing slash.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Executes one command; the same as `POST /_stand-in/<command>`.
    ///
    /// # Errors
    /// Names what the command refers to that does not exist.
    pub(crate) fn control(&self, command: Command) -> Result<serde_json::Value, String> {
        control::execute(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner), command)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the thread has already been printed; a drop must not raise it again.
            drop(thread.join());
        }
    }
}
