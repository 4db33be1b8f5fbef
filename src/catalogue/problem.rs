//! Problems as people read them: what has one, and what is said of it. Who meets a problem gives the arguments; what is wrong with an
//! answer or a file is said by its error.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::code::{Code, Severity};
use crate::domain::clients::Fresh;
use crate::domain::event::AskFailure;
use crate::domain::names::{TunnelId, VpnId};
use crate::domain::silence::SilenceId;
use crate::domain::status::VpnStatus;
use crate::domain::time::Stamp;

use crate::domain::votes::{Lack, Missing};

/// What has the problem; one at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// This site as a whole: it stands before all others.
    Site,
    /// A poller, by its source's words.
    Source(String),
    /// The configured addresses of a connection, by its id: AWS's are others.
    Addresses(String),
    /// The configured id of a connection.
    Identity(String),
    /// The configured addresses of a connection, by its id: they are this host's own.
    HostAddresses(String),
    /// A connection, by its id.
    Connection(String),
    /// The AWS credentials, by their identity's words.
    Credentials(String),
    /// A sink, by its id.
    Sink(String),
    /// What a sink will need when there is something to send, by its id.
    Preparation(String),
    /// The sockets that a connection's checks need in doubt, by its id.
    FreshSocket(String),
    /// What is done with incidents.
    Mode,
    /// The CloudWatch publisher.
    Publisher,
    /// The store.
    Store,
    /// The configuration in force, after a reload that was refused.
    Configuration,
    /// The ICMP sockets.
    Probe,
    /// The silences.
    Silences,
    /// This host's clock.
    Clock,
    /// The HTTP listener.
    Listener,
    /// Its certificate.
    ListenerCertificate,
    /// Its token.
    ListenerToken,
}

impl Component {
    /// Credentials, by the role that they are of, if they are not the daemon's own.
    pub fn credentials(role_arn: Option<&str>) -> Self {
        Self::Credentials(role_arn.unwrap_or("default").to_owned())
    }
}

impl fmt::Display for Component {
    /// One or two words, for people, filters and labels.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site => f.write_str("site"),
            Self::Source(source) => write!(f, "source {source}"),
            Self::Addresses(vpn) => write!(f, "addresses {vpn}"),
            Self::Identity(vpn) => write!(f, "id {vpn}"),
            Self::HostAddresses(vpn) => write!(f, "host addresses {vpn}"),
            Self::Connection(vpn) => write!(f, "connection {vpn}"),
            Self::Credentials(identity) => write!(f, "credentials {identity}"),
            Self::Sink(sink) => write!(f, "sink {sink}"),
            Self::Preparation(sink) => write!(f, "preparation {sink}"),
            Self::FreshSocket(vpn) => write!(f, "fresh socket {vpn}"),
            Self::Mode => f.write_str("mode"),
            Self::Publisher => f.write_str("publisher"),
            Self::Store => f.write_str("store"),
            Self::Configuration => f.write_str("configuration"),
            Self::Probe => f.write_str("probe"),
            Self::Silences => f.write_str("silences"),
            Self::Clock => f.write_str("clock"),
            Self::Listener => f.write_str("listener"),
            Self::ListenerCertificate => f.write_str("listener certificate"),
            Self::ListenerToken => f.write_str("listener token"),
        }
    }
}

/// What is wrong, and what would mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which problem of the table.
    pub code: Code,
    /// Whether the daemon cannot do its job because of it (`/readyz` answers 503), or only less well.
    pub severity: Severity,
    /// What, where, and what to do, in an operator's words; never a secret.
    pub text: String,
}

/// `/readyz` and the journal show every text.
const TEXT_MAX: usize = 2000;

/// So many tunnels are named in one text.
const TUNNELS_NAMED: usize = 8;

impl Problem {
    /// A problem as bad as the table says, in the words of an error. A text that is too long is cut.
    pub fn of(code: Code, error: impl Display) -> Self {
        Self { code, severity: code.entry().severity, text: bounded(error.to_string()) }
    }

