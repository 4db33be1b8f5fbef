//! What BIRD 2 and 3 answer at their control socket.
//!
//! A reply consists of lines `CODE-text`, the last one `CODE text`. A line that begins with a blank continues the one before, with
//! the same code; one with `+` is a message that belongs to no question. What a line means is decided by its code and by the name of
//! its field, never by its place: BIRD 3 has other fields, in another order.
//!
//! Pure and total: any bytes have an answer.

use std::net::IpAddr;
use std::str;

use super::peer::{BgpPeer, Prefix, words};
use crate::domain::sensor::{BgpSession, Unavailable};

/// A protocol, in a list of them.
const PROTOCOL: u16 = 1002;
/// A protocol's details.
const DETAILS: u16 = 1006;
/// A route.
const ROUTE: u16 = 1007;
/// The end of an answer.
const DONE: u16 = 0;
/// "Network not found".
const NO_NETWORK: u16 = 8001;
/// "Access denied".
const DENIED: u16 = 8007;

/// BIRD's longest line; its buffer has 4 KB.
const LINE_MAX: usize = 64 << 10;

/// Where a reply stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It is complete.
    Complete {
        /// The code of its last line.
        code: u16,
        /// How many bytes it has; what follows belongs to the next reply.
        length: usize,
    },
    /// There is more to come, from this line on.
    Partial {
        /// Where the last, incomplete line begins.
        line: usize,
    },
    /// It is no reply.
    Garbage,
}

/// A line's part of a reply.
enum Line<'a> {
    Begins { code: u16, text: &'a [u8], last: bool },
    Continues(&'a [u8]),
    Aside,
}

fn line(bytes: &[u8]) -> Option<Line<'_>> {
    match bytes {
        [b' ', text @ ..] => Some(Line::Continues(text)),
        [b'+', ..] => Some(Line::Aside),
        [a, b, c, d, mark @ (b'-' | b' '), text @ ..] => {
            let digits = [*a, *b, *c, *d];
            let code =
                str::from_utf8(&digits).ok().filter(|code| code.bytes().all(|b| b.is_ascii_digit()))?;
            Some(Line::Begins { code: code.parse().ok()?, text, last: *mark == b' ' })
        }
        _ => None,
    }
}

/// How far the reply in these bytes has come, looked at from the line that begins at `from`.
pub fn progress(bytes: &[u8], from: usize) -> Progress {
    let mut start = from.min(bytes.len());
    while let Some(length) = bytes[start..].iter().position(|b| *b == b'\n') {
        let end = start + length + 1;
        match line(&bytes[start..start + length]) {
            Some(Line::Begins { code, last: true, .. }) => return Progress::Complete { code, length: end },
            Some(Line::Begins { last: false, .. } | Line::Continues(_) | Line::Aside) => start = end,
            None => return Progress::Garbage,
        }
    }
    if bytes.len() - start > LINE_MAX { Progress::Garbage } else { Progress::Partial { line: start } }
}

/// The lines of a complete reply, each with its code.
type Coded<'a> = Vec<(u16, &'a [u8])>;

/// The lines of a complete reply, and the code of the last.
fn lines(reply: &[u8]) -> Result<(Coded<'_>, u16), Unavailable> {
    let (last, length) = match progress(reply, 0) {
        Progress::Complete { code, length } => (code, length),
        Progress::Partial { .. } => return Err(Unavailable::Closed),
        Progress::Garbage => return Err(Unavailable::Invalid),
    };
    let (mut lines, mut current) = (Vec::new(), None);
    for bytes in reply[..length].split(|b| *b == b'\n') {
        match line(bytes) {
            Some(Line::Begins { code, text, .. }) => {
                current = Some(code);
                lines.push((code, text));
            }
            Some(Line::Continues(text)) => lines.push((current.ok_or(Unavailable::Invalid)?, text)),
            Some(Line::Aside) | None => {}
        }
    }
    Ok((lines, last))
}

