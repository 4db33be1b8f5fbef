//! What people read as an incident goes on, clears and ends.

use super::*;

/// The story goes on: what an end says of a tunnel, or both.
fn goes_on(incident: &mut Incident, secs: u64, changes: impl IntoIterator<Item = TimelineChange>) {
    for what in changes {
        let seq = u32::try_from(incident.timeline.len()).unwrap();
        incident.timeline.push(TimelineEntry { seq, at: after(secs).wall, what, repeats: 0 });
    }
}

fn said(last: u8, end: End, verdict: Verdict, secs: u64) -> TimelineChange {
    TimelineChange::View {
        tunnel: TunnelId { vpn: VpnId::new(VPN), outside_ip: address(last) },
        name: format!("tunnel {}", last - 10).into(),
        end,
        verdict,
        as_of: (end == End::Aws).then_some(after(secs).wall),
    }
}

fn judged(last: u8, assessment: Assessment, carrying: Carrying) -> TimelineChange {
    let tunnel = TunnelId { vpn: VpnId::new(VPN), outside_ip: address(last) };
    TimelineChange::Assessment { tunnel, name: format!("tunnel {}", last - 10).into(), assessment, carrying }
}

/// A tunnel comes back: first our end says so, then AWS.
fn comes_back(incident: &mut Incident, last: u8, secs: u64) {
    let here = said(last, End::Local, Verdict::Up, secs);
    let doubt = judged(last, Assessment::Disputed(End::Aws), Carrying::CannotTell(CannotTell::Disputed));
    goes_on(incident, secs, [here, doubt]);
    let there = said(last, End::Aws, Verdict::Up, secs + 40);
    goes_on(incident, secs + 40, [there, judged(last, Assessment::Healthy, Carrying::Carrying)]);
}

