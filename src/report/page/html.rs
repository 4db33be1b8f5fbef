//! A page in HTML: one file without scripts, that loads nothing, light or dark as its reader likes, and printable.

use std::fmt::Write as _;

use super::text::plain;
use super::{Block, Chart, Page, Shade, Table};

/// The width of a strip.
const STEPS: u32 = 720;
const STRIP: u32 = 22;
const GAP: u32 = 30;

const STYLE: &str = "\
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#57606a;--line:#d0d7de;--up:#2da44e;--down:#cf222e;--unknown:#bf8700;--none:#d0d7de}\
@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#8d96a0;--line:#30363d;--up:#3fb950;--down:#f85149;--unknown:#d29922;--none:#30363d}}\
*{box-sizing:border-box}\
body{margin:0 auto;max-width:60rem;padding:1.5rem 1rem;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,sans-serif}\
h1{font-size:1.6rem;line-height:1.25}h2{font-size:1.25rem;margin-top:2rem;border-bottom:1px solid var(--line)}h3{font-size:1.05rem;margin-top:1.5rem}\
.scroll{overflow-x:auto}\
table{border-collapse:collapse;margin:.5rem 0 1rem;font-variant-numeric:tabular-nums;font-size:.9rem}\
th,td{padding:.3rem .7rem .3rem 0;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}\
th{color:var(--dim);font-weight:600;white-space:nowrap}\
th.n,td.n{text-align:right}td{white-space:nowrap}td:last-child{white-space:normal;min-width:8rem}td.n:last-child{min-width:0}\
svg{display:block;width:100%;min-width:32rem;height:auto;max-width:60rem}\
svg text{fill:var(--fg);font:13px system-ui,sans-serif}svg text.axis{fill:var(--dim);font-size:12px}\
.up{fill:var(--up)}.down{fill:var(--down)}.unknown{fill:var(--unknown)}.unobserved{fill:var(--none)}\
@media print{body{max-width:none;padding:0;font-size:11pt}h2,h3{break-after:avoid}tr,svg{break-inside:avoid}\
.up,.down,.unknown,.unobserved{-webkit-print-color-adjust:exact;print-color-adjust:exact}}";

/// The page as a file of its own.
pub fn html(page: &Page) -> String {
    let Page { title, blocks } = page;
    let title = escaped(title);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    for block in blocks {
        let _ = match block {
            Block::Heading(level, words) => {
                let level = level + 1;
                writeln!(out, "<h{level}>{}</h{level}>", escaped(words))
            }
            Block::Paragraph(words) => writeln!(out, "<p>{}</p>", escaped(words)),
            Block::Table(of) => {
                table(&mut out, of);
                Ok(())
            }
            Block::List(lines) => {
                let lines = lines.iter().map(|line| format!("<li>{}</li>\n", escaped(line)));
                writeln!(out, "<ul>\n{}</ul>", lines.collect::<String>())
            }
            Block::Chart(of) => {
                chart(&mut out, of);
                Ok(())
            }
        };
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn table(out: &mut String, table: &Table) {
    let Table { head, rows } = table;
    let class = |number: bool| if number { " class=\"n\"" } else { "" };
    out.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    for head in head {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", class(head.number), escaped(&head.title));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (cell, head) in row.iter().zip(head) {
            let _ = write!(out, "<td{}>{}</td>", class(head.number), escaped(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table></div>\n");
}

/// Down fills a strip's height, the others less of it: what is wrong shows without colours, too.
const fn height(shade: Shade) -> u32 {
    match shade {
        Shade::Up => STRIP / 2,
        Shade::Unobserved => 3,
        Shade::Unknown => STRIP * 3 / 4,
        Shade::Down => STRIP,
    }
}

fn chart(out: &mut String, chart: &Chart) {
    let Chart { period: _, ends: [from, until], strips } = chart;
    let rows = u32::try_from(strips.len()).unwrap_or(u32::MAX / (2 * GAP + STRIP));
    let all = rows * (GAP + STRIP) + GAP;
    let names = strips.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let label = escaped(&format!("{names}, {from} to {until}"));
    let _ = writeln!(
        out,
        "<div class=\"scroll\"><svg viewBox=\"0 0 {STEPS} {all}\" role=\"img\" aria-label=\"{label}\">"
    );
    let mut top = 0;
    for (name, parts) in strips {
        let _ = writeln!(out, "<text x=\"0\" y=\"{}\">{}</text>", top + GAP - 10, escaped(name));
        let mut x = 0;
        for (shade, width) in chart.steps(parts, STEPS) {
            let (height, word) = (height(shade), shade.word());
            let y = top + GAP + STRIP - height;
            let _ = writeln!(
                out,
                "<rect class=\"{word}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"><title>{word}</title></rect>"
            );
            x += width;
        }
        top += GAP + STRIP;
    }
    let y = top + 18;
    let _ = writeln!(
        out,
        "<text class=\"axis\" x=\"0\" y=\"{y}\">{}</text>\n<text class=\"axis\" x=\"{STEPS}\" y=\"{y}\" text-anchor=\"end\">{}</text>\n</svg></div>",
        escaped(from),
        escaped(until)
    );
    out.push_str("<p>Full height: down. Three quarters: unknown. Half: up. A thin line: unobserved.</p>\n");
}

/// Text that means only itself, in an element or an attribute.
fn escaped(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in plain(words).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