/// The sessions with these neighbours in the reply to `show protocols all`.
pub fn sessions(reply: &[u8], wanted: &[IpAddr]) -> Result<Vec<BgpPeer>, Unavailable> {
    let (lines, last) = lines(reply)?;
    match last {
        DONE => {}
        DENIED => return Err(Unavailable::Denied),
        _ => return Err(Unavailable::Invalid),
    }
    let mut peers = Vec::new();
    let mut protocol: Option<Details> = None;
    for (code, text) in lines {
        match (code, &mut protocol) {
            (PROTOCOL, _) => {
                peers.extend(protocol.take().and_then(|details| details.peer(wanted)));
                protocol = Details::of_row(&String::from_utf8_lossy(text));
            }
            (DETAILS, Some(details)) => details.read(&String::from_utf8_lossy(text)),
            (_, _) => {}
        }
    }
    peers.extend(protocol.and_then(|details| details.peer(wanted)));
    Ok(peers)
}

/// A BGP protocol, as far as it has been read.
#[derive(Default)]
struct Details {
    name: String,
    neighbour: Option<IpAddr>,
    state: Option<String>,
    error: Option<String>,
    in_channel: bool,
    imported: Option<u64>,
}

impl Details {
    /// Of a row `aws1  BGP  ---  up  00:28:57.330  Established`; `None` for other protocols than BGP.
    fn of_row(row: &str) -> Option<Self> {
        let mut columns = row.split_whitespace();
        let (name, kind) = (columns.next()?, columns.next()?);
        (kind == "BGP").then(|| Self { name: name.to_owned(), ..Self::default() })
    }

    fn read(&mut self, detail: &str) {
        let detail = detail.trim();
        if detail.starts_with("Channel ") {
            self.in_channel = true;
            return;
        }
        let Some((field, value)) = detail.split_once(':') else { return };
        let value = value.trim();
        match field {
            "Routes" if self.in_channel => {
                // `2 imported, 1 filtered, 0 exported, 1 preferred`
                let counts = value.split(',').filter_map(|count| count.trim().strip_suffix(" imported"));
                let imported = counts.filter_map(|count| count.parse::<u64>().ok()).next();
                if let Some(imported) = imported {
                    self.imported = Some(self.imported.unwrap_or(0).saturating_add(imported));
                }
            }
            _ if self.in_channel => {}
            "Neighbor address" => {
                // Of a link-local one the interface follows.
                let address = value.split('%').next().and_then(|address| address.parse().ok());
                self.neighbour = self.neighbour.or(address);
            }
            "BGP state" => self.state = self.state.take().or_else(|| Some(value.to_owned())),
            "Last error" => self.error = self.error.take().or_else(|| Some(value.to_owned())),
            _ => {}
        }
    }

    fn peer(self, wanted: &[IpAddr]) -> Option<BgpPeer> {
        let neighbour = self.neighbour.filter(|neighbour| wanted.contains(neighbour))?;
        let state = words(&self.state?);
        let off = &*state == "Down";
        let error = self.error.filter(|error| !error.is_empty());
        let session = BgpSession {
            established: &*state == "Established",
            prefixes: self.imported,
            no_policy: false,
            missing: Vec::new(),
            peer_heard_nothing: error.as_deref() == Some("Received: Hold timer expired"),
            last_error: error.map(|error| words(&error)),
            state,
        };
        Some(BgpPeer { neighbour, at: self.name.into(), off, session })
    }
}

