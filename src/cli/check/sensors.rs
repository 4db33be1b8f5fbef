//! Whether the sensors work on this host now: `[ipsec]` and `[bgp]` are asked once. Echoes to other hosts are left to
//! `bothends probe`, because `check` sends nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use crate::access::{Obstacle, User};
use crate::cli::{terminal, unit};
use crate::config::{Config, SERVICE};
use crate::domain::names::TunnelId;
use crate::domain::sensor::{Finding, Ike, Unavailable};
use crate::sensors::any::look_once;
use crate::sensors::{ANSWER_MAX, ANSWER_WITHIN};
use crate::settings::{BgpSettings, IpsecSettings, SensorSettings, Subject};

/// How to give access.
const PAGE: &str = "/usr/share/doc/bothends/evidence.md";
/// Where FRR's bgpd listens to vtysh (`frr_vtydir`, as Debian and FRR build it).
const FRR_SOCKET: &str = "/run/frr/bgpd.vty";

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// The service, or this command with all of its settings.
    Service,
    /// Root, who may ask everything.
    Root,
    /// Another user.
    Other,
}

impl Asker {
    /// This process.
    pub(super) fn here(us: u32, to_run: bool) -> Self {
        if to_run || User::named(SERVICE).is_some_and(|service| service.uid() == us) {
            Self::Service
        } else if us == 0 {
            Self::Root
        } else {
            Self::Other
        }
    }
}

/// Asks once, and says what was found.
pub(super) fn report(config: &Config, asker: Asker) {
    let settings = &config.sensors;
    if places(settings).is_empty() {
        return;
    }
    let Ok(runtime) = terminal::runtime() else { return };
    let Ok(findings) =
        terminal::unless_interrupted(runtime, "asking the IPsec and BGP daemons", look_once(settings))
    else {
        return;
    };
    let Report { found, warnings } = Report::of(config, &findings, asker);
    for (index, line) in found.iter().enumerate() {
        say!("{}{line}", if index == 0 { "found       " } else { "            " });
    }
    for warning in warnings {
        complain!("warning: {warning}");
    }
}

/// What the service's user may not ask by the permissions of sockets, each with the way to mend it. Only root can see it here.
pub(super) fn closed_to(service: User, settings: &SensorSettings) -> Vec<String> {
    let groups = unit::property("SupplementaryGroups").unwrap_or_default();
    let service = service.also_in(groups.split_whitespace());
    closed(&service, settings, Path::new(FRR_SOCKET))
}

fn closed(service: &User, settings: &SensorSettings, frr: &Path) -> Vec<String> {
    let shut = |place: Place| {
        let socket = match &place {
            Place::StrongSwan(socket) | Place::Bird(socket) => socket.clone(),
            Place::Frr(_) => frr.to_owned(),
            Place::Kernel => return None,
        };
        let obstacle = service.obstacle_to_connecting(&socket)?;
        let at = match obstacle {
            Obstacle::Itself => String::new(),
            Obstacle::Directory(directory) => {
                format!(", which is in {}, where it may not enter", directory.display())
            }
        };
        let socket = socket.display();
        let advice = place.access();
        Some(format!("{}: the user {SERVICE} cannot connect to {socket}{at}. {advice}", place.table()))
    };
    places(settings).into_iter().filter_map(shut).collect()
}

/// What is asked: a sensor's source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    StrongSwan(PathBuf),
    Kernel,
    Bird(PathBuf),
    Frr(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StrongSwan(socket) => write!(f, "ipsec: strongSwan at {}", socket.display()),
            Self::Kernel => f.write_str("ipsec: the kernel's counters"),
            Self::Bird(socket) => write!(f, "bgp: BIRD at {}", socket.display()),
            Self::Frr(vtysh) => write!(f, "bgp: FRR by {}", vtysh.display()),
        }
    }
}

