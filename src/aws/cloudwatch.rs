//! CloudWatch, read and written: its view of the tunnels (the metric `TunnelState` of the namespace `AWS/VPN`), the bytes of
//! those that are down (`TunnelDataIn`, `TunnelDataOut`), and the daemon's own metrics by `PutMetricData`.

mod dimensions;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_cloudwatch::operation::get_metric_data::GetMetricDataOutput;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricDataResult, MetricDatum, MetricStat, ScanBy, StandardUnit,
    StatusCode,
};
use aws_smithy_types::DateTime;

use self::dimensions::{Dimensions, Known, MAX_PAGES, found_under, of_connection};
use super::connection::{AwsConnection, AwsConnections};
use super::errors::{Failure, FailureClass, FailureKind};
use super::exchange::call;
use super::permission::Call;
use super::source::{Coverage, IdCheck, IdDoubt, Remark, SourceAnswer};
use super::text::{CODE_MAX, MESSAGE_MAX, line};
use super::timing::Exchange;
use crate::catalogue::parts::{Detail, Oddity};
use crate::clock;
use crate::domain::event::{Datapoint, FoundUnder, History, Reading, TunnelData};
use crate::domain::names::{AwsPlace, TunnelId, VpnId};
use crate::domain::request::HistoryRequest;
use crate::domain::time::Stamp;
use crate::publish::sink::{Datum, DatumValue, MetricSink, PutError, Unit};

/// `AWS/VPN` publishes every minute at best; a longer period would mix an outage into the minutes before it.
const PERIOD: Duration = Duration::from_secs(60);
/// Queries per call (GetMetricData, API Reference).
const PER_CALL: usize = 500;
/// A datapoint older than `stale_after` distinguishes "stale" from "never".
const MARGIN_BEFORE: Duration = Duration::from_secs(5 * 60);
/// A datapoint stamped ahead of AWS's own clock is worth fetching: the core rejects it.
const MARGIN_AFTER: Duration = Duration::from_secs(60);
/// If our clock is further off than this, the queried window was wrong.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// Queries CloudWatch. Remembers its clock, because the queried window is on that clock.
#[derive(Debug, Default)]
pub(super) struct CloudWatch {
    clock: Option<Exchange>,
    known: Known,
}

impl CloudWatch {
    /// Asks about every watched tunnel, and for the bytes of those that an end calls down.
    pub(super) async fn ask(
        &mut self,
        connection: &AwsConnection,
        coverage: &Coverage,
        called_down: &BTreeSet<TunnelId>,
    ) -> Result<SourceAnswer, Failure> {
        if connection.place.region.is_none() {
            return Err(Failure::no_region(Call::GetMetricData));
        }
        let tunnels: Vec<&TunnelId> = coverage.tunnels().collect();
        let mut answer: Option<SourceAnswer> = None;
        for batch in tunnels.chunks(if called_down.is_empty() { PER_CALL } else { PER_CALL / 3 }) {
            let first = answer.is_none();
            let asked: Vec<Dimensions> = batch.iter().map(|tunnel| self.known.of(tunnel)).collect();
            let mut queries = states(&asked);
            for (index, _) in batch.iter().enumerate().filter(|(_, tunnel)| called_down.contains(**tunnel)) {
                queries.extend([BYTES_IN, BYTES_OUT].map(|metric| metric.query(index, &asked[index])));
            }
            let (mut pages, mut exchange, assumed) = self.batch(connection, coverage, &queries).await?;
            let date = exchange.date.ok_or_else(|| {
                Failure::garbage(Call::GetMetricData, &connection.place, "the answer has no Date")
            })?;
            self.clock = Some(exchange);
            let off = date.since(assumed).max(assumed.since(date));
            let date = if first && off > CLOCK_TOLERANCE {
                (pages, exchange, _) = self.batch(connection, coverage, &queries).await?;
                exchange.date.unwrap_or(date)
            } else {
                date
            };
            let answer = answer.get_or_insert_with(|| SourceAnswer::at(exchange.asked, date));
            for (index, (tunnel, dimensions)) in batch.iter().zip(asked).enumerate() {
                let under = found_under(tunnel, &dimensions);
                let (reading, remark) = pages.read(&STATE.id(index), tunnel, under);
                if called_down.contains(*tunnel) {
                    let [bytes_in, bytes_out] =
                        [BYTES_IN, BYTES_OUT].map(|metric| pages.bytes(&metric.id(index), under));
                    answer.data.push(((*tunnel).clone(), TunnelData { bytes_in, bytes_out }));
                }
                if let Reading::TunnelState(Some(_)) = reading {
                    self.known.found(tunnel, dimensions, exchange.asked);
                }
                answer.readings.push(((*tunnel).clone(), reading));
                answer.remarks.extend(remark);
            }
        }
        let mut answer = answer.ok_or_else(|| {
            Failure::garbage(Call::GetMetricData, &connection.place, "nothing is watched here")
        })?;
        self.look_elsewhere(connection, coverage, &mut answer).await;
        answer.id_checks = self.id_checks(coverage);
        Ok(answer)
    }

