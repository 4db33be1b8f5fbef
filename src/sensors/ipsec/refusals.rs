//! Why IKE exchanges with a peer were refused.
//!
//! No list of charon's says it: after a refusal there is just no SA. charon (5.9.8 and 6.0.1, also with `keyingtries = 0`) does not try
//! again by itself, so that the refusal is heard once, in the millisecond in which it comes, or never. Therefore the log is read
//! all the time: its lines of levels 0 and 1, some per exchange. The `alert` events of 6.0.3 would say it with less, but not in
//! Debian 12 and 13.
//!
//! A refusal is attributed by the thread: what a worker of charon logs after "received packet: from PEER" is about that packet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::charon::Connection;
use crate::clock;
use crate::domain::sensor::{Refusal, Unavailable};
use crate::domain::time::Moment;
use crate::sensors::ANSWER_WITHIN;

/// A new attempt that is not answered for this long is no longer explained by the refusal before it.
const ATTEMPT: Duration = Duration::from_secs(5);
/// A refusal this long before a new attempt does not explain it at all.
const RECENT: Duration = Duration::from_secs(60);
/// A peer of whom nobody asks for this long is not watched any more.
const WATCHED: Duration = Duration::from_secs(600);
/// More threads than any charon has.
const THREADS_MAX: usize = 1024;

/// Without a connection to charon, how soon to try again: what it logs meanwhile is lost.
const RECONNECT: Duration = Duration::from_millis(500);
/// A log with more than this many lines in [`LOUD_SPAN`] is not read for [`LOUD_PAUSE`]; two tunnels log less than 10 a second.
const LOUD_LINES: u32 = 20_000;
const LOUD_SPAN: Duration = Duration::from_secs(10);
const LOUD_PAUSE: Duration = Duration::from_secs(60);

/// Reads charon's log in a task of its own, which ends with this.
#[derive(Debug)]
pub struct Listener {
    refusals: Arc<Mutex<Refusals>>,
    _task: JoinSet<()>,
    /// When somebody last asked what it has heard.
    asked: Moment,
}

impl Listener {
    /// Begins to listen at this socket.
    pub fn spawn(socket: PathBuf, now: Moment) -> Self {
        let refusals = Arc::new(Mutex::new(Refusals::default()));
        let mut task = JoinSet::new();
        task.spawn(listen(socket, Arc::clone(&refusals)));
        Self { refusals, _task: task, asked: now }
    }

    /// Watches these peers from now on.
    pub fn watch(&mut self, peers: &BTreeSet<IpAddr>, now: Moment) {
        self.asked = now;
        self.refusals().watch(peers, now);
    }

    /// Whether nobody has asked for long.
    pub fn is_idle(&self, now: Moment) -> bool {
        now.since(self.asked) >= WATCHED
    }

    /// What is known of refusals by and of the watched peers.
    pub fn refusals(&self) -> MutexGuard<'_, Refusals> {
        lock(&self.refusals)
    }
}

fn lock(refusals: &Mutex<Refusals>) -> MutexGuard<'_, Refusals> {
    refusals.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(socket: PathBuf, refusals: Arc<Mutex<Refusals>>) {
    loop {
        let is_loud = read_log(&socket, &refusals).await == Unavailable::TooLong;
        let pause = if is_loud { LOUD_PAUSE } else { RECONNECT };
        // What is logged from here on is not heard.
        lock(&refusals).forget();
        sleep(pause).await;
    }
}

/// Returns why there is no more to read.
async fn read_log(socket: &Path, refusals: &Mutex<Refusals>) -> Unavailable {
    let registered = timeout(ANSWER_WITHIN, async {
        let mut charon = Connection::open(socket, usize::MAX).await?;
        charon.register("log").await?;
        Ok(charon)
    });
    let mut charon = match registered.await {
        Ok(Ok(charon)) => charon,
        Ok(Err(why)) => return why,
        Err(_) => return Unavailable::TimedOut,
    };
    let mut since = clock::now().mono;
    let mut lines = 0;
    loop {
        let message = match charon.event().await {
            Ok(message) => message,
            Err(why) => return why,
        };
        let now = clock::now().mono;
        if now.since(since) > LOUD_SPAN {
            (since, lines) = (now, 0);
        }
        lines += 1;
        if lines > LOUD_LINES {
            return Unavailable::TooLong;
        }
        if let (Some(thread), Some(group), Some(text)) =
            (message.number("thread"), message.text("group"), message.text("msg"))
            && let Some(line) = Line::read(group, text)
        {
            lock(refusals).heard(thread, line, now);
        }
    }
}

