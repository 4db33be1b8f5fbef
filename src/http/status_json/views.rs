//! Tunnels, and what each end says of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::rfc3339;
use crate::domain::check::Fresh;
use crate::domain::status::{CheckStatus, TunnelStatus};
use crate::domain::verdict::{AwsEvidence, Evidence, LocalEvidence, Verdict, View};

/// One tunnel, both ends side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TunnelJson {
    /// AWS's outside address.
    pub outside_ip: String,
    /// People's words for it.
    pub name: String,
    /// `active`, `standby` or `unused`.
    pub role: String,
    /// Both ends together: `healthy`, `down`, `disputed`, `unconfirmed` or `blind`; the verdicts below tell which end
    /// says down.
    pub assessment: String,
    /// Since when.
    pub assessed_since: String,
    /// Whether it carries traffic: `carrying`, `not_carrying` or `cannot_tell`.
    pub carrying: String,
    /// Why not, or why it cannot be told, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrying_why: Option<String>,
    /// Since when packets have not passed, as far as both ends tell; left out while they pass or nobody can say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_passing_since: Option<String>,
    /// Our end.
    pub local: LocalJson,
    /// AWS's end.
    pub aws: AwsJson,
    /// The checks behind our end's view; none if the tunnel is unused.
    pub checks: Vec<CheckJson>,
}

/// What our end says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LocalJson {
    /// `up`, `down` or `unknown`.
    pub verdict: String,
    /// Why it is unknown, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Since when.
    pub since: String,
    /// On what evidence.
    pub evidence: LocalEvidenceJson,
}

/// The state of the tunnel's checks, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LocalEvidenceJson {
    /// When the last reply came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reply: Option<String>,
    /// Overdue echoes since the last reply.
    pub losses_in_row: u32,
    /// When the oldest of these was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_loss: Option<String>,
    /// What became of the most recent lost echo: `timeout`, `no_path` or `blocked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_loss: Option<String>,
    /// Replies in a row.
    pub replies_in_row: u32,
    /// Lost share, 0 to 100, of the echoes sent since the verdict holds, at most of the last minute's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_percent: Option<f64>,
    /// Median round trip, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_rtt_ms: Option<f64>,
}

/// What AWS says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwsJson {
    /// `up`, `down` or `unknown`.
    pub verdict: String,
    /// Why it is unknown, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Since when.
    pub since: String,
    /// Where the evidence comes from: `cloudwatch` or `ec2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The time it speaks of, on AWS's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    /// When it became so, on AWS's clock: EC2's `LastStatusChange`, or the earliest evidence in a row that says the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
    /// How old it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<f64>,
    /// AWS's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckJson {
    /// `inside`
    pub check: String,
    /// `up`, `down` or `unknown`.
    pub verdict: String,
    /// Why it is unknown, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether it asks faster, because an echo is overdue.
    pub suspect: bool,
    /// Whether an echo has been asked and has ended, or become overdue, since the start.
    pub asked: bool,
    /// Echoes left out since the start.
    pub ticks_skipped: u64,
    /// What came of a fresh socket, tried in peace: `untried`, `works`, `fails`, `unanswered`.
    #[serde(default)]
    pub fresh_client: String,
}

/// Where each kind of incident stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhasesJson {
    /// Both ends agree that an active tunnel is down, and no other carries traffic.
    pub outage: String,
    /// Both ends agree that an active tunnel is down, and another carries traffic, or may.
    pub redundancy_lost: String,
    /// The ends do not agree, and of each tunnel one or the other says that it is down.
    pub one_sided: String,
}

impl TunnelJson {
    pub(super) fn of(tunnel: &TunnelStatus, since_status: Duration) -> Self {
        let TunnelStatus {
            id,
            name,
            role,
            local,
            aws,
            assessment,
            assessed_since,
            carrying,
            aws_evidence_age,
            checks,
        } = tunnel;
        Self {
            outside_ip: id.outside_ip.to_string(),
            name: name.to_string(),
            role: role.as_str().to_owned(),
            assessment: assessment.as_str().to_owned(),
            assessed_since: rfc3339(assessed_since.wall),
            carrying: carrying.as_str().to_owned(),
            carrying_why: carrying.why().map(str::to_owned),
            not_passing_since: tunnel.not_passing_since().map(|since| rfc3339(since.wall)),
            local: LocalJson::of(local),
            aws: AwsJson::of(aws, *aws_evidence_age + since_status),
            checks: checks.iter().map(CheckJson::of).collect(),
        }
    }
}

impl LocalJson {
    fn of(view: &View) -> Self {
        let View { verdict, since, evidence } = view;
        let evidence = match evidence {
            Evidence::Local(evidence) => LocalEvidenceJson::of(evidence),
            Evidence::Aws(_) => LocalEvidenceJson::default(),
        };
        Self {
            verdict: verdict.as_str().to_owned(),
            why: why(*verdict),
            since: rfc3339(since.wall),
            evidence,
        }
    }
}

impl LocalEvidenceJson {
    fn of(evidence: &LocalEvidence) -> Self {
        let LocalEvidence {
            last_reply,
            stopped: _,
            losses_in_row,
            first_loss,
            last_loss,
            replies_in_row,
            loss_percent,
            median_rtt,
        } = evidence;
        Self {
            last_reply: last_reply.map(|at| rfc3339(at.wall)),
            losses_in_row: *losses_in_row,
            first_loss: first_loss.map(|at| rfc3339(at.wall)),
            last_loss: last_loss.map(|loss| loss.as_str().to_owned()),
            replies_in_row: *replies_in_row,
            loss_percent: *loss_percent,
            median_rtt_ms: median_rtt.map(|rtt| rtt.as_micros() as f64 / 1e3),
        }
    }
}

impl AwsJson {
    fn of(view: &View, age: Duration) -> Self {
        let View { verdict, since, evidence } = view;
        let (source, as_of, changed, words) = match evidence {
            Evidence::Aws(AwsEvidence { source, as_of, as_of_here: _, changed, words }) => {
                (*source, *as_of, *changed, words.as_deref())
            }
            Evidence::Local(_) => (None, None, None, None),
        };
        Self {
            verdict: verdict.as_str().to_owned(),
            why: why(*verdict),
            since: rfc3339(since.wall),
            source: source.map(|source| source.as_str().to_owned()),
            as_of: as_of.map(rfc3339),
            changed: changed.map(rfc3339),
            age_seconds: as_of.map(|_| age.as_millis() as f64 / 1e3),
            words: words.map(str::to_owned),
        }
    }
}

impl CheckJson {
    fn of(check: &CheckStatus) -> Self {
        let CheckStatus { kind, verdict, suspect, asked, ticks_skipped, fresh_client } = check;
        Self {
            check: kind.as_str().to_owned(),
            verdict: verdict.as_str().to_owned(),
            why: why(*verdict),
            suspect: *suspect,
            asked: *asked,
            ticks_skipped: *ticks_skipped,
            fresh_client: word_of(*fresh_client).to_owned(),
        }
    }
}

const fn word_of(fresh: Fresh) -> &'static str {
    match fresh {
        Fresh::Untried => "untried",
        Fresh::Works => "works",
        Fresh::Fails(_) => "fails",
        Fresh::Unanswered => "unanswered",
    }
}

pub(super) fn why(verdict: Verdict) -> Option<String> {
    match verdict {
        Verdict::Up | Verdict::Down => None,
        Verdict::Unknown(why) => Some(why.as_str().to_owned()),
    }
}
