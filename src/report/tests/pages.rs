//! The pages of each format, of one history with everything in it. `BOTHENDS_WRITE=1 cargo test --lib report::tests::pages` writes
//! tests/report_pages; read the difference.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::timeline::{Case, Line, at, tunnel};
use crate::domain::board::{IncidentId, IncidentState, Withheld};
use crate::domain::cause::{Cause, Confidence};
use crate::domain::names::{Destination, End, Kind, Role, SinkId, VpnId};
use crate::domain::plan::SinkPlan;
use crate::domain::scope::{ParentId, ParentKind, Scope};
use crate::domain::silence::SilenceId;
use crate::domain::time::Stamp;
use crate::domain::verdict::Assessment;
use crate::history::{Carries, Change, Entry, Happened, Period, Present, Recalled, Said, TunnelThen, What};
use crate::report::{
    Asked, Calendar, Fate, Page, Report, Rules, analysis, availability_csv, find, html, json, markdown,
    outages_csv, overview, text, would_have_paged, would_have_paged_csv,
};

/// Hostile to every format.
const NAME: &str = "=office| <b>\"7\"</b> `x` *y*";

fn case() -> Case {
    let line = |codes: &str, silenced: &str, role| Line {
        codes: codes.to_owned(),
        silenced: silenced.to_owned(),
        role,
    };
    Case {
        lines: vec![
            //    0         10        20        30        40        50
            line(
                "[UUUUUllDDDDDaUUUUUUUUUUUUDDDDUUUUUUUU...UUUUUUUlUUUUDDDD]",
                "-------------------------ssss",
                Role::Active,
            ),
            line(
                "[UUUUUUlDDDDUUUUUUUUUUUUUUDDDDUUUUUUUU...UUUUUUUUUUUUUUUU]",
                "-------------------------ssss",
                Role::Standby,
            ),
        ],
    }
}

fn then(place: usize, name: &str, local: (Said, usize), aws: (Said, usize)) -> TunnelThen {
    TunnelThen {
        id: tunnel(place),
        name: Arc::from(name),
        role: if place == 0 { Role::Active } else { Role::Standby },
        local: (local.0, at(local.1)),
        aws: (aws.0, at(aws.1)),
        aws_changed: (place == 0).then(|| at(aws.1) - std::time::Duration::from_secs(40)),
        assessment: Assessment::Down,
        cause: None,
    }
}

fn incident(
    kind: Kind,
    began: usize,
    opened: usize,
    ended: Option<usize>,
    happened: Vec<(usize, What)>,
) -> Recalled {
    let scope = Scope::Connection(VpnId::new("vpn-0a1b2c3d4e5f60718"));
    let timeline = [(opened, What::Opened)]
        .into_iter()
        .chain(happened)
        .zip(0..)
        .map(|((minute, what), seq)| Happened { seq, at: at(minute), what, repeats: u32::from(seq == 3) });
    Recalled {
        id: IncidentId { scope, kind, opened: at(opened) },
        name: Arc::from(NAME),
        state: ended.map_or(IncidentState::Open, |ended| IncidentState::Resolved { at: at(ended) }),
        began: at(began) - std::time::Duration::from_millis(10_250),
        found_at: None,
        withheld: None,
        related: None,
        worsened: 0,
        tunnels: vec![
            then(0, "tunnel 1", (Said::Down, began), (Said::Down, began + 2)),
            then(1, "<script>alert(2)</script>", (Said::Down, began + 1), (Said::Down, began + 2)),
        ],
        timeline: timeline.collect(),
    }
}

