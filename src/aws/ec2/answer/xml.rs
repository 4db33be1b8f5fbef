//! Walks an XML document without keeping more of it than is asked for: what it passes over may be secret.

use std::io::{self, BufRead, Read};

use quick_xml::Reader;
use quick_xml::events::BytesRef;
use quick_xml::events::Event;

/// The answer is not what EC2 answers: no words of it are kept, because they may be secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::aws::ec2) enum Garbled {
    /// Not well-formed XML.
    Malformed,
    /// It ends before its root element does.
    Truncated,
    /// Another document.
    Foreign,
}

impl AsRef<str> for Garbled {
    fn as_ref(&self) -> &str {
        match self {
            Self::Malformed => "the answer is not well-formed XML",
            Self::Truncated => "the answer is truncated",
            Self::Foreign => "the answer is not EC2's",
        }
    }
}

/// What is told of an element.
#[derive(PartialEq)]
pub(super) enum Leaf<'a> {
    Opened,
    /// With its text.
    Closed(&'a str),
}

/// Deeper than any answer of EC2's.
const DEEPEST: usize = 64;

/// Tells by path of every element that it opens, and of those that are wanted that they close, with their text. No other
/// text is ever copied out of the event buffer, and what the two buffers held is overwritten.
pub(super) fn walk(
    body: impl BufRead,
    root: &str,
    is_wanted: impl Fn(&str) -> bool,
    mut tell: impl FnMut(&str, Leaf<'_>),
) -> Result<(), Garbled> {
    let mut reader = Reader::from_reader(body);
    reader.config_mut().expand_empty_elements = true;
    let (mut buffer, mut text) = (Scrubbed::default(), Scrubbed::default());
    let (mut path, mut depth) = (String::new(), 0_usize);
    let mut complete = false;
    loop {
        buffer.0.clear();
        match reader.read_event_into(&mut buffer.0).map_err(|_| Garbled::Malformed)? {
            Event::Start(element) => {
                depth += 1;
                if depth > DEEPEST || complete {
                    return Err(Garbled::Malformed);
                }
                path.push('/');
                path.push_str(element.local_name().as_ref());
                if depth == 1 && path != root {
                    return Err(Garbled::Foreign);
                }
                text.0.clear();
                tell(&path, Leaf::Opened);
            }
            Event::End(_) => {
                depth = depth.checked_sub(1).ok_or(Garbled::Malformed)?;
                if is_wanted(&path) {
                    tell(&path, Leaf::Closed(text.as_str().trim()));
                }
                text.0.clear();
                path.truncate(path.rfind('/').unwrap_or(0));
                complete = depth == 0;
            }
            Event::Text(more) if is_wanted(&path) => text.push(&more)?,
            Event::CData(more) if is_wanted(&path) => text.push(&more)?,
            Event::GeneralRef(reference) if is_wanted(&path) => {
                let character = character(&reference).ok_or(Garbled::Malformed)?;
                text.push(character.encode_utf8(&mut [0; 4]))?;
            }
            Event::Eof if complete => return Ok(()),
            Event::Eof if depth == 0 => return Err(Garbled::Foreign),
            Event::Eof => return Err(Garbled::Truncated),
            Event::Text(_)
            | Event::CData(_)
            | Event::GeneralRef(_)
            | Event::Empty(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_) => {}
        }
    }
}

/// One of XML's five entities (XML 1.0, section 4.6), or a character by number.
fn character(reference: &BytesRef<'_>) -> Option<char> {
    match &**reference {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => reference.resolve_char_ref().ok().flatten(),
    }
}

/// A buffer that texts of the answer pass through; wide enough for the longest (a customer gateway's configuration) not
/// to move, and overwritten when done.
struct Scrubbed(Vec<u8>);

impl Scrubbed {
    /// Adds to a text. One that would have to move, and leave a copy behind, is none of EC2's.
    fn push(&mut self, more: &str) -> Result<(), Garbled> {
        if self.0.capacity() - self.0.len() < more.len() {
            return Err(Garbled::Malformed);
        }
        self.0.extend_from_slice(more.as_bytes());
        Ok(())
    }

    /// The text: whole characters were added only.
    fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Default for Scrubbed {
    fn default() -> Self {
        Self(Vec::with_capacity(128 * 1024))
    }
}

impl Drop for Scrubbed {
    fn drop(&mut self) {
        self.0.resize(self.0.capacity(), 0);
        self.0.fill(0);
        // Keeps the writes from being optimised away with the buffer they go to.
        std::hint::black_box(&self.0);
    }
}

/// The pieces of a body, read one after the other where they are.
pub(in crate::aws::ec2) struct Pieces<B> {
    pieces: Vec<B>,
    at: usize,
    offset: usize,
}

impl<B: AsRef<[u8]>> Pieces<B> {
    pub(in crate::aws::ec2) fn new(pieces: Vec<B>) -> Self {
        Self { pieces, at: 0, offset: 0 }
    }

    /// Gives the pieces back, to be overwritten.
    pub(in crate::aws::ec2) fn into_inner(self) -> Vec<B> {
        self.pieces
    }
}

impl<B: AsRef<[u8]>> Read for Pieces<B> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let count = from.len().min(into.len());
        into[..count].copy_from_slice(&from[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<B: AsRef<[u8]>> BufRead for Pieces<B> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.pieces.get(self.at).is_some_and(|piece| piece.as_ref().len() <= self.offset) {
            self.at += 1;
            self.offset = 0;
        }
        Ok(self.pieces.get(self.at).map_or(&[], |piece| &piece.as_ref()[self.offset..]))
    }

    fn consume(&mut self, count: usize) {
        self.offset += count;
    }
}
