//! The sensor against a scripted BIRD and a scripted vtysh, which do everything that a neighbour may do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::peer::{WORDS_MAX, not_had, words};
use super::*;
use crate::clock;
use crate::domain::names::{TunnelId, VpnId};
use crate::domain::sensor::BgpSession;
use crate::sensors::ANSWER_MAX;

const BIRD: &str = include_str!("samples/bird-3.1.8-protocols.txt");
const FRR: &str = include_str!("samples/frr-8.4.4.json");

fn subject(inside: &str, prefixes: &[&str]) -> Arc<Subject> {
    Arc::new(Subject {
        tunnel: TunnelId { vpn: VpnId::new("vpn-1"), outside_ip: "203.0.113.2".parse().unwrap() },
        inside_ip: inside.parse().unwrap(),
        source_ip: "169.254.10.2".parse().unwrap(),
        interface: None,
        ipsec_socket: None,
        uplink: Arc::default(),
        monitored_prefixes: prefixes.iter().map(|prefix| Arc::from(*prefix)).collect(),
    })
}

fn sessions(findings: Vec<Finding>) -> Vec<Result<BgpSession, Unavailable>> {
    let session = |finding| match finding {
        Finding::Bgp(session) => session,
        other @ (Finding::Ipsec(_) | Finding::Path(_) | Finding::Trace(_) | Finding::Mtu(_)) => {
            panic!("{other:?}")
        }
    };
    findings.into_iter().map(session).collect()
}

fn missing(session: &Result<BgpSession, Unavailable>) -> Vec<&str> {
    session.as_ref().unwrap().missing.iter().map(|prefix| &**prefix).collect()
}

/// A BIRD that answers each line with what `reply` says, and the questions that it got. An empty reply closes the connection.
fn bird(
    dir: &TempDir,
    mut reply: impl FnMut(&str) -> String + Send + 'static,
) -> (PathBuf, JoinHandle<Vec<String>>) {
    let path = dir.path().join("bird.ctl");
    let listener = UnixListener::bind(&path).unwrap();
    let serving = tokio::spawn(async move {
        let mut questions = Vec::new();
        let (mut stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.split();
        let _ = write.write_all(reply("").as_bytes()).await;
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(question)) = lines.next_line().await {
            let answer = reply(&question);
            questions.push(question);
            if answer.is_empty() || write.write_all(answer.as_bytes()).await.is_err() {
                break;
            }
        }
        questions
    });
    (path, serving)
}

/// What a real BIRD says.
fn real(question: &str) -> String {
    match question {
        "" => "0001 BIRD 3.1.8 ready.\n".to_owned(),
        "restrict" => "0016 Access restricted\n".to_owned(),
        "show protocols all" => BIRD.to_owned(),
        "show route 10.0.0.0/16 protocol 'aws1'" => {
            "1007-Table master4:\n 10.0.0.0/16  unicast [aws1 00:30:00] * (100) [AS64512i]\n \tvia 169.254.10.1 on near\n0000 \n".to_owned()
        }
        "show route 10.1.0.0/24 protocol 'noimport'" => "0000 \n".to_owned(),
        "show route 10.7.0.0/16 protocol 'aws1'" => "9001 syntax error\n".to_owned(),
        _ => "8001 Network not found\n".to_owned(),
    }
}

async fn look_at_bird(path: &Path, subjects: &[Arc<Subject>]) -> Vec<Result<BgpSession, Unavailable>> {
    let mut sensor = BgpSensor::new(&BgpSettings::Bird { socket: path.to_owned() });
    let began = clock::now().mono;
    let findings = sensor.look(subjects).await;
    assert!(clock::now().mono.since(began) < ANSWER_WITHIN);
    assert_eq!(findings.len(), subjects.len());
    sessions(findings)
}

async fn bird_finds(reply: impl FnMut(&str) -> String + Send + 'static) -> Result<BgpSession, Unavailable> {
    let dir = TempDir::new().unwrap();
    let (path, _serving) = bird(&dir, reply);
    look_at_bird(&path, &[subject("169.254.10.1", &[])]).await.remove(0)
}

