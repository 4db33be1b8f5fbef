//! The messages of VICI, strongSwan's control protocol, as its README (`src/libcharon/plugins/vici/README.md` there) defines them.
//! Pure and total: whatever the bytes are, reading them ends, and takes memory in proportion to them.
//!
//! By hand, because rsvici 0.1.5 allocates whatever length the peer names, up to 4 GB, and bounds neither an answer nor its time.

use std::mem;
use std::str;

/// The longest segment that the protocol allows.
pub const SEGMENT_MAX: usize = 512 << 10;

/// The deepest nesting that is read; strongSwan's lists have 4.
const DEPTH_MAX: usize = 16;

const COMMAND_REQUEST: u8 = 0;
const COMMAND_RESPONSE: u8 = 1;
const COMMAND_UNKNOWN: u8 = 2;
const EVENT_REGISTER: u8 = 3;
const EVENT_CONFIRM: u8 = 5;
const EVENT_UNKNOWN: u8 = 6;
const EVENT: u8 = 7;

const SECTION_START: u8 = 1;
const SECTION_END: u8 = 2;
const KEY_VALUE: u8 = 3;
const LIST_START: u8 = 4;
const LIST_ITEM: u8 = 5;
const LIST_END: u8 = 6;

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// A command without arguments.
    Command,
    /// The events of a name.
    Register,
}

impl Request {
    /// The segment on the wire, with its length before it. A name has at most 255 bytes.
    pub fn encode(self, name: &str) -> Vec<u8> {
        let kind = match self {
            Self::Command => COMMAND_REQUEST,
            Self::Register => EVENT_REGISTER,
        };
        let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
        let name = &name.as_bytes()[..usize::from(length)];
        let mut segment = (u32::from(length) + 2).to_be_bytes().to_vec();
        segment.extend([kind, length]);
        segment.extend(name);
        segment
    }
}

/// A segment of the peer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The end of a command.
    Response(Section<'a>),
    /// The peer does not know the command.
    CommandUnknown,
    /// The events are registered.
    Registered,
    /// The peer has no such event.
    EventUnknown,
    /// An event.
    Event {
        /// Its name.
        name: &'a [u8],
        /// What it says.
        message: Section<'a>,
    },
}

impl<'a> Packet<'a> {
    /// Reads a segment, without the length before it.
    pub fn decode(segment: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = Bytes(segment);
        match rest.byte()? {
            COMMAND_RESPONSE => Ok(Self::Response(Section::decode(rest.0)?)),
            COMMAND_UNKNOWN => Ok(Self::CommandUnknown),
            EVENT_CONFIRM => Ok(Self::Registered),
            EVENT_UNKNOWN => Ok(Self::EventUnknown),
            EVENT => {
                let name = rest.name()?;
                Ok(Self::Event { name, message: Section::decode(rest.0)? })
            }
            _ => Err(Malformed),
        }
    }
}

