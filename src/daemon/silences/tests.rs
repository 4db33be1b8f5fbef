//! The list by the core's clock, with zones that go and come back, and with a store that is read late.

use std::path::Path;

use jiff::tz::TimeZone;
use tokio::sync::oneshot;

use super::*;
use crate::settings::StoreSettings;
use crate::silences::tests::{at, plan};
use crate::silences::{NewSilence, Target, Until};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// The core's date, far from this host's.
const DATE: &str = "2031-05-01T12:00:00Z";

/// The core, as the task sees it.
struct Core {
    status: watch::Sender<Arc<Status>>,
    events: mpsc::Receiver<Event>,
    late: mpsc::UnboundedSender<Silences>,
    _directory: tempfile::TempDir,
}

impl Core {
    /// The core's date is this one from now on.
    fn date(&self, date: Stamp, is_date_confirmed: bool) {
        let at = Now { mono: clock::now().mono, wall: date };
        self.status.send_replace(Arc::new(Status { at, is_date_confirmed, ..Status::default() }));
    }

    /// What it has been given last.
    fn silences(&mut self) -> Arc<[Silence]> {
        let mut last = Arc::default();
        while let Ok(event) = self.events.try_recv() {
            let Event::Silences(silences) = event else { panic!("{event:?}") };
            last = silences;
        }
        last
    }
}

fn store(directory: &Path) -> Store {
    let path = directory.join("bothends.db");
    let settings = StoreSettings { path, max_size: 1 << 24, keep: 30 * 24 * HOUR, spool: false };
    Store::open(&settings, Health::default(), clock::now()).unwrap().store
}

fn keeper(list: Silences) -> (Keeper, Core) {
    let directory = tempfile::tempdir().unwrap();
    let (events, events_in) = mpsc::channel(64);
    let (late, late_in) = mpsc::unbounded_channel();
    let at = Now { mono: clock::now().mono, wall: at(DATE) };
    let first = Arc::new(Status { at, is_date_confirmed: true, ..Status::default() });
    let (status, status_in) = watch::channel(first);
    let keeper = Keeper {
        list,
        sent: Arc::default(),
        begun: BTreeMap::new(),
        ended: BTreeSet::new(),
        late: late_in,
        dated: at,
        zones: berlin,
        stated: None,
        status: status_in,
        health: Health::default(),
        plan: watch::channel(Arc::new(plan())).1,
        store: store(directory.path()),
        events,
    };
    (keeper, Core { status, events: events_in, late, _directory: directory })
}

fn berlin(_name: &str) -> Option<TimeZone> {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").ok()
}

fn nowhere(_name: &str) -> Option<TimeZone> {
    None
}

/// The site's, for ten minutes from now on.
fn for_ten_minutes() -> SilenceQuestion {
    let wanted = NewSilence {
        targets: vec![Target::Site],
        from: None,
        until: Until::After(600 * SECOND),
        weekly: None,
        reason: "the line moves".into(),
    };
    SilenceQuestion::Add { wanted, by: 0 }
}

fn silence(id: u32, from: &str, until: &str, weekly: Option<&str>) -> Silence {
    Silence {
        id: SilenceId(id),
        of: SilenceScope::Site,
        from: at(from),
        until: at(until),
        weekly: weekly.map(Into::into),
        reason: "nightly work".into(),
        by: 0,
        added: at("2031-01-01T00:00:00Z"),
        from_now: Default::default(),
    }
}

async fn listed(keeper: &mut Keeper) -> Vec<SilenceJson> {
    let answer = keeper.answer(SilenceQuestion::List).await;
    let SilenceAnswer::Listed { silences } = answer else { panic!("{answer:?}") };
    silences
}

/// Whether it is in force from now on, for about ten minutes of the core's date.
fn lasts_ten_minutes(silence: &Silence, date: Stamp) -> bool {
    let left = silence.until.since(date);
    silence.is_active(date) && left <= 600 * SECOND && left > 500 * SECOND
}

#[tokio::test]
async fn a_silence_from_now_on_begins_and_ends_by_the_cores_date() {
    let (mut keeper, mut core) = keeper(Silences::default());
    let answer = keeper.answer(for_ten_minutes()).await;
    let SilenceAnswer::Added { silences, .. } = answer else { panic!("{answer:?}") };
    assert!(silences[0].active, "{silences:?}");
    let date = core.status.borrow().date(clock::now().mono);
    assert!(lasts_ten_minutes(&core.silences()[0], date));
}

