//! Pages of the fixtures, hostile texts, and the largest site.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::domain::board::IncidentId;
use crate::domain::cause::{Cause, Clue, Confidence, Diagnosis};
use crate::domain::maintenance::{Maintenance, MaintenanceState};
use crate::domain::names::{End, SinkId, TunnelId};
use crate::domain::scope::Scope;
use crate::domain::silence::Silence;
use crate::domain::time::Now;
use crate::domain::verdict::Evidence;
use crate::fixture::{self, after};
use crate::health::overview::OpenProblem;
use crate::health::{Code, Component, Problem};
use crate::history::{Change, Entry, Minute, Period, Said};
use crate::http::routes::About;
use crate::page::input::{Links, VpnLinks};
use crate::page::past::{Past, SPAN};
use crate::page::template::Template;
use crate::records::Records;

/// Everything that a page is made of.
struct World {
    status: Status,
    problems: Vec<OpenProblem>,
    records: Records,
    about: About,
    links: Links,
    past: Past,
    now: Now,
}

impl World {
    fn of(status: Status) -> Self {
        let links = VpnLinks {
            console: Some("https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0a".to_owned()),
            runbook: Some("https://wiki.example.com/vpn".into()),
            inside: BTreeMap::from([1, 2].map(|n| (fixture::tunnel(n).outside_ip, [169, 254, 9 + n, 1].into()))),
        };
        Self {
            status,
            problems: Vec::new(),
            records: Records::default(),
            about: About { version: "0.1.0", mode: "raise" },
            links: Links { vpns: BTreeMap::from([(fixture::vpn(), links)]), regions: BTreeMap::new() },
            past: Past::default(),
            now: after(31),
        }
    }

    fn input(&self) -> Input<'_> {
        let Self { status, problems, records, about, links, past, now } = self;
        Input { status, problems, records, about, links, past, now: *now }
    }

    fn site(&self) -> PageView {
        PageView::site(self.input())
    }

    fn html(&self) -> String {
        Template::new().unwrap().render(&self.site(), 7).unwrap()
    }

    fn vpn_html(&self, id: &str) -> String {
        Template::new().unwrap().render(&PageView::vpn(self.input(), id).unwrap(), 7).unwrap()
    }

    /// 24 hours of which both tunnels of each connection were down for ten minutes, with a minute of probes each.
    fn with_a_day(mut self) -> Self {
        let period = Period { from: self.now.wall - SPAN, until: self.now.wall };
        let mut entries = vec![Entry::Watched(period.into())];
        let minute = |minutes: u32| period.from + Duration::from_secs(60) * minutes;
        for of in self.status.vpns.iter().flat_map(|vpn| &vpn.tunnels) {
            let tunnel = &of.id;
            // So that the last day ends with the present.
            for (end, now) in [(End::Local, &of.local), (End::Aws, &of.aws)] {
                let change = Change::Verdict { end, from: Said::Up, to: now.verdict.into() };
                if Said::from(now.verdict) != Said::Up {
                    entries.push(Entry::Change { at: minute(1439), tunnel: tunnel.clone(), change });
                }
            }
            for (end, at, from, to) in [
                (End::Local, 0, Said::Unknown, Said::Up),
                (End::Aws, 1, Said::Unknown, Said::Up),
                (End::Local, 900, Said::Up, Said::Down),
                (End::Aws, 902, Said::Up, Said::Down),
                (End::Local, 910, Said::Down, Said::Up),
                (End::Aws, 913, Said::Down, Said::Up),
            ] {
                let change = Change::Verdict { end, from, to };
                entries.push(Entry::Change { at: minute(at), tunnel: tunnel.clone(), change });
            }
            entries.extend((0..1440).map(|at| {
                Entry::Minute(Minute {
                    at: minute(at).minute(),
                    tunnel: tunnel.clone(),
                    answered: if (900..910).contains(&at) { 0 } else { 60 },
                    lost: if (900..910).contains(&at) { 60 } else { 0 },
                    median_rtt: (!(900..910).contains(&at))
                        .then(|| Duration::from_micros(11_000 + u64::from(at) * 37 % 1900)),
                })
            }));
        }
        self.past = Past::of(period, Arc::new(crate::history::Present::of(&self.status)), entries);
        self
    }

    /// So many connections like the fixture's; every `troubled`-th is in trouble, the others are healthy.
    fn large(number: u32, troubled: u32) -> Self {
        let mut status = fixture::status();
        let like = status.vpns.remove(0);
        status.incidents.clear();
        for n in 0..number {
            let mut vpn = like.clone();
            vpn.id = VpnId::new(format!("vpn-{n:017x}"));
            vpn.name = format!("Branch office number {n}").into();
            for (place, tunnel) in vpn.tunnels.iter_mut().enumerate() {
                tunnel.id = TunnelId {
                    vpn: vpn.id.clone(),
                    outside_ip: [198, 18, (n >> 7) as u8, (n << 1) as u8 + place as u8].into(),
                };
                if n % troubled != 0 {
                    let healthy = like.tunnels[1].clone();
                    *tunnel = crate::domain::status::TunnelStatus {
                        id: tunnel.id.clone(),
                        name: tunnel.name.clone(),
                        assessment: crate::domain::verdict::Assessment::Healthy,
                        carrying: crate::domain::carrying::Carrying::Carrying,
                        aws: fixture::aws(crate::domain::verdict::Verdict::Up),
                        ..healthy
                    };
                }
            }
            if n % troubled == 0 {
                let incident = Incident {
                    id: IncidentId { scope: Scope::Connection(vpn.id.clone()), ..fixture::incident().id },
                    name: vpn.name.clone(),
                    ..fixture::incident()
                };
                status.incidents.push(Arc::new(incident));
            }
            status.vpns.push(vpn);
        }
        Self::of(status)
    }
}

