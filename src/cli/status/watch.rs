//! `--watch`: the page again and again. On a terminal it is redrawn in place; elsewhere each change is a line, as logs want it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Signal as Kill, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

use crate::cli::layout::harmless;
use crate::cli::sheet::{Screen, Sheet};
use crate::cli::style::{ColorChoice, Tone, is_dumb};
use crate::cli::terminal::{self, Interrupts};
use crate::clock;
use crate::domain::time::{Moment, Now};
use crate::http::summary::Level;
use crate::process::environment;

/// What is watched.
pub(super) trait View: Send + 'static {
    fn level(&self) -> Level;

    /// The page, as if nothing else were on the screen.
    fn page(&self, screen: Screen) -> Vec<String>;

    /// What a log has a line for when it changes: of which site, how bad, and why.
    fn states(&self) -> Vec<(String, Level, String)>;
}

/// Looks once; an error says why nothing can be seen.
pub(super) type Look<V> = Arc<dyn Fn() -> Result<V, String> + Send + Sync>;

/// Between two drawings while nothing happens: ages go on.
const TICK: Duration = Duration::from_secs(1);

/// The alternate screen, without a cursor and without wrapping of long lines.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Whether the alternate screen is shown.
static ON_SCREEN: AtomicBool = AtomicBool::new(false);

fn enter_screen() {
    if !ON_SCREEN.swap(true, Ordering::SeqCst) {
        let _ = terminal::printed(ENTER);
    }
}

/// Gives the terminal back, if it was taken.
pub(super) fn leave_screen() {
    if ON_SCREEN.swap(false, Ordering::SeqCst) {
        let _ = terminal::printed(LEAVE);
    }
}

/// Watches until it is interrupted or nobody reads any more. Returns the last state.
pub(super) async fn watch<V: View>(every: Duration, color: ColorChoice, look: Look<V>) -> io::Result<Level> {
    let mut interrupts = Interrupts::new()?;
    let mut resized = signal(SignalKind::window_change())?;
    let mut stopped = signal(SignalKind::from_raw(libc::SIGTSTP))?;
    let on_terminal = Screen::of_stdout(color).is_terminal() && !is_dumb(&environment());
    let mut output = if on_terminal {
        enter_screen();
        Output::Screen(color)
    } else {
        Output::Lines(BTreeMap::new())
    };
    let mut seen = Seen { last: None, why: None };
    let mut asking: Option<JoinHandle<Result<V, String>>> = Some(begin(&look));
    let mut next = clock::now().mono + every;
    let is_over = loop {
        let pause = if asking.is_some() { TICK } else { TICK.min(next.since(clock::now().mono)) };
        tokio::select! {
            answer = answered(&mut asking) => {
                asking = None;
                seen.take(answer, clock::now().mono);
                if let Err(gone) = output.show(&seen, every, clock::now(), true) {
                    break Err(gone);
                }
                // From the answer on: a slow daemon is not asked without a pause.
                next = clock::now().mono + every;
            }
            _ = interrupts.next() => break Ok(()),
            Some(()) = stopped.recv() => {
                leave_screen();
                let _ = kill_process(getpid(), Kill::STOP);
                if on_terminal {
                    enter_screen();
                }
            }
            Some(()) = resized.recv() => {}
            () = sleep(pause) => {}
        }
        if asking.is_none() && clock::now().mono >= next {
            asking = Some(begin(&look));
        }
        if let Err(gone) = output.show(&seen, every, clock::now(), false) {
            break Err(gone);
        }
    };
    leave_screen();
    // A reader that has gone has read enough.
    let _gone = is_over;
    Ok(seen.level())
}

fn begin<V: View>(look: &Look<V>) -> JoinHandle<Result<V, String>> {
    let look = Arc::clone(look);
    spawn_blocking(move || look())
}

/// The answer, once it is there; never if nobody was asked.
async fn answered<V>(asking: &mut Option<JoinHandle<Result<V, String>>>) -> Result<V, String> {
    match asking {
        Some(asking) => asking.await.unwrap_or_else(|ended| Err(format!("internal error: {ended}"))),
        None => std::future::pending().await,
    }
}