    /// The same, with another severity than the table's.
    #[must_use]
    pub fn with(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    /// No source reaches AWS. `others`: the sinks that do not go by AWS. `credentials`: what the source of the credentials says, if that
    /// fails: whether the way is cut, or only what gives the credentials fails, is for a person to see.
    pub fn site_cut_off(sources: &[String], others: &[String], credentials: Option<&Self>) -> Self {
        let paged = if others.is_empty() {
            "nobody can be paged from here".to_owned()
        } else {
            format!(
                "nobody can be paged from here through AWS, only through {}, and only for incidents that are already open",
                others.join(", ")
            )
        };
        let why = credentials.map_or_else(String::new, |problem| format!(". {}", problem.text));
        let sources = sources.join(", ");
        Self::of(
            Code::SiteCutOff,
            format!(
                "this site is cut off; {paged}. AWS does not answer ({sources}): no outage can be confirmed{why}"
            ),
        )
    }

    /// Part of AWS's answer cannot be used: the first of what is wrong with it, and how much more there is.
    pub fn aws_answer_invalid(wrong: &[&str], more: usize) -> Self {
        let mut text = wrong.join("; ");
        if more > 0 {
            text.push_str(&format!("; and {more} more"));
        }
        Self::of(Code::AwsAnswerInvalid, text)
    }

    /// The credentials of a role (of the daemon, if there is none) expire then, in milliseconds since 1970, and are not renewed.
    pub fn credentials_expiring(role: Option<&str>, at: i64) -> Self {
        let at = Timestamp::from_millisecond(at).map_or_else(|_| "soon".to_owned(), |at| format!("at {at}"));
        let whose = role.unwrap_or("the daemon's own identity");
        Self::of(
            Code::CredentialsExpiring,
            format!("the credentials of {whose} expire {at} and cannot be renewed"),
        )
    }

    /// An end has no vote on these tunnels of a connection.
    pub fn without_vote(missing: &Missing) -> Self {
        let Missing { vpn: _, name, lack, tunnels, decidable } = missing;
        let (code, what) = lacking(*lack);
        let text = match lack {
            Lack::Gone => format!("{name}: {what}. No outage can be confirmed."),
            Lack::NoData
            | Lack::Old
            | Lack::Unclear
            | Lack::NeverAnswered
            | Lack::HostNeverAnswered
            | Lack::AddressMissing
            | Lack::NotPermitted
            | Lack::NoSocket
            | Lack::Silent
            | Lack::SessionUnknown => {
                let rest = if *decidable {
                    "Another tunnel of it has both votes."
                } else {
                    "No tunnel has a vote of both ends: no outage can be confirmed."
                };
                format!("{name}: {}: {what}. {rest}", list(tunnels))
            }
        };
        Self::of(code, text).unless(*decidable)
    }

    /// This host has no sockets to probe with, whichever tunnel wants one.
    pub fn without_sockets(lack: Lack, missing: &[Missing]) -> Self {
        let (code, what) = lacking(lack);
        let tunnels: usize = missing.iter().map(|missing| missing.tunnels.len()).sum();
        let vpns: BTreeSet<&VpnId> = missing.iter().map(|missing| &missing.vpn).collect();
        let text = format!("{what}: {tunnels} tunnels of {} connections are not probed", vpns.len());
        Self::of(code, text).unless(missing.iter().all(|missing| missing.decidable))
    }

    /// As bad as the table says if the connection can be decided on, else a failure.
    fn unless(self, decidable: bool) -> Self {
        if decidable { self } else { self.with(Severity::Failed) }
    }

    /// A tunnel of the connection would get no fresh socket, if one does not.
    pub fn fresh_socket_fails(vpn: &VpnStatus) -> Option<Self> {
        let failures = vpn.tunnels.iter().filter_map(|tunnel| {
            let why = tunnel.checks.iter().find_map(|check| match check.fresh_client {
                Fresh::Untried | Fresh::Works => None,
                Fresh::Fails(AskFailure::Fault(fault)) => Some(fault.to_string()),
                Fresh::Fails(AskFailure::AddressMissing) => {
                    Some("the source address or interface is missing".to_owned())
                }
                Fresh::Fails(AskFailure::Lost(loss)) => {
                    Some(format!("its probe was not sent ({})", loss.as_str()))
                }
                Fresh::Unanswered => {
                    Some("its probe gets no reply, while those of the current socket do".to_owned())
                }
            })?;
            Some(format!(
                "{} ({}): a new ICMP socket does not work: {why}",
                tunnel.name, tunnel.id.outside_ip
            ))
        });
        let failures: Vec<_> = failures.collect();
        (!failures.is_empty())
            .then(|| Self::of(Code::FreshSocketFails, format!("{}: {}", vpn.name, failures.join("; "))))
    }

    /// Raw sockets are used because this group may not use others.
    pub fn raw_sockets(gid: u32, advice: &str) -> Self {
        Self::of(
            Code::RawSockets,
            format!(
                "ICMP probes use raw sockets, because ICMP datagram sockets are not allowed for group {gid}: bothends wakes for \
                 every ICMP packet this host receives, which costs CPU on a busy router. {advice}"
            ),
        )
    }

    /// An address of this host is configured as AWS's; one text for each tunnel.
    pub fn addresses_swapped(mistakes: &[String]) -> Self {
        Self::of(Code::AddressesSwapped, mistakes.join("; "))
    }

    /// Something that a sink is to do fails: `doing` it, and what the sink or the ledger answered.
    pub fn sink(code: Code, doing: &str, answer: &str) -> Self {
        Self::of(code, format!("{doing}: {answer}"))
    }

    /// The name of the host that a sink is at cannot be resolved.
    pub fn name_not_resolved(host: &str, why: &str) -> Self {
        Self::of(
            Code::SinkNotPrepared,
            format!("the name {host} cannot be resolved: {why}. Try `getent hosts {host}`"),
        )
    }

    /// Incidents go to no sink.
    pub fn observe() -> Self {
        Self::of(Code::Observe, "incidents are recorded only; [incident] mode = \"raise\" pages")
    }

    /// CloudWatch has taken nothing for some minutes.
    pub fn metrics_unreachable(why: &str) -> Self {
        Self::of(
            Code::MetricsFailing,
            format!(
                "CloudWatch has accepted no metrics for some minutes ({why}); they are kept and sent when it can be reached"
            ),
        )
    }

    /// CloudWatch rejects whatever it is sent.
    pub fn metrics_rejected(why: &str) -> Self {
        Self::of(
            Code::MetricsFailing,
            format!("CloudWatch rejects all metrics; they are kept and retried once a minute: {why}"),
        )
    }

    /// The store's file cannot be written.
    pub fn store_failing(why: &str) -> Self {
        Self::of(
            Code::StoreFailing,
            format!("{why}. Probing and incidents go on from memory, and a restart would forget them"),
        )
    }

    /// A reload was refused.
    pub fn reload_refused(problems: &str) -> Self {
        Self::of(Code::ReloadRefused, format!("the last reload was refused: {problems}"))
    }

    /// These settings changed.
    pub fn restart_needed(settings: &[&str]) -> Self {
        Self::of(
            Code::RestartNeeded,
            format!("{} changed, which needs a restart: systemctl restart bothends", settings.join(" and ")),
        )
    }

    /// Weekly silences, each with its zone, of which this host does not know the zone.
    pub fn silence_zone_unknown(silences: &[(SilenceId, Arc<str>)]) -> Self {
        let each: Vec<_> = silences.iter().map(|(id, zone)| format!("silence {id} ({zone})")).collect();
        Self::of(
            Code::SilenceZoneUnknown,
            format!(
                "the time zone of {} is not known on this host: nothing is silenced by it until the zone is back (package tzdata)",
                each.join(", ")
            ),
        )
    }

    /// This host's clock is ahead of AWS's by as many milliseconds.
    pub fn clock_off(ahead_millis: i64) -> Self {
        let seconds = Duration::from_millis(ahead_millis.unsigned_abs()).as_secs();
        let side = if ahead_millis > 0 { "ahead of" } else { "behind" };
        Self::of(
            Code::ClockOff,
            format!(
                "this host's clock is {seconds} s {side} AWS's, and so are the journal's own timestamps; incidents, records and \
                 metrics use AWS's clock meanwhile; fix NTP (`timedatectl status`)"
            ),
        )
    }

    /// Nothing listens where the configuration says.
    pub fn listener_failing(why: impl Display) -> Self {
        Self::of(
            Code::ListenerFailing,
            format!("{why}; it is retried until it works; the tunnels are monitored meanwhile"),
        )
    }

    /// A file of the listener's is unusable, for this reason.
    pub fn listener_file_failing(why: impl Display) -> Self {
        Self::of(
            Code::ListenerFileFailing,
            format!(
                "{why}; the listener keeps what it read before, and reads the file again every few seconds"
            ),
        )
    }

    /// The listener's certificate expires then, or has.
    pub fn certificate_expiring(expires: Stamp, now: Stamp) -> Self {
        let date = Timestamp::from_second(expires.as_millis().div_euclid(1000));
        let date = date.map_or_else(|_| "soon".to_owned(), |date| date.to_string());
        let expires = if expires <= now { "has expired" } else { "expires" };
        Self::of(
            Code::CertificateExpiring,
            format!("the certificate in [http] tls_certificate {expires} ({date}) and was not renewed"),
        )
    }
}

/// The problem behind an end without a vote, and what is said of it.
const fn lacking(lack: Lack) -> (Code, &'static str) {
    match lack {
        Lack::Gone => (Code::ConnectionGone, "AWS has no such connection"),
        Lack::NoData => (Code::NoAwsData, "AWS has no data"),
        Lack::Old => (Code::AwsEvidenceOld, "AWS's evidence is too old, or has never come"),
        Lack::Unclear => (Code::AwsEvidenceUnclear, "AWS's evidence cannot be used"),
        Lack::NeverAnswered => (Code::NeverAnswered, "AWS's inside address has never answered"),
        Lack::HostNeverAnswered => {
            (Code::NeverAnswered, "a required host behind the tunnel has never answered")
        }
        Lack::AddressMissing => {
            (Code::AddressMissing, "this host does not have the source address or the interface")
        }
        Lack::NotPermitted => {
            (Code::ProbeNotPermitted, "no permission to open an ICMP socket, or to set fwmark")
        }
        Lack::NoSocket => (Code::ProbeFailing, "the kernel gives no ICMP socket"),
        Lack::Silent => (Code::ProbeSilent, "nothing was probed for too long"),
        Lack::SessionUnknown => (
            Code::ProbeSilent,
            "probes pass, but the BGP session is required and its daemon does not answer: see `bothends check`",
        ),
    }
}

/// `tunnel 1 (203.0.113.11), tunnel 2 (203.0.113.12)`.
fn list(tunnels: &[(TunnelId, Arc<str>)]) -> String {
    let (named, more) = tunnels.split_at(tunnels.len().min(TUNNELS_NAMED));
    let named: Vec<_> = named.iter().map(|(id, name)| format!("{name} ({})", id.outside_ip)).collect();
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    format!("{}{more}", named.join(", "))
}

fn bounded(text: String) -> String {
    let Some((end, _)) = text.char_indices().nth(TEXT_MAX) else { return text };
    let more = text[end..].chars().count();
    format!("{}… ({more} more characters)", &text[..end])
}
