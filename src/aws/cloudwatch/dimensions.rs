//! The dimensions under which CloudWatch has a tunnel's data.
//!
//! AWS's guide names the dimensions VpnId and TunnelIpAddress; public sources differ on whether `TunnelState` has both or
//! TunnelIpAddress alone. So the pair is queried, and others only if the pair never had a datapoint: TunnelIpAddress alone, and
//! what ListMetrics names. GetMetricData is billed per metric, so that is done rarely.
//!
//! Data under TunnelIpAddress alone prove nothing about the connection: they exist with a wrong id as well. VpnId alone has the
//! aggregate of both tunnels, so if it has data, too, the id is one of AWS's; it may still be another connection's. That shows
//! only if CloudWatch has data of tunnels under this id, and this tunnel is not among them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use aws_sdk_cloudwatch::types::{Dimension, DimensionFilter};

use crate::aws::connection::AwsConnection;
use crate::aws::errors::{Failure, FailureKind};
use crate::aws::exchange::call;
use crate::aws::permission::Call;
use crate::aws::source::IdDoubt;
use crate::catalogue::parts::Detail;
use crate::domain::event::FoundUnder;
use crate::domain::names::{TunnelId, VpnId};
use crate::domain::time::Moment;

/// The interval of searches while there is no data. A tunnel that AWS does not serve yet has none either.
const LOOK_EVERY: Duration = Duration::from_secs(15 * 60);

/// ListMetrics names a new metric after this time at the latest (ListMetrics, API Reference: "allow up to 15 minutes for the
/// metric to appear").
const LISTED_AFTER: Duration = Duration::from_secs(15 * 60);

/// At most this many of the dimensions that ListMetrics names for one tunnel are tried.
const CANDIDATES_MAX: usize = 4;

/// Far more pages than any expected answer.
pub(super) const MAX_PAGES: usize = 20;

/// The dimensions of one metric, sorted by name.
pub(super) type Dimensions = Vec<(String, String)>;

/// What is known of each tunnel and connection.
#[derive(Debug, Default)]
pub(super) struct Known {
    tunnels: BTreeMap<TunnelId, SearchedTunnel>,
    listed: BTreeMap<VpnId, Listing>,
    /// Connections with data under their id, and when these were first seen.
    confirmed: BTreeMap<VpnId, Moment>,
    /// When data under an id alone were last queried.
    sought: BTreeMap<VpnId, Moment>,
}

#[derive(Debug)]
struct Listing {
    asked: Moment,
    /// The answer of ListMetrics; `None` if it was refused.
    named: Option<Vec<Dimensions>>,
}

#[derive(Debug, Default)]
struct SearchedTunnel {
    /// Where there was data.
    found: Option<Dimensions>,
    looked: Option<Moment>,
}

/// The documented dimensions.
pub(super) fn pair(tunnel: &TunnelId) -> Dimensions {
    vec![address(tunnel), ("VpnId".to_owned(), tunnel.vpn.as_str().to_owned())]
}

/// The aggregate of a connection's tunnels.
pub(super) fn of_connection(vpn: &VpnId) -> Dimensions {
    vec![("VpnId".to_owned(), vpn.as_str().to_owned())]
}

fn address(tunnel: &TunnelId) -> (String, String) {
    ("TunnelIpAddress".to_owned(), tunnel.outside_ip.to_string())
}

fn carries_id(dimensions: &Dimensions) -> bool {
    dimensions.iter().any(|(name, _)| name == "VpnId")
}

/// The kind of these dimensions.
pub(super) fn found_under(tunnel: &TunnelId, dimensions: &Dimensions) -> FoundUnder {
    if *dimensions == pair(tunnel) {
        FoundUnder::VpnAndAddress
    } else if *dimensions == [address(tunnel)] {
        FoundUnder::AddressAlone
    } else {
        FoundUnder::Others
    }
}

