//! What is looked at besides probes and AWS: `[ipsec]`, `[bgp]` and `[vpn.bgp]`, `[path]`, `[mtu]` and `[[uplink]]`. A table
//! switches its sensor on; without it nothing of it runs.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::patterns::{self, BgpDaemon, IpsecSource};
use super::problem::Notes;
use super::quantity::DurationBounds;
use super::section::{Listed, Merged, Once, Section, distinct};
use crate::domain::names::Routing;
use crate::domain::plan::SensorRules;
use crate::domain::sensor::SensorKind;
use crate::settings::{BgpSettings, IpsecSettings, UplinkSettings};

const VICI_SOCKET: &str = "/run/charon.vici";
const BIRD_SOCKET: &str = "/run/bird/bird.ctl";
const VTYSH: &str = "/usr/bin/vtysh";
/// The name of an only uplink that has none: its incidents are known by a name.
const UPLINK: &str = "uplink";

const HOUR: Duration = Duration::from_secs(3600);
/// A search for the MTU is some ten echoes; seconds are for testing. What changes more slowly than once a day is no event.
const MTU_INTERVAL: DurationBounds =
    DurationBounds::new(Duration::from_secs(10), Duration::from_secs(24 * 3600));

/// Each is asked for in every look at the sessions.
const PREFIXES_MAX: usize = 100;
/// Each gets echoes in every look at the path, of every tunnel of the uplink.
const REFERENCES_MAX: usize = 8;

/// The sensors, and what the tunnels take from them.
#[derive(Debug)]
pub(super) struct Sensors {
    pub(super) ipsec: Option<IpsecSettings>,
    pub(super) bgp: Option<BgpSettings>,
    bgp_rules: BgpRules,
    path: bool,
    mtu: Option<Duration>,
    uplinks: Vec<Uplink>,
    /// What is set somewhere, validly or not.
    stands: Stands,
}

#[derive(Debug)]
struct Stands {
    ipsec: bool,
    bgp: bool,
    /// Every file was understood.
    complete: bool,
}

#[derive(Debug)]
struct Uplink {
    settings: Arc<UplinkSettings>,
    references: Vec<Listed<IpAddr>>,
}

/// `[bgp]`, as far as `[vpn.bgp]` overrides it.
#[derive(Debug, Clone)]
pub(super) struct BgpRules {
    required: bool,
    pub(super) monitored_prefixes: Arc<[Arc<str>]>,
}

impl Sensors {
    pub(super) fn read(root: &Section<'_>, merged: &Merged, complete: bool, notes: &mut Notes) -> Self {
        let uplinks = uplinks(merged, notes);
        let path = root.section("path");
        let enabled = path.flag("enabled", notes);
        let bgp = root.section("bgp");
        let none = BgpRules { required: false, monitored_prefixes: Arc::default() };
        Self {
            ipsec: ipsec(&root.section("ipsec"), notes),
            bgp: daemon(&bgp, notes),
            bgp_rules: rules(&bgp, none, notes),
            path: enabled.unwrap_or(path.is_table() || !merged.uplinks.is_empty()),
            mtu: mtu(&root.section("mtu"), notes),
            uplinks,
            stands: Stands { ipsec: root.sets("ipsec"), bgp: root.sets("bgp"), complete },
        }
    }

    /// The reference hosts of every uplink.
    pub(super) fn references(&self) -> impl Iterator<Item = &Listed<IpAddr>> {
        self.uplinks.iter().flat_map(|uplink| &uplink.references)
    }

    /// `[bgp]`, overridden by the `[vpn.bgp]` of this connection.
    pub(super) fn bgp_of(&self, vpn: &Section<'_>, routing: Routing, notes: &mut Notes) -> BgpRules {
        let section = vpn.section("bgp");
        let rules = rules(&section, self.bgp_rules.clone(), notes);
        if section.is_table() && !self.stands.bgp && self.stands.complete {
            vpn.wrong(
                "bgp",
                "overrides [bgp], which is not there: add [bgp] daemon = \"bird\" or \"frr\"",
                notes,
            );
        }
        match routing {
            Routing::Static => {
                if rules.required && section.sets("required") {
                    section.wrong(
                        "required",
                        "needs BGP, and this connection has routing = \"static\"",
                        notes,
                    );
                } else if rules.required {
                    let what = "is \"static\", and [bgp] required = true needs BGP: for this connection set [vpn.bgp] \
                                required = false";
                    vpn.wrong("routing", what, notes);
                }
                if section.sets("monitored_prefixes") {
                    let what = "needs BGP, and this connection has routing = \"static\"";
                    section.wrong("monitored_prefixes", what, notes);
                }
            }
            Routing::Bgp | Routing::Unknown => {}
        }
        rules
    }

