//! AWS's view of the tunnels: whether it may be asked for, and whether there is any. And the daemon's own metrics: `PutMetricData` has
//! no dry run.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_cloudwatch::types::MetricDatum;
use aws_smithy_types::DateTime;

use super::statement::Grant;
use super::trier::{Trier, sent};
use super::verdict::Meant;
use crate::aws::cloudwatch::CloudWatch;
use crate::aws::ec2::Ec2;
use crate::aws::errors::Failure;
use crate::aws::permission::Call;
use crate::aws::source::{Coverage, IdCheck, IdDoubt};
use crate::domain::event::Reading;
use crate::domain::names::{AwsPlace, TunnelId, VpnId};

/// A datum whose timestamp lies outside of the last two weeks is refused (`InvalidParameterValue`: "must specify a time within the
/// past two weeks"; CloudWatch API Reference, PutMetricData, on what a timestamp may be), and one that lies far outside is so
/// whatever our clock says: this is 2010-01-01. Were it stored after all, nothing could show it: CloudWatch keeps nothing for longer
/// than 455 days.
const TOO_OLD: i64 = 1_262_304_000;

/// Asks as the daemon does. EC2 is not asked in earnest: what it is left to confirm is no finding, what CloudWatch contradicts is one.
pub(super) async fn tunnel_state(
    trier: &mut Trier,
    vpns: &[(VpnId, Vec<TunnelId>)],
    stale_after: Duration,
    known_to_ec2: &BTreeSet<VpnId>,
) {
    let coverage = Coverage { vpns: vpns.to_vec(), stale_after, ..Coverage::default() };
    let connection = Arc::clone(&trier.connection);
    let count = coverage.tunnels().count();
    let on = if count == 1 {
        "TunnelState of one tunnel".to_owned()
    } else {
        format!("TunnelState of {count} tunnels")
    };
    let grant = Grant::in_region(&connection.place);
    let send = || async { CloudWatch::default().ask(&connection, &coverage).await };
    let Some(Ok(heard)) = trier.attempt(Call::GetMetricData, &on, grant, Meant::Answer, send).await else {
        return;
    };
    for remark in heard.remarks {
        trier.find(remark.text);
    }
    for IdCheck { vpn, doubt } in heard.id_checks {
        match doubt {
            Some(IdDoubt::Unconfirmed { .. }) if known_to_ec2.contains(&vpn) => {}
            Some(doubt) => trier.find(doubt.to_string()),
            None => {}
        }
    }
    for (tunnel, reading) in heard.readings {
        match reading {
            Reading::TunnelState(None) => {
                let what = nothing_known(&tunnel, &connection.place, stale_after);
                trier.find(what);
            }
            Reading::TunnelState(Some(_)) | Reading::Garbage | Reading::Gone | Reading::Telemetry(_) => {}
        }
    }
}

fn nothing_known(tunnel: &TunnelId, place: &AwsPlace, stale_after: Duration) -> String {
    let minutes = stale_after.as_secs().div_ceil(60);
    format!(
        "CloudWatch {place} has no TunnelState of {tunnel} of the last {minutes} min, so that AWS's end of it is unknown and \
         nothing is raised: compare id and outside_ip with what `bothends discover {}` prints, and the connection's region \
         and account (role_arn)",
        tunnel.vpn
    )
}

pub(super) async fn telemetry(trier: &mut Trier) {
    let connection = Arc::clone(&trier.connection);
    let send = || async {
        match Ec2::at(&connection) {
            Some(ec2) => ec2.dry_run().await,
            None => Err(Failure::no_region(Call::DescribeVpnConnections)),
        }
    };
    let grant = Grant::in_region(&connection.place);
    trier.attempt(Call::DescribeVpnConnections, "ec2_telemetry", grant, Meant::Answer, send).await;
}

pub(super) async fn metrics(trier: &mut Trier, namespace: &str) {
    let connection = Arc::clone(&trier.connection);
    let datum = MetricDatum::builder()
        .metric_name("Heartbeat")
        .timestamp(DateTime::from_secs(TOO_OLD))
        .value(1.0)
        .build();
    let request = connection.cloudwatch.put_metric_data().namespace(namespace).metric_data(datum);
    let send = |capture| request.clone().customize().interceptor(capture).send();
    let send = || sent(Call::PutMetricData, &connection, send);
    let on = format!("namespace {namespace}");
    let grant = Grant::if_equal("cloudwatch:namespace", namespace);
    trier.attempt(Call::PutMetricData, &on, grant, Meant::Refusal, send).await;
}