    /// Whether data belong to the ids of the connections. Skips connections that EC2 is asked about: EC2 knows.
    fn id_checks(&self, coverage: &Coverage) -> Vec<IdCheck> {
        let of = |(vpn, tunnels): &(VpnId, Vec<TunnelId>)| {
            let doubt = self.known.doubt(vpn, tunnels).filter(|_| !coverage.known_to_ec2.contains(vpn));
            IdCheck { vpn: vpn.clone(), doubt }
        };
        coverage.vpns.iter().map(of).collect()
    }

    /// Looks for tunnels without data under other dimensions, and for evidence for or against a connection's id. A failure here
    /// costs nothing but these data.
    async fn look_elsewhere(
        &mut self,
        connection: &AwsConnection,
        coverage: &Coverage,
        answer: &mut SourceAnswer,
    ) {
        let now = clock::now().mono;
        let mut wanted: Vec<(Sought, Dimensions)> = Vec::new();
        let mut looked_for: BTreeSet<VpnId> = BTreeSet::new();
        let mut strangers: BTreeSet<TunnelId> = BTreeSet::new();
        for (vpn, tunnels) in &coverage.vpns {
            if tunnels.iter().any(|tunnel| self.known.is_by_address(tunnel)) {
                self.known.list(connection, vpn, now).await;
            }
            if let Some(IdDoubt::Contradicted { strangers: ips, .. }) = self.known.doubt(vpn, tunnels) {
                strangers.extend(tunnels.iter().filter(|tunnel| ips.contains(&tunnel.outside_ip)).cloned());
            }
        }
        for (index, (tunnel, reading)) in answer.readings.iter().enumerate() {
            // Data of a new connection may arrive late under its id.
            let is_wanted = *reading == Reading::TunnelState(None) || strangers.contains(tunnel);
            if is_wanted && self.known.look(tunnel, now) {
                self.known.list(connection, &tunnel.vpn, now).await;
                let elsewhere = self.known.elsewhere(tunnel).into_iter();
                wanted.extend(elsewhere.map(|dimensions| (Sought::Tunnel(index), dimensions)));
                looked_for.insert(tunnel.vpn.clone());
            }
        }
        for (vpn, tunnels) in &coverage.vpns {
            let unconfirmed = || matches!(self.known.doubt(vpn, tunnels), Some(IdDoubt::Unconfirmed { .. }));
            if (looked_for.contains(vpn) || unconfirmed()) && self.known.seek(vpn, now) {
                wanted.push((Sought::Connection(vpn.clone()), of_connection(vpn)));
            }
        }
        for batch in wanted.chunks(PER_CALL) {
            let asked: Vec<Dimensions> = batch.iter().map(|(_, dimensions)| dimensions.clone()).collect();
            let pages = match self.batch(connection, coverage, &states(&asked)).await {
                Ok((pages, _, _)) => pages,
                Err(failure) => {
                    Detail::LookupFailed(&failure).record().emit();
                    return;
                }
            };
            for (number, (sought, dimensions)) in batch.iter().enumerate() {
                let index = match sought {
                    Sought::Tunnel(index) => *index,
                    Sought::Connection(vpn) => {
                        if pages.has_data(&STATE.id(number)) {
                            self.known.confirm(vpn, now);
                        }
                        continue;
                    }
                };
                let Some((tunnel, reading)) = answer.readings.get_mut(index) else { continue };
                let under = found_under(tunnel, dimensions);
                let (found, _) = pages.read(&STATE.id(number), tunnel, under);
                let is_better = *reading == Reading::TunnelState(None) || strangers.contains(tunnel);
                if is_better && matches!(found, Reading::TunnelState(Some(_))) {
                    *reading = found;
                    if self.known.found(tunnel, dimensions.clone(), now) {
                        say_where(tunnel, dimensions);
                    }
                }
            }
        }
    }