impl Known {
    /// The dimensions to query.
    pub(super) fn of(&self, tunnel: &TunnelId) -> Dimensions {
        let found = self.tunnels.get(tunnel).and_then(|known| known.found.clone());
        found.unwrap_or_else(|| pair(tunnel))
    }

    /// Notes that there are data under these. True if that is new and they are not the documented ones.
    pub(super) fn found(&mut self, tunnel: &TunnelId, dimensions: Dimensions, now: Moment) -> bool {
        if carries_id(&dimensions) {
            self.confirm(&tunnel.vpn, now);
        }
        let known = self.tunnels.entry(tunnel.clone()).or_default();
        let is_news = known.found.as_ref() != Some(&dimensions) && dimensions != pair(tunnel);
        known.found = Some(dimensions);
        is_news
    }

    /// Notes that there are data under the connection's id.
    pub(super) fn confirm(&mut self, vpn: &VpnId, now: Moment) {
        self.confirmed.entry(vpn.clone()).or_insert(now);
    }

    /// Whether to query the connection's id alone now; counts as done.
    pub(super) fn seek(&mut self, vpn: &VpnId, now: Moment) -> bool {
        let is_due = self.sought.get(vpn).is_none_or(|sought| now.since(*sought) >= LOOK_EVERY);
        let seeks = is_due && !self.confirmed.contains_key(vpn);
        if seeks {
            self.sought.insert(vpn.clone(), now);
        }
        seeks
    }

    /// Whether a tunnel's data have its address alone.
    pub(super) fn is_by_address(&self, tunnel: &TunnelId) -> bool {
        let found = self.tunnels.get(tunnel).and_then(|known| known.found.as_ref());
        found.is_some_and(|found| found_under(tunnel, found) == FoundUnder::AddressAlone)
    }

    /// The evidence against a connection's id. A tunnel whose data have the id belongs to the connection; one without data is
    /// another problem.
    pub(super) fn doubt(&self, vpn: &VpnId, tunnels: &[TunnelId]) -> Option<IdDoubt> {
        let by_address = tunnels.iter().filter(|tunnel| self.is_by_address(tunnel));
        let by_address: Vec<IpAddr> = by_address.map(|tunnel| tunnel.outside_ip).collect();
        let under_id = self.under_id(vpn, tunnels);
        if under_id.is_empty() {
            let doubts = !by_address.is_empty() && !self.confirmed.contains_key(vpn);
            return doubts.then(|| IdDoubt::Unconfirmed { vpn: vpn.clone(), by_address });
        }
        let strangers: Vec<IpAddr> = by_address.into_iter().filter(|ip| !under_id.contains(ip)).collect();
        (!strangers.is_empty()).then(|| IdDoubt::Contradicted { vpn: vpn.clone(), strangers, under_id })
    }

    /// The addresses with data under the connection's id, as far as known.
    fn under_id(&self, vpn: &VpnId, tunnels: &[TunnelId]) -> BTreeSet<IpAddr> {
        let id = ("VpnId".to_owned(), vpn.as_str().to_owned());
        let named = self.named(vpn).iter().filter(|dimensions| dimensions.contains(&id)).flatten();
        let named = named.filter(|(name, _)| name == "TunnelIpAddress").map(|(_, ip)| ip.parse().ok());
        // If one of them cannot be parsed it may be the one in question.
        let named: Option<BTreeSet<IpAddr>> = named.collect();
        let carry_it = |tunnel: &&TunnelId| {
            let found = self.tunnels.get(*tunnel).and_then(|known| known.found.as_ref());
            found.is_some_and(carries_id)
        };
        let ours = tunnels.iter().filter(carry_it).map(|tunnel| tunnel.outside_ip);
        named.unwrap_or_default().into_iter().chain(ours).collect()
    }

    fn named(&self, vpn: &VpnId) -> &[Dimensions] {
        self.listed.get(vpn).and_then(|listing| listing.named.as_deref()).unwrap_or_default()
    }

