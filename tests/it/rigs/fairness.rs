//! P10: many claimers on the same needs: no error reaches any of them, and all get their turn.
//! `SALUR_COUNT` counts claims.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use salur::domain::ids::NeedId;
use salur::store::ClaimOutcome;
use tokio::task::JoinSet;

use super::{Waits, figures, stores, times};
use crate::harness::books::check_books;
use crate::harness::database::TestDatabase;
use crate::harness::dice::Dice;
use crate::harness::world::World;
use crate::on_both_databases;

on_both_databases!(
    two_hundred_claimers_of_one_need_all_get_their_turn,
    two_hundred_claimers_of_fifty_needs_in_any_order_all_get_their_turn,
);

const CLAIMERS: u64 = 200;

async fn two_hundred_claimers_of_one_need_all_get_their_turn(db: TestDatabase) {
    crowd("fairness-one-need", db, 1).await;
}

async fn two_hundred_claimers_of_fifty_needs_in_any_order_all_get_their_turn(db: TestDatabase) {
    crowd("fairness-fifty-needs", db, 50).await;
}

async fn crowd(rig: &str, db: TestDatabase, width: usize) {
    let mut dice = Dice::from_environment(rig);
    let world = Arc::new(World::with_map(db).await);
    let needs = world.needs(&vec![1_000_000_000; width]).await;
    let stores = stores(&world).await;
    let count = times(600);
    let begun = Arc::new(AtomicU64::new(0));
    let mut claimers = JoinSet::new();
    for claimer in 0..CLAIMERS {
        let (world, mut dice, mut needs, begun) = (world.clone(), dice.another(), needs.clone(), begun.clone());
        let store = stores[claimer as usize % stores.len()].clone();
        claimers.spawn(async move {
            let mut waits = Vec::new();
            while begun.fetch_add(1, Ordering::SeqCst) < count {
                dice.shuffle(&mut needs);
                let lines: Vec<(NeedId, i64)> = needs.iter().take(20).map(|need| (*need, 1)).collect();
                let ask = world.asks(world.donors[0], &lines);
                let asked = Instant::now();
                match store.execute(ask).await {
                    Ok(ClaimOutcome::Accepted { .. }) => waits.push(asked.elapsed()),
                    other => panic!("there is enough for all: {other:?}"),
                }
            }
            waits
        });
    }
    let mut waits = Waits::default();
    while let Some(own) = claimers.join_next().await {
        waits.0.extend(own.expect("no claimer panics"));
    }
    assert_eq!(waits.0.len() as u64, count);
    let reserved: i64 = world.all_needs().await.iter().map(|n| n.counters.reserved().get()).sum();
    assert_eq!(reserved as u64, count * width.min(20) as u64);
    check_books(&world).await;
    figures(rig, &world.db, count, format!("claimers={CLAIMERS} {waits}"));
}