#[tokio::test]
async fn bird_is_restricted_first_and_asked_only_for_prefixes_of_established_sessions() {
    let dir = TempDir::new().unwrap();
    let (path, serving) = bird(&dir, real);
    let subjects = [
        subject("169.254.10.1", &["10.0.0.0/16", "10.9.0.1/16", "fd00:aa::/48"]),
        subject("169.254.12.1", &["10.0.0.0/16"]),
        subject("169.254.16.1", &["10.1.0.0/24"]),
        subject("169.254.77.1", &["10.0.0.0/16"]),
    ];
    let found = look_at_bird(&path, &subjects).await;
    // No IPv6 prefix comes over IPv4.
    assert_eq!(missing(&found[0]), ["10.9.0.1/16"]);
    assert!(!found[1].as_ref().unwrap().established);
    assert_eq!(missing(&found[1]), [""; 0]);
    assert_eq!(missing(&found[2]), ["10.1.0.0/24"]);
    assert_eq!(found[3], Err(Unavailable::NotListed));
    let asked = serving.await.unwrap();
    let routes = [
        "show route 10.0.0.0/16 protocol 'aws1'",
        "show route 10.9.0.0/16 protocol 'aws1'",
        "show route 10.1.0.0/24 protocol 'noimport'",
    ];
    assert_eq!(asked, [&["restrict", "show protocols all"], &routes[..]].concat());
}

#[tokio::test]
async fn a_prefix_that_could_not_be_asked_for_is_not_missing() {
    let dir = TempDir::new().unwrap();
    let (path, _serving) = bird(&dir, real);
    let many: Vec<String> = (0..=PREFIXES_MAX).map(|n| format!("10.{}.{}.0/24", n / 250, n % 250)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let subjects = [
        subject("169.254.10.1", &["10.7.0.0/16"]),
        subject("169.254.16.1", &many),
        subject("fd00:10::1", &["::/0"]),
    ];
    let found = look_at_bird(&path, &subjects).await;
    assert_eq!(found[0], Err(Unavailable::Invalid));
    assert_eq!(found[1], Err(Unavailable::TooLong));
    assert_eq!(missing(&found[2]), ["::/0"]);
}

#[tokio::test]
async fn a_bird_that_is_not_there_not_running_or_forbidden_is_told_apart() {
    let dir = TempDir::new().unwrap();
    let subjects = [subject("169.254.10.1", &[])];
    assert_eq!(look_at_bird(&dir.path().join("none.ctl"), &subjects).await, [Err(Unavailable::NotThere)]);
    let dead = dir.path().join("dead.ctl");
    drop(UnixListener::bind(&dead).unwrap());
    assert_eq!(look_at_bird(&dead, &subjects).await, [Err(Unavailable::NotRunning)]);
    let denied = std::io::Error::from_raw_os_error(libc::EACCES);
    assert_eq!(not_had(&denied), Unavailable::Denied);
    let denied = std::io::Error::from_raw_os_error(libc::EPERM);
    assert_eq!(not_had(&denied), Unavailable::Denied);
}

#[tokio::test(start_paused = true)]
async fn a_bird_that_hangs_anywhere_is_given_up() {
    for hangs_at in ["", "restrict", "show protocols all"] {
        let found =
            bird_finds(move |question| if question == hangs_at { "+ ".to_owned() } else { real(question) });
        assert_eq!(found.await, Err(Unavailable::TimedOut), "{hangs_at}");
    }
    // It has said nearly everything.
    let cut = bird_finds(|question| match question {
        "show protocols all" => BIRD[..BIRD.len() - 3].to_owned(),
        _ => real(question),
    });
    assert_eq!(cut.await, Err(Unavailable::TimedOut));
}

#[tokio::test]
async fn a_bird_that_closes_lies_or_does_not_stop_is_no_evidence() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("half.ctl");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        // The greeting, and a few bytes of an answer; each time one more.
        for length in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let all = format!("{}{}{BIRD}", real(""), real("restrict"));
            let _ = stream.write_all(&all.as_bytes()[..length * 97]).await;
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    for _ in 0..100 {
        assert_eq!(look_at_bird(&path, &[subject("169.254.10.1", &[])]).await, [Err(Unavailable::Closed)]);
    }
    assert_eq!(bird_finds(|_| "SSH-2.0-OpenSSH_9.2\r\n".to_owned()).await, Err(Unavailable::Invalid));
    assert_eq!(bird_finds(|_| "0013 not a greeting\n".to_owned()).await, Err(Unavailable::Invalid));
    // It would not be restricted.
    let stubborn =
        |question: &str| if question == "restrict" { "0000 \n".to_owned() } else { real(question) };
    assert_eq!(bird_finds(stubborn).await, Err(Unavailable::Invalid));
    let endless = |question: &str| match question {
        "show protocols all" => "1006-  BGP state:  Established\n".repeat(ANSWER_MAX / 16),
        _ => real(question),
    };
    assert_eq!(bird_finds(endless).await, Err(Unavailable::TooLong));
    let garbage = |question: &str| match question {
        "show protocols all" => "\u{0}\u{1}garbage\n".repeat(1 << 20),
        _ => real(question),
    };
    assert_eq!(bird_finds(garbage).await, Err(Unavailable::Invalid));
    let one_line = |question: &str| match question {
        "show protocols all" => "1006-".repeat(2 << 20),
        _ => real(question),
    };
    assert_eq!(bird_finds(one_line).await, Err(Unavailable::Invalid));
}

