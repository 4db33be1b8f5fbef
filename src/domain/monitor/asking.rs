//! When AWS is asked, and what its answers change.

use std::time::Duration;

use super::{Monitor, Wake, is_cut_off};
use crate::domain::event::AwsAnswer;
use crate::domain::names::SourceId;
use crate::domain::request::Request;
use crate::domain::time::{Moment, Now};

impl Monitor {
    pub(super) fn answered(&mut self, answer: AwsAnswer, now: Now) {
        let AwsAnswer { source, asked, date, readings } = answer;
        let Some(polling) = self.sources.get_mut(&source) else { return };
        polling.answered(now);
        self.calendar.heard(asked, now.mono, date);
        let now = self.dated(now);
        let asked = Now { mono: asked, wall: now.wall - now.mono.since(asked) };
        for connection in self.connections.values_mut() {
            connection.answered(&source, asked.mono, date, now.mono);
        }
        for (tunnel, reading) in readings {
            if let Some(connection) = self.connections.get_mut(&tunnel.vpn) {
                connection.read(&source, &tunnel, &reading, asked, date, &mut self.fx);
            }
        }
        self.refresh_asked_by(&source, now);
    }

    /// Judges every connection that a source was asked about, also one of which it said nothing: that it spoke counts.
    pub(super) fn refresh_asked_by(&mut self, source: &SourceId, now: Now) {
        let asked = self.connections.iter().filter(|(_, connection)| connection.is_asked_by(source));
        for vpn in asked.map(|(vpn, _)| vpn.clone()).collect::<Vec<_>>() {
            self.refresh(&vpn, now);
        }
        self.set_source_timer(source, now.mono);
    }

    pub(super) fn ask_aws(&mut self, id: &SourceId, now: Now) {
        if self.sources.get(id).is_some_and(|polling| polling.is_lost(now.mono)) {
            self.refused(id, false, now);
        }
        let interval = self.source_interval(id, now.mono);
        let Some(polling) = self.sources.get_mut(id) else { return };
        // Doubt may have gone since the timer was set.
        if polling.due(interval).is_some_and(|due| due <= now.mono) {
            polling.ask(now.mono);
            self.fx.requests.push_back(Request::AskAws { source: id.clone() });
        }
        self.set_source_timer(id, now.mono);
    }

    pub(super) fn source_interval(&self, id: &SourceId, now: Moment) -> Duration {
        self.connections
            .values()
            .filter(|connection| connection.plan().aws.sources.contains(id))
            .map(|connection| connection.poll_interval(is_cut_off(connection, &self.sources), now))
            .min()
            .unwrap_or(Duration::MAX)
    }

    pub(super) fn set_source_timer(&mut self, id: &SourceId, now: Moment) {
        let interval = self.source_interval(id, now);
        let due = self.sources.get(id).and_then(|polling| polling.due(interval));
        self.timers.set(Wake::Source(id.clone()), due);
    }
}
