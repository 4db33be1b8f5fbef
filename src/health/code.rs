//! The table of problems: everything that can stand between the daemon and its job, each with a stable code. `/readyz`, `/status`,
//! systemd's line, the journal and its catalog, the metric `bothends_problem`, the Prometheus rules and the tables in
//! docs/status.md and docs/journal.md come from it.
//!
//! To add a problem: a row here (a new journal id: 128 random bits), then `BOTHENDS_WRITE=1 cargo test --lib telemetry`, which
//! writes its catalog entry and its rows in the docs.

use std::time::Duration;

use self::Severity::{Degraded, Failed};

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Something works less well.
    Degraded,
    /// The daemon cannot decide, page or keep what it must.
    Failed,
}

impl Severity {
    /// The word used in `/readyz`, `/status` and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }
}

/// What is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// The stable word in `/status`, `/readyz`, metrics and the journal's field `PROBLEM`.
    pub word: &'static str,
    /// The name of its journal record.
    pub record: &'static str,
    /// The `MESSAGE_ID` of its journal record.
    pub message_id: &'static str,
    /// How bad it is, unless whoever states it knows better.
    pub severity: Severity,
    /// After this long it is [`Failed`], whatever it was before.
    pub fails_after: Option<Duration>,
    /// What is wrong, as a headline.
    pub title: &'static str,
    /// What it means for whoever relies on the daemon.
    pub meaning: &'static str,
    /// What to do first.
    pub first_step: &'static str,
    /// It follows from these: while one of them is open and explains it, it is not shown.
    pub behind: &'static [Code],
}

/// Declares every problem once, and lists them all.
macro_rules! codes {
    ($(
        $variant:ident $word:literal
            $record:ident = $id:literal
            $severity:ident $(for $seconds:literal)? $title:literal
            means $meaning:literal
            first $first_step:literal
            behind [$($cause:ident),*];
    )*) => {
        /// A problem of the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = concat!($title, ".")]
            $variant,)*
        }

        impl Code {
            /// Every problem, in the order of the docs.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its row.
            pub const fn entry(self) -> &'static Entry {
                match self {
                    $(Self::$variant => const { &Entry {
                        word: $word,
                        record: stringify!($record),
                        message_id: $id,
                        severity: $severity,
                        fails_after: seconds(&[$($seconds)?]),
                        title: $title,
                        meaning: $meaning,
                        first_step: $first_step,
                        behind: &[$(Self::$cause),*],
                    } },)*
                }
            }
        }
    };
}

/// The limit that a row gives, if it gives one.
const fn seconds(limit: &[u64]) -> Option<Duration> {
    match limit {
        [] => None,
        [seconds, ..] => Some(Duration::from_secs(*seconds)),
    }
}

