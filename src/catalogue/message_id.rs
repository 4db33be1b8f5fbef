//! The table of journal records: everything that is written to the journal, each kind with its `MESSAGE_ID`. The journal's catalog and
//! the table in docs/journal.md come from it. An id never changes its meaning, and none is used again. The records of problems come
//! from their own table ([`Code`]).
//!
//! To add a record: a row here (a new id: 128 random bits), its text beside those of its part, a sample in `tests/samples.rs`, then
//! `BOTHENDS_WRITE=1 cargo test --lib catalogue`, which writes its catalog entry and its row in the docs.

use log::Level;

use super::code::{Code, CodeEntry};
use super::rate_limit::{LimitKey, RateLimit};

/// A kind of record, for filters and for the journal's catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageId {
    /// Its name in this crate, in the catalog's source and in the docs.
    pub name: &'static str,
    /// 128 random bits, in hexadecimal, as `journalctl MESSAGE_ID=` takes them.
    pub id: &'static str,
    /// The levels at which such records come; the usual one first.
    pub levels: &'static [Level],
    /// How often such records are written.
    pub limit: RateLimit,
    /// What the record says, in a few words.
    pub meaning: &'static str,
    /// The journal fields that every such record has.
    pub fields: &'static [&'static str],
    /// The journal fields that some of them have.
    pub some_fields: &'static [&'static str],
    /// What `journalctl -x` shows below it.
    pub explanation: Explanation,
}

/// What the journal's catalog says of a record. Fields between at signs are filled in by the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explanation {
    /// A headline, and lines that say what it means and what to do.
    Of {
        /// The headline.
        subject: &'static str,
        /// Lines of at most 100 columns.
        runbook: &'static str,
    },
    /// The row of a problem has it.
    Problem(Code),
}