/// A line of charon's log that says something about refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// This thread has a packet of this address.
    From(IpAddr),
    /// The message that this thread read, or answers with, has an error notification.
    Refused(Refusal),
    /// An IKE SA with this address is begun.
    Initiating(IpAddr),
    /// This thread installed a CHILD_SA.
    Installed,
}

impl Line {
    /// Reads a line of a group of the log (`debug_names`).
    pub fn read(group: &str, text: &str) -> Option<Self> {
        match group {
            "NET" => {
                let (address, _) = text.strip_prefix("received packet: from ")?.split_once('[')?;
                address.parse().ok().map(Self::From)
            }
            "ENC" => {
                // IKEv1 alone has these payloads, and encrypts them with a key made of the pre-shared one.
                if text.ends_with("_V1 payload length, decryption failed?") {
                    return Some(Self::Refused(Refusal::Authentication));
                }
                let message = text.strip_prefix("parsed ").or_else(|| text.strip_prefix("generating "))?;
                let (_, payloads) = message.split_once(" [ ")?;
                let mut notifications =
                    payloads.split(' ').filter_map(|payload| payload.strip_prefix("N(")?.strip_suffix(')'));
                notifications.find_map(refusal).map(Self::Refused)
            }
            "IKE" => {
                if text.contains("CHILD_SA ") && text.contains("} established with SPIs ") {
                    return Some(Self::Installed);
                }
                // "initiating IKE_SA aws[7] to 203.0.113.2", in IKEv1 with the mode before "IKE_SA".
                let attempt =
                    text.strip_prefix("initiating ").filter(|attempt| attempt.contains("IKE_SA "))?;
                let (_, address) = attempt.rsplit_once(" to ")?;
                address.parse().ok().map(Self::Initiating)
            }
            _ => None,
        }
    }
}

/// The error notifications that end an attempt, as `notify_type_short_names` has them. Others are answered by another try
/// (`INVAL_KE`, `TEMP_FAIL`) or speak of an SA that is gone (`INVAL_IKE_SPI`).
fn refusal(notification: &str) -> Option<Refusal> {
    match notification {
        "AUTH_FAILED" | "INVAL_CERTEN" | "INVAL_CERT" | "CERT_UNSUP" | "INVAL_CA" => {
            Some(Refusal::Authentication)
        }
        "NO_PROP" | "ATTR_UNSUP" => Some(Refusal::Proposal),
        "TS_UNACCEPT" => Some(Refusal::TrafficSelectors),
        "CRIT" | "INVAL_MAJOR" | "INVAL_SYN" | "PLD_MAL" | "INVAL_ID" | "INVAL_HASH" | "SINGLE_PAIR"
        | "NO_ADD_SAS" | "INT_ADDR_FAIL" | "FAIL_CP_REQ" => Some(Refusal::Other),
        _ => None,
    }
}

/// The last refusal of each watched peer, by it or of it.
#[derive(Debug, Default)]
pub struct Refusals {
    peers: BTreeMap<IpAddr, Peer>,
    /// The watched peer whose packet a thread of charon had last.
    threads: BTreeMap<u32, IpAddr>,
}

#[derive(Debug)]
struct Peer {
    asked: Moment,
    refused: Option<Refused>,
}

#[derive(Debug)]
struct Refused {
    refusal: Refusal,
    at: Moment,
    /// The first attempt after it.
    attempted: Option<Moment>,
}