    /// Whether to search elsewhere for a tunnel without data now; counts as done.
    pub(super) fn look(&mut self, tunnel: &TunnelId, now: Moment) -> bool {
        let known = self.tunnels.entry(tunnel.clone()).or_default();
        let is_due = known.looked.is_none_or(|looked| now.since(looked) >= LOOK_EVERY);
        // If the pair ever had data it is the right one, and AWS is silent.
        let looks = is_due && known.found.as_ref() != Some(&pair(tunnel));
        if looks {
            known.looked = Some(now);
        }
        looks
    }

    /// Other dimensions that may have a tunnel's data, those with the connection's id first.
    pub(super) fn elsewhere(&self, tunnel: &TunnelId) -> Vec<Dimensions> {
        let ip = tunnel.outside_ip.to_string();
        let listed = self.named(&tunnel.vpn).iter();
        let listed = listed.filter(|all| all.iter().any(|(_, value)| *value == ip)).take(CANDIDATES_MAX);
        let mut all = vec![pair(tunnel), vec![address(tunnel)]];
        all.extend(listed.cloned());
        all.sort_by_cached_key(|dimensions| (!carries_id(dimensions), dimensions.clone()));
        all.dedup();
        let asked = self.of(tunnel);
        all.retain(|dimensions| *dimensions != asked);
        all
    }

    /// Whether to list the metrics of a connection: once, and once more if the first time was too early for a new metric to be
    /// named.
    fn lists(&self, vpn: &VpnId, now: Moment) -> bool {
        let Some(Listing { asked, named }) = self.listed.get(vpn) else { return true };
        let confirmed = self.confirmed.get(vpn);
        let is_early = confirmed.is_some_and(|confirmed| asked.since(*confirmed) < LISTED_AFTER);
        now.since(*asked) >= LOOK_EVERY && (named.is_none() || is_early)
    }

    /// Lists the metrics of a connection, if that is due. A missing permission does no harm: the other ways remain.
    pub(super) async fn list(&mut self, connection: &AwsConnection, vpn: &VpnId, now: Moment) {
        if !self.lists(vpn, now) {
            return;
        }
        let before = self.listed.remove(vpn).and_then(|listing| listing.named);
        let named = match all_named(connection, vpn).await {
            Ok(named) => Some(named),
            Err(failure) => {
                Detail::LookupFailed(&failure).record().emit();
                let is_denied = failure.kind == FailureKind::Denied;
                before.or_else(|| is_denied.then(Vec::new))
            }
        };
        self.listed.insert(vpn.clone(), Listing { asked: now, named });
    }
}

/// All that ListMetrics names: an incomplete list proves nothing about what is missing.
async fn all_named(connection: &AwsConnection, vpn: &VpnId) -> Result<Vec<Dimensions>, Failure> {
    let filter = DimensionFilter::builder().name("VpnId").value(vpn.as_str()).build();
    let mut named = Vec::new();
    let mut token: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let request = connection
            .cloudwatch
            .list_metrics()
            .namespace("AWS/VPN")
            .metric_name("TunnelState")
            .dimensions(filter.clone())
            .set_next_token(token.take());
        let send = |capture| request.clone().customize().interceptor(capture).send();
        let (page, _) = call(Call::ListMetrics, &connection.place, send).await?;
        named.extend(page.metrics().iter().map(|metric| sorted(metric.dimensions())));
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            return Ok(named);
        }
    }
    Err(Failure::garbage(Call::ListMetrics, &connection.place, "the list does not end"))
}

