//! What FRR's vtysh prints.
#![no_main]

use std::collections::BTreeMap;
use std::net::IpAddr;

use bothends::domain::sensor::Unavailable;
use bothends::sensors::bgp::frr_json::{announcers, documents, sessions};
use bothends::sensors::bgp::peer::Prefix;
use bothends_fuzz::{bounded, shown};
use libfuzzer_sys::fuzz_target;

/// Of the samples, and one that they do not have.
const NEIGHBOURS: [&str; 9] = [
    "169.254.10.1",
    "169.254.11.1",
    "169.254.12.1",
    "169.254.13.1",
    "169.254.16.1",
    "169.254.17.1",
    "169.254.18.1",
    "fd00:10::1",
    "192.0.2.77",
];

/// A session takes 200 bytes, of 22 in the answer; an empty document 16, of 2.
const MEMORY: usize = 32;

fuzz_target!(|data: &[u8]| {
    let wanted = NEIGHBOURS.map(|ip| ip.parse::<IpAddr>().unwrap());
    let prefix = Prefix::parse("10.0.0.0/16").unwrap();
    // Of one command, or of those of the samples.
    let [one, four] = [1, 4].map(|commands| {
        let read = bounded(data, MEMORY, || documents(data, commands));
        if let Err(why) = &read {
            assert!(matches!(why, Unavailable::Invalid | Unavailable::Closed));
        }
        read.ok().inspect(|read| assert_eq!(read.len(), commands))
    });
    assert!(one.is_none() || four.is_none());
    let documents = one.or(four).unwrap_or_else(|| vec![data]);
    assert!(documents.iter().map(|document| document.len()).sum::<usize>() <= data.len());
    for document in documents {
        let peers = bounded(document, MEMORY, || sessions(document, &wanted)).unwrap_or_default();
        // A VRF's name is had once: one for each neighbour would be more than the answer.
        let mut vrfs: BTreeMap<*const u8, usize> = BTreeMap::new();
        for peer in peers {
            assert!(wanted.contains(&peer.neighbour));
            vrfs.insert(peer.at.as_ptr(), peer.at.len());
            let session = peer.session;
            assert!(!(peer.off && session.established) || &*session.state == "Idle (Admin)");
            assert!(peer.off || session.established == (&*session.state == "Established"));
            assert!(session.missing.is_empty());
            assert!(!(session.established && (session.last_error.is_some() || session.peer_heard_nothing)));
            shown(&session.state);
            session.last_error.as_deref().into_iter().for_each(shown);
        }
        assert!(vrfs.values().sum::<usize>() <= document.len(), "a VRF's name is had once");
        let from = bounded(document, MEMORY, || announcers(document, prefix)).unwrap_or_default();
        // The shortest path is {"peer":{"peerId":"::1"}}.
        assert!(from.len() <= document.len() / 25);
    }
});
