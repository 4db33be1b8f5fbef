//! Every metric's name, type, labels, help and unit: the one table that the recorder, the scrape and docs/metrics.md read.

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name; a unit is its suffix.
    pub name: &'static str,
    /// Its type.
    pub kind: MetricKind,
    /// Its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence.
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
    /// The word of the exposition format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Metric {
    /// The unit, as the name's suffix has it.
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
    TUNNEL_VERDICT = Gauge "bothends_tunnel_verdict" ["vpn", "tunnel", "end", "verdict"]
        "1 for what an end (local, aws) says of a tunnel (up, down, unknown), else 0.";
    TUNNEL_ASSESSMENT = Gauge "bothends_tunnel_assessment" ["vpn", "tunnel", "assessment"]
        "1 for what both ends together say of a tunnel, else 0; disputed and unconfirmed name the end that says down.";
    ECHOES = Counter "bothends_echoes_total" ["vpn", "tunnel", "check", "outcome"]
        "Echoes that have ended, by what became of them; a fault is no evidence and no loss.";
    ECHO_RTT = Histogram "bothends_echo_rtt_seconds" ["vpn", "tunnel", "check"]
        "Round-trip times of answered echoes, late ones included.";
    TICKS_SKIPPED = Counter "bothends_ticks_skipped_total" ["vpn", "tunnel", "check"]
        "Echoes left out because the host slept, was too busy, or too many were in flight.";
    INCIDENT_OPEN = Gauge "bothends_incident_open" ["vpn", "kind"]
        "1 while an incident of this kind is open, else 0.";
    SINK_REQUESTS = Counter "bothends_sink_requests_total" ["sink", "action", "result"]
        "Requests to a sink, by what was asked and what came of it.";
    SINK_PENDING = Gauge "bothends_sink_pending" ["sink"]
        "Incidents whose record at the sink is not yet in line with ours.";
    AWS_POLLS = Counter "bothends_aws_polls_total" ["source", "result"]
        "Questions to AWS about the tunnels, by API and result.";
    AWS_EVIDENCE_AGE = Gauge "bothends_aws_evidence_age_seconds" ["vpn", "tunnel"]
        "Age of AWS's newest evidence on a tunnel; absent before the first.";
    AWS_EVIDENCE_UNUSABLE = Counter "bothends_aws_evidence_unusable_total" ["vpn", "tunnel", "why"]
        "AWS's evidence that could not be used: garbage, a fraction, a stamp in the future.";
    ROLLUPS_PENDING = Gauge "bothends_rollups_pending" []
        "Minutes of tunnels that wait to be sent to CloudWatch.";
    ROLLUPS_DROPPED = Counter "bothends_rollups_dropped_total" []
        "Minutes of tunnels that will never reach CloudWatch: too old, refused, without room, lost with a damaged store, or stamped by a clock that was ahead.";
    CREDENTIALS_EXPIRY = Gauge "bothends_credentials_expiry_timestamp_seconds" []
        "When the AWS credentials in use expire, in Unix time; absent if they do not.";
    CLOCK_OFFSET = Gauge "bothends_clock_offset_seconds" []
        "How far this host's clock is ahead of AWS's, negative if behind; 0 if they agree within what an answer shows.";
    CONFIG_RELOAD_SUCCESS = Gauge "bothends_config_reload_success" []
        "1 if the configuration was taken when it was last read, else 0: an earlier one is in force.";
    FACTS_DROPPED = Counter "bothends_facts_dropped_total" ["consumer"]
        "Facts that did not reach a consumer because its queue was full.";
    JOURNAL_RECORDS_DROPPED = Counter "bothends_journal_records_dropped_total" []
        "Journal records dropped because the journal did not take them.";
    JOURNAL_RECORDS_FOLDED = Counter "bothends_journal_records_folded_total" []
        "Journal records that are counted in a later one on the same matter and were not told by themselves.";
    BUILD_INFO = Gauge "bothends_build_info" ["version"]
        "Always 1; the version is in the label.";
    PROCESS_CPU = Counter "process_cpu_seconds_total" []
        "User and system CPU time spent, in seconds.";
    PROCESS_OPEN_FDS = Gauge "process_open_fds" []
        "Open file descriptors.";
    PROCESS_MAX_FDS = Gauge "process_max_fds" []
        "File descriptors that may be open.";
    PROCESS_RESIDENT = Gauge "process_resident_memory_bytes" []
        "Resident memory, in bytes.";
    PROCESS_VIRTUAL = Gauge "process_virtual_memory_bytes" []
        "Virtual memory, in bytes.";
    PROCESS_START = Gauge "process_start_time_seconds" []
        "When the process started, in Unix time.";
    PROCESS_THREADS = Gauge "process_threads" []
        "Operating system threads.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;
    use std::path::Path;

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
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(text.contains(&table()), "docs/metrics.md should hold this table:\n{}", table());
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