/// Declares every kind of record once, and lists them all: name, id, levels, rate limit, meaning, fields, and the catalog's text.
macro_rules! records {
    ($(
        $name:ident = $id:literal [$($level:ident),+] $limit:ident $(($key:ident))?
            $meaning:literal
            fields [$($field:ident)*] some [$($some:ident)*]
            subject $subject:literal
            $($line:literal)+;
    )*) => {
        impl MessageId {
            $(#[doc = concat!("Record: ", $meaning, ".")]
            pub const $name: Self = Self {
                name: stringify!($name),
                id: $id,
                levels: &[$(Level::$level),+],
                limit: RateLimit::$limit $((LimitKey::$key))?,
                meaning: $meaning,
                fields: &[$(stringify!($field)),*],
                some_fields: &[$(stringify!($some)),*],
                explanation: Explanation::Of { subject: $subject, runbook: concat!($($line, "\n"),+) },
            };)*

            /// Every kind of record but those of problems.
            const PLAIN: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

impl MessageId {
    /// The record by which a problem is reported: each has its own, and so its own entry in the catalog.
    pub const fn of(code: Code) -> Self {
        let CodeEntry { record, message_id, title, fields, .. } = code.entry();
        Self {
            name: record,
            id: message_id,
            levels: &[Level::Error, Level::Warn],
            limit: RateLimit::By(LimitKey::Problem),
            meaning: title,
            fields,
            some_fields: &[],
            explanation: Explanation::Problem(code),
        }
    }

    /// Every kind of record.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::PLAIN.iter().copied().chain(Code::ALL.iter().map(|code| Self::of(*code)))
    }

    /// The kind with this id.
    pub fn with_id(id: &str) -> Option<Self> {
        Self::all().find(|kind| kind.id == id)
    }
}

records! {
    SUSPICION = "d2afdb990af94abc866432545efee2c7" [Debug] By(Check)
        "a check became suspect, or no longer is"
        fields [CHECK TUNNEL_IP VPN_ID] some []
        subject "A check of @VPN_ID@ @TUNNEL_IP@ became suspect, or no longer is"
        "A reply was overdue, or replies arrive in time again. While a check is suspect it probes faster,"
        "and AWS is polled too. This is not a verdict: nothing to do. Logged at level debug only.";

    TICKS_SKIPPED = "bc2dd89216494ae3b68a85140b2f0310" [Info] By(Happening)
        "a check skipped probes"
        fields [CHECK TUNNEL_IP VPN_ID] some []
        subject "Probes to @VPN_ID@ @TUNNEL_IP@ were skipped"
        "The host slept, was too busy, or 64 probes were in flight at once. A skipped probe does not count"
        "as a loss. If this recurs, check the load of this host: `uptime`, `systemd-cgtop`.";

    END_UP = "2ada33f39d8b4fbab288a74c86a1ff71" [Info] By(End)
        "an end says that a tunnel is up"
        fields [END TUNNEL_IP VERDICT VPN_ID] some []
        subject "@END@ says that tunnel @TUNNEL_IP@ of @VPN_ID@ is up"
        "`local`: AWS's inside address answers our probes. `aws`: AWS reports the tunnel as up."
        "Nothing to do. The assessment of both ends has a record of its own.";

    END_DOWN = "9877ce4498c54335afbec816e67121c6" [Info] By(End)
        "an end says that a tunnel is down"
        fields [END TUNNEL_IP VERDICT VPN_ID] some []
        subject "@END@ says that tunnel @TUNNEL_IP@ of @VPN_ID@ is down"
        "This is one end alone and pages nobody yet. The journal record on both ends, a moment later, says"
        "how much it matters."
        "`local`: probes through the tunnel get no reply. `aws`: IKE, IPsec or (with BGP) the BGP session is"
        "down. Both ends side by side: `bothends status`. Probe by hand: `bothends probe`.";

    END_UNKNOWN = "58c16d807a484815951f90ffcae7a710" [Warn, Info] By(End)
        "an end cannot tell whether a tunnel is up"
        fields [END ERROR TUNNEL_IP VERDICT VPN_ID] some []
        subject "@END@ cannot tell whether tunnel @TUNNEL_IP@ of @VPN_ID@ is up"
        "Why: @ERROR@"
        "It votes neither up nor down. `local` at the start: this clears by itself within seconds."
        "`aws`: \"no data\" means that CloudWatch's TunnelState has no such tunnel (is outside_ip right?);"
        "\"stale\" that CloudWatch or the network path to it lags; \"gone\" that AWS does not have the"
        "connection; \"contradiction\" that CloudWatch and EC2 disagree; \"fraction\" that the tunnel has just"
        "changed: wait. `local`: \"not here\" means that the other host of the pair votes. Does AWS answer?"
        "`bothends status`, `curl 127.0.0.1:9846/readyz`.";

    NEVER_ANSWERED = "597e91fcbd5746afbb7d29bb2ad2e737" [Warn] By(End)
        "an inside address has never answered, so the local end has no vote"
        fields [END ERROR TUNNEL_IP VERDICT VPN_ID] some []
        subject "The inside address of tunnel @TUNNEL_IP@ of @VPN_ID@ has never answered"
        "Our end has no vote on this tunnel, so both ends can never agree that it is down: no outage of it"
        "can be confirmed."
        "1. Is inside_ip AWS's address and source_ip ours? Run `bothends check` and compare with the"
        "   configuration file that AWS offers for the connection."
        "2. Does a ping by hand get through: `ping -I SOURCE_IP INSIDE_IP`? Is the tunnel up:"
        "   `swanctl --list-sas`?"
        "3. Do the firewall and the IPsec policies of this gateway allow ICMP echo, both ways?";

    CANNOT_PROBE = "12ecaca17e9844f9a4c922468f40532f" [Error] By(End)
        "the kernel gives the local end no socket to probe with"
        fields [END ERROR TUNNEL_IP VERDICT VPN_ID] some []
        subject "This host cannot send probes into tunnel @TUNNEL_IP@ of @VPN_ID@"
        "Why: @ERROR@"
        "Our end has no vote until it can. This does not mean that the tunnel is down."
        "No memory or too many open files: check the host and the limits of the unit:"
        "`systemctl status bothends`, `journalctl -k`.";

    PROBE_NOT_PERMITTED = "783de78661c3433ab47d7895e25c47c6" [Error] By(End)
        "the local end has no permission to send probes"
        fields [END ERROR TUNNEL_IP VERDICT VPN_ID] some []
        subject "bothends has no permission to probe tunnel @TUNNEL_IP@ of @VPN_ID@"
        "Why: @ERROR@"
        "Our end has no vote until it can. This does not mean that the tunnel is down."
        "`sysctl net.ipv4.ping_group_range` must include the group of the service, as"
        "/etc/sysctl.d/10-bothends.conf sets it; where that is not possible,"
        "/usr/share/bothends/drop-ins/cap-net-raw.conf explains how to allow raw sockets instead.";

    PROBE_ADDRESS_MISSING = "62c8723997b44e3296bd1c65b5ccbb19" [Warn] By(End)
        "this host does not have the source address or interface of a tunnel"
        fields [END ERROR TUNNEL_IP VERDICT VPN_ID] some []
        subject "This host does not have the source address or interface of tunnel @TUNNEL_IP@ of @VPN_ID@"
        "Why: @ERROR@"
        "Our end has no vote until it can probe. This does not mean that the tunnel is down."
        "`ip address`: source_ip and interface of the configuration must exist. At boot this can take a"
        "while. Probing resumes by itself.";

    PROBES_STALLED = "8326fe4549d945118c7ae5a046e76a9f" [Warn, Info] By(End)
        "the local end sent no probes for a while, or they wait in a queue"
        fields [END ERROR TUNNEL_IP VERDICT VPN_ID] some []
        subject "Probes into tunnel @TUNNEL_IP@ of @VPN_ID@ are not leaving this host"
        "Why: @ERROR@"
        "Our end has no vote until they do. This does not mean that the tunnel is down."
        "The host slept or is too busy: `uptime`, `systemd-cgtop`. A full queue is the link's: too much"
        "traffic, or a link that is down: `ip -s link`. Probing resumes by itself.";

    HEALTHY = "4bc4a505a7b44d05878b1ab67fc17857" [Info] By(Tunnel)
        "both ends say that a tunnel is up"
        fields [ASSESSMENT AWS_VIEW LOCAL_VIEW TUNNEL_IP VPN_ID] some []
        subject "Tunnel @TUNNEL_IP@ of @VPN_ID@ is up at both ends"
        "@LOCAL_VIEW@"
        "@AWS_VIEW@"
        "Nothing to do. If the message says that records were suppressed, the tunnel is flapping: see"
        "BOTH_ENDS_DOWN.";

    BOTH_ENDS_DOWN = "547eece8bbae45e8a6a3a373efc98976" [Warn, Info] By(Tunnel)
        "both ends agree that a tunnel is down"
        fields [ASSESSMENT AWS_VIEW LOCAL_VIEW TUNNEL_IP VPN_ID] some [NOT_PASSING_SINCE]
        subject "Tunnel @TUNNEL_IP@ of @VPN_ID@ is down, and both ends agree"
        "@LOCAL_VIEW@"
        "@AWS_VIEW@"
        "Up by our end and down by AWS means that IPsec works and BGP does not: no route, no traffic."
        "If it lasts, or carried all the traffic, an incident opens. First `bothends status`: is one tunnel"
        "down, or all of them?"
        "1. IKE and IPsec: `swanctl --list-sas`, `ip xfrm state`,"
        "   `journalctl -t charon -t charon-systemd -n 50`."
        "2. The path to AWS: do UDP 500 and 4500 reach @TUNNEL_IP@?"
        "   `tcpdump -ni any host @TUNNEL_IP@`."
        "3. AWS's telemetry, with your own credentials (the query omits pre-shared keys; no --debug):"
        "   `aws ec2 describe-vpn-connections --vpn-connection-ids @VPN_ID@ --query '*[].VgwTelemetry'`"
        "   \"IPSEC IS UP\" while down means BGP: `birdc show protocols`, `vtysh`."
        "4. Maintenance by AWS: the Health Dashboard, and"
        "   `aws ec2 get-vpn-tunnel-replacement-status --vpn-connection-id @VPN_ID@ \\"
        "   --vpn-tunnel-outside-ip-address @TUNNEL_IP@`";

    DISPUTED = "9ea247f5978342e3ac209a0638986ad7" [Warn, Info] By(Tunnel)
        "the ends contradict each other"
        fields [ASSESSMENT AWS_VIEW LOCAL_VIEW TUNNEL_IP VPN_ID] some [LIKELY_SIDE NOT_PASSING_SINCE]
        subject "The ends disagree on tunnel @TUNNEL_IP@ of @VPN_ID@"
        "@LOCAL_VIEW@"
        "@AWS_VIEW@"
        "This pages nobody unless no tunnel is up at both ends for one_sided_after."
        "Down by our end and up by AWS: IKE and BGP are up, but packets do not pass. Check routes"
        "(`ip route get INSIDE_IP`), policies (`ip xfrm policy`), the firewall, and the MTU."
        "Up by our end and down by AWS: BGP is down (with `routing = \"bgp\"` this counts as down once it is"
        "confirmed), or AWS's metric lags by minutes. `bothends status` shows how old it is. AWS's"
        "telemetry, without the pre-shared keys:"
        "`aws ec2 describe-vpn-connections --vpn-connection-ids @VPN_ID@ --query '*[].VgwTelemetry'`";

    UNCONFIRMED = "479de7bd597b46818d10aee973ddf2af" [Warn, Info] By(Tunnel)
        "one end says that a tunnel is down, the other cannot tell"
        fields [ASSESSMENT AWS_VIEW LOCAL_VIEW TUNNEL_IP VPN_ID] some [LIKELY_SIDE NOT_PASSING_SINCE]
        subject "One end says that tunnel @TUNNEL_IP@ of @VPN_ID@ is down, the other cannot confirm it"
        "@LOCAL_VIEW@"
        "@AWS_VIEW@"
        "One end alone opens no incident, except `one_sided` after a while. AWS's evidence counts only if it"
        "is newer than the moment our end went down. If it is older, AWS is polled again within seconds. If"
        "this lasts, find out why the other end has no answer."
        "AWS: can this site reach it at all (`curl 127.0.0.1:9846/readyz`)? A site that is cut off looks"
        "like this."
        "Our end: see the previous journal record (END_UNKNOWN, NEVER_ANSWERED, CANNOT_PROBE, …). Then check"
        "the tunnel as under BOTH_ENDS_DOWN: `bothends status`, `swanctl --list-sas`.";

    CAUSE_NAMED = "95732c1a58804c0981ba865746b2ea0c" [Warn, Info] By(Cause)
        "the cause of a tunnel's trouble was named, or is another now"
        fields [CAUSE CONFIDENCE TUNNEL_IP VPN_ID] some [LIKELY_SIDE]
        subject "Tunnel @TUNNEL_IP@ of @VPN_ID@: the cause is @CAUSE@ (@CONFIDENCE@)"
        "The message names the evidence and the first thing to do. certain: the evidence leaves no other"
        "cause of the list. likely: it points here, and nothing against it. possible: some of it is missing."
        "unknown: it supports none of the list. Which evidence is gathered, and how to add some:"
        "/usr/share/doc/bothends/evidence.md. A cause never changes a verdict and pages nobody by itself.";

    CAUSE_GONE = "543a215c349c49e1932c946bf9d4c3fa" [Info] By(Cause)
        "the cause of a tunnel's trouble is gone"
        fields [TUNNEL_IP VPN_ID] some []
        subject "Nothing is wrong with tunnel @TUNNEL_IP@ of @VPN_ID@ any more"
        "The evidence that a cause rested on is gone. Nothing to do.";

    BLIND = "e3450bb756e84d57954d90650e7b4166" [Info] By(Tunnel)
        "neither end says down, and at least one cannot tell: an outage could not be confirmed"
        fields [ASSESSMENT AWS_VIEW LOCAL_VIEW TUNNEL_IP VPN_ID] some []
        subject "At least one end cannot tell the state of tunnel @TUNNEL_IP@ of @VPN_ID@"
        "@LOCAL_VIEW@"
        "@AWS_VIEW@"
        "Neither end says down. But if the tunnel went down now, the ends could not agree: no outage"
        "could be confirmed. This is normal for a minute after the start. If it lasts: `bothends status`,"
        "`curl 127.0.0.1:9846/readyz`.";

    MAINTENANCE_ANNOUNCED = "1a3e3bab9d143ecc5cd8ea318e5d22a5" [Warn] By(Happening)
        "AWS has announced that it will replace a tunnel's endpoint"
        fields [TUNNEL_IP VPN_ID] some [MAINTENANCE_AFTER]
        subject "AWS will replace the endpoint of tunnel @TUNNEL_IP@ of @VPN_ID@"
        "The message has the date. The tunnel goes down for some minutes, until IKE is negotiated anew. AWS"
        "replaces one tunnel of a connection at a time."
        "1. Does the other tunnel work? `bothends status`."
        "2. To choose the time yourself, apply the maintenance before that date:"
        "   `aws ec2 replace-vpn-tunnel --vpn-connection-id @VPN_ID@ \\"
        "   --vpn-tunnel-outside-ip-address @TUNNEL_IP@ --apply-pending-maintenance`"
        "3. Afterwards the tunnel stays down unless your gateway starts IKE, or its startup action at AWS is"
        "   `start` (with IKEv2).";

    MAINTENANCE_OVER = "1039814a523215ce6dce9b08cb4d22e3" [Info] By(Happening)
        "AWS has replaced a tunnel's endpoint, or has withdrawn what it announced"
        fields [TUNNEL_IP VPN_ID] some [MAINTENANCE_APPLIED]
        subject "The maintenance of tunnel @TUNNEL_IP@ of @VPN_ID@ is over"
        "The message says whether AWS replaced the endpoint. If the tunnel is down since then, IKE has not"
        "been negotiated anew: `bothends status`, `swanctl --list-sas`.";

    MAINTENANCE_UNKNOWN = "84f9f1f89d9efe45db8b10004d120d0c" [Info] By(Happening)
        "the permission to ask AWS about the maintenance of a tunnel's endpoint is missing"
        fields [TUNNEL_IP VPN_ID] some []
        subject "Whether AWS will replace the endpoint of tunnel @TUNNEL_IP@ of @VPN_ID@ is unknown"
        "Monitoring and paging work. To be told ahead, allow ec2:GetVpnTunnelReplacementStatus on the"
        "connection: deploy daemon-role.yaml again, or add the statement that `bothends check --aws` prints."
        "AWS is asked again every hour.";

    TUNNEL_DEGRADED = "44c0b2a14a5042596f2c6be13525d7a1" [Warn, Info] By(Quality)
        "a tunnel is up, but degraded by loss, latency or jitter"
        fields [QUALITY REASON TUNNEL_IP VPN_ID] some []
        subject "Tunnel @TUNNEL_IP@ of @VPN_ID@ is up, but degraded: @REASON@"
        "Probes pass, but more of them are lost than [quality] accepts, or their round trips are far above"
        "what is usual for this tunnel or than it accepts. This is our end's word alone: AWS does not"
        "measure quality. It never counts as down and pages nobody, unless a sink asks for `degraded`."
        "1. Both tunnels at once: the uplink is full or faulty. `ip -s link`, `tc -s qdisc`,"
        "   `mtr -n @TUNNEL_IP@`."
        "2. One tunnel alone: the path to that endpoint. `mtr -n @TUNNEL_IP@` beside the other's address;"
        "   move traffic to the other tunnel, and call the carrier."
        "3. Loss or jitter only under load: the tunnel's limit of 1.25 Gbit/s, or this host's CPU (`mpstat`)."
        "If this is normal for the line, set max_loss, max_rtt, max_jitter or a longer after in [quality].";

    TUNNEL_QUALITY_RESTORED = "c687ab9fd895a6acd6846bce42c420be" [Info] By(Quality)
        "a tunnel is no longer degraded"
        fields [QUALITY TUNNEL_IP VPN_ID] some []
        subject "Tunnel @TUNNEL_IP@ of @VPN_ID@ is no longer degraded"
        "Loss, latency and jitter have been as they should be for as long as [quality] after says."
        "Nothing to do. A tunnel that goes down meanwhile has no such record: its quality is unknown then.";

    FIRST_SEEN_UP = "414d4231034d42a7800ad0d3da7234e5" [Info] By(Happening)
        "an end has seen a tunnel up for the first time"
        fields [END TUNNEL_IP VPN_ID] some []
        subject "@END@ has seen tunnel @TUNNEL_IP@ of @VPN_ID@ up for the first time"
        "From now on this end's down counts: missing replies for `local`, AWS's report for `aws`."
        "This is remembered across restarts.";

    EVIDENCE_UNUSABLE = "f60d22004c4c478da0c895d4cc85476e" [Warn, Info] By(Evidence)
        "an answer from AWS contained unusable evidence"
        fields [END ERROR TUNNEL_IP VERDICT VPN_ID] some []
        subject "An answer from AWS on tunnel @TUNNEL_IP@ of @VPN_ID@ cannot be used"
        "Why: @ERROR@"
        "It counts as unknown. A value between 0 and 1 means that the tunnel changed within AWS's period;"
        "this passes. A timestamp in the future or an unreadable answer points to something between here"
        "and AWS (a proxy?) or to a change at AWS. Logged once an hour;"
        "`bothends_aws_evidence_unusable_total` counts all of them.";

    TUNNEL_STATE_ELSEWHERE = "cc56bd619bae420c818a854b622acda7" [Info] By(Happening)
        "CloudWatch has the TunnelState of a tunnel under other dimensions"
        fields [TUNNEL_IP VPN_ID] some []
        subject "CloudWatch has TunnelState of a tunnel of @VPN_ID@ under other dimensions"
        "The daemon reads it there. Your own alarms and dashboards on TunnelState need the same dimensions:"
        "the message names them.";

    TLS_FALLBACK = "c80e20f51a7946c291e77c0ba3a9465e" [Warn] By(Happening)
        "a connection needed the classic TLS key exchange"
        fields [] some []
        subject "The post-quantum key exchange does not get through"
        "Something between here and the other host breaks it, and classic elliptic curves are used. Set"
        "`tls_key_exchange = \"classic\"` under [aws], or have the firewall or proxy fixed.";

    RESUMED = "2913bc97e18043edb256c8bbc68ca22d" [Warn] By(Happening)
        "monitoring paused: the host slept or the process was stalled"
        fields [] some []
        subject "Monitoring paused for a while"
        "The host was suspended, or the process was stalled: CPU, memory, a slow disk. What happened"
        "meanwhile is not known here. No incident opens within the start grace unless both ends agree on"
        "evidence from after the pause."
        "If this host should never sleep: `journalctl -k --since -1h`, `systemctl status bothends`,"
        "`uptime`.";

    INCIDENT_PENDING = "2c4db85a219e4b67afbde24e1f1a129b" [Info] By(Condition)
        "the condition for an incident is met; it opens if this lasts"
        fields [KIND SCOPE] some [VPN_ID]
        subject "The condition for an incident on @SCOPE@ is met: @KIND@"
        "The incident opens after open_after (or one_sided_after) if the condition lasts; short breaks are"
        "subtracted. Wait, or look now with `bothends status`. Either INCIDENT_OPENED or INCIDENT_AVERTED"
        "follows.";

    INCIDENT_AVERTED = "dddec6133d6c4280bb807a939f06a8e8" [Info] By(Condition)
        "the condition ended before an incident opened"
        fields [KIND SCOPE] some [VPN_ID]
        subject "The condition on @SCOPE@ ended before an incident opened: @KIND@"
        "Nobody was paged. If this happens often, the line is flapping: see"
        "`journalctl 'SCOPE=@SCOPE@' --since -1d`.";

    INCIDENT_OPENED = "a162f22482324803b21ce10ec509918c" [Warn, Info] Unlimited
        "an incident opened"
        fields [INCIDENT KIND SCOPE SITE TUNNELS] some [CAUSE VPN_ID WITHHELD]
        subject "Incident at @SITE@: @KIND@ on @SCOPE@"
        "@TUNNELS@"
        "outage: no traffic passes. redundancy_lost: an active tunnel is down; if another carries traffic"
        "there is no hurry, but fix it before that one fails. one_sided: no tunnel is up at both ends, and"
        "the ends disagree: find out which is right. degraded: a tunnel is up, but lossy, slow or uneven:"
        "see TUNNEL_DEGRADED."
        "1. `bothends status`: what do both ends say now?"
        "2. `swanctl --list-sas`, `ip xfrm state`: are there SAs? If not: do UDP 500 and 4500 pass, is the"
        "   Internet link up?"
        "3. AWS's telemetry, with your own credentials (the query omits pre-shared keys; no --debug):"
        "   `aws ec2 describe-vpn-connections --vpn-connection-ids VPN_ID --query '*[].VgwTelemetry'`"
        "4. Did anything change? This gateway, its firewall, the connection at AWS, or maintenance there:"
        "   see the Health Dashboard and the explanation of BOTH_ENDS_DOWN."
        "An uplink, a group or the site (@SCOPE@): begin with what its connections share. WITHHELD: it is"
        "not sent, because the incident of a parent explains it, or it is silenced; it is sent as soon as"
        "that is over and it is not. What happened: `journalctl -x -t bothends --since -2h`. The incident is"
        "resolved by itself when both ends say up.";

    INCIDENT_ADOPTED = "82ce1b78a78441d8aa1838dbaa989528" [Info] Unlimited
        "an open record was found at a sink and adopted"
        fields [INCIDENT KIND SCOPE SITE TUNNELS] some [CAUSE VPN_ID WITHHELD]
        subject "An open record of @KIND@ on @SCOPE@ was found and adopted at @SITE@"
        "@TUNNELS@"
        "It was created by this daemon before it lost its store, by the other host of the pair, or by the"
        "alarm in CloudWatch. Adopting it pages nobody again; it is resolved when this site sees the"
        "connection healthy. See `bothends status`.";

    INCIDENT_CONFIRMED = "03597d1ad6784e0da9671264d585c049" [Warn, Info] Unlimited
        "this site's own evidence confirms an adopted incident"
        fields [INCIDENT KIND SCOPE SITE] some [VPN_ID WITHHELD]
        subject "@SITE@ confirms with its own evidence: @KIND@ on @SCOPE@"
        "This site now sees the fault of the adopted record itself. Continue as under INCIDENT_OPENED:"
        "`bothends status` first.";

    INCIDENT_UPDATED = "13f58fd38b7146c78aca88e0784ac14b" [Debug] By(Timeline)
        "an incident's timeline has a new entry"
        fields [INCIDENT KIND SCOPE SITE] some [VPN_ID WITHHELD]
        subject "The timeline of an incident has a new entry: @KIND@ on @SCOPE@"
        "Logged at level debug only. The timeline is in `bothends status --json` and in the record at the"
        "sink.";

    INCIDENT_WORSENED = "74e381e33bd64640b74c2913db6fd973" [Warn, Info] Unlimited
        "an incident became worse"
        fields [INCIDENT KIND SCOPE SITE] some [VPN_ID WITHHELD]
        subject "An incident became worse: @KIND@ on @SCOPE@"
        "Another tunnel is down, or one that had recovered is down again. If somebody closed the record, a"
        "new one is created. See `bothends status`. If it is always the same tunnel, the line is flapping:"
        "check the Internet link, DPD and rekeying (`journalctl -t charon -t charon-systemd`), and AWS's"
        "side as under INCIDENT_OPENED.";

    INCIDENT_RELEASED = "4be5c6ce1f6f4f0f9d4e6b8f0a3b7d21" [Warn] Unlimited
        "an incident that was withheld is sent now"
        fields [INCIDENT KIND SCOPE SITE] some [VPN_ID]
        subject "An incident that was not sent is sent now: @KIND@ on @SCOPE@"
        "A silence or the incident of a parent withheld its record. That is over, and this incident is not:"
        "it has a cause of its own, or outlasted the planned time. Continue as under INCIDENT_OPENED.";

    SILENCE_ADDED = "7a088af096784fe0996b7a1f5d8b8c86" [Info] Unlimited
        "a silence was added"
        fields [BY_UID REASON SCOPE SILENCE UNTIL] some [TUNNEL_IP VPN_ID]
        subject "Silence @SILENCE@ was added for @SCOPE@"
        "Why: @REASON@. By the user id @BY_UID@ (`getent passwd @BY_UID@`); its window ends at @UNTIL@."
        "Incidents of it that open in the window are recorded and not sent. What is still down when it ends"
        "is sent then. The other host of a pair does not know of it. `bothends silence list`.";

    SILENCE_BEGAN = "5cbc60bf184d491ba215a4d87c97ba0f" [Info] Unlimited
        "the window of a silence began"
        fields [BY_UID REASON SCOPE SILENCE UNTIL] some [TUNNEL_IP VPN_ID]
        subject "Silence @SILENCE@ began for @SCOPE@"
        "Why: @REASON@. Until @UNTIL@ incidents of it that open are recorded and not sent. Also logged when"
        "the daemon starts within the window. To end it now: `bothends silence end @SILENCE@`.";

    SILENCE_ENDED = "7570c47893b0434d8275dd39eb0f0c53" [Info] Unlimited
        "a silence ended, or one of its weekly windows"
        fields [REASON SCOPE SILENCE UNTIL] some [BY_UID TUNNEL_IP VPN_ID]
        subject "Silence @SILENCE@ ended for @SCOPE@"
        "What is still down by both ends is sent now, with its true start (INCIDENT_RELEASED). BY_UID is"
        "there if somebody ended it by hand. `bothends silence list` shows those that are left.";

    INCIDENT_CLEARING = "d5d4f4440f3b4130b5465a040f54b9e6" [Info] By(Condition)
        "an incident is clearing: it is resolved if this lasts"
        fields [INCIDENT KIND SCOPE SITE] some [VPN_ID WITHHELD]
        subject "An incident seems to be over: @KIND@ on @SCOPE@"
        "It is resolved if this lasts for resolve_after; after repeated incidents within a day it has to"
        "last longer. Nothing to do.";

    INCIDENT_REOPENED = "61bddc01f5a14fa4ab599369f6ddfc18" [Warn, Info] By(Condition)
        "an incident that was clearing is not over"
        fields [INCIDENT KIND SCOPE SITE] some [VPN_ID WITHHELD]
        subject "An incident is not over: @KIND@ on @SCOPE@"
        "The recovery did not last long enough. Continue as under INCIDENT_OPENED: `bothends status` first.";

    INCIDENT_RESOLVED = "85cc0d8fd3da437a800cf7c4e8293f60" [Info] Unlimited
        "an incident is resolved"
        fields [INCIDENT KIND SCOPE SITE] some [VPN_ID WITHHELD]
        subject "An incident is resolved: @KIND@ on @SCOPE@ at @SITE@"
        "Its closing condition has held long enough. Every sink is informed: INCIDENT_SETTLED follows, or"
        "the record of a problem with the sink says what is in the way. What happened:"
        "`journalctl INCIDENT=@INCIDENT@`.";

    INCIDENT_UNWATCHED = "a4c2c9183f6446d798342661fa54dcf2" [Warn, Info] Unlimited
        "the connection of an open incident was removed from the configuration"
        fields [INCIDENT KIND SCOPE SITE] some [VPN_ID WITHHELD]
        subject "@SCOPE@ was removed from the configuration while its incident is open: @KIND@"
        "This daemon no longer monitors the connection, so it cannot tell when the incident is over. Its"
        "records stay open: close them by hand, or put the connection back and reload.";

    INCIDENT_HANDED_OVER = "c9a60eeed52349c3a826e4b091dd9bcb" [Info] Unlimited
        "an open incident was handed over to the host that now holds the address"
        fields [INCIDENT KIND SCOPE SITE] some [VPN_ID WITHHELD]
        subject "An incident was handed over to the other host of the pair: @KIND@ on @SCOPE@"
        "This host no longer holds the address of votes_if_address. The record stays open; the host that"
        "holds the address adopts it within five minutes (INCIDENT_ADOPTED there). If none does: is the"
        "daemon running on the other host?";

    INCIDENT_MISSED = "25897a07c499454699d6252d32b4477f" [Warn, Info] Unlimited
        "an incident began and ended while AWS was unreachable; nobody was paged"
        fields [INCIDENT KIND SCOPE SITE] some [VPN_ID WITHHELD]
        subject "There was an incident while AWS could not be reached: @KIND@ on @SCOPE@"
        "It is over, and nobody was paged, because this site was cut off. It was found afterwards from our"
        "own probes and AWS's history: for the report, not for the pager. To be paged next time, deploy the"
        "CloudWatch alarm on a missing Heartbeat, and give this host a route to AWS that does not go through"
        "these tunnels.";

    INCIDENT_SETTLED = "b8e9d7778f344e4d80fb298cb9d1d7fc" [Info] Unlimited
        "every sink has been informed that an incident is over"
        fields [INCIDENT KIND SCOPE SITE] some [VPN_ID WITHHELD]
        subject "Every sink has been informed that an incident is over: @KIND@ on @SCOPE@"
        "Its records are closed, by this daemon or by somebody else. Nothing to do.";

    RECORD_LEFT_OPEN = "459a1e2d512946b395c399f9fccdd637" [Warn] Unlimited
        "a configuration change removed the sink of an open incident; its record stays open there"
        fields [INCIDENT KIND SCOPE SINK] some [VPN_ID]
        subject "The record of @KIND@ of @SCOPE@ stays open at @SINK@"
        "The configuration was changed while the sink @SINK@ had this incident open: the sink was removed,"
        "points elsewhere, no longer takes this kind or connection, or mode = \"observe\" sends nothing. The"
        "daemon will not close what it opened there: find the record and close it by hand.";

    RECORD_STAYS_OPEN = "59c2e3b6d805eaf68580a40a5a172277" [Warn] Unlimited
        "the daemon stops while a sink has an open record"
        fields [INCIDENT KIND SCOPE SINK] some [VPN_ID]
        subject "The record of @KIND@ of @SCOPE@ stays open at @SINK@ while the daemon is stopped"
        "Nothing to do if the daemon is started again: it resolves the record once both ends say that the"
        "tunnels are up. If this gateway is taken out of service, close it by hand at @SINK@.";

    RECORD_CREATED = "df9194fe06074c56a504fde63f92c923" [Info] By(Happening)
        "a record was created at a sink"
        fields [INCIDENT KIND SCOPE SINK] some [VPN_ID]
        subject "A record of @KIND@ on @SCOPE@ was created at @SINK@"
        "The people whom the sink pages are paged now. For the incident itself see INCIDENT_OPENED and"
        "`bothends status`.";

    RECORD_CREATED_UNCHECKED = "03389afed18c4f289831020721276387" [Warn] By(Happening)
        "a record is created although the sink could not be searched for an open one"
        fields [INCIDENT KIND SCOPE SINK] some [VPN_ID]
        subject "A record of @KIND@ on @SCOPE@ is created at @SINK@ without looking for an open one"
        "Listing the records fails, and a page does not wait for that. If there is an open record already,"
        "the duplicate is closed as soon as the list can be read. What is wrong with the sink:"
        "`bothends status`.";

    RECORD_ADOPTED = "67e86d6afd8f4233978625ec6709b901" [Info] By(Happening)
        "a record that was open at a sink already was adopted"
        fields [INCIDENT KIND SCOPE SINK] some [VPN_ID]
        subject "An open record of @KIND@ on @SCOPE@ at @SINK@ was adopted"
        "The alarm in CloudWatch or the other host of the pair created it. Nobody is paged twice, and this"
        "daemon closes it when the incident is over. Nothing to do.";

    RECORD_CLOSED = "92b5541930014da3960c3717ee8c2ea3" [Info] By(Happening)
        "the record of an incident that is over was closed at a sink"
        fields [INCIDENT KIND SCOPE SINK] some [VPN_ID]
        subject "The record of @KIND@ on @SCOPE@ was closed at @SINK@"
        "The incident is over. Nothing to do.";

    RECORD_DUPLICATE_CLOSED = "09b8cb7052c34c85a3e2b3c13efab302" [Info] By(Happening)
        "one of two open records of an incident was closed at a sink"
        fields [INCIDENT KIND SCOPE SINK] some [VPN_ID]
        subject "A duplicate record of @KIND@ on @SCOPE@ was closed at @SINK@"
        "Two records of one incident were open; the older one stays. Continue with that one;"
        "somebody may have been paged by both.";

    RECORD_LEFTOVER_CLOSED = "adca9bb50bb4448c9d37001ea42109f0" [Info] By(Happening)
        "a record that an earlier incident left open was closed at a sink"
        fields [INCIDENT KIND SCOPE SINK] some [VPN_ID]
        subject "A record of @KIND@ on @SCOPE@ that was left open at @SINK@ was closed"
        "Its incident is over. Nothing to do.";

    RECORD_CLOSED_BY_OTHERS = "b8bb52d8dbb44c79837c38a99f41cb43" [Info] By(Happening)
        "somebody else closed the record of an open incident"
        fields [INCIDENT KIND SCOPE SINK] some [VPN_ID]
        subject "Somebody closed the record of @KIND@ on @SCOPE@ at @SINK@; the incident is still open"
        "It stays closed until the incident worsens: then a new one is created. `bothends status` shows"
        "whether the tunnels are still down.";

    RECORD_MISSING = "88f96b18a83147e4afa308d9c76a4243" [Warn] By(Happening)
        "the record of an incident no longer exists at a sink"
        fields [INCIDENT KIND SCOPE SINK] some [VPN_ID]
        subject "The record of @KIND@ on @SCOPE@ no longer exists at @SINK@"
        "It counts as closed by a person: a new one is created only if the incident worsens. If nobody"
        "deleted it, check that account and Region are still right. `bothends status` shows the incident.";

    RECORD_ABANDONED = "0e5d6b66281b43fb929008fe0ad28513" [Warn] By(Happening)
        "a record stays open at a sink, and its incident is no longer known"
        fields [INCIDENT KIND SCOPE SINK] some [VPN_ID]
        subject "A record of @KIND@ on @SCOPE@ stays open at @SINK@; its incident is unknown here"
        "The connection was removed from the configuration, or the store was lost. The daemon cannot tell"
        "when it is over: compare with `bothends status`, then close the record by hand at @SINK@.";

    MESSAGE_DELIVERED = "ffe708bf5329419a938e73938b5afa8f" [Info] By(Happening)
        "a sink took a message about an incident"
        fields [INCIDENT KIND SCOPE SINK] some [VPN_ID]
        subject "@SINK@ took a message about @KIND@ on @SCOPE@"
        "Nothing to do.";

    END_NOT_SENT = "b30f5a384dae46e39e4f628014be72a5" [Warn] By(Happening)
        "a sink rejected that an incident is over, and a later one is open"
        fields [INCIDENT KIND SCOPE SINK] some [VPN_ID]
        subject "@SINK@ was not informed that an earlier @KIND@ on @SCOPE@ is over"
        "It rejected the message, and sending it now would close the later incident of the same kind. If"
        "the earlier one has an alert of its own at @SINK@, close it by hand.";

    LEDGER_UNREADABLE = "68b9390e2808434c94ba54f2c25519d4" [Error] By(Happening)
        "what was sent to a sink before the start cannot be read"
        fields [ERROR SINK] some []
        subject "What was sent to @SINK@ before the start cannot be read"
        "@ERROR@"
        "Open records are looked for at the sink. A sink that takes only messages may get one again under"
        "the same id. Check the disk: `df -h /var/lib/bothends`, `journalctl -k -p err`.";

    ADDRESS_HELD = "77f192e510e04bfa8a3fd55354f25081" [Info] By(Address)
        "this host holds the address of votes_if_address: it probes and votes"
        fields [ADDRESS] some []
        subject "This host holds @ADDRESS@: it probes and votes"
        "Expected after a failover. The other host of the pair should log ADDRESS_NOT_HELD.";

    ADDRESS_NOT_HELD = "9b10664c53ac466d9254addcff902803" [Info] By(Address)
        "this host does not hold the address of votes_if_address: it does not probe or vote"
        fields [ADDRESS] some []
        subject "This host does not hold @ADDRESS@: it does not probe or vote"
        "It keeps reading AWS's view. One host of the pair must hold the address: if neither does, nobody is"
        "paged for anything. Check VRRP: `ip address`, `journalctl -u keepalived`.";

    ADDRESS_UNKNOWN = "b2cbea897d104c13bd56b956f318f3ed" [Warn] By(Happening)
        "it cannot be found out whether this host holds the address of votes_if_address"
        fields [ADDRESS] some []
        subject "Does this host hold @ADDRESS@? It cannot be found out"
        "The last known state is kept. Check the memory and open files of the service:"
        "`systemctl status bothends`.";

    PROBLEM_ENDED = "7b06607bb1f84637bdf52c0b4121cf24" [Info] By(Problem)
        "a problem is over"
        fields [COMPONENT PROBLEM] some [SINK VPN_ID]
        subject "A problem is over: @COMPONENT@"
        "Nothing to do. What was waiting is sent or written by itself.";

    STARTED = "bcb47757f9e4418a80a6f6e546f92784" [Info] Unlimited
        "the daemon started"
        fields [] some []
        subject "bothends has started"
        "It monitors what the message names. With `observe` it decides and records everything, and pages"
        "nobody.";

    STOPPING = "de9301e615ec4e16abec51af39f4054f" [Info] Unlimited
        "the daemon is stopping"
        fields [] some []
        subject "bothends is stopping"
        "From now on nothing monitors the tunnels from this host. Open incidents stay open and are resumed"
        "at the next start.";

    CONFIGURATION_RELOADED = "8f93d266ec1d45d199e7dad2f119d0c1" [Info] Unlimited
        "a new configuration is in force"
        fields [] some []
        subject "A new configuration is in force"
        "Whatever did not change continues as before. `bothends check` prints a summary of the"
        "configuration.";

    CONFIGURATION_REFUSED = "ad2f4e2e141849c39cea127f85d545da" [Error] Unlimited
        "a reload was refused; the previous configuration stays in force"
        fields [ERROR] some []
        subject "The configuration is invalid; the previous one stays in force"
        "@ERROR@"
        "Nothing has changed for the running daemon, but it would not start again with these files. Fix"
        "them, test with `bothends check`, then `systemctl reload bothends`. Until a reload succeeds,"
        "`systemctl status bothends` says that it was refused.";

    CONFIGURATION_WARNING = "7220615a8e086befcc884bedf36833fb" [Warn] Unlimited
        "the configuration was loaded with warnings"
        fields [ERROR] some []
        subject "The configuration was loaded with warnings"
        "@ERROR@"
        "`bothends check` prints the warning again, and a summary of the configuration.";

    LOG_LEVEL_INVALID = "0e24ecf56f7d4f71acfca1666e303a90" [Warn] Unlimited
        "BOTHENDS_LOG or RUST_LOG sets no log level"
        fields [ERROR] some []
        subject "The log level in the environment is invalid"
        "@ERROR@"
        "The level is info meanwhile. Fix the variable (`systemctl edit bothends`), then"
        "`systemctl restart bothends`.";

    CANNOT_START = "9927b5fba811b4cf51fcb1ff1e38ea7b" [Error] Unlimited
        "the daemon cannot start: the host lacks something"
        fields [ERROR] some []
        subject "bothends cannot start; nothing monitors the tunnels from this host"
        "@ERROR@"
        "Fix what the message names, then `systemctl restart bothends`. Exit code 70 is the host: no memory,"
        "threads or disk, or another bothends that is already running.";

    CANNOT_START_CONFIGURATION = "b82d2e1594564fccaadb85efc3c3fefd" [Error] Unlimited
        "the daemon cannot start: its configuration is invalid"
        fields [ERROR] some []
        subject "bothends cannot start with this configuration; nothing monitors the tunnels from this host"
        "@ERROR@"
        "Exit code 78 is the configuration: `bothends check` lists every error. Fix them, then"
        "`systemctl restart bothends`.";

    CANNOT_START_PERMISSION = "13651a79a2ed4546833a775031c1ce53" [Error] Unlimited
        "the daemon cannot start: it lacks a permission"
        fields [ERROR] some []
        subject "bothends cannot start without a permission; nothing monitors the tunnels from this host"
        "@ERROR@"
        "Exit code 77 is a permission: the message says how to grant it (for ICMP:"
        "/usr/share/bothends/drop-ins/cap-net-raw.conf). Then `systemctl restart bothends`.";

    UNFINISHED = "75b11a5828c80dc02cfb88998e0c5305" [Warn] Unlimited
        "shutdown timed out with work unfinished"
        fields [] some []
        subject "bothends stopped with work unfinished"
        "A request to AWS or a write to the disk had not completed. Unfinished requests are retried at the"
        "next start.";

    FACTS_DROPPED = "7e8689be2181439295851f34d7e189c5" [Error] By(Happening)
        "events were dropped because a queue was full"
        fields [COMPONENT] some []
        subject "Events did not reach a part of bothends: @COMPONENT@"
        "Its queue was full: it is too slow. Verdicts and incidents are not affected; the history has a gap."
        "If it is the store: is the disk slow or full? `iostat -x 1`, `df -h /var/lib/bothends`.";

    METRICS_TOO_OLD = "464c211c660f4febb4e5eab50fa21656" [Warn] By(Happening)
        "rollups waited until CloudWatch takes them no more"
        fields [] some []
        subject "Metrics are too old for CloudWatch and are dropped"
        "CloudWatch takes nothing older than two weeks. For the cause, see PROBLEM_METRICS_FAILING."
        "`bothends_rollups_dropped_total` counts them. Paging does not depend on them.";

    METRICS_IN_FUTURE = "bccd8123b5a54871b0b30be3acd7d78a" [Warn] By(Happening)
        "rollups are dated in the future by the clock of AWS"
        fields [] some []
        subject "Metrics are dated in the future and are dropped"
        "The clock of this host was ahead of AWS's: `timedatectl status`; fix NTP."
        "`bothends_rollups_dropped_total` counts them. Paging does not depend on them.";

    METRIC_REJECTED = "87f0924115e44bd49ebfb579bff3d9c9" [Warn] By(Happening)
        "CloudWatch rejects a metric"
        fields [DIMENSIONS METRIC] some []
        subject "CloudWatch rejects a metric, which is dropped"
        "The message has the metric and the answer of CloudWatch. The others are sent. If it recurs, report"
        "a bug. `bothends_rollups_dropped_total` counts them. Paging does not depend on them.";

    STORE_DAMAGED = "38809c8917f9400084788f27daeaf0e0" [Error] By(Happening)
        "the file of the store was damaged; a new one was created from memory"
        fields [] some []
        subject "The file of the store was damaged"
        "It is kept beside the new one, as the message says. Incidents are also held in memory, so paging"
        "continues and nothing that is open is forgotten. Check the disk: `journalctl -k -p err`.";

    STORE_FILE_REPLACED = "b7f73c5ee9024ac3ac5febcdfbd147ed" [Error] By(Happening)
        "the file of the store was removed or replaced"
        fields [] some []
        subject "Somebody removed or replaced the file of the store"
        "It is written again from memory. Only bothends may write in its directory: what else does"
        "(`lsof +D /var/lib/bothends`; a backup, a cleanup job)?";

    STORE_ENTRY_UNREADABLE = "7ff842e619c74ff88a9b4f66267a771d" [Warn] By(Happening)
        "an entry of the store cannot be read"
        fields [ENTRY] some []
        subject "An entry of the store cannot be read"
        "The message names it. The rest is used. Check the disk (`journalctl -k -p err`), and whether a"
        "newer release wrote the file.";

    STORE_FULL = "6fd598f9c2b44da1ac49e94d93cf0383" [Warn] By(Happening)
        "the store drops the oldest unsent metrics"
        fields [] some []
        subject "The store is full, or its retention is exceeded"
        "The oldest metrics that CloudWatch has not taken are dropped;"
        "`bothends_rollups_dropped_total` counts them. For the cause, see PROBLEM_METRICS_FAILING. To"
        "keep more, raise max_size or keep under [store]. Paging does not depend on them.";

    STORE_SECOND_INCIDENT = "f8f64438cfac421f841fddf3991fd24b" [Warn] By(Happening)
        "a store that was unusable until now has another open incident of the same kind"
        fields [INCIDENT KIND SCOPE] some [VPN_ID]
        subject "A second open incident was found in the store, and is closed there"
        "The file could not be used at the start, and an incident of the same kind has opened since. Check"
        "whether the record of the one that the message names is still open at a sink; if so, close it.";

    STORE_SILENCE_RENUMBERED = "ddbb42b020236439d87eec1d7a4d38f6" [Warn] By(Happening)
        "a silence of a store that was unusable until now has another number"
        fields [ENTRY REASON SCOPE SILENCE] some []
        subject "A stored silence has a new number"
        "The file could not be used at the start, and a silence added since got the same number."
        "Both are in force. End the stored one by its new number: `bothends silence list` shows both.";

    CONTROL_SOCKET_FAILING = "b3cd3e3f3011452b9efd217d7102c4ff" [Warn] By(Happening)
        "the control socket cannot be used"
        fields [ERROR] some []
        subject "`bothends reload` cannot reach the daemon"
        "@ERROR@"
        "Monitoring and paging work. Fix what the message names (`ls -ld /run/bothends`), then"
        "`systemctl restart bothends`.";

    STUCK = "4241784f47bd409eb62680dcda0e1746" [Error] By(Happening)
        "a part of the daemon makes no progress"
        fields [COMPONENT] some []
        subject "bothends is stuck: @COMPONENT@"
        "With the watchdog of the unit on, systemd restarts it. Otherwise: `systemctl restart bothends`."
        "Is the host overloaded (`uptime`, `systemd-cgtop`)? If not, report a bug with the records before"
        "this one.";

    PROBE_INTERNAL_ERROR = "535635a3dcf24958acba3a253c6448df" [Error] By(Happening)
        "a probe failed through an error in bothends"
        fields [] some [TUNNEL_IP VPN_ID]
        subject "An internal error in probing"
        "Verdicts continue; what cannot be probed counts as unknown, never as down. Report a bug with this"
        "record.";

    RECORDS_DROPPED = "f1789da6056f488892b6c220702c5d38" [Warn] Unlimited
        "journal records were dropped because journald did not take them"
        fields [] some []
        subject "Journal records are missing here"
        "journald was not running, or did not read for so long that the queue was full. Records are missing"
        "between the previous record and this one. Metrics and status are not affected: `bothends status`,"
        "`curl 127.0.0.1:9846/metrics`. Check `systemctl status systemd-journald`,"
        "`journalctl --disk-usage` and the disk.";

    LIBRARY_NOTICE = "e67f4d22c5ea15e8a601445895c286e3" [Error, Warn] By(Library)
        "a warning from a library"
        fields [] some []
        subject "A warning from a library that bothends uses"
        "If it affects the tunnels, records of bothends itself say so; otherwise ignore it.";

    DEBUG_DETAIL = "0661f1de3cec4c159f86d964b41bc6a8" [Debug] By(Happening)
        "a detail for finding a fault"
        fields [DETAIL] some []
        subject "A detail"
        "Logged at level debug only. Nothing to do.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_id_and_no_name_is_used_twice() {
        let kinds = MessageId::all().count();
        let ids: BTreeSet<_> = MessageId::all().map(|kind| kind.id).collect();
        let names: BTreeSet<_> = MessageId::all().map(|kind| kind.name).collect();
        assert_eq!((ids.len(), names.len()), (kinds, kinds));
    }

    #[test]
    fn records_of_pages_and_of_requests_are_never_suppressed() {
        let never = [
            MessageId::INCIDENT_OPENED,
            MessageId::INCIDENT_ADOPTED,
            MessageId::INCIDENT_CONFIRMED,
            MessageId::INCIDENT_WORSENED,
            MessageId::INCIDENT_RESOLVED,
            MessageId::INCIDENT_UNWATCHED,
            MessageId::INCIDENT_HANDED_OVER,
            MessageId::INCIDENT_MISSED,
            MessageId::INCIDENT_SETTLED,
            MessageId::RECORD_LEFT_OPEN,
            MessageId::RECORD_STAYS_OPEN,
            MessageId::SILENCE_ADDED,
            MessageId::SILENCE_BEGAN,
            MessageId::SILENCE_ENDED,
            MessageId::STARTED,
            MessageId::STOPPING,
            MessageId::CONFIGURATION_RELOADED,
            MessageId::CONFIGURATION_REFUSED,
            MessageId::CANNOT_START,
            MessageId::CANNOT_START_CONFIGURATION,
            MessageId::CANNOT_START_PERMISSION,
            MessageId::RECORDS_DROPPED,
        ];
        for kind in never {
            assert_eq!(kind.limit, RateLimit::Unlimited, "{}", kind.name);
        }
    }

    #[test]
    fn every_id_has_the_journals_form() {
        for kind in MessageId::all() {
            assert!(
                kind.id.len() == 32
                    && kind.id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
                "{} has {:?}",
                kind.name,
                kind.id
            );
        }
    }
}