fn incidents() -> Vec<Recalled> {
    let named = |place: usize| (tunnel(place), Arc::from(if place == 0 { "tunnel 1" } else { "tunnel 2" }));
    let verdict = |place, end, to, as_of: Option<usize>| What::Verdict {
        tunnel: named(place),
        end,
        to,
        why: (to == Said::Unknown).then(|| Arc::from("no_data")),
        as_of: as_of.map(at),
    };
    let outage = incident(
        Kind::Outage,
        5,
        7,
        Some(15),
        vec![
            (8, What::Cause { tunnel: named(0), to: Cause::PathToAws, confidence: Confidence::Likely }),
            (
                12,
                What::Assessment {
                    tunnel: named(0),
                    to: Assessment::Disputed(End::Aws),
                    carrying: Carries::CannotTell,
                },
            ),
            (12, verdict(0, End::Local, Said::Up, None)),
            (13, verdict(0, End::Aws, Said::Up, Some(12))),
            (13, What::Clearing),
            (15, What::Resolved),
        ],
    );
    let mut silenced = incident(
        Kind::Outage,
        25,
        26,
        Some(31),
        vec![(26, What::Withheld { by: Withheld::Silenced(SilenceId(7)) }), (31, What::Resolved)],
    );
    silenced.withheld = Some(Withheld::Silenced(SilenceId(7)));
    let mut redundancy = incident(Kind::RedundancyLost, 53, 54, None, Vec::new());
    redundancy.withheld = Some(Withheld::Explained(wan()));
    redundancy.timeline.push(Happened {
        seq: 1,
        at: at(54),
        what: What::Withheld { by: Withheld::Explained(wan()) },
        repeats: 0,
    });
    let mut parent = incident(
        Kind::Outage,
        53,
        54,
        None,
        vec![(54, What::Children { down: vec![Arc::from(NAME)], back: Vec::new(), troubled: 1, of: 4 })],
    );
    parent.id.scope = Scope::Parent(wan());
    parent.name = Arc::from("wan1");
    parent.tunnels.clear();
    vec![outage, silenced, redundancy, parent]
}

fn wan() -> ParentId {
    ParentId { kind: ParentKind::Uplink, site: Arc::from("rome"), name: Arc::from("wan1") }
}

pub(super) fn entries() -> (Vec<Entry>, Present) {
    let case = case();
    let mut present = case.present();
    for now in &mut present.tunnels {
        now.vpn_name = Arc::from(NAME);
    }
    present.tunnels[1].name = Arc::from("<script>alert(2)</script>");
    present.tunnels[0].cause = Some(Cause::UplinkDown);
    let mut entries = case.entries();
    let cause = |minute, from, to| Entry::Change {
        at: at(minute),
        tunnel: tunnel(0),
        change: Change::Cause { from, to },
    };
    entries.extend([
        cause(7, None, Some(Cause::Unknown)),
        cause(8, Some(Cause::Unknown), Some(Cause::PathToAws)),
        cause(13, Some(Cause::PathToAws), None),
        cause(54, None, Some(Cause::UplinkDown)),
    ]);
    let incidents = incidents();
    let page = |incident: &Recalled, sink: &str, at: Stamp| Entry::Paged {
        incident: incident.id.clone(),
        sink: SinkId::new(sink),
        at,
    };
    let second = std::time::Duration::from_secs(1);
    entries.extend([
        page(&incidents[0], "incident_manager", at(7) + second),
        page(&incidents[0], "chat", at(7) + second * 3),
        page(&incidents[3], "incident_manager", at(54) + second),
    ]);
    entries.extend(incidents.into_iter().map(|incident| Entry::Incident(Arc::new(incident))));
    (entries, present)
}

fn rome() -> Calendar {
    Calendar::of(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap())
}

fn report() -> Report {
    let (entries, present) = entries();
    let period = case().period();
    let cut = at(20);
    let parts = vec![
        ("2026-10".to_owned(), Period { until: cut, ..period }),
        ("2026-11".to_owned(), Period { from: cut, ..period }),
    ];
    Report::of(&entries, &present, &Asked { period, parts, vpn: None }).unwrap()
}

