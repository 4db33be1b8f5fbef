//! `path`: whether AWS's outside addresses and the reference hosts of the uplinks answer, outside the tunnels.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::echo_socket::{EchoSocket, Egress, Heard, Unsent};
use super::route::Routes;
use super::{Sensor, Subject};
use crate::clock;
use crate::domain::sensor::{Finding, Link, Path, Reach, Unavailable};
use crate::domain::time::Moment;
use crate::settings::UplinkSettings;

/// To each host that has not answered yet.
const ECHOES: u32 = 3;
const SPACING: Duration = Duration::from_millis(200);
/// A host that has not answered after this long is silent.
const SILENT_AFTER: Duration = Duration::from_millis(1500);
/// So many echoes leave at once; a hub asks hundreds of hosts, whose replies must find room in the socket's buffer.
const AT_ONCE: usize = 16;
const PAUSE: Duration = Duration::from_millis(5);

/// Asks each host once a look, however many tunnels it concerns. One socket per uplink and address family, open during a look.
#[derive(Debug, Default)]
pub struct PathSensor;

type Reached = BTreeMap<IpAddr, Reach>;

impl Sensor for PathSensor {
    async fn look(&mut self, subjects: &[Arc<Subject>]) -> Vec<Finding> {
        let mut hosts: BTreeMap<&Arc<UplinkSettings>, BTreeSet<IpAddr>> = BTreeMap::new();
        for subject in subjects {
            let of_uplink = hosts.entry(&subject.uplink).or_default();
            of_uplink.insert(subject.tunnel.outside_ip);
            of_uplink.extend(&subject.uplink.references);
        }
        let mut asking = JoinSet::new();
        for (uplink, hosts) in hosts {
            let uplink = Arc::clone(uplink);
            asking.spawn(async move {
                let reached = ask_all(&uplink, hosts).await;
                (uplink, reached)
            });
        }
        let mut answers = BTreeMap::new();
        while let Some(asked) = asking.join_next().await {
            answers.extend(asked);
        }
        let named = subjects.iter().any(|subject| subject.uplink.interface.is_some());
        let links = named.then(links).flatten();
        let find = |subject: &Arc<Subject>| -> Result<Path, Unavailable> {
            let reached = answers.get(&subject.uplink).ok_or(Unavailable::HostError)?;
            let reached = reached.as_ref().map_err(|why| *why)?;
            let of = |host: &IpAddr| reached.get(host).copied().unwrap_or(Reach::NotSent);
            let link =
                |name: &Arc<str>| Some(links.as_ref()?.get(name.as_ref()).copied().unwrap_or(Link::Missing));
            Ok(Path {
                outside: of(&subject.tunnel.outside_ip),
                references: subject.uplink.references.iter().map(|host| (*host, of(host))).collect(),
                interface: subject.uplink.interface.as_ref().and_then(link),
            })
        };
        subjects.iter().map(|subject| Finding::Path(find(subject))).collect()
    }
}

async fn ask_all(uplink: &UplinkSettings, hosts: BTreeSet<IpAddr>) -> Result<Reached, Unavailable> {
    let egress = Egress::uplink(uplink);
    let (v4, v6): (Vec<_>, Vec<_>) = hosts.into_iter().partition(IpAddr::is_ipv4);
    let (v4, v6) = tokio::join!(ask(&egress, v4), ask(&egress, v6));
    let mut reached = v4?;
    reached.extend(v6?);
    Ok(reached)
}

/// Asks hosts of one family.
async fn ask(egress: &Egress, hosts: Vec<IpAddr>) -> Result<Reached, Unavailable> {
    let all = |reach| Ok(hosts.iter().map(|host| (*host, reach)).collect());
    let Some(first) = hosts.first() else { return Ok(Reached::new()) };
    if egress.source.is_some_and(|source| source.is_ipv4() != first.is_ipv4()) {
        return all(Reach::NotSent);
    }
    // ICMP errors are not asked for: to a host that answers nothing it is the same who says so, and an error that is waiting to be
    // read fails the next send.
    let socket = match EchoSocket::open(egress, *first) {
        Ok(socket) => socket,
        Err(Unsent::NoRoute) => return all(Reach::NoRoute),
        Err(why) => return Err(why.unavailable()),
    };
    let routes = Routes::of(egress, *first);
    let asked = hosts.into_iter().map(|host| Asked {
        host,
        sent: false,
        failed: routes.as_ref().is_some_and(|routes| routes.lack(host)).then_some(Unsent::NoRoute),
        rtt: None,
    });
    let mut round = Round { socket, asked: asked.collect(), echoes: Vec::new() };
    round.run().await?;
    Ok(round.asked.iter().map(|asked| (asked.host, asked.reach())).collect())
}

