//! Whether this host holds an address that moves between hosts, as VRRP moves one.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use crate::catalogue::parts::{Detail, Oddity};
use crate::domain::event::Event;

/// A move of the address shows within this; VRRP itself takes some three seconds to notice a dead master (RFC 9568, 6.1).
const EVERY: Duration = Duration::from_secs(1);
/// The discard service's port. Nothing is sent to it: connecting a datagram socket only looks up the way.
const DISCARD: u16 = 9;

/// Whether this host holds the address: whether the kernel would deliver a packet to it here, from itself. Nothing is
/// sent, nothing is bound, and no privilege is needed.
///
/// Binding would not show it: with `net.ipv4.ip_nonlocal_bind` set, as is common beside VRRP, any address can be bound. An IPv6
/// address that is still being checked for duplicates is not held yet; one that lives in a VRF is not seen.
///
/// # Errors
/// The system's, if no socket is to be had: then it is not known.
pub fn holds(address: IpAddr) -> io::Result<bool> {
    let socket = match Socket::new(Domain::for_address(SocketAddr::new(address, DISCARD)), Type::DGRAM, None)
    {
        Ok(socket) => socket,
        // A host without IPv6 holds no address of it.
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => return Ok(false),
        Err(error) => return Err(error),
    };
    if socket.connect(&SocketAddr::new(address, DISCARD).into()).is_err() {
        // There is no way to it, so it is not here.
        return Ok(false);
    }
    let from = socket.local_addr()?.as_socket();
    Ok(from.is_some_and(|from| from.ip() == address))
}

/// Sends at first, and whenever it changes, whether this host holds the address that is wanted; ends when either channel is
/// closed. What cannot be found out is not sent: the last known state is kept.
pub async fn watch_address(mut wanted: watch::Receiver<Option<IpAddr>>, events: mpsc::Sender<Event>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent: Option<(IpAddr, bool)> = None;
    let mut failing = false;
    loop {
        let asked = *wanted.borrow_and_update();
        if let Some(address) = asked {
            match holds(address) {
                Ok(held) => {
                    failing = false;
                    if sent != Some((address, held)) {
                        sent = Some((address, held));
                        if events.send(Event::AddressHeld { address, held }).await.is_err() {
                            return;
                        }
                    }
                }
                Err(error) if failing => {
                    Detail::AddressUnknown(address, &error).record().emit();
                }
                Err(error) => {
                    failing = true;
                    Oddity::AddressUnknown { address, error: &error }.record().emit();
                }
            }
        } else {
            sent = None;
        }
        tokio::select! {
            _ = ticks.tick() => {}
            changed = wanted.changed() => {
                if changed.is_err() {
                    return;
                }
                // After a reload the core may have forgotten it.
                sent = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_this_host_is_held_and_a_documentation_address_is_not() {
        // RFC 5737 and RFC 3849 keep the last two out of every real network.
        let held = |address: &str| holds(address.parse().unwrap()).unwrap();
        assert!(held("127.0.0.1"));
        assert!(!held("192.0.2.1"));
        assert!(!held("2001:db8::1"));
    }

    #[tokio::test]
    async fn it_is_told_at_first_and_again_after_every_reload() {
        let here: IpAddr = "127.0.0.1".parse().unwrap();
        let (want, wanted) = watch::channel(Some(here));
        let (events, mut heard) = mpsc::channel(8);
        let watching = tokio::spawn(watch_address(wanted, events));
        let held = Event::AddressHeld { address: here, held: true };
        assert_eq!(heard.recv().await, Some(held.clone()));
        want.send_replace(Some(here));
        assert_eq!(heard.recv().await, Some(held));
        let elsewhere: IpAddr = "192.0.2.1".parse().unwrap();
        want.send_replace(Some(elsewhere));
        assert_eq!(heard.recv().await, Some(Event::AddressHeld { address: elsewhere, held: false }));
        drop(want);
        watching.await.unwrap();
    }
}
