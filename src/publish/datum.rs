//! The data that one minute gives CloudWatch.

use super::sink::{Datum, DatumValue, Unit};
use crate::domain::names::VpnId;
use crate::domain::rollup::Rollup;
use crate::domain::time::Stamp;

/// CloudWatch's limit on the data of one `PutMetricData` (PutMetricData API reference). A rollup's data take less than 2 kB on
/// the wire, so this many also stay well below the limit of 1 MB.
pub const DATA_PER_CALL: usize = 1000;

/// `TunnelUp`, `PacketLoss`, `RoundTripTime` and `BothEndsDown` of one minute, with the dimensions of `AWS/VPN`, for metric math
/// to join them. An unknown value gives no datum: a gap is the truth, a zero would be a claim.
pub fn of_rollup(rollup: &Rollup) -> Vec<Datum> {
    let Rollup { tunnel, minute, replies: _, late: _, lost: _, faults: _, rtt, up, both_ends_down } = rollup;
    let datum = |name, unit, value| Datum {
        name,
        unit,
        dimensions: vec![
            ("VpnId", tunnel.vpn.as_str().to_owned()),
            ("TunnelIpAddress", tunnel.outside_ip.to_string()),
        ],
        stamp: *minute,
        value,
    };
    let truth = |yes: bool| DatumValue::Single(if yes { 1.0 } else { 0.0 });

    let mut data = Vec::with_capacity(4);
    if let Some(up) = *up {
        data.push(datum("TunnelUp", Unit::None, truth(up)));
    }
    if let Some(percent) = rollup.loss_percent() {
        data.push(datum("PacketLoss", Unit::Percent, DatumValue::Single(percent)));
    }
    if !rtt.is_empty() {
        let bins = rtt.iter().map(|bin| (bin.mean.as_secs_f64() * 1000.0, f64::from(bin.count))).collect();
        data.push(datum("RoundTripTime", Unit::Milliseconds, DatumValue::Distribution(bins)));
    }
    if let Some(down) = *both_ends_down {
        data.push(datum("BothEndsDown", Unit::None, truth(down)));
    }
    data
}

/// `Heartbeat`, once per connection and once per connection and site: an alarm on the first asks whether any daemon could have
/// voted and paged, an alarm on the second whether this site could.
pub fn heartbeat(vpn: &VpnId, site: &str, minute: Stamp) -> [Datum; 2] {
    let connection = ("VpnId", vpn.as_str().to_owned());
    let datum = |dimensions| Datum {
        name: "Heartbeat",
        unit: Unit::Count,
        dimensions,
        stamp: minute,
        value: DatumValue::Single(1.0),
    };
    [datum(vec![connection.clone()]), datum(vec![connection, ("Site", site.to_owned())])]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::names::TunnelId;
    use crate::domain::rollup::{RTT_BINS_MAX, RttBin};

    fn rollup() -> Rollup {
        Rollup {
            tunnel: TunnelId {
                vpn: VpnId::new("vpn-0123456789abcdef0"),
                outside_ip: [203, 0, 113, 11].into(),
            },
            minute: Stamp::from_secs(1_800_000_000),
            replies: 58,
            late: 1,
            lost: 1,
            faults: 0,
            rtt: vec![RttBin { mean: Duration::from_micros(12_500), count: 59 }],
            up: Some(true),
            both_ends_down: Some(false),
        }
    }

    #[test]
    fn a_minute_gives_four_data_with_the_dimensions_of_aws_vpn() {
        let data = of_rollup(&rollup());
        let shown: Vec<_> = data.iter().map(|datum| (datum.name, datum.unit, datum.value.clone())).collect();
        assert_eq!(
            shown,
            [
                ("TunnelUp", Unit::None, DatumValue::Single(1.0)),
                ("PacketLoss", Unit::Percent, DatumValue::Single(100.0 / 60.0)),
                ("RoundTripTime", Unit::Milliseconds, DatumValue::Distribution(vec![(12.5, 59.0)])),
                ("BothEndsDown", Unit::None, DatumValue::Single(0.0)),
            ]
        );
        for datum in data {
            assert_eq!(
                datum.dimensions,
                [
                    ("VpnId", "vpn-0123456789abcdef0".to_owned()),
                    ("TunnelIpAddress", "203.0.113.11".to_owned())
                ]
            );
            assert_eq!(datum.stamp, rollup().minute);
        }
    }

    #[test]
    fn unknown_values_give_no_datum() {
        let unknown = Rollup {
            replies: 0,
            late: 0,
            lost: 0,
            faults: 60,
            rtt: vec![],
            up: None,
            both_ends_down: None,
            ..rollup()
        };
        assert_eq!(of_rollup(&unknown), []);
    }

    #[test]
    fn a_minute_of_losses_alone_has_no_round_trip_time() {
        let dead = Rollup { replies: 0, late: 0, lost: 60, rtt: vec![], up: Some(false), ..rollup() };
        let names: Vec<_> = of_rollup(&dead).iter().map(|datum| datum.name).collect();
        assert_eq!(names, ["TunnelUp", "PacketLoss", "BothEndsDown"]);
    }

    #[test]
    fn a_heartbeat_is_sent_for_the_connection_and_for_the_site() {
        let [connection, site] = heartbeat(&VpnId::new("vpn-1"), "milan-1", Stamp::from_secs(60));
        assert_eq!(connection.dimensions, [("VpnId", "vpn-1".to_owned())]);
        assert_eq!(site.dimensions, [("VpnId", "vpn-1".to_owned()), ("Site", "milan-1".to_owned())]);
        assert_eq!(site.value, DatumValue::Single(1.0));
    }

    #[test]
    fn the_documentation_names_every_metric_with_its_dimensions_and_unit() {
        let documented = include_str!("../../docs/cloudwatch.md");
        let heartbeats = heartbeat(&VpnId::new("vpn-1"), "milan-1", Stamp::from_secs(60));
        for datum in of_rollup(&rollup()).into_iter().chain(heartbeats) {
            let dimensions: Vec<_> = datum.dimensions.iter().map(|(name, _)| *name).collect();
            let row = documented
                .lines()
                .find(|line| line.starts_with(&format!("| `{}` |", datum.name)))
                .unwrap_or_else(|| panic!("{} is not documented", datum.name));
            assert!(row.contains(&dimensions.join(", ")), "{row}");
            assert!(row.contains(&format!("| {:?} |", datum.unit)), "{row}");
        }
    }

    #[test]
    fn a_full_call_stays_well_below_a_megabyte() {
        // A generous estimate of what CBOR needs: names of members and metric, stamp and unit, 9 bytes per number.
        fn bytes(datum: &Datum) -> usize {
            let dimensions: usize =
                datum.dimensions.iter().map(|(name, value)| 20 + name.len() + value.len()).sum();
            let values = match &datum.value {
                DatumValue::Single(_) => 9,
                DatumValue::Distribution(bins) => 18 * bins.len(),
            };
            150 + datum.name.len() + dimensions + values
        }
        let mut full = rollup();
        full.tunnel.outside_ip = std::net::IpAddr::from([0xfd00_u16; 8]);
        full.rtt = vec![RttBin { mean: Duration::from_nanos(1_234_567), count: 3 }; RTT_BINS_MAX];
        let rollup_bytes: usize = of_rollup(&full).iter().map(bytes).sum();
        assert!(rollup_bytes < 2000, "{rollup_bytes}");
        assert!(rollup_bytes * DATA_PER_CALL / 4 < 700_000);
    }
}
