//! What FRR's vtysh prints as JSON, in FRR 8 to 10.
//!
//! Where there is nothing to tell FRR prints `{}` or a warning, and ends with 0: only what an answer holds is evidence. Fields that
//! are of no interest are not kept, so that reading takes no more memory than the text.
//!
//! Pure and total: any bytes have an answer.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::peer::{BgpPeer, Prefix, words};
use crate::domain::sensor::{BgpSession, Unavailable};

/// What vtysh says, on its standard output and with exit code 0, when bgpd goes away in the middle of an answer.
const LOST: &[u8] = b"closing connection to bgpd";

/// The JSON documents in what vtysh printed for so many commands, one for each. A document begins with a line that begins with `{`;
/// lines before it are a message.
pub fn documents(printed: &[u8], commands: usize) -> Result<Vec<&[u8]>, Unavailable> {
    let lost = || printed.windows(LOST.len()).any(|bytes| bytes == LOST);
    match all(printed) {
        Ok(documents) if documents.len() == commands => Ok(documents),
        Ok(_) | Err(_) if lost() => Err(Unavailable::Closed),
        Ok(_) => Err(Unavailable::Invalid),
        Err(why) => Err(why),
    }
}

fn all(printed: &[u8]) -> Result<Vec<&[u8]>, Unavailable> {
    let mut documents = Vec::new();
    let mut rest = printed;
    while !rest.is_empty() {
        if rest[0] != b'{' {
            let line = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |end| end + 1);
            rest = &rest[line..];
            continue;
        }
        let mut stream = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        match stream.next() {
            Some(Ok(IgnoredAny)) => {}
            Some(Err(error)) => return Err(not_read(&error)),
            None => return Err(Unavailable::Invalid),
        }
        let (document, after) = rest.split_at(stream.byte_offset());
        documents.push(document);
        rest = after;
    }
    Ok(documents)
}

/// An answer that ends in the middle was cut off.
fn not_read(error: &serde_json::Error) -> Unavailable {
    match error.classify() {
        Category::Eof => Unavailable::Closed,
        Category::Io | Category::Syntax | Category::Data => Unavailable::Invalid,
    }
}

/// The sessions with these neighbours in `show bgp vrf all neighbors json`.
pub fn sessions(document: &[u8], wanted: &[IpAddr]) -> Result<Vec<BgpPeer>, Unavailable> {
    let mut peers = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(document);
    Vrfs { wanted, peers: &mut peers }.deserialize(&mut reader).map_err(|error| not_read(&error))?;
    Ok(peers)
}

/// `{"default": {…}, "red": {…}}`
struct Vrfs<'a> {
    wanted: &'a [IpAddr],
    peers: &'a mut Vec<BgpPeer>,
}

impl<'de> DeserializeSeed<'de> for Vrfs<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Vrfs<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VRFs")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(vrf) = map.next_key::<Arc<str>>()? {
            map.next_value_seed(Neighbours { vrf: &vrf, wanted: self.wanted, peers: self.peers })?;
        }
        Ok(())
    }
}

/// `{"vrfId": 0, "vrfName": "default", "169.254.10.1": {…}}`
struct Neighbours<'a> {
    /// Shared: a name for each neighbour would be more than the answer.
    vrf: &'a Arc<str>,
    wanted: &'a [IpAddr],
    peers: &'a mut Vec<BgpPeer>,
}

impl<'de> DeserializeSeed<'de> for Neighbours<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Neighbours<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the neighbours of a VRF")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.parse::<IpAddr>() {
                Ok(neighbour) if self.wanted.contains(&neighbour) => {
                    let peer: Neighbour = map.next_value()?;
                    self.peers.push(peer.found(neighbour, self.vrf));
                }
                Ok(_) | Err(_) => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Neighbour {
    bgp_state: String,
    #[serde(default)]
    admin_shut_down: bool,
    last_reset_due_to: Option<String>,
    last_notification_reason: Option<String>,
    last_shutdown_description: Option<String>,
    #[serde(default)]
    address_family_info: Families,
}