#[tokio::test]
async fn when_the_date_jumps_what_was_reckoned_from_it_goes_along_and_dates_that_were_given_stay() {
    for jump in [at("2031-05-01T15:00:00Z"), at("2000-01-01T00:00:00Z")] {
        let given = silence(7, "2031-05-01T20:00:00Z", "2031-05-01T21:00:00Z", None);
        let (mut keeper, mut core) = keeper(Silences::new([given.clone()], 7));
        keeper.answer(for_ten_minutes()).await;
        core.silences();
        core.date(jump, true);
        keeper.look().await;
        let silences = core.silences();
        let [stays, moves] = &*silences else { panic!("two are expected") };
        assert_eq!(*stays, given);
        assert!(lasts_ten_minutes(moves, jump), "{moves:?}");
    }
}

#[tokio::test]
async fn the_task_sees_a_jump_of_the_date_at_once() {
    let (mut keeper, core) = keeper(Silences::default());
    let before = keeper.date().await;
    let jump = before + HOUR;
    core.date(before, true);
    core.date(jump, true);
    until_jump(&mut keeper.status, keeper.dated).await;
    assert!(keeper.date().await >= jump);
}

/// A host that starts with the year 2031 a day ahead must not throw away what is planned.
#[tokio::test]
async fn no_silence_is_removed_for_a_date_that_aws_has_not_confirmed() {
    let planned = silence(7, "2031-04-30T20:00:00Z", "2031-04-30T21:00:00Z", None);
    let (mut keeper, mut core) = keeper(Silences::new([planned.clone()], 7));
    core.date(at(DATE), false);
    keeper.look().await;
    let listed_as = listed(&mut keeper).await;
    assert_eq!(
        (listed_as[0].active, listed_as[0].no_window.as_deref()),
        (false, Some("over, by a clock that AWS has not confirmed yet"))
    );
    core.date(at("2031-04-30T20:30:00Z"), true);
    keeper.look().await;
    assert_eq!(*core.silences(), [planned]);
    core.date(at(DATE), true);
    keeper.look().await;
    assert_eq!(listed(&mut keeper).await, []);
}

#[tokio::test]
async fn a_weekly_silence_outlives_the_absence_of_its_zone() {
    let weekly = silence(7, "2031-04-24T11:00:00Z", "2031-04-24T13:00:00Z", Some("Europe/Berlin"));
    let (mut keeper, mut core) = keeper(Silences::new([weekly], 7));
    let problem = |keeper: &Keeper| keeper.health.watch().borrow().get(&Component::Silences).cloned();
    for _ in 0..2 {
        keeper.zones = nowhere;
        keeper.look().await;
        let list = listed(&mut keeper).await;
        assert_eq!(list[0].no_window.as_deref(), Some("its time zone is not known to this host"));
        assert!(!list[0].active && core.silences().is_empty());
        let stated = problem(&keeper).unwrap();
        assert!(stated.text.contains("silence 7 (Europe/Berlin)"), "{}", stated.text);

        keeper.zones = berlin;
        keeper.look().await;
        let list = listed(&mut keeper).await;
        assert_eq!((list[0].active, &list[0].no_window), (true, &None));
        assert_eq!((core.silences().len(), problem(&keeper)), (1, None));
    }
}

#[tokio::test]
async fn silences_of_a_store_that_is_read_late_come_into_force_and_their_numbers_are_not_given_again() {
    let (mut keeper, mut core) = keeper(Silences::default());
    keeper.zones = berlin;
    let stored = silence(2, "2031-05-01T11:00:00Z", "2031-05-01T13:00:00Z", None);
    core.late.send(Silences::new([stored.clone()], 5)).unwrap();
    let (requests, requests_in) = mpsc::channel(1);
    let task = tokio::spawn(keep(keeper, requests_in));
    let mut answers = Vec::new();
    for what in [for_ten_minutes(), SilenceQuestion::List] {
        let (answer, answered) = oneshot::channel();
        requests.send(SilenceRequest { what, answer }).await.unwrap();
        answers.push(answered.await.unwrap());
    }
    task.abort();
    let SilenceAnswer::Listed { silences } = &answers[1] else { panic!("{answers:?}") };
    assert_eq!(
        silences.iter().map(|silence| (silence.id, silence.active)).collect::<Vec<_>>(),
        [(2, true), (6, true)]
    );
    assert!(core.silences().contains(&stored));
}
