//! What keeps the service from starting, as far as root can see it without running as the service.

use std::path::Path;

use crate::access::User;
use crate::cli::unit;
use crate::config::DEFAULT_PATH;
use crate::config::{self, SERVICE};
use crate::probe::permission::datagram_closed_to;

/// What the service lacks to run with the configuration at `path`, if the user `us` is root, who is refused nothing himself. A file
/// elsewhere than the service's may not be in its place yet.
pub(super) fn lacks(path: &Path, us: u32) -> Vec<String> {
    let home = Path::new(DEFAULT_PATH).parent();
    if us != 0 || !home.is_some_and(|home| path.starts_with(home)) {
        return Vec::new();
    }
    let Some(service) = User::named(SERVICE).filter(|service| service.uid() != us) else { return Vec::new() };
    let mut lacks: Vec<_> = config::closed_to(&service, path).iter().map(ToString::to_string).collect();
    lacks.extend(no_sockets(&service, || unit::property("AmbientCapabilities")));
    lacks
}

fn no_sockets(service: &User, capabilities: impl FnOnce() -> Option<String>) -> Option<String> {
    let why = datagram_closed_to(service.groups())?;
    let raw = capabilities().is_some_and(|granted| granted.contains("cap_net_raw"));
    (!raw).then(|| format!("the user {SERVICE} cannot open ICMP sockets: {why}"))
}