/// A vtysh that runs this script; it notes its arguments in `asked`.
fn vtysh(dir: &TempDir, script: &str) -> PathBuf {
    let path = dir.path().join("vtysh");
    let here = dir.path().display();
    let script = format!("#!/bin/sh\nPATH=/usr/bin:/bin; cd {here}; echo \"$@\" >>asked\n{script}\n");
    fs::write(dir.path().join("text"), script).unwrap();
    fs::write(dir.path().join("answer"), FRR).unwrap();
    // A child writes it: while this process has it open for writing, a child of another test may hold it open, and it cannot run.
    let copied = Command::new("cp").arg(dir.path().join("text")).arg(&path).status().unwrap();
    assert!(copied.success());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn frr(vtysh: &Path, bgpd: &Path) -> BgpSensor {
    BgpSensor(Daemon::Frr(Frr::new(vtysh).with_socket(bgpd)))
}

async fn frr_finds(script: &str) -> Result<BgpSession, Unavailable> {
    let dir = TempDir::new().unwrap();
    let path = vtysh(&dir, script);
    let findings = frr(&path, &dir.path().join("bgpd.vty")).look(&[subject("169.254.10.1", &[])]).await;
    sessions(findings).remove(0)
}

/// The first document of the recorded answer, and those of its three prefixes.
fn recorded(dir: &TempDir) {
    let documents = frr_json::documents(FRR.as_bytes(), 4).unwrap();
    for (name, document) in ["neighbours", "known", "unknown", "v6"].iter().zip(documents) {
        fs::write(dir.path().join(name), [document, b"\n"].concat()).unwrap();
    }
}

#[tokio::test]
async fn vtysh_is_asked_for_everything_at_once_from_the_second_look_on() {
    let dir = TempDir::new().unwrap();
    recorded(&dir);
    let script = r#"while [ $# -gt 0 ]; do case "$1" in
        *neighbors*) cat neighbours;;
        *10.0.0.0/16*) cat known;;
        *fd00:aa::/48*) cat v6;;
        show*) echo '{}';;
    esac; shift; done; echo "% a warning" >&2"#;
    let mut sensor = frr(&vtysh(&dir, script), &dir.path().join("bgpd.vty"));
    let subjects = [
        subject("169.254.10.1", &["10.0.0.0/16", "10.9.0.0/16"]),
        subject("169.254.12.1", &["10.0.0.0/16"]),
        subject("169.254.16.1", &["10.0.0.0/16"]),
        subject("fd00:10::1", &["fd00:aa::/48"]),
        subject("169.254.77.1", &[]),
    ];
    for _ in 0..3 {
        let found = sessions(sensor.look(&subjects).await);
        assert_eq!(missing(&found[0]), ["10.9.0.0/16"]);
        assert_eq!((found[1].as_ref().unwrap().established, missing(&found[1])), (false, vec![]));
        assert_eq!(missing(&found[2]), ["10.0.0.0/16"]);
        assert!(found[2].as_ref().unwrap().no_policy);
        assert_eq!(missing(&found[3]), [""; 0]);
        assert_eq!(found[4], Err(Unavailable::NotListed));
    }
    let neighbours = "-c show bgp vrf all neighbors json";
    let routes = "-c show bgp vrf default ipv4 unicast 10.0.0.0/16 json -c show bgp vrf default ipv4 unicast 10.9.0.0/16 json \
        -c show bgp vrf default ipv6 unicast fd00:aa::/48 json";
    let together = format!("-u -d bgpd {neighbours} {routes}");
    let first =
        [format!("-u -d bgpd {neighbours}"), format!("-u -d bgpd {routes}"), together.clone(), together];
    assert_eq!(fs::read_to_string(dir.path().join("asked")).unwrap().lines().collect::<Vec<_>>(), first);
}