impl Refusals {
    /// Remembers the refusals of these peers from now on, and until nobody has asked for long.
    pub fn watch(&mut self, peers: &BTreeSet<IpAddr>, now: Moment) {
        for peer in peers {
            self.peers.entry(*peer).or_insert(Peer { asked: now, refused: None }).asked = now;
        }
        self.peers.retain(|_, peer| now.since(peer.asked) < WATCHED);
    }

    /// What a thread of charon has logged.
    pub fn heard(&mut self, thread: u32, line: Line, now: Moment) {
        match line {
            Line::From(peer) if self.peers.contains_key(&peer) => {
                if self.threads.len() >= THREADS_MAX {
                    self.threads.clear();
                }
                self.threads.insert(thread, peer);
            }
            Line::From(_) => {
                self.threads.remove(&thread);
            }
            Line::Refused(refusal) => {
                if let Some(peer) = self.of_thread(thread) {
                    peer.refused = Some(Refused { refusal, at: now, attempted: None });
                }
            }
            Line::Installed => {
                if let Some(peer) = self.of_thread(thread) {
                    peer.refused = None;
                }
            }
            Line::Initiating(peer) => {
                if let Some(peer) = self.peers.get_mut(&peer) {
                    match &mut peer.refused {
                        Some(refused) if now.since(refused.at) < RECENT => {
                            refused.attempted.get_or_insert(now);
                        }
                        Some(_) | None => peer.refused = None,
                    }
                }
            }
        }
    }

    fn of_thread(&mut self, thread: u32) -> Option<&mut Peer> {
        self.peers.get_mut(self.threads.get(&thread)?)
    }

    /// The refusal after which this peer's tunnel has not come up.
    pub fn of(&self, peer: IpAddr, now: Moment) -> Option<Refusal> {
        let refused = self.peers.get(&peer)?.refused.as_ref()?;
        let unanswered = refused.attempted.is_some_and(|attempted| now.since(attempted) >= ATTEMPT);
        (!unanswered).then_some(refused.refusal)
    }