    /// Makes these queries; also returns the assumed time at AWS.
    async fn batch(
        &self,
        connection: &AwsConnection,
        coverage: &Coverage,
        queries: &[MetricDataQuery],
    ) -> Result<(Pages, Exchange, Stamp), Failure> {
        let now = clock::now();
        let at_aws = self.clock.and_then(|exchange| exchange.aws_time(now.mono)).unwrap_or(now.wall);
        let start = at_aws - coverage.stale_after - MARGIN_BEFORE;
        let end = at_aws + MARGIN_AFTER;
        let mut pages = Pages::default();
        let mut first: Option<Exchange> = None;
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let query = connection
                .cloudwatch
                .get_metric_data()
                .set_metric_data_queries(Some(queries.to_vec()))
                .start_time(DateTime::from_millis(start.as_millis()))
                .end_time(DateTime::from_millis(end.as_millis()))
                .scan_by(ScanBy::TimestampDescending)
                .set_next_token(token.take());
            let send = |capture| query.clone().customize().interceptor(capture).send();
            let (page, exchange) = call(Call::GetMetricData, &connection.place, send).await?;
            first.get_or_insert(exchange);
            token = page.next_token().map(str::to_owned);
            pages.add(page);
            if token.is_none() {
                break;
            }
        }
        let exchange = first.ok_or_else(|| {
            Failure::garbage(Call::GetMetricData, &connection.place, "no page of an answer")
        })?;
        Ok((pages, exchange, at_aws))
    }
}

/// Why data under other dimensions are queried.
enum Sought {
    /// The tunnel of a reading.
    Tunnel(usize),
    /// A connection as a whole.
    Connection(VpnId),
}

/// A metric of the namespace `AWS/VPN`.
struct TunnelMetric {
    /// Its queries' ids begin with this; a lower-case letter, as they must.
    letter: char,
    name: &'static str,
    statistic: &'static str,
}

const STATE: TunnelMetric = TunnelMetric { letter: 't', name: "TunnelState", statistic: "Average" };
const BYTES_IN: TunnelMetric = TunnelMetric { letter: 'i', name: "TunnelDataIn", statistic: "Sum" };
const BYTES_OUT: TunnelMetric = TunnelMetric { letter: 'o', name: "TunnelDataOut", statistic: "Sum" };

impl TunnelMetric {
    /// The id of its query about a tunnel.
    fn id(&self, index: usize) -> String {
        format!("{}{index}", self.letter)
    }

    fn query(&self, index: usize, dimensions: &Dimensions) -> MetricDataQuery {
        let dimension =
            |(name, value): &(String, String)| Dimension::builder().name(name).value(value).build();
        let metric = Metric::builder()
            .namespace("AWS/VPN")
            .metric_name(self.name)
            .set_dimensions(Some(dimensions.iter().map(dimension).collect()))
            .build();
        let period = i32::try_from(PERIOD.as_secs()).unwrap_or(i32::MAX);
        let statistic = MetricStat::builder().metric(metric).period(period).stat(self.statistic).build();
        MetricDataQuery::builder().id(self.id(index)).metric_stat(statistic).return_data(true).build()
    }
}

/// The queries for `TunnelState` under these dimensions.
fn states(asked: &[Dimensions]) -> Vec<MetricDataQuery> {
    asked.iter().enumerate().map(|(index, dimensions)| STATE.query(index, dimensions)).collect()
}

/// Said once for each tunnel; `/status` always shows it with AWS's text.
fn say_where(tunnel: &TunnelId, dimensions: &Dimensions) {
    let names: Vec<&str> = dimensions.iter().map(|(name, _)| name.as_str()).collect();
    Oddity::TunnelStateElsewhere { tunnel, dimensions: &names.join(", ") }.record().emit();
}

/// The results of one query, from all its pages.
#[derive(Debug, Default)]
struct Pages {
    results: BTreeMap<String, FoundPoints>,
    messages: Vec<String>,
}

#[derive(Debug, Default)]
struct FoundPoints {
    newest: Option<(Stamp, f64)>,
    second: Option<(Stamp, f64)>,
    trouble: Option<&'static str>,
}