#[test]
fn between_our_end_up_and_aws_up_nothing_is_claimed_and_the_beginning_stays_the_last_reply() {
    let mut one = incident(Kind::Outage, vec![agreed(11), agreed(12)]);
    for last in [11, 12] {
        let doubt = judged(last, Assessment::Disputed(End::Aws), Carrying::CannotTell(CannotTell::Disputed));
        goes_on(&mut one, 1_400, [said(last, End::Local, Verdict::Up, 1_400), doubt]);
    }
    insta::assert_snapshot!(mail(&one), @r#"
    SMS: OUTAGE milan-1, Milan DC, primary (vpn-0123456789abcdef0). Traffic: not known. Went down 2026-11-22 11:59:29 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage

    Went down at 2026-11-22 11:59:29 UTC (the last reply). Whether it is over is not certain yet.
    It is not known whether traffic flows. tunnel 1 (203.0.113.11): this site says up, AWS says down; tunnel 2 (203.0.113.12): this site says up, AWS says down.

    tunnel 1 (203.0.113.11): AWS says down, this site says up
      this site: up, probes are answered
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS DOWN" at 2026-11-22 11:59:40 UTC)
    tunnel 2 (203.0.113.12): AWS says down, this site says up
      this site: up, probes are answered
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS DOWN" at 2026-11-22 11:59:40 UTC)

    Likely: recovering, perhaps. The two ends no longer agree that it is down, and do not agree yet that it is up.

    Do first:
    1. `bothends status` on this gateway: what do both ends say now?
    2. AWS: open the connection in the console (Tunnel details). The console may lag by minutes.
    3. Change nothing that works. If it goes down again, this record says so.

    Runbook: https://wiki.example.com/vpn
    Notes: Circuit 4711 of Telco, +39 02 555 0100.

    Sent by bothends 0.1.0 at site milan-1.
    VPN connection in the AWS console: https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0123456789abcdef0
    "#);
}

#[test]
fn an_outage_that_clears_is_recovering_and_asks_for_nothing_now() {
    let mut one = incident(Kind::Outage, vec![agreed(11), agreed(12)]);
    comes_back(&mut one, 11, 1_400);
    goes_on(&mut one, 1_440, [TimelineChange::Clearing]);
    insta::assert_snapshot!(mail(&one), @r#"
    SMS: OUTAGE milan-1, Milan DC, primary (vpn-0123456789abcdef0). Recovering: traffic flows again. Went down 2026-11-22 11:59:29 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage — recovering

    Went down at 2026-11-22 11:59:29 UTC (the last reply). Recovering since 2026-11-22 12:24:00 UTC.
    Traffic flows again, over tunnel 1 (203.0.113.11).

    tunnel 1 (203.0.113.11): up at both ends
      this site: up, probes are answered
      AWS: up since 2026-11-22 12:24:00 UTC or earlier
    tunnel 2 (203.0.113.12): down at both ends
      this site: down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS DOWN" at 2026-11-22 11:59:40 UTC)

    Likely: recovering. This record is resolved by itself if it stays up.

    Do first:
    1. Wait, and change nothing while it settles. If it goes down again, this record says so.
    2. Find the cause afterwards: `journalctl --since "2026-11-22 11:59:29 UTC"` on this gateway, IPsec's lines first.

    Runbook: https://wiki.example.com/vpn
    Notes: Circuit 4711 of Telco, +39 02 555 0100.

    Sent by bothends 0.1.0 at site milan-1.
    VPN connection in the AWS console: https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0123456789abcdef0
    "#);
    comes_back(&mut one, 12, 1_450);
    insta::assert_snapshot!(Account::new(&one, &settings()).markdown(8000).split("\nSent by").next().unwrap(), @r#"
    **[milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage — recovering**

    Went down at 2026-11-22 11:59:29 UTC (the last reply). Recovering since 2026-11-22 12:24:00 UTC.

    **Traffic flows again, over tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12).**

    - **tunnel 1 (203.0.113.11)**: up at both ends
      - this site: up, probes are answered
      - AWS: up since 2026-11-22 12:24:00 UTC or earlier
    - **tunnel 2 (203.0.113.12)**: up at both ends
      - this site: up, probes are answered
      - AWS: up since 2026-11-22 12:24:50 UTC or earlier

    **Likely:** recovering. This record is resolved by itself if it stays up.

    **Do first:**

    1. Wait, and change nothing while it settles. If it goes down again, this record says so.
    2. Find the cause afterwards: `journalctl --since "2026-11-22 11:59:29 UTC"` on this gateway, IPsec's lines first.

    **Runbook:** https://wiki.example.com/vpn

    **Notes:** Circuit 4711 of Telco, +39 02 555 0100.
    "#);
    // It was not over after all.
    let down = judged(11, Assessment::Down, Carrying::of(Assessment::Down));
    goes_on(
        &mut one,
        1_600,
        [judged(12, Assessment::Down, Carrying::of(Assessment::Down)), down, TimelineChange::Reopened],
    );
    let account = Account::new(&one, &settings());
    assert!(
        account.since.starts_with("Down since 2026-11-22 11:59:29 UTC (the last reply)"),
        "{}",
        account.since
    );
    assert!(account.traffic.starts_with("No traffic flows"), "{}", account.traffic);
}

#[test]
fn every_kind_that_clears_says_so() {
    let here = tunnel(11, TIMED_OUT, AWS_UP, Assessment::Disputed(End::Local));
    let there = tunnel(11, ANSWERED, IPSEC_DOWN, Assessment::Disputed(End::Aws));
    let mut said = String::new();
    for (kind, tunnels) in [
        (Kind::RedundancyLost, vec![agreed(11), healthy(12)]),
        (Kind::OneSided, vec![here]),
        (Kind::OneSided, vec![there]),
        (Kind::Outage, vec![bgp_down(11)]),
    ] {
        let mut one = incident(kind, tunnels);
        comes_back(&mut one, 11, 1_400);
        let Account { title, short, since, traffic, likely, steps, .. } = Account::new(&one, &settings());
        let likely = likely.unwrap();
        said.push_str(&format!("{title}\n{short}\n{since}\n{traffic}\n{likely}\n{}\n\n", steps.join("\n")));
    }
    insta::assert_snapshot!(said, @r#"
    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): redundancy lost — recovering
    REDUNDANCY LOST milan-1, Milan DC, primary (vpn-0123456789abcdef0). Recovering: traffic still flows. Went down 2026-11-22 11:59:29 UTC
    Went down at 2026-11-22 11:59:29 UTC (the last reply). Recovering.
    Traffic still flows, over tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12).
    recovering. This record is resolved by itself if it stays up.
    Wait, and change nothing while it settles. If it goes down again, this record says so.
    Find the cause afterwards: `journalctl --since "2026-11-22 11:59:29 UTC"` on this gateway, IPsec's lines first.

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): one-sided — recovering
    ONE-SIDED milan-1, Milan DC, primary (vpn-0123456789abcdef0). Recovering: traffic still flows. Went down 2026-11-22 11:59:29 UTC
    Went down at 2026-11-22 11:59:29 UTC (the last reply). Recovering.
    Traffic still flows, over tunnel 1 (203.0.113.11).
    recovering. This record is resolved by itself if it stays up.
    Wait, and change nothing while it settles. If it goes down again, this record says so.
    Find the cause afterwards: `journalctl --since "2026-11-22 11:59:29 UTC"` on this gateway, IPsec's lines first.

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): one-sided — recovering
    ONE-SIDED milan-1, Milan DC, primary (vpn-0123456789abcdef0). Recovering: traffic still flows. Went down 2026-11-22 11:59:15 UTC
    Went down at 2026-11-22 11:59:15 UTC (as AWS reports). Recovering.
    Traffic still flows, over tunnel 1 (203.0.113.11).
    recovering. This record is resolved by itself if it stays up.
    Wait, and change nothing while it settles. If it goes down again, this record says so.
    Find the cause afterwards: `journalctl --since "2026-11-22 11:59:15 UTC"` on this gateway, IPsec's lines first.

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage — recovering
    OUTAGE milan-1, Milan DC, primary (vpn-0123456789abcdef0). Recovering: traffic flows again. Went down 2026-11-22 11:59:15 UTC
    BGP went down at 2026-11-22 11:59:15 UTC. Recovering.
    Traffic flows again, over tunnel 1 (203.0.113.11).
    recovering. This record is resolved by itself if it stays up.
    Wait, and change nothing while it settles. If it goes down again, this record says so.
    Find the cause afterwards: `journalctl --since "2026-11-22 11:59:15 UTC"` on this gateway, IPsec's lines first.
    "#);
}

