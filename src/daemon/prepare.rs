//! Tries, while all is well, what an outage will need first: the sinks' credentials, secrets and host names. The core itself tries
//! fresh sockets for the checks; this room reports those that fail.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::any_sink::{self, AnySink};
use super::context::IoContext;
use crate::aws::AwsConnections;
use crate::config::{Config, Mode, SinkSettings, Vendor};
use crate::domain::status::Status;
use crate::health::{Code, Component, Health, Problem};

/// After the start is over.
const FIRST_AFTER: Duration = Duration::from_secs(60);
/// Credentials last an hour at least, and names as long as their TTL.
const EVERY: Duration = Duration::from_secs(300);
/// The usual resolver tries a silent server twice, for 5 s each (resolv.conf(5), `timeout`, `attempts`).
const RESOLVED_WITHIN: Duration = Duration::from_secs(10);

/// The preparation for the sinks as configured.
#[derive(Default)]
pub(super) struct Preparing {
    running: Option<AbortHandle>,
    stated: BTreeSet<String>,
}

impl Preparing {
    /// Follows the configuration in force.
    pub(super) fn adopt(&mut self, context: &IoContext, tasks: &mut JoinSet<()>) {
        if let Some(before) = self.running.take() {
            before.abort();
        }
        for sink in std::mem::take(&mut self.stated) {
            context.health.clear(&Component::Preparation(sink));
        }
        let config = &context.config;
        if config.mode == Mode::Observe || config.sinks.is_empty() {
            return;
        }
        self.stated = config.sinks.iter().map(|sink| sink.id.to_string()).collect();
        let preparing = prepare_all(context.connections.clone(), config.clone(), context.health.clone());
        self.running = Some(context.spawn(tasks, preparing));
    }
}

async fn prepare_all(connections: AwsConnections, config: Config, health: Health) {
    sleep(FIRST_AFTER).await;
    loop {
        for sink in &config.sinks {
            let component = Component::Preparation(sink.id.to_string());
            match prepare(&connections, &config, sink).await {
                Ok(()) => _ = health.clear(&component),
                Err(problem) => _ = health.set(component, problem),
            }
        }
        sleep(EVERY).await;
    }
}

/// # Errors
/// What would prevent a message.
async fn prepare(connections: &AwsConnections, config: &Config, sink: &SinkSettings) -> Result<(), Problem> {
    let aws = async |service| {
        let Some(place) = any_sink::aws_place(&config.aws, sink) else { return Ok(None) };
        let host = connections.prepare(service, &place).await?;
        Ok(host.map(|host| (host, 443)))
    };
    let named: Result<Option<(String, u16)>, String> = match &sink.vendor {
        Vendor::IncidentManager { .. } => aws("ssm-incidents").await,
        Vendor::OpsCenter => aws("ssm").await,
        Vendor::Sns { .. } => aws("sns").await,
        Vendor::Webhook(_) => match any_sink::open(connections.clone(), sink, None, &config.plan.site) {
            AnySink::Webhook(webhook, _) => webhook.prepare().await,
            AnySink::IncidentManager(_) | AnySink::OpsCenter(_) | AnySink::Sns(_) => Ok(None),
        },
    };
    match named.map_err(|error| Problem::of(Code::SinkNotPrepared, error))? {
        Some((host, port)) => resolve(&host, port).await,
        None => Ok(()),
    }
}

async fn resolve(host: &str, port: u16) -> Result<(), Problem> {
    let why = match timeout(RESOLVED_WITHIN, lookup_host((host, port))).await {
        Ok(Ok(mut addresses)) => match addresses.next() {
            Some(_) => return Ok(()),
            None => "it has no address".to_owned(),
        },
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", RESOLVED_WITHIN.as_secs()),
    };
    Err(Problem::name_not_resolved(host, &why))
}

/// Reports each connection whose checks cannot open a fresh socket, as the core has tried; until the driver ends.
pub(super) async fn watch_fresh_sockets(mut status: watch::Receiver<Arc<Status>>, health: Health) {
    let mut stated = BTreeSet::new();
    loop {
        let current = Arc::clone(&status.borrow_and_update());
        let mut lacking = BTreeSet::new();
        for vpn in &current.vpns {
            if let Some(problem) = Problem::fresh_socket_fails(vpn) {
                let component = Component::FreshSocket(vpn.id.to_string());
                lacking.insert(component.clone());
                health.set(component, problem);
            }
        }
        for component in stated.difference(&lacking) {
            health.clear(component);
        }
        stated = lacking;
        if status.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clients::Fresh;
    use crate::domain::event::AskFailure;
    use crate::domain::verdict::Fault;
    use crate::fixture;

    #[tokio::test]
    async fn a_name_without_an_address_is_reported_with_a_command_to_try() {
        // RFC 6761, 6.4: never resolved.
        let why = resolve("nowhere.invalid", 443).await.unwrap_err().text;
        assert!(why.starts_with("the name nowhere.invalid cannot be resolved: "), "{why}");
        assert!(why.ends_with("`getent hosts nowhere.invalid`"), "{why}");
        assert_eq!(resolve("127.0.0.1", 443).await, Ok(()));
    }

    #[tokio::test]
    async fn a_fresh_socket_that_fails_is_a_problem_of_its_connection_until_it_works() {
        let mut now = fixture::status();
        let component = Component::FreshSocket(now.vpns[0].id.to_string());
        let health = Health::default();
        let (sender, status) = watch::channel(Arc::new(now.clone()));
        let mut problems = health.watch();
        let watching = tokio::spawn(watch_fresh_sockets(status, health.clone()));
        now.vpns[0].tunnels[0].checks[0].fresh_client = Fresh::Fails(AskFailure::Fault(Fault::TooManyFiles));
        sender.send_replace(Arc::new(now.clone()));
        problems.wait_for(|problems| problems.contains_key(&component)).await.unwrap();
        let text = problems.borrow().get(&component).unwrap().text.clone();
        assert!(text.contains("a new ICMP socket does not work: too many open files"), "{text}");
        now.vpns[0].tunnels[0].checks[0].fresh_client = Fresh::Works;
        sender.send_replace(Arc::new(now));
        problems.wait_for(|problems| problems.is_empty()).await.unwrap();
        drop(sender);
        watching.await.unwrap();
    }
}
