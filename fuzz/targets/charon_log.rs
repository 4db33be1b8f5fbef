//! charon's log: lines of a thread, a group and a text.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bothends::domain::sensor::Refusal;
use bothends::domain::time::Moment;
use bothends::sensors::ipsec::refusals::{Line, Refusals};
use bothends_fuzz::bounded;
use libfuzzer_sys::fuzz_target;

/// Watched: the recorded peer, and another. The third is not.
const PEERS: [&str; 3] = ["203.0.113.2", "2001:db8::2", "198.51.100.2"];

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let [peer, other, stranger]: [IpAddr; 3] = PEERS.map(|ip| ip.parse().unwrap());
    let mut refusals = Refusals::default();
    refusals.watch(&BTreeSet::from([peer, other]), Moment::from_nanos(0));
    // Whose packet each thread has, and what was refused last, without any limit of time or number.
    let mut threads: BTreeMap<u32, IpAddr> = BTreeMap::new();
    let mut last: BTreeMap<IpAddr, Refusal> = BTreeMap::new();
    for (n, line) in text.lines().enumerate() {
        let mut parts = line.splitn(3, ' ');
        let Some(thread) = parts.next().and_then(|thread| thread.parse().ok()) else { continue };
        let (Some(group), Some(text)) = (parts.next(), parts.next()) else { continue };
        let Some(line) = bounded(&[], 0, || Line::read(group, text)) else { continue };
        let now = Moment::from_nanos(n as i64 * 700_000_000);
        bounded(data, 64, || refusals.heard(thread, line, now));
        match line {
            Line::From(ip) => {
                assert_eq!(group, "NET");
                assert_eq!(Line::read("NET", &format!("received packet: from {ip}[500] to x")), Some(line));
                threads.insert(thread, ip);
            }
            Line::Initiating(ip) => {
                assert_eq!(group, "IKE");
                assert_eq!(Line::read("IKE", &format!("initiating IKE_SA a[1] to {ip}")), Some(line));
            }
            Line::Refused(refusal) => {
                assert_eq!(group, "ENC");
                if let Some(peer) = threads.get(&thread) {
                    last.insert(*peer, refusal);
                }
            }
            Line::Installed => {
                assert_eq!(group, "IKE");
                if let Some(peer) = threads.get(&thread) {
                    last.remove(peer);
                }
            }
        }
        // No refusal is made up, or another peer's; nothing is known of one that is not watched.
        for watched in [peer, other] {
            let found = refusals.of(watched, now);
            assert!(found.is_none() || found == last.get(&watched).copied(), "{watched}: {found:?}");
        }
        assert_eq!(refusals.of(stranger, now), None);
    }
    refusals.is_up(peer);
    assert_eq!(refusals.of(peer, Moment::from_nanos(i64::MAX)), None);
});
