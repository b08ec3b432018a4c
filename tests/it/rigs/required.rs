//! P9: what is required is revised up and down while others claim, release and deliver. The log tells
//! every state that was ever committed. `SALUR_COUNT` counts revisions tried.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use salur::domain::ids::NeedId;
use salur::domain::rules::OnConflict;
use salur::store::{ClaimOutcome, ConfirmClaim, OpenClaim, ReleaseClaim, ReviseNeed, StoreError};
use tokio::task::JoinSet;

use super::{every_version_was_within_bounds, figures, stores, times};
use crate::harness::books::check_books;
use crate::harness::database::TestDatabase;
use crate::harness::dice::Dice;
use crate::harness::world::{ANY_CLAIM, ANY_NEED, World, q};
use crate::on_both_databases;

on_both_databases!(what_is_required_is_never_cut_below_what_was_allocated_at_that_moment);

async fn what_is_required_is_never_cut_below_what_was_allocated_at_that_moment(db: TestDatabase) {
    let mut dice = Dice::from_environment("what_is_required_is_never_cut_below_what_was_allocated_at_that_moment");
    let world = Arc::new(World::with_map(db).await);
    let needs: Arc<[NeedId]> = world.needs(&[60; 12]).await.into();
    let stores = stores(&world).await;
    let count = times(200);
    let (begun, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut claimers = JoinSet::new();
    for claimer in 0..6 {
        let (world, needs, over, mut dice) = (world.clone(), needs.clone(), over.clone(), dice.another());
        let store = stores[claimer % stores.len()].clone();
        claimers.spawn(async move {
            let author = None;
            let mut claims = 0;
            while !over.load(Ordering::SeqCst) {
                let lines = [(*dice.pick(&needs), dice.between(5, 25))];
                let on_conflict = if dice.chance(70) { OnConflict::TakeFree } else { OnConflict::Refuse };
                let ask = OpenClaim { on_conflict, ..world.asks(world.donors[claimer % 3], &lines) };
                let outcome = store.execute(ask).await.expect("no error reaches a caller");
                let ClaimOutcome::Accepted { claim: id, .. } = outcome else { continue };
                claims += 1;
                if dice.chance(50) {
                    let confirm = ConfirmClaim { author, id, access: ANY_CLAIM };
                    store.execute(confirm).await.expect("no error reaches a caller");
                }
                let release = ReleaseClaim { author, id, access: ANY_CLAIM, reason: None };
                store.execute(release).await.expect("no error reaches a caller");
            }
            claims
        });
    }
    let mut revisers = JoinSet::new();
    for reviser in 0..4 {
        let (needs, begun, mut dice) = (needs.clone(), begun.clone(), dice.another());
        let store = stores[reviser % stores.len()].clone();
        revisers.spawn(async move {
            let (mut done, mut too_low, mut too_late) = (0_u64, 0_u64, 0_u64);
            while begun.fetch_add(1, Ordering::SeqCst) < count {
                let id = *dice.pick(&needs);
                let seen = store.needs(&[id]).await.expect("needs are read").pop().expect("the need is there");
                let required = q(dice.between(10, 80));
                let revise = ReviseNeed {
                    author: None,
                    access: ANY_NEED,
                    id,
                    expected_version: seen.version,
                    required: Some(required),
                    severity: None,
                };
                match store.execute(revise).await {
                    Ok(()) => done += 1,
                    // The version is the one that was read, so what was allocated is, too.
                    Err(StoreError::Illegal(why)) => {
                        assert!(required < seen.counters.allocated(), "{why}: {required} of {seen:?}");
                        too_low += 1;
                    }
                    Err(StoreError::VersionConflict) => too_late += 1,
                    Err(error) => panic!("an error reached a caller: {error}"),
                }
            }
            [done, too_low, too_late]
        });
    }
    let mut sums = [0; 3];
    while let Some(own) = revisers.join_next().await {
        let own = own.expect("no reviser panics");
        sums.iter_mut().zip(own).for_each(|(sum, n)| *sum += n);
    }
    over.store(true, Ordering::SeqCst);
    let mut claims = 0;
    while let Some(own) = claimers.join_next().await {
        claims += own.expect("no claimer panics");
    }
    let [done, too_low, too_late] = sums;
    assert!(done > 0 && too_late > 0 && claims > 0, "{done} done, {too_low} too low, {too_late} late, {claims} claims");
    check_books(&world).await;
    let versions = every_version_was_within_bounds(&world).await;
    let more = format!("revised={done} too_low={too_low} too_late={too_late} claims={claims} need_versions={versions}");
    figures("required", &world.db, count, more);
}
