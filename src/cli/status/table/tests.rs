use super::*;
use crate::cli::layout::width;
use crate::cli::style::Painter;
use crate::domain::names::SinkId;
use crate::domain::silence::{Silence, SilenceScope};
use crate::domain::verdict::Loss;
use crate::fixture;
use crate::health::overview::OpenProblem;
use crate::health::{Code, Component, Problem};
use crate::http::summary::summary;
use crate::records::Records;

const PLAIN: Painter = Painter { on: false };

fn json(status: &crate::domain::status::Status) -> StatusJson {
    StatusJson::of(status, &[], &Records::default(), "0.1.0", "raise", fixture::after(31))
}

fn lines(status: &StatusJson, columns: usize) -> Vec<String> {
    let screen = Screen { width: columns, height: Some(100), painter: PLAIN };
    render(status, &summary(status), screen)
}

fn page(status: &StatusJson) -> String {
    lines(status, 80).join("\n")
}

/// A connection with lost redundancy, a record of it, a problem, and a source that fails.
fn trouble() -> StatusJson {
    let mut status = fixture::status();
    status.sources[0].refusals_in_row = 3;
    let problem = Problem::of(Code::StoreFailing, "disk full");
    let problems = [OpenProblem { component: Component::Store, problem }];
    let records = Records::default();
    records.set(&SinkId::new("ops_center"), &status.incidents[0].id, Some("oi-0123456789ab"));
    StatusJson::of(&status, &problems, &records, "0.1.0", "raise", fixture::after(31))
}