codes! {
    SiteCutOff "site_cut_off"
        PROBLEM_SITE_CUT_OFF = "0ab35f3c068df542e5cf3cea21514dab"
        Failed "This site is cut off; nobody can be paged from here"
        means "AWS answers no question from this site. No outage can be confirmed, and no record is opened or updated at AWS. An alarm on the missing heartbeat pages in its place, where it is deployed."
        first "From this host, try DNS, the Internet line and the proxy: `curl -sS https://monitoring.REGION.amazonaws.com`. If they work, look at where the credentials come from: `bothends check --aws`. Watch the tunnels with `bothends status` meanwhile."
        behind [];
    AwsUnreachable "aws_unreachable"
        PROBLEM_AWS_UNREACHABLE = "e95018658214a7068c691e24604aa579"
        Degraded "AWS cannot be reached"
        means "No answer comes from AWS. Failed once it leaves a connection without AWS's evidence: nothing can be agreed on then, and nobody is paged for it."
        first "From this host, try DNS, the Internet line and the proxy: `curl -sS https://monitoring.REGION.amazonaws.com`. The way to AWS must not lead through the tunnels."
        behind [SiteCutOff];
    AwsThrottled "aws_throttled"
        PROBLEM_AWS_THROTTLED = "c040bbda520b49716862e091445918ec"
        Degraded "AWS throttles the daemon's calls"
        means "AWS throttles this account, so its evidence comes late. Failed once it leaves a connection without AWS's evidence."
        first "Find what else in the account calls the same API, and raise poll_interval or the service quota if it goes on."
        behind [];
    AwsDenied "aws_denied"
        PROBLEM_AWS_DENIED = "575d67f99eb469fccb4513c94616d435"
        Failed "AWS denies the daemon a permission"
        means "The credentials work, and may not do what is named. Without AWS's evidence nothing can be agreed on."
        first "Add the action and resource that are named to the IAM policy of the daemon's role (docs/aws.md has the whole policy)."
        behind [];
    CredentialsFailing "credentials_failing"
        PROBLEM_CREDENTIALS_FAILING = "bf33f4eb0bc40ce67994223b76b3a28c"
        Failed "The AWS credentials do not work"
        means "There are none, or AWS does not accept them. Neither can AWS's end be read with them, nor anybody paged."
        first "`bothends check --aws` says which credentials are used and what AWS answers. Renew them where they come from."
        behind [];
    CredentialsSourceFailing "credentials_source_failing"
        PROBLEM_CREDENTIALS_SOURCE_FAILING = "572425228bc9701ca157b07226b7bb85"
        Degraded "Where the AWS credentials come from fails"
        means "The credential_process, the metadata service or STS gives none; it also fails where the network is away. Failed once it leaves a connection without AWS's evidence: nothing can be agreed on then."
        first "From this host, try DNS, the Internet line and the proxy first. If they work, run what gives the credentials as the service does: `bothends check --aws` says what it answers."
        behind [SiteCutOff];
    CredentialsExpiring "credentials_expiring"
        PROBLEM_CREDENTIALS_EXPIRING = "0959a327fb1522b55a374a8de473a338"
        Degraded "The AWS credentials expire soon and are not renewed"
        means "They should have been renewed by now. When they have expired, nothing can be agreed on and nobody is paged."
        first "Look at what renews them: the instance's metadata service, the agent, or the credential_process of the profile."
        behind [SiteCutOff, CredentialsFailing, CredentialsSourceFailing];
    AwsRefuses "aws_refuses"
        PROBLEM_AWS_REFUSES = "3aa59022e9e4f0c6e5ebd4f0c8365cfd"
        Failed "AWS refuses a request"
        means "AWS finds fault with what is asked, and will until something is changed."
        first "Correct what AWS's answer names; `bothends check --aws` tries it at once."
        behind [];
    AwsFailing "aws_failing"
        PROBLEM_AWS_FAILING = "5eafe2bc1af7f15d1fb1a90e7d8f8d23"
        Degraded "AWS answers with errors of its own"
        means "AWS is at fault. Failed once it leaves a connection without AWS's evidence."
        first "Look at https://health.aws.amazon.com for the Region. The daemon keeps asking."
        behind [];
    AwsAnswerInvalid "aws_answer_invalid"
        PROBLEM_AWS_ANSWER_INVALID = "08dd909dfaeeaacacbe80e82d86b7323"
        Degraded "An answer of AWS cannot be used"
        means "An answer, or a part of it, is not understood. What it should have said is missing."
        first "Look for a proxy or firewall that changes or replaces answers. If there is none, report it with the journal's record."
        behind [];

    ConnectionGone "connection_gone"
        PROBLEM_CONNECTION_GONE = "dc7409ffb5d3da47432666912123ee31"
        Failed "AWS has no such VPN connection"
        means "The connection was deleted or replaced, or the id, Region or account is wrong. Nothing can be agreed on."
        first "`bothends discover` lists the connections that exist. Put the new one into the configuration, or take this one out, then `systemctl reload bothends`."
        behind [];
    ConnectionUnconfirmed "connection_unconfirmed"
        PROBLEM_CONNECTION_UNCONFIRMED = "342f9910360376d69b5587af4df814b9"
        Degraded "Nothing confirms the id of a VPN connection"
        means "CloudWatch has data on a tunnel's address, and none under the connection's id, or under that id only those of other addresses. The id or the address is another connection's, so that incidents name the wrong one; or AWS publishes this connection's data by address alone."
        first "Compare id and outside_ip with `bothends discover VPN_ID`. If they are right, [aws] ec2_telemetry = true has EC2 confirm them."
        behind [ConnectionGone];
    AddressesDiffer "addresses_differ"
        PROBLEM_ADDRESSES_DIFFER = "4bcaaf71dcd340abb61d5d9bc3910010"
        Degraded "AWS has other tunnel addresses than the configuration"
        means "The connection was made anew or changed, or an address is mistyped. A wrong outside_ip has no evidence from AWS; a wrong inside_ip has none of this end."
        first "Compare with `bothends discover VPN_ID`, correct the configuration, then `bothends check` and `systemctl reload bothends`."
        behind [];
    AddressesSwapped "addresses_swapped"
        PROBLEM_ADDRESSES_SWAPPED = "48a71923c188b75193f663d909d88d56"
        Failed "This host holds an address that should be AWS's"
        means "inside_ip is an address of this host: AWS's end is not probed at all, and whatever this end says is worthless."
        first "inside_ip is AWS's address inside the tunnel, source_ip this host's. Exchange them, then `systemctl reload bothends`."
        behind [];
    NoAwsData "no_aws_data"
        PROBLEM_NO_AWS_DATA = "5dd7fd330e513a197ba0ab30dafb64f0"
        Degraded "AWS answers without data on a tunnel"
        means "CloudWatch has no datapoint of the tunnel. Failed if it leaves the connection without a tunnel on which both ends have a vote: no incident can open."
        first "Check outside_ip, Region and account of the connection: `bothends discover VPN_ID` shows AWS's. A connection that was just created has data after some minutes."
        behind [ConnectionGone, AddressesDiffer];
    AwsEvidenceOld "aws_evidence_old"
        PROBLEM_AWS_EVIDENCE_OLD = "0ff066f84b75fe70cecd950606330c1c"
        Degraded "AWS's evidence on a tunnel is too old"
        means "Nothing newer came for stale_after. Failed if it leaves the connection without a tunnel on which both ends have a vote: no incident can open."
        first "Does the connection still exist (`bothends discover VPN_ID`)? Does the console show TunnelState for it?"
        behind [AwsUnreachable, AwsThrottled, AwsDenied, CredentialsFailing, CredentialsSourceFailing, AwsRefuses, AwsFailing, AwsAnswerInvalid, ConnectionGone, AddressesDiffer];
    AwsEvidenceUnclear "aws_evidence_unclear"
        PROBLEM_AWS_EVIDENCE_UNCLEAR = "2d34947da9c07a3ef63f12d01c386005"
        Degraded "AWS's evidence on a tunnel cannot be used"
        means "It contradicts itself, lies in the future or is not understood, for longer than stale_after. Failed if it leaves the connection without a tunnel on which both ends have a vote."
        first "`bothends status` shows AWS's words. Compare them with the console's page of the connection."
        behind [ConnectionGone, AwsAnswerInvalid];
    NeverAnswered "never_answered"
        PROBLEM_NEVER_ANSWERED = "8ebbf97c6944fc66d744958d9c067354"
        Degraded "AWS's inside address has never answered"
        means "This end has no vote on the tunnel until it has seen it up once. Failed if it leaves the connection without a tunnel on which both ends have a vote: no incident can open."
        first "Is the tunnel up (`swanctl --list-sas`)? Are inside_ip and source_ip this tunnel's? Does a firewall drop ICMP? Try `bothends probe`."
        behind [AddressesSwapped, AddressesDiffer];
    AddressMissing "address_missing"
        PROBLEM_ADDRESS_MISSING = "8e7bce4e2bd9622ea53b5998e62a5093"
        Degraded "This host does not have a tunnel's source address or interface"
        means "Nothing can be sent through the tunnel. Failed if it leaves the connection without a tunnel on which both ends have a vote: no incident can open."
        first "Compare source_ip and interface with `ip address`. source_ip is this host's address, inside_ip is AWS's. Probing resumes by itself."
        behind [AddressesSwapped];
    ProbeNotPermitted "probe_not_permitted"
        PROBLEM_PROBE_NOT_PERMITTED = "a310359f4888f44f5e521df099377374"
        Failed "The daemon may not send ICMP echoes"
        means "Nothing is probed, so this end has no vote and no incident can open."
        first "`bothends check` says which group and which sysctl (net.ipv4.ping_group_range)."
        behind [];
    ProbeFailing "probe_failing"
        PROBLEM_PROBE_FAILING = "e5616178adab09b0eaae3ee034c1620f"
        Degraded "Echoes cannot be sent"
        means "The kernel refuses a socket for lack of memory or descriptors, or for another reason. Failed if it leaves a connection without a tunnel on which both ends have a vote."
        first "Look at memory and open files of the service: `systemctl status bothends`, `journalctl -k`."
        behind [];
    FreshSocketFails "fresh_socket_fails"
        PROBLEM_FRESH_SOCKET_FAILS = "a5d41c0a5754f1451ba4828e23a5d25f"
        Degraded "A fresh ICMP socket gets no answer"
        means "Probing goes on through the socket in use. In doubt, and after an interface was made anew, only a fresh one helps: it is tried every few minutes, so that it does not fail for the first time then."
        first "Look at the firewall's rules for new ICMP flows, and at memory and open files of the service (`systemctl status bothends`)."
        behind [ProbeFailing, ProbeNotPermitted];
    ProbeSilent "probe_silent"
        PROBLEM_PROBE_SILENT = "8c8b7d2d3fa44f223204304d6d88ca05"
        Degraded "A tunnel is not probed"
        means "No echo has ended for too long, so this end has no vote. Failed if it leaves the connection without a tunnel on which both ends have a vote."
        first "Is this host overloaded or often held up (`uptime`, `systemd-cgtop`)? If not, `systemctl restart bothends` and report it."
        behind [];

    SinkRejects "sink_rejects"
        PROBLEM_SINK_REJECTS = "d832f8aa16fad52ceae85ebaa8f38e47"
        Failed "A sink refuses what it is sent"
        means "People are not told of an incident, or not that it is over, by this sink. It is tried again until it succeeds."
        first "Correct what the sink's answer names; `bothends drill` tries the sink from end to end. Until then read `bothends status`."
        behind [];
    SinkUnreachable "sink_unreachable"
        PROBLEM_SINK_UNREACHABLE = "0e9eb588da2e0431ee7688af548a20b9"
        Degraded for 300 "A sink cannot be reached or fails"
        means "What people should be told waits and is tried again."
        first "Try DNS, the Internet line and the proxy from this host. Until then read `bothends status`."
        behind [];
    SinkIncomplete "sink_incomplete"
        PROBLEM_SINK_INCOMPLETE = "afea926d944d4375630459f20014c03f"
        Degraded "A sink takes incidents, but not all that belongs to them"
        means "People are paged. Notes, links, or the search for records that others have left open do not work."
        first "Correct what the sink's answer names, most often a permission (docs/aws.md)."
        behind [SiteCutOff, AwsUnreachable, CredentialsFailing, CredentialsSourceFailing];
    SinkNotPrepared "sink_not_prepared"
        PROBLEM_SINK_NOT_PREPARED = "6e005ec141c68c9456925815fb84c28e"
        Degraded for 600 "A sink could not be used now"
        means "Its credentials, secrets or host name, tried every few minutes in peace, do not work. Nothing is waiting to be sent; the next incident would. It fails only where a kind of incident of a connection has no other sink that could be used."
        first "Correct what is named; `bothends drill` tries the sink from end to end."
        behind [SiteCutOff, AwsUnreachable, CredentialsFailing, CredentialsSourceFailing];
    Observe "observe"
        PROBLEM_OBSERVE = "e00e24dd00872ab492e3d9d585db8df1"
        Degraded "Nobody is paged: mode = \"observe\""
        means "Incidents are decided and recorded, and sent to no sink. Being meant so, it does not make the daemon not ready."
        first "When you trust what you see, set mode = \"raise\" in [incident] and `systemctl reload bothends`."
        behind [];

    MetricsFailing "metrics_failing"
        PROBLEM_METRICS_FAILING = "d9e804876507263e9542d958abd4bbeb"
        Degraded "CloudWatch does not take the daemon's metrics"
        means "Alarms on them, Heartbeat's too, see nothing. The minutes are kept and sent when CloudWatch takes them."
        first "Correct what CloudWatch's answer names: most often the permission cloudwatch:PutMetricData (docs/cloudwatch.md)."
        behind [SiteCutOff, AwsUnreachable, CredentialsFailing, CredentialsSourceFailing];
    StoreFailing "store_failing"
        PROBLEM_STORE_FAILING = "999dc6f94f0d69a3e3a01484774857ca"
        Failed "The store cannot be written"
        means "Probing and paging go on from memory. A restart would forget what is open, and could page again."
        first "`df -h /var/lib/bothends` and `journalctl -k`: make room or mend the disk. The store is written again by itself; do not restart before."
        behind [];
    ReloadRefused "reload_refused"
        PROBLEM_RELOAD_REFUSED = "0eb1b07aec17ce2a93bd0504b35d4930"
        Degraded "The configuration on disk is wrong and not in force"
        means "The configuration before it stays in force. A restart would fail."
        first "`bothends check` lists what is wrong. Correct it, then `systemctl reload bothends`."
        behind [];
    RestartNeeded "restart_needed"
        PROBLEM_RESTART_NEEDED = "53e5364407808545d109e3a0f8406f7c"
        Degraded "A changed setting takes force at the next start only"
        means "The rest of the configuration is in force."
        first "`systemctl restart bothends`, when it suits."
        behind [];
    RawSockets "raw_sockets"
        PROBLEM_RAW_SOCKETS = "9b5d5dee96ecb1583ce206f2f5d7d8f9"
        Degraded "Echoes go through raw sockets"
        means "The daemon wakes for every ICMP packet of this host, which costs CPU on a busy router."
        first "Open ICMP datagram sockets to the service's group with the sysctl that is named."
        behind [];
    ClockOff "clock_off"
        PROBLEM_CLOCK_OFF = "3b26bf8c14b4ec1be27449fc010bafd9"
        Degraded "This host's clock is wrong"
        means "Verdicts do not depend on it, and incidents and metrics are dated by AWS's clock meanwhile. The journal's own stamps are off."
        first "`timedatectl status`; start or correct NTP."
        behind [];
    ListenerFailing "listener_failing"
        PROBLEM_LISTENER_FAILING = "d8dc56fb5ba72c4dad93173eb226f976"
        Degraded "The listener cannot listen"
        means "Tunnels are watched and people are paged. `/readyz`, `/status` and `/metrics` cannot be asked; Prometheus sees the daemon as down."
        first "`ss -tlnp` shows what holds the address. If the address is wrong, correct [http] listen and `systemctl restart bothends`."
        behind [];
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_word_record_or_id_is_used_twice_and_names_follow_from_the_word() {
        let entries: Vec<_> = Code::ALL.iter().map(|code| code.entry()).collect();
        let words: BTreeSet<_> = entries.iter().map(|entry| entry.word).collect();
        let ids: BTreeSet<_> = entries.iter().map(|entry| entry.message_id).collect();
        assert_eq!((words.len(), ids.len()), (entries.len(), entries.len()));
        for entry in entries {
            assert_eq!(entry.record, format!("PROBLEM_{}", entry.word.to_ascii_uppercase()));
            assert!(entry.word.bytes().all(|b| b == b'_' || b.is_ascii_lowercase()), "{}", entry.word);
        }
    }

    #[test]
    fn every_text_is_whole_and_says_what_to_do() {
        for code in Code::ALL {
            let Entry { word, title, meaning, first_step, .. } = code.entry();
            assert!(!title.ends_with('.') && title.len() <= 80, "{word}: {title}");
            assert!(title.starts_with(|c: char| c.is_ascii_uppercase()), "{word}: {title}");
            for text in [meaning, first_step] {
                assert!(text.ends_with(['.', '?', '`', ')']), "{word}: {text}");
                assert_eq!(text.matches('`').count() % 2, 0, "{word}: {text}");
            }
        }
    }

    #[test]
    fn nothing_is_its_own_cause() {
        fn causes(code: Code, path: &mut Vec<Code>) {
            assert!(!path.contains(&code), "{path:?} leads back to {code:?}");
            path.push(code);
            for cause in code.entry().behind {
                causes(*cause, path);
            }
            path.pop();
        }
        for code in Code::ALL {
            causes(*code, &mut Vec::new());
        }
    }
}