fn rules() -> Rules {
    let sink = |id: &str, kinds: &[Kind], scopes: Option<Scope>| SinkPlan {
        id: SinkId::new(id),
        destination: Destination::new(id),
        kinds: kinds.iter().copied().collect(),
        scopes: scopes.map(|scope| BTreeSet::from([scope])),
    };
    Rules::Sinks(vec![
        sink("incident_manager", &[Kind::Outage], None),
        sink("chat", &Kind::BY_DEFAULT, Some(Scope::Connection(VpnId::new("vpn-0a1b2c3d4e5f60718")))),
    ])
}

fn post_mortem() -> Page {
    let (entries, present) = entries();
    let found = find(&entries, "vpn-0a1b2c3d4e5f60718/outage/17930004", &rome()).unwrap();
    analysis(&entries, &present, &found, &rome())
}

fn compare(name: &str, made: &str) {
    // Reports name the version that made them.
    let made = made.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report_pages").join(name);
    if std::env::var_os("BOTHENDS_WRITE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "{name} is out of date: BOTHENDS_WRITE=1 cargo test --lib report::tests::pages\n{made}"
    );
}

#[test]
fn the_report_in_every_format() {
    let (report, calendar) = (report(), rome());
    let page = overview(&report, &calendar);
    compare("report.txt", &text(&page));
    compare("report.md", &markdown(&page));
    compare("report.html", &html(&page));
    compare("report.json", &json(&report, None, &calendar).unwrap());
    compare("report.csv", &availability_csv(&report, &calendar));
    compare("outages.csv", &outages_csv(&report, &calendar));
}

#[test]
fn what_would_have_paged_in_every_format() {
    let (report, calendar, rules) = (report(), rome(), rules());
    compare("would-have-paged.txt", &text(&would_have_paged(&report, &rules, &calendar)));
    compare("would-have-paged.json", &json(&report, Some(&rules), &calendar).unwrap());
    compare("would-have-paged.csv", &would_have_paged_csv(&report, &rules, &calendar));
}

/// As the daemon does: where the parent's incident does not go, nobody is paged for it.
#[test]
fn a_sink_holds_back_what_another_incident_explains_only_if_it_takes_that_one() {
    let sink = |id: &str, kinds: &[Kind], scopes: Option<Scope>| SinkPlan {
        id: SinkId::new(id),
        destination: Destination::new(id),
        kinds: kinds.iter().copied().collect(),
        scopes: scopes.map(|scope| BTreeSet::from([scope])),
    };
    let connections = || Some(Scope::Connection(VpnId::new("vpn-0a1b2c3d4e5f60718")));
    let both = || sink("both", &Kind::BY_DEFAULT, None);
    let children = || sink("children", &Kind::BY_DEFAULT, connections());
    let outages = || sink("outages", &[Kind::Outage], None);
    let all = |change: &dyn Fn(&mut Vec<Recalled>)| {
        let mut all = incidents();
        change(&mut all);
        all.into_iter().map(Arc::new).collect::<Vec<_>>()
    };
    let fate = |all: &[Arc<Recalled>], sinks: Vec<SinkPlan>| Rules::Sinks(sinks).fate(&all[2], all);
    let held = || Fate::HeldBack(Withheld::Explained(wan()));
    let sent = |minute, ids: &[&str]| Fate::Sent {
        at: at(minute),
        sinks: ids.iter().map(|id| SinkId::new(*id)).collect(),
    };
    let open = all(&|_| {});
    assert_eq!(fate(&open, vec![both()]), held());
    assert_eq!(fate(&open, vec![both(), children()]), sent(54, &["children"]));
    assert_eq!(fate(&open, vec![outages()]), Fate::NoSink);
    assert_eq!(Rules::Default { why: String::new() }.fate(&open[2], &open), held());

    // The parent's incident is over, and the core releases what is still down some minutes later.
    let happened = |minute, what| Happened { seq: 2, at: at(minute), what, repeats: 0 };
    let released = all(&|all| {
        all[2].timeline.push(happened(58, What::Released));
        all[3].state = IncidentState::Resolved { at: at(56) };
    });
    assert_eq!(fate(&released, vec![both()]), sent(58, &["both"]));
    assert_eq!(fate(&released, vec![both(), children()]), sent(54, &["both", "children"]));
    // Of a group its lesser incident goes on, which the sink does not take: its own outage is news there.
    let lesser = all(&|all| {
        all[2].id.kind = Kind::Outage;
        let mut redundancy = all[3].clone();
        redundancy.id.kind = Kind::RedundancyLost;
        all[3].state = IncidentState::Resolved { at: at(56) };
        all.push(redundancy);
    });
    assert_eq!(fate(&lesser, vec![outages()]), sent(56, &["outages"]));
    assert_eq!(fate(&lesser, vec![both()]), held());
    let silenced = all(&|all| {
        all[2].timeline[1].what = What::Withheld { by: Withheld::Silenced(SilenceId(7)) };
    });
    let by_silence = Fate::HeldBack(Withheld::Silenced(SilenceId(7)));
    assert_eq!(fate(&silenced, vec![both(), children()]), by_silence);
}

