//! The drill: a test incident through the real sinks, which programs and people can distinguish from a real one.
//!
//! # Why it is never mistaken for a real one
//! A record is ours by source and resource. A drill's source is [`DRILL_SOURCE`], which no kind has: no look-up and no survey
//! of a reconciler finds it, so it is not adopted. At OpsCenter its deduplication string differs as well, and a sink that
//! only accepts messages gets it under a key of its own ([`Drill::message`]).
//!
//! # Why no real one is lost in it
//! A response plan has one deduplication string, so Incident Manager may merge any start into any open record of the plan:
//!
//! - *A drill into a real record*: no drill starts while a real incident is open or pending, and the started record is read back; a
//!   record whose source is not [`DRILL_SOURCE`] is left unchanged.
//! - *A real one into a drill*: a drill is open only until it has been read back (or for `--hold`), and is resolved as soon as the
//!   daemon on this host sees an incident. A start may still come in between, from another gateway, or after a drill that could not be
//!   resolved. So the sink (`aws::incident_manager`) reads back what each start returned: a drill it resolves, and starts again
//!   under the token that follows from the first token and that drill, so that twins and retries stay one request.
//!
//! What remains is a CloudWatch alarm whose action is the same plan and which fires within these seconds: it does not go
//! through our code, and may end in the drill's record.

use std::future::Future;
use std::sync::Arc;

use crate::clock::rfc3339;
use crate::domain::names::{Kind, VpnId};
use crate::domain::scope::Scope;
use crate::domain::time::Stamp;

use super::account::{self, Account, NOTES_MAX, URL_MAX};
use super::message::{Change, Heading, Message, MessageContent, assemble};
use super::raw_data::RawData;
use super::settings::SinkRules;
use super::sink::{
    DESCRIPTION_MAX, DRILL_SOURCE, IncidentSink, RecordId, RecordScope, SinkError, StartRequest,
};
use super::token;
use super::wording::{self, TITLE_MAX, WORDS_MAX, clip, telephone, when};

/// No impact.
pub const IMPACT: u8 = 5;

/// One test incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drill {
    /// This gateway's name.
    pub site: Arc<str>,
    /// The connection.
    pub vpn: VpnId,
    /// The connection's display name.
    pub vpn_name: Arc<str>,
    /// The kind whose sinks and severity are used.
    pub kind: Kind,
    /// When it begins.
    pub at: Stamp,
}

/// A record as the sink returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The source; [`DRILL_SOURCE`] if it is a drill's.
    pub source: String,
    /// Its title.
    pub title: String,
    /// Its severity, in the vendor's words.
    pub impact: String,
    /// Its status, in the vendor's words.
    pub status: String,
}

/// A sink whose records can be shown to a person.
pub trait ShowingSink: IncidentSink {
    /// Reads a record, in the vendor's words.
    fn show(&self, record: &RecordId) -> impl Future<Output = Result<Shown, SinkError>> + Send;
}

impl Drill {
    /// The scope of its record; `None` if the connection is not configured.
    pub fn scope(&self, settings: &SinkRules) -> Option<RecordScope> {
        let real = settings.scope(&Scope::Connection(self.vpn.clone()), self.kind)?;
        Some(RecordScope { source: DRILL_SOURCE.to_owned(), ..real })
    }

    /// The request that creates its record; the same in every retry.
    pub fn request(&self, settings: &SinkRules) -> Option<StartRequest> {
        let scope = self.scope(settings)?;
        Some(StartRequest {
            client_token: token::drill(&scope, &self.site, self.at),
            title: self.title(),
            impact: IMPACT,
            triggered: self.at,
            description: self.account(settings).markdown(DESCRIPTION_MAX),
            raw_data: self.evidence(settings).to_json(),
            scope,
        })
    }

    /// The message that it has begun or ended.
    pub fn message(&self, settings: &SinkRules, change: Change, at: Stamp) -> Message {
        let key = format!("bothends/drill/{}/{}", self.vpn, self.kind.as_str());
        let id = token::drill_message(settings.id(), &self.site, &key, self.at, change.as_str());
        let account = self.account(settings);
        let account = match change {
            Change::Resolved => Account {
                title: clip(&format!("RESOLVED {}", account.title), TITLE_MAX),
                short: telephone(&format!("OVER: {}", account.short)),
                since: self.summary(),
                steps: Vec::new(),
                ..account
            },
            Change::Opened | Change::Worsened | Change::Updated | Change::Repeated | Change::Unwatched => {
                account
            }
        };
        let heading = Heading {
            id,
            key,
            change,
            at,
            incident: format!("drill/{}/{}", self.vpn, rfc3339(self.at)),
            scope: &Scope::Connection(self.vpn.clone()),
            kind: self.kind,
            site: &self.site,
            impact: IMPACT,
            drill: true,
        };
        let evidence = self.evidence(settings);
        let (news, timeline) = (Vec::new(), Vec::new());
        assemble(heading, MessageContent { evidence, account, news, timeline, upto: 0, worsened: 0 })
    }

    /// The closing text of its record.
    pub fn summary(&self) -> String {
        format!(
            "[{}] {} ({}): a DRILL of {}, sent on {} and resolved by bothends. Nothing was wrong.",
            self.site,
            self.vpn_name,
            self.vpn,
            wording::kind_words(self.kind),
            when(self.at)
        )
    }