/// The text between two marks.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = &text[text.find(from).unwrap_or_else(|| panic!("no {from}"))..];
    &rest[..rest.find(to).unwrap_or_else(|| panic!("no {to}"))]
}

/// The page's text as a reader without styles sees it: one line per block.
fn plain(html: &str) -> String {
    let body = between(html, "<header>", "<script>");
    let mut text = String::new();
    let mut rest = body;
    while let Some(begin) = rest.find('<') {
        text.push_str(&rest[..begin]);
        let end = rest[begin..].find('>').unwrap() + begin;
        let tag = &rest[begin..=end];
        let inline = [
            "<b>", "</b>", "<span", "</span", "<small", "</small", "<time", "</time", "<a ", "</a", "<code",
            "</code", "</td", "</th>",
        ];
        let is = |names: &[&str]| names.iter().any(|name| tag.starts_with(name));
        text.push_str(if is(&["<td", "<th>", "<th "]) {
            " | "
        } else if is(&inline) {
            ""
        } else {
            "\n"
        });
        rest = &rest[end + 1..];
    }
    let text = text
        .replace("&#x2f;", "/")
        .replace("&#x27;", "'")
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    let lines = text.lines().map(|line| line.trim().trim_matches('|').trim()).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_page_of_a_site_with_an_incident() {
    insta::assert_snapshot!(plain(&World::of(fixture::status()).html()), @r"
    milan-1 bothends 0.1.0
    As of 03:12:30 UTC (1 s ago)
    This page loads itself again every 30 s.
    ! DEGRADED: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost since 03:12:12 UTC
    History not available now: the store has not answered in time. The state below is current.
    Connections
    Milan DC, primary vpn-0123456789abcdef0
    ! DEGRADED redundancy lost since 03:12:12 UTC
    cannot tell whether traffic flows, routing bgp, redundancy lost open
    Runbook
    AWS console
    tunnel 1 203.0.113.11, active, uplink wan1
    ✕ down down at both ends, since 03:12:12 UTC (19 s ago)
    Carries no traffic. No packets have passed since 03:12:03 UTC (28 s ago)
    Why: the path to AWS is broken (certain); known since 03:12:14 UTC (17 s ago)
    Do first: Call the carrier: from this uplink the path to 203.0.113.11 ends at 198.51.100.9, while other hosts answer.
    AWS's outside address no longer answers over the uplink
    the uplink's references answer
    the path ends at hop 4 (198.51.100.9)
    What both ends say of tunnel 1
    | This site | AWS
    Verdict | ✕ down | ✕ down
    Why | no reply from 169.254.10.1 since 03:12:03Z, 10 echoes lost | cloudwatch: TunnelState 0, as of 03:12:10Z
    Since | 03:12:07 UTC (24 s ago) | 03:12:12 UTC (19 s ago)
    As of | 03:12:30 UTC (1 s ago) | 03:12:10 UTC (21 s ago)
    What the sensors say of tunnel 1
    bgp
    not available: no permission, 03:12:28 UTC (3 s ago)
    path
    the outside address does not answer, all 1 references answer, 03:12:29 UTC (2 s ago)
    tunnel 2 203.0.113.12, standby
    ? blind not known, since 03:12:12 UTC (19 s ago)
    Cannot tell whether it carries traffic. Now: round trip 11.9 ms (usually 11.7 ms), jitter 0.4 ms, loss 0 %
    What both ends say of tunnel 2
    | This site | AWS
    Verdict | ✓ up | ? unknown
    Why | 169.254.11.1 answers in 11.9 ms, loss 0 % | AWS has not answered
    Since | 03:12:00 UTC (31 s ago) | 03:12:12 UTC (19 s ago)
    As of | 03:12:30 UTC (1 s ago) | –
    Incidents
    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): redundancy lost — tunnel 1 (203.0.113.11) down
    open, redundancy lost; began 03:12:12 UTC (19 s ago), opened 03:12:20 UTC (11 s ago)
    Timeline, the newest first
    03:12:25 UTC (6 s ago) tunnel 2 (203.0.113.12): not known
    03:12:25 UTC (6 s ago) tunnel 2 (203.0.113.12): AWS says unknown (stale), as of 2025-11-22 03:12:10 UTC
    03:12:20 UTC (11 s ago) redundancy lost opened
    Times are UTC. The same for programs: /status, /readyz, /metrics. Nothing can be changed here.
    ");
}

#[test]
fn what_connections_share_and_what_is_silenced() {
    let mut world = World::of(fixture::site());
    world.about.mode = "observe";
    let problem = Problem::of(Code::ClockOff, "it is off\nand more");
    world.problems = vec![OpenProblem { component: Component::Clock, problem }];
    let incident = world.status.incidents[0].id.clone();
    world.records.set(&SinkId::new("pager"), &incident, Some("arn:aws:ssm-incidents::1:incident-record/a"));
    world.status.vpns[0].tunnels[1].maintenance = MaintenanceState::Known {
        maintenance: Maintenance {
            pending: true,
            applied_after: Some(after(90_000).wall),
            last_applied: None,
        },
        as_of: after(20).wall,
    };
    insta::assert_snapshot!(plain(&world.html()), @r#"
    milan-1 bothends 0.1.0
    As of 03:12:30 UTC (1 s ago)
    This page loads itself again every 30 s.
    ✕ DOWN: uplink wan1: outage since 03:12:12 UTC, 3 of 4 connections affected (and 1 more)
    Observe mode: nobody is paged. Incidents are recorded and not sent until mode = "raise" is set.
    History not available now: the store has not answered in time. The state below is current.
    Problems of this daemon
    ! degraded This host's clock is wrong clock
    it is off
    and more
    Do first: timedatectl status; start or fix NTP.
    Code clock_off
    Connections
    Milan DC, primary vpn-0123456789abcdef0
    ! DEGRADED redundancy lost since 03:12:12 UTC
    cannot tell whether traffic flows, routing bgp, redundancy lost open, silenced (silence 3)
    Runbook
    AWS console
    tunnel 1 203.0.113.11, active, uplink wan1
    ✕ down down at both ends, since 03:12:12 UTC (19 s ago)
    Carries no traffic. No packets have passed since 03:12:03 UTC (28 s ago)
    Silenced (silence 3)
    Why: the path to AWS is broken (certain); known since 03:12:14 UTC (17 s ago)
    Do first: Call the carrier: from this uplink the path to 203.0.113.11 ends at 198.51.100.9, while other hosts answer.
    AWS's outside address no longer answers over the uplink
    the uplink's references answer
    the path ends at hop 4 (198.51.100.9)
    What both ends say of tunnel 1
    | This site | AWS
    Verdict | ✕ down | ✕ down
    Why | no reply from 169.254.10.1 since 03:12:03Z, 10 echoes lost | cloudwatch: TunnelState 0, as of 03:12:10Z
    Since | 03:12:07 UTC (24 s ago) | 03:12:12 UTC (19 s ago)
    As of | 03:12:30 UTC (1 s ago) | 03:12:10 UTC (21 s ago)
    What the sensors say of tunnel 1
    bgp
    not available: no permission, 03:12:28 UTC (3 s ago)
    path
    the outside address does not answer, all 1 references answer, 03:12:29 UTC (2 s ago)
    tunnel 2 203.0.113.12, standby
    ? blind not known, since 03:12:12 UTC (19 s ago)
    Cannot tell whether it carries traffic. Now: round trip 11.9 ms (usually 11.7 ms), jitter 0.4 ms, loss 0 %
    Silenced (silence 3)
    Maintenance: AWS replaces its endpoint soon after 2025-11-23 04:12:00 UTC (in 24 h), unless you apply the maintenance before
    What both ends say of tunnel 2
    | This site | AWS
    Verdict | ✓ up | ? unknown
    Why | 169.254.11.1 answers in 11.9 ms, loss 0 % | AWS has not answered
    Since | 03:12:00 UTC (31 s ago) | 03:12:12 UTC (19 s ago)
    As of | 03:12:30 UTC (1 s ago) | –
    Incidents
    OUTAGE milan-1: uplink wan1 is down: 3 of 4 connections affected
    open, outage; began 03:12:12 UTC (19 s ago), opened 03:12:20 UTC (11 s ago)
    3 of 4 connections affected: Milan DC, primary, Paris, Rome
    Record at pager: arn:aws:ssm-incidents::1:incident-record/a
    Timeline, the newest first
    03:12:20 UTC (11 s ago) outage opened
    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): redundancy lost — tunnel 1 (203.0.113.11) down
    open, redundancy lost; began 03:12:12 UTC (19 s ago), opened 03:12:20 UTC (11 s ago)
    Not sent: explained by uplink wan1
    Timeline, the newest first
    03:12:25 UTC (6 s ago) tunnel 2 (203.0.113.12): not known
    03:12:25 UTC (6 s ago) tunnel 2 (203.0.113.12): AWS says unknown (stale), as of 2025-11-22 03:12:10 UTC
    03:12:20 UTC (11 s ago) redundancy lost opened
    What connections share
    ✕ down uplink wan1 since 03:12:07 UTC (24 s ago), 2 connections, outage open
    ✓ up group hubs since 03:12:07 UTC (24 s ago), 2 connections, silenced (silence 3)
    ? unknown the whole site since 03:12:07 UTC (24 s ago), 2 connections
    Silences
    Silence 3: group hubs, until 04:12:00 UTC (in 59 min), every week (Europe/Rome). Reason: change 4711 (added by uid 1000)
    Times are UTC. The same for programs: /status, /readyz, /metrics. Nothing can be changed here.
    "#);
}

#[test]
fn the_page_of_a_connection_has_what_concerns_it() {
    let mut world = World::of(fixture::site());
    let other = Silence { of: SilenceScope::Connection(VpnId::new("vpn-0b")), ..fixture::silence() };
    world.status.silences = world.status.silences.iter().cloned().chain([other]).collect();
    let page = PageView::vpn(world.input(), fixture::vpn().as_str()).unwrap();
    assert_eq!((page.connections.len(), page.incidents.shown.len(), page.silences.shown.len()), (1, 2, 1));
    assert_eq!(page.parents.shown.len(), 3);
    assert!(page.title.starts_with("DEGRADED: Milan DC, primary"), "{}", page.title);
    assert!(PageView::vpn(world.input(), "vpn-0b").is_none());
    assert!(PageView::vpn(world.input(), "").is_none());
}

#[test]
fn a_day_of_both_ends_is_drawn_and_worded() {
    let html = World::of(fixture::status()).with_a_day().html();
    let strips = between(&html, "<div class=\"strips\">", "<figure");
    assert!(
        strips.contains("class=\"words\">up, except down since 03:11, down yesterday 18:12–18:22"),
        "{strips}"
    );
    assert!(strips.contains("<title>down yesterday 18:14–18:25</title>"), "{strips}");
    assert_eq!(html.matches("<figure class=\"chart\">").count(), 4, "round trips and loss of two tunnels");
    assert!(!html.contains("History not available now"));
    let without = World::of(fixture::status()).html();
    assert!(without.contains("History not available now") && !without.contains("<figure"), "{without}");
}

#[test]
fn a_page_of_few_connections_is_small() {
    let mut world = World::large(3, 3).with_a_day();
    world.status.incidents.truncate(1);
    let html = world.html();
    assert!(html.len() <= 60_000, "{}", html.len());
    let html = World::of(fixture::site()).with_a_day().html();
    assert!(html.len() <= 60_000, "{}", html.len());
}

#[test]
fn a_page_of_250_connections_is_bounded_and_shows_trouble_first() {
    let world = World::large(250, 5).with_a_day();
    let page = world.site();
    assert_eq!(
        (page.connections.len(), page.rows.shown.len(), page.rows.more),
        (FULL_MAX, 250 - FULL_MAX, 0)
    );
    assert_eq!((page.incidents.shown.len(), page.incidents.more), (LISTED_MAX, 50 - LISTED_MAX));
    let html = world.html();
    assert!(html.len() < 500_000, "{}", html.len());
    assert!(!html.contains("<figure"), "charts are on the pages of connections");
    assert!(html.contains("and 30 more incidents"));
    let rows = between(&html, "<table class=\"rows\">", "</table>");
    let first_healthy = rows.find("HEALTHY").unwrap();
    assert!(!rows[first_healthy..].contains("DEGRADED"), "the worst first");
    let page = world.vpn_html("vpn-00000000000000007");
    assert_eq!(page.matches("<figure class=\"chart\">").count(), 4);
}

#[test]
fn more_connections_than_rows_are_counted() {
    let page = World::large(400, 400).site();
    assert_eq!((page.rows.shown.len(), page.rows.more), (ROWS_MAX, 400 - FULL_MAX - ROWS_MAX));
}

#[test]
fn hostile_texts_stay_texts() {
    const SCRIPT: &str = "<script>alert(1)</script>";
    const QUOTES: &str = "\" onmouseover=\"alert(2)\" x='</style><img src=x onerror=alert(3)>";
    let mut world = World::of(fixture::site()).with_a_day();
    world.status.site = SCRIPT.into();
    for vpn in &mut world.status.vpns {
        vpn.name = QUOTES.into();
        for tunnel in &mut vpn.tunnels {
            tunnel.name = SCRIPT.into();
            tunnel.uplink = Some(QUOTES.into());
            if let Evidence::Aws(evidence) = &mut tunnel.aws.evidence {
                evidence.words = Some(SCRIPT.into());
            }
            tunnel.diagnosis = Some(Diagnosis {
                cause: Cause::BgpDown,
                confidence: Confidence::Certain,
                clues: vec![Clue::BgpLastError(QUOTES.into())],
                lead: None,
            });
        }
    }
    let silence = Silence { reason: SCRIPT.into(), weekly: Some(QUOTES.into()), ..fixture::silence() };
    world.status.silences = [silence].into();
    world.status.incidents = world
        .status
        .incidents
        .iter()
        .map(|incident| Arc::new(Incident { name: QUOTES.into(), ..(**incident).clone() }))
        .collect();
    let incident = world.status.incidents[0].id.clone();
    world.records.set(&SinkId::new("pager"), &incident, Some(SCRIPT));
    let problem = Problem::of(Code::ClockOff, SCRIPT);
    world.problems = vec![OpenProblem { component: Component::HostAddresses(QUOTES.to_owned()), problem }];
    for (runbook, is_link) in [
        ("javascript:alert(4)", false),
        ("JAVASCRIPT://x/%0aalert(4)", false),
        ("data:text/html,<script>alert(5)</script>", false),
        ("https://wiki.example.com/\"onclick=alert(6)", true),
        (" https://wiki.example.com/", false),
    ] {
        for links in world.links.vpns.values_mut() {
            links.runbook = Some(runbook.into());
        }
        let html = world.html();
        assert_eq!(html.matches("<script>").count(), 1, "ours");
        assert_eq!(html.matches("<style>").count(), 1, "ours");
        assert!(!html.contains("<img"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(1)"), "it is shown as it is");
        let tags: Vec<&str> = html.split('<').skip(1).map(|tag| tag.split('>').next().unwrap()).collect();
        for tag in tags.iter().filter(|tag| !tag.starts_with("script")) {
            let outside: String = tag.split('"').step_by(2).collect();
            assert!(!outside.contains("onmouseover") && !outside.contains("onclick"), "{tag}");
            assert!(
                !tag.to_lowercase().contains("href=\"javascript") && !tag.contains("href=\"data:t"),
                "{tag}"
            );
        }
        assert_eq!(html.contains("-runbook\" href="), is_link, "{runbook}");
    }
}

#[test]
fn a_record_with_an_address_is_a_link_and_another_is_text() {
    let incident = fixture::status().incidents[0].id.clone();
    let link = |region: Option<&str>, record: &str| {
        let mut world = World::of(fixture::status());
        let sink = SinkId::new("pager");
        world.links.regions.extend(region.map(|region| (sink.clone(), region.into())));
        world.records.set(&sink, &incident, Some(record));
        let html = world.html();
        between(&html, "Record at pager: ", "</li>").replace("&#x2f;", "/").replace("&#x27;", "'")
    };
    let aws = Some("eu-west-1");
    for (region, record, address) in [
        (
            aws,
            "arn:aws:ssm-incidents::123456789012:incident-record/bothends/5a",
            "https://console.aws.amazon.com/systems-manager/incidents/home?region=eu-west-1",
        ),
        (
            Some("cn-north-1"),
            "oi-0123456789ab",
            "https://console.amazonaws.cn/systems-manager/opsitems/oi-0123456789ab?region=cn-north-1",
        ),
        (None, "https://pager.example.com/alerts/7", "https://pager.example.com/alerts/7"),
        (None, "https://x/\"onclick=alert(1)", "https://x/&quot;onclick=alert(1)"),
    ] {
        let link = link(region, record);
        let expected = format!(" href=\"{address}\" rel=\"noopener noreferrer\"><code>");
        assert!(link.contains(&expected) && link.contains("-record-pager\""), "{record}: {link}");
    }
    for (region, record) in [
        (None, "arn:aws:ssm-incidents::123456789012:incident-record/bothends/5a"),
        (Some(""), "oi-0123456789ab"),
        (aws, "oi-"),
        (aws, "oi-1/../../x"),
        (None, "bothends/vpn-0a/outage"),
        (None, "javascript://x/%0aalert(1)"),
        (aws, "data:text/html,x"),
    ] {
        let text = link(region, record);
        assert!(!text.contains("<a ") && text.contains("<code>"), "{record}: {text}");
    }
}

#[test]
fn a_core_that_is_stuck_is_said_first() {
    let mut world = World::of(fixture::status());
    world.now = after(300);
    let html = world.html();
    assert!(
        html.contains("This page is not up to date.</b> stuck: no status from the core for 270 s"),
        "{html}"
    );
    assert!(!World::of(fixture::status()).html().contains("not up to date"));
}

#[test]
fn headings_are_in_order_and_ids_are_unique() {
    let mut world = World::of(fixture::site()).with_a_day();
    world.problems =
        vec![OpenProblem { component: Component::Clock, problem: Problem::of(Code::ClockOff, "it is off") }];
    let html = world.html();
    let levels: Vec<u32> =
        html.match_indices("<h").filter_map(|(at, _)| html[at + 2..].chars().next()?.to_digit(10)).collect();
    assert_eq!(levels[0], 1);
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
    let mut ids: Vec<&str> =
        html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
    for link in html.split("<a ").skip(1) {
        assert!(
            link.starts_with("class=\"skip\"") || link.starts_with("id="),
            "a link keeps the focus by its id: {link:.60}"
        );
    }
}

#[test]
fn nothing_on_the_page_comes_from_elsewhere() {
    let html = World::of(fixture::site()).with_a_day().html();
    for attribute in ["src=", "srcset=", "@import", "action=", "<iframe", "<object", "<base"] {
        assert!(!html.contains(attribute), "{attribute}");
    }
}