#[test]
fn the_page_says_what_is_wrong_why_and_what_to_do_and_shows_both_ends_side_by_side() {
    insta::assert_snapshot!(page(&trouble()), @r"
    DEGRADED: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost since
              2025-11-22T03:12:12Z (and 1 more)
      The store cannot be written to (store): disk full
    Cause: path_to_aws (certain): tunnel 1 of Milan DC, primary
    First: Call the carrier: from this uplink the path to 203.0.113.11 ends at
           198.51.100.9, while other hosts answer.
    milan-1, 2025-11-22T03:12:30Z (bothends 0.1.0, incidents: raise)

    Milan DC, primary (vpn-0123456789abcdef0): cannot tell whether traffic flows,
      routing bgp, redundancy_lost open
      tunnel    role     our end   AWS          both ends
      tunnel 1  active   down 23s  down 18s     down, no packets since 03:12:03Z
        203.0.113.11; carries no traffic; our end: last reply 03:12:03Z; AWS:
          TunnelState 0, 21 s old
        cause: path_to_aws (certain) since 03:12:14Z: AWS's outside address no
               longer answers over the uplink; the uplink's references answer; the
               path ends at hop 4 (198.51.100.9)
      tunnel 2  standby  up 30s    unknown 18s  blind since 03:12:12Z
        203.0.113.12; cannot tell whether it carries traffic; our end: 11.9 ms, loss
          0 %; AWS: not asked

    incidents
      redundancy_lost on Milan DC, primary: open; began 03:12:12Z, opened 03:12:20Z
        record at ops_center: oi-0123456789ab
        03:12:20Z opened
        03:12:25Z 203.0.113.12 aws unknown stale
        03:12:25Z 203.0.113.12 blind (cannot tell)

    problems
      failed: store_failing: store: disk full
        First: `df -h /var/lib/bothends` and `journalctl -k`: free space or fix the
               disk. Writing resumes by itself; do not restart before it does.
      cloudwatch in eu-west-1: the last 3 queries failed; it last answered at
        03:12:12Z
    ");
}

#[test]
fn what_is_shared_what_is_silenced_and_what_is_not_sent_is_shown() {
    insta::assert_snapshot!(page(&json(&fixture::site())), @r"
    DOWN: uplink wan1: outage since 2025-11-22T03:12:12Z, 3 of 4 connections
          affected
    Cause: path_to_aws (certain): tunnel 1 of Milan DC, primary
    First: Call the carrier: from this uplink the path to 203.0.113.11 ends at
           198.51.100.9, while other hosts answer.
    milan-1, 2025-11-22T03:12:30Z (bothends 0.1.0, incidents: raise)

    group hubs: up since 03:12:07Z, 2 connections, silenced (silence 3)
    uplink wan1: DOWN since 03:12:07Z, 2 connections, outage open

    silences
      3: group hubs, until 04:12:00Z, every week (Europe/Rome): change 4711 (added
        by uid 1000)

    Milan DC, primary (vpn-0123456789abcdef0): cannot tell whether traffic flows,
      routing bgp, redundancy_lost open, silenced (silence 3)
      tunnel    role     our end   AWS          both ends
      tunnel 1  active   down 23s  down 18s     down, no packets since 03:12:03Z
        203.0.113.11; carries no traffic; our end: last reply 03:12:03Z; AWS:
          TunnelState 0, 21 s old
        cause: path_to_aws (certain) since 03:12:14Z: AWS's outside address no
               longer answers over the uplink; the uplink's references answer; the
               path ends at hop 4 (198.51.100.9)
      tunnel 2  standby  up 30s    unknown 18s  blind since 03:12:12Z
        203.0.113.12; cannot tell whether it carries traffic; our end: 11.9 ms, loss
          0 %; AWS: not asked

    incidents
      outage on uplink wan1: open; began 03:12:12Z, opened 03:12:20Z
        3 of 4 connections affected: Milan DC, primary outage since 03:12:03Z
          (uplink_down); Paris outage since 03:12:03Z (uplink_down); Rome since
          03:12:03Z (uplink_down)
        03:12:20Z opened
      redundancy_lost on Milan DC, primary: open; began 03:12:12Z, opened 03:12:20Z
        (not sent: explained by uplink wan1)
        03:12:20Z opened
        03:12:25Z 203.0.113.12 aws unknown stale
        03:12:25Z 203.0.113.12 blind (cannot tell)
    ");
}

#[test]
fn no_line_is_longer_than_the_screen_whatever_the_names() {
    let mut status = trouble();
    status.site = "東京".repeat(40);
    for vpn in &mut status.vpns {
        vpn.name = "Milan DC, primary, second floor ".repeat(8);
        for tunnel in &mut vpn.tunnels {
            tunnel.name = "a tunnel with a long name ".repeat(4);
            tunnel.outside_ip = "2001:0db8:1111:2222:3333:4444:5555:6666".to_owned();
            tunnel.assessed_since = "2025-11-20T03:12:12Z".to_owned();
            tunnel.not_passing_since = None;
            tunnel.assessment = "unconfirmed".to_owned();
        }
    }
    for columns in [40, 60, 80, 132] {
        let long: Vec<_> = lines(&status, columns)
            .into_iter()
            .filter(|line| width(line) > columns && line.trim().contains(' '))
            .collect();
        assert!(long.is_empty(), "{columns}: {long:#?}");
    }
    let states =
        lines(&status, 80).into_iter().filter(|line| line.contains("unconfirmed since 11-20 03:12Z"));
    assert_eq!(states.count(), 2, "a state is not cut");
}

#[test]
fn in_a_pipe_the_first_line_is_whole() {
    let mut status = trouble();
    status.vpns[0].name = "Milan | DC ".repeat(20);
    let screen = Screen { width: 80, height: None, painter: PLAIN };
    let lines = render(&status, &summary(&status), screen);
    assert!(
        lines[0].starts_with("DEGRADED: Milan / DC Milan / DC") && lines[0].contains("(and 1 more)"),
        "{}",
        lines[0]
    );
}

#[test]
fn a_colour_is_never_the_only_sign_and_changes_no_word() {
    let status = json(&fixture::site());
    let screen = |on| Screen { width: 80, height: Some(100), painter: Painter { on } };
    let [plain, painted] = [false, true].map(|on| render(&status, &summary(&status), screen(on)).join("\n"));
    assert!(!plain.contains('\x1b'));
    let mut bare = String::new();
    let mut rest = painted.as_str();
    while let Some((before, after)) = rest.split_once("\x1b[") {
        bare.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    bare.push_str(rest);
    assert_eq!(bare, plain);
    assert!(painted.contains("\x1b[1m\x1b[31mDOWN:\x1b[0m uplink wan1"), "{}", painted.escape_debug());
}

#[test]
fn names_cannot_control_the_terminal() {
    let mut status = trouble();
    let hostile = "\x1b]0;owned\x07\u{9b}2J\r\nHEALTHY: all is well\u{202e}";
    status.site = hostile.to_owned();
    status.vpns[0].name = hostile.to_owned();
    status.vpns[0].tunnels[0].name = hostile.to_owned();
    status.vpns[0].tunnels[0].aws.words = Some(hostile.to_owned());
    status.incidents[0].name = hostile.to_owned();
    status.problems[0].text = hostile.to_owned();
    let lines = lines(&status, 80);
    assert!(lines.iter().all(|line| !line.chars().any(crate::cli::layout::is_control)), "{lines:#?}");
    assert!(lines.iter().all(|line| !line.starts_with("HEALTHY")), "{lines:#?}");
}

#[test]
fn a_healthy_site_begins_with_its_counts() {
    let mut status = json(&fixture::status());
    status.ready = true;
    status.incidents.clear();
    status.vpns[0].traffic = "flows".to_owned();
    status.vpns[0].tunnels.remove(0);
    assert!(page(&status).starts_with("HEALTHY: 1 connection, 1 tunnel\n"), "{}", page(&status));
}

#[test]
fn an_incident_that_is_over_was_not_sent_and_an_open_one_is_not() {
    let mut status = trouble();
    status.incidents[0].withheld = Some("uplink/milan-1/wan1".to_owned());
    let line = |status: &StatusJson| {
        lines(status, 200).into_iter().find(|line| line.starts_with("  redundancy_lost on ")).unwrap()
    };
    assert!(line(&status).ends_with(" (not sent: explained by uplink wan1)"), "{}", line(&status));
    (status.incidents[0].state, status.incidents[0].ended) =
        ("resolved".to_owned(), Some("2025-11-22T03:12:29Z".to_owned()));
    let over = line(&status);
    assert!(over.contains(": resolved at 03:12:29Z; "), "{over}");
    assert!(over.ends_with(" (was not sent: explained by uplink wan1)"), "{over}");
}

#[test]
fn many_reasons_many_causes_and_long_stories_are_bounded() {
    let mut status = trouble();
    let (vpn, incident) = (status.vpns[0].clone(), status.incidents[0].clone());
    for n in 0..30 {
        let mut vpn = vpn.clone();
        (vpn.id, vpn.name) = (format!("vpn-{n}"), format!("Site {n}"));
        if let Some(cause) = &mut vpn.tunnels[0].cause {
            cause.do_first = Some(format!("Call carrier {n}."));
        }
        let mut incident = incident.clone();
        incident.vpn = Some(vpn.id.clone());
        let entry = incident.timeline[0].clone();
        incident.timeline = vec![entry; 500];
        status.vpns.push(vpn);
        status.incidents.push(incident);
    }
    let lines = lines(&status, 80);
    let first_table = lines.iter().position(|line| line.starts_with("milan-1, ")).unwrap();
    assert!(first_table < 30, "{:#?}", &lines[..first_table]);
    assert_eq!(lines[..first_table].iter().filter(|line| line.starts_with("Cause:")).count(), CAUSES);
    let left = lines.iter().filter(|line| line.contains("488 earlier entries")).count();
    assert_eq!(left, 30);
}

#[test]
fn a_parent_that_works_and_a_tunnel_that_is_silenced_alone() {
    let mut status = fixture::site();
    status.incidents.clear();
    status.parents.truncate(1);
    let tunnel = Silence { of: SilenceScope::Tunnel(fixture::tunnel(2)), weekly: None, ..fixture::silence() };
    let planned = Silence {
        of: SilenceScope::Site,
        from: fixture::after(86_400).wall,
        until: fixture::after(90_000).wall,
        ..fixture::silence()
    };
    status.silences = [tunnel, planned].into();
    let lines = lines(&json(&status), 160);
    let about: Vec<_> = lines
        .iter()
        .filter(|line| ["silence", "change", "hubs"].iter().any(|word| line.contains(word)))
        .cloned()
        .collect();
    insta::assert_snapshot!(about.join("\n"), @r"
    silences
      3: tunnel Milan DC, primary, tunnel 2, until 04:12:00Z: change 4711 (added by uid 1000)
      3: the whole site, planned, 2025-11-23T03:12:00Z to 2025-11-23T04:12:00Z, every week (Europe/Rome): change 4711 (added by uid 1000)
        silenced (silence 3)
    ");
}

#[test]
fn a_tunnel_that_is_down_because_nothing_can_be_sent_says_so() {
    let status = json(&fixture::status());
    let [mut down, mut up] = [0, 1].map(|tunnel| status.vpns[0].tunnels[tunnel].local.clone());
    let words = [Loss::NoPath, Loss::Blocked, Loss::Timeout].map(|loss| {
        down.evidence.last_loss = Some(loss.as_str().to_owned());
        local_words(&down, &status.at)
    });
    // The words of the incident's summary and the runbook.
    for (said, words) in words.iter().zip([
        "nothing can be sent: no route, address or interface, ",
        "the kernel refuses to send: IPsec policy or firewall, ",
        "",
    ]) {
        assert_eq!(*said, format!("{words}last reply 03:12:03Z"));
    }
    up.evidence.last_loss = Some(Loss::NoPath.as_str().to_owned());
    assert_eq!(local_words(&up, &status.at), "11.9 ms, loss 0 %");
}

#[test]
fn a_tunnel_whose_endpoint_is_to_be_replaced_has_a_line_of_its_own() {
    use crate::domain::maintenance::{Maintenance, MaintenanceState};
    let known = |pending, seconds| MaintenanceState::Known {
        maintenance: Maintenance { pending, applied_after: seconds, last_applied: None },
        as_of: fixture::after(20).wall,
    };
    let said = |state| {
        let mut status = fixture::status();
        status.vpns[0].tunnels[0].maintenance = state;
        let lines = lines(&json(&status), 160);
        let lines = lines.into_iter().filter(|line| line.contains("endpoint") && line.starts_with("    "));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let soon = Some(fixture::after(3600).wall);
    let later = Some(fixture::after(5 * 86_400).wall);
    let all = [
        MaintenanceState::NotAsked,
        MaintenanceState::Denied,
        known(false, soon),
        known(true, soon),
        known(true, later),
        known(true, None),
    ];
    insta::assert_snapshot!(all.map(said).concat(), @r"
    whether AWS will replace its endpoint is unknown: the permission ec2:GetVpnTunnelReplacementStatus is missing
    AWS replaces its endpoint soon after 04:12:00Z, unless you apply the maintenance before
    AWS replaces its endpoint soon after 2025-11-27T03:12:00Z, unless you apply the maintenance before
    AWS has announced a replacement of its endpoint, without a date
    ");
}