    /// The text of its record while it is open.
    fn account(&self, settings: &SinkRules) -> Account {
        let vpn = settings.vpns.get(&self.vpn);
        Account {
            title: self.title(),
            short: telephone(&format!(
                "DRILL, nothing is wrong: {}, {} ({}). A test of {} by bothends",
                self.site,
                self.vpn_name,
                self.vpn,
                wording::kind_words(self.kind)
            )),
            caution: None,
            causes: Vec::new(),
            since: format!("A test, sent on {} by bothends drill. Nothing is wrong.", when(self.at)),
            flow: "cannot_tell",
            traffic: "A real record says here whether traffic flows, and then what each end says.".to_owned(),
            ends: Vec::new(),
            likely: None,
            steps: vec![
                "If this paged you, paging works: acknowledge it. It is resolved by itself.".to_owned(),
            ],
            withheld: None,
            affected: None,
            connections: Vec::new(),
            connections_in_all: 0,
            runbook_url: vpn.and_then(|vpn| vpn.runbook_url.as_deref()).map(|url| clip(url, URL_MAX)),
            notes: vpn.and_then(|vpn| vpn.notes.as_deref()).map(|notes| clip(notes, NOTES_MAX)),
            sender: account::sender(&self.site),
            links: account::links_of(&self.vpn, vpn),
        }
    }

    /// The token that closes its record.
    pub fn resolve_token(&self, record: &RecordId) -> String {
        token::drill_resolve(record, &self.site, self.at)
    }

    fn title(&self) -> String {
        let title = format!(
            "DRILL: [{}] {} ({}): a test of {}, nothing is wrong",
            self.site,
            self.vpn_name,
            self.vpn,
            wording::kind_words(self.kind)
        );
        clip(&title, TITLE_MAX)
    }

    /// The data for programs, with the same names as a real incident's.
    fn evidence(&self, settings: &SinkRules) -> RawData {
        let vpn = settings.vpns.get(&self.vpn);
        RawData {
            drill: true,
            site: clip(&self.site, WORDS_MAX),
            scope: Scope::Connection(self.vpn.clone()).word(),
            scope_name: clip(&self.vpn_name, WORDS_MAX),
            vpn_id: self.vpn.to_string(),
            vpn_name: clip(&self.vpn_name, WORDS_MAX),
            kind: self.kind.as_str(),
            began: rfc3339(self.at),
            opened: rfc3339(self.at),
            follows: None,
            worsened_after_close: None,
            runbook_url: vpn.and_then(|vpn| vpn.runbook_url.as_deref()).map(|url| clip(url, URL_MAX)),
            notes: vpn.and_then(|vpn| vpn.notes.as_deref()).map(|notes| clip(notes, NOTES_MAX)),
            tunnels: Vec::new(),
            tunnels_left_out: 0,
            children: Vec::new(),
            children_left_out: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::reconcile::world::settings;
    use super::*;

    fn drill() -> Drill {
        let settings = settings("milan-1");
        let vpn = settings.vpns.keys().next().unwrap().clone();
        Drill {
            site: "milan-1".into(),
            vpn,
            vpn_name: "Milan DC".into(),
            kind: Kind::Outage,
            at: Stamp::from_secs(1_795_341_600),
        }
    }

    #[test]
    fn a_drill_goes_the_way_of_a_real_incident_and_is_in_no_scope_of_one() {
        let settings = settings("milan-1");
        let request = drill().request(&settings).unwrap();
        let real = settings.scope(&drill().vpn.into(), Kind::Outage).unwrap();
        assert_eq!((&request.scope.plan, &request.scope.resource), (&real.plan, &real.resource));
        assert!(request.scope.is_drill());
        assert!(settings.scopes().iter().all(|scope| !scope.is_drill() && scope.source != DRILL_SOURCE));
        assert!(request.title.starts_with("DRILL: [milan-1] Milan DC"), "{}", request.title);
        assert_eq!(request.impact, 5);
        let data: Value = serde_json::from_str(&request.raw_data).unwrap();
        assert_eq!(data["drill"], true);
    }

    #[test]
    fn a_retry_is_the_same_request_and_another_drill_is_another() {
        let settings = settings("milan-1");
        assert_eq!(drill().request(&settings), drill().request(&settings));
        let later = Drill { at: Stamp::from_secs(1_795_341_601), ..drill() };
        assert_ne!(
            drill().request(&settings).unwrap().client_token,
            later.request(&settings).unwrap().client_token
        );
    }

    #[test]
    fn its_messages_are_a_pair_under_a_key_that_no_incident_has() {
        let settings = settings("milan-1");
        let opened = drill().message(&settings, Change::Opened, drill().at);
        let resolved = drill().message(&settings, Change::Resolved, drill().at);
        assert_eq!(opened.key, resolved.key);
        assert_ne!(opened.id, resolved.id);
        let real = super::super::message::sample(Change::Opened);
        assert_ne!(opened.key, real.key);
        assert!(!real.drill && real.data["drill"].is_null());
        for message in [opened, resolved] {
            assert!(message.drill && message.data["drill"] == true);
            assert!(message.title.contains("DRILL"), "{}", message.title);
            assert!(message.text.contains("DRILL"), "{}", message.text);
            assert_eq!(message.severity, "info");
        }
    }

    #[test]
    fn a_title_never_exceeds_a_sinks_limit() {
        let long = Drill { vpn_name: "ü".repeat(300).into(), ..drill() };
        assert_eq!(long.request(&settings("milan-1")).unwrap().title.chars().count(), TITLE_MAX);
    }
}