impl Pages {
    fn add(&mut self, page: GetMetricDataOutput) {
        for message in page.messages() {
            let code = line(message.code().unwrap_or_default(), CODE_MAX);
            let value = line(message.value().unwrap_or_default(), MESSAGE_MAX);
            self.messages.push(format!("{code}: {value}"));
        }
        for result in page.metric_data_results() {
            self.results.entry(result.id().unwrap_or_default().to_owned()).or_default().add(result);
        }
    }

    fn has_data(&self, id: &str) -> bool {
        self.results.get(id).is_some_and(|found| found.newest.is_some())
    }

    /// The newest two sums of bytes, the newest first; none of a result that is missing or invalid, because no verdict depends on it.
    fn bytes(&self, id: &str, under: FoundUnder) -> [Option<Datapoint>; 2] {
        let Some(FoundPoints { newest, second, trouble: None }) = self.results.get(id) else {
            return [None, None];
        };
        [newest, second].map(|point| {
            let valid = point.filter(|(_, value)| value.is_finite() && *value >= 0.0);
            valid.map(|(stamp, value)| Datapoint { stamp, period: PERIOD, value, under })
        })
    }

    fn read(&self, id: &str, tunnel: &TunnelId, under: FoundUnder) -> (Reading, Option<Remark>) {
        let garbage = |what: &str| {
            let detail = self.messages.first().map(|message| format!(" ({message})")).unwrap_or_default();
            let text = format!("CloudWatch's answer on TunnelState of {tunnel}: {what}{detail}");
            (Reading::Garbage, Some(Remark::garbage(text)))
        };
        let Some(found) = self.results.get(id) else { return garbage("there is none") };
        match (found.trouble, found.newest) {
            (Some(trouble), _) => garbage(trouble),
            // NaN is not contained either.
            (None, Some((_, value))) if !(0.0..=1.0).contains(&value) => {
                garbage(&format!("its value is {value}, and not from 0 to 1"))
            }
            (None, Some((stamp, value))) => {
                (Reading::TunnelState(Some(Datapoint { stamp, period: PERIOD, value, under })), None)
            }
            (None, None) => (Reading::TunnelState(None), None),
        }
    }
}

impl FoundPoints {
    fn add(&mut self, result: &MetricDataResult) {
        let (stamps, values) = (result.timestamps(), result.values());
        if stamps.len() != values.len() {
            self.trouble = Some("it has a different number of timestamps and values");
        }
        match result.status_code() {
            // PartialData announces a further page; the newest datapoint is on the first.
            None | Some(StatusCode::Complete | StatusCode::PartialData) => {}
            Some(StatusCode::Forbidden) => self.trouble = Some("access to the metric is forbidden"),
            Some(StatusCode::InternalError) => self.trouble = Some("CloudWatch failed on this metric"),
            Some(_) => self.trouble = Some("its status is unknown to bothends"),
        }
        for (stamp, value) in stamps.iter().zip(values) {
            let Ok(millis) = stamp.to_millis() else {
                self.trouble = Some("a timestamp is out of range");
                continue;
            };
            let stamp = Stamp::from_millis(millis);
            let is_after = |known: Option<(Stamp, f64)>| known.is_none_or(|(known, _)| stamp > known);
            if is_after(self.newest) {
                self.second = self.newest.replace((stamp, *value));
            } else if is_after(self.second) && self.newest.is_some_and(|(newest, _)| stamp < newest) {
                self.second = Some((stamp, *value));
            }
        }
    }
}

//--- history: TunnelState over a period without polls

