//! The account in each medium's form and length. What does not fit loses what helps least first: the graphs, all links, the notes'
//! end, and only then the last lines.

use super::super::wording::clip;
use super::{Account, Link};

/// The end of what the daemon keeps current in a text that people may write in, too.
pub const KEPT_CURRENT: &str = "_Kept current by bothends. Anything written below this line stays._";

/// Notes that must be shortened are cut to this many characters.
const NOTES_SHORT: usize = 200;

/// What is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Without {
    Nothing,
    Graphs,
    Links,
    LongNotes,
}

impl Account {
    /// Plain text, for mail and for what shows text as it is. `news`: what has changed, a line each.
    pub fn plain(&self, news: &[String]) -> String {
        let mut text = format!("{}\n\n", self.title);
        if let Some(caution) = self.caution {
            push(&mut text, caution);
        }
        if !news.is_empty() {
            push(&mut text, &news.join("\n"));
            text.push('\n');
        }
        push(&mut text, &self.since);
        push(&mut text, &self.traffic);
        text.push('\n');
        for ends in &self.ends {
            push(&mut text, &format!("{}: {}", ends.tunnel, ends.both));
            push(&mut text, &format!("  this site: {}", ends.site));
            push(&mut text, &format!("  AWS: {}", ends.aws));
        }
        if let Some(likely) = self.likely {
            push(&mut text, &format!("\nLikely: {likely}"));
        }
        if !self.steps.is_empty() {
            push(&mut text, "\nDo first:");
            for (number, step) in (1..).zip(&self.steps) {
                push(&mut text, &format!("{number}. {step}"));
            }
        }
        if self.runbook_url.is_some() || self.notes.is_some() {
            text.push('\n');
        }
        if let Some(url) = &self.runbook_url {
            push(&mut text, &format!("Runbook: {url}"));
        }
        if let Some(notes) = &self.notes {
            push(&mut text, &format!("Notes: {notes}"));
        }
        push(&mut text, &format!("\nSent by {}.", self.sender));
        for Link { title, url, metrics: _ } in &self.links {
            push(&mut text, &format!("{title}: {url}"));
        }
        text
    }

    /// Markdown of at most `max` bytes, ended by [`KEPT_CURRENT`].
    pub fn markdown(&self, max: usize) -> String {
        let room = max.saturating_sub(KEPT_CURRENT.len() + 2);
        let all = [Without::Nothing, Without::Graphs, Without::Links, Without::LongNotes];
        let mut text = String::new();
        for without in all {
            text = self.in_markdown(without);
            if text.len() <= room {
                break;
            }
        }
        format!("{}\n\n{KEPT_CURRENT}", cut(text.trim_end(), room))
    }

    fn in_markdown(&self, without: Without) -> String {
        let caution = self.caution.map(|caution| format!("**{caution}**\n\n")).unwrap_or_default();
        let mut text = format!("**{}**\n\n{caution}{}\n\n**{}**\n\n", self.title, self.since, self.traffic);
        for ends in &self.ends {
            push(&mut text, &format!("- **{}**: {}", ends.tunnel, ends.both));
            push(&mut text, &format!("  - this site: {}", ends.site));
            push(&mut text, &format!("  - AWS: {}", ends.aws));
        }
        if let Some(likely) = self.likely {
            push(&mut text, &format!("\n**Likely:** {likely}"));
        }
        if !self.steps.is_empty() {
            push(&mut text, "\n**Do first:**\n");
            for (number, step) in (1..).zip(&self.steps) {
                push(&mut text, &format!("{number}. {step}"));
            }
        }
        if let Some(url) = &self.runbook_url {
            push(&mut text, &format!("\n**Runbook:** {url}"));
        }
        if let Some(notes) = &self.notes {
            let notes = if without >= Without::LongNotes { clip(notes, NOTES_SHORT) } else { notes.clone() };
            push(&mut text, &format!("\n**Notes:** {notes}"));
        }
        push(&mut text, &format!("\nSent by {}.", self.sender));
        let links = self.links.iter().filter(|link| match without {
            Without::Nothing => true,
            Without::Graphs => !link.metrics,
            Without::Links | Without::LongNotes => false,
        });
        for Link { title, url, metrics: _ } in links {
            push(&mut text, &format!("- [{title}]({url})"));
        }
        text
    }
}

/// A text that the daemon keeps current, with what people wrote below it; `None` if it stands there already. What somebody
/// wrote before the daemon came goes below, too.
pub fn merged(there: &str, ours: &str) -> Option<String> {
    let theirs = there.split_once(KEPT_CURRENT).map_or(there, |(_, below)| below).trim();
    let merged = if theirs.is_empty() { ours.to_owned() } else { format!("{ours}\n\n{theirs}") };
    (merged.trim() != there.trim()).then_some(merged)
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// At most `max` bytes of a text, with a sign that there was more.
fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let room = max.saturating_sub('…'.len_utf8());
    let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}
