//! The sensor for IPsec: strongSwan over VICI, or the kernel's counters.

pub mod charon;
pub mod kernel;
pub mod listing;
pub mod refusals;
pub mod vici;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::time::timeout;

use self::charon::Connection;
use self::kernel::Kernel;
use self::listing::Listing;
use self::refusals::Listener;
use super::{ANSWER_MAX, ANSWER_WITHIN, Sensor};
use crate::clock;
use crate::domain::sensor::{Finding, Ike, Ipsec, Unavailable};
use crate::settings::{IpsecSettings, Subject};

/// The sensor for IPsec.
#[derive(Debug)]
pub struct IpsecSensor(Source);

#[derive(Debug)]
enum Source {
    Vici(Vici),
    Kernel(Kernel),
}

#[derive(Debug)]
struct Vici {
    /// Where a tunnel has none of its own.
    socket: PathBuf,
    /// By socket, each from the first look on.
    listeners: BTreeMap<PathBuf, Listener>,
}

impl IpsecSensor {
    /// The sensor with these settings.
    pub fn new(settings: &IpsecSettings) -> Self {
        Self(match settings {
            IpsecSettings::Vici { socket } => {
                Source::Vici(Vici { socket: socket.clone(), listeners: BTreeMap::new() })
            }
            IpsecSettings::Kernel => Source::Kernel(Kernel::default()),
        })
    }
}

impl Sensor for IpsecSensor {
    async fn look(&mut self, subjects: &[Arc<Subject>]) -> Vec<Finding> {
        let found = match &mut self.0 {
            Source::Vici(vici) => vici.look(subjects).await,
            Source::Kernel(kernel) => kernel.look(subjects),
        };
        found.into_iter().map(Finding::Ipsec).collect()
    }
}

impl Vici {
    async fn look(&mut self, subjects: &[Arc<Subject>]) -> Vec<Result<Ipsec, Unavailable>> {
        let mut sockets: BTreeMap<&Path, BTreeSet<IpAddr>> = BTreeMap::new();
        for subject in subjects {
            let socket = subject.ipsec_socket.as_deref().unwrap_or(&self.socket);
            sockets.entry(socket).or_default().insert(subject.tunnel.outside_ip);
        }
        let now = clock::now().mono;
        for (socket, peers) in &sockets {
            let listener = self.listeners.entry((*socket).to_owned());
            listener.or_insert_with(|| Listener::spawn((*socket).to_owned(), now)).watch(peers, now);
        }
        self.listeners.retain(|_, listener| !listener.is_idle(now));
        // All at once: one that hangs must not cost the others their answer.
        let lists = sockets.iter().map(async |(socket, peers)| {
            let listing = timeout(ANSWER_WITHIN, list(socket, peers)).await;
            (*socket, listing.unwrap_or(Err(Unavailable::TimedOut)))
        });
        let lists: BTreeMap<&Path, Result<Listing, Unavailable>> =
            join_all(lists).await.into_iter().collect();

        let now = clock::now().mono;
        subjects
            .iter()
            .map(|subject| {
                let peer = subject.tunnel.outside_ip;
                let socket = subject.ipsec_socket.as_deref().unwrap_or(&self.socket);
                let listing = lists
                    .get(socket)
                    .map_or(Err(Unavailable::HostError), |listing| listing.as_ref().map_err(|why| *why))?;
                let mut ipsec = listing.peer(peer)?;
                if let Some(listener) = self.listeners.get(socket) {
                    let mut refusals = listener.refusals();
                    if matches!(ipsec.ike, Some(Ike::Established { .. })) && ipsec.child.is_some() {
                        refusals.is_up(peer);
                    } else {
                        ipsec.refusal = refusals.of(peer, now);
                    }
                }
                Ok(ipsec)
            })
            .collect()
    }
}