fn sorted(dimensions: &[Dimension]) -> Dimensions {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let mut all: Dimensions = dimensions.iter().map(|it| (text(it.name()), text(it.value()))).collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tunnel() -> TunnelId {
        TunnelId { vpn: VpnId::new("vpn-0123456789abcdef0"), outside_ip: "203.0.113.11".parse().unwrap() }
    }

    fn at(secs: u64) -> Moment {
        Moment::ORIGIN + Duration::from_secs(secs)
    }

    #[test]
    fn if_the_pair_has_data_nothing_else_is_queried() {
        let mut known = Known::default();
        assert!(!known.found(&tunnel(), pair(&tunnel()), at(0)), "that is as documented");
        assert!(!known.look(&tunnel(), at(10_000)));
    }

    #[test]
    fn missing_data_are_searched_elsewhere_once_per_quarter_of_an_hour() {
        let mut known = Known::default();
        let looks = (0..3600).filter(|second| known.look(&tunnel(), at(*second))).count();
        assert_eq!(looks, 4);
    }

    #[test]
    fn found_dimensions_are_queried_from_then_on_and_reported_once() {
        let mut known = Known::default();
        assert_eq!(known.elsewhere(&tunnel()), [vec![address(&tunnel())]]);
        assert!(known.found(&tunnel(), vec![address(&tunnel())], at(0)));
        assert!(!known.found(&tunnel(), vec![address(&tunnel())], at(0)));
        assert_eq!(known.of(&tunnel()), [address(&tunnel())]);
        assert_eq!(known.elsewhere(&tunnel()), [pair(&tunnel())], "should AWS go back to it");
    }

    #[test]
    fn data_by_address_alone_leave_the_id_unconfirmed_until_there_are_data_under_it() {
        let (mut known, tunnel) = (Known::default(), tunnel());
        let tunnels = [tunnel.clone()];
        assert_eq!(known.doubt(&tunnel.vpn, &tunnels), None, "without data there is another problem");
        known.found(&tunnel, vec![address(&tunnel)], at(0));
        let unconfirmed =
            IdDoubt::Unconfirmed { vpn: tunnel.vpn.clone(), by_address: vec![tunnel.outside_ip] };
        assert_eq!(known.doubt(&tunnel.vpn, &tunnels), Some(unconfirmed));
        let sought = (0..3600).filter(|second| known.seek(&tunnel.vpn, at(*second))).count();
        assert_eq!(sought, 4);
        known.confirm(&tunnel.vpn, at(3600));
        assert_eq!(known.doubt(&tunnel.vpn, &tunnels), None);
        assert!(!known.seek(&tunnel.vpn, at(10_000)));
    }

    /// The tunnel, and one with another address.
    fn two() -> [TunnelId; 2] {
        [tunnel(), TunnelId { outside_ip: "198.51.100.21".parse().unwrap(), ..tunnel() }]
    }

    fn list(known: &mut Known, named: Option<Vec<Dimensions>>, asked: Moment) {
        known.listed.insert(tunnel().vpn, Listing { asked, named });
    }

    /// Of the tunnels of [`two`]: those that are not the connection's, and the addresses that are.
    fn contradicted(known: &Known) -> Option<(Vec<String>, Vec<String>)> {
        let texts = |ip: IpAddr| ip.to_string();
        match known.doubt(&tunnel().vpn, &two()) {
            Some(IdDoubt::Contradicted { vpn: _, strangers, under_id }) => {
                Some((strangers.into_iter().map(texts).collect(), under_id.into_iter().map(texts).collect()))
            }
            Some(IdDoubt::Unconfirmed { .. }) => panic!("it is confirmed"),
            None => None,
        }
    }

    #[test]
    fn an_id_under_which_cloudwatch_has_other_addresses_is_contradicted_though_it_is_one_of_awss() {
        let mut known = Known::default();
        for tunnel in two() {
            known.found(&tunnel, vec![address(&tunnel)], at(0));
        }
        known.confirm(&tunnel().vpn, at(0));
        let pair_of = |ip: &str| pair(&TunnelId { outside_ip: ip.parse().unwrap(), ..tunnel() });
        let expected = |strangers: &[&str], under_id: &[&str]| {
            let owned = |all: &[&str]| all.iter().map(|&ip| ip.to_owned()).collect::<Vec<_>>();
            Some((owned(strangers), owned(under_id)))
        };
        list(
            &mut known,
            Some(vec![pair_of("192.0.2.31"), pair_of("192.0.2.32"), of_connection(&tunnel().vpn)]),
            at(0),
        );
        assert_eq!(
            contradicted(&known),
            expected(&["203.0.113.11", "198.51.100.21"], &["192.0.2.31", "192.0.2.32"])
        );
        list(&mut known, Some(vec![pair_of("203.0.113.11"), pair_of("192.0.2.32")]), at(0));
        assert_eq!(contradicted(&known), expected(&["198.51.100.21"], &["192.0.2.32", "203.0.113.11"]));
        list(&mut known, Some(vec![pair_of("203.0.113.11"), pair_of("198.51.100.21")]), at(0));
        assert_eq!(contradicted(&known), None, "it is named, wherever its data are");
    }

    #[test]
    fn a_list_without_the_ids_addresses_is_no_evidence() {
        let mut known = Known::default();
        for tunnel in two() {
            known.found(&tunnel, vec![address(&tunnel)], at(0));
        }
        known.confirm(&tunnel().vpn, at(0));
        let illegible =
            vec![("TunnelIpAddress".to_owned(), "203.0.113".to_owned()), pair(&tunnel())[1].clone()];
        let of_no_id = vec![("TunnelIpAddress".to_owned(), "192.0.2.31".to_owned())];
        for named in [
            None,
            Some(vec![]),
            Some(vec![of_connection(&tunnel().vpn)]),
            Some(vec![of_no_id]),
            Some(vec![illegible, pair(&tunnel())]),
        ] {
            list(&mut known, named, at(0));
            assert_eq!(contradicted(&known), None, "{known:?}");
        }
    }

    #[test]
    fn a_tunnel_by_address_alone_beside_one_that_carries_the_id_is_another_connections() {
        let mut known = Known::default();
        let [ours, stranger] = two();
        known.found(&ours, pair(&ours), at(0));
        assert_eq!(contradicted(&known), None, "a tunnel without data is another problem");
        known.found(&stranger, vec![address(&stranger)], at(0));
        assert_eq!(
            contradicted(&known),
            Some((vec!["198.51.100.21".to_owned()], vec!["203.0.113.11".to_owned()]))
        );
        assert_eq!(known.elsewhere(&stranger), [pair(&stranger)], "AWS may have been late with it");
        assert!(known.look(&stranger, at(0)) && !known.look(&stranger, at(1)), "and not at every question");
        known.found(&stranger, pair(&stranger), at(60));
        assert_eq!(contradicted(&known), None);
    }

    #[test]
    fn the_list_is_requested_again_if_it_may_have_missed_a_new_metric() {
        let vpn = tunnel().vpn;
        let mut known = Known::default();
        assert!(known.lists(&vpn, at(0)));
        list(&mut known, Some(vec![]), at(0));
        assert!(!known.lists(&vpn, at(100_000)), "there is nothing new");
        known.confirm(&vpn, at(600));
        assert!(!known.lists(&vpn, at(899)));
        assert!(known.lists(&vpn, at(900)));
        list(&mut known, Some(vec![]), at(900));
        assert!(known.lists(&vpn, at(1800)), "900 s are not yet a quarter of an hour after the first data");
        list(&mut known, Some(vec![]), at(1800));
        assert!(!known.lists(&vpn, at(100_000)));
        list(&mut known, None, at(200_000));
        assert!(!known.lists(&vpn, at(200_899)) && known.lists(&vpn, at(200_900)), "it failed");
    }

    #[test]
    fn only_listed_dimensions_that_name_the_tunnel_are_tried_and_a_limited_number() {
        let mut known = Known::default();
        let with = |name: &str, ip: &str| vec![address(&tunnel()).clone(), (name.to_owned(), ip.to_owned())];
        let other = vec![("TunnelIpAddress".to_owned(), "203.0.113.99".to_owned())];
        let many = (0..100).map(|n| with(&format!("X{n}"), "1"));
        list(&mut known, Some(std::iter::once(other.clone()).chain(many).collect()), at(0));
        let all = known.elsewhere(&tunnel());
        assert!(!all.contains(&other));
        assert_eq!(all.len(), 1 + CANDIDATES_MAX);
    }
}