impl Place {
    const fn table(&self) -> &'static str {
        match self {
            Self::StrongSwan(_) | Self::Kernel => "ipsec",
            Self::Bird(_) | Self::Frr(_) => "bgp",
        }
    }

    /// Where the finding about a tunnel comes from.
    fn of(settings: &SensorSettings, subject: &Subject, finding: &Finding) -> Option<Self> {
        match finding {
            Finding::Ipsec(_) => Some(match settings.ipsec.as_ref()? {
                IpsecSettings::Vici { socket } => {
                    Self::StrongSwan(subject.ipsec_socket.as_deref().unwrap_or(socket).to_owned())
                }
                IpsecSettings::Kernel => Self::Kernel,
            }),
            Finding::Bgp(_) => settings.bgp.as_ref().map(Self::of_bgp),
            Finding::Path(_) | Finding::Trace(_) | Finding::Mtu(_) => None,
        }
    }

    fn of_bgp(settings: &BgpSettings) -> Self {
        match settings {
            BgpSettings::Bird { socket } => Self::Bird(socket.clone()),
            BgpSettings::Frr { vtysh } => Self::Frr(vtysh.clone()),
        }
    }

    /// How to give the service access.
    fn access(&self) -> String {
        match self {
            Self::StrongSwan(socket) => {
                format!(
                    "Give the service access: `chgrp {SERVICE} {}`, and see {PAGE} for the next start of strongSwan",
                    socket.display()
                )
            }
            Self::Bird(_) => format!("Give the service access: drop-in bird.conf, see {PAGE}"),
            Self::Frr(_) => format!("Give the service access: drop-in frr.conf, see {PAGE}"),
            Self::Kernel => format!("See {PAGE}"),
        }
    }

    /// Why it has no answer, and what to do.
    fn without_answer(&self, why: Unavailable, subject: &Subject, asker: Asker) -> String {
        match why {
            Unavailable::NotThere => match self {
                Self::StrongSwan(_) => "there is no such socket. Is charon running, with its plugin vici? [ipsec] socket names another one".to_owned(),
                Self::Bird(_) => "there is no such socket. Is BIRD running? [bgp] socket names another one".to_owned(),
                Self::Frr(_) => "there is no such program. [bgp] vtysh names another one".to_owned(),
                Self::Kernel => "this host shows none in /proc/self/net".to_owned(),
            },
            Unavailable::NotRunning => match self {
                Self::StrongSwan(_) => "nobody listens at the socket. Is charon running?".to_owned(),
                Self::Bird(_) => "nobody listens at the socket. Is BIRD running?".to_owned(),
                Self::Frr(_) => "bgpd is not running".to_owned(),
                Self::Kernel => "not available".to_owned(),
            },
            Unavailable::Denied => match asker {
                Asker::Service => format!("permission denied. {}", self.access()),
                Asker::Root => "permission denied, even to root. Does AppArmor or SELinux forbid it?".to_owned(),
                Asker::Other => "permission denied to this user. As root, `bothends check` says whether the service has access".to_owned(),
            },
            Unavailable::TimedOut => format!("no answer within {} s. Does it hang?", ANSWER_WITHIN.as_secs()),
            Unavailable::Closed => "it closed the connection in the middle of its answer".to_owned(),
            Unavailable::Invalid => "its answer cannot be understood. Is it another program's?".to_owned(),
            Unavailable::TooLong => format!("its answer is longer than {} MiB", ANSWER_MAX >> 20),
            Unavailable::NotListed => match self {
                Self::StrongSwan(_) => "no connection has this remote address. See `swanctl --list-conns`".to_owned(),
                Self::Kernel => "it has no interface of its own. The counters are those of its `interface`".to_owned(),
                Self::Bird(_) => format!("no protocol has the neighbor {}. See `birdc show protocols all`", subject.inside_ip),
                Self::Frr(_) => format!("there is no neighbor {}. See `vtysh -c \"show bgp summary\"`", subject.inside_ip),
            },
            Unavailable::HostError => "this host gave no socket or process".to_owned(),
            Unavailable::Skipped => "other tunnels came first".to_owned(),
        }
    }
}

