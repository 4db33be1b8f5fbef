//! A page in Markdown (CommonMark, with tables as GitHub has them).

use std::fmt::Write as _;

use super::text::{chart, plain};
use super::{Block, Page, Table};

/// The page in Markdown. Names and texts of others are escaped.
pub fn markdown(page: &Page) -> String {
    let Page { title, blocks } = page;
    let mut out = format!("# {}\n", escaped(title));
    for block in blocks {
        out.push('\n');
        let _ = match block {
            Block::Heading(level, words) => {
                writeln!(out, "{} {}", "#".repeat(usize::from(*level) + 1), escaped(words))
            }
            Block::Paragraph(words) => writeln!(out, "{}", begun(words)),
            Block::Table(of) => {
                table(&mut out, of);
                Ok(())
            }
            Block::List(lines) => lines.iter().try_for_each(|line| writeln!(out, "- {}", begun(line))),
            Block::Chart(of) => {
                // A name cannot end the block: a fence stands alone on its line, and a strip's line ends with its steps.
                out.push_str("```text\n");
                chart(&mut out, of);
                writeln!(out, "```")
            }
        };
    }
    out
}

fn table(out: &mut String, table: &Table) {
    let Table { head, rows } = table;
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    out.push_str(&line(head.iter().map(|head| escaped(&head.title)).collect()));
    let rule = |number: bool| if number { "---:" } else { "---" };
    out.push_str(&line(head.iter().map(|head| rule(head.number).to_owned()).collect()));
    for row in rows {
        out.push_str(&line(row.iter().map(|cell| escaped(cell)).collect()));
    }
}

/// Text that means only itself.
fn escaped(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in plain(words).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '|' | '*' | '_' | '`' | '[' | ']' | '~' => out.extend(['\\', c]),
            other => out.push(other),
        }
    }
    out
}

/// The same at the beginning of a block, where some characters begin a list, a heading or a rule.
fn begun(words: &str) -> String {
    let mut out = escaped(words);
    if out.starts_with(['#', '-', '+', '=']) {
        out.insert(0, '\\');
    }
    out
}
