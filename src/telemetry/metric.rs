//! Every metric's name, type, labels, help and unit: the table behind the recorder, the scrape and docs/metrics.md.

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name; a unit is its suffix.
    pub name: &'static str,
    /// Its type.
    pub kind: MetricKind,
    /// Its labels, in the order of their values.
    pub labels: &'static [&'static str],
    /// Its help, one sentence.
    pub help: &'static str,
}

/// A metric's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values by size.
    Histogram,
}

impl MetricKind {
    /// Its word in the exposition format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Metric {
    /// The unit, from the name's suffix.
    pub fn unit(&self) -> &'static str {
        let stem = self.name.trim_end_matches("_total");
        if stem.ends_with("_seconds") {
            "seconds"
        } else if stem.ends_with("_bytes") {
            "bytes"
        } else {
            ""
        }
    }
}

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(#[doc = $help]
        pub const $constant: Metric =
            Metric { name: $name, kind: MetricKind::$kind, labels: &[$($label),*], help: $help };)*

        /// Every metric.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    READY = Gauge "bothends_ready" []
        "1 if the daemon can decide and page for every connection, as in /readyz, else 0.";
    PROBLEM = Gauge "bothends_problem" ["code", "component"]
        "1 while a problem is open, 0 once it is over; each code is explained in status.md.";
    MODE = Gauge "bothends_mode" ["mode"]
        "1 for the mode in force (raise, observe), else 0; in observe mode nobody is paged.";
    VPN_INFO = Gauge "bothends_vpn_info" ["vpn", "name", "site", "region"]
        "Always 1; the connection's name, its AWS Region if it is configured, the gateway's site, and your own labels are in the labels.";
    TUNNEL_INFO = Gauge "bothends_tunnel_info" ["vpn", "tunnel", "name", "role", "site", "region"]
        "Always 1; the tunnel's name and role, its connection's Region, the gateway's site, and your own labels are in the labels.";
    TUNNEL_VERDICT = Gauge "bothends_tunnel_verdict" ["vpn", "tunnel", "end", "verdict"]
        "1 for the current verdict (up, down, unknown) of an end (local, aws) on a tunnel, else 0.";
    TUNNEL_ASSESSMENT = Gauge "bothends_tunnel_assessment" ["vpn", "tunnel", "assessment"]
        "1 for the current assessment of a tunnel from both ends, else 0; disputed and unconfirmed name the end that says down.";
    TUNNEL_CARRYING = Gauge "bothends_tunnel_carrying" ["vpn", "tunnel", "carrying"]
        "1 for the current answer to whether a tunnel carries traffic (carrying, not_carrying, cannot_tell), else 0.";
    TUNNEL_CAUSE = Gauge "bothends_tunnel_cause" ["vpn", "tunnel", "cause"]
        "1 for the cause named for a tunnel's trouble (evidence.md lists them), else 0; all are 0 while nothing is wrong.";
    EVIDENCE_AVAILABLE = Gauge "bothends_evidence_available" ["vpn", "tunnel", "source"]
        "1 if a source of evidence (ipsec, bgp, path, trace, mtu) had an answer on a tunnel when it was last asked, else 0; absent until then.";
    TUNNEL_DEGRADED = Gauge "bothends_tunnel_degraded" ["vpn", "tunnel", "reason"]
        "1 while a tunnel is up, but degraded for this reason (loss, latency, jitter), else 0.";
    TUNNEL_RTT_USUAL = Gauge "bothends_tunnel_rtt_usual_seconds" ["vpn", "tunnel"]
        "Usual median round-trip time of a tunnel, over the last 24 hours; absent until it is known.";
    TUNNEL_JITTER = Gauge "bothends_tunnel_jitter_seconds" ["vpn", "tunnel"]
        "Jitter of a tunnel: from its median round-trip time to the 90th percentile; absent while it is not up.";
    TUNNEL_LAST_REPLY = Gauge "bothends_tunnel_last_reply_timestamp_seconds" ["vpn", "tunnel"]
        "Time of the last probe reply through a tunnel, in Unix time; absent until the first reply since the start.";
    TUNNEL_STOPPED = Gauge "bothends_tunnel_not_passing_since_timestamp_seconds" ["vpn", "tunnel"]
        "Time at which packets stopped passing through a tunnel, in Unix time; 0 while they pass or it is not known.";
    TUNNEL_MAINTENANCE = Gauge "bothends_tunnel_maintenance_pending" ["vpn", "tunnel"]
        "1 while AWS has announced a replacement of the tunnel's endpoint, else 0; absent while AWS has not been asked or denies the answer.";
    TUNNEL_MAINTENANCE_BY = Gauge "bothends_tunnel_maintenance_by_timestamp_seconds" ["vpn", "tunnel"]
        "Time soon after which AWS replaces the tunnel's endpoint by itself, in Unix time; 0 while no date is announced, absent as the metric before it.";
    ECHOES = Counter "bothends_echoes_total" ["vpn", "tunnel", "check", "outcome"]
        "ICMP probes by outcome; fault is a local send error and does not count as loss. Probes of a host behind the tunnel (check through) have its address in a label host.";
    ECHO_RTT = Histogram "bothends_echo_rtt_seconds" ["vpn", "tunnel", "check"]
        "Round-trip times of answered probes, late replies included.";
    TICKS_SKIPPED = Counter "bothends_ticks_skipped_total" ["vpn", "tunnel", "check"]
        "Probes skipped because the host slept, was too busy, or too many probes were in flight.";
    INCIDENT_OPEN = Gauge "bothends_incident_open" ["scope", "name", "vpn", "kind"]
        "1 while an incident of this kind is open, else 0. Its scope is a connection (with its id in vpn) or what several share: a group, an uplink or the site.";
    INCIDENT_WITHHELD = Gauge "bothends_incident_withheld" ["scope", "name", "vpn", "kind"]
        "1 while an open incident of this kind is not sent, because the incident of a parent explains it or it is silenced, else 0.";
    PARENT_STATE = Gauge "bothends_parent_state" ["scope", "name", "state"]
        "1 for the current state (up, down, unknown) of a group, an uplink or the site, else 0.";
    SILENCED = Gauge "bothends_silenced" ["scope", "name", "vpn", "tunnel"]
        "1 while a silence covers the site, a group, an uplink, a connection or a tunnel, else 0.";
    SINK_REQUESTS = Counter "bothends_sink_requests_total" ["sink", "action", "result"]
        "Requests to a sink, by action and result.";
    SINK_PENDING = Gauge "bothends_sink_pending" ["sink"]
        "Incidents not yet synced to the sink.";
    AWS_POLLS = Counter "bothends_aws_polls_total" ["source", "result"]
        "AWS polls for tunnel status, by API and result.";
    EVIDENCE_AGE = Gauge "bothends_evidence_age_seconds" ["vpn", "tunnel", "end"]
        "Age of an end's newest evidence on a tunnel: for local, of the last reply (absent before the first); for aws, as bothends_aws_evidence_age_seconds.";
    AWS_EVIDENCE_AGE = Gauge "bothends_aws_evidence_age_seconds" ["vpn", "tunnel"]
        "Age of AWS's newest evidence on a tunnel; before the first, the time since monitoring began.";
    AWS_EVIDENCE_UNUSABLE = Counter "bothends_aws_evidence_unusable_total" ["vpn", "tunnel", "why"]
        "Evidence from AWS that could not be used: unreadable, or dated in the future.";
    METRICS_REQUESTS = Counter "bothends_metrics_requests_total" ["result"]
        "PutMetricData requests to CloudWatch, by result.";
    ROLLUPS_PENDING = Gauge "bothends_rollups_pending" []
        "One-minute rollups of tunnels queued for CloudWatch.";
    ROLLUPS_DROPPED = Counter "bothends_rollups_dropped_total" []
        "One-minute rollups of tunnels that will never reach CloudWatch: too old, rejected, no room in the store, lost with a damaged store, or dated by a clock that was ahead.";
    CREDENTIALS_EXPIRY = Gauge "bothends_credentials_expiry_timestamp_seconds" []
        "Time at which the AWS credentials in use expire, in Unix time; absent if they do not.";
    CLOCK_OFFSET = Gauge "bothends_clock_offset_seconds" []
        "How far this host's clock is ahead of AWS's (negative: behind); 0 if they agree within the precision of the measurement.";
    CONFIG_RELOAD_SUCCESS = Gauge "bothends_config_reload_success" []
        "1 if the configuration was valid when last read, else 0: an earlier one is in force.";
    FACTS_DROPPED = Counter "bothends_facts_dropped_total" ["consumer"]
        "Events that did not reach a consumer because its queue was full.";
    JOURNAL_RECORDS_DROPPED = Counter "bothends_journal_records_dropped_total" []
        "Journal records dropped because journald did not take them.";
    JOURNAL_RECORDS_SUPPRESSED = Counter "bothends_journal_records_suppressed_total" []
        "Journal records suppressed by rate limiting; a later record on the same subject gives their number.";
    BUILD_INFO = Gauge "bothends_build_info" ["version"]
        "Always 1; the version is in the label.";
    PROCESS_CPU = Counter "process_cpu_seconds_total" []
        "User and system CPU time spent, in seconds.";
    PROCESS_OPEN_FDS = Gauge "process_open_fds" []
        "Open file descriptors.";
    PROCESS_MAX_FDS = Gauge "process_max_fds" []
        "Maximum number of open file descriptors.";
    PROCESS_RESIDENT = Gauge "process_resident_memory_bytes" []
        "Resident memory, in bytes.";
    PROCESS_VIRTUAL = Gauge "process_virtual_memory_bytes" []
        "Virtual memory, in bytes.";
    PROCESS_START = Gauge "process_start_time_seconds" []
        "Start time of the process, in Unix time.";
    PROCESS_THREADS = Gauge "process_threads" []
        "Operating system threads.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;

    use super::*;

    fn table() -> String {
        let mut text = String::from("| metric | type | unit | labels | |\n|---|---|---|---|---|\n");
        for metric in ALL {
            let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            writeln!(
                text,
                "| `{}` | {} | {} | {} | {} |",
                metric.name,
                metric.kind.as_str(),
                metric.unit(),
                labels.join(", "),
                metric.help
            )
            .unwrap();
        }
        text
    }

    #[test]
    fn the_page_on_metrics_holds_this_table() {
        crate::catalogue::tests::held("docs/metrics.md", "| metric | type |", &table());
    }

    #[test]
    fn no_own_label_can_have_the_name_of_one_of_these() {
        let taken = crate::settings::LABELS_TAKEN;
        let free: Vec<_> =
            ALL.iter().flat_map(|metric| metric.labels).filter(|of| !taken.contains(of)).collect();
        assert_eq!(free, [""; 0].iter().collect::<Vec<_>>(), "add these to LABELS_TAKEN");
    }

    #[test]
    fn names_are_unique_and_of_prometheus_form() {
        let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            assert!(metric.name.bytes().all(|b| b == b'_' || b.is_ascii_lowercase()), "{}", metric.name);
            assert_eq!(
                metric.name.ends_with("_total"),
                metric.kind == MetricKind::Counter,
                "{}",
                metric.name
            );
            assert!(metric.help.ends_with('.') && !metric.help.contains('\n'), "{}", metric.name);
        }
    }
}
