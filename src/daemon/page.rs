//! What the status page needs of the configuration and of the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::any_sink;
use super::context::IoContext;
use crate::aws::AwsConnections;
use crate::config::Config;
use crate::domain::names::VpnId;
use crate::incident::account;
use crate::page::{History, Links, Wanted};
use crate::store::Store;

/// What the configuration says of each connection.
pub(super) async fn links(context: &IoContext) -> Arc<BTreeMap<VpnId, Links>> {
    let IoContext { connections, config, .. } = context;
    let mut all = BTreeMap::new();
    for (id, vpn) in &config.vpns {
        let links = Links {
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
        all.insert(id.clone(), links);
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

/// Reads from the store.
pub(super) fn history(store: Store) -> Arc<History> {
    Arc::new(move |wanted: Wanted| {
        let store = store.clone();
        Box::pin(async move {
            drop((store, wanted));
            Err("not yet".to_owned())
        })
    })
}
