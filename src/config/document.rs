//! One file: its text is walked once along the schema. Unknown keys are reported here, with their line; every value keeps its
//! line as its origin.

use std::ops::Range;
use std::path::Path;

use ::config::{Map, Value, ValueKind};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};
use toml_parser::decoder::Encoding;
use toml_parser::parser::{EventReceiver, RecursionGuard};
use toml_parser::{ErrorSink, ParseError, Span};

use super::hints;
use super::problem::{self, FOUND_MAX, Notes, ProblemKind, Provenance, quoted};
use super::schema::{self, Key, ROOT, Renamed, Shape, join};

/// toml's message for a repeated key.
const DUPLICATE: &str = "duplicate key";
/// Further tables of one list are ignored: a daemon watches no more connections than that.
const LIST_MAX: usize = 1000;

/// A file's keys. A value that was found invalid is [`ValueKind::Nil`]: it is present, and needs no further message.
#[derive(Debug)]
pub(super) struct Document {
    /// The single tables, which later files override key by key.
    pub(super) tables: Map<String, Value>,
    /// `[[vpn]]`.
    pub(super) vpns: Vec<ListedTable>,
    /// `[[incident.sink]]`.
    pub(super) sinks: Vec<ListedTable>,
    /// `[[uplink]]`.
    pub(super) uplinks: Vec<ListedTable>,
    /// `[[group]]`.
    pub(super) groups: Vec<ListedTable>,
}

/// One table of a list of tables that grows from file to file.
#[derive(Debug)]
pub(super) struct ListedTable {
    /// Its path, counted within its file, such as `vpn[0]`.
    pub(super) path: String,
    /// Its keys.
    pub(super) value: Value,
}

/// Walks the text of `path`; `None` if it is not TOML.
pub(super) fn parse(path: &Path, text: &str, renamed: &[Renamed], notes: &mut Notes) -> Option<Document> {
    let lines = Lines::of(text);
    if let Some(excess) = Outline::of(text).excess() {
        notes.file_lost(Provenance::line(path, lines.at(excess.at)), excess.what);
        return None;
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let mut last = None;
        for error in errors {
            let line = error.span().map_or(1, |span| lines.at(span.start));
            // A further error on the same line is most often only a consequence of the first.
            if last.replace(line) != Some(line) {
                let hint = if error.message() == DUPLICATE {
                    hints::of_duplicate(text, line)
                } else {
                    text.lines().nth(line - 1).and_then(hints::of_line)
                };
                let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                notes.file_lost(
                    Provenance::line(path, line),
                    format!("is not TOML: {}{hint}", error.message()),
                );
            }
        }
        return None;
    }

    let mut walk = Walk { path, text, lines, renamed, notes };
    let mut tables = walk.table("", ROOT, root.get_ref());
    let vpns = items("vpn", tables.remove("vpn"));
    let uplinks = items("uplink", tables.remove("uplink"));
    let groups = items("group", tables.remove("group"));
    let sinks = match tables.get_mut("incident") {
        Some(Value { kind: ValueKind::Table(incident), .. }) => {
            items("incident.sink", incident.remove("sink"))
        }
        Some(_) | None => Vec::new(),
    };
    Some(Document { tables, vpns, sinks, uplinks, groups })
}

fn items(path: &str, list: Option<Value>) -> Vec<ListedTable> {
    match list {
        Some(Value { kind: ValueKind::Array(list), .. }) => list
            .into_iter()
            .enumerate()
            .map(|(index, value)| ListedTable { path: format!("{path}[{index}]"), value })
            .collect(),
        // It is present, and its problem has been reported.
        Some(mut value) => {
            value.kind = ValueKind::Nil;
            vec![ListedTable { path: path.to_owned(), value }]
        }
        None => Vec::new(),
    }
}

/// The first byte of each line.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(end, _)| end + 1).collect())
    }

    /// The line of this byte, counted from 1.
    fn at(&self, byte: usize) -> usize {
        1 + self.0.partition_point(|start| *start <= byte)
    }
}

struct Walk<'a> {
    path: &'a Path,
    text: &'a str,
    lines: Lines,
    renamed: &'a [Renamed],
    notes: &'a mut Notes,
}

impl<'a> Walk<'a> {
    fn place(&self, span: Range<usize>) -> Provenance {
        Provenance::line(self.path, self.lines.at(span.start))
    }

    fn table(&mut self, at: &str, keys: &[Key], table: &DeTable<'_>) -> Map<String, Value> {
        let mut found = Map::new();
        // By line, so that the first problems are listed where not all are.
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in entries {
            let place = self.place(name.span());
            let written = name.get_ref().as_ref();
            let Some(key) =
                schema::find(keys, written).or_else(|| self.renamed(at, written, keys, table, &place))
            else {
                self.unknown(at, written, keys, place);
                continue;
            };
            let kind = self.value(&join(at, key.name), key, value, &place);
            found.insert(key.name.to_owned(), Value::new(Some(&place.origin()), kind));
        }
        found
    }

