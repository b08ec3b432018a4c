//! P1, P2: two hundred writers do everything a giver and an officer may do, while somebody reads all
//! needs and all lines in one snapshot again and again. `SALUR_COUNT` counts operations.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use salur::domain::ids::{ClaimId, NeedId};
use salur::domain::rules::OnConflict;
use salur::store::{
    ClaimOutcome, ConfirmClaim, DispatchDelivery, ExpireDue, OpenClaim, RecordDelivery, ReleaseClaim, RenewClaim,
    ReviseNeed, Store, StoreError,
};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{every_version_was_within_bounds, figures, stores, times};
use crate::harness::books::{check_books, connect, rows};
use crate::harness::database::TestDatabase;
use crate::harness::dice::Dice;
use crate::harness::world::{ANY_CLAIM, ANY_NEED, World, q};
use crate::on_both_databases;

on_both_databases!(no_snapshot_under_load_shows_a_need_beyond_its_bounds_or_its_lines);

const WRITERS: u64 = 200;

/// One statement, so one snapshot: how many needs break the rule, how many differ from their lines,
/// and what is reserved in all.
const SNAPSHOT: &str = "
    SELECT CAST(COALESCE(SUM(CASE WHEN n.reserved < 0 OR n.delivered < 0 OR n.reserved + n.delivered > n.required
        THEN 1 ELSE 0 END), 0) AS BIGINT) AS outside,
    CAST(COALESCE(SUM(CASE WHEN n.reserved <> COALESCE(l.reserved, 0) OR n.delivered <> COALESCE(l.delivered, 0)
        THEN 1 ELSE 0 END), 0) AS BIGINT) AS astray,
    CAST(COALESCE(SUM(n.reserved), 0) AS BIGINT) AS reserved
    FROM need n LEFT JOIN (SELECT need_id, SUM(delivered) AS delivered,
        SUM(CASE WHEN status IN ('HELD', 'CONFIRMED') THEN quantity - delivered ELSE 0 END) AS reserved
        FROM every_line GROUP BY need_id) l ON l.need_id = n.id";

/// Somebody with claims of their own.
struct Writer {
    world: Arc<World>,
    store: Store,
    needs: Arc<[NeedId]>,
    dice: Dice,
    claims: Vec<ClaimId>,
}

impl Writer {
    async fn act(&mut self) -> Result<(), StoreError> {
        let author = None;
        if self.dice.chance(2) {
            self.world.wait(1);
        }
        let access = ANY_CLAIM;
        let event = self.dice.between(1, 100);
        match (event, self.claims.is_empty()) {
            (91..=97, _) => {
                let id = *self.dice.pick(&self.needs);
                let need = self.store.needs(&[id]).await?.pop().ok_or(StoreError::NotFound("need"))?;
                let around = need.counters.allocated().get();
                let required = Some(q(self.dice.between((around - 5).max(0), around + 40)));
                let expected_version = need.version;
                let revise = ReviseNeed { author, access: ANY_NEED, id, expected_version, required, severity: None };
                self.store.execute(revise).await
            }
            (98.., _) => self.store.execute(ExpireDue { most: 20 }).await.map(|_| ()),
            (1..=45, _) | (_, true) => self.claim().await,
            _ => {
                let place = self.dice.between(0, self.claims.len() as i64 - 1) as usize;
                let id = self.claims[place];
                match event {
                    46..=60 => self.store.execute(ConfirmClaim { author, id, access }).await,
                    61..=66 => {
                        let hold_seconds = Some(self.dice.between(2, 60));
                        self.store.execute(RenewClaim { author, id, access, hold_seconds }).await
                    }
                    67..=80 => {
                        self.claims.swap_remove(place);
                        self.store.execute(ReleaseClaim { author, id, access, reason: None }).await
                    }
                    _ => self.deliver(id).await,
                }
            }
        }
    }