    /// The uplink of a tunnel.
    pub(super) fn uplink_of(
        &self,
        tunnel: &Section<'_>,
        is_used: bool,
        notes: &mut Notes,
    ) -> Arc<UplinkSettings> {
        if tunnel.sets("uplink") {
            let Some(name) = tunnel.text("uplink", &patterns::PLAIN_NAME, notes) else {
                return Arc::default();
            };
            let named = |uplink: &&Uplink| uplink.settings.name.as_ref() == Some(&name);
            if let Some(uplink) = self.uplinks.iter().find(named) {
                return Arc::clone(&uplink.settings);
            }
            if self.stands.complete {
                let what = match self.names().as_slice() {
                    [] => format!("there is no [[uplink]] of the name \"{name}\""),
                    names => {
                        format!("there is no [[uplink]] of the name \"{name}\", only {}", names.join(", "))
                    }
                };
                tunnel.wrong("uplink", what, notes);
            }
            return Arc::default();
        }
        match self.uplinks.as_slice() {
            [] => Arc::default(),
            [uplink] => Arc::clone(&uplink.settings),
            several => {
                if is_used {
                    let allowed = format!(
                        "the name of the tunnel's uplink, because there are {}: {}",
                        several.len(),
                        self.names().join(", ")
                    );
                    tunnel.missing("uplink", &allowed, notes);
                }
                Arc::default()
            }
        }
    }

    /// Each once, for display: that two have the same one is a problem of its own.
    fn names(&self) -> Vec<String> {
        let names = self.uplinks.iter().filter_map(|uplink| uplink.settings.name.as_ref());
        let names: BTreeSet<&Arc<str>> = names.collect();
        names.into_iter().map(|name| format!("\"{name}\"")).collect()
    }

    /// The socket of a tunnel's own IKE daemon.
    pub(super) fn ipsec_socket_of(&self, tunnel: &Section<'_>, notes: &mut Notes) -> Option<Arc<Path>> {
        let socket = tunnel.text("ipsec_socket", &patterns::SOCKET_PATH, notes)?;
        match &self.ipsec {
            Some(IpsecSettings::Vici { .. }) => {}
            Some(IpsecSettings::Kernel) => {
                let what = "is of [ipsec] source = \"vici\", and it is \"kernel\" here";
                tunnel.wrong("ipsec_socket", what, notes);
            }
            None if self.stands.ipsec || !self.stands.complete => {}
            None => {
                let what = "nothing asks at this socket: add the table [ipsec], which switches that on";
                tunnel.wrong("ipsec_socket", what, notes);
            }
        }
        Some(socket.into())
    }

    /// Warns of a tunnel of which the kernel has no counters.
    pub(super) fn interface_must_be_known(&self, tunnel: &Section<'_>, notes: &mut Notes) {
        if self.ipsec == Some(IpsecSettings::Kernel) && !tunnel.sets("interface") {
            let what = "not set, and [ipsec] source = \"kernel\" reads the counters of the tunnel's interface: without it nothing \
                        is known of its IPsec";
            tunnel.warn("interface", what, notes);
        }
    }

    /// The rules of a used tunnel.
    pub(super) fn rules(&self, routing: Routing, bgp: &BgpRules) -> SensorRules {
        let by_bgp = self.bgp.is_some() && routing != Routing::Static;
        let kinds: BTreeSet<_> = SensorKind::ALL
            .into_iter()
            .filter(|kind| match kind {
                SensorKind::Ipsec => self.ipsec.is_some(),
                SensorKind::Bgp => by_bgp,
                SensorKind::Path | SensorKind::Trace => self.path,
                SensorKind::Mtu => self.mtu.is_some(),
            })
            .collect();
        SensorRules { kinds, bgp_required: by_bgp && bgp.required, mtu_interval: self.mtu.unwrap_or(HOUR) }
    }
}

/// `[ipsec]`.
fn ipsec(section: &Section<'_>, notes: &mut Notes) -> Option<IpsecSettings> {
    if !section.is_table() {
        return None;
    }
    let source = section.text("source", &patterns::IPSEC_SOURCE, notes).unwrap_or(IpsecSource::Vici);
    let socket = section.text("socket", &patterns::SOCKET_PATH, notes);
    match source {
        IpsecSource::Vici => {
            Some(IpsecSettings::Vici { socket: socket.unwrap_or_else(|| VICI_SOCKET.into()) })
        }
        IpsecSource::Kernel => {
            if section.sets("socket") {
                section.wrong("socket", "is of source = \"vici\", and source is \"kernel\"", notes);
            }
            Some(IpsecSettings::Kernel)
        }
    }
}