fn places(settings: &SensorSettings) -> BTreeSet<Place> {
    let ipsec = settings.ipsec.iter().flat_map(|ipsec| match ipsec {
        IpsecSettings::Vici { socket } => settings
            .subjects
            .iter()
            .map(|subject| Place::StrongSwan(subject.ipsec_socket.as_deref().unwrap_or(socket).to_owned()))
            .collect(),
        IpsecSettings::Kernel => BTreeSet::from([Place::Kernel]),
    });
    ipsec.chain(settings.bgp.as_ref().map(Place::of_bgp)).collect()
}

/// What was found, and what could not be.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    found: Vec<String>,
    warnings: Vec<String>,
}

/// The tunnels of a place.
#[derive(Debug, Default)]
struct Count {
    all: usize,
    found: usize,
    /// With a CHILD_SA, or a session.
    working: usize,
}

impl Report {
    fn of(config: &Config, findings: &[(TunnelId, Finding)], asker: Asker) -> Self {
        let settings = &config.sensors;
        let mut counts = BTreeMap::<Place, Count>::new();
        let mut warnings = Vec::new();
        for (tunnel, finding) in findings {
            let Some(subject) = settings.subjects.iter().find(|subject| subject.tunnel == *tunnel) else {
                continue;
            };
            let Some(place) = Place::of(settings, subject, finding) else { continue };
            if !is_wanted(config, tunnel, finding) {
                continue;
            }
            let count = counts.entry(place.clone()).or_default();
            count.all += 1;
            if let Some(why) = finding.unavailable() {
                let what = place.without_answer(why, subject, asker);
                let warning = if why == Unavailable::NotListed {
                    format!("{place}: {tunnel}: {what}")
                } else {
                    format!("{place}: {what}")
                };
                // What a place has for no tunnel is said once.
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            } else {
                count.found += 1;
                count.working += usize::from(works(finding));
            }
        }
        let found = counts.into_iter().filter(|(_, count)| count.found > 0);
        Self { found: found.map(|(place, count)| line(&place, &count)).collect(), warnings }
    }
}

/// Whether the daemon looks at the tunnel in this way: one of static routes has no session.
fn is_wanted(config: &Config, tunnel: &TunnelId, finding: &Finding) -> bool {
    let mut tunnels = config.plan.vpns.iter().flat_map(|vpn| vpn.used_tunnels());
    tunnels.any(|plan| plan.id == *tunnel && plan.sensors.kinds.contains(&finding.sensor()))
}

fn line(place: &Place, Count { all, found, working }: &Count) -> String {
    let tunnels = if *all == 1 { "tunnel" } else { "tunnels" };
    let works = match place {
        Place::StrongSwan(_) | Place::Kernel => "an SA",
        Place::Bird(_) | Place::Frr(_) => "an established session",
    };
    let working = if *working == 0 { "none".to_owned() } else { working.to_string() };
    format!("{place}: {found} of {all} {tunnels} found, {working} with {works}")
}