impl CloudWatch {
    /// Every datapoint of `TunnelState` of these tunnels in the given period. The tunnels of one connection fit into one call,
    /// and a fortnight of two tunnels into one page (GetMetricData, API Reference: 100,800 datapoints).
    pub(in crate::aws) async fn history(
        &self,
        connection: &AwsConnection,
        request: &HistoryRequest,
        tunnels: &[TunnelId],
    ) -> Result<History, Failure> {
        let HistoryRequest { source: _, vpn, from, to } = request;
        if connection.place.region.is_none() {
            return Err(Failure::no_region(Call::GetMetricData));
        }
        let garbage = |what: &str| Failure::garbage(Call::GetMetricData, &connection.place, what);
        let tunnels = &tunnels[..tunnels.len().min(PER_CALL)];
        let asked: Vec<Dimensions> = tunnels.iter().map(|tunnel| self.known.of(tunnel)).collect();
        let queries = states(&asked);
        let mut points: Vec<(TunnelId, Vec<Datapoint>)> =
            tunnels.iter().map(|tunnel| (tunnel.clone(), Vec::new())).collect();
        let mut first: Option<Exchange> = None;
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let request = connection
                .cloudwatch
                .get_metric_data()
                .set_metric_data_queries(Some(queries.clone()))
                .start_time(DateTime::from_millis(from.as_millis()))
                .end_time(DateTime::from_millis(to.as_millis()))
                .set_next_token(token.take());
            let send = |capture| request.clone().customize().interceptor(capture).send();
            let (page, exchange) = call(Call::GetMetricData, &connection.place, send).await?;
            first.get_or_insert(exchange);
            for result in page.metric_data_results() {
                let of = (0..tunnels.len()).find(|index| result.id() == Some(&STATE.id(*index)));
                let Some((index, (tunnel, points))) =
                    of.and_then(|index| Some((index, points.get_mut(index)?)))
                else {
                    continue;
                };
                let under = found_under(tunnel, &asked[index]);
                for (stamp, value) in result.timestamps().iter().zip(result.values()) {
                    let millis = stamp.to_millis().map_err(|_| garbage("a timestamp is out of range"))?;
                    let stamp = Stamp::from_millis(millis);
                    points.push(Datapoint { stamp, period: PERIOD, value: *value, under });
                }
            }
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        let exchange = first.ok_or_else(|| garbage("no page of an answer"))?;
        let date = exchange.date.ok_or_else(|| garbage("the answer has no Date"))?;
        Ok(History { vpn: vpn.clone(), asked: exchange.asked, date, points })
    }
}

/// The metric sink: a namespace of CloudWatch in one Region, written with one role.
pub struct CloudWatchMetrics {
    connections: AwsConnections,
    place: AwsPlace,
    namespace: Arc<str>,
}

impl CloudWatchMetrics {
    /// A sink for `namespace`; `None` leaves the Region to the SDK's chain, and uses the daemon's own identity.
    pub fn new(
        connections: AwsConnections,
        region: Option<Arc<str>>,
        role_arn: Option<Arc<str>>,
        namespace: impl Into<Arc<str>>,
    ) -> Self {
        Self { connections, place: AwsPlace { region, role_arn }, namespace: namespace.into() }
    }
}

impl fmt::Debug for CloudWatchMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloudWatchMetrics({} {})", self.namespace, self.place)
    }
}

impl MetricSink for CloudWatchMetrics {
    async fn put(&self, data: &[Datum]) -> Result<(), PutError> {
        let connection = self.connections.at(&self.place).await;
        if connection.place.region.is_none() {
            return Err(put_error(Failure::no_region(Call::PutMetricData), false));
        }
        let request = connection
            .cloudwatch
            .put_metric_data()
            .namespace(&*self.namespace)
            .set_metric_data(Some(data.iter().map(datum).collect()));
        let send = |capture| request.clone().customize().interceptor(capture).send();
        match call(Call::PutMetricData, &connection.place, send).await {
            Ok(_) => {
                connection.accepted();
                Ok(())
            }
            Err(failure) => {
                let renewed = self.connections.renew_after(&failure, &connection);
                Err(put_error(failure, renewed))
            }
        }
    }
}

