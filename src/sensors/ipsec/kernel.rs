//! What the kernel counts of a tunnel, where no strongSwan can be asked: the counters of its interface.
//!
//! - Bytes received and sent are the interface's, of whatever SA: they go on over a rekey. What counts as sent was encrypted (XFRM and VTI
//!   interfaces) or handed to the IKE daemon (TUN).
//! - An XFRM or VTI interface that finds no SA for a packet counts it as a carrier error, and the host counts it in
//!   `XfrmOutNoStates`. The first alone is also a missing route or policy, the second alone also another tunnel's. Only if both have
//!   grown since the last look, and nothing was sent, it is said that no SA is installed.
//! - What the kernel cannot know here: the state of IKE, why there is none, and whether there is an SA while nothing is sent.
//!   A tunnel without an interface of its own (`interface` is not set, or the VPN is policy-based) has no counters at all.
//!
//! Everything is read below `/proc/self`, which the unit's sandbox leaves visible.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};

use crate::domain::sensor::{Child, Ipsec, Unavailable};
use crate::sensors::ANSWER_MAX;
use crate::settings::Subject;

/// The kernel's counters, and what they were at the last look.
#[derive(Debug, Default)]
pub struct Kernel {
    /// Each interface in the last look at it, with the host's packets without an SA by then.
    last: BTreeMap<Arc<str>, (Interface, Option<u64>)>,
}

/// An interface's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Interface {
    bytes_in: u64,
    bytes_out: u64,
    packets_out: u64,
    carrier_errors: u64,
}

impl Kernel {
    /// Looks at the interfaces of these tunnels.
    pub fn look(&mut self, subjects: &[Arc<Subject>]) -> Vec<Result<Ipsec, Unavailable>> {
        let text = read("/proc/self/net/dev");
        let interfaces = match text.as_deref().map_err(|why| *why).and_then(interfaces) {
            Ok(interfaces) => interfaces,
            Err(why) => return vec![Err(why); subjects.len()],
        };
        // A kernel without these statistics just says less.
        let no_states = read("/proc/self/net/xfrm_stat").ok().and_then(|text| out_no_states(&text));
        let mut seen = BTreeMap::new();
        let found = subjects
            .iter()
            .map(|subject| {
                let name = subject.interface.as_ref().ok_or(Unavailable::NotListed)?;
                let mut ipsec = Ipsec::default();
                if let Some(now) = interfaces.get(&**name) {
                    let unsent = self.last.get(name).is_some_and(|(last, then)| {
                        let grew = then.zip(no_states).is_some_and(|(then, now)| now > then);
                        grew && now.found_no_sa_since(last)
                    });
                    if !unsent {
                        ipsec.child = Some(now.child(index(name)?));
                    }
                    seen.insert(Arc::clone(name), (*now, no_states));
                }
                Ok(ipsec)
            })
            .collect();
        // Looks are about some tunnels each: the others' counters stay.
        self.last.retain(|name, _| interfaces.contains_key(&**name));
        self.last.extend(seen);
        found
    }
}

impl Interface {
    const fn found_no_sa_since(&self, last: &Self) -> bool {
        self.carrier_errors > last.carrier_errors && self.packets_out == last.packets_out
    }

    const fn child(&self, index: u32) -> Child {
        Child { id: index as u64, bytes_in: self.bytes_in, bytes_out: self.bytes_out, idle_in: None }
    }
}

/// Reads `/proc/net/dev`: two lines of headings, then "NAME: RECEIVED... SENT...", eight numbers each.
pub fn interfaces(text: &str) -> Result<BTreeMap<&str, Interface>, Unavailable> {
    let mut interfaces = BTreeMap::new();
    for line in text.lines().skip(2) {
        // A name may have a colon; numbers have none.
        let (name, numbers) = line.rsplit_once(':').ok_or(Unavailable::Invalid)?;
        let numbers = numbers.split_ascii_whitespace().map(str::parse);
        let numbers: Vec<u64> = numbers.collect::<Result<_, _>>().map_err(|_| Unavailable::Invalid)?;
        let [bytes_in, _, _, _, _, _, _, _, bytes_out, packets_out, _, _, _, _, carrier_errors, ..] =
            numbers[..]
        else {
            return Err(Unavailable::Invalid);
        };
        let counters = Interface { bytes_in, bytes_out, packets_out, carrier_errors };
        interfaces.insert(name.trim_start(), counters);
    }
    Ok(interfaces)
}

/// Reads from `/proc/net/xfrm_stat` how many packets of this host have met a policy without an SA.
pub fn out_no_states(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("XfrmOutNoStates")?.trim().parse().ok())
}

fn read(path: &str) -> Result<String, Unavailable> {
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(ANSWER_MAX as u64 + 1).read_to_end(&mut bytes));
    match read {
        Ok(length) if length > ANSWER_MAX => Err(Unavailable::TooLong),
        Ok(_) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Unavailable::NotThere),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(Unavailable::Denied),
        Err(_) => Err(Unavailable::HostError),
    }
}

fn index(interface: &str) -> Result<u32, Unavailable> {
    let any = socket(AddressFamily::UNIX, SocketType::DGRAM, None).map_err(|_| Unavailable::HostError)?;
    name_to_index(any, interface).map_err(|_| Unavailable::HostError)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEV: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       2    0    0    0     0          0         0      100       2    0    0    0     0       0          0
 vti-1:   12345      20    0    0    0     0          0         0    54321      30    7    7    0     0       7          0
eth0:1:       1       1    0    0    0     0          0         0        2       1    0    0    0     0       0          0
";

    #[test]
    fn counters_of_interfaces() {
        let interfaces = interfaces(DEV).unwrap();
        assert_eq!(interfaces.keys().copied().collect::<Vec<_>>(), ["eth0:1", "lo", "vti-1"]);
        let vti = interfaces["vti-1"];
        assert_eq!(vti, Interface { bytes_in: 12345, bytes_out: 54321, packets_out: 30, carrier_errors: 7 });
        assert_eq!(
            vti.child(9),
            Child { id: 9, bytes_in: 12345, bytes_out: 54321, idle_in: None },
            "no kernel counter says when the last packet came"
        );
    }

    #[test]
    fn counters_in_another_format_are_invalid() {
        for line in ["lo 1 2 3", "lo: 1 2 3", "lo: 1 2 x 4 5 6 7 8 9 10 11 12 13 14 15 16"] {
            assert_eq!(interfaces(&format!("\n\n{line}\n")), Err(Unavailable::Invalid), "{line}");
        }
        assert_eq!(interfaces("").unwrap().len(), 0);
    }

    #[test]
    fn packets_without_sa() {
        let text = "XfrmInError             \t0\nXfrmOutNoStates         \t12\nXfrmOutStateProtoError  \t0\n";
        assert_eq!(out_no_states(text), Some(12));
        assert_eq!(out_no_states("XfrmInError 0\n"), None);
    }

    #[test]
    fn an_interface_found_no_sa_if_it_sent_nothing() {
        let last = Interface { packets_out: 10, carrier_errors: 2, ..Interface::default() };
        let now = |packets_out, carrier_errors| Interface { packets_out, carrier_errors, ..last };
        assert!(now(10, 5).found_no_sa_since(&last));
        assert!(!now(11, 5).found_no_sa_since(&last));
        assert!(!now(10, 2).found_no_sa_since(&last));
        assert!(!now(0, 0).found_no_sa_since(&last), "it was made anew");
    }
}
