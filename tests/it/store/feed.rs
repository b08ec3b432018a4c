//! Followers: a snapshot and every change since come to what the table holds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use salur::domain::area::AreaLevel;
use salur::domain::ids::NeedId;
use salur::domain::need::Need;
use salur::store::{
    Commit, Cursor, Feed, ImportNeeds, ImportPrograms, OpenClaim, OpeningNeed, PublishAreas, ReleaseClaim, Store,
};
use sea_orm::ConnectionTrait;
use tokio::task::JoinSet;

use crate::harness::books::{check_books, connect, count};
use crate::harness::database::{Kind, TestDatabase};
use crate::harness::dice::Dice;
use crate::harness::world::{ANY_CLAIM, World, area_row, program_rows, q};
use crate::on_both_databases;

on_both_databases!(
    a_follower_ends_with_what_the_table_holds,
    what_commits_late_is_not_overlooked,
    a_new_edition_or_program_or_name_starts_followers_anew,
    a_follower_older_than_the_log_starts_anew_and_a_current_one_does_not,
    a_follower_far_behind_catches_up_in_rounds,
    the_own_process_is_told_of_every_commit_before_the_caller,
    a_map_that_is_to_be_replaced_hears_of_claims_and_of_nothing_imported,
);

/// The whole of a replica's memory: each need as it was last seen.
struct Follower {
    store: Store,
    cursor: Cursor,
    needs: HashMap<NeedId, Need>,
    rounds: u32,
}

impl Follower {
    async fn start(store: Store) -> Follower {
        let seen = store.snapshot().await.expect("a snapshot is read");
        let needs = seen.needs.into_iter().map(|n| (n.id, n)).collect();
        Follower { store, cursor: seen.cursor, needs, rounds: 0 }
    }

    /// True where it could follow; false where it is told to start anew.
    async fn poll(&mut self) -> bool {
        match self.store.changes_since(&self.cursor, |_| false).await.expect("the feed is read") {
            Feed::StartAnew => false,
            Feed::Changes(changed, cursor) => {
                for need in changed {
                    let known = self.needs.get(&need.id).map_or(0, |n| n.version);
                    if need.version > known {
                        self.needs.insert(need.id, need);
                    }
                }
                self.cursor = cursor;
                self.rounds += 1;
                true
            }
        }
    }

    fn all(&self) -> Vec<Need> {
        let mut all: Vec<Need> = self.needs.values().copied().collect();
        all.sort_unstable_by_key(|n| n.id);
        all
    }
}