/// What has been seen so far.
struct Seen<V> {
    /// The last answer, and when it came.
    last: Option<(V, Moment)>,
    /// Why there was none since.
    why: Option<String>,
}

impl<V: View> Seen<V> {
    fn take(&mut self, answer: Result<V, String>, at: Moment) {
        match answer {
            Ok(view) => *self = Self { last: Some((view, at)), why: None },
            Err(why) => self.why = Some(why),
        }
    }

    /// No answer is never a good state.
    fn level(&self) -> Level {
        match (&self.last, &self.why) {
            (Some((view, _)), None) => view.level(),
            (_, _) => Level::Unknown,
        }
    }

    fn states(&self) -> Vec<(String, Level, String)> {
        match (&self.last, &self.why) {
            (_, Some(why)) => vec![(String::new(), Level::Unknown, why.clone())],
            (Some((view, _)), None) => view.states(),
            (None, None) => Vec::new(),
        }
    }

    /// Everything on the screen, in no more lines than it has.
    fn frame(&self, every: Duration, now: Moment, screen: Screen) -> Vec<String> {
        let mut sheet = Sheet::new(screen);
        let age = self.last.as_ref().map(|(_, at)| now.since(*at).as_secs());
        match (&self.why, age) {
            (Some(why), age) => {
                sheet.begun(
                    Tone::Unknown,
                    0,
                    &format!("{}:", Level::Unknown.word()),
                    &format!("no answer: {why}"),
                );
                if let Some(age) = age {
                    sheet.text(Tone::Unknown, 0, &format!("The last answer follows. It is {age} s old."));
                }
                sheet.gap();
            }
            (None, None) => sheet.text(Tone::Plain, 0, "waiting for the first answer"),
            (None, Some(_)) => {}
        }
        let mut lines = sheet.into_lines();
        if let Some((view, _)) = &self.last {
            lines.extend(view.page(screen));
        }
        let age = age.map(|age| format!("answered {age} s ago; ")).unwrap_or_default();
        let foot = format!("{age}asked every {} s; Ctrl-C ends", every.as_secs());
        let foot = screen.painter.paint(Tone::Faint, &foot);
        // The foot and an empty line above it.
        if let Some(room) = screen.height.map(|height| height.saturating_sub(2))
            && lines.len() > room
        {
            let hidden = lines.len() - room.saturating_sub(1);
            lines.truncate(room.saturating_sub(1));
            let more = format!("… {hidden} more lines: enlarge the window, or run it without --watch");
            lines.push(screen.painter.paint(Tone::Faint, &more));
        }
        lines.push(String::new());
        lines.push(foot);
        lines
    }
}

/// Where it is shown.
enum Output {
    /// In place.
    Screen(ColorChoice),
    /// A line for each change: what was last written of each site.
    Lines(BTreeMap<String, String>),
}

impl Output {
    /// Shows what has been seen; `is_new` if an answer has just come. Fails if nobody reads any more.
    fn show<V: View>(&mut self, seen: &Seen<V>, every: Duration, now: Now, is_new: bool) -> io::Result<()> {
        match self {
            Self::Screen(color) => {
                let frame = seen.frame(every, now.mono, Screen::of_stdout(*color));
                terminal::printed(&drawn(&frame))
            }
            Self::Lines(_) if !is_new => Ok(()),
            Self::Lines(last) => {
                let time = clock::rfc3339(now.wall);
                let text = changes(last, &seen.states(), &time);
                if text.is_empty() { Ok(()) } else { terminal::printed(&text) }
            }
        }
    }
}

/// The frame from the top left corner on, each line cleared to its end.
fn drawn(frame: &[String]) -> String {
    let mut text = "\x1b[H".to_owned();
    for (at, line) in frame.iter().enumerate() {
        if at > 0 {
            text.push_str("\r\n");
        }
        text.push_str(line);
        text.push_str("\x1b[K");
    }
    text.push_str("\x1b[J");
    text
}