    fn value(
        &mut self,
        path: &str,
        key: &Key,
        value: &Spanned<DeValue<'_>>,
        place: &Provenance,
    ) -> ValueKind {
        match (&key.shape, value.get_ref()) {
            (Shape::Table(keys), DeValue::Table(table)) => ValueKind::Table(self.table(path, keys, table)),
            (Shape::Own, DeValue::Table(table)) => ValueKind::Table(self.own(path, table)),
            (Shape::Table(_) | Shape::Own, _) => {
                self.misshapen(place, path, value, format!("a table, [{}]", bare(path)))
            }
            (Shape::Tables(keys), DeValue::Array(list)) => self.tables(path, keys, list),
            (Shape::Tables(_), _) => {
                let allowed = format!("a list of tables, [[{}]] with double brackets", bare(path));
                self.misshapen(place, path, value, allowed)
            }
            (Shape::Scalar | Shape::List, _) => self.plain(path, value, place),
        }
    }

    /// A table whose keys are the operator's own; its reader checks them.
    fn own(&mut self, at: &str, table: &DeTable<'_>) -> Map<String, Value> {
        let entries = table.iter().map(|(name, value)| {
            let (place, name) = (self.place(name.span()), name.get_ref().as_ref());
            let kind = self.plain(&join(at, &problem::key(name)), value, &place);
            (name.to_owned(), Value::new(Some(&place.origin()), kind))
        });
        entries.collect()
    }

    fn tables(&mut self, path: &str, keys: &[Key], list: &DeArray<'_>) -> ValueKind {
        let mut tables = Vec::new();
        for (index, item) in list.iter().enumerate() {
            let place = self.place(item.span());
            if index >= LIST_MAX {
                let what = format!("is one too many: {LIST_MAX} in a file are the most");
                self.notes.problem(place, format!("{path}[{index}]"), ProblemKind::Other(what));
                break;
            }
            let path = format!("{path}[{index}]");
            let kind = if let DeValue::Table(table) = item.get_ref() {
                ValueKind::Table(self.table(&path, keys, table))
            } else {
                self.misshapen(&place, &path, item, "a table".to_owned())
            };
            tables.push(Value::new(Some(&place.origin()), kind));
        }
        ValueKind::Array(tables)
    }

    /// The value as it is; its reader checks the type.
    fn plain(&mut self, path: &str, value: &Spanned<DeValue<'_>>, place: &Provenance) -> ValueKind {
        match value.get_ref() {
            DeValue::String(text) => ValueKind::String(text.clone().into_owned()),
            DeValue::Boolean(flag) => ValueKind::Boolean(*flag),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => {
                    let written = self.written(value);
                    self.notes.keep_written(place, path, written);
                    ValueKind::I64(number)
                }
                Err(_) => self.misshapen(place, path, value, "a number that fits 64 bits".to_owned()),
            },
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(number) => {
                    let written = self.written(value);
                    self.notes.keep_written(place, path, written);
                    ValueKind::Float(number)
                }
                Err(_) => self.misshapen(place, path, value, "a number".to_owned()),
            },
            DeValue::Datetime(_) => {
                self.misshapen(place, path, value, "no date; put text in quotes".to_owned())
            }
            DeValue::Array(list) => {
                let mut items = Vec::new();
                for (index, item) in list.iter().enumerate() {
                    let place = self.place(item.span());
                    let kind = self.plain(&format!("{path}[{index}]"), item, &place);
                    items.push(Value::new(Some(&place.origin()), kind));
                }
                ValueKind::Array(items)
            }
            DeValue::Table(_) => self.misshapen(place, path, value, "a single value, not a table".to_owned()),
        }
    }

    fn misshapen(
        &mut self,
        place: &Provenance,
        path: &str,
        value: &Spanned<DeValue<'_>>,
        allowed: String,
    ) -> ValueKind {
        let found = match value.get_ref() {
            DeValue::String(text) => quoted(text),
            DeValue::Boolean(flag) => flag.to_string(),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) => self.written(value).to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        };
        let found = problem::of_key(path, found);
        self.notes.problem(place.clone(), path, ProblemKind::Value { found, allowed });
        ValueKind::Nil
    }

    /// A number or a date as written in the file, cut.
    fn written(&self, value: &Spanned<DeValue<'_>>) -> &'a str {
        let written = self.text.get(value.span()).unwrap_or_default();
        written.char_indices().nth(FOUND_MAX).map_or(written, |(end, _)| &written[..end])
    }

    /// The key that was formerly called `written`.
    fn renamed<'k>(
        &mut self,
        at: &str,
        written: &str,
        keys: &'k [Key],
        table: &DeTable<'_>,
        place: &Provenance,
    ) -> Option<&'k Key> {
        let path = join(at, written);
        let renamed = self.renamed.iter().find(|renamed| renamed.from == bare(&path))?;
        let key = schema::find(keys, renamed.to)?;
        self.notes.warning(place.clone(), path.as_str(), format!("is now called {:?}; rename it", key.name));
        if table.contains_key(key.name) {
            let what = format!("is the former name of {:?}, which is set as well; keep that one", key.name);
            self.notes.problem(place.clone(), path, ProblemKind::Other(what));
        }
        Some(key)
    }

    fn unknown(&mut self, at: &str, written: &str, keys: &[Key], place: Provenance) {
        let near = schema::nearest(written, keys.iter().map(|key| key.name));
        let hint = match (near, schema::homes_of(written).as_slice()) {
            (Some(near), _) => format!("did you mean {near:?}? "),
            (None, []) => String::new(),
            (None, homes) => format!("it belongs under {}; ", homes.join(" or ")),
        };
        let names: Vec<_> = keys.iter().map(|key| format!("{:?}", key.name)).collect();
        let what = format!("unknown key; {hint}allowed here: {}", names.join(", "));
        self.notes.problem(place, join(at, &problem::key(written)), ProblemKind::Other(what));
    }
}