impl Neighbour {
    fn found(self, neighbour: IpAddr, vrf: &Arc<str>) -> BgpPeer {
        let state = words(&self.bgp_state);
        let established = &*state == "Established";
        let due_to = self.last_reset_due_to.as_deref().unwrap_or_default();
        let reason = self.last_notification_reason.as_deref().unwrap_or_default();
        // Of an established session FRR keeps telling why an earlier one ended.
        let last_error = (!established && !due_to.is_empty()).then(|| {
            if self.admin_shut_down {
                // 8.4 gives another reason.
                "Admin. shutdown".to_owned()
            } else if !due_to.starts_with("BGP Notification") || reason.is_empty() {
                due_to.to_owned()
            } else {
                let said = self.last_shutdown_description.as_deref().filter(|said| !said.is_empty());
                format!("{due_to}: {reason}{}", said.map(|said| format!(" ({said})")).unwrap_or_default())
            }
        });
        let session = BgpSession {
            established,
            state: if self.admin_shut_down { "Idle (Admin)".into() } else { state },
            prefixes: self.address_family_info.accepted,
            no_policy: established
                && self.address_family_info.no_policy
                && self.address_family_info.accepted == Some(0),
            missing: Vec::new(),
            last_error: last_error.map(|error| words(&error)),
            peer_heard_nothing: !established
                && due_to == "BGP Notification received"
                && reason.starts_with("Hold Timer Expired"),
        };
        BgpPeer { neighbour, at: Arc::clone(vrf), off: self.admin_shut_down, session }
    }
}

/// `{"ipv4Unicast": {"acceptedPrefixCounter": 2}}`, all together.
#[derive(Default)]
struct Families {
    accepted: Option<u64>,
    no_policy: bool,
}

impl<'de> Deserialize<'de> for Families {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FamiliesVisitor)
    }
}

struct FamiliesVisitor;

impl<'de> Visitor<'de> for FamiliesVisitor {
    type Value = Families;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("address families")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Families, A::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Family {
            accepted_prefix_counter: Option<u64>,
            inbound_ebgp_requires_policy: Option<IgnoredAny>,
        }
        let mut families = Families::default();
        while map.next_key::<IgnoredAny>()?.is_some() {
            let family: Family = map.next_value()?;
            if let Some(accepted) = family.accepted_prefix_counter {
                families.accepted = Some(families.accepted.unwrap_or(0).saturating_add(accepted));
            }
            families.no_policy |= family.inbound_ebgp_requires_policy.is_some();
        }
        Ok(families)
    }
}

/// The neighbours from whom this prefix is accepted, in `show bgp vrf VRF ipv4 unicast PREFIX json`, which is an exact look-up.
pub fn announcers(document: &[u8], prefix: Prefix) -> Result<BTreeSet<IpAddr>, Unavailable> {
    #[derive(Deserialize)]
    struct Route {
        prefix: Option<String>,
        #[serde(default)]
        paths: Announcers,
        warning: Option<IgnoredAny>,
    }
    let route: Route = serde_json::from_slice(document).map_err(|error| not_read(&error))?;
    match route.prefix {
        Some(of) if Prefix::parse(&of) == Some(prefix) => Ok(route.paths.0),
        // `{}`
        None if route.warning.is_none() && route.paths.0.is_empty() => Ok(BTreeSet::new()),
        Some(_) | None => Err(Unavailable::Invalid),
    }
}

#[derive(Default)]
struct Announcers(BTreeSet<IpAddr>);

impl<'de> Deserialize<'de> for Announcers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(AnnouncersVisitor)
    }
}

struct AnnouncersVisitor;