#[tokio::test]
async fn a_vtysh_that_has_nothing_or_nonsense_to_say_is_no_evidence() {
    for (script, why) in [
        ("echo '{}'", Unavailable::NotListed),
        ("echo '{\"bgpNoSuchNeighbor\":true}'", Unavailable::Invalid),
        ("echo '% Unknown command: show bgp'; exit 1", Unavailable::Invalid),
        ("exit 0", Unavailable::Invalid),
        ("exit 3", Unavailable::Invalid),
        ("kill -9 $$", Unavailable::Closed),
        ("head -c 3000 answer", Unavailable::Closed),
        ("head -c 5000000 /dev/zero", Unavailable::TooLong),
        ("echo '{'; yes '\"a\": {},'", Unavailable::TooLong),
        ("head -c 1000 /dev/urandom", Unavailable::Invalid),
        ("exec yes >&2", Unavailable::Closed),
        (
            "echo 'vtysh_connect(/run/frr/bgpd.vty): stat = Permission denied' >&2; exit 1",
            Unavailable::Denied,
        ),
    ] {
        assert_eq!(frr_finds(script).await, Err(why), "{script}");
    }
    let subjects = [subject("169.254.10.1", &[])];
    let nowhere = Path::new("/nonexistent/vtysh");
    assert_eq!(sessions(frr(nowhere, nowhere).look(&subjects).await), [Err(Unavailable::NotThere)]);
    let dir = TempDir::new().unwrap();
    let forbidden = vtysh(&dir, "true");
    fs::set_permissions(&forbidden, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(sessions(frr(&forbidden, nowhere).look(&subjects).await), [Err(Unavailable::Denied)]);
}

#[tokio::test]
async fn bgpd_that_does_not_run_and_one_that_may_not_be_asked_are_told_apart_by_its_socket() {
    let dir = TempDir::new().unwrap();
    let script = "echo 'Exiting: failed to connect to any daemons.' >&2; exit 1";
    let path = vtysh(&dir, script);
    let bgpd = dir.path().join("bgpd.vty");
    let subjects = [subject("169.254.10.1", &[])];
    let mut sensor = frr(&path, &bgpd);
    assert_eq!(sessions(sensor.look(&subjects).await), [Err(Unavailable::NotRunning)]);
    drop(UnixListener::bind(&bgpd).unwrap());
    assert_eq!(sessions(sensor.look(&subjects).await), [Err(Unavailable::NotRunning)]);
    fs::set_permissions(&bgpd, fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser may connect to any socket; nobody listens there.
    let may = matches!(UnixStream::connect(&bgpd).await, Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused);
    let why = if may { Unavailable::NotRunning } else { Unavailable::Denied };
    assert_eq!(sessions(sensor.look(&subjects).await), [Err(why)]);
}

#[tokio::test]
async fn a_vtysh_that_hangs_is_killed_with_what_it_started() {
    let dir = TempDir::new().unwrap();
    let path = vtysh(&dir, "sleep 600 & echo $! >child; echo $$ >own; echo '{'; wait");
    let subjects = [subject("169.254.10.1", &[])];
    let found = sessions(frr(&path, &dir.path().join("bgpd.vty")).look(&subjects).await);
    assert_eq!(found, [Err(Unavailable::TimedOut)]);
    for id in ["child", "own"] {
        let id = fs::read_to_string(dir.path().join(id)).unwrap();
        let stat = PathBuf::from(format!("/proc/{}/stat", id.trim()));
        let gone = || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
        for _ in 0..100 {
            if gone() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(gone(), "{id}");
    }
}

#[test]
fn a_session_that_is_switched_off_gives_way_and_contradictory_ones_are_no_evidence() {
    let neighbour: IpAddr = "169.254.10.1".parse().unwrap();
    let peer = |at: &str, off: bool, established: bool| BgpPeer {
        neighbour,
        at: at.into(),
        off,
        session: BgpSession {
            established,
            state: "".into(),
            prefixes: None,
            no_policy: false,
            missing: Vec::new(),
            last_error: None,
            peer_heard_nothing: false,
        },
    };
    let (old, new, other) = (peer("old", true, false), peer("new", false, true), peer("red", false, false));
    let pick = |peers: &[&BgpPeer]| {
        let peers: Vec<BgpPeer> = peers.iter().copied().cloned().collect();
        of_neighbour(&peers, neighbour).map(|peer| peer.at.to_string())
    };
    assert_eq!(pick(&[&old, &new]), Ok("new".to_owned()));
    assert_eq!(pick(&[&old, &other]), Ok("red".to_owned()));
    assert_eq!(pick(&[&old]), Ok("old".to_owned()));
    assert_eq!(pick(&[&new, &new]), Ok("new".to_owned()));
    assert_eq!(pick(&[&new, &other]), Err(Unavailable::Invalid));
    assert_eq!(pick(&[&other, &new]), Err(Unavailable::Invalid));
    assert_eq!(pick(&[]), Err(Unavailable::NotListed));
}

#[test]
fn a_prefix_is_without_host_bits_and_what_is_none_is_not_read() {
    for (text, shown) in [
        ("10.0.5.1/16", "10.0.0.0/16"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("10.1.2.3/32", "10.1.2.3/32"),
        ("fd00:aa::1/48", "fd00:aa::/48"),
        ("::/0", "::/0"),
        ("fd00::1/128", "fd00::1/128"),
    ] {
        assert_eq!(Prefix::parse(text).map(|prefix| prefix.to_string()).as_deref(), Some(shown));
    }
    for text in ["", "10.0.0.0", "10.0.0.0/33", "fd00::/129", "10.0.0.0/-1", "10.0.0.0/16 protocol x", "x/8"]
    {
        assert_eq!(Prefix::parse(text), None, "{text}");
    }
}

#[test]
fn a_neighbours_words_are_bounded_and_on_one_line() {
    assert_eq!(&*words("a\u{1b}[31m\nb\u{202e}c\t\t d\u{2028}"), "a [31m bc d");
    assert_eq!(&*words("a\u{ad}b\u{fff9}c\u{e0041}d"), "abcd");
    assert_eq!(words(&"ä".repeat(5_000_000)).chars().count(), WORDS_MAX);
    assert_eq!(&*words(""), "");
}