/// The bytes are no message of the protocol, or a message lacks what it always has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// A message, or a section of one: names and what they stand for, in the peer's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section<'a>(Vec<(&'a [u8], Value<'a>)>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value<'a> {
    Text(&'a [u8]),
    List(Vec<&'a [u8]>),
    Section(Section<'a>),
}

impl<'a> Section<'a> {
    /// Reads a message.
    pub fn decode(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = Bytes(message);
        // The sections around the current one, each with the name of the one inside.
        let mut around: Vec<(&[u8], Self)> = Vec::new();
        let mut current = Self::default();
        while !rest.0.is_empty() {
            match rest.byte()? {
                SECTION_START if around.len() < DEPTH_MAX => {
                    around.push((rest.name()?, mem::take(&mut current)));
                }
                SECTION_END => {
                    let (name, outer) = around.pop().ok_or(Malformed)?;
                    let inner = mem::replace(&mut current, outer);
                    current.0.push((name, Value::Section(inner)));
                }
                KEY_VALUE => {
                    let name = rest.name()?;
                    current.0.push((name, Value::Text(rest.value()?)));
                }
                LIST_START => {
                    let name = rest.name()?;
                    current.0.push((name, Value::List(rest.list()?)));
                }
                _ => return Err(Malformed),
            }
        }
        if around.is_empty() { Ok(current) } else { Err(Malformed) }
    }

    fn value(&self, name: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|(known, _)| *known == name.as_bytes()).map(|(_, value)| value)
    }

    /// The text of that name.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        match self.value(name)? {
            Value::Text(text) => str::from_utf8(text).ok(),
            Value::List(_) | Value::Section(_) => None,
        }
    }

    /// The number of that name.
    pub fn number<T: str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    /// The items of the list of that name; none if there is no list.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let items = match self.value(name) {
            Some(Value::List(items)) => items.as_slice(),
            Some(Value::Text(_) | Value::Section(_)) | None => &[],
        };
        items.iter().filter_map(|item| str::from_utf8(item).ok())
    }

    /// The section of that name.
    pub fn section(&self, name: &str) -> Option<&Self> {
        match self.value(name)? {
            Value::Section(section) => Some(section),
            Value::Text(_) | Value::List(_) => None,
        }
    }

    /// All sections, with their names.
    pub fn sections(&self) -> impl Iterator<Item = (&'a [u8], &Self)> {
        self.0.iter().filter_map(|(name, value)| match value {
            Value::Section(section) => Some((*name, section)),
            Value::Text(_) | Value::List(_) => None,
        })
    }
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    fn name(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.byte()?;
        self.take(usize::from(length))
    }

    fn value(&mut self) -> Result<&'a [u8], Malformed> {
        let length = u16::from_be_bytes([self.byte()?, self.byte()?]);
        self.take(usize::from(length))
    }

    fn list(&mut self) -> Result<Vec<&'a [u8]>, Malformed> {
        let mut items = Vec::new();
        loop {
            match self.byte()? {
                LIST_ITEM => items.push(self.value()?),
                LIST_END => return Ok(items),
                _ => return Err(Malformed),
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message as a test writes it.
    #[derive(Debug, Clone)]
    pub(crate) enum Node {
        Text(Vec<u8>, Vec<u8>),
        List(Vec<u8>, Vec<Vec<u8>>),
        Section(Vec<u8>, Vec<Node>),
    }

    pub(crate) fn text(name: &str, value: &str) -> Node {
        Node::Text(name.into(), value.into())
    }

    pub(crate) fn list(name: &str, items: &[&str]) -> Node {
        Node::List(name.into(), items.iter().map(|item| item.as_bytes().to_vec()).collect())
    }

    pub(crate) fn section(name: &str, nodes: Vec<Node>) -> Node {
        Node::Section(name.into(), nodes)
    }

    pub(crate) fn message(nodes: &[Node]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for node in nodes {
            node.encode(&mut bytes);
        }
        bytes
    }

    /// A segment with its length before it.
    pub(crate) fn segment(packet: &[u8]) -> Vec<u8> {
        let length = u32::try_from(packet.len()).unwrap();
        [&length.to_be_bytes(), packet].concat()
    }

    pub(crate) fn event(name: &str, nodes: &[Node]) -> Vec<u8> {
        let head = [EVENT, u8::try_from(name.len()).unwrap()];
        segment(&[&head, name.as_bytes(), &message(nodes)].concat())
    }

    pub(crate) fn response(nodes: &[Node]) -> Vec<u8> {
        segment(&[&[COMMAND_RESPONSE][..], &message(nodes)].concat())
    }

    pub(crate) fn registered() -> Vec<u8> {
        segment(&[EVENT_CONFIRM])
    }

    impl Node {
        fn encode(&self, into: &mut Vec<u8>) {
            fn name(into: &mut Vec<u8>, kind: u8, name: &[u8]) {
                into.extend([kind, u8::try_from(name.len()).unwrap()]);
                into.extend(name);
            }
            fn value(into: &mut Vec<u8>, value: &[u8]) {
                into.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
                into.extend(value);
            }
            match self {
                Self::Text(key, text) => {
                    name(into, KEY_VALUE, key);
                    value(into, text);
                }
                Self::List(key, items) => {
                    name(into, LIST_START, key);
                    for item in items {
                        into.push(LIST_ITEM);
                        value(into, item);
                    }
                    into.push(LIST_END);
                }
                Self::Section(key, nodes) => {
                    name(into, SECTION_START, key);
                    for node in nodes {
                        node.encode(into);
                    }
                    into.push(SECTION_END);
                }
            }
        }

        fn is(&self, (name, value): &(&[u8], Value<'_>)) -> bool {
            match (self, value) {
                (Self::Text(key, text), Value::Text(read)) => key == name && text == read,
                (Self::List(key, items), Value::List(read)) => key == name && items == read,
                (Self::Section(key, nodes), Value::Section(read)) => key == name && same(nodes, read),
                _ => false,
            }
        }
    }

    fn same(nodes: &[Node], section: &Section<'_>) -> bool {
        nodes.len() == section.0.len() && nodes.iter().zip(&section.0).all(|(node, entry)| node.is(entry))
    }

    fn nodes() -> impl Strategy<Value = Vec<Node>> {
        let name = || prop::collection::vec(any::<u8>(), 0..20);
        let value = || prop::collection::vec(any::<u8>(), 0..300);
        let leaf = prop_oneof![
            (name(), value()).prop_map(|(name, value)| Node::Text(name, value)),
            (name(), prop::collection::vec(value(), 0..5)).prop_map(|(name, items)| Node::List(name, items)),
        ];
        let node = leaf.prop_recursive(6, 40, 5, move |inner| {
            (name(), prop::collection::vec(inner, 0..5)).prop_map(|(name, nodes)| Node::Section(name, nodes))
        });
        prop::collection::vec(node, 0..5)
    }

    proptest! {
        #[test]
        fn a_message_is_read_as_it_was_written(nodes in nodes()) {
            let bytes = message(&nodes);
            prop_assert!(same(&nodes, &Section::decode(&bytes).unwrap()));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = Packet::decode(&bytes);
        }

        #[test]
        fn a_changed_byte_does_no_harm(nodes in nodes(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = event("list-sa", &nodes);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = Packet::decode(&bytes[4..]);
        }
    }

    /// The example of the protocol's README.
    #[test]
    fn the_example_of_the_protocol() {
        let bytes =
            b"\x03\x04key1\x00\x06value1\x01\x08section1\x01\x0bsub-section\x03\x04key2\x00\x06value2\x02\
            \x04\x05list1\x05\x00\x05item1\x05\x00\x05item2\x06\x02";
        let root = Section::decode(bytes).unwrap();
        assert_eq!(root.text("key1"), Some("value1"));
        let section = root.section("section1").unwrap();
        assert_eq!(section.section("sub-section").unwrap().text("key2"), Some("value2"));
        assert_eq!(section.list("list1").collect::<Vec<_>>(), ["item1", "item2"]);
        assert_eq!(section.list("list2").count(), 0);
    }

    #[test]
    fn a_truncated_packet_is_malformed_or_ends_between_elements() {
        let nodes =
            [text("up", "yes"), section("aws", vec![list("ts", &["0.0.0.0/0", "::/0"]), text("a", "b")])];
        let whole = event("list-sa", &nodes);
        let packet = &whole[4..];
        let first = packet.len() - message(&nodes[1..]).len();
        let empty = first - message(&nodes[..1]).len();
        for length in 0..packet.len() {
            let read = Packet::decode(&packet[..length]);
            assert_eq!(read.is_ok(), length == first || length == empty, "{length}");
        }
        assert!(Packet::decode(packet).is_ok());
    }

    #[test]
    fn lengths_beyond_the_end_are_malformed() {
        for bytes in [
            &[KEY_VALUE, 255, b'a'][..],
            &[KEY_VALUE, 1, b'a', 255, 255, b'b'],
            &[LIST_START, 1, b'a', LIST_ITEM, 0, 9],
            &[LIST_START, 1, b'a', LIST_ITEM, 0, 0],
            &[SECTION_START, 200],
        ] {
            assert_eq!(Section::decode(bytes), Err(Malformed), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_out_of_place_is_malformed() {
        for bytes in [
            &[SECTION_END][..],
            &[LIST_END],
            &[LIST_ITEM, 0, 0],
            &[SECTION_START, 0],
            &[LIST_START, 0, LIST_START, 0, LIST_END, LIST_END],
            &[LIST_START, 0, KEY_VALUE, 0, 0, 0, LIST_END],
            &[0],
            &[7],
        ] {
            assert_eq!(Section::decode(bytes), Err(Malformed), "{bytes:?}");
        }
        assert_eq!(Packet::decode(&[]), Err(Malformed));
        assert_eq!(Packet::decode(&[COMMAND_REQUEST]), Err(Malformed));
        assert_eq!(Packet::decode(&[8]), Err(Malformed));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| [[SECTION_START, 0].repeat(depth), vec![SECTION_END; depth]].concat();
        assert!(Section::decode(&nested(DEPTH_MAX)).is_ok());
        assert_eq!(Section::decode(&nested(DEPTH_MAX + 1)), Err(Malformed));
        assert_eq!(Section::decode(&nested(3_000_000)), Err(Malformed));
    }

    #[test]
    fn ten_megabytes_are_read() {
        let one = message(&[section("a", vec![text("key", &"x".repeat(1000)), list("l", &["", ""])])]);
        let many = one.repeat((10 << 20) / one.len());
        assert_eq!(Section::decode(&many).unwrap().sections().count(), many.len() / one.len());
        let garbage = vec![0xAA; 10 << 20];
        assert_eq!(Packet::decode(&garbage), Err(Malformed));
    }

    #[test]
    fn requests_are_as_the_protocol_has_them() {
        assert_eq!(Request::Command.encode("list-sas"), b"\0\0\0\x0a\x00\x08list-sas");
        assert_eq!(Request::Register.encode("log"), b"\0\0\0\x05\x03\x03log");
    }
}
