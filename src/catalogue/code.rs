//! The table of problems: everything that can stand between the daemon and its job, each with a stable code. `/readyz`, `/status`,
//! systemd's line, the journal and its catalog, the metric `bothends_problem`, the Prometheus rules and the tables in
//! docs/status.md and docs/journal.md come from it.
//!
//! To add a problem: a row here (a new journal id: 128 random bits), its text as a constructor of `Problem`, then
//! `BOTHENDS_WRITE=1 cargo test --lib catalogue`, which writes its catalog entry and its rows in the docs.

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
pub struct CodeEntry {
    /// The stable word in `/status`, `/readyz`, metrics and the journal's field `PROBLEM`.
    pub word: &'static str,
    /// The name of its journal record.
    pub record: &'static str,
    /// The `MESSAGE_ID` of its journal record.
    pub message_id: &'static str,
    /// How bad it is, unless the part that states it knows better.
    pub severity: Severity,
    /// After this long it is [`Failed`], whatever it was before.
    pub fails_after: Option<Duration>,
    /// What is wrong, as a headline.
    pub title: &'static str,
    /// What it means for those who rely on the daemon.
    pub meaning: &'static str,
    /// What to do first.
    pub first_step: &'static str,
    /// The journal fields that every record of it has.
    pub fields: &'static [&'static str],
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
            behind [$($cause:ident),*] $(field $field:ident)?;
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
            pub const fn entry(self) -> &'static CodeEntry {
                match self {
                    $(Self::$variant => const { &CodeEntry {
                        word: $word,
                        record: stringify!($record),
                        message_id: $id,
                        severity: $severity,
                        fails_after: seconds(&[$($seconds)?]),
                        title: $title,
                        meaning: $meaning,
                        first_step: $first_step,
                        fields: &["COMPONENT", "ERROR", "PROBLEM", $(stringify!($field))?],
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
        Failed "This site is cut off from AWS"
        means "AWS answers no request from this site. No outage can be confirmed, and no record is opened or updated at AWS. If the Heartbeat alarm is deployed, CloudWatch pages instead."
        first "From this host, test DNS, the Internet link and the proxy: `curl -sS https://monitoring.REGION.amazonaws.com`. If they work, check the source of the credentials: `bothends check --aws`. Until then watch the tunnels with `bothends status`."
        behind [];
    AwsUnreachable "aws_unreachable"
        PROBLEM_AWS_UNREACHABLE = "e95018658214a7068c691e24604aa579"
        Degraded "AWS cannot be reached"
        means "Severity failed once a connection has no evidence from AWS: no outage can be confirmed then."
        first "From this host, test DNS, the Internet link and the proxy: `curl -sS https://monitoring.REGION.amazonaws.com`. The route to AWS must not go through the tunnels."
        behind [SiteCutOff];
    AwsThrottled "aws_throttled"
        PROBLEM_AWS_THROTTLED = "c040bbda520b49716862e091445918ec"
        Degraded "AWS throttles the daemon's requests"
        means "Evidence from AWS arrives late. Severity failed once a connection has no evidence from AWS."
        first "Find what else in the account calls the same API. If throttling persists, raise poll_interval or the service quota."
        behind [];
    AwsDenied "aws_denied"
        PROBLEM_AWS_DENIED = "575d67f99eb469fccb4513c94616d435"
        Failed "AWS denies the daemon a permission"
        means "The credentials are valid but lack the permission named here. Without evidence from AWS no outage can be confirmed."
        first "Add the named action and resource to the IAM policy of the daemon's role (docs/aws.md has the full policy)."
        behind [];
    CredentialsFailing "credentials_failing"
        PROBLEM_CREDENTIALS_FAILING = "bf33f4eb0bc40ce67994223b76b3a28c"
        Failed "The AWS credentials do not work"
        means "There are none, or AWS rejects them. The daemon can neither read AWS's view of the tunnels nor page anybody through AWS."
        first "`bothends check --aws` shows which credentials are used and what AWS answers. Renew them at their source."
        behind [];
    CredentialsSourceFailing "credentials_source_failing"
        PROBLEM_CREDENTIALS_SOURCE_FAILING = "572425228bc9701ca157b07226b7bb85"
        Degraded "The source of the AWS credentials fails"
        means "The credential_process, the metadata service or STS returns none; a network outage has the same effect. Severity failed once a connection has no evidence from AWS: no outage can be confirmed then."
        first "From this host, test DNS, the Internet link and the proxy. If they work, run `bothends check --aws` as root: it shows what the source of the credentials answers to the service."
        behind [SiteCutOff];
    CredentialsExpiring "credentials_expiring"
        PROBLEM_CREDENTIALS_EXPIRING = "0959a327fb1522b55a374a8de473a338"
        Degraded "The AWS credentials expire soon and are not renewed"
        means "They should have been renewed by now. Once they expire, no outage can be confirmed and nobody is paged through AWS."
        first "Check what renews them: the instance metadata service, the agent, or the credential_process of the profile."
        behind [SiteCutOff, CredentialsFailing, CredentialsSourceFailing];
    AwsRefuses "aws_refuses"
        PROBLEM_AWS_REFUSES = "3aa59022e9e4f0c6e5ebd4f0c8365cfd"
        Failed "AWS rejects a request"
        means "AWS calls the request invalid, and will do so until something is changed."
        first "Fix what AWS's answer names, then test with `bothends check --aws`."
        behind [];
    AwsFailing "aws_failing"
        PROBLEM_AWS_FAILING = "5eafe2bc1af7f15d1fb1a90e7d8f8d23"
        Degraded "AWS answers with server errors"
        means "The fault is at AWS. Severity failed once a connection has no evidence from AWS."
        first "Look at https://health.aws.amazon.com for the Region. The daemon keeps retrying."
        behind [];
    AwsAnswerInvalid "aws_answer_invalid"
        PROBLEM_AWS_ANSWER_INVALID = "08dd909dfaeeaacacbe80e82d86b7323"
        Degraded "An answer from AWS cannot be used"
        means "An answer, or part of it, cannot be parsed. The evidence in it is missing."
        first "Look for a proxy or firewall that changes or replaces answers. If there is none, report a bug with this journal record."
        behind [];

    ConnectionGone "connection_gone"
        PROBLEM_CONNECTION_GONE = "dc7409ffb5d3da47432666912123ee31"
        Failed "AWS has no such VPN connection"
        means "The connection was deleted or replaced, or the id, Region or account is wrong. No outage can be confirmed."
        first "List the connections: `bothends discover --tag 'Name=*'`, or `aws ec2 describe-vpn-connections --query 'VpnConnections[].VpnConnectionId'`. Add the new one to the configuration or remove this one, then `systemctl reload bothends`."
        behind [] field VPN_ID;
    ConnectionUnconfirmed "connection_unconfirmed"
        PROBLEM_CONNECTION_UNCONFIRMED = "342f9910360376d69b5587af4df814b9"
        Degraded "Nothing confirms the id of a VPN connection"
        means "CloudWatch has data for a tunnel's address but none for it under the connection's id. Either the id or the address belongs to another connection, and incidents name the wrong one; or AWS publishes this connection's data by address alone."
        first "Compare id and outside_ip with `bothends discover VPN_ID`. If they are right, set [aws] ec2_telemetry = true: EC2 then confirms them."
        behind [ConnectionGone] field VPN_ID;
    AddressesDiffer "addresses_differ"
        PROBLEM_ADDRESSES_DIFFER = "4bcaaf71dcd340abb61d5d9bc3910010"
        Degraded "AWS has other tunnel addresses than the configuration"
        means "The connection was recreated or changed, or an address is mistyped. A wrong outside_ip gets no evidence from AWS; a wrong inside_ip gets none from this end."
        first "Compare with `bothends discover VPN_ID`, correct the configuration, then `bothends check` and `systemctl reload bothends`."
        behind [] field VPN_ID;
    AddressesSwapped "addresses_swapped"
        PROBLEM_ADDRESSES_SWAPPED = "48a71923c188b75193f663d909d88d56"
        Failed "This host holds an address that should be AWS's"
        means "inside_ip or outside_ip is an address of this host, so the tunnel to AWS is not tested and our end's verdict is worthless."
        first "Set the addresses as the message says, then `systemctl reload bothends`. inside_ip is AWS's address inside the tunnel, source_ip this host's."
        behind [] field VPN_ID;
    NoAwsData "no_aws_data"
        PROBLEM_NO_AWS_DATA = "5dd7fd330e513a197ba0ab30dafb64f0"
        Degraded "AWS has no data on a tunnel"
        means "CloudWatch has no datapoint for the tunnel. Severity failed if no tunnel of the connection has a vote from both ends: no outage can be confirmed."
        first "Check outside_ip, Region and account of the connection: `bothends discover VPN_ID` shows AWS's. A new connection has data after some minutes."
        behind [ConnectionGone, AddressesDiffer] field VPN_ID;
    AwsEvidenceOld "aws_evidence_old"
        PROBLEM_AWS_EVIDENCE_OLD = "0ff066f84b75fe70cecd950606330c1c"
        Degraded "AWS's evidence on a tunnel is too old"
        means "No newer evidence arrived for stale_after. Severity failed if no tunnel of the connection has a vote from both ends: no outage can be confirmed."
        first "Does the connection still exist (`bothends discover VPN_ID`)? Does the console show TunnelState for it?"
        behind [AwsUnreachable, AwsThrottled, AwsDenied, CredentialsFailing, CredentialsSourceFailing, AwsRefuses, AwsFailing, AwsAnswerInvalid, ConnectionGone, AddressesDiffer] field VPN_ID;
    AwsEvidenceUnclear "aws_evidence_unclear"
        PROBLEM_AWS_EVIDENCE_UNCLEAR = "2d34947da9c07a3ef63f12d01c386005"
        Degraded "AWS's evidence on a tunnel cannot be used"
        means "For longer than stale_after it has contradicted itself, been dated in the future or been unreadable. Severity failed if no tunnel of the connection has a vote from both ends."
        first "`bothends status` shows what AWS reports. Compare it with the connection's page in the AWS console."
        behind [ConnectionGone, AwsAnswerInvalid] field VPN_ID;
    NeverAnswered "never_answered"
        PROBLEM_NEVER_ANSWERED = "8ebbf97c6944fc66d744958d9c067354"
        Degraded "AWS's inside address has never answered"
        means "Our end has no vote on the tunnel until it has seen it up once. Severity failed if no tunnel of the connection has a vote from both ends: no outage can be confirmed."
        first "Is the tunnel up (`swanctl --list-sas`)? Are inside_ip and source_ip this tunnel's? Does a firewall drop ICMP? Try `bothends probe`."
        behind [AddressesSwapped, AddressesDiffer] field VPN_ID;
    AddressMissing "address_missing"
        PROBLEM_ADDRESS_MISSING = "8e7bce4e2bd9622ea53b5998e62a5093"
        Degraded "This host does not have a tunnel's source address or interface"
        means "Nothing can be sent through the tunnel. Severity failed if no tunnel of the connection has a vote from both ends: no outage can be confirmed."
        first "Compare source_ip and interface with `ip address`. source_ip is this host's address, inside_ip is AWS's. Probing resumes by itself."
        behind [AddressesSwapped] field VPN_ID;
    ProbeNotPermitted "probe_not_permitted"
        PROBLEM_PROBE_NOT_PERMITTED = "a310359f4888f44f5e521df099377374"
        Failed "The daemon has no permission to send ICMP probes"
        means "Nothing is probed, so our end has no vote: no outage can be confirmed."
        first "As root, `bothends check` names the group and the sysctl to set (net.ipv4.ping_group_range). A tunnel with fwmark needs the capability of /usr/share/bothends/drop-ins/cap-net-raw.conf."
        behind [];
    ProbeFailing "probe_failing"
        PROBLEM_PROBE_FAILING = "e5616178adab09b0eaae3ee034c1620f"
        Degraded "ICMP probes cannot be sent"
        means "The kernel refuses a socket: no memory, no file descriptors, or another reason. Severity failed if no tunnel of a connection has a vote from both ends."
        first "Check the service's memory and open files: `systemctl status bothends`, `journalctl -k`."
        behind [];
    FreshSocketFails "fresh_socket_fails"
        PROBLEM_FRESH_SOCKET_FAILS = "a5d41c0a5754f1451ba4828e23a5d25f"
        Degraded "A new ICMP socket does not work"
        means "Probing continues on the current socket. A suspect tunnel or a recreated interface needs a new one, so one is tested every few minutes: it would fail then, too."
        first "Check the firewall's rules for new ICMP flows, and the service's memory and open files (`systemctl status bothends`)."
        behind [ProbeFailing, ProbeNotPermitted] field VPN_ID;
    ProbeSilent "probe_silent"
        PROBLEM_PROBE_SILENT = "8c8b7d2d3fa44f223204304d6d88ca05"
        Degraded "A tunnel is not probed"
        means "No probe has completed for too long, so our end has no vote. Severity failed if no tunnel of the connection has a vote from both ends."
        first "Is this host overloaded or stalling (`uptime`, `systemd-cgtop`)? If not, `systemctl restart bothends` and report a bug."
        behind [] field VPN_ID;

    SinkRejects "sink_rejects"
        PROBLEM_SINK_REJECTS = "d832f8aa16fad52ceae85ebaa8f38e47"
        Failed "A sink rejects what it is sent"
        means "An incident was not paged through this sink, or the sink does not know that it is over. The daemon retries until it succeeds."
        first "Fix what the sink's answer names; `bothends drill` tests the sink end to end. Until then watch `bothends status`."
        behind [] field SINK;
    SinkUnreachable "sink_unreachable"
        PROBLEM_SINK_UNREACHABLE = "0e9eb588da2e0431ee7688af548a20b9"
        Degraded for 300 "A sink cannot be reached or fails"
        means "Messages wait and are retried until the sink takes them."
        first "If it cannot be reached, test DNS, the Internet link and the proxy from this host. If it answers with errors, see its status page. Until then watch `bothends status`."
        behind [] field SINK;
    SinkIncomplete "sink_incomplete"
        PROBLEM_SINK_INCOMPLETE = "afea926d944d4375630459f20014c03f"
        Degraded "A sink takes incidents, but not all of their details"
        means "Paging works. Notes, links, or the search for records that others left open do not work."
        first "Fix what the sink's answer names, usually a permission (docs/aws.md)."
        behind [SiteCutOff, AwsUnreachable, CredentialsFailing, CredentialsSourceFailing] field SINK;
    SinkNotPrepared "sink_not_prepared"
        PROBLEM_SINK_NOT_PREPARED = "6e005ec141c68c9456925815fb84c28e"
        Degraded for 600 "A sink is not ready to be used"
        means "Its credentials, secrets or host name, tested every few minutes while nothing is to be sent, do not work. Nothing is waiting now, but the next incident could not be delivered. Severity failed only where a kind of incident of a connection has no other usable sink."
        first "Fix what the message names; `bothends drill` tests the sink end to end."
        behind [SiteCutOff, AwsUnreachable, CredentialsFailing, CredentialsSourceFailing] field SINK;
    Observe "observe"
        PROBLEM_OBSERVE = "e00e24dd00872ab492e3d9d585db8df1"
        Degraded "Nobody is paged: mode = \"observe\""
        means "Incidents are decided and recorded but sent to no sink. This is a chosen setting, so the daemon still counts as ready."
        first "When you trust what you see, set mode = \"raise\" in [incident], then `systemctl reload bothends`."
        behind [];

    MetricsFailing "metrics_failing"
        PROBLEM_METRICS_FAILING = "d9e804876507263e9542d958abd4bbeb"
        Degraded "CloudWatch does not accept the daemon's metrics"
        means "Alarms on them, the Heartbeat alarm included, see no data. The metrics are kept and sent once CloudWatch accepts them."
        first "Fix what CloudWatch's answer names, usually the permission cloudwatch:PutMetricData (docs/cloudwatch.md)."
        behind [SiteCutOff, AwsUnreachable, CredentialsFailing, CredentialsSourceFailing];
    StoreFailing "store_failing"
        PROBLEM_STORE_FAILING = "999dc6f94f0d69a3e3a01484774857ca"
        Failed "The store cannot be written to"
        means "Probing and paging continue from memory. A restart would forget open incidents and could page again."
        first "`df -h /var/lib/bothends` and `journalctl -k`: free space or fix the disk. Writing resumes by itself; do not restart before it does."
        behind [];
    ReloadRefused "reload_refused"
        PROBLEM_RELOAD_REFUSED = "0eb1b07aec17ce2a93bd0504b35d4930"
        Degraded "The configuration on disk is invalid and not in force"
        means "The previous configuration stays in force. A restart would fail."
        first "`bothends check` lists what is wrong. Fix it, then `systemctl reload bothends`."
        behind [];
    RestartNeeded "restart_needed"
        PROBLEM_RESTART_NEEDED = "53e5364407808545d109e3a0f8406f7c"
        Degraded "A changed setting needs a restart"
        means "Everything else in the configuration is in force."
        first "`systemctl restart bothends` at a convenient time."
        behind [];
    RawSockets "raw_sockets"
        PROBLEM_RAW_SOCKETS = "9b5d5dee96ecb1583ce206f2f5d7d8f9"
        Degraded "ICMP probes use raw sockets"
        means "The daemon wakes for every ICMP packet this host receives, which costs CPU on a busy router."
        first "Allow ICMP datagram sockets for the service's group with the sysctl named here."
        behind [];
    SilenceZoneUnknown "silence_zone_unknown"
        PROBLEM_SILENCE_ZONE_UNKNOWN = "5b3cfa526045de6276cb85d239f0d562"
        Degraded "The time zone of a weekly silence is unknown"
        means "Its windows cannot be reckoned: it silences nothing, and incidents are sent. It stays in the list, and comes back with its zone."
        first "Install or repair the package tzdata (`ls /usr/share/zoneinfo`). A silence that is no longer wanted: `bothends silence end ID`."
        behind [];
    ClockOff "clock_off"
        PROBLEM_CLOCK_OFF = "3b26bf8c14b4ec1be27449fc010bafd9"
        Degraded "This host's clock is wrong"
        means "Verdicts do not depend on it, and incidents and metrics use AWS's clock meanwhile. The journal's own timestamps are off."
        first "`timedatectl status`; start or fix NTP."
        behind [];
    ListenerFailing "listener_failing"
        PROBLEM_LISTENER_FAILING = "d8dc56fb5ba72c4dad93173eb226f976"
        Degraded "The HTTP listener cannot listen"
        means "Probing and paging work. `/readyz`, `/status` and `/metrics` are unavailable; Prometheus sees the daemon as down."
        first "`ss -tlnp` shows what holds the address. If the address is wrong, fix [http] listen and `systemctl restart bothends`."
        behind [];
    ListenerFileFailing "listener_file_failing"
        PROBLEM_LISTENER_FILE_FAILING = "0563d3de30279949c580a5a152e8c8df"
        Degraded "A file that protects the HTTP listener cannot be used"
        means "The listener keeps the certificate or token that it read last. A restart would fail."
        first "Fix the file that the message names. It is read again every few seconds: no reload is needed."
        behind [];
    CertificateExpiring "certificate_expiring"
        PROBLEM_CERTIFICATE_EXPIRING = "4f48d569c27067b9d8366822aa5873ff"
        Degraded "The certificate of the HTTP listener expires soon"
        means "It should have been renewed by now. Once it has expired, Prometheus, browsers and `bothends status --url` refuse it. Probing and paging do not need it."
        first "Renew the file of [http] tls_certificate. It is read again every few seconds: no reload is needed."
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
            let CodeEntry { word, title, meaning, first_step, .. } = code.entry();
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
