//! Lines that lie in their claim's row until one of them moves.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use tokio::task::JoinSet;

use salur::domain::claim::ClaimStatus;
use salur::domain::ids::{ClaimId, NeedId};
use salur::store::{ClaimOutcome, ExpireDue, ExportFilter, ExportReach, RenewClaim};

use crate::harness::books::{check_books, connect, count};
use crate::harness::database::TestDatabase;
use crate::harness::world::{ANY_CLAIM, World, code};
use crate::on_both_databases;

on_both_databases!(
    the_lines_of_a_new_claim_lie_in_its_row_until_one_of_them_moves,
    nobody_who_reads_can_tell_in_which_form_lines_are_kept,
    holds_of_one_claim_that_end_at_once_for_many_each_end_once,
    a_sweeper_that_goes_through_a_claim_in_parts_ends_all_of_its_holds,
);

/// How many claims have their lines in their row, and how many lines have rows of their own.
async fn forms(world: &World) -> (i64, i64) {
    let bundled = "SELECT count(*) AS n FROM claim WHERE bundle IS NOT NULL";
    (count(&world.db, bundled).await, count(&world.db, "SELECT count(*) AS n FROM claim_line").await)
}

fn five_each(needs: &[NeedId]) -> Vec<(NeedId, i64)> {
    needs.iter().map(|need| (*need, 5)).collect()
}

async fn the_lines_of_a_new_claim_lie_in_its_row_until_one_of_them_moves(db: TestDatabase) {
    let world = World::new(db).await;
    let needs = world.needs(&[100; 4]).await;
    let (stays, goes) = (
        world.holds(world.donors[0], &five_each(&needs)).await,
        world.holds(world.donors[1], &five_each(&needs)).await,
    );
    assert_eq!(forms(&world).await, (2, 0));
    let (untouched, before) = (world.claim(stays).await, world.claim(goes).await);
    world.confirm(goes).await.expect("it is held");
    assert_eq!(forms(&world).await, (1, 4));
    assert_eq!(world.claim(stays).await, untouched);
    let after = world.claim(goes).await;
    for (was, is) in before.lines.iter().zip(&after.lines) {
        assert_eq!((was.id, was.need, was.quantity, was.version + 1), (is.id, is.need, is.quantity, is.version));
        assert_eq!((was.status, is.status), (ClaimStatus::Held, ClaimStatus::Confirmed));
    }
    // A trip over one line moves that one alone; the others are at their second version all the same.
    world.delivers(goes, &[(needs[2], 5)]).await;
    assert_eq!(world.line(goes, needs[2]).await.status, ClaimStatus::Fulfilled);
    assert_eq!(world.line(goes, needs[1]).await.version, 2);
    check_books(&world).await;
}

/// All that can be read of lines.
async fn read(world: &World, claims: &[ClaimId], needs: &[NeedId]) -> Vec<String> {
    let store = &world.store;
    let mut told = Vec::new();
    let reach = ExportReach { everything: true, organization: None, area: None };
    let filter = ExportFilter { most: 100, ..ExportFilter::default() };
    told.push(format!("{:?}", store.exported_lines(&reach, &filter).await.expect("they are read")));
    told.push(format!("{:?}", store.help_in(&code("31"), 100).await.expect("it is read")));
    told.push(format!("{:?}", store.audit_totals().await.expect("they are read")));
    for claim in claims {
        let claim = world.claim(*claim).await;
        for line in &claim.lines {
            told.push(format!("{:?}", store.claim_of_line(line.id).await.expect("it is read")));
            let trail = store.audit_trail(&line.id.to_string(), 0, 10).await.expect("it is read");
            told.push(format!("{trail:?}"));
        }
        let here = store.claims_in_area(&[claim.id], &code("31")).await.expect("they are read");
        assert!(here.contains(&claim.id));
        told.push(format!("{claim:?}"));
    }
    for need in needs {
        told.push(format!("{:?}", store.lines_on_need(*need, 10).await.expect("they are read")));
    }
    assert!(store.recount().await.expect("it is counted").is_empty());
    told
}

