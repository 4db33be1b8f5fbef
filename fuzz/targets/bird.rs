//! What BIRD answers at its control socket.
#![no_main]

use std::net::IpAddr;

use bothends::domain::sensor::Unavailable;
use bothends::sensors::bgp::bird_reply::{Progress, progress, route, sessions};
use bothends::sensors::bgp::peer::Prefix;
use bothends_fuzz::{bounded, holds, shown};
use libfuzzer_sys::fuzz_target;

/// Of the samples, and one that they do not have.
const NEIGHBOURS: [&str; 9] = [
    "169.254.10.1",
    "169.254.11.1",
    "169.254.12.1",
    "169.254.13.1",
    "169.254.14.1",
    "169.254.17.1",
    "fd00:10::1",
    "fd00:11::1",
    "192.0.2.77",
];

/// A line with its code, of two bytes in the answer, takes 24.
const MEMORY: usize = 64;

fuzz_target!(|data: &[u8]| {
    let wanted = NEIGHBOURS.map(|ip| ip.parse::<IpAddr>().unwrap());
    let prefix = Prefix::parse("10.0.0.0/16").unwrap();
    let whole = progress(data, 0);
    in_pieces(data, whole);

    let peers = bounded(data, MEMORY, || sessions(data, &wanted));
    let found = bounded(data, MEMORY, || route(data, prefix));
    match whole {
        Progress::Complete { length, .. } => {
            assert_eq!(data[length - 1], b'\n');
            // What follows belongs to the next reply.
            assert_eq!(sessions(&data[..length], &wanted), peers);
            assert_eq!(route(&data[..length], prefix), found);
            let aside = [b"+<INFO> Reconfigured\n", data].concat();
            assert_eq!(sessions(&aside, &wanted), peers);
        }
        Progress::Partial { line } => {
            assert!(line <= data.len() && (line == 0 || data[line - 1] == b'\n'));
            assert_eq!(peers, Err(Unavailable::Closed));
            assert_eq!(found, Err(Unavailable::Closed));
        }
        Progress::Garbage => {
            assert_eq!(peers, Err(Unavailable::Invalid));
            assert_eq!(found, Err(Unavailable::Invalid));
        }
    }
    if found == Ok(true) {
        assert!(holds(data, "10.0."));
    }
    for peer in peers.unwrap_or_default() {
        assert!(wanted.contains(&peer.neighbour));
        assert!(peer.at.len() <= data.len() * 3);
        assert_eq!(peer.session.established, &*peer.session.state == "Established");
        assert!(!peer.session.established || holds(data, "Established"));
        assert!(peer.session.missing.is_empty() && !peer.session.no_policy);
        shown(&peer.session.state);
        peer.session.last_error.as_deref().into_iter().for_each(shown);
    }
    for word in String::from_utf8_lossy(data).split_whitespace().take(64) {
        if let Some(prefix) = Prefix::parse(word) {
            assert_eq!(Prefix::parse(&prefix.to_string()), Some(prefix), "without host bits it is the same");
        }
    }
});

/// However the reply comes in, it comes to the same.
fn in_pieces(data: &[u8], whole: Progress) {
    let piece = 1 + data.len() / 7;
    let (mut from, mut end) = (0, 0);
    loop {
        match progress(&data[..end], from) {
            Progress::Partial { line } => {
                assert!(from <= line && line <= end);
                from = line;
            }
            done @ (Progress::Complete { .. } | Progress::Garbage) => return assert_eq!(done, whole),
        }
        if end == data.len() {
            return assert_eq!(whole, Progress::Partial { line: from });
        }
        end = data.len().min(end + piece);
    }
}
