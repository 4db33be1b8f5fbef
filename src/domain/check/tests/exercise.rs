//! What is first needed in doubt is tried in peace, and says nothing of the tunnel.

use super::*;

/// The client that the check goes on with.
fn in_use(rig: &Rig) -> ClientId {
    *rig.clients.last().unwrap()
}

#[test]
fn in_peace_a_fresh_client_is_tried_every_ten_minutes_and_closed_again() {
    let mut rig = Rig::calm();
    let own = in_use(&rig);
    assert_eq!(rig.check.fresh_client(), Fresh::Untried);
    rig.run(100 * SECOND, |_, _| Fate::Reply(millis(20)));
    assert_eq!(rig.check.fresh_client(), Fresh::Works);
    rig.clients.clear();
    rig.run(3600 * SECOND, |_, _| Fate::Reply(millis(20)));
    let others: Vec<_> = rig.clients.iter().filter(|client| **client != own).collect();
    assert_eq!(others.len(), 6, "{others:?}");
    assert!(rig.check.clients.all().eq([own]), "none of them stays");
}

#[test]
fn its_outcome_is_no_evidence_on_the_tunnel_and_a_failed_try_is_repeated_soon() {
    let no_memory = AskFailure::Fault(Fault::NoMemory);
    for (fate, expected) in [
        (Fate::Lost, Fresh::Unanswered),
        (Fate::Vanishes, Fresh::Unanswered),
        (Fate::Fails(no_memory), Fresh::Fails(no_memory)),
    ] {
        let mut rig = Rig::calm();
        let own = in_use(&rig);
        let line = |_, client| if client == own { Fate::Reply(millis(20)) } else { fate };
        rig.outcomes.clear();
        rig.run(300 * SECOND, line);
        assert_eq!(rig.check.fresh_client(), expected);
        assert_eq!(rig.check.verdict(), Verdict::Up);
        assert!(!rig.check.is_suspect());
        // It is counted all the same: two or three tries in five minutes.
        let others = rig.outcomes.iter().filter(|outcome| !matches!(outcome, Outcome::Reply { .. }));
        assert!((2..=4).contains(&others.count()), "{expected:?}");
        rig.run(100 * SECOND, |_, _| Fate::Reply(millis(20)));
        assert_eq!(rig.check.fresh_client(), Fresh::Works);
    }
}

#[test]
fn a_tunnel_that_breaks_meanwhile_does_not_blame_the_client() {
    let mut rig = Rig::calm();
    rig.run(100 * SECOND, |_, _| Fate::Reply(millis(20)));
    rig.run(3600 * SECOND, |_, _| Fate::Lost);
    assert_eq!(rig.check.verdict(), Verdict::Down);
    assert_eq!(rig.check.fresh_client(), Fresh::Works);
}
