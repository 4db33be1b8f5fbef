//! How much there is in a text, found out without keeping any of it: what is no configuration of ours may be anything, and a
//! megabyte of it would take hundreds of megabytes as a tree.

use toml_parser::decoder::Encoding;
use toml_parser::parser::{EventReceiver, RecursionGuard};
use toml_parser::{ErrorSink, ParseError, Span};

/// Nobody makes so many mistakes in a configuration.
const ERRORS_MAX: usize = 100;
/// No value of ours is nested half as deep. As toml itself has it.
const DEPTH_MAX: u32 = 80;
/// Names in one dotted key or header; the longest of ours, `incident.sink.headers.NAME`, has four.
const PARTS_MAX: usize = 8;
/// Tables, those that dotted keys name included: a thousand connections of four tunnels have half as many.
const TABLES_MAX: usize = 20_000;
/// Keys, lists and values together: the same connections with every key have half as many.
const NODES_MAX: usize = 200_000;

/// What is counted, and where the first of too many is.
#[derive(Debug, Default)]
pub(super) struct Outline {
    errors: Count,
    parts: Count,
    tables: Count,
    nodes: Count,
}

/// What there is too much of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Excess {
    /// Its first byte.
    pub(super) at: usize,
    pub(super) what: String,
}

#[derive(Debug, Default)]
struct Count {
    number: usize,
    /// Where it is told: of mistakes the first, of all else what is one too many.
    at: Option<usize>,
}

impl Count {
    fn add(&mut self, most: usize, span: Span) {
        self.number += 1;
        if self.number > most {
            self.at.get_or_insert(span.start());
        }
    }

    fn excess(&self, what: impl FnOnce() -> String) -> Option<Excess> {
        self.at.map(|at| Excess { at, what: what() })
    }
}

impl Outline {
    pub(super) fn of(text: &str) -> Self {
        let tokens = toml_parser::Source::new(text).lex().into_vec();
        let (mut outline, mut errors) = (Self::default(), Count::default());
        let mut count = |error: ParseError| {
            errors.number += 1;
            errors.at.get_or_insert(error.unexpected().or(error.context()).map_or(0, |span| span.start()));
        };
        let mut events = RecursionGuard::new(&mut outline, DEPTH_MAX);
        toml_parser::parser::parse_document(&tokens, &mut events, &mut count);
        Self { errors, ..outline }
    }

    /// What there is so much of that the text is not looked at further.
    pub(super) fn excess(&self) -> Option<Excess> {
        let Self { errors, parts, tables, nodes } = self;
        let mistaken = || {
            format!(
                "is not TOML, here and in more than {ERRORS_MAX} further places: is it another kind of file?"
            )
        };
        let too_many = |most: usize, of: &str| {
            format!("has more than {most} {of}, and this is one too many: is it another kind of file?")
        };
        let mistakes = if errors.number > ERRORS_MAX { errors.excess(mistaken) } else { None };
        mistakes
            .or_else(|| parts.excess(|| format!("a key of more than {PARTS_MAX} names joined by dots is none of ours: is it another kind of file?")))
            .or_else(|| tables.excess(|| too_many(TABLES_MAX, "tables")))
            .or_else(|| nodes.excess(|| too_many(NODES_MAX, "keys and values")))
    }

    fn table(&mut self, span: Span) {
        self.tables.add(TABLES_MAX, span);
        self.parts.number = 0;
    }
}

impl EventReceiver for Outline {
    fn std_table_open(&mut self, span: Span, _error: &mut dyn ErrorSink) {
        self.table(span);
    }

    fn array_table_open(&mut self, span: Span, _error: &mut dyn ErrorSink) {
        self.table(span);
    }

    fn inline_table_open(&mut self, span: Span, _error: &mut dyn ErrorSink) -> bool {
        self.table(span);
        true
    }

    fn array_open(&mut self, span: Span, _error: &mut dyn ErrorSink) -> bool {
        self.nodes.add(NODES_MAX, span);
        true
    }

    fn simple_key(&mut self, span: Span, _kind: Option<Encoding>, _error: &mut dyn ErrorSink) {
        self.nodes.add(NODES_MAX, span);
        self.parts.add(PARTS_MAX, span);
    }

    fn key_sep(&mut self, span: Span, _error: &mut dyn ErrorSink) {
        self.tables.add(TABLES_MAX, span);
    }

    fn key_val_sep(&mut self, _span: Span, _error: &mut dyn ErrorSink) {
        self.parts.number = 0;
    }

    fn std_table_close(&mut self, _span: Span, _error: &mut dyn ErrorSink) {
        self.parts.number = 0;
    }

    fn array_table_close(&mut self, _span: Span, _error: &mut dyn ErrorSink) {
        self.parts.number = 0;
    }

    fn scalar(&mut self, span: Span, _kind: Option<Encoding>, _error: &mut dyn ErrorSink) {
        self.nodes.add(NODES_MAX, span);
    }

    fn newline(&mut self, _span: Span, _error: &mut dyn ErrorSink) {
        // A key without a value, which is a mistake of its own.
        self.parts.number = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<(usize, String)> {
        Outline::of(text).excess().map(|excess| (excess.at, excess.what))
    }

    #[test]
    fn what_would_take_a_tree_of_any_size_is_refused_before_there_is_one() {
        let chains = format!("x = [{}]", format!("{{{}a=1}},", "a.".repeat(200)).repeat(2500));
        let (at, what) = told(&chains).unwrap();
        assert_eq!(at, "x = [{".len() + 2 * PARTS_MAX);
        assert!(what.contains("8 names joined by dots"), "{what}");
        let (_, what) = told(&format!("x = [{}]", "{a=1},".repeat(TABLES_MAX + 1))).unwrap();
        assert!(what.contains("more than 20000 tables"), "{what}");
        let (_, what) = told(&format!("x = [{}]", "{a.b.c.d=1},".repeat(TABLES_MAX / 4 + 1))).unwrap();
        assert!(what.contains("more than 20000 tables"), "{what}");
        let (_, what) = told(&"[a.b.c]\n".repeat(TABLES_MAX / 3 + 1)).unwrap();
        assert!(what.contains("more than 20000 tables"), "{what}");
        let (_, what) = told(&format!("x = [{}]", "1,".repeat(NODES_MAX))).unwrap();
        assert!(what.contains("more than 200000 keys and values"), "{what}");
        let (_, what) = told(&format!("[{}a]", "a.".repeat(PARTS_MAX))).unwrap();
        assert!(what.contains("8 names"), "{what}");
    }

    #[test]
    fn a_thousand_connections_of_four_tunnels_with_every_key_are_not_too_many() {
        let keys = "a = 1\n".repeat(12);
        let vpn = format!(
            "[[vpn]]\n{keys}tags = [{}]\n{}",
            "1,".repeat(8),
            format!("[[vpn.tunnel]]\n{keys}").repeat(4)
        );
        assert_eq!(told(&vpn.repeat(1000)), None);
        assert_eq!(told("a.b.c.d.e.f.g.h = 1\nx = {a.b = 1, c.d = 2, e = [{f.g = 1}]}"), None);
    }

    #[test]
    fn many_mistakes_are_told_at_the_first() {
        let (at, what) = told(&format!("a = 1\n{}", "x y z\n".repeat(ERRORS_MAX + 1))).unwrap();
        assert!(at > 5 && at < 12 && what.starts_with("is not TOML"), "{at}: {what}");
    }
}