/// A path without its indices: `vpn[0].tunnel[1].role` is `vpn.tunnel.role`.
fn bare(path: &str) -> String {
    let mut inside = false;
    path.chars()
        .filter(|c| {
            inside = (inside || *c == '[') && *c != ']';
            !inside && *c != ']'
        })
        .collect()
}

//--- size limits

/// More errors than any real configuration has.
const ERRORS_MAX: usize = 100;
/// No value of ours is nested half as deep. toml has the same limit.
const DEPTH_MAX: u32 = 80;
/// Names in one dotted key or header; our longest, `incident.sink.headers.NAME`, has four.
const PARTS_MAX: usize = 8;
/// Tables, including those of dotted keys: a thousand connections of four tunnels have half as many.
const TABLES_MAX: usize = 20_000;
/// Keys, lists and values together: the same connections with every key have half as many.
const NODES_MAX: usize = 200_000;

/// The size of a text, counted without keeping any of it: a file that is no configuration may hold anything, and a megabyte of
/// it would take hundreds of megabytes as a tree.
#[derive(Debug, Default)]
struct Outline {
    errors: Count,
    parts: Count,
    tables: Count,
    nodes: Count,
}

/// The limit that a text exceeds.
#[derive(Debug, PartialEq, Eq)]
struct Excess {
    /// The first byte to report.
    at: usize,
    what: String,
}

#[derive(Debug, Default)]
struct Count {
    number: usize,
    /// Where to report it: the first error, or else the first item beyond the limit.
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
    fn of(text: &str) -> Self {
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

    /// The first limit that the text exceeds, so that it is not parsed.
    fn excess(&self) -> Option<Excess> {
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
        // A key without a value is a syntax error of its own.
        self.parts.number = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_loses_its_indices_and_nothing_else() {
        assert_eq!(bare("vpn[0].tunnel[12].role"), "vpn.tunnel.role");
        assert_eq!(bare("aws.region"), "aws.region");
    }

    #[test]
    fn a_line_is_counted_from_one_and_ends_with_its_newline() {
        let lines = Lines::of("a\nb\n\nc");
        let counted: Vec<_> = (0..6).map(|byte| lines.at(byte)).collect();
        assert_eq!(counted, [1, 1, 2, 2, 3, 4]);
    }

    fn excess_of(text: &str) -> Option<(usize, String)> {
        Outline::of(text).excess().map(|excess| (excess.at, excess.what))
    }

    #[test]
    fn what_would_take_a_tree_of_any_size_is_refused_before_there_is_one() {
        let chains = format!("x = [{}]", format!("{{{}a=1}},", "a.".repeat(200)).repeat(2500));
        let (at, what) = excess_of(&chains).unwrap();
        assert_eq!(at, "x = [{".len() + 2 * PARTS_MAX);
        assert!(what.contains("8 names joined by dots"), "{what}");
        let (_, what) = excess_of(&format!("x = [{}]", "{a=1},".repeat(TABLES_MAX + 1))).unwrap();
        assert!(what.contains("more than 20000 tables"), "{what}");
        let (_, what) = excess_of(&format!("x = [{}]", "{a.b.c.d=1},".repeat(TABLES_MAX / 4 + 1))).unwrap();
        assert!(what.contains("more than 20000 tables"), "{what}");
        let (_, what) = excess_of(&"[a.b.c]\n".repeat(TABLES_MAX / 3 + 1)).unwrap();
        assert!(what.contains("more than 20000 tables"), "{what}");
        let (_, what) = excess_of(&format!("x = [{}]", "1,".repeat(NODES_MAX))).unwrap();
        assert!(what.contains("more than 200000 keys and values"), "{what}");
        let (_, what) = excess_of(&format!("[{}a]", "a.".repeat(PARTS_MAX))).unwrap();
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
        assert_eq!(excess_of(&vpn.repeat(1000)), None);
        assert_eq!(excess_of("a.b.c.d.e.f.g.h = 1\nx = {a.b = 1, c.d = 2, e = [{f.g = 1}]}"), None);
    }

    #[test]
    fn many_mistakes_are_reported_at_the_first() {
        let (at, what) = excess_of(&format!("a = 1\n{}", "x y z\n".repeat(ERRORS_MAX + 1))).unwrap();
        assert!(at > 5 && at < 12 && what.starts_with("is not TOML"), "{at}: {what}");
    }
}
