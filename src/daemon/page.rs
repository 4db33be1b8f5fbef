//! What the status page needs of the configuration and of the store.

use std::sync::Arc;

use super::any_sink;
use super::context::IoContext;
use crate::aws::AwsConnections;
use crate::config::{Config, Vendor};
use crate::domain::names::VpnId;
use crate::history::{self, Entry, Minute};
use crate::incident::account;
use crate::page::{History, Links, VpnLinks, Wanted};
use crate::store::Store;

/// What the configuration says.
pub(super) async fn links(context: &IoContext) -> Arc<Links> {
    let IoContext { connections, config, .. } = context;
    let mut all = Links::default();
    for sink in &config.sinks {
        match &sink.vendor {
            Vendor::IncidentManager { .. } | Vendor::OpsCenter => {
                let region = any_sink::region(connections, config, sink.region.as_ref()).await;
                all.regions.insert(sink.id.clone(), region);
            }
            Vendor::Sns { .. } | Vendor::Webhook(_) => {}
        }
    }
    for (id, vpn) in &config.vpns {
        let links = VpnLinks {
            console: console(connections, config, id, vpn.region.as_ref()).await,
            runbook: vpn.runbook_url.clone(),
            inside: config
                .plan
                .vpn(id)
                .into_iter()
                .flat_map(|vpn| &vpn.tunnels)
                .map(|tunnel| (tunnel.id.outside_ip, tunnel.route.inside_ip))
                .collect(),
        };
        all.vpns.insert(id.clone(), links);
    }
    Arc::new(all)
}

async fn console(
    connections: &AwsConnections,
    config: &Config,
    vpn: &VpnId,
    own: Option<&Arc<str>>,
) -> Option<String> {
    let region = any_sink::region(connections, config, own).await;
    (!region.is_empty()).then(|| account::console(vpn, &region).url)
}

/// More entries than this are not read: a site of hundreds of connections that all flap has no strips then.
const ENTRIES_MAX: usize = 200_000;

/// Reads for the page from the store.
pub fn history(store: Store) -> Arc<History> {
    Arc::new(move |wanted: Wanted| Box::pin(read(store.clone(), wanted)))
}

async fn read(store: Store, wanted: Wanted) -> Result<Vec<Entry>, String> {
    let Wanted { period, vpn, minutes } = wanted;
    let mut recalling =
        store.recall(history::Wanted { since: period.from, until: Some(period.until), minutes });
    let is_wanted = |entry: &Entry| match entry {
        Entry::Watched(_) => true,
        Entry::Change { tunnel, .. } | Entry::Minute(Minute { tunnel, .. }) => {
            vpn.as_ref().is_none_or(|vpn| tunnel.vpn == *vpn)
        }
        Entry::Incident(_) | Entry::Paged { .. } => false,
    };
    let mut entries = Vec::new();
    while let Some(part) = recalling.next().await? {
        entries.extend(part.into_iter().filter(is_wanted));
        if entries.len() > ENTRIES_MAX {
            return Err(format!("more than {ENTRIES_MAX} entries"));
        }
    }
    Ok(entries)
}