/// Whether a tunnel has what traffic needs.
const fn works(finding: &Finding) -> bool {
    match finding {
        Finding::Ipsec(Ok(ipsec)) => {
            ipsec.child.is_some() && matches!(ipsec.ike, None | Some(Ike::Established { .. }))
        }
        Finding::Bgp(Ok(session)) => session.established,
        Finding::Ipsec(Err(_))
        | Finding::Bgp(Err(_))
        | Finding::Path(_)
        | Finding::Trace(_)
        | Finding::Mtu(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config;
    use crate::domain::sensor::{BgpSession, Child, Ipsec};

    fn configured(more: &str, tunnel: &str) -> Config {
        let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
        let text = format!(
            r#"
            {more}
            [site]
            name = "milan-1"
            [incident]
            mode = "observe"
            [[vpn]]
            id = "vpn-0123456789abcdef0"
            [[vpn.tunnel]]
            outside_ip = "203.0.113.11"
            inside_ip = "169.254.10.1"
            source_ip = "169.254.10.2"
            [[vpn.tunnel]]
            outside_ip = "203.0.113.12"
            inside_ip = "169.254.11.1"
            source_ip = "169.254.11.2"
            {tunnel}
            "#
        );
        fs::write(file.path(), text).unwrap();
        config::load(file.path(), &BTreeMap::new()).unwrap_or_else(|rejection| panic!("{rejection}")).config
    }

    /// The report of one finding per tunnel.
    fn report(config: &Config, findings: [Finding; 2], asker: Asker) -> String {
        let tunnels = config.sensors.subjects.iter().map(|subject| subject.tunnel.clone());
        let Report { found, warnings } =
            Report::of(config, &tunnels.zip(findings).collect::<Vec<_>>(), asker);
        let warnings = warnings.into_iter().map(|warning| format!("warning: {warning}"));
        found.into_iter().chain(warnings).collect::<Vec<_>>().join("\n")
    }

    fn ipsec(has_child: bool) -> Finding {
        let child = Child { id: 1, bytes_in: 0, bytes_out: 0, idle_in: None };
        Finding::Ipsec(Ok(Ipsec {
            ike: Some(Ike::Established { unanswered: false }),
            child: has_child.then_some(child),
            ..Ipsec::default()
        }))
    }

    fn bgp(established: bool) -> Finding {
        Finding::Bgp(Ok(BgpSession {
            established,
            state: "Active".into(),
            prefixes: None,
            no_policy: false,
            missing: Vec::new(),
            last_error: None,
            peer_heard_nothing: false,
        }))
    }

    #[test]
    fn what_is_found_is_counted_by_where_it_was_asked() {
        let config = configured("[ipsec]\n[bgp]\ndaemon = \"bird\"", "ipsec_socket = \"/run/charon2.vici\"");
        insta::assert_snapshot!(report(&config, [ipsec(true), ipsec(false)], Asker::Root), @r"
        ipsec: strongSwan at /run/charon.vici: 1 of 1 tunnel found, 1 with an SA
        ipsec: strongSwan at /run/charon2.vici: 1 of 1 tunnel found, none with an SA
        ");
        insta::assert_snapshot!(report(&config, [bgp(true), bgp(false)], Asker::Root), @r"
        bgp: BIRD at /run/bird/bird.ctl: 2 of 2 tunnels found, 1 with an established session
        ");
        let missing = Finding::Bgp(Err(Unavailable::NotListed));
        insta::assert_snapshot!(report(&config, [bgp(true), missing], Asker::Root), @r"
        bgp: BIRD at /run/bird/bird.ctl: 1 of 2 tunnels found, 1 with an established session
        warning: bgp: BIRD at /run/bird/bird.ctl: vpn-0123456789abcdef0 203.0.113.12: no protocol has the neighbor 169.254.11.1. See `birdc show protocols all`
        ");
    }

    #[test]
    fn a_connection_of_static_routes_is_not_missed_by_the_bgp_daemon() {
        let config = configured(
            "[bgp]\ndaemon = \"bird\"",
            "[[vpn]]\nid = \"vpn-0123456789abcdef1\"\nrouting = \"static\"\n\
            [[vpn.tunnel]]\noutside_ip = \"203.0.113.13\"\ninside_ip = \"169.254.12.1\"\nsource_ip = \"169.254.12.2\"",
        );
        let tunnels = config.sensors.subjects.iter().map(|subject| subject.tunnel.clone());
        let findings = [bgp(true), bgp(true), Finding::Bgp(Err(Unavailable::NotListed))];
        let Report { found, warnings } =
            Report::of(&config, &tunnels.zip(findings).collect::<Vec<_>>(), Asker::Root);
        assert_eq!(
            found,
            ["bgp: BIRD at /run/bird/bird.ctl: 2 of 2 tunnels found, 2 with an established session"]
        );
        assert_eq!(warnings, [""; 0]);
    }

    #[test]
    fn what_a_place_cannot_tell_is_said_once_with_what_to_do() {
        let vici = configured("[ipsec]", "");
        let of = |why| [Finding::Ipsec(Err(why)), Finding::Ipsec(Err(why))];
        let all = |asker| Unavailable::ALL.map(|why| report(&vici, of(why), asker)).join("\n");
        insta::assert_snapshot!(all(Asker::Service), @r"
        warning: ipsec: strongSwan at /run/charon.vici: there is no such socket. Is charon running, with its plugin vici? [ipsec] socket names another one
        warning: ipsec: strongSwan at /run/charon.vici: nobody listens at the socket. Is charon running?
        warning: ipsec: strongSwan at /run/charon.vici: permission denied. Give the service access: `chgrp bothends /run/charon.vici`, and see /usr/share/doc/bothends/evidence.md for the next start of strongSwan
        warning: ipsec: strongSwan at /run/charon.vici: no answer within 4 s. Does it hang?
        warning: ipsec: strongSwan at /run/charon.vici: it closed the connection in the middle of its answer
        warning: ipsec: strongSwan at /run/charon.vici: its answer cannot be understood. Is it another program's?
        warning: ipsec: strongSwan at /run/charon.vici: its answer is longer than 4 MiB
        warning: ipsec: strongSwan at /run/charon.vici: vpn-0123456789abcdef0 203.0.113.11: no connection has this remote address. See `swanctl --list-conns`
        warning: ipsec: strongSwan at /run/charon.vici: vpn-0123456789abcdef0 203.0.113.12: no connection has this remote address. See `swanctl --list-conns`
        warning: ipsec: strongSwan at /run/charon.vici: this host gave no socket or process
        warning: ipsec: strongSwan at /run/charon.vici: other tunnels came first
        ");
        insta::assert_snapshot!(report(&vici, of(Unavailable::Denied), Asker::Root), @r"
        warning: ipsec: strongSwan at /run/charon.vici: permission denied, even to root. Does AppArmor or SELinux forbid it?
        ");
        insta::assert_snapshot!(report(&vici, of(Unavailable::Denied), Asker::Other), @r"
        warning: ipsec: strongSwan at /run/charon.vici: permission denied to this user. As root, `bothends check` says whether the service has access
        ");
        for daemon in ["bird", "frr"] {
            let config = configured(&format!("[bgp]\ndaemon = \"{daemon}\""), "");
            for why in Unavailable::ALL {
                let told = report(&config, [Finding::Bgp(Err(why)), bgp(true)], Asker::Service);
                assert_eq!(told.lines().count(), 2, "{told}");
                assert!(!told.contains("strongSwan") && !told.contains("charon"), "{told}");
            }
        }
    }

    #[test]
    fn a_socket_that_the_service_may_not_write_to_is_named_with_how_to_open_it() {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let [vici, frr] = ["charon.vici", "bgpd.vty"].map(|name| directory.path().join(name));
        for socket in [&vici, &frr] {
            fs::write(socket, "").unwrap();
            fs::set_permissions(socket, Permissions::from_mode(0o770)).unwrap();
        }
        let table = format!("[ipsec]\nsocket = \"{}\"\n[bgp]\ndaemon = \"frr\"", vici.display());
        let config = configured(&table, "");
        let nobody = User::named("nobody").unwrap();
        let told = || {
            closed(&nobody, &config.sensors, &frr)
                .join("\n")
                .replace(directory.path().to_str().unwrap(), "DIR")
        };
        insta::assert_snapshot!(told(), @r"
        ipsec: the user bothends cannot connect to DIR/charon.vici. Give the service access: `chgrp bothends DIR/charon.vici`, and see /usr/share/doc/bothends/evidence.md for the next start of strongSwan
        bgp: the user bothends cannot connect to DIR/bgpd.vty. Give the service access: drop-in frr.conf, see /usr/share/doc/bothends/evidence.md
        ");
        fs::set_permissions(&vici, Permissions::from_mode(0o772)).unwrap();
        fs::remove_file(&frr).unwrap();
        assert_eq!(told(), "", "what is not there is said by whom asks");
    }
}