#[test]
fn an_incident_in_every_format() {
    let page = post_mortem();
    compare("incident.txt", &text(&page));
    compare("incident.md", &markdown(&page));
    compare("incident.html", &html(&page));
}

#[test]
fn a_page_for_a_terminal_has_80_columns() {
    let calendar = rome();
    for page in
        [overview(&report(), &calendar), post_mortem(), would_have_paged(&report(), &rules(), &calendar)]
    {
        let text = text(&page);
        let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(long.is_empty(), "{long:#?}");
    }
}

#[test]
fn a_name_means_only_itself_in_every_format() {
    let (report, calendar) = (report(), rome());
    for page in [overview(&report, &calendar), post_mortem()] {
        let html = html(&page);
        assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(2)&lt;/script&gt;"));
        for loaded in ["src=", "href=", "url(", "@import", "http:", "https:"] {
            assert!(!html.contains(loaded), "nothing is loaded: {loaded}");
        }
        let markdown = markdown(&page);
        let outside: String = markdown.split("```").step_by(2).collect();
        assert!(!outside.contains("<script") && outside.contains("&lt;script"), "{outside}");
    }
    for csv in [availability_csv(&report, &calendar), outages_csv(&report, &calendar)] {
        assert!(csv.contains("'=office"), "{csv}");
        assert!(!csv.contains(",=office") && !csv.contains("\"=office"), "{csv}");
    }
}

#[test]
fn an_incident_is_found_by_the_beginning_of_its_id_if_it_is_the_only_one() {
    let (entries, _) = entries();
    let error = |key: &str| find(&entries, key, &rome()).unwrap_err().to_string();
    assert!(find(&entries, "uplink", &rome()).is_ok());
    let several = error("vpn-");
    assert!(several.starts_with("--incident vpn-: 3 incidents have ids that begin so"), "{several}");
    assert_eq!(several.lines().count(), 4, "{several}");
    let none = error("nothing");
    assert!(
        none.starts_with("--incident nothing: no incident has an id that begins so; the newest are:\n"),
        "{none}"
    );
    assert_eq!(none.lines().count(), 5, "{none}");
    assert_eq!(
        find(&[], "x", &rome()).unwrap_err().to_string(),
        "--incident x: the history has no incident in this period; give --since to look further back"
    );
}

#[test]
fn a_connection_that_is_not_known_has_no_report() {
    let (entries, present) = entries();
    let asked = |vpn: &str| Asked { period: case().period(), parts: Vec::new(), vpn: Some(vpn.to_owned()) };
    assert!(Report::of(&entries, &present, &asked("other")).is_none());
    for known in [NAME, "vpn-0a1b2c3d4e5f60718"] {
        assert_eq!(Report::of(&entries, &present, &asked(known)).unwrap().accounts.len(), 3);
    }
}