/// `[bgp]`, apart from the rules.
fn daemon(section: &Section<'_>, notes: &mut Notes) -> Option<BgpSettings> {
    if !section.is_table() {
        return None;
    }
    let daemon = section.required("daemon", &patterns::BGP_DAEMON, notes);
    let socket = section.text("socket", &patterns::SOCKET_PATH, notes);
    let vtysh = section.text("vtysh", &patterns::FILE_PATH, notes);
    match daemon? {
        BgpDaemon::Bird => {
            if section.sets("vtysh") {
                section.wrong("vtysh", "is of daemon = \"frr\", and daemon is \"bird\"", notes);
            }
            Some(BgpSettings::Bird { socket: socket.unwrap_or_else(|| BIRD_SOCKET.into()) })
        }
        BgpDaemon::Frr => {
            if section.sets("socket") {
                section.wrong("socket", "is of daemon = \"bird\", and daemon is \"frr\"", notes);
            }
            Some(BgpSettings::Frr { vtysh: vtysh.unwrap_or_else(|| VTYSH.into()) })
        }
    }
}

/// `base`, overridden by `section`.
fn rules(section: &Section<'_>, base: BgpRules, notes: &mut Notes) -> BgpRules {
    let required = section.flag("required", notes).unwrap_or(base.required);
    let key = "monitored_prefixes";
    let prefixes = section.texts(key, &patterns::PREFIX, notes).map(|listed| {
        at_most(PREFIXES_MAX, &listed, section, key, notes);
        distinct(&listed, notes);
        listed.into_iter().map(|listed| listed.value).collect()
    });
    BgpRules { required, monitored_prefixes: prefixes.unwrap_or(base.monitored_prefixes) }
}

/// `[mtu]`.
fn mtu(section: &Section<'_>, notes: &mut Notes) -> Option<Duration> {
    let interval = section.duration("interval", &MTU_INTERVAL, notes);
    section.is_table().then(|| interval.unwrap_or(HOUR))
}

/// `[[uplink]]`.
fn uplinks(merged: &Merged, notes: &mut Notes) -> Vec<Uplink> {
    let (mut names, mut ways) = (Once::default(), Once::default());
    let mut uplinks = Vec::new();
    for item in &merged.uplinks {
        let section = Section::item(item, &merged.main);
        if !section.is_table() {
            continue;
        }
        let name = match merged.uplinks.as_slice() {
            [_] => section.text("name", &patterns::PLAIN_NAME, notes).or_else(|| Some(UPLINK.into())),
            _ => section.required("name", &patterns::PLAIN_NAME, notes),
        };
        let interface = section.text("interface", &patterns::INTERFACE, notes);
        let source = section.text("source", &patterns::HOST_IP, notes);
        let references = references(&section, notes);
        if let Some(name) = &name {
            names.claim(name.clone(), &section, "name", notes);
        }
        if let Some(key) = ["interface", "source"].into_iter().find(|key| section.sets(key)) {
            if interface.is_some() || source.is_some() {
                ways.claim((interface.clone(), source), &section, key, notes);
            }
        } else if merged.uplinks.len() > 1 {
            let allowed = "interface, source, or both, because there are several uplinks: without one of them echoes leave \
                           by the default route";
            section.missing("interface", allowed, notes);
        }
        at_most(REFERENCES_MAX, &references, &section, "references", notes);
        distinct(&references, notes);
        for Listed { value: reference, place, path } in &references {
            let Some(source) = source else { continue };
            let what = if *reference == source {
                "is the uplink's source: a reference is another host".to_owned()
            } else if reference.is_ipv4() != source.is_ipv4() {
                format!("is not of the same family as source {source}: both IPv4 or both IPv6")
            } else {
                continue;
            };
            notes.problem(place.clone(), path.clone(), super::problem::ProblemKind::Other(what));
        }
        let addresses = references.iter().map(|listed| listed.value).collect();
        let settings = Arc::new(UplinkSettings { name, interface, source, references: addresses });
        uplinks.push(Uplink { settings, references });
    }
    uplinks
}

/// `references` of an `[[uplink]]`.
fn references(section: &Section<'_>, notes: &mut Notes) -> Vec<Listed<IpAddr>> {
    let key = "references";
    let allowed = "a list of hosts that answer as long as the uplink works: without one nobody can tell a dead uplink from a \
                   dead path to AWS";
    if section.is_empty_list(key) {
        section.wrong(key, format!("is empty; expected {allowed}"), notes);
        return Vec::new();
    }
    if !section.sets(key) {
        section.missing(key, allowed, notes);
    }
    section.texts(key, &patterns::HOST_IP, notes).unwrap_or_default()
}

/// Reports a list that is too long.
fn at_most<T>(most: usize, listed: &[Listed<T>], section: &Section<'_>, key: &str, notes: &mut Notes) {
    if listed.len() > most {
        section.wrong(key, format!("has {}, and {most} are the most", listed.len()), notes);
    }
}
