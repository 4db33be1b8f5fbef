//! `trace`: the hops on the way to AWS's outside address, by echoes whose TTL runs out on the way.
//!
//! Echoes rather than UDP: AWS's end answers an echo or nothing, and a datagram to port 500 or 4500 would be a broken IKE message to
//! it. Routers say the same about either, and an echo carries its distance as sequence number.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::echo_socket::{EchoSocket, Egress, Heard, Stop};
use super::{Sensor, Subject};
use crate::clock;
use crate::domain::sensor::{Finding, Trace, Unavailable};
use crate::domain::time::Moment;

/// As far as traceroute(8) looks.
const HOPS: u8 = 30;
/// A hop that has not answered is asked again.
const TRIES: u8 = 3;
/// Between two echoes. The destination's reply ends a try, so the more distant echoes mostly need not be sent.
const SPACING: Duration = Duration::from_millis(10);
/// After the last echo of a try.
const WAIT: Duration = Duration::from_millis(700);

/// So many traces are made in one look, of the first tunnels; the others are [`Unavailable::Skipped`]. A Linux router on the way sends
/// one host six ICMP errors at once and then one a second, and a hop that is out of them looks like the end of the path.
pub const TRACES_PER_LOOK: usize = 4;

/// Traces the first few tunnels it is asked for. One socket per trace, open during a look.
#[derive(Debug, Default)]
pub struct TraceSensor;

impl Sensor for TraceSensor {
    async fn look(&mut self, subjects: &[Arc<Subject>]) -> Vec<Finding> {
        let own = Arc::new(own_addresses());
        let mut tracing = JoinSet::new();
        for (index, subject) in subjects.iter().take(TRACES_PER_LOOK).enumerate() {
            let (subject, own) = (Arc::clone(subject), Arc::clone(&own));
            tracing.spawn(async move { (index, trace(&subject, &own).await) });
        }
        let mut found: Vec<Result<Trace, Unavailable>> =
            subjects.iter().map(|_| Err(Unavailable::Skipped)).collect();
        found.iter_mut().take(TRACES_PER_LOOK).for_each(|one| *one = Err(Unavailable::HostError));
        while let Some(traced) = tracing.join_next().await {
            if let Ok((index, trace)) = traced {
                found[index] = trace;
            }
        }
        found.into_iter().map(Finding::Trace).collect()
    }
}

async fn trace(subject: &Subject, own: &BTreeSet<IpAddr>) -> Result<Trace, Unavailable> {
    let at = clock::now().wall;
    let to = subject.tunnel.outside_ip;
    let socket = EchoSocket::open(&Egress::uplink(&subject.uplink), to)
        .and_then(EchoSocket::report_errors)
        .map_err(|why| why.unavailable())?;
    let mut map = Map::new(to);
    for attempt in 0..TRIES {
        for distance in 1..=HOPS {
            if !map.wants(distance) {
                continue;
            }
            let sequence = u16::from(attempt) * u16::from(HOPS) + u16::from(distance) - 1;
            socket
                .set_ttl(distance)
                .and_then(|()| socket.send(to, sequence))
                .map_err(|why| why.unavailable())?;
            listen(&socket, &mut map, own, clock::now().mono + SPACING).await?;
        }
        listen(&socket, &mut map, own, clock::now().mono + WAIT).await?;
        if map.is_complete() {
            break;
        }
    }
    let (hops, reached) = map.hops();
    Ok(Trace { at, hops, reached })
}

async fn listen(
    socket: &EchoSocket,
    map: &mut Map,
    own: &BTreeSet<IpAddr>,
    until: Moment,
) -> Result<(), Unavailable> {
    while !map.is_complete() {
        match timeout(until.since(clock::now().mono), socket.receive()).await {
            Err(_) => break,
            Ok(Err(_)) => return Err(Unavailable::HostError),
            Ok(Ok(Heard::Reply { from, sequence, size: _ })) => map.replied(from, distance_of(sequence)),
            // This host itself could not resolve the address of the first hop.
            Ok(Ok(Heard::Stopped { by, .. })) if own.contains(&by) => (),
            Ok(Ok(Heard::Stopped { by, sequence, why })) => map.stopped(by, distance_of(sequence), why),
        }
    }
    Ok(())
}

fn distance_of(sequence: u16) -> u8 {
    u8::try_from(sequence % u16::from(HOPS)).unwrap_or(0) + 1
}

fn own_addresses() -> BTreeSet<IpAddr> {
    let Ok(all) = getifaddrs() else { return BTreeSet::new() };
    let addresses = all.filter_map(|one| one.address).filter_map(|address| {
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    });
    addresses.collect()
}