fn datum(datum: &Datum) -> MetricDatum {
    let Datum { name, unit, dimensions, stamp, value } = datum;
    let dimension =
        |(name, value): &(&'static str, String)| Dimension::builder().name(*name).value(value).build();
    let builder = MetricDatum::builder()
        .metric_name(*name)
        .unit(match unit {
            Unit::None => StandardUnit::None,
            Unit::Percent => StandardUnit::Percent,
            Unit::Milliseconds => StandardUnit::Milliseconds,
            Unit::Count => StandardUnit::Count,
        })
        .timestamp(DateTime::from_millis(stamp.as_millis()))
        .set_dimensions(Some(dimensions.iter().map(dimension).collect()));
    match value {
        DatumValue::Single(value) => builder.value(*value).build(),
        DatumValue::Distribution(values) => {
            let (values, counts) = values.iter().copied().unzip();
            builder.set_values(Some(values)).set_counts(Some(counts)).build()
        }
    }
}

/// `renewed`: the credentials worked until now and are being reloaded, so a retry may succeed.
fn put_error(failure: Failure, renewed: bool) -> PutError {
    let what = failure.text.clone();
    let temporary = |what, failure: Failure| {
        let throttled = matches!(failure.kind, FailureKind::Throttled { .. });
        PutError::Temporary { what, throttled, source: Some(Arc::new(failure)) }
    };
    match failure.kind.class() {
        FailureClass::Permission if renewed && failure.kind == FailureKind::CredentialsRefused => {
            temporary(what, failure)
        }
        FailureClass::Temporary | FailureClass::NotFound | FailureClass::TokenKnown => {
            temporary(what, failure)
        }
        FailureClass::Permission => PutError::Denied { what },
        FailureClass::Rejected => PutError::BadData { what },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tunnel() -> TunnelId {
        TunnelId { vpn: VpnId::new("vpn-0123456789abcdef0"), outside_ip: "203.0.113.11".parse().unwrap() }
    }

    fn result(status: StatusCode, points: &[(i64, f64)]) -> MetricDataResult {
        MetricDataResult::builder()
            .id("t0")
            .status_code(status)
            .set_timestamps(Some(points.iter().map(|(at, _)| DateTime::from_secs(*at)).collect()))
            .set_values(Some(points.iter().map(|(_, value)| *value).collect()))
            .build()
    }

    fn reading(results: Vec<MetricDataResult>) -> Reading {
        let mut pages = Pages::default();
        for result in results {
            pages.add(GetMetricDataOutput::builder().metric_data_results(result).build());
        }
        pages.read("t0", &tunnel(), FoundUnder::VpnAndAddress).0
    }

    fn state(at: i64, value: f64) -> Reading {
        Reading::TunnelState(Some(Datapoint::of_minute(Stamp::from_secs(at), value)))
    }

    #[test]
    fn the_newest_datapoint_counts_wherever_it_is() {
        let page = |points| result(StatusCode::Complete, points);
        assert_eq!(reading(vec![page(&[(120, 1.0), (60, 0.0)])]), state(120, 1.0));
        assert_eq!(reading(vec![page(&[(60, 0.0), (120, 1.0)])]), state(120, 1.0));
        let first = result(StatusCode::PartialData, &[(120, 1.0)]);
        assert_eq!(reading(vec![first, page(&[(60, 0.0)])]), state(120, 1.0));
    }

    #[test]
    fn a_fraction_is_passed_on_and_no_datapoint_gives_none() {
        assert_eq!(reading(vec![result(StatusCode::Complete, &[(60, 0.5)])]), state(60, 0.5));
        assert_eq!(reading(vec![result(StatusCode::Complete, &[])]), Reading::TunnelState(None));
    }

    #[test]
    fn an_invalid_result_is_garbage() {
        let torn = MetricDataResult::builder().id("t0").timestamps(DateTime::from_secs(60)).build();
        assert_eq!(reading(vec![torn]), Reading::Garbage);
        assert_eq!(reading(vec![result(StatusCode::Complete, &[(60, f64::NAN)])]), Reading::Garbage);
        assert_eq!(reading(vec![result(StatusCode::InternalError, &[])]), Reading::Garbage);
        assert_eq!(reading(vec![result(StatusCode::Forbidden, &[])]), Reading::Garbage);
        assert_eq!(reading(vec![result(StatusCode::from("Sunny"), &[(60, 1.0)])]), Reading::Garbage);
        let timeless =
            MetricDataResult::builder().id("t0").timestamps(DateTime::from_secs(i64::MAX)).values(1.0);
        assert_eq!(reading(vec![timeless.build()]), Reading::Garbage);
        assert_eq!(reading(vec![]), Reading::Garbage);
    }

    #[test]
    fn the_newest_two_sums_of_bytes_are_kept_wherever_they_are() {
        let point = |at, value| Some(Datapoint::of_minute(Stamp::from_secs(at), value));
        let bytes = |results: Vec<MetricDataResult>| {
            let mut pages = Pages::default();
            for result in results {
                pages.add(GetMetricDataOutput::builder().metric_data_results(result).build());
            }
            pages.bytes("t0", FoundUnder::VpnAndAddress)
        };
        let page = |points| result(StatusCode::Complete, points);
        let both = [point(180, 7.0), point(120, 0.0)];
        assert_eq!(bytes(vec![page(&[(180, 7.0), (120, 0.0), (60, 5.0)])]), both);
        assert_eq!(bytes(vec![page(&[(60, 5.0), (120, 0.0), (180, 7.0)])]), both);
        assert_eq!(bytes(vec![page(&[(120, 0.0), (180, 7.0), (60, 5.0)])]), both);
        assert_eq!(bytes(vec![page(&[(60, 5.0)]), page(&[(180, 7.0), (180, 7.0), (120, 0.0)])]), both);
        assert_eq!(bytes(vec![page(&[(60, 5.0)])]), [point(60, 5.0), None]);
        assert_eq!(bytes(vec![page(&[(120, f64::NAN), (60, -1.0)])]), [None, None]);
        assert_eq!(bytes(vec![page(&[])]), [None, None]);
        assert_eq!(bytes(vec![]), [None, None]);
        assert_eq!(bytes(vec![result(StatusCode::Forbidden, &[(60, 1.0)])]), [None, None]);
    }

    #[test]
    fn an_id_that_no_data_carry_is_complained_of_unless_ec2_is_asked_about_it() {
        let tunnel = tunnel();
        let coverage = |known_to_ec2| {
            let vpns = vec![(tunnel.vpn.clone(), vec![tunnel.clone()])];
            Coverage { vpns, known_to_ec2, ..Coverage::default() }
        };
        let mut asked = CloudWatch::default();
        let complaint = |asked: &CloudWatch, known: BTreeSet<VpnId>| {
            let [IdCheck { vpn, doubt }] = <[_; 1]>::try_from(asked.id_checks(&coverage(known))).unwrap();
            assert_eq!(vpn, tunnel.vpn);
            doubt.map(|doubt| doubt.to_string())
        };
        let now = clock::now().mono;
        assert_eq!(complaint(&asked, BTreeSet::new()), None);
        let address = ("TunnelIpAddress".to_owned(), "203.0.113.11".to_owned());
        asked.known.found(&tunnel, vec![address.clone()], now);
        let text = complaint(&asked, BTreeSet::new()).unwrap();
        assert!(text.contains("203.0.113.11 under TunnelIpAddress alone"), "{text}");
        assert_eq!(complaint(&asked, BTreeSet::from([tunnel.vpn.clone()])), None);
        let pair = vec![address, ("VpnId".to_owned(), tunnel.vpn.as_str().to_owned())];
        asked.known.found(&tunnel, pair, now);
        assert_eq!(complaint(&asked, BTreeSet::new()), None);
    }

    #[test]
    fn garbage_gives_a_remark_that_names_the_tunnel() {
        let (_, remark) = Pages::default().read("t0", &tunnel(), FoundUnder::VpnAndAddress);
        let remark = remark.unwrap();
        assert!(remark.is_garbage && remark.text.contains("vpn-0123456789abcdef0 203.0.113.11"));
    }

    fn sample(value: DatumValue) -> Datum {
        Datum {
            name: "RoundTripTime",
            unit: Unit::Milliseconds,
            dimensions: vec![("VpnId", "vpn-0a".to_owned()), ("TunnelIpAddress", "203.0.113.11".to_owned())],
            stamp: Stamp::from_secs(60),
            value,
        }
    }

    #[test]
    fn a_distribution_goes_out_as_values_and_counts() {
        let sent = datum(&sample(DatumValue::Distribution(vec![(1.5, 2.0), (3.0, 58.0)])));
        assert_eq!((sent.values(), sent.counts()), (&[1.5, 3.0][..], &[2.0, 58.0][..]));
        assert_eq!(sent.value(), None);
        assert_eq!(sent.unit(), Some(&StandardUnit::Milliseconds));
        assert_eq!(sent.timestamp(), Some(&DateTime::from_secs(60)));
        let names: Vec<_> = sent.dimensions().iter().filter_map(Dimension::name).collect();
        assert_eq!(names, ["VpnId", "TunnelIpAddress"]);
    }

    #[test]
    fn a_single_value_goes_out_alone() {
        let sent = datum(&sample(DatumValue::Single(4.0)));
        assert_eq!((sent.value(), sent.values(), sent.counts()), (Some(4.0), &[][..], &[][..]));
    }
}
