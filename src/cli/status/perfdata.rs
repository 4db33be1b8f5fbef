//! Performance data: numbers for graphs, in the syntax of the Monitoring Plugins Development Guidelines
//! (<https://www.monitoring-plugins.org/doc/guidelines.html#PERFDATA>): `'label'=value[UOM];warn;crit;min;max`.

use std::fmt;

use crate::cli::layout::harmless;
use crate::http::status_json::{StatusJson, TunnelJson, VpnJson};

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Datum {
    label: String,
    /// `None` if it cannot be told.
    value: Option<f64>,
    unit: Unit,
    /// The greatest possible value.
    max: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Count,
    Milliseconds,
    Seconds,
    Percent,
}

impl Unit {
    const fn word(self) -> &'static str {
        match self {
            Self::Count => "",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Percent => "%",
        }
    }
}

impl Datum {
    /// So many, of at most `max`.
    pub(super) fn count(label: &str, value: usize, max: Option<usize>) -> Self {
        Self { label: label.to_owned(), value: Some(value as f64), unit: Unit::Count, max }
    }
}

impl fmt::Display for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { label, value, unit, max } = self;
        f.write_str(&quoted(label))?;
        match value {
            Some(value) => write!(f, "={}{};;;0", number(*value), unit.word())?,
            None => return f.write_str("=U"),
        }
        match (unit, max) {
            (Unit::Percent, _) => f.write_str(";100"),
            (_, Some(max)) => write!(f, ";{max}"),
            (_, None) => Ok(()),
        }
    }
}

/// The class `[-0-9.]` alone: no exponent, no more digits than are measured.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A label has no `=` and no bar; a quote in it is doubled, and quotes stand around it where a space does.
fn quoted(label: &str) -> String {
    let shown = |c: char| match c {
        '=' => '_',
        '|' => '/',
        c => c,
    };
    let label: String = harmless(label).chars().map(shown).collect();
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':');
    if !label.is_empty() && label.chars().all(is_word) {
        label
    } else {
        format!("'{}'", label.replace('\'', "''"))
    }
}

/// As many of them as fit into so many bytes, none cut.
pub(super) fn within(data: &[Datum], most: usize) -> String {
    let mut text = String::new();
    for datum in data {
        let one = datum.to_string();
        if text.len() + usize::from(!text.is_empty()) + one.len() > most {
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&one);
    }
    text
}

/// The counts, and of every tunnel that is used its round trip, its loss and the age of AWS's evidence. `one` if the status is of one
/// connection alone, whose name then need not be in the labels.
pub(super) fn data(status: &StatusJson, one: bool) -> Vec<Datum> {
    let count = Datum::count;
    let used = || status.vpns.iter().flat_map(used_tunnels);
    let (vpns, tunnels) = (status.vpns.len(), used().count());
    let no_traffic = status.vpns.iter().filter(|vpn| vpn.traffic == "does_not_flow").count();
    let carrying = used().filter(|tunnel| tunnel.carrying == "carrying").count();
    let open = status.incidents.iter().filter(|incident| incident.state == "open").count();
    let mut data = vec![
        count("connections", vpns, None),
        count("connections_without_traffic", no_traffic, Some(vpns)),
        count("tunnels", tunnels, None),
        count("tunnels_carrying", carrying, Some(tunnels)),
        count("incidents", open, None),
        count("problems", status.problems.len(), None),
    ];
    for vpn in &status.vpns {
        for tunnel in used_tunnels(vpn) {
            data.extend(of_tunnel(&label(vpn, tunnel, status, one), tunnel));
        }
    }
    data
}

fn used_tunnels(vpn: &VpnJson) -> impl Iterator<Item = &TunnelJson> {
    vpn.tunnels.iter().filter(|tunnel| tunnel.role != "unused")
}

/// Names, or ids where two have the same name: a label names one graph for good.
fn label(vpn: &VpnJson, tunnel: &TunnelJson, status: &StatusJson, one: bool) -> String {
    let is_unique = vpn.tunnels.iter().filter(|other| other.name == tunnel.name).count() == 1;
    let tunnel = if is_unique { &tunnel.name } else { &tunnel.outside_ip };
    if one {
        return tunnel.clone();
    }
    let is_unique = status.vpns.iter().filter(|other| other.name == vpn.name).count() == 1;
    format!("{}/{tunnel}", if is_unique { &vpn.name } else { &vpn.id })
}