/// The lines for what is other than `last`, which becomes what is.
fn changes(last: &mut BTreeMap<String, String>, states: &[(String, Level, String)], time: &str) -> String {
    let mut text = String::new();
    let mut present = BTreeMap::new();
    for (site, level, why) in states {
        let key = format!("{} {}", level.word(), lasting(why));
        if last.get(site) != Some(&key) {
            let site = if site.is_empty() { String::new() } else { format!("{} ", harmless(site)) };
            _ = writeln!(text, "{time} {site}{}: {}", level.word(), harmless(why));
        }
        present.insert(site.clone(), key);
    }
    *last = present;
    text
}

/// The text without what is measured anew each time.
fn lasting(why: &str) -> &str {
    why.split("degraded: ").next().unwrap_or(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::style::Painter;
    use crate::fixture;

    struct Site(Level, &'static str);

    impl View for Site {
        fn level(&self) -> Level {
            self.0
        }

        fn page(&self, _: Screen) -> Vec<String> {
            (0..30).map(|line| format!("{} {line}", self.1)).collect()
        }

        fn states(&self) -> Vec<(String, Level, String)> {
            vec![("milan-1".to_owned(), self.0, self.1.to_owned())]
        }
    }

    const EVERY: Duration = Duration::from_secs(2);

    fn screen(height: usize) -> Screen {
        Screen { width: 60, height: Some(height), painter: Painter { on: false } }
    }

    #[test]
    fn a_change_is_a_line_and_what_stays_is_none() {
        let mut last = BTreeMap::new();
        let mut seen = Seen { last: None, why: None };
        let mut line = |answer: Result<Site, &str>| {
            seen.take(answer.map_err(str::to_owned), fixture::start().mono);
            changes(&mut last, &seen.states(), "T")
        };
        assert_eq!(line(Ok(Site(Level::Healthy, "2 tunnels"))), "T milan-1 HEALTHY: 2 tunnels\n");
        assert_eq!(line(Ok(Site(Level::Healthy, "2 tunnels"))), "");
        assert_eq!(
            line(Ok(Site(Level::Degraded, "up, but degraded: loss 30 %"))),
            "T milan-1 DEGRADED: up, but degraded: loss 30 %\n"
        );
        assert_eq!(line(Ok(Site(Level::Degraded, "up, but degraded: loss 31 %"))), "");
        assert_eq!(line(Err("refused\n\x1b[2J")), "T UNKNOWN: refused \u{fffd}[2J\n");
        assert_eq!(line(Err("refused\n\x1b[2J")), "");
        assert_eq!(
            line(Ok(Site(Level::Healthy, "2 tunnels"))),
            "T milan-1 HEALTHY: 2 tunnels\n",
            "it answers again"
        );
    }

    #[test]
    fn without_an_answer_the_state_is_unknown_and_the_last_page_has_its_age() {
        let mut seen = Seen { last: None, why: None };
        assert_eq!(seen.level(), Level::Unknown);
        seen.take(Ok(Site(Level::Healthy, "well")), fixture::start().mono);
        assert_eq!(seen.level(), Level::Healthy);
        let frame = seen.frame(EVERY, fixture::after(1).mono, screen(50));
        assert_eq!(
            (frame[0].as_str(), frame[31].as_str()),
            ("well 0", "answered 1 s ago; asked every 2 s; Ctrl-C ends")
        );
        seen.take(Err("refused".to_owned()), fixture::after(9).mono);
        assert_eq!(seen.level(), Level::Unknown);
        let frame = seen.frame(EVERY, fixture::after(10).mono, screen(50));
        assert_eq!(
            frame[..4],
            ["UNKNOWN: no answer: refused", "The last answer follows. It is 10 s old.", "", "well 0"]
        );
    }

    #[test]
    fn a_page_that_is_longer_than_the_screen_says_how_much_is_hidden() {
        let mut seen = Seen { last: None, why: None };
        seen.take(Ok(Site(Level::Down, "down")), fixture::start().mono);
        for height in [4, 10, 31] {
            let frame = seen.frame(EVERY, fixture::start().mono, screen(height));
            assert_eq!(frame.len(), height);
            let hidden = 30 - (height - 3);
            assert!(frame[height - 3].starts_with(&format!("… {hidden} more lines")), "{frame:?}");
            assert!(frame[height - 1].ends_with("Ctrl-C ends"), "{frame:?}");
        }
        assert_eq!(seen.frame(EVERY, fixture::start().mono, screen(32)).len(), 32);
    }
}