async fn nobody_who_reads_can_tell_in_which_form_lines_are_kept(db: TestDatabase) {
    let world = World::new(db).await;
    let needs = world.needs(&[100; 6]).await;
    let mut claims = Vec::new();
    for (place, donor) in [0, 1, 0].into_iter().zip(world.donors.iter().cycle()) {
        claims.push(world.holds(*donor, &five_each(&needs[place..])).await);
    }
    // One in the middle of every chain has rows.
    let renew = RenewClaim { author: None, id: claims[1], access: ANY_CLAIM, hold_seconds: None };
    world.store.execute(renew).await.expect("it may be renewed");
    assert_eq!(forms(&world).await, (2, 5));
    let bundled = read(&world, &claims, &needs).await;
    let own = connect(&world.db).await;
    for sql in [
        "INSERT INTO claim_line (id, claim_id, need_id, quantity, scheduled, delivered, status, expires_at, version,
         previous_line) SELECT id, claim_id, need_id, quantity, scheduled, delivered, status, expires_at, version,
         previous_line FROM bundled_line",
        "UPDATE claim SET bundle = NULL, held_until = NULL",
    ] {
        own.execute_unprepared(sql).await.expect("a plain statement runs");
    }
    assert_eq!(forms(&world).await, (0, 17));
    assert_eq!(read(&world, &claims, &needs).await, bundled);
    check_books(&world).await;
}

async fn holds_of_one_claim_that_end_at_once_for_many_each_end_once(db: TestDatabase) {
    let world = World::new(db).await;
    let needs = world.needs(&[5; 12]).await;
    let other = world.replica().await;
    for round in 1..=5 {
        let held = world.holds(world.donors[0], &five_each(&needs)).await;
        world.clock.advance(Duration::from_secs(31 * 86_400));
        let mut tasks = JoinSet::new();
        for (place, need) in needs.iter().enumerate() {
            let store = if place % 2 == 0 { world.store.clone() } else { other.clone() };
            let ask = world.asks(world.donors[1], &[(*need, 5)]);
            tasks.spawn(async move { store.execute(ask).await });
        }
        let mut made = Vec::new();
        while let Some(done) = tasks.join_next().await {
            match done.expect("no task panics") {
                Ok(ClaimOutcome::Accepted { claim, .. }) => made.push(claim),
                other => panic!("round {round}: what ran out is free again, but: {other:?}"),
            }
        }
        let ended = world.claim(held).await;
        assert!(ended.lines.iter().all(|line| (line.status, line.version) == (ClaimStatus::Expired, 2)), "{ended:?}");
        check_books(&world).await;
        for claim in made {
            world.release(claim).await.expect("it is held");
        }
    }
    check_books(&world).await;
}

async fn a_sweeper_that_goes_through_a_claim_in_parts_ends_all_of_its_holds(db: TestDatabase) {
    let world = World::new(db).await;
    let needs = world.needs(&[5; 7]).await;
    let held = world.holds(world.donors[0], &five_each(&needs)).await;
    assert!(!world.store.has_due_holds().await.expect("it is asked"));
    world.clock.advance(Duration::from_secs(31 * 86_400));
    let mut rounds = 0;
    while world.store.has_due_holds().await.expect("it is asked") {
        assert!(world.store.execute(ExpireDue { most: 2 }).await.expect("it sweeps") > 0);
        rounds += 1;
    }
    assert_eq!(rounds, 4);
    let ended = world.claim(held).await;
    assert!(ended.lines.iter().all(|line| (line.status, line.version) == (ClaimStatus::Expired, 2)), "{ended:?}");
    assert_eq!(forms(&world).await, (0, 7));
    check_books(&world).await;
}