impl<'de> Visitor<'de> for AnnouncersVisitor {
    type Value = Announcers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("paths")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Announcers, A::Error> {
        #[derive(Deserialize)]
        struct Path {
            peer: Option<Announcer>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Announcer {
            peer_id: Option<String>,
        }
        let mut announcers = BTreeSet::new();
        while let Some(path) = seq.next_element::<Path>()? {
            let id = path.peer.and_then(|peer| peer.peer_id);
            announcers.extend(id.and_then(|id| id.parse::<IpAddr>().ok()));
        }
        Ok(Announcers(announcers))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SAMPLES: [&[u8]; 2] =
        [include_bytes!("samples/frr-8.4.4.json"), include_bytes!("samples/frr-10.3.json")];

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn neighbours() -> Vec<IpAddr> {
        let last = ["10.1", "11.1", "12.1", "13.1", "14.1", "16.1", "17.1", "18.1"];
        let mut neighbours: Vec<IpAddr> = last.iter().map(|last| ip(&format!("169.254.{last}"))).collect();
        neighbours.push(ip("fd00:10::1"));
        neighbours
    }

    fn peer(sample: &[u8], neighbour: &str) -> BgpPeer {
        let documents = documents(sample, 4).unwrap();
        let mut peers = sessions(documents[0], &[ip(neighbour)]).unwrap();
        assert_eq!(peers.len(), 1, "{neighbour}");
        peers.remove(0)
    }

    fn prefix(text: &str) -> Prefix {
        Prefix::parse(text).unwrap()
    }

    #[test]
    fn an_established_session_has_its_prefixes_and_no_error() {
        for sample in SAMPLES {
            for (neighbour, prefixes) in [("169.254.10.1", 2), ("fd00:10::1", 1)] {
                let BgpPeer { at, off, session, .. } = peer(sample, neighbour);
                assert_eq!((&*at, off), ("default", false));
                assert!(session.established && !session.no_policy && !session.peer_heard_nothing);
                assert_eq!((&*session.state, session.prefixes), ("Established", Some(prefixes)));
                // 8.4 has "Waiting for peer OPEN" here.
                assert_eq!(session.last_error, None);
            }
        }
    }

    #[test]
    fn a_session_that_is_not_established_has_its_last_error() {
        let said = "BGP Notification received: Cease/Administrative Shutdown (rm -rf / \\x1b[31m\\n<b>\\xc3\\xa4nderung</b>";
        for sample in SAMPLES {
            for (neighbour, error) in [
                ("169.254.11.1", "Waiting for peer OPEN"),
                ("169.254.12.1", "BGP Notification received: Hold Timer Expired"),
                ("169.254.13.1", said),
            ] {
                let session = peer(sample, neighbour).session;
                assert_eq!((session.established, &*session.state), (false, "Active"), "{neighbour}");
                assert_eq!(session.last_error.as_deref(), Some(error));
                assert_eq!(session.peer_heard_nothing, neighbour == "169.254.12.1");
            }
        }
        // Our own hold timer says that we heard nothing. In the other sample the session had just come back.
        let ours = peer(SAMPLES[1], "169.254.14.1").session;
        assert_eq!(ours.last_error.as_deref(), Some("BGP Notification send: Hold Timer Expired"));
        assert!(!ours.peer_heard_nothing);
    }

    #[test]
    fn a_missing_policy_a_shutdown_and_another_vrf_are_seen() {
        for sample in SAMPLES {
            let denied = peer(sample, "169.254.16.1").session;
            assert!(denied.established && denied.no_policy);
            assert_eq!(denied.prefixes, Some(0));
            let off = peer(sample, "169.254.17.1");
            assert!(off.off);
            assert_eq!(&*off.session.state, "Idle (Admin)");
            assert_eq!(off.session.last_error.as_deref(), Some("Admin. shutdown"));
            assert_eq!(&*peer(sample, "169.254.18.1").at, "red");
        }
    }

    #[test]
    fn a_prefix_is_announced_by_those_whose_path_is_there() {
        for sample in SAMPLES {
            let documents = documents(sample, 4).unwrap();
            let from = announcers(documents[1], prefix("10.0.0.0/16")).unwrap();
            assert!(from.contains(&ip("169.254.10.1")) && !from.contains(&ip("169.254.16.1")));
            assert_eq!(announcers(documents[2], prefix("10.9.0.0/16")), Ok(BTreeSet::new()));
            let from = announcers(documents[3], prefix("fd00:aa::/48")).unwrap();
            assert_eq!(from, BTreeSet::from([ip("fd00:10::1")]));
            // Another question's answer.
            assert_eq!(announcers(documents[1], prefix("10.1.0.0/16")), Err(Unavailable::Invalid));
        }
        let warning = br#"{"warning":"View/Vrf is unknown"}"#;
        assert_eq!(announcers(warning, prefix("10.0.0.0/16")), Err(Unavailable::Invalid));
    }

    #[test]
    fn a_vrf_of_many_neighbours_has_its_name_once() {
        let neighbours = [r#""169.254.10.1":{"bgpState":"Idle"}"#; 2].join(",");
        let answer = format!(r#"{{"red":{{{neighbours}}}}}"#);
        let peers = sessions(answer.as_bytes(), &[ip("169.254.10.1")]).unwrap();
        assert!(peers.len() == 2 && Arc::ptr_eq(&peers[0].at, &peers[1].at));
    }

    #[test]
    fn an_answer_without_sessions_names_none() {
        for empty in ["{}", "{\n}\n", "% a warning\nand another\n{}\n"] {
            let documents = documents(empty.as_bytes(), 1).unwrap();
            assert_eq!(sessions(documents[0], &neighbours()), Ok(Vec::new()), "{empty}");
        }
        for other in
            [r#"{"bgpNoSuchNeighbor":true}"#, r#"{"warning":"Default BGP instance not found"}"#, "{1}"]
        {
            assert_eq!(sessions(other.as_bytes(), &neighbours()), Err(Unavailable::Invalid), "{other}");
        }
    }

    #[test]
    fn what_is_not_as_many_documents_as_commands_is_not_an_answer() {
        let refused = b"% Unknown command: show bgp sumary json\n";
        assert_eq!(documents(refused, 1), Err(Unavailable::Invalid));
        assert_eq!(documents(b"", 1), Err(Unavailable::Invalid));
        assert_eq!(documents(b"{}\n{}\n", 1), Err(Unavailable::Invalid));
        assert_eq!(documents(b"{\"default\":{\n", 1), Err(Unavailable::Closed));
        // As printed by 8.4.4 and 10.3, with exit code 0, when bgpd was killed.
        let lost = "vtysh: error reading from bgpd: Connection reset by peer (104)Warning: closing connection to bgpd because of an I/O error!\n";
        assert_eq!(documents(lost.as_bytes(), 1), Err(Unavailable::Closed));
        let within = format!("{{\n\"default\":{{\n  \"vrfId\":0,\n  \"vrf{lost}");
        assert_eq!(documents(within.as_bytes(), 1), Err(Unavailable::Closed));
    }

    #[test]
    fn an_answer_cut_anywhere_is_not_taken_for_a_whole_one() {
        for sample in SAMPLES {
            let whole = documents(sample, 4).unwrap()[0];
            // The last byte is a newline or a brace.
            for end in (0..whole.trim_ascii_end().len()).step_by(61).chain(0..300) {
                assert!(documents(&sample[..end], 1).is_err(), "{end}");
                assert!(sessions(&whole[..end], &neighbours()).is_err(), "{end}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = documents(&bytes, 1);
            let _ = sessions(&bytes, &neighbours());
            let _ = announcers(&bytes, prefix("10.0.0.0/16"));
        }

        #[test]
        fn a_damaged_answer_has_an_answer(at in 0..25_000_usize, bytes in proptest::collection::vec(any::<u8>(), 0..4)) {
            let mut damaged = SAMPLES[1].to_vec();
            let end = (at + bytes.len()).min(damaged.len());
            damaged.splice(at.min(end)..end, bytes);
            let whole = documents(&damaged, 4).map(|documents| documents[0]);
            for peer in whole.and_then(|whole| sessions(whole, &neighbours())).unwrap_or_default() {
                prop_assert!(peer.session.last_error.is_none_or(|error| error.chars().count() <= 100));
            }
        }
    }
}