    /// This peer's tunnel is up.
    pub fn is_up(&mut self, peer: IpAddr) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.refused = None;
        }
    }

    /// Lines were missed.
    fn forget(&mut self) {
        self.threads.clear();
        self.peers.values_mut().for_each(|peer| peer.refused = None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "203.0.113.2";

    fn peer() -> IpAddr {
        PEER.parse().unwrap()
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(0) + Duration::from_secs(seconds)
    }

    /// Hears lines as "THREAD GROUP TEXT".
    fn hear(refusals: &mut Refusals, now: Moment, lines: &str) {
        for line in lines.lines() {
            let mut parts = line.trim().splitn(3, ' ');
            let mut part = || parts.next().unwrap();
            let (thread, group, text) = (part().parse().unwrap(), part(), part());
            if let Some(line) = Line::read(group, text) {
                refusals.heard(thread, line, now);
            }
        }
    }

    fn watching() -> Refusals {
        let mut refusals = Refusals::default();
        refusals.watch(&BTreeSet::from([peer()]), at(0));
        refusals
    }

    fn after(lines: &str) -> Option<Refusal> {
        let mut refusals = watching();
        hear(&mut refusals, at(0), lines);
        refusals.of(peer(), at(0))
    }

    /// Recorded: 5.9.8 and 6.0.1 log the same.
    #[test]
    fn refusals_of_and_by_the_peer() {
        let wrong_key = "\
            12 IKE initiating IKE_SA tunnel1[4] to 203.0.113.2
            12 ENC generating IKE_SA_INIT request 0 [ SA KE No N(NATD_S_IP) N(NATD_D_IP) N(FRAG_SUP) N(HASH_ALG) N(REDIR_SUP) ]
            5 NET received packet: from 203.0.113.2[500] to 192.0.2.2[500] (470 bytes)
            5 ENC parsed IKE_SA_INIT response 0 [ SA KE No N(NATD_S_IP) N(NATD_D_IP) N(FRAG_SUP) N(HASH_ALG) N(CHDLESS_SUP) N(MULT_AUTH) ]
            5 ENC generating IKE_AUTH request 1 [ IDi N(INIT_CONTACT) IDr AUTH SA TSi TSr N(MULT_AUTH) N(EAP_ONLY) N(MSG_ID_SYN_SUP) ]
            7 NET received packet: from 203.0.113.2[4500] to 192.0.2.2[4500] (80 bytes)
            7 ENC parsed IKE_AUTH response 1 [ N(AUTH_FAILED) ]
            7 IKE received AUTHENTICATION_FAILED notify error";
        assert_eq!(after(wrong_key), Some(Refusal::Authentication));
        let wrong_key_of_the_peer = "\
            8 NET received packet: from 203.0.113.2[4500] to 192.0.2.2[4500] (336 bytes)
            8 IKE tried 1 shared key for '192.0.2.2' - '203.0.113.2', but MAC mismatched
            8 ENC generating IKE_AUTH response 1 [ N(AUTH_FAILED) ]";
        assert_eq!(after(wrong_key_of_the_peer), Some(Refusal::Authentication));
        let wrong_key_in_v1 = "\
            15 NET received packet: from 203.0.113.2[500] to 192.0.2.2[500] (92 bytes)
            15 ENC invalid HASH_V1 payload length, decryption failed?
            15 ENC could not decrypt payloads";
        assert_eq!(after(wrong_key_in_v1), Some(Refusal::Authentication));
        let proposal = "\
            10 NET received packet: from 203.0.113.2[500] to 192.0.2.2[500] (36 bytes)
            10 ENC parsed IKE_SA_INIT response 0 [ N(NO_PROP) ]";
        assert_eq!(after(proposal), Some(Refusal::Proposal));
        let proposal_in_v1 = "\
            15 NET received packet: from 203.0.113.2[500] to 192.0.2.2[500] (56 bytes)
            15 ENC parsed INFORMATIONAL_V1 request 287903079 [ N(NO_PROP) ]";
        assert_eq!(after(proposal_in_v1), Some(Refusal::Proposal));
        let child_proposal = "\
            2 NET received packet: from 203.0.113.2[4500] to 192.0.2.2[4500] (128 bytes)
            2 ENC parsed IKE_AUTH response 1 [ IDr AUTH N(NO_PROP) ]
            2 IKE IKE_SA tunnel1[8] established between 192.0.2.2[192.0.2.2]...203.0.113.2[203.0.113.2]
            2 IKE received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built";
        assert_eq!(after(child_proposal), Some(Refusal::Proposal));
        let selectors = "\
            2 NET received packet: from 203.0.113.2[4500] to 192.0.2.2[4500] (128 bytes)
            2 ENC parsed IKE_AUTH response 1 [ IDr AUTH N(TS_UNACCEPT) ]";
        assert_eq!(after(selectors), Some(Refusal::TrafficSelectors));
        let other = "\
            2 NET received packet: from 203.0.113.2[4500] to 192.0.2.2[4500] (128 bytes)
            2 ENC parsed IKE_AUTH response 1 [ IDr AUTH N(FAIL_CP_REQ) ]";
        assert_eq!(after(other), Some(Refusal::Other));
    }

    #[test]
    fn what_is_no_refusal() {
        for line in [
            "1 ENC parsed IKE_SA_INIT response 0 [ N(INVAL_KE) ]",
            "1 ENC parsed CREATE_CHILD_SA response 4 [ N(TEMP_FAIL) ]",
            "1 ENC parsed INFORMATIONAL response 2 [ ]",
            "1 ENC parsed IKE_SA_INIT request 0 [ N(COOKIE) SA KE No ]",
            "1 IKE conn [ N(AUTH_FAILED) ]",
            "1 ENC parsed IKE_AUTH response 1 [ EF(1/2) ]",
            "1 CFG generating [ N(AUTH_FAILED) ]",
        ] {
            assert_eq!(
                after(&format!("1 NET received packet: from {PEER}[500] to 192.0.2.2[500]\n{line}")),
                None
            );
        }
    }

    #[test]
    fn a_refusal_is_the_peers_whose_packet_the_thread_has() {
        let refused = "5 ENC parsed IKE_SA_INIT response 0 [ N(NO_PROP) ]";
        assert_eq!(after(refused), None);
        let from = |thread: u32, address: &str| {
            format!("{thread} NET received packet: from {address}[500] to 192.0.2.2[500] (36 bytes)\n")
        };
        assert_eq!(after(&format!("{}{refused}", from(4, PEER))), None);
        assert_eq!(
            after(&format!("{}{}{refused}", from(5, PEER), from(4, "198.51.100.2"))),
            Some(Refusal::Proposal)
        );
        assert_eq!(after(&format!("{}{}{refused}", from(5, PEER), from(5, "198.51.100.2"))), None);

        let mut refusals = Refusals::default();
        let v6: IpAddr = "2001:db8::2".parse().unwrap();
        refusals.watch(&BTreeSet::from([v6]), at(0));
        hear(&mut refusals, at(0), &format!("{}{refused}", from(5, "2001:db8::2")));
        assert_eq!(refusals.of(v6, at(0)), Some(Refusal::Proposal));
        // Looks at others change nothing, until nobody has asked for long.
        refusals.watch(&BTreeSet::from([peer()]), at(599));
        assert_eq!(refusals.of(v6, at(599)), Some(Refusal::Proposal));
        refusals.watch(&BTreeSet::from([peer()]), at(600));
        assert_eq!(refusals.of(v6, at(600)), None);
    }

    const REFUSED: &str = "\
        10 NET received packet: from 203.0.113.2[500] to 192.0.2.2[500] (36 bytes)
        10 ENC parsed IKE_SA_INIT response 0 [ N(NO_PROP) ]";
    const ATTEMPTED: &str = "3 IKE initiating Main Mode IKE_SA a to b[9] to 203.0.113.2";

    #[test]
    fn a_refusal_holds_until_something_else_happens() {
        let mut refusals = watching();
        hear(&mut refusals, at(0), REFUSED);
        assert_eq!(refusals.of(peer(), at(9000)), Some(Refusal::Proposal), "charon has given up");

        hear(&mut refusals, at(9000), ATTEMPTED);
        assert_eq!(refusals.of(peer(), at(9000)), None, "long after it something else may be wrong");

        hear(&mut refusals, at(9001), REFUSED);
        hear(&mut refusals, at(9002), ATTEMPTED);
        assert_eq!(refusals.of(peer(), at(9004)), Some(Refusal::Proposal), "an answer is due");
        hear(&mut refusals, at(9006), ATTEMPTED);
        assert_eq!(refusals.of(peer(), at(9007)), None, "no answer comes");

        hear(&mut refusals, at(9008), REFUSED);
        assert_eq!(refusals.of(peer(), at(9009)), Some(Refusal::Proposal));
        for installed in [
            "10 IKE CHILD_SA tunnel1{13} established with SPIs 60b97389_i c2395885_o and TS 0.0.0.0/0 === 0.0.0.0/0",
            "10 IKE inbound CHILD_SA tunnel1{18} established with SPIs 29c4dade_i e5d839d0_o and TS ::/0 === ::/0",
        ] {
            hear(&mut refusals, at(9010), REFUSED);
            hear(&mut refusals, at(9010), installed);
            assert_eq!(refusals.of(peer(), at(9010)), None);
        }

        hear(&mut refusals, at(9011), REFUSED);
        refusals.is_up(peer());
        assert_eq!(refusals.of(peer(), at(9011)), None);
        hear(&mut refusals, at(9012), REFUSED);
        refusals.forget();
        assert_eq!(refusals.of(peer(), at(9012)), None);
    }

    #[test]
    fn memory_is_bounded_whatever_is_logged() {
        let mut refusals = watching();
        for thread in 0..100_000 {
            refusals.heard(thread, Line::From(peer()), at(0));
            refusals.heard(thread, Line::From([10, 0, 0, 1].into()), at(0));
            refusals.heard(thread, Line::From(peer()), at(0));
            assert!(refusals.threads.len() <= THREADS_MAX);
        }
        assert_eq!(refusals.peers.len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_read(group in "NET|ENC|IKE|.*", text in ".*") {
            let _ = Line::read(&group, &text);
        }
    }
}