/// A host, and how it went.
#[derive(Debug)]
struct Asked {
    host: IpAddr,
    sent: bool,
    failed: Option<Unsent>,
    rtt: Option<Duration>,
}

impl Asked {
    /// It has answered, or this host refuses to ask it.
    fn is_over(&self) -> bool {
        self.rtt.is_some() || !self.sent && matches!(self.failed, Some(Unsent::NoRoute | Unsent::Blocked))
    }

    fn reach(&self) -> Reach {
        match (self.rtt, self.sent, self.failed) {
            (Some(rtt), _, _) => Reach::Answers { rtt },
            (None, true, _) => Reach::Silent,
            (None, false, Some(Unsent::NoRoute)) => Reach::NoRoute,
            (None, false, Some(Unsent::Blocked)) => Reach::Blocked,
            (None, false, Some(Unsent::Denied | Unsent::TooLarge | Unsent::HostError) | None) => {
                Reach::NotSent
            }
        }
    }
}

struct Round {
    socket: EchoSocket,
    asked: Vec<Asked>,
    /// By sequence number: the index of the host, and when it was sent.
    echoes: Vec<(usize, Moment)>,
}

impl Round {
    async fn run(&mut self) -> Result<(), Unavailable> {
        let begin = clock::now().mono;
        for echo in 1..=ECHOES {
            let mut left = 0;
            for index in 0..self.asked.len() {
                if self.asked[index].is_over() {
                    continue;
                }
                self.send(index);
                left += 1;
                if left % AT_ONCE == 0 {
                    self.listen(clock::now().mono + PAUSE).await?;
                }
            }
            self.listen(begin + if echo == ECHOES { SILENT_AFTER } else { SPACING * echo }).await?;
            if self.asked.iter().all(Asked::is_over) {
                break;
            }
        }
        Ok(())
    }

    fn send(&mut self, index: usize) {
        // A configuration with 20,000 hosts does not exist.
        let Ok(sequence) = u16::try_from(self.echoes.len()) else { return };
        let asked = &mut self.asked[index];
        self.echoes.push((index, clock::now().mono));
        match self.socket.send(asked.host, sequence) {
            Ok(()) => asked.sent = true,
            Err(why) => asked.failed = Some(why),
        }
    }

    /// Until then, or until nobody is left who could answer.
    async fn listen(&mut self, until: Moment) -> Result<(), Unavailable> {
        while !self.asked.iter().all(Asked::is_over) {
            match timeout(until.since(clock::now().mono), self.socket.receive()).await {
                Err(_) => break,
                Ok(Err(_)) => return Err(Unavailable::HostError),
                Ok(Ok(Heard::Reply { from, sequence, size: _ })) => self.answered(from, sequence),
                Ok(Ok(Heard::Stopped { .. })) => (),
            }
        }
        Ok(())
    }

    fn answered(&mut self, from: IpAddr, sequence: u16) {
        let Some((index, sent)) = self.echoes.get(usize::from(sequence)) else { return };
        let asked = &mut self.asked[*index];
        if asked.host == from {
            let rtt = clock::now().mono.since(*sent);
            asked.rtt = Some(asked.rtt.map_or(rtt, |known| known.min(rtt)));
        }
    }
}

/// The interfaces of this host; `None` if the kernel does not list them. `/sys/class/net` would show those of the network namespace
/// in which it was mounted.
fn links() -> Option<BTreeMap<String, Link>> {
    let mut links = BTreeMap::new();
    for one in getifaddrs().ok()? {
        // RUNNING also where the driver does not know of a carrier, as of a tunnel's.
        let up = one.flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING);
        // An address's label, `eth0:1`, has the flags of its interface.
        let name = one.interface_name.split(':').next().unwrap_or_default().to_owned();
        links.insert(name, if up { Link::Up } else { Link::Down });
    }
    Some(links)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_echo_that_left_outweighs_those_that_did_not() {
        let host = "192.0.2.1".parse().unwrap();
        let asked = |sent, failed, rtt| Asked { host, sent, failed, rtt }.reach();
        let rtt = Duration::from_millis(3);
        assert_eq!(asked(true, Some(Unsent::NoRoute), Some(rtt)), Reach::Answers { rtt });
        assert_eq!(asked(true, Some(Unsent::NoRoute), None), Reach::Silent);
        assert_eq!(asked(false, Some(Unsent::NoRoute), None), Reach::NoRoute);
        assert_eq!(asked(false, Some(Unsent::Blocked), None), Reach::Blocked);
        assert_eq!(asked(false, Some(Unsent::HostError), None), Reach::NotSent);
        assert_eq!(asked(false, None, None), Reach::NotSent);
    }

    #[test]
    fn the_loopback_is_listed() {
        assert!(links().unwrap().contains_key("lo"));
    }
}
