//! Asks many daemons at once, some at a time, each within a time, so that one that hangs delays no other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::Site;
use crate::clock;
use crate::domain::time::Moment;
use crate::http::client::PATIENCE;
use crate::http::status_json::StatusJson;

/// How to ask the daemon at a URL.
pub(in crate::cli::status) type Ask = dyn Fn(&str) -> Result<StatusJson, String> + Send + Sync;

/// How many at once, and how long one may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::status) struct AskLimits {
    /// So many are asked at a time. An answer may be 16 MiB long.
    pub(in crate::cli::status) at_once: usize,
    /// A site that takes longer is unknown. Longer than a request may take, for the name to be resolved.
    pub(in crate::cli::status) each: Duration,
}

impl Default for AskLimits {
    fn default() -> Self {
        Self { at_once: 16, each: PATIENCE.saturating_add(Duration::from_secs(2)) }
    }
}

type Answer = (usize, Result<StatusJson, String>);

/// A site for each URL, in their order. Takes at most `each` for every `at_once` of them.
pub(in crate::cli::status) fn ask_all(urls: &[String], ask: &Arc<Ask>, limits: AskLimits) -> Vec<Site> {
    let (answers, answered) = channel::<Answer>();
    let mut sites: Vec<Option<Site>> = urls.iter().map(|_| None).collect();
    // By number: until when it may take.
    let mut running: BTreeMap<usize, Moment> = BTreeMap::new();
    let mut waiting = urls.iter().enumerate();
    loop {
        while running.len() < limits.at_once
            && let Some((number, url)) = waiting.next()
        {
            match begin(number, url, ask, &answers) {
                Ok(()) => {
                    running.insert(number, clock::now().mono + limits.each);
                }
                Err(why) => settle(&mut sites, urls, number, Err(why)),
            }
        }
        let Some(first) = running.values().min().copied() else { break };
        match answered.recv_timeout(first.since(clock::now().mono)) {
            // One that comes after its time has been settled.
            Ok((number, outcome)) => {
                if running.remove(&number).is_some() {
                    settle(&mut sites, urls, number, outcome);
                }
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        let now = clock::now().mono;
        let late: Vec<_> =
            running.iter().filter(|(_, until)| **until <= now).map(|(number, _)| *number).collect();
        for number in late {
            running.remove(&number);
            settle(&mut sites, urls, number, Err(format!("no answer within {} s", limits.each.as_secs())));
        }
    }
    sites.into_iter().flatten().collect()
}

/// Its thread ends by itself: the name's resolution and the request have bounds of their own.
fn begin(number: usize, url: &str, ask: &Arc<Ask>, answers: &Sender<Answer>) -> Result<(), String> {
    let (url, ask, answers) = (url.to_owned(), Arc::clone(ask), answers.clone());
    let asking = move || {
        let outcome = ask(&url);
        // Nobody waits any more for one that is late.
        let _late = answers.send((number, outcome));
    };
    let thread = thread::Builder::new().name(format!("site {number}")).spawn(asking);
    thread.map(drop).map_err(|error| format!("cannot be asked: {error}"))
}

fn settle(sites: &mut [Option<Site>], urls: &[String], number: usize, outcome: Result<StatusJson, String>) {
    if let (Some(site), Some(url)) = (sites.get_mut(number), urls.get(number)) {
        *site = Some(Site::of(url, outcome));
    }
}
