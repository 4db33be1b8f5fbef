//! `mtu`: the largest packet that passes through each tunnel.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::bisection::{Burst, Search, Step};
use super::echo_socket::{EchoSocket, Egress, Heard, Unsent, smallest_packet};
use super::{MTU_WITHIN, Sensor, Subject};
use crate::clock;
use crate::domain::names::TunnelId;
use crate::domain::sensor::{Finding, Mtu, Unavailable};
use crate::domain::time::Moment;

/// Nothing larger reaches AWS, whose tunnels end at an MTU of 1500.
const MOST: u16 = 1500;
/// So many tunnels are measured at a time, each with one socket that is open meanwhile.
const AT_ONCE: usize = 16;
/// What is left of [`MTU_WITHIN`] to the answer's way.
const MARGIN: Duration = Duration::from_secs(1);
/// Between the echoes of a burst, at least: losses come in rows.
const SPACING: Duration = Duration::from_millis(50);
/// Until a round trip is known.
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);
const TIMEOUT_MIN: Duration = Duration::from_millis(200);
const TIMEOUT_MAX: Duration = Duration::from_millis(1500);

/// Measures every tunnel it is asked for; at first the size that was found at the last look, and one byte more.
#[derive(Debug, Default)]
pub struct MtuSensor {
    found: BTreeMap<TunnelId, u16>,
}

impl Sensor for MtuSensor {
    async fn look(&mut self, subjects: &[Arc<Subject>]) -> Vec<Finding> {
        let until = clock::now().mono + (MTU_WITHIN - MARGIN);
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        let mut measuring = JoinSet::new();
        for (index, subject) in subjects.iter().enumerate() {
            let (subject, permits) = (Arc::clone(subject), Arc::clone(&permits));
            let last = self.found.get(&subject.tunnel).copied();
            measuring.spawn(async move {
                let measured = async {
                    let _permit = permits.acquire().await.map_err(|_| Unavailable::HostError)?;
                    measure(&subject, last).await
                };
                let measured = timeout(until.since(clock::now().mono), measured).await;
                (index, measured.unwrap_or(Err(Unavailable::TimedOut)))
            });
        }
        let mut found: Vec<Result<Mtu, Unavailable>> =
            subjects.iter().map(|_| Err(Unavailable::HostError)).collect();
        while let Some(measured) = measuring.join_next().await {
            let Ok((index, mtu)) = measured else { continue };
            if let Ok(Mtu { largest: Some(largest), tried: _ }) = mtu {
                self.found.insert(subjects[index].tunnel.clone(), largest);
            }
            found[index] = mtu;
        }
        found.into_iter().map(Finding::Mtu).collect()
    }
}

async fn measure(subject: &Subject, last: Option<u16>) -> Result<Mtu, Unavailable> {
    let to = subject.inside_ip;
    let socket = EchoSocket::open(&Egress::tunnel(subject), to)
        .and_then(EchoSocket::never_fragment)
        .map_err(|why| why.unavailable())?;
    let tried = smallest_packet(to);
    let search = Search::new(tried, MOST, last);
    Measurement { socket, to, search, echoes: Vec::new(), rtt: None, tried }.run().await
}

struct Measurement {
    socket: EchoSocket,
    to: IpAddr,
    search: Search,
    /// By sequence number.
    echoes: Vec<Echo>,
    /// The longest that was met.
    rtt: Option<Duration>,
    tried: u16,
}

struct Echo {
    size: u16,
    at: Moment,
    answered: bool,
}

/// How a burst ended.
enum Ending {
    /// One of its size has passed.
    Passed,
    /// None of its size has passed in time, and so many of the smallest have.
    Lost { small: u32 },
    /// This host does not send packets of its size.
    BeyondHost,
}

impl Measurement {
    async fn run(mut self) -> Result<Mtu, Unavailable> {
        loop {
            let burst = match self.search.next() {
                Step::Burst(burst) => burst,
                Step::Done(largest) => return Ok(Mtu { largest, tried: self.tried }),
            };
            match self.burst(burst).await? {
                Ending::Passed => (),
                Ending::Lost { small } => self.search.ended(burst, small),
                Ending::BeyondHost => self.search.is_beyond_host(burst.size),
            }
        }
    }

    async fn burst(&mut self, burst: Burst) -> Result<Ending, Unavailable> {
        let smallest = smallest_packet(self.to);
        let only_smallest = burst.size == smallest;
        let first = self.echoes.len();
        let timeout = self.timeout();
        let spacing = if only_smallest { SPACING } else { (timeout / 4).max(SPACING) };
        for last in (0..burst.tries).rev() {
            if !only_smallest && !self.send(burst.size)? {
                return Ok(Ending::BeyondHost);
            }
            if !self.send(smallest)? {
                return Ok(Ending::BeyondHost);
            }
            let wait = if last == 0 { timeout } else { spacing };
            self.listen(clock::now().mono + wait, first, burst).await?;
            if !only_smallest && self.answered(first, burst.size) > 0 {
                return Ok(Ending::Passed);
            }
        }
        Ok(Ending::Lost { small: self.answered(first, smallest) })
    }

    /// Four times what an echo has taken so far.
    fn timeout(&self) -> Duration {
        self.rtt.map_or(FIRST_TIMEOUT, |rtt| (rtt * 4).clamp(TIMEOUT_MIN, TIMEOUT_MAX))
    }

    /// How many echoes of this size were answered, from this one on.
    fn answered(&self, first: usize, size: u16) -> u32 {
        let answered = self.echoes.iter().skip(first).filter(|echo| echo.answered && echo.size == size);
        u32::try_from(answered.count()).unwrap_or(u32::MAX)
    }

    /// Whether this host sends packets of this size.
    fn send(&mut self, size: u16) -> Result<bool, Unavailable> {
        // Thirty seconds are over long before.
        let sequence = u16::try_from(self.echoes.len()).map_err(|_| Unavailable::HostError)?;
        match self.socket.send_sized(self.to, sequence, size) {
            Ok(()) => (),
            Err(Unsent::TooLarge) => return Ok(false),
            Err(why) => return Err(why.unavailable()),
        }
        self.echoes.push(Echo { size, at: clock::now().mono, answered: false });
        self.tried = self.tried.max(size);
        Ok(true)
    }

    /// Until then, or until the burst has its answer.
    async fn listen(&mut self, until: Moment, first: usize, burst: Burst) -> Result<(), Unavailable> {
        let wanted = if burst.size == smallest_packet(self.to) { u32::from(burst.tries) } else { 1 };
        while self.answered(first, burst.size) < wanted {
            match timeout(until.since(clock::now().mono), self.socket.receive()).await {
                Err(_) => break,
                Ok(Err(_)) => return Err(Unavailable::HostError),
                Ok(Ok(Heard::Reply { from, sequence, size })) => self.replied(from, sequence, size),
                Ok(Ok(Heard::Stopped { .. })) => (),
            }
        }
        Ok(())
    }

    /// A reply that is shorter than its echo shows that something passed, but not that size.
    fn replied(&mut self, from: IpAddr, sequence: u16, size: u16) {
        let Some(echo) = self.echoes.get_mut(usize::from(sequence)) else { return };
        if from == self.to && size == echo.size {
            echo.answered = true;
            let rtt = clock::now().mono.since(echo.at);
            self.rtt = Some(self.rtt.map_or(rtt, |known| known.max(rtt)));
            // Also after its burst has ended.
            self.search.has_passed(size);
        }
    }
}