/// Whether the reply to `show route PREFIX protocol NAME` has the route.
pub fn route(reply: &[u8], prefix: Prefix) -> Result<bool, Unavailable> {
    let (lines, last) = lines(reply)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match last {
        DONE => Ok(lines
            .iter()
            .filter(|(code, _)| *code == ROUTE)
            .any(|(_, route)| text(route).split_whitespace().next().and_then(Prefix::parse) == Some(prefix))),
        NO_NETWORK => Ok(false),
        // The session has no table for this address family, so that the route cannot be in one.
        _ if lines.last().is_some_and(|(_, error)| text(error) == "No valid tables") => Ok(false),
        DENIED => Err(Unavailable::Denied),
        _ => Err(Unavailable::Invalid),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SAMPLES: [&[u8]; 3] = [
        include_bytes!("samples/bird-2.0.12-protocols.txt"),
        include_bytes!("samples/bird-2.17.6-protocols.txt"),
        include_bytes!("samples/bird-3.1.8-protocols.txt"),
    ];

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn neighbours() -> Vec<IpAddr> {
        let last = ["10.1", "11.1", "12.1", "13.1", "14.1", "16.1", "17.1", "99.1"];
        let mut neighbours: Vec<IpAddr> = last.iter().map(|last| ip(&format!("169.254.{last}"))).collect();
        neighbours.extend([ip("fd00:10::1"), ip("fd00:11::1")]);
        neighbours
    }

    fn peer(sample: &[u8], neighbour: &str) -> BgpPeer {
        let mut peers = sessions(sample, &[ip(neighbour)]).unwrap();
        assert_eq!(peers.len(), 1, "{neighbour}");
        peers.remove(0)
    }

    fn prefix(text: &str) -> Prefix {
        Prefix::parse(text).unwrap()
    }

    #[test]
    fn an_established_session_has_its_prefixes_and_no_error() {
        for sample in SAMPLES {
            for (neighbour, name, prefixes) in [
                ("169.254.10.1", "aws1", 2),
                ("169.254.16.1", "noimport", 1),
                ("fd00:10::1", "aws1v6", 1),
                // Its two channels together; its address is given with the interface.
                ("fd00:11::1", "v6only", 0),
            ] {
                let BgpPeer { at, off, session, .. } = peer(sample, neighbour);
                assert_eq!((&*at, off), (name, false));
                assert!(session.established && !session.peer_heard_nothing);
                assert_eq!((&*session.state, session.prefixes), ("Established", Some(prefixes)));
                assert_eq!(session.last_error, None);
            }
        }
    }

    #[test]
    fn a_session_that_is_not_established_has_its_last_error() {
        for sample in SAMPLES {
            for (neighbour, state, error) in [
                ("169.254.11.1", "Active", "Socket: Connection refused"),
                ("169.254.12.1", "Idle", "Received: Hold timer expired"),
                // Its shutdown message is of no session.
                ("169.254.13.1", "Active", "Socket: Connection refused"),
                // Our own hold timer.
                ("169.254.14.1", "Idle", "BGP Error: Hold timer expired"),
            ] {
                let session = peer(sample, neighbour).session;
                assert_eq!((session.established, &*session.state, session.prefixes), (false, state, None));
                assert_eq!(session.last_error.as_deref(), Some(error));
                assert_eq!(session.peer_heard_nothing, neighbour == "169.254.12.1");
            }
            let off = peer(sample, "169.254.17.1");
            assert!(off.off);
            assert_eq!((&*off.session.state, off.session.last_error), ("Down", None));
            // A template of sessions with a range of neighbours is none.
            assert_eq!(sessions(sample, &[ip("169.254.99.1"), ip("169.254.99.0")]), Ok(Vec::new()));
        }
    }

    #[test]
    fn a_route_is_there_filtered_or_not_known() {
        let there = b"1007-Table master4:\n 10.0.0.0/16          unicast [aws1 00:28:57.365] * (100) [AS64512i]\n \tvia 169.254.10.1 on near\n0000 \n";
        assert_eq!(route(there, prefix("10.0.0.0/16")), Ok(true));
        assert_eq!(route(there, prefix("10.0.0.0/17")), Ok(false));
        let v6 = b"1007-Table master6:\n fd00:aa::/48         unicast [aws1v6 00:28:57.371] * (100) [AS64512i]\n \tvia fd00:10::1 on near\n0000 \n";
        assert_eq!(route(v6, prefix("fd00:aa::/48")), Ok(true));
        // The import filter refuses it; no such network; no channel for its address family.
        for not in ["0000 \n", "8001 Network not found\n", "9001 No valid tables\n"] {
            assert_eq!(route(not.as_bytes(), prefix("10.0.0.0/16")), Ok(false), "{not}");
        }
        // The protocol has gone since it was listed.
        let gone = b"9001 syntax error, unexpected CF_SYM_UNDEFINED, expecting CF_SYM_KNOWN\n";
        assert_eq!(route(gone, prefix("10.0.0.0/16")), Err(Unavailable::Invalid));
        assert_eq!(route(b"8007 Access denied\n", prefix("10.0.0.0/16")), Err(Unavailable::Denied));
    }

    #[test]
    fn a_message_that_belongs_to_no_question_and_unknown_codes_do_not_matter() {
        let sample = String::from_utf8(SAMPLES[0].to_vec()).unwrap();
        let talked = format!(
            "+<INFO> Reconfigured\n{}",
            sample.replace("1002-aws1", "1099-later\n+<WARN> x\n1002-aws1")
        );
        assert_eq!(sessions(talked.as_bytes(), &neighbours()), sessions(SAMPLES[0], &neighbours()));
    }

    #[test]
    fn what_is_shown_as_established_is() {
        let answer = |state: &str| {
            format!("1002-aws BGP\n1006- BGP state: {state}\n Neighbor address: 169.254.10.1\n0000 \n")
        };
        for state in ["Established", "Established\u{200b}", "Established\0"] {
            let session = peer(answer(state).as_bytes(), "169.254.10.1").session;
            assert_eq!((session.established, &*session.state), (true, "Established"), "{state:?}");
        }
    }

    #[test]
    fn an_answer_cut_anywhere_is_not_taken_for_a_whole_one() {
        for sample in SAMPLES {
            for end in (0..sample.len()).step_by(17) {
                assert!(
                    matches!(progress(&sample[..end], 0), Progress::Partial { line } if line <= end),
                    "{end}"
                );
            }
            for end in (0..sample.len()).step_by(29) {
                assert_eq!(sessions(&sample[..end], &neighbours()), Err(Unavailable::Closed), "{end}");
            }
            // Byte by byte it comes to the same.
            let (mut from, mut complete) = (0, None);
            for end in 0..=sample.len() {
                match progress(&sample[..end], from) {
                    Progress::Partial { line } => from = line,
                    done @ (Progress::Complete { .. } | Progress::Garbage) => complete = Some(done),
                }
            }
            assert_eq!(complete, Some(Progress::Complete { code: 0, length: sample.len() }));
        }
    }

    #[test]
    fn what_is_no_reply_is_known_at_its_first_line() {
        for garbage in ["HTTP/1.1 400 Bad Request\n", "{}\n", "\n", "12\n", "१२३४-x\n", "0000\n"] {
            assert_eq!(progress(garbage.as_bytes(), 0), Progress::Garbage, "{garbage}");
        }
        assert_eq!(progress(&[b'x'; LINE_MAX + 1], 0), Progress::Garbage);
        assert_eq!(sessions(b" begins in the middle\n0000 \n", &[]), Err(Unavailable::Invalid));
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..400), from in 0..500_usize) {
            let _ = progress(&bytes, from);
            let _ = sessions(&bytes, &neighbours());
            let _ = route(&bytes, prefix("10.0.0.0/16"));
        }

        #[test]
        fn any_lines_have_an_answer(lines in proptest::collection::vec("(1002-|1006-|1007-|0000 | |\\+)[ -~]{0,40}", 0..30)) {
            let text = lines.join("\n") + "\n0000 \n";
            let _ = sessions(text.as_bytes(), &neighbours());
            let _ = route(text.as_bytes(), prefix("10.0.0.0/16"));
        }

        #[test]
        fn a_damaged_answer_has_an_answer(at in 0..9_000_usize, bytes in proptest::collection::vec(any::<u8>(), 0..4)) {
            let mut damaged = SAMPLES[2].to_vec();
            damaged.splice(at..at + bytes.len(), bytes);
            for peer in sessions(&damaged, &neighbours()).unwrap_or_default() {
                prop_assert!(peer.session.last_error.is_none_or(|error| error.chars().count() <= 100));
            }
        }
    }
}