async fn a_follower_ends_with_what_the_table_holds(db: TestDatabase) {
    let mut dice = Dice::from_environment("a_follower_ends_with_what_the_table_holds");
    let world = World::new(db).await;
    let needs = world.needs(&[500; 60]).await;
    let mut followers = Vec::new();
    for _ in 0..2 {
        let store = if world.db.kind() == Kind::Postgres { world.replica().await } else { world.store.clone() };
        followers.push(Follower::start(store).await);
    }
    let done = Arc::new(AtomicBool::new(false));
    let mut following = JoinSet::new();
    for mut follower in followers {
        let done = done.clone();
        following.spawn(async move {
            loop {
                // Asked before the poll: a poll after the last commit sees it.
                let last = done.load(Ordering::SeqCst);
                assert!(follower.poll().await, "nothing calls for a new start");
                if last {
                    return follower;
                }
                tokio::task::yield_now().await;
            }
        });
    }
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let mut asks = Vec::new();
        for _ in 0..25 {
            let count = dice.between(1, 8);
            let mut lines: Vec<(NeedId, i64)> = (0..count).map(|_| (*dice.pick(&needs), dice.between(1, 3))).collect();
            lines.sort_unstable();
            lines.dedup_by_key(|l| l.0);
            asks.push((world.asks(world.donors[writer % 3], &lines), dice.chance(30)));
        }
        let store = world.store.clone();
        writers.spawn(async move {
            for (ask, released) in asks {
                let outcome = store.execute(ask).await.expect("no error reaches a caller");
                if let salur::store::ClaimOutcome::Accepted { claim: id, .. } = outcome
                    && released
                {
                    let release = ReleaseClaim { author: None, id, access: ANY_CLAIM, reason: None };
                    store.execute(release).await.expect("no error reaches a caller");
                }
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.expect("no task panics");
    }
    done.store(true, Ordering::SeqCst);
    let table = world.all_needs().await;
    while let Some(follower) = following.join_next().await {
        let follower = follower.expect("no task panics");
        assert_eq!(follower.all(), table, "after {} rounds", follower.rounds);
        assert!(follower.rounds > 3, "it polled while the others wrote: {}", follower.rounds);
    }
    check_books(&world).await;
}

/// Two transactions take their numbers in one order and commit in the other.
async fn what_commits_late_is_not_overlooked(db: TestDatabase) {
    let world = World::new(db).await;
    let needs = world.needs(&[100, 100]).await;
    let mut follower = Follower::start(world.store.clone()).await;
    // SQLite lets nobody write beside an open transaction, so there it commits at once.
    let held = world.db.kind() == Kind::Postgres;
    let late = connect(&world.db).await;
    let mut statements = vec![
        format!("UPDATE need SET severity = 5, version = version + 1 WHERE id = {}", needs[0].0),
        format!("INSERT INTO change_log (needs, at) VALUES ('[{}]', 0)", needs[0].0),
    ];
    if held {
        statements.insert(0, "BEGIN".into());
    }
    for sql in &statements {
        late.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    for _ in 0..3 {
        world.holds(world.donors[0], &[(needs[1], 1)]).await;
        assert!(follower.poll().await);
        assert_eq!(follower.needs[&needs[1]], world.need(needs[1]).await, "what is committed is seen at once");
    }
    if held {
        assert_eq!(follower.needs[&needs[0]].severity.get(), 3, "what is not committed is not seen");
        late.execute_unprepared("COMMIT").await.expect("it commits");
    }
    assert!(follower.poll().await);
    assert_eq!(follower.needs[&needs[0]].severity.get(), 5);
    assert!(follower.poll().await);
    assert_eq!(follower.all(), world.all_needs().await);
}

async fn a_new_edition_or_program_or_name_starts_followers_anew(db: TestDatabase) {
    let world = World::new(db).await;
    let mut follower = Follower::start(world.store.clone()).await;
    assert!(follower.poll().await);
    let rows = vec![area_row("31.71.01.1001.001")];
    let publish = PublishAreas { author: None, level: AreaLevel::Rw, source: "test".into(), rows, dry_run: false };
    world.store.execute(PublishAreas { dry_run: true, ..publish.clone() }).await.expect("a dry run runs");
    assert!(follower.poll().await, "a dry run changes nothing");
    world.store.execute(publish).await.expect("areas are taken");
    assert!(!follower.poll().await, "a new edition");
    let mut follower = Follower::start(world.store.clone()).await;
    assert!(follower.poll().await);
    let mut rows = program_rows();
    rows[0].item_key = "rice".into();
    world.store.execute(ImportPrograms { author: None, rows, dry_run: false }).await.expect("programs are taken");
    assert!(!follower.poll().await, "a new item");
    for change in [
        |rows: &mut Vec<salur::store::ProgramRow>| rows[2].item_name_en = "Tablet computer".into(),
        |rows: &mut Vec<salur::store::ProgramRow>| rows[2].program_name_id = "Pendidikan".into(),
    ] {
        let mut follower = Follower::start(world.store.clone()).await;
        let mut rows = program_rows();
        change(&mut rows);
        world.store.execute(ImportPrograms { author: None, rows, dry_run: false }).await.expect("programs are taken");
        assert!(!follower.poll().await, "a new name");
    }
}

async fn a_follower_older_than_the_log_starts_anew_and_a_current_one_does_not(db: TestDatabase) {
    let world = World::new(db).await;
    let needs = world.needs(&[1_000, 1_000]).await;
    let mut old = Follower::start(world.store.clone()).await;
    for _ in 0..5 {
        world.holds(world.donors[0], &[(needs[0], 1), (needs[1], 1)]).await;
    }
    let mut current = Follower::start(world.store.clone()).await;
    world.wait(3_600);
    world.store.prune_changes(4_000).await.expect("the log is pruned");
    assert_eq!(count(&world.db, "SELECT count(*) AS n FROM change_log").await, 6, "all of it is young");
    world.store.prune_changes(1_800).await.expect("the log is pruned");
    assert_eq!(count(&world.db, "SELECT count(*) AS n FROM change_log").await, 1, "the newest row stays");
    assert!(!old.poll().await);
    assert!(current.poll().await);
    world.holds(world.donors[0], &[(needs[0], 1)]).await;
    assert!(current.poll().await);
    assert_eq!(current.all(), world.all_needs().await);
}

async fn a_follower_far_behind_catches_up_in_rounds(db: TestDatabase) {
    let world = World::new(db).await;
    let rows: Vec<OpeningNeed> =
        (0..10_500).map(|i| OpeningNeed { external_id: Some(format!("row {i}")), ..world.row(100) }).collect();
    let import = |required| ImportNeeds {
        author: None,
        rows: rows.iter().map(|r| OpeningNeed { required: q(required), ..r.clone() }).collect(),
        accept_rejects: false,
        dry_run: false,
    };
    world.store.execute(import(100)).await.expect("needs are taken");
    let mut follower = Follower::start(world.store.clone()).await;
    world.store.execute(import(101)).await.expect("needs are taken");
    world.store.execute(import(102)).await.expect("needs are taken");
    let table = world.all_needs().await;
    while follower.all() != table {
        assert!(follower.poll().await, "nothing was pruned");
        assert!(follower.rounds < 5, "21,000 changes take a few rounds");
    }
    assert!(follower.rounds >= 1);
    check_books(&world).await;
}

async fn the_own_process_is_told_of_every_commit_before_the_caller(db: TestDatabase) {
    let world = World::new(db).await;
    let told: Arc<Mutex<Vec<Commit>>> = Arc::default();
    let ear = told.clone();
    world.store.follow(move |commit| ear.lock().expect("nobody panics with it").push(commit.clone()));
    let latest = || told.lock().expect("nobody panics with it").pop();
    let needs = world.needs(&[10, 10]).await;
    assert!(latest().is_some_and(|c| c.reload), "an import is too much to tell one by one");
    let claim = world.holds(world.donors[0], &[(needs[0], 4), (needs[1], 10)]).await;
    let mut commit = latest().expect("a claim is told");
    commit.needs.sort_unstable_by_key(|n| n.id);
    assert_eq!(commit.needs, world.all_needs().await);
    let refused = world.store.execute(OpenClaim { ..world.asks(world.donors[1], &[(needs[1], 1)]) }).await;
    assert!(refused.is_ok() && latest().is_none(), "a refusal changes nothing");
    world.release(claim).await.expect("a hold is released");
    assert_eq!(latest().map(|c| c.needs.len()), Some(2));
    world.release(claim).await.expect("releasing again is harmless");
    assert!(latest().is_none());
}

/// Of more needs than one row of the log names, and of some that stood; the edition is another one, too.
async fn a_map_that_is_to_be_replaced_hears_of_claims_and_of_nothing_imported(db: TestDatabase) {
    let world = World::new(db).await;
    let needs = world.needs(&[10, 20]).await;
    let row = |n: usize, required: i64| OpeningNeed { external_id: Some(format!("x-{n}")), ..world.row(required) };
    let import = |rows| ImportNeeds { author: None, rows, accept_rejects: false, dry_run: false };
    world.store.execute(import(vec![row(0, 5)])).await.expect("needs are taken");
    let at = world.store.snapshot().await.expect("a snapshot is read").cursor;
    let rows = vec![area_row("31.71.01.1001.001")];
    let publish = PublishAreas { author: None, level: AreaLevel::Rw, source: "test".into(), rows, dry_run: false };
    world.store.execute(publish).await.expect("areas are taken");
    world.store.execute(import((0..5_100).map(|n| row(n, 6)).collect())).await.expect("needs are taken");
    world.store.execute(world.asks(world.donors[0], &[(needs[1], 3)])).await.expect("a claim is decided");
    assert!(matches!(world.store.changes_since(&at, |_| false).await, Ok(Feed::StartAnew)), "a new edition");
    let Ok(Feed::Changes(changed, next)) = world.store.changes_meanwhile(&at, |_| false).await else {
        panic!("it can be followed");
    };
    let told: Vec<(NeedId, i64)> = changed.iter().map(|need| (need.id, need.counters.allocated().get())).collect();
    assert_eq!(told, [(needs[1], 3)]);
    world.store.execute(world.asks(world.donors[1], &[(needs[0], 4)])).await.expect("a claim is decided");
    let Ok(Feed::Changes(changed, _)) = world.store.changes_meanwhile(&next, |_| false).await else {
        panic!("it can be followed on");
    };
    assert_eq!(changed.iter().map(|need| need.id).collect::<Vec<_>>(), [needs[0]]);
}
