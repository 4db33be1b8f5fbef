use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::asking::{Ask, AskLimits, ask_all};
use super::*;
use crate::cli::daemon_address::{Way, ask_daemon};
use crate::cli::layout::width;
use crate::cli::status::question;
use crate::cli::status::read;
use crate::cli::style::Painter;
use crate::fixture;
use crate::process::Exit;
use crate::records::Records;

fn status() -> StatusJson {
    StatusJson::of(&fixture::status(), &[], &Records::default(), "0.1.0", "raise", fixture::after(31))
}

/// A site with this name where all is well.
fn healthy(site: &str) -> StatusJson {
    let mut status = StatusJson { site: site.to_owned(), ready: true, incidents: Vec::new(), ..status() };
    status.vpns[0].traffic = "flows".to_owned();
    status.vpns[0].tunnels.remove(0);
    status
}

fn down(site: &str) -> StatusJson {
    let mut status = StatusJson { site: site.to_owned(), ..status() };
    status.incidents[0].kind = "outage".to_owned();
    status
}

fn limits() -> AskLimits {
    AskLimits { at_once: 3, each: Duration::from_secs(2) }
}

/// A server that answers each request with this, as it is.
fn serving(answer: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            _ = stream.read(&mut head);
            // The client may have read enough.
            _ = stream.write_all(&answer);
        }
    });
    address
}