#[test]
fn a_tunnel_that_is_dead_beside_one_without_bgp_has_both_named() {
    insta::assert_snapshot!(mail(&incident(Kind::Outage, vec![bgp_down(11), agreed(12)])), @r#"
    SMS: OUTAGE milan-1, Milan DC, primary (vpn-0123456789abcdef0). tunnel 2 down, BGP down on tunnel 1. No traffic flows. Since 2026-11-22 11:59:29 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage — tunnel 2 (203.0.113.12) down, BGP down on tunnel 1 (203.0.113.11)

    Down since 2026-11-22 11:59:29 UTC (the last reply).
    No traffic flows: no tunnel of this connection works.

    tunnel 1 (203.0.113.11): BGP is down, although IPsec works: nothing flows over it
      this site: up, probes are answered
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS UP" at 2026-11-22 11:59:40 UTC)
    tunnel 2 (203.0.113.12): down at both ends
      this site: down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS DOWN" at 2026-11-22 11:59:40 UTC)

    Likely: two faults, or one that shows in two ways: one tunnel is down at both ends, and over another IPsec works and BGP does not.

    Do first:
    1. IPsec: `swanctl --list-sas`. No IKE SA to 203.0.113.12: start it (`swanctl --initiate --child NAME`) and read `journalctl -t charon -t charon-systemd -n 50`.
    2. BGP over the tunnel to 203.0.113.11: `birdc show protocols` or `vtysh -c 'show bgp summary'`. Is the session to 169.254.11.1 established? If not, what is its last error?
    3. AWS: open the connection in the console (Tunnel details), and the AWS Health Dashboard of the Region.

    Runbook: https://wiki.example.com/vpn
    Notes: Circuit 4711 of Telco, +39 02 555 0100.

    Sent by bothends 0.1.0 at site milan-1.
    VPN connection in the AWS console: https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0123456789abcdef0
    "#);
}

#[test]
fn the_steps_name_the_tunnel_that_has_worked_here() {
    let never = |last| {
        let unknown = (Verdict::Unknown(Why::NeverAnswered), None);
        tunnel(last, unknown, IPSEC_DOWN, Assessment::Unconfirmed(End::Aws))
    };
    let account = Account::new(&incident(Kind::Outage, vec![never(11), agreed(12)]), &settings());
    assert!(account.steps[1].contains("203.0.113.12"), "{:?}", account.steps);
    assert!(!account.steps.join(" ").contains("203.0.113.11"), "{:?}", account.steps);
    // And the one that shows what they are about.
    let no_path = tunnel(12, (Verdict::Down, Some(Loss::NoPath)), IPSEC_DOWN, Assessment::Down);
    let account = Account::new(&incident(Kind::Outage, vec![agreed(11), no_path]), &settings());
    assert!(account.steps[0].contains("169.254.12.2"), "{:?}", account.steps);
}

#[test]
fn one_sided_names_only_the_tunnels_that_this_end_alone_calls_down() {
    let never = tunnel(
        12,
        (Verdict::Unknown(Why::NeverAnswered), None),
        IPSEC_DOWN,
        Assessment::Unconfirmed(End::Aws),
    );
    let standby = TunnelSnapshot { role: Role::Standby, ..agreed(12) };
    for other in [never, standby] {
        let here = tunnel(11, TIMED_OUT, AWS_UP, Assessment::Disputed(End::Local));
        let account = Account::new(&incident(Kind::OneSided, vec![here, other]), &settings());
        assert!(
            account.title.ends_with("only this site says that tunnel 1 (203.0.113.11) is down"),
            "{}",
            account.title
        );
        assert!(
            account.short.contains("Only this site says tunnel 1 down. No traffic flows, as seen from here."),
            "{}",
            account.short
        );
        assert!(
            account.short.len() <= 160 && account.short.ends_with("Since 2026-11-22 11:59:29 UTC"),
            "{}",
            account.short
        );
        assert!(account.likely.as_ref().unwrap().starts_with("this side"), "{:?}", account.likely);
    }
}

#[test]
fn the_beginning_is_called_what_it_was_taken_from() {
    let since = |change: fn(&mut LocalEvidence)| {
        let mut one = agreed(11);
        if let Evidence::Local(evidence) = &mut one.local.evidence {
            change(evidence);
        }
        Account::new(&incident(Kind::Outage, vec![one]), &settings()).since
    };
    let first_loss = |evidence: &mut LocalEvidence| {
        evidence.first_loss = evidence.stopped;
        evidence.last_reply = None;
    };
    assert_eq!(since(|_| ()), "Down since 2026-11-22 11:59:29 UTC (the last reply).");
    assert_eq!(since(first_loss), "Down since 2026-11-22 11:59:29 UTC (the first lost probe).");
    assert_eq!(since(|evidence| evidence.stopped = None), "Down since 2026-11-22 11:59:32 UTC.");
}

#[test]
fn evidence_stays_while_its_verdict_does_and_is_dated() {
    let mut down = agreed(11);
    if let Evidence::Aws(evidence) = &mut down.aws.evidence {
        evidence.changed = Some(before(25).wall);
    }
    let mut one = incident(Kind::Outage, vec![down]);
    let ends = |one: &Incident| {
        let ends = Account::new(one, &settings()).ends.remove(0);
        format!("{}\n{}\n", ends.site, ends.aws)
    };
    let mut texts = ends(&one);
    // After a restart both ends say the same anew.
    goes_on(
        &mut one,
        600,
        [said(11, End::Local, Verdict::Down, 600), said(11, End::Aws, Verdict::Down, 600)],
    );
    assert_eq!(ends(&one), texts);
    // For a while nothing was known.
    let unknown = Verdict::Unknown(Why::Stale);
    goes_on(&mut one, 700, [said(11, End::Local, unknown, 700), said(11, End::Aws, unknown, 700)]);
    texts += &ends(&one);
    goes_on(
        &mut one,
        800,
        [said(11, End::Local, Verdict::Down, 800), said(11, End::Aws, Verdict::Down, 800)],
    );
    texts += &ends(&one);
    // What was before an Up is of another time.
    for verdict in [Verdict::Up, Verdict::Down] {
        goes_on(&mut one, 900, [said(11, End::Local, verdict, 900), said(11, End::Aws, verdict, 900)]);
        texts += &ends(&one);
    }
    insta::assert_snapshot!(texts, @r#"
    down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
    down since 2026-11-22 11:59:35 UTC ("DOWN, IPSEC IS DOWN" at 2026-11-22 11:59:40 UTC)
    cannot tell: AWS's data is too old
    cannot tell: AWS's data is too old
    down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
    down since 2026-11-22 12:13:20 UTC or earlier
    up, probes are answered
    up since 2026-11-22 12:15:00 UTC or earlier
    down
    down since 2026-11-22 12:15:00 UTC or earlier
    "#);
}

#[test]
fn an_incident_that_follows_another_names_it_in_every_text() {
    let mut one = incident(Kind::Outage, vec![agreed(11), agreed(12)]);
    let opened = before(3600).wall;
    one.related = Some(IncidentId { scope: VpnId::new(VPN).into(), kind: Kind::RedundancyLost, opened });
    one.name = "Milan".into();
    let account = Account::new(&one, &settings());
    let follows = "Follows redundancy lost, opened 2026-11-22 11:00:00 UTC.";
    for text in [&account.plain(&[]), &account.markdown(8000), &account.since] {
        assert!(text.contains(follows), "{text}");
    }
    assert!(account.short.len() <= 160);
    one.name = "HQ".into();
    one.tunnels.pop();
    let short = Account::new(&one, &settings()).short;
    assert!(short.ends_with(". Follows redundancy lost"), "{short}");
}

#[test]
fn what_is_over_says_how_long_it_lasted_and_asks_for_nothing() {
    let mut over = incident(Kind::Outage, vec![agreed(11), agreed(12)]);
    over.state = IncidentState::Resolved { at: after(1_500).wall };
    for last in [11, 12] {
        let id = TunnelId { vpn: VpnId::new(VPN), outside_ip: address(last) };
        let name: Arc<str> = format!("tunnel {}", last - 10).into();
        let view = |end| TimelineChange::View {
            tunnel: id.clone(),
            name: name.clone(),
            end,
            verdict: Verdict::Up,
            as_of: (end == End::Aws).then_some(after(1_400).wall),
        };
        let healthy = TimelineChange::Assessment {
            tunnel: id.clone(),
            name: name.clone(),
            assessment: Assessment::Healthy,
            carrying: Carrying::Carrying,
        };
        for what in [view(End::Local), view(End::Aws), healthy] {
            let seq = u32::try_from(over.timeline.len()).unwrap();
            over.timeline.push(TimelineEntry { seq, at: after(1_400).wall, what, repeats: 0 });
        }
    }
    insta::assert_snapshot!(mail(&over), @"
    SMS: OVER: OUTAGE milan-1, Milan DC, primary (vpn-0123456789abcdef0). From 2026-11-22 11:59:29 to 2026-11-22 12:25:00 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage

    Over. From 2026-11-22 11:59:29 UTC to 2026-11-22 12:25:00 UTC (25 min 31 s). Resolved by bothends.
    Traffic flows again, over tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12).

    tunnel 1 (203.0.113.11): up at both ends
      this site: up, probes are answered
      AWS: up since 2026-11-22 12:23:20 UTC or earlier
    tunnel 2 (203.0.113.12): up at both ends
      this site: up, probes are answered
      AWS: up since 2026-11-22 12:23:20 UTC or earlier

    Runbook: https://wiki.example.com/vpn
    Notes: Circuit 4711 of Telco, +39 02 555 0100.

    Sent by bothends 0.1.0 at site milan-1.
    VPN connection in the AWS console: https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0123456789abcdef0
    ");
}

#[test]
fn a_record_that_was_only_found_claims_nothing() {
    let mut found = incident(Kind::Outage, vec![healthy(11), healthy(12)]);
    found.found_at = Some(SinkId::new("incident_manager"));
    insta::assert_snapshot!(mail(&found), @r#"
    SMS: OUTAGE milan-1, Milan DC, primary (vpn-0123456789abcdef0). Traffic flows. Its record was opened 2026-11-22 12:00:00 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage

    Its record was opened on 2026-11-22 12:00:00 UTC.
    Traffic flows, over tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12).

    tunnel 1 (203.0.113.11): up at both ends
      this site: up, probes are answered
      AWS: up since 2026-11-21 12:00:00 UTC ("UP, 2 BGP ROUTES" at 2026-11-22 11:59:40 UTC)
    tunnel 2 (203.0.113.12): up at both ends
      this site: up, probes are answered
      AWS: up since 2026-11-21 12:00:00 UTC ("UP, 2 BGP ROUTES" at 2026-11-22 11:59:40 UTC)

    Likely: not known. This site found the record open, and has not seen the fault for itself.

    Do first:
    1. `bothends status` on this gateway: what do both ends say now?
    2. Read the earlier entries of the record's timeline: the site that opened it saw more.
    3. AWS: open the connection in the console (Tunnel details).

    Runbook: https://wiki.example.com/vpn
    Notes: Circuit 4711 of Telco, +39 02 555 0100.

    Sent by bothends 0.1.0 at site milan-1.
    VPN connection in the AWS console: https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0123456789abcdef0
    "#);
}

#[test]
fn a_degraded_tunnel_that_is_good_again_and_one_that_went_down() {
    let incident = incident(Kind::Degraded, vec![slow(11), healthy(12)]);
    let with = |changes: &[TimelineChange]| {
        let mut story = crate::domain::story::Story::resume(Arc::new(incident.clone()));
        if changes.contains(&TimelineChange::Resolved) {
            story.set_state(IncidentState::Resolved { at: after(60).wall });
        }
        changes.iter().for_each(|change| story.add(change.clone(), after(60).wall));
        Account::new(story.incident(), &settings())
    };
    let (tunnel, name) = (incident.tunnels[0].id.clone(), Arc::clone(&incident.tunnels[0].name));
    let turned =
        |quality| TimelineChange::Quality { tunnel: tunnel.clone(), name: Arc::clone(&name), quality };
    let good = with(&[turned(Quality::Good), TimelineChange::Clearing]);
    let unknown = with(&[turned(Quality::Unknown)]);
    let over = with(&[turned(Quality::Good), TimelineChange::Clearing, TimelineChange::Resolved]);
    let lines = [good, unknown, over]
        .map(|it| format!("{}\n{}\n{}\n{}", it.title, it.short, it.since, it.likely.unwrap_or_default()));
    insta::assert_snapshot!(lines.join("\n\n"), @r"
    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): degraded — recovering
    DEGRADED milan-1, Milan DC, primary (vpn-0123456789abcdef0). Recovering. Traffic still flows. Degraded since 2026-11-22 11:55:00 UTC
    Was degraded from 2026-11-22 11:55:00 UTC on. Recovering since 2026-11-22 12:01:00 UTC.
    recovering. This record is resolved by itself if it stays up.

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): degraded
    DEGRADED milan-1, Milan DC, primary (vpn-0123456789abcdef0). Traffic still flows. Degraded since 2026-11-22 11:55:00 UTC
    Was degraded from 2026-11-22 11:55:00 UTC on. Whether it is over is not certain yet.
    not known at present. A tunnel that was degraded is not up now, so its quality cannot be measured.

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): degraded
    OVER: DEGRADED milan-1, Milan DC, primary (vpn-0123456789abcdef0). From 2026-11-22 11:55:00 to 2026-11-22 12:01:00 UTC
    Over. From 2026-11-22 11:55:00 UTC to 2026-11-22 12:01:00 UTC (6 min). Resolved by bothends.
    ");
}