/// What has answered so far.
#[derive(Debug)]
struct Map {
    to: IpAddr,
    /// By distance, less one.
    hops: [Option<IpAddr>; HOPS as usize],
    /// The shortest distance from which the destination answered, or was said to be unreachable: nothing lies beyond.
    end: Option<u8>,
}

impl Map {
    const fn new(to: IpAddr) -> Self {
        Self { to, hops: [None; HOPS as usize], end: None }
    }

    fn wants(&self, distance: u8) -> bool {
        self.end.is_none_or(|end| distance <= end) && self.at(distance).is_none()
    }

    fn is_complete(&self) -> bool {
        self.end.is_some_and(|end| (1..=end).all(|distance| !self.wants(distance)))
    }

    fn at(&self, distance: u8) -> Option<IpAddr> {
        self.hops.get(usize::from(distance).checked_sub(1)?).copied().flatten()
    }

    fn replied(&mut self, from: IpAddr, distance: u8) {
        if from == self.to {
            self.note(from, distance);
            self.ends_at(distance);
        }
    }

    fn stopped(&mut self, by: IpAddr, distance: u8, why: Stop) {
        self.note(by, distance);
        if why == Stop::Unreachable {
            self.ends_at(distance);
        }
    }

    /// The first answer stays.
    fn note(&mut self, who: IpAddr, distance: u8) {
        if let Some(hop) = usize::from(distance).checked_sub(1).and_then(|index| self.hops.get_mut(index)) {
            hop.get_or_insert(who);
        }
    }

    fn ends_at(&mut self, distance: u8) {
        self.end = Some(self.end.map_or(distance, |end| end.min(distance)));
    }

    /// Up to the last that answered, and whether that was the destination.
    fn hops(&self) -> (Vec<Option<IpAddr>>, bool) {
        let end = usize::from(self.end.unwrap_or(HOPS));
        let mut hops = self.hops[..end].to_vec();
        while let Some(last) = hops.pop() {
            if last.is_none() {
                continue;
            }
            // A router that cannot reach the next one says so one TTL after it has said that it is there.
            if hops.last() != Some(&last) {
                hops.push(last);
            }
            break;
        }
        let reached = hops.last() == Some(&Some(self.to));
        (hops, reached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    const TO: u8 = 99;

    #[test]
    fn echoes_that_pass_the_destinations_distance_do_not_lengthen_the_path() {
        let mut map = Map::new(ip(TO));
        for distance in (4..=9).rev() {
            map.replied(ip(TO), distance);
        }
        map.stopped(ip(1), 1, Stop::TimeExceeded);
        assert!(!map.is_complete());
        map.stopped(ip(3), 3, Stop::TimeExceeded);
        assert_eq!(map.hops(), (vec![Some(ip(1)), None, Some(ip(3)), Some(ip(TO))], true));
        assert!(!map.wants(5) && map.wants(2) && !map.is_complete());
        map.stopped(ip(2), 2, Stop::TimeExceeded);
        assert!(map.is_complete());
    }

    #[test]
    fn without_the_destination_the_hops_end_with_the_last_that_answered() {
        let mut map = Map::new(ip(TO));
        assert_eq!(map.hops(), (vec![], false));
        map.stopped(ip(2), 2, Stop::TimeExceeded);
        assert_eq!(map.hops(), (vec![None, Some(ip(2))], false));
        assert!(!map.is_complete());
    }

    #[test]
    fn a_router_without_a_way_on_is_the_last_hop_and_counts_once() {
        let mut map = Map::new(ip(TO));
        map.stopped(ip(1), 1, Stop::TimeExceeded);
        map.stopped(ip(2), 2, Stop::TimeExceeded);
        for distance in 3..=HOPS {
            map.stopped(ip(2), distance, Stop::Unreachable);
        }
        assert_eq!(map.hops(), (vec![Some(ip(1)), Some(ip(2))], false));
        assert!(map.is_complete());
    }

    #[test]
    fn an_answer_of_another_host_is_not_the_destinations() {
        let mut map = Map::new(ip(TO));
        map.replied(ip(5), 3);
        assert_eq!(map.hops(), (vec![], false));
    }

    #[test]
    fn a_distance_is_read_back_from_the_sequence_number_of_each_try() {
        for attempt in 0..u16::from(TRIES) {
            assert_eq!(distance_of(attempt * u16::from(HOPS)), 1);
            assert_eq!(distance_of(attempt * u16::from(HOPS) + 29), 30);
        }
    }
}