    async fn claim(&mut self) -> Result<(), StoreError> {
        let count = self.dice.between(1, 4);
        let mut lines: Vec<(NeedId, i64)> =
            (0..count).map(|_| (*self.dice.pick(&self.needs), self.dice.between(1, 12))).collect();
        lines.sort_unstable();
        lines.dedup_by_key(|line| line.0);
        let donor = *self.dice.pick(&self.world.donors);
        let take_free = self.dice.chance(60);
        let ask = OpenClaim {
            on_conflict: if take_free { OnConflict::TakeFree } else { OnConflict::Refuse },
            hold_seconds: Some(self.dice.between(2, 30)),
            ..self.world.asks(donor, &lines)
        };
        if let ClaimOutcome::Accepted { claim, .. } = self.store.execute(ask).await? {
            self.claims.push(claim);
        }
        Ok(())
    }

    /// Hands over part of one line of a promise.
    async fn deliver(&mut self, claim: ClaimId) -> Result<(), StoreError> {
        let author = None;
        let access = ANY_CLAIM;
        self.store.execute(ConfirmClaim { author, id: claim, access }).await?;
        let lines = self.world.claim(claim).await.lines;
        let line = self.dice.pick(&lines);
        let trip = self.world.trip(claim, &[(line.need, self.dice.between(1, line.quantity.get()))]).await;
        let id = self.store.execute(trip).await?;
        self.store.execute(DispatchDelivery { author, id, access }).await?;
        self.store.execute(RecordDelivery { author, id, access, note: None }).await
    }
}

async fn no_snapshot_under_load_shows_a_need_beyond_its_bounds_or_its_lines(db: TestDatabase) {
    let mut dice = Dice::from_environment("no_snapshot_under_load_shows_a_need_beyond_its_bounds_or_its_lines");
    let world = Arc::new(World::with_map(db).await);
    let needs: Arc<[NeedId]> = world.needs(&[40; 30]).await.into();
    let stores = stores(&world).await;
    let count = times(1_500);
    let (begun, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (quiet, progress) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (begun, done, progress) = (begun.clone(), done.clone(), progress.clone());
        let mut writer = Writer {
            world: world.clone(),
            store: stores[writer as usize % stores.len()].clone(),
            needs: needs.clone(),
            dice: dice.another(),
            claims: Vec::new(),
        };
        writers.spawn(async move {
            while begun.fetch_add(1, Ordering::SeqCst) < count {
                match writer.act().await {
                    Ok(()) => {
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                    Err(StoreError::Illegal(_) | StoreError::VersionConflict) => {}
                    Err(error) => panic!("an error reached a caller: {error}"),
                }
                progress.notify_one();
            }
        });
    }
    let sampler = tokio::spawn({
        let (world, quiet, progress) = (world.clone(), quiet.clone(), progress.clone());
        async move {
            let own = connect(&world.db).await;
            let (mut samples, mut moved, mut last) = (0, 0, 0);
            while !quiet.load(Ordering::SeqCst) {
                progress.notified().await;
                let row = rows(&world.db, &own, SNAPSHOT).await.pop().expect("one row");
                let [outside, astray, reserved] =
                    ["outside", "astray", "reserved"].map(|n| row.try_get::<i64>("", n).expect("a number"));
                assert_eq!((outside, astray), (0, 0), "needs outside their bounds, needs that differ from their lines");
                samples += 1;
                moved += u32::from(reserved != last);
                last = reserved;
            }
            (samples, moved)
        }
    });
    while let Some(writer) = writers.join_next().await {
        writer.expect("no writer panics");
    }
    quiet.store(true, Ordering::SeqCst);
    progress.notify_one();
    let (samples, moved) = sampler.await.expect("the sampler does not panic");
    let done = done.load(Ordering::SeqCst);
    assert!(done > count / 2 && moved > 10, "{done} operations went through, {moved} of {samples} samples differed");
    check_books(&world).await;
    let versions = every_version_was_within_bounds(&world).await;
    let more = format!("writers={WRITERS} went_through={done} samples={samples} need_versions={versions}");
    figures("sampler", &world.db, count, more);
}