async fn list(socket: &Path, peers: &BTreeSet<IpAddr>) -> Result<Listing, Unavailable> {
    let mut listing = Listing::default();
    let mut charon = Connection::open(socket, ANSWER_MAX).await?;
    let mut add_connection = |event: &vici::Section<'_>| {
        listing.add_connection(event, peers);
        Ok(())
    };
    charon.list("list-conns", "list-conn", &mut add_connection).await?;
    charon.list("list-sas", "list-sa", |event| listing.add_sa(event, peers)).await?;
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{UnixListener, UnixStream};
    use tokio::task::JoinSet;
    use tokio::time::sleep;

    use super::vici::tests::{Node, event, registered, response, section, text};
    use super::*;
    use crate::domain::names::{TunnelId, VpnId};
    use crate::domain::sensor::Refusal;
    use crate::settings::UplinkSettings;

    const PEER: &str = "203.0.113.2";
    const CONNECTIONS: &[u8] = include_bytes!("../../tests/vici/5.9.8-conns.vici");
    const ESTABLISHED: &[u8] = include_bytes!("../../tests/vici/5.9.8-established.vici");
    const WITHOUT_CHILD: &[u8] = include_bytes!("../../tests/vici/5.9.8-without-child.vici");

    fn subject(outside_ip: &str) -> Arc<Subject> {
        Arc::new(Subject {
            tunnel: TunnelId { vpn: VpnId::new("vpn-1"), outside_ip: outside_ip.parse().unwrap() },
            inside_ip: [169, 254, 10, 1].into(),
            source_ip: [169, 254, 10, 2].into(),
            interface: None,
            ipsec_socket: None,
            uplink: Arc::new(UplinkSettings::default()),
            monitored_prefixes: Arc::new([]),
        })
    }

    /// What the stand-in for charon does on a request.
    #[derive(Clone)]
    enum Does {
        Answers(Vec<u8>),
        AnswersAndHangsUp(Vec<u8>),
        /// The second again and again.
        AnswersForEver(Vec<u8>, Vec<u8>),
        Nothing,
    }

    /// A stand-in for charon, which reacts to the names of commands and events.
    struct Charon {
        directory: tempfile::TempDir,
        _tasks: JoinSet<()>,
    }

    impl Charon {
        fn new(does: impl Fn(&str) -> Does + Clone + Send + 'static) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let listener = UnixListener::bind(directory.path().join("vici")).unwrap();
            let mut tasks = JoinSet::new();
            tasks.spawn(async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    connections.spawn(serve(stream, does.clone()));
                }
            });
            Self { directory, _tasks: tasks }
        }

        fn socket(&self) -> PathBuf {
            self.directory.path().join("vici")
        }

        /// One look at the peer.
        async fn look(&self) -> Result<Ipsec, Unavailable> {
            look(&mut sensor(self.socket())).await
        }
    }

    async fn serve(mut stream: UnixStream, does: impl Fn(&str) -> Does) {
        while let Ok(length) = stream.read_u32().await {
            let mut request = vec![0; length as usize];
            stream.read_exact(&mut request).await.unwrap();
            let name = str::from_utf8(&request[2..]).unwrap();
            match does(name) {
                Does::Answers(bytes) => {
                    let _ = stream.write_all(&bytes).await;
                }
                Does::AnswersAndHangsUp(bytes) => {
                    let _ = stream.write_all(&bytes).await;
                    return;
                }
                Does::AnswersForEver(first, then) => {
                    let _ = stream.write_all(&first).await;
                    while stream.write_all(&then).await.is_ok() {}
                }
                Does::Nothing => {}
            }
        }
    }

    /// A charon that lists this.
    fn lists(sas: &'static [u8]) -> impl Fn(&str) -> Does + Clone + Send + 'static {
        move |name| {
            Does::Answers(match name {
                "list-conns" => CONNECTIONS.to_vec(),
                "list-sas" => sas.to_vec(),
                _ => registered(),
            })
        }
    }

    /// Instead of what a charon does with a command or event.
    fn but(name: &'static str, does: Does) -> impl Fn(&str) -> Does + Clone + Send + 'static {
        move |asked| if asked == name { does.clone() } else { lists(ESTABLISHED)(asked) }
    }

    fn sensor(socket: PathBuf) -> IpsecSensor {
        IpsecSensor::new(&IpsecSettings::Vici { socket })
    }

    async fn look(sensor: &mut IpsecSensor) -> Result<Ipsec, Unavailable> {
        let findings = sensor.look(&[subject(PEER), subject("198.51.100.2")]).await;
        let [Finding::Ipsec(found), Finding::Ipsec(other)] = findings[..] else { panic!("{findings:?}") };
        // Of the peer that is not listed there is the same failure, or none.
        assert_eq!(other, Err(found.err().unwrap_or(Unavailable::NotListed)));
        found
    }

    async fn fails(does: impl Fn(&str) -> Does + Clone + Send + 'static) -> Unavailable {
        Charon::new(does).look().await.unwrap_err()
    }

    #[tokio::test(start_paused = true)]
    async fn a_tunnel_as_charon_lists_it() {
        let found = Charon::new(lists(ESTABLISHED)).look().await.unwrap();
        assert_eq!(found.ike, Some(Ike::Established { unanswered: false }));
        assert_eq!(found.child.unwrap().bytes_out, 15833);
        assert_eq!(found.dpd_delay, Some(Duration::from_secs(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_charon_that_does_not_answer_has_no_more_than_its_time() {
        for name in ["list-conn", "list-conns", "list-sa", "list-sas"] {
            let begun = tokio_now();
            assert_eq!(fails(but(name, Does::Nothing)).await, Unavailable::TimedOut, "{name}");
            assert_eq!(begun.elapsed().as_secs(), ANSWER_WITHIN.as_secs());
        }
        // The answer stops in the middle.
        let half = Does::Answers(ESTABLISHED[..ESTABLISHED.len() / 2].to_vec());
        assert_eq!(fails(but("list-sas", half)).await, Unavailable::TimedOut);
    }

    #[expect(clippy::disallowed_methods, reason = "the time of the test's runtime")]
    fn tokio_now() -> tokio::time::Instant {
        tokio::time::Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn a_charon_that_hangs_up() {
        for name in ["list-conn", "list-conns", "list-sa", "list-sas"] {
            assert_eq!(
                fails(but(name, Does::AnswersAndHangsUp(vec![]))).await,
                Unavailable::Closed,
                "{name}"
            );
        }
        for length in 0..ESTABLISHED.len() {
            let cut = Does::AnswersAndHangsUp(ESTABLISHED[..length].to_vec());
            assert_eq!(fails(but("list-sas", cut)).await, Unavailable::Closed, "{length}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn garbage() {
        let garbage: [&[u8]; 8] = [
            b"HTTP/1.1 400 Bad Request\r\n",
            b"\0\0\0\0",
            b"\0\0\0\x01\x09",
            b"\0\0\0\x01\x02",
            b"\0\0\0\x01\x06",
            b"\0\0\0\x02\x01\x02",
            b"\xff\xff\xff\xff",
            b"\0\x08\0\x01",
        ];
        for name in ["list-conn", "list-conns", "list-sa", "list-sas"] {
            for garbage in garbage {
                let answer = Does::Answers(garbage.to_vec());
                assert_eq!(fails(but(name, answer)).await, Unavailable::Invalid, "{name} {garbage:?}");
            }
        }
        let failed = Does::Answers(response(&[text("success", "no"), text("errmsg", "busy")]));
        assert_eq!(fails(but("list-sas", failed)).await, Unavailable::Invalid);
        let strange = event("list-sa", &[section("aws", vec![text("remote-host", PEER)])]);
        assert_eq!(fails(but("list-sas", Does::Answers(strange))).await, Unavailable::Invalid);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_without_an_end() {
        let endless = Does::AnswersForEver(vec![], ESTABLISHED[..ESTABLISHED.len() - 5].to_vec());
        assert_eq!(fails(but("list-sas", endless.clone())).await, Unavailable::TooLong);
        assert_eq!(fails(but("list-conns", endless.clone())).await, Unavailable::TooLong);
        assert_eq!(fails(but("list-sa", endless)).await, Unavailable::TooLong);
        let of_others = event("other", &[text("a", &"x".repeat(60_000))]);
        assert_eq!(
            fails(but("list-sas", Does::AnswersForEver(vec![], of_others))).await,
            Unavailable::TooLong
        );
        let ten_megabytes = ESTABLISHED[..ESTABLISHED.len() - 5].repeat((10 << 20) / ESTABLISHED.len());
        assert_eq!(fails(but("list-sas", Does::Answers(ten_megabytes))).await, Unavailable::TooLong);
    }

    #[tokio::test(start_paused = true)]
    async fn no_charon() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("vici");
        assert_eq!(look(&mut sensor(socket.clone())).await, Err(Unavailable::NotThere));
        assert_eq!(look(&mut sensor(socket.join("vici"))).await, Err(Unavailable::NotThere));
        drop(UnixListener::bind(&socket).unwrap());
        assert_eq!(look(&mut sensor(socket.clone())).await, Err(Unavailable::NotRunning));
        std::fs::remove_file(&socket).unwrap();
        std::fs::write(&socket, "").unwrap();
        assert_eq!(look(&mut sensor(socket)).await, Err(Unavailable::NotRunning));
    }

    #[tokio::test(start_paused = true)]
    async fn no_permission() {
        if rustix::process::geteuid().is_root() {
            return; // root may connect to every socket
        }
        let charon = Charon::new(lists(ESTABLISHED));
        std::fs::set_permissions(charon.socket(), std::fs::Permissions::from_mode(0o000)).unwrap();
        assert_eq!(charon.look().await, Err(Unavailable::Denied));
    }

    #[test]
    fn a_socket_that_may_not_be_used_is_denied() {
        // As charon's root:root 0770 answers.
        let denied = std::io::Error::from_raw_os_error(libc::EACCES);
        assert_eq!(charon::not_connected(&denied), Unavailable::Denied);
        let queue_full = std::io::Error::from_raw_os_error(libc::EAGAIN);
        assert_eq!(charon::not_connected(&queue_full), Unavailable::TimedOut);
        let no_descriptors = std::io::Error::from_raw_os_error(libc::EMFILE);
        assert_eq!(charon::not_connected(&no_descriptors), Unavailable::HostError);
    }

    #[tokio::test(start_paused = true)]
    async fn tunnels_with_a_socket_of_their_own() {
        let (one, other) = (Charon::new(lists(ESTABLISHED)), Charon::new(but("list-sas", Does::Nothing)));
        let on = |socket: PathBuf| {
            Arc::new(Subject { ipsec_socket: Some(socket.into()), ..(*subject(PEER)).clone() })
        };
        let subjects =
            [subject(PEER), on(other.socket()), on(one.socket()), on("/nosuch".into()), subject("192.0.2.1")];
        let findings = sensor(one.socket()).look(&subjects).await;
        let words = findings.iter().map(|finding| finding.unavailable().map(Unavailable::as_str));
        let expected = [None, Some("timed_out"), None, Some("not_there"), Some("not_listed")];
        assert_eq!(words.collect::<Vec<_>>(), expected);
    }

    fn logged(group: &str, line: &str) -> Vec<u8> {
        let values = [("group", group), ("level", "1"), ("thread", "7"), ("msg", line)];
        event("log", &values.map(|(name, value)| text(name, value)))
    }

    fn refused() -> Vec<u8> {
        let from = format!("received packet: from {PEER}[500] to 192.0.2.2[500] (36 bytes)");
        [logged("NET", &from), logged("ENC", "parsed IKE_AUTH response 1 [ N(AUTH_FAILED) ]")].concat()
    }

    /// A charon that lists this, and logs a refusal as soon as somebody listens.
    fn refuses(sas: &'static [u8], and_hangs_up: bool) -> impl Fn(&str) -> Does + Clone + Send + 'static {
        move |name| match name {
            "log" if and_hangs_up => Does::AnswersAndHangsUp([registered(), refused()].concat()),
            "log" => Does::Answers([registered(), refused()].concat()),
            _ => lists(sas)(name),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_found_while_the_tunnel_is_not_up() {
        let charon = Charon::new(refuses(WITHOUT_CHILD, false));
        let mut sensor = sensor(charon.socket());
        look(&mut sensor).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        let found = look(&mut sensor).await.unwrap();
        assert_eq!(found.refusal, Some(Refusal::Authentication));
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(look(&mut sensor).await.unwrap().refusal, Some(Refusal::Authentication));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_forgotten_when_the_tunnel_is_up() {
        let charon = Charon::new(refuses(ESTABLISHED, false));
        let mut sensor = sensor(charon.socket());
        for _ in 0..3 {
            assert_eq!(look(&mut sensor).await.unwrap().refusal, None);
            sleep(Duration::from_secs(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_forgotten_when_the_log_cannot_be_read() {
        let charon = Charon::new(refuses(WITHOUT_CHILD, true));
        let mut sensor = sensor(charon.socket());
        for _ in 0..3 {
            assert_eq!(look(&mut sensor).await.unwrap().refusal, None);
            sleep(Duration::from_secs(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_log_may_be_anything() {
        let strange = event("log", &[Node::Text(b"msg".to_vec(), vec![0xFF; 300])]);
        for does in [
            Does::Nothing,
            Does::Answers(b"\0\0\0\x01\x06".to_vec()),
            Does::Answers([registered(), b"\xff\xff\xff\xff".to_vec()].concat()),
            Does::Answers([registered(), strange.clone()].concat()),
            Does::AnswersForEver(registered(), strange),
        ] {
            let charon = Charon::new(but("log", does));
            let mut sensor = sensor(charon.socket());
            for _ in 0..3 {
                look(&mut sensor).await.unwrap();
                sleep(Duration::from_secs(1)).await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loud_log_is_left_alone_for_a_while() {
        use std::sync::atomic::{AtomicUsize, Ordering};

        let registrations = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&registrations);
        let many = logged("JOB", "something").repeat(1000);
        let charon = Charon::new(move |name| match name {
            "log" => {
                counted.fetch_add(1, Ordering::Relaxed);
                Does::AnswersForEver(registered(), many.clone())
            }
            _ => lists(ESTABLISHED)(name),
        });
        let mut sensor = sensor(charon.socket());
        for _ in 0..10 {
            look(&mut sensor).await.unwrap();
            sleep(Duration::from_secs(5)).await;
        }
        assert_eq!(registrations.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn the_kernel_knows_interfaces() {
        let mut sensor = IpsecSensor::new(&IpsecSettings::Kernel);
        let on = |interface: Option<&str>| {
            Arc::new(Subject { interface: interface.map(Into::into), ..(*subject(PEER)).clone() })
        };
        let subjects = [on(Some("lo")), on(Some("nosuch0")), on(None)];
        for _ in 0..2 {
            let findings = sensor.look(&subjects).await;
            let [Finding::Ipsec(Ok(there)), Finding::Ipsec(Ok(gone)), Finding::Ipsec(Err(none))] =
                findings[..]
            else {
                panic!("{findings:?}")
            };
            assert_eq!((there.ike, there.child.unwrap().id), (None, 1));
            assert_eq!(gone, Ipsec::default());
            assert_eq!(none, Unavailable::NotListed);
        }
    }
}
