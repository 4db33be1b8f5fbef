//! What charon answers on its VICI socket: segments, each with its length before it, as `tests/vici` has them recorded.
#![no_main]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str;

use bothends::domain::sensor::{Ike, Unavailable};
use bothends::sensors::ipsec::listing::Listing;
use bothends::sensors::ipsec::vici::{Packet, Request, SEGMENT_MAX, Section};
use bothends_fuzz::{bounded, holds};
use libfuzzer_sys::fuzz_target;

/// The recorded peer, and one that no answer has.
const PEER: &str = "203.0.113.2";
const OTHER: &str = "192.0.2.77";

/// The vector of a section that has nothing but a section, in three bytes, has room for four entries.
const MEMORY: usize = 128;

fuzz_target!(|data: &[u8]| {
    request(data);
    let [peer, other]: [IpAddr; 2] = [PEER, OTHER].map(|ip| ip.parse().unwrap());
    let wanted = BTreeSet::from([peer]);
    let mut listing = Listing::default();
    let mut rest = data;
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        if length > SEGMENT_MAX {
            break;
        }
        // A changed length must not hide all that follows.
        let (segment, after) = after.split_at(length.min(after.len()));
        rest = after;
        let packet = bounded(segment, MEMORY, || Packet::decode(segment));
        compare(segment, packet.as_ref().ok());
        if let Ok(Packet::Event { name, message }) = packet {
            match name {
                b"list-conn" => listing.add_connection(&message, &wanted),
                b"list-sa" if listing.add_sa(&message, &wanted).is_err() => return,
                _ => {}
            }
        }
    }
    assert_eq!(listing.peer(other), Err(Unavailable::NotListed));
    match listing.peer(peer) {
        Ok(found) => {
            assert!(holds(data, PEER));
            assert_eq!(found.refusal, None);
            match found.ike {
                Some(Ike::Absent | Ike::Connecting) => assert_eq!(found.child, None),
                Some(Ike::Established { .. }) => {}
                None => panic!("charon always knows"),
            }
        }
        Err(why) => assert_eq!(why, Unavailable::NotListed),
    }
});

/// A request can be read back, whatever the name.
fn request(name: &[u8]) {
    let Ok(name) = str::from_utf8(&name[..name.len().min(300)]) else { return };
    for (request, kind) in [(Request::Command, 0), (Request::Register, 3)] {
        let wire = request.encode(name);
        let (length, segment) = wire.split_first_chunk().unwrap();
        assert_eq!(u32::from_be_bytes(*length) as usize, segment.len());
        assert_eq!(segment[..2], [kind, name.len().min(255) as u8]);
        assert_eq!(segment[2..], name.as_bytes()[..name.len().min(255)]);
    }
}

/// What another reader, simpler and recursive, makes of a message.
enum Value<'a> {
    Text(&'a [u8]),
    List(Vec<&'a [u8]>),
    Section(Message<'a>),
}

type Message<'a> = Vec<(&'a [u8], Value<'a>)>;

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn sized<'a>(rest: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
    let length = take(rest, bytes)?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    take(rest, length)
}

fn message<'a>(rest: &mut &'a [u8], depth: usize) -> Option<Message<'a>> {
    let mut entries = Vec::new();
    while !(depth == 0 && rest.is_empty()) {
        match take(rest, 1)?[0] {
            1 if depth < 16 => entries.push((sized(rest, 1)?, Value::Section(message(rest, depth + 1)?))),
            2 if depth > 0 => break,
            3 => entries.push((sized(rest, 1)?, Value::Text(sized(rest, 2)?))),
            4 => {
                let (name, mut items) = (sized(rest, 1)?, Vec::new());
                loop {
                    match take(rest, 1)?[0] {
                        5 => items.push(sized(rest, 2)?),
                        6 => break,
                        _ => return None,
                    }
                }
                entries.push((name, Value::List(items)));
            }
            _ => return None,
        }
    }
    Some(entries)
}

/// Panics if the two readers do not agree.
fn compare(segment: &[u8], packet: Option<&Packet<'_>>) {
    let mut rest = segment;
    let kind = take(&mut rest, 1).map(|kind| kind[0]);
    let name = if kind == Some(7) { sized(&mut rest, 1) } else { None };
    match (kind, packet) {
        (Some(1), Some(Packet::Response(section))) => same(section, &message(&mut rest, 0).unwrap()),
        (Some(7), Some(Packet::Event { name: read, message: section })) => {
            assert_eq!(Some(*read), name);
            same(section, &message(&mut rest, 0).unwrap());
        }
        (Some(1), None) => assert!(message(&mut rest, 0).is_none()),
        (Some(7), None) => assert!(name.is_none() || message(&mut rest, 0).is_none()),
        (Some(2), Some(Packet::CommandUnknown))
        | (Some(5), Some(Packet::Registered))
        | (Some(6), Some(Packet::EventUnknown))
        | (None | Some(0 | 3 | 4 | 8..), None) => {}
        other => panic!("{other:?}"),
    }
}

fn same(section: &Section<'_>, message: &Message<'_>) {
    let sections = message.iter().filter_map(|(name, value)| match value {
        Value::Section(inner) => Some((*name, inner)),
        Value::Text(_) | Value::List(_) => None,
    });
    let mut read = section.sections();
    for (name, inner) in sections {
        let (read_name, read_inner) = read.next().unwrap();
        assert_eq!(read_name, name);
        same(read_inner, inner);
    }
    assert!(read.next().is_none());
    // Looking for each is quadratic.
    for (name, _) in message.iter().take(16) {
        let first = message.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        let Ok(name) = str::from_utf8(name) else { continue };
        let text = |bytes| str::from_utf8(bytes).ok();
        let (as_text, as_list, is_section) = match first {
            Some(Value::Text(value)) => (text(value), Vec::new(), false),
            Some(Value::List(items)) => (None, items.iter().copied().filter_map(text).collect(), false),
            Some(Value::Section(_)) => (None, Vec::new(), true),
            None => unreachable!(),
        };
        assert_eq!(section.text(name), as_text);
        assert_eq!(section.list(name).collect::<Vec<_>>(), as_list);
        assert_eq!(section.section(name).is_some(), is_section);
    }
}
