//! A connection to the first address of a host that answers (RFC 8305, "Happy Eyeballs").

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The next address is tried beside the others when these have said nothing for so long (RFC 8305, section 5).
const NEXT_AFTER: Duration = Duration::from_millis(250);

/// Why no address of a host answered.
pub(super) enum Unreached {
    /// Its name has no address, or the resolver did not say.
    Unresolved(io::Error),
    /// How the first of its addresses failed.
    Unconnected(io::Error),
}

pub(super) async fn reach(host: &str, port: u16) -> Result<TcpStream, Unreached> {
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(Unreached::Unresolved)?;
    first(in_turn(addresses)).await.map_err(Unreached::Unconnected)
}

/// By turns of the families, beginning with the resolver's first (RFC 8305, section 4).
fn in_turn(addresses: impl Iterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let mut addresses = addresses.peekable();
    let leading = addresses.peek().is_some_and(SocketAddr::is_ipv6);
    let (mut these, mut those): (VecDeque<_>, VecDeque<_>) =
        addresses.partition(|address| address.is_ipv6() == leading);
    let mut all = VecDeque::new();
    while !these.is_empty() || !those.is_empty() {
        all.extend(these.pop_front());
        all.extend(those.pop_front());
    }
    all
}

/// The first that connects; the failure of the first address if none does. What is under way ends with this future.
async fn first(mut addresses: VecDeque<SocketAddr>) -> io::Result<TcpStream> {
    let mut under_way = JoinSet::new();
    let mut failures: Vec<(usize, io::Error)> = Vec::new();
    let mut begun = 0;
    loop {
        if let Some(address) = addresses.pop_front() {
            let index = begun;
            begun += 1;
            under_way.spawn(async move { (index, TcpStream::connect(address).await) });
        }
        if under_way.is_empty() {
            break;
        }
        let more = !addresses.is_empty();
        tokio::select! {
            ended = under_way.join_next() => match ended {
                Some(Ok((_, Ok(stream)))) => return Ok(stream),
                Some(Ok((index, Err(error)))) => failures.push((index, error)),
                Some(Err(_)) | None => {}
            },
            () = tokio::time::sleep(NEXT_AFTER), if more => {}
        }
    }
    failures.sort_by_key(|(index, _)| *index);
    let nowhere = || io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
    Err(failures.into_iter().next().map_or_else(nowhere, |(_, error)| error))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use rustix::net::{AddressFamily, SocketType, bind, connect, listen, socket};

    use super::*;

    /// A socket that takes no connection, as its queue is full: what comes is dropped, as by a route that leads nowhere.
    fn dead(ip: Ipv4Addr) -> (SocketAddr, Vec<std::os::fd::OwnedFd>) {
        let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&listener, &SocketAddr::from((ip, 0))).unwrap();
        listen(&listener, 0).unwrap();
        let address = SocketAddr::try_from(rustix::net::getsockname(&listener).unwrap()).unwrap();
        let mut held = vec![listener];
        let full = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        connect(&full, &address).unwrap();
        held.push(full);
        (address, held)
    }

    #[tokio::test]
    async fn an_address_that_is_dead_keeps_nobody_from_the_next() {
        let (dead, _held) = dead(Ipv4Addr::new(127, 0, 0, 2));
        let alive = TcpListener::bind("127.0.0.1:0").unwrap();
        let alive = alive.local_addr().map(|address| (address, alive)).unwrap();
        let stream = first([dead, dead, alive.0].into()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), alive.0);
    }

    #[tokio::test]
    async fn an_address_that_refuses_hands_on_to_the_next_and_the_first_failure_is_told() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let alive = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = first([closed, alive.local_addr().unwrap()].into()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), alive.local_addr().unwrap());
        let unroutable = "255.255.255.255:9".parse().unwrap();
        let failure = first([closed, unroutable].into()).await.unwrap_err();
        assert_eq!(failure.kind(), io::ErrorKind::ConnectionRefused);
        assert!(first(VecDeque::new()).await.unwrap_err().to_string().contains("no address"));
    }

    #[test]
    fn families_take_turns() {
        let addresses = ["[2001:db8::1]:1", "[2001:db8::2]:1", "192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"];
        let turns = in_turn(addresses.iter().map(|address| address.parse().unwrap()));
        let turns: Vec<_> = turns.iter().map(ToString::to_string).collect();
        assert_eq!(
            turns,
            ["[2001:db8::1]:1", "192.0.2.1:1", "[2001:db8::2]:1", "192.0.2.2:1", "192.0.2.3:1"]
        );
    }
}
