//! What CloudWatch has of a connection's tunnels over a time in which it was not asked.

use aws_sdk_cloudwatch::types::MetricDataQuery;
use aws_smithy_types::DateTime;

use super::dimensions::{Dimensions, MAX_PAGES, found_under};
use super::{CloudWatch, PER_CALL, PERIOD, query, query_id};
use crate::aws::connection::Connection;
use crate::aws::errors::Failure;
use crate::aws::exchange::call;
use crate::aws::permission::Call;
use crate::aws::timing::Exchange;
use crate::domain::event::{Datapoint, History};
use crate::domain::names::TunnelId;
use crate::domain::request::HistoryRequest;
use crate::domain::time::Stamp;

impl CloudWatch {
    /// Every datapoint of `TunnelState` of these tunnels over the time asked for. The tunnels of one connection fit
    /// into one call, and a fortnight of two tunnels into one page (GetMetricData, API Reference: 100,800 datapoints).
    pub(in crate::aws) async fn history(
        &self,
        connection: &Connection,
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
        let queries: Vec<MetricDataQuery> =
            asked.iter().enumerate().map(|(index, dimensions)| query(&query_id(index), dimensions)).collect();
        let mut points: Vec<(TunnelId, Vec<Datapoint>)> =
            tunnels.iter().map(|tunnel| (tunnel.clone(), Vec::new())).collect();
        let mut first: Option<Exchange> = None;
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let query = connection
                .cloudwatch
                .get_metric_data()
                .set_metric_data_queries(Some(queries.clone()))
                .start_time(DateTime::from_millis(from.as_millis()))
                .end_time(DateTime::from_millis(to.as_millis()))
                .set_next_token(token.take());
            let send = |capture| query.clone().customize().interceptor(capture).send();
            let (page, exchange) = call(Call::GetMetricData, &connection.place, send).await?;
            first.get_or_insert(exchange);
            for result in page.metric_data_results() {
                let of = (0..tunnels.len()).find(|index| result.id() == Some(&query_id(*index)));
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
