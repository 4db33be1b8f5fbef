//! How often a page is rendered, and when news are sent.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::domain::verdict::LocalEvidence;
use crate::fixture;

struct World {
    pages: Arc<StatusPages>,
    status: watch::Sender<Arc<Status>>,
    problems: watch::Sender<ShownProblems>,
    reads: Arc<AtomicUsize>,
    noticing: tokio::task::JoinHandle<()>,
    _about: watch::Sender<About>,
    _links: watch::Sender<Arc<Links>>,
}

fn world(now: fn() -> Now) -> World {
    let (status, status_in) = watch::channel(Arc::new(fixture::status()));
    let (problems, problems_in) = watch::channel(ShownProblems::default());
    let (about, about_in) = watch::channel(About { version: "0.1.0", mode: "raise" });
    let (links, links_in) = watch::channel(Arc::default());
    let sources = PageSources {
        status: status_in,
        problems: problems_in,
        records: Records::default(),
        about: about_in,
        links: links_in,
        now,
    };
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    let history = move |_| -> BoxFuture<'static, Result<Vec<_>, String>> {
        counted.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(Vec::new()) })
    };
    let (pages, noticing) = StatusPages::new(sources, Arc::new(history));
    World { pages, status, problems, reads, noticing: tokio::spawn(noticing), _about: about, _links: links }
}

fn at() -> Now {
    fixture::after(31)
}

/// Lets the task that notices changes look at them.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

fn html(rendered: Rendered) -> Bytes {
    match rendered {
        Rendered::Page(html) => html,
        Rendered::Unknown | Rendered::Failed(_) => panic!("{rendered:?}"),
    }
}

#[tokio::test]
async fn all_who_look_at_once_get_one_rendering_and_a_change_makes_another() {
    let world = world(at);
    settle().await;
    let first = html(world.pages.render(Subject::Site).await);
    for _ in 0..100 {
        let again = html(world.pages.render(Subject::Site).await);
        assert_eq!(again.as_ptr(), first.as_ptr(), "the same bytes");
    }
    assert_eq!(world.reads.load(Ordering::Relaxed), 2, "changes and minutes");
    let mut changed = fixture::status();
    changed.vpns[0].name = "Rome".into();
    world.status.send_replace(Arc::new(changed));
    settle().await;
    let second = html(world.pages.render(Subject::Site).await);
    assert!(String::from_utf8_lossy(&second).contains("Rome"));
    assert_eq!(world.reads.load(Ordering::Relaxed), 2, "the past has not changed");
}

#[tokio::test]
async fn a_connection_has_its_page_and_an_unknown_one_has_none() {
    let world = world(at);
    let id = fixture::vpn().to_string();
    assert!(matches!(world.pages.render(Subject::Vpn(id)).await, Rendered::Page(_)));
    for unknown in ["vpn-0b", "", "../status", "<script>"] {
        assert_eq!(world.pages.render(Subject::Vpn(unknown.to_owned())).await, Rendered::Unknown);
    }
}

#[tokio::test(start_paused = true)]
async fn what_changes_with_every_echo_is_no_news() {
    let world = world(at);
    let mut versions = world.pages.versions();
    settle().await;
    versions.mark_unchanged();
    for reply in 0..20 {
        let mut status = fixture::status();
        status.at = fixture::after(30 + reply);
        let evidence = LocalEvidence { last_reply: Some(fixture::after(reply)), ..LocalEvidence::default() };
        status.vpns[0].tunnels[1].local.evidence = Evidence::Local(evidence);
        world.status.send_replace(Arc::new(status));
        settle().await;
    }
    assert!(!versions.has_changed().unwrap());
}

#[tokio::test(start_paused = true)]
async fn every_change_that_a_page_shows_is_news_and_at_most_one_a_second() {
    let world = world(at);
    let mut versions = world.pages.versions();
    settle().await;
    let changes: [fn(&mut Status); 5] = [
        |status| status.vpns[0].tunnels[0].assessed_since = fixture::after(13),
        |status| status.vpns[0].tunnels[0].diagnosis = None,
        |status| status.incidents.clear(),
        |status| status.silences = [fixture::silence()].into(),
        |status| *status = fixture::site(),
    ];
    for change in changes {
        versions.mark_unchanged();
        world.status.send_modify(|status| change(Arc::make_mut(status)));
        settle().await;
        assert!(versions.has_changed().unwrap());
        versions.mark_unchanged();
        world.status.send_modify(|status| Arc::make_mut(status).site = "other".into());
        settle().await;
        assert!(!versions.has_changed().unwrap(), "within the same second");
        time::sleep(CHANGES_EVERY).await;
        settle().await;
        world.status.send_modify(|status| Arc::make_mut(status).site = "milan-1".into());
        time::sleep(CHANGES_EVERY * 2).await;
        settle().await;
    }
    versions.mark_unchanged();
    let open = OpenProblem {
        component: crate::health::Component::Clock,
        problem: crate::health::Problem::of(crate::health::Code::ClockOff, "it is off"),
    };
    world.problems.send_replace(Arc::new(vec![open]));
    settle().await;
    assert!(versions.has_changed().unwrap());
}

#[tokio::test]
async fn with_the_driver_the_news_end() {
    let world = world(at);
    let mut versions = world.pages.versions();
    drop(world.status);
    world.noticing.await.unwrap();
    versions.mark_unchanged();
    assert!(versions.changed().await.is_err());
}