fn http(status: &StatusJson) -> Vec<u8> {
    let body = serde_json::to_string(status).unwrap();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn over_the_network() -> Arc<Ask> {
    Arc::new(|url: &str| {
        ask_daemon(std::path::Path::new("/nonexistent"), Some(url), &Way::default(), question)
            .and_then(|answer| read(&answer))
    })
}

#[test]
fn a_site_that_hangs_refuses_or_talks_nonsense_is_unknown_and_delays_no_other() {
    let frozen = TcpListener::bind("127.0.0.1:0").unwrap();
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let servers = [
        ("healthy", serving(http(&healthy("rome")))),
        ("frozen", frozen.local_addr().unwrap()),
        ("down", serving(http(&down("milan")))),
        ("refusing", refusing),
        ("garbage", serving(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{\"a\":".to_vec())),
        ("not http", serving(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec())),
        ("another", serving(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\n\r\nno\n".to_vec())),
        ("an array", serving(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]".to_vec())),
    ];
    let urls: Vec<_> = servers.iter().map(|(_, address)| format!("http://{address}")).collect();
    let sites = ask_all(&urls, &over_the_network(), limits());
    let levels: Vec<_> = servers.iter().zip(&sites).map(|((what, _), site)| (*what, site.level)).collect();
    let unknown = |what| (what, Level::Unknown);
    assert_eq!(
        levels,
        [
            ("healthy", Level::Healthy),
            unknown("frozen"),
            ("down", Level::Down),
            unknown("refusing"),
            unknown("garbage"),
            unknown("not http"),
            unknown("another"),
            unknown("an array"),
        ]
    );
    assert_eq!(sites[1].reasons, ["no answer within 2 s"]);
    assert!(sites[3].reasons[0].contains("refused"), "{:?}", sites[3]);
    let all = Sites::new(fixture::after(31).wall, sites);
    assert_eq!(all.level().exit(), Exit::Down);
    assert_eq!(all.sites[0].name(), "milan");
    assert_eq!(all.sites.last().unwrap().name(), "rome");
    assert_eq!(all.counts(), "8 sites: 1 down, 6 unknown, 1 healthy");
}

#[test]
fn no_more_are_asked_at_once_than_may_be_and_each_is_asked_once() {
    let (now, most, all) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let counted = Arc::new((now, most, all));
    let counting = Arc::clone(&counted);
    let ask: Arc<Ask> = Arc::new(move |url: &str| {
        let (now, most, all) = &*counting;
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        all.fetch_add(1, Ordering::SeqCst);
        thread::yield_now();
        now.fetch_sub(1, Ordering::SeqCst);
        Ok(healthy(url))
    });
    let urls: Vec<_> = (0..40).map(|n| format!("site-{n}")).collect();
    let sites = ask_all(&urls, &ask, limits());
    let names: Vec<_> = sites.iter().map(|site| site.name().to_owned()).collect();
    assert_eq!(names, urls, "in their order");
    let (_, most, all) = &*counted;
    assert!((1..=3).contains(&most.load(Ordering::SeqCst)), "{most:?}");
    assert_eq!(all.load(Ordering::SeqCst), 40);
}

#[test]
fn what_lasts_longest_is_first_also_by_fractions_of_a_second() {
    let since = |site: &str, began: &[&str]| {
        let mut status = down(site);
        let like = status.incidents[0].clone();
        let outage = |began: &&str| {
            let mut outage = like.clone();
            outage.began = (*began).to_owned();
            outage
        };
        status.incidents = began.iter().map(outage).collect();
        Site::of("http://10.0.0.1", Ok(status))
    };
    let sites = vec![
        since("later", &["2025-11-22T03:12:12.345Z"]),
        since("never", &["some time"]),
        since("both", &["2025-11-22T03:12:11.9Z", "2025-11-22T03:12:11Z"]),
        since("earlier", &["2025-11-22T03:12:12Z"]),
    ];
    let sites = Sites::new(fixture::after(31).wall, sites);
    let names: Vec<_> = sites.sites.iter().map(Site::name).collect();
    assert_eq!(names, ["both", "earlier", "later", "never"]);
    let json = serde_json::to_value(sites.json()).unwrap();
    assert_eq!(json["sites"][0]["since"], "2025-11-22T03:12:11Z");
    assert_eq!(json["sites"][2]["since"], "2025-11-22T03:12:12.345Z");
}

#[test]
fn sixty_sites_are_sixty_lines_of_eighty_columns_the_worst_first() {
    let mut sites: Vec<_> =
        (0..57).map(|n| Site::of("http://10.0.0.1", Ok(healthy(&format!("site-{n:02}"))))).collect();
    sites.push(Site::of("http://noc:hunter2@10.0.0.7:9846/", Err("the connection was refused".to_owned())));
    sites.push(Site::of(
        "http://10.0.0.8",
        Ok(StatusJson { site: "berlin-\u{1b}[2J\u{9b}31m".to_owned(), ..status() }),
    ));
    sites.push(Site::of("http://10.0.0.9", Ok(down("a site with a very long name indeed"))));
    let sites = Sites::new(fixture::after(45).wall, sites);
    let screen = Screen { width: 80, height: Some(70), painter: Painter { on: false } };
    let page = sites.page(screen);
    assert_eq!(page.len(), 60 + 3);
    assert!(page.iter().all(|line| width(line) <= 80), "{page:#?}");
    insta::assert_snapshot!(page[..8].join("\n"), @r"
    DOWN: 60 sites: 1 down, 1 degraded, 1 unknown, 57 healthy

              site            since      age  version  why
    DOWN      a site with a…  03:12:12Z  15s  0.1.0    Milan DC, primary (vpn-01234…
    DEGRADED  berlin-�[2J�3…  03:12:12Z  15s  0.1.0    Milan DC, primary (vpn-01234…
    UNKNOWN   ***@10.0.0.7:…  -          -    -        the connection was refused
    HEALTHY   site-00         -          15s  0.1.0    1 connection, 1 tunnel
    HEALTHY   site-01         -          15s  0.1.0    1 connection, 1 tunnel
    ");
    assert_eq!(sites.level(), Level::Down);
}

#[test]
fn unknown_is_worse_than_healthy_and_better_than_degraded() {
    let worst = |sites: Vec<Site>| Sites::new(fixture::after(31).wall, sites).level().exit();
    let site = |outcome| Site::of("http://10.0.0.1", outcome);
    let (well, lost, gone) =
        (|| site(Ok(healthy("a"))), || site(Ok(status())), || site(Err("gone".to_owned())));
    assert_eq!(worst(vec![well()]), Exit::Success);
    assert_eq!(worst(vec![well(), gone()]), Exit::Unknown);
    assert_eq!(worst(vec![gone(), well(), lost()]), Exit::BadNews);
    assert_eq!(worst(vec![site(Ok(down("b"))), lost(), gone()]), Exit::Down);
}

#[test]
fn the_urls_may_stand_in_a_file_each_counts_once_and_none_at_all_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        "# the north\nhttp://10.0.0.1:9846\n\n  http://10.0.0.2 # Turin\nhttp://10.0.0.1:9846\n",
    )
    .unwrap();
    let of = |words: &[&str]| Fleet::of(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    let at_file = format!("@{}", file.path().display());
    let fleet = of(&["http://10.0.0.2", &at_file]).unwrap();
    assert_eq!(fleet.urls, ["http://10.0.0.2", "http://10.0.0.1:9846"]);
    assert!(
        of(&["@/nonexistent"]).unwrap_err().starts_with("--fleet: cannot read /nonexistent: No such file")
    );
    std::fs::write(file.path(), "# nothing\n").unwrap();
    assert_eq!(of(&[&at_file]).unwrap_err(), "--fleet: no URL is given");
    let many: Vec<_> = (0..501).map(|n| format!("10.0.0.1:{n}")).collect();
    assert!(Fleet::of(&many).unwrap_err().contains("at most 500"));
    std::fs::write(file.path(), vec![b'#'; 1024 * 1024 + 1]).unwrap();
    assert!(of(&[&at_file]).unwrap_err().contains("longer than 1 MiB"));
}

#[test]
fn as_json_each_site_has_its_level_its_reasons_and_its_status_and_no_password() {
    let sites = vec![
        Site::of("http://noc:hunter2@10.0.0.7:9846", Err("refused".to_owned())),
        Site::of("http://10.0.0.9", Ok(down("milan"))),
    ];
    let json = serde_json::to_value(Sites::new(fixture::after(31).wall, sites).json()).unwrap();
    assert_eq!((&json["level"], &json["at"]), (&"down".into(), &"2025-11-22T03:12:31Z".into()));
    let [first, second] = &json["sites"].as_array().unwrap()[..] else { panic!("{json}") };
    assert_eq!((&first["site"], &first["status"]["site"]), (&"milan".into(), &"milan".into()));
    assert_eq!(first["since"], "2025-11-22T03:12:12Z");
    assert_eq!(
        *second,
        serde_json::json!({ "url": "http://***@10.0.0.7:9846", "level": "unknown", "reasons": ["refused"] })
    );
}

#[test]
fn as_a_plugin_the_fleet_has_its_counts_and_a_line_for_each_site_that_is_not_well() {
    let sites = vec![
        Site::of("http://10.0.0.7:9846", Err("refused | x".to_owned())),
        Site::of("http://10.0.0.8", Ok(healthy("rome"))),
    ];
    assert_eq!(
        Sites::new(fixture::after(31).wall, sites).nagios(),
        "BOTHENDS UNKNOWN - 2 sites: 1 unknown, 1 healthy | sites=2;;;0 down=0;;;0;2 degraded=0;;;0;2 unknown=1;;;0;2\n\
         UNKNOWN: 10.0.0.7:9846: refused / x\n"
    );
}

#[test]
fn the_published_schema_of_the_fleet_is_current() {
    crate::fixture::schema_of::<FleetJson>(SCHEMA);
}

const SCHEMA: &str = "docs/fleet.schema.json";

#[test]
fn the_fleet_as_json_is_what_its_schema_says() {
    let sites = vec![
        Site::of("http://10.0.0.7", Err("gone".to_owned())),
        Site::of("http://10.0.0.9", Ok(down("milan"))),
    ];
    let mut json = serde_json::to_value(Sites::new(fixture::after(31).wall, sites).json()).unwrap();
    assert_eq!(crate::fixture::schema_errors(SCHEMA, &json), "");
    json["sites"][0]["level"] = serde_json::Value::Null;
    assert_ne!(crate::fixture::schema_errors(SCHEMA, &json), "");
}