fn of_tunnel(label: &str, tunnel: &TunnelJson) -> [Datum; 3] {
    let evidence = &tunnel.local.evidence;
    let datum = |what: &str, value: Option<f64>, unit| Datum {
        label: format!("{label} {what}"),
        value: value.filter(|value| value.is_finite() && *value >= 0.0),
        unit,
        max: None,
    };
    // The median of a tunnel that is down is that of before.
    let rtt = evidence.median_rtt_ms.filter(|_| tunnel.local.verdict == "up");
    [
        datum("rtt", rtt, Unit::Milliseconds),
        datum("loss", evidence.loss_percent, Unit::Percent),
        datum("aws_age", tunnel.aws.age_seconds, Unit::Seconds),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::perfdata_reader::read;
    use super::*;
    use crate::fixture;
    use crate::records::Records;

    fn status() -> StatusJson {
        StatusJson::of(&fixture::status(), &[], &Records::default(), "0.1.0", "raise", fixture::after(31))
    }

    #[test]
    fn every_tunnel_has_its_round_trip_its_loss_and_the_age_of_awss_evidence() {
        let text = within(&data(&status(), false), 8000);
        insta::assert_snapshot!(text.replace(" '", "\n'"), @r"
        connections=1;;;0 connections_without_traffic=0;;;0;1 tunnels=2;;;0 tunnels_carrying=0;;;0;2 incidents=1;;;0 problems=0;;;0
        'Milan DC, primary/tunnel 1 rtt'=U
        'Milan DC, primary/tunnel 1 loss'=100%;;;0;100
        'Milan DC, primary/tunnel 1 aws_age'=21s;;;0
        'Milan DC, primary/tunnel 2 rtt'=11.9ms;;;0
        'Milan DC, primary/tunnel 2 loss'=0%;;;0;100
        'Milan DC, primary/tunnel 2 aws_age'=U
        ");
        let found = read(&text);
        assert_eq!(found.len(), 12);
        assert_eq!(
            found[9],
            (
                "Milan DC, primary/tunnel 2 rtt".to_owned(),
                ["11.9ms", "", "", "0"].map(str::to_owned).to_vec()
            )
        );
    }

    #[test]
    fn a_label_is_read_as_it_was_meant_whatever_is_in_a_name() {
        let mut status = status();
        status.vpns[0].name = "L'Aquila | a=b\n\x1b[2J".to_owned();
        let found = read(&within(&data(&status, false), 8000));
        assert_eq!(found[6].0, "L'Aquila / a_b \u{fffd}[2J/tunnel 1 rtt");
        let labels: std::collections::BTreeSet<_> = found.iter().map(|(label, _)| label).collect();
        assert_eq!(labels.len(), found.len());
    }

    #[test]
    fn what_has_the_same_name_is_labelled_by_its_id() {
        let mut status = status();
        let mut other = status.vpns[0].clone();
        other.id = "vpn-0b".to_owned();
        other.tunnels[1].name = "tunnel 1".to_owned();
        status.vpns.push(other);
        let labels: Vec<_> =
            read(&within(&data(&status, false), 8000)).into_iter().map(|(label, _)| label).collect();
        assert_eq!(labels[6], "vpn-0123456789abcdef0/tunnel 1 rtt");
        assert_eq!(labels[12], "vpn-0b/203.0.113.11 rtt");
        status.vpns.truncate(1);
        status.vpns[0].tunnels[0].role = "unused".to_owned();
        let labels: Vec<_> =
            read(&within(&data(&status, true), 8000)).into_iter().map(|(label, _)| label).collect();
        assert_eq!(labels[6..], ["tunnel 2 rtt", "tunnel 2 loss", "tunnel 2 aws_age"]);
    }

    #[test]
    fn it_is_never_cut_within_a_number() {
        let data = data(&status(), false);
        let whole = within(&data, 8000);
        for most in 0..=whole.len() {
            let text = within(&data, most);
            assert!(text.len() <= most && whole.starts_with(&text), "{most}");
            read(&text);
        }
        assert_eq!(number(12.340), "12.34");
        assert_eq!(
            (number(0.0).as_str(), number(100.0).as_str(), number(1e9).as_str()),
            ("0", "100", "1000000000")
        );
    }
}
