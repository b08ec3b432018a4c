//! The database refuses the impossible by itself: every named constraint is broken once.

use std::collections::BTreeSet;

use salur::store::{ClaimOutcome, OpenClaim, RenewClaim};
use sea_orm::ConnectionTrait;

use crate::harness::books::{check_books, connect, count, rows};
use crate::harness::database::{Kind, TestDatabase};
use crate::harness::world::{ANY_CLAIM, World};
use crate::on_both_databases;

/// Cheap by itself, and made while there were few claims: a plan that reads all of them for every look would be kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn references_of_new_lines_are_looked_up_however_many_claims_there_are() {
    let world = World::new(TestDatabase::postgres().await).await;
    world.needs(&[1_000; 30]).await;
    // Some groups as they come, then as many claims as a year brings, then a group whose reads are counted.
    let counted = r"SET enable_seqscan = off; DO $$ DECLARE least bigint; read bigint; BEGIN
        FOR round IN 1..30 LOOP
            IF round = 30 THEN
                INSERT INTO claim (id, organization_id, executor_id, opening, created_at, renewals, version)
                    SELECT 1000000 + n, 1, 1, 0, 0, 0, 1 FROM generate_series(1, 20000) n; END IF;
            read := (SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'claim');
            WITH c AS (INSERT INTO claim (id, organization_id, executor_id, opening, created_at, renewals, version)
                    SELECT round * 100 + n, 1, 1, 0, 0, 0, 1 FROM generate_series(1, 14) n RETURNING 1),
                l AS (INSERT INTO claim_line (claim_id, need_id, quantity, scheduled, delivered, status, expires_at, version)
                    SELECT round * 100 + n, e.id, 1, 0, 0, 'HELD', 1, 1 FROM generate_series(1, 14) n, need e RETURNING 1)
                SELECT count(*) INTO least FROM c, l;
        END LOOP;
        read := (SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'claim') - read;
        IF read > 100 THEN RAISE EXCEPTION 'so many claims were read for fourteen: %', read; END IF; END $$";
    connect(&world.db).await.execute_unprepared(counted).await.expect("few are read");
}

on_both_databases!(every_named_constraint_refuses_what_breaks_it, a_number_column_takes_no_text);

/// Two rows, where two are needed, in every table that [`World`] leaves empty.
const ROWS: &[&str] = &[
    "INSERT INTO app_user (email, version) VALUES ('second@example.org', 1)",
    "INSERT INTO api_key (user_id, prefix, hash, created_at) SELECT id, 'p', CAST(email AS BYTEA), 0 FROM app_user",
    "INSERT INTO session (user_id, hash, previous_hash, label, created_at, rotated_at, seen_at, ends_at)
     SELECT id, CAST(email AS BYTEA), CAST('p' || email AS BYTEA), 'l', 0, 0, 0, 0 FROM app_user",
    "INSERT INTO organization_document (organization_id, kind, number, issuer, valid_from)
     SELECT id, 'NIB', '1', 'i', '2020-01-01' FROM organization",
    "INSERT INTO one_time_link (hash, purpose, email, created_at, expires_at)
     SELECT CAST(email AS BYTEA), 'RESET', email, 0, 0 FROM app_user",
    "INSERT INTO known_device (hash, user_id, seen_at) SELECT CAST(email AS BYTEA), id, 0 FROM app_user",
    "INSERT INTO allowance (bucket, used, ends_at) SELECT CAST(email AS BYTEA), 1, 0 FROM app_user",
    "INSERT INTO distribution (external_id, source, organization_id, area_id, item_id, quantity, period_start,
     period_end, version)
     SELECT name, 's', id, (SELECT min(id) FROM area), (SELECT min(id) FROM item), 1, '2020-04-01', '2020-04-02', 1
     FROM organization",
    "INSERT INTO overlap_rule (body) VALUES ('one'), ('two')",
    "INSERT INTO overlap (key, area_id, kind, status, period_start, period_end, finding, withdrawn, version)
     SELECT name, (SELECT min(id) FROM area), 'OVER_SERVED', 'SUSPECTED', '2020-04-01', '2020-04-02', '{}', 0, 1
     FROM organization",
    "INSERT INTO audit_head (size, root, at, signature) VALUES (1, CAST('r' AS BYTEA), 0, 's')",
    "UPDATE need SET external_id = 'e' || id",
    "INSERT INTO outbox (recipient, kind, parameters, state, created_at, at)
     VALUES ('a@example.org', 'K', '{}', 'WAITING', 0, 0), ('b@example.org', 'K', '{}', 'GIVEN_UP', 0, 0)",
    "INSERT INTO user_identity (issuer, subject, user_id, created_at) SELECT 'i', email, id, 0 FROM app_user",
];

/// A constraint, and a statement that it alone must refuse.
const BREAKS: &[(&str, &str)] = &[
    // places
    ("pk_edition", "INSERT INTO edition SELECT * FROM edition"),
    ("ck_edition_level", "UPDATE edition SET level = 7"),
    ("pk_area", "INSERT INTO area SELECT * FROM area"),
    ("uq_area_code", "UPDATE area SET code = '31'"),
    ("ck_area_level", "UPDATE area SET level = 7 WHERE level = 6 OR level = 5"),
    ("fk_area_parent", "UPDATE area SET parent_id = 999999 WHERE parent_id IS NOT NULL"),
    ("ck_area_shape_source", "UPDATE area SET geometry = CAST('g' AS BYTEA), shape_source = 'GUESSED'"),
    ("ck_area_households", "UPDATE area SET households = -1"),
    ("ck_area_poor", "UPDATE area SET poor_households = -1"),
    ("fk_area_edition", "UPDATE area SET edition_id = 999999"),
    ("ck_area_shape", "UPDATE area SET geometry = CAST('g' AS BYTEA)"),
    ("ck_area_point", "UPDATE area SET lon = 106.8"),
    ("ck_area_parent", "UPDATE area SET parent_id = NULL WHERE level = 2"),
    ("pk_program", "INSERT INTO program SELECT * FROM program"),
    ("uq_program_key", "UPDATE program SET key = 'same'"),
    ("ck_program_hold", "UPDATE program SET hold_seconds = 1"),
    ("ck_program_renewals", "UPDATE program SET max_renewals = -1"),
    ("ck_program_first_right", "UPDATE program SET first_right_hours = -1"),
    ("ck_program_first_right", "UPDATE program SET first_right_hours = 8761"),
    ("ck_program_max_hold", "UPDATE program SET max_hold_seconds = 2"),
    ("pk_item", "INSERT INTO item SELECT * FROM item"),
    ("fk_item_program", "UPDATE item SET program_id = 999999"),
    ("uq_item_key", "UPDATE item SET key = 'same'"),
    ("ck_item_kind", "UPDATE item SET kind = 'GIFT'"),
    // people
    ("pk_organization", "INSERT INTO organization SELECT * FROM organization"),
    ("uq_organization_name", "UPDATE organization SET name = 'same'"),
    ("ck_organization_category", "UPDATE organization SET category = 'CLUB'"),
    ("ck_organization_status", "UPDATE organization SET status = 'GONE'"),
    ("ck_organization_aggregator", "UPDATE organization SET aggregator = 2"),
    ("pk_app_user", "INSERT INTO app_user SELECT * FROM app_user"),
    ("uq_app_user_email", "UPDATE app_user SET email = 'same'"),
    ("fk_app_user_organization", "UPDATE app_user SET organization_id = 999999"),
    ("ck_app_user_disabled", "UPDATE app_user SET disabled = 2"),
    ("fk_user_role_user", "UPDATE user_role SET user_id = 999999"),
    ("ck_user_role_role", "UPDATE user_role SET role = 'KING'"),
    ("pk_user_role", "INSERT INTO user_role SELECT * FROM user_role"),
    ("pk_api_key", "INSERT INTO api_key SELECT * FROM api_key"),
    ("fk_api_key_user", "UPDATE api_key SET user_id = 999999"),
    ("uq_api_key_hash", "UPDATE api_key SET hash = CAST('same' AS BYTEA)"),
    ("ck_app_user_manager", "UPDATE app_user SET manager = 2"),
    ("pk_session", "INSERT INTO session SELECT * FROM session"),
    ("fk_session_user", "UPDATE session SET user_id = 999999"),
    ("uq_session_hash", "UPDATE session SET hash = CAST('same' AS BYTEA)"),
    ("uq_session_previous_hash", "UPDATE session SET previous_hash = CAST('same' AS BYTEA)"),
    ("ck_session_previous", "UPDATE session SET previous_hash = NULL, previous_until = 1"),
    ("pk_organization_document", "INSERT INTO organization_document SELECT * FROM organization_document"),
    ("fk_organization_document_organization", "UPDATE organization_document SET organization_id = 999999"),
    ("ck_organization_document_kind", "UPDATE organization_document SET kind = 'LETTER'"),
    ("ck_organization_document_valid", "UPDATE organization_document SET valid_until = '2019-01-01'"),
    ("pk_one_time_link", "UPDATE one_time_link SET hash = CAST('same' AS BYTEA)"),
    ("ck_one_time_link_purpose", "UPDATE one_time_link SET purpose = 'VISIT'"),
    ("pk_known_device", "INSERT INTO known_device SELECT * FROM known_device"),
    ("fk_known_device_user", "UPDATE known_device SET user_id = 999999"),
    ("pk_allowance", "UPDATE allowance SET bucket = CAST('same' AS BYTEA)"),
    ("ck_allowance_used", "UPDATE allowance SET used = -1"),
    // needs
    ("pk_need", "INSERT INTO need SELECT * FROM need"),
    ("fk_need_area", "UPDATE need SET area_id = 999999"),
    ("fk_need_program", "UPDATE need SET program_id = 999999"),
    ("fk_need_item", "UPDATE need SET item_id = 999999"),
    ("ck_need_severity", "UPDATE need SET severity = 6"),
    ("ck_need_severity", "UPDATE need SET severity = 0"),
    ("ck_need_status", "UPDATE need SET status = 'LOST'"),
    ("fk_need_reporter", "UPDATE need SET reported_by = 999999"),
    ("uq_need_external", "UPDATE need SET external_id = 'same'"),
    ("ck_need_counters", "UPDATE need SET reserved = -1, delivered = 1"),
    ("ck_need_counters", "UPDATE need SET delivered = -1, reserved = 1"),
    ("ck_need_counters", "UPDATE need SET reserved = required - delivered + 1"),
    ("ck_need_counters", "UPDATE need SET required = reserved + delivered - 1 WHERE reserved > 0"),
    ("ck_need_required", "UPDATE need SET required = 9007199254740992"),
    ("ck_need_period", "UPDATE need SET period_start = '2020-05-01', period_end = '2020-04-30'"),
    // offers and claims
    ("pk_offer", "INSERT INTO offer SELECT * FROM offer"),
    ("fk_offer_organization", "UPDATE offer SET organization_id = 999999"),
    ("fk_offer_item", "UPDATE offer SET item_id = 999999"),
    ("ck_offer_quantity", "UPDATE offer SET quantity = 0, claimed = 0"),
    ("ck_offer_quantity", "UPDATE offer SET quantity = 9007199254740992"),
    ("ck_offer_claimed", "UPDATE offer SET claimed = quantity + 1"),
    ("ck_offer_claimed", "UPDATE offer SET claimed = -1"),
    ("ck_offer_available", "UPDATE offer SET available_from = '2020-05-01', available_until = '2020-04-30'"),
    ("pk_claim", "INSERT INTO claim SELECT * FROM claim"),
    ("fk_claim_organization", "UPDATE claim SET organization_id = 999999"),
    ("fk_claim_executor", "UPDATE claim SET executor_id = 999999"),
    ("fk_claim_offer", "UPDATE claim SET offer_id = 999999"),
    ("ck_claim_opening", "UPDATE claim SET opening = 2"),
    ("fk_claim_creator", "UPDATE claim SET created_by = 999999"),
    ("ck_claim_renewals", "UPDATE claim SET renewals = -1"),
    ("ck_claim_bundle", "UPDATE claim SET held_until = NULL WHERE bundle IS NOT NULL"),
    ("ck_claim_bundle", "UPDATE claim SET held_until = 1 WHERE bundle IS NULL"),
    ("pk_claim_line", "INSERT INTO claim_line SELECT * FROM claim_line"),
    ("fk_claim_line_claim", "UPDATE claim_line SET claim_id = 999999 WHERE id = (SELECT min(id) FROM claim_line)"),
    ("fk_claim_line_need", "UPDATE claim_line SET need_id = 999999 WHERE id = (SELECT min(id) FROM claim_line)"),
    ("ck_claim_line_status", "UPDATE claim_line SET status = 'LOST' WHERE expires_at IS NULL AND scheduled = 0"),
    (
        "fk_claim_line_claim",
        "INSERT INTO claim_line SELECT -1, 999999, need_id, 1, 0, 0, 'RELEASED', NULL, 1, NULL FROM claim_line WHERE id = (SELECT min(id) FROM claim_line)",
    ),
    ("fk_claim_line_claim", "DELETE FROM claim"),
    (
        "fk_claim_line_need",
        "INSERT INTO claim_line SELECT -1, claim_id, 999999, 1, 0, 0, 'RELEASED', NULL, 1, NULL FROM claim_line WHERE id = (SELECT min(id) FROM claim_line)",
    ),
    ("fk_claim_line_need", "DELETE FROM need"),
    (
        "uq_claim_line_need",
        "INSERT INTO claim_line SELECT -id, claim_id, need_id, 1, 0, 0, 'RELEASED', NULL, 1, NULL FROM claim_line",
    ),
    ("ck_claim_line_quantity", "UPDATE claim_line SET quantity = 0 WHERE status = 'HELD'"),
    ("ck_claim_line_quantity", "UPDATE claim_line SET quantity = 9007199254740992 WHERE status = 'HELD'"),
    ("ck_claim_line_delivered", "UPDATE claim_line SET delivered = quantity + 1 WHERE status = 'HELD'"),
    ("ck_claim_line_delivered", "UPDATE claim_line SET delivered = -1 WHERE status = 'HELD'"),
    ("ck_claim_line_delivered", "UPDATE claim_line SET scheduled = -1 WHERE status = 'CONFIRMED'"),
    ("ck_claim_line_delivered", "UPDATE claim_line SET scheduled = quantity, delivered = 1 WHERE status = 'CONFIRMED'"),
    ("ck_claim_line_hold", "UPDATE claim_line SET expires_at = NULL WHERE status = 'HELD'"),
    ("ck_claim_line_hold", "UPDATE claim_line SET expires_at = 1 WHERE status = 'CONFIRMED'"),
    ("ck_claim_line_fulfilled", "UPDATE claim_line SET status = 'FULFILLED', expires_at = NULL WHERE scheduled = 0"),
    ("ck_claim_line_scheduled", "UPDATE claim_line SET scheduled = 1 WHERE status = 'HELD'"),
    ("pk_idempotency", "INSERT INTO idempotency SELECT * FROM idempotency"),
    // deliveries
    ("pk_delivery", "INSERT INTO delivery SELECT * FROM delivery"),
    ("fk_delivery_claim", "UPDATE delivery SET claim_id = 999999"),
    ("ck_delivery_status", "UPDATE delivery SET status = 'LOST'"),
    ("fk_delivery_line_delivery", "UPDATE delivery_line SET delivery_id = 999999"),
    ("fk_delivery_line_line", "UPDATE delivery_line SET claim_line_id = 999999"),
    ("ck_delivery_line_quantity", "UPDATE delivery_line SET quantity = 0"),
    ("pk_delivery_line", "INSERT INTO delivery_line SELECT * FROM delivery_line"),
    ("ck_delivery_line_answer", "UPDATE delivery_line SET accepted = quantity"),
    ("ck_delivery_line_answer", "UPDATE delivery_line SET rejected = 0"),
    ("ck_delivery_line_answer", "UPDATE delivery_line SET accepted = quantity, rejected = 1"),
    ("ck_delivery_line_answer", "UPDATE delivery_line SET accepted = quantity + 1, rejected = -1"),
    ("pk_delivery_event", "INSERT INTO delivery_event SELECT * FROM delivery_event"),
    ("fk_delivery_event_delivery", "UPDATE delivery_event SET delivery_id = 999999"),
    ("fk_delivery_event_user", "UPDATE delivery_event SET user_id = 999999"),
    // overlap
    ("pk_distribution", "INSERT INTO distribution SELECT * FROM distribution"),
    ("fk_distribution_organization", "UPDATE distribution SET organization_id = 999999"),
    ("fk_distribution_area", "UPDATE distribution SET area_id = 999999"),
    ("fk_distribution_item", "UPDATE distribution SET item_id = 999999"),
    ("ck_distribution_quantity", "UPDATE distribution SET quantity = 0"),
    ("ck_distribution_quantity", "UPDATE distribution SET quantity = 9007199254740992"),
    ("uq_distribution_external", "UPDATE distribution SET external_id = 'same'"),
    ("ck_distribution_period", "UPDATE distribution SET period_start = '2020-05-01'"),
    ("pk_overlap_rule", "INSERT INTO overlap_rule SELECT * FROM overlap_rule"),
    ("uq_overlap_rule_body", "UPDATE overlap_rule SET body = 'same'"),
    ("pk_overlap", "INSERT INTO overlap SELECT * FROM overlap"),
    ("uq_overlap_key", "UPDATE overlap SET key = 'same'"),
    ("fk_overlap_area", "UPDATE overlap SET area_id = 999999"),
    ("ck_overlap_kind", "UPDATE overlap SET kind = 'ODD'"),
    ("ck_overlap_status", "UPDATE overlap SET status = 'ODD'"),
    ("fk_overlap_item", "UPDATE overlap SET item_id = 999999"),
    ("ck_overlap_withdrawn", "UPDATE overlap SET withdrawn = 2"),
    ("fk_overlap_resolver", "UPDATE overlap SET resolved_by = 999999"),
    // journal
    ("pk_change_log", "INSERT INTO change_log SELECT * FROM change_log"),
    ("pk_audit_pack", "INSERT INTO audit_pack SELECT * FROM audit_pack"),
    ("uq_audit_pack_sequence", "UPDATE audit_pack SET first_sequence = 1"),
    ("ck_audit_pack_entries", "UPDATE audit_pack SET entries = 0"),
    ("pk_audit_tree", "INSERT INTO audit_tree SELECT * FROM audit_tree"),
    ("ck_audit_tree_one", "UPDATE audit_tree SET id = 2"),
    ("pk_audit_head", "INSERT INTO audit_head SELECT * FROM audit_head"),
    ("pk_feed", "INSERT INTO feed SELECT * FROM feed"),
    ("ck_feed_one", "UPDATE feed SET id = 2"),
    ("pk_user_identity", "UPDATE user_identity SET subject = 'same'"),
    ("uq_user_identity_user", "UPDATE user_identity SET user_id = (SELECT min(id) FROM app_user)"),
    (
        "fk_user_identity_user",
        "UPDATE user_identity SET user_id = 999999 WHERE subject = (SELECT min(subject) FROM user_identity)",
    ),
    // messages
    ("pk_outbox", "INSERT INTO outbox SELECT * FROM outbox"),
    ("ck_outbox_state", "UPDATE outbox SET state = 'LOST'"),
    ("ck_outbox_attempts", "UPDATE outbox SET attempts = -1"),
    ("ck_outbox_parameters", "UPDATE outbox SET state = 'SENT'"),
    ("ck_outbox_parameters", "UPDATE outbox SET parameters = NULL"),
    ("pk_clock", "INSERT INTO clock SELECT * FROM clock"),
    ("ck_clock_one", "UPDATE clock SET id = 2"),
];

/// The names that the database itself lists.
async fn named(db: &TestDatabase) -> BTreeSet<String> {
    let sql = match db.kind() {
        Kind::Postgres => {
            "SELECT conname::text AS text FROM pg_constraint WHERE connamespace = 'public'::regnamespace
             AND contype IN ('c', 'f', 'p', 'u', 'x') AND conname NOT LIKE 'seaql%'
             UNION SELECT tgname::text FROM pg_trigger WHERE tgname LIKE 'fk%'"
        }
        Kind::Sqlite => "SELECT sql AS text FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'seaql%'",
    };
    let texts = rows(db, &connect(db).await, sql).await;
    let texts = texts.iter().map(|r| r.try_get::<String>("", "text").expect("a text"));
    match db.kind() {
        Kind::Postgres => texts.collect(),
        Kind::Sqlite => {
            let text = texts.collect::<Vec<_>>().join("\n");
            let mut words = text.split_whitespace();
            std::iter::from_fn(|| words.find(|w| *w == "CONSTRAINT").and_then(|_| words.next()))
                .map(str::to_owned)
                .collect()
        }
    }
}

/// What the database says where `constraint` refuses something. SQLite names a CHECK, but of a
/// key only its columns, and of a reference nothing.
fn refusal(kind: Kind, constraint: &str) -> String {
    match (kind, &constraint[..3]) {
        (Kind::Postgres, _) => format!("\"{constraint}\""),
        (Kind::Sqlite, "ck_") => format!("CHECK constraint failed: {constraint}"),
        (Kind::Sqlite, "fk_") => "FOREIGN KEY constraint failed".into(),
        (Kind::Sqlite, _) => "UNIQUE constraint failed".into(),
    }
}

/// A world with something in every table.
async fn full_world(db: TestDatabase) -> World {
    let world = World::new(db).await;
    let needs = world.needs(&[100, 50]).await;
    let offer = world.offers(world.donors[0], world.package, 100).await;
    let ask = world.asks(world.donors[0], &[(needs[0], 10), (needs[1], 5)]);
    let held = world.store.execute(OpenClaim { offer: Some(offer), ..ask }).await.expect("it is free");
    let ClaimOutcome::Accepted { claim, .. } = held else { panic!("{held:?}") };
    // Its lines are still held, and no longer in a bundle.
    let renew = RenewClaim { author: None, id: claim, access: ANY_CLAIM, hold_seconds: None };
    world.store.execute(renew).await.expect("it may be renewed");
    world.holds(world.donors[0], &[(needs[0], 10)]).await;
    let promised = world.promises(world.donors[1], &[(needs[0], 20)]).await;
    world.schedules(promised, &[(needs[0], 8)]).await;
    world.promises(world.donors[1], &[(needs[0], 3)]).await;
    let own = connect(&world.db).await;
    for sql in ROWS {
        let sql = if world.db.kind() == Kind::Sqlite { sql.replace("BYTEA", "BLOB") } else { (*sql).to_owned() };
        own.execute_unprepared(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    world
}

async fn every_named_constraint_refuses_what_breaks_it(db: TestDatabase) {
    let world = full_world(db).await;
    let broken: BTreeSet<String> = BREAKS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(broken, named(&world.db).await, "a constraint is not tried here, or one is missing from the database");
    let own = connect(&world.db).await;
    own.execute_unprepared(if world.db.kind() == Kind::Sqlite { "PRAGMA foreign_keys = ON" } else { "SELECT 1" })
        .await
        .expect("a plain statement runs");
    for (constraint, sql) in BREAKS {
        let sql = if world.db.kind() == Kind::Sqlite { sql.replace("BYTEA", "BLOB") } else { (*sql).to_owned() };
        match own.execute_unprepared(&sql).await {
            Ok(done) => panic!("{constraint} let {} rows through: {sql}", done.rows_affected()),
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains(&refusal(world.db.kind(), constraint)), "{constraint}: {sql}: {error}");
            }
        }
    }
    check_books(&world).await;
}

async fn a_number_column_takes_no_text(db: TestDatabase) {
    let world = full_world(db).await;
    let own = connect(&world.db).await;
    for sql in [
        "UPDATE need SET required = 'many'",
        "UPDATE claim SET held_until = 'tomorrow'",
        "UPDATE claim_line SET expires_at = 'tomorrow'",
        "UPDATE change_log SET at = 'new'",
        "UPDATE clock SET latest = 1.5",
    ] {
        let refused = own.execute_unprepared(sql).await;
        // PostgreSQL rounds the last one instead, which stores a whole number as well.
        let rounds = world.db.kind() == Kind::Postgres && sql.ends_with("1.5");
        assert_eq!(refused.is_ok(), rounds, "{sql}: {refused:?}");
    }
    if world.db.kind() == Kind::Sqlite {
        let loose =
            "SELECT count(*) AS n FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict = 0
                     AND name NOT LIKE 'seaql%' AND name NOT LIKE 'sqlite%'";
        assert_eq!(count(&world.db, loose).await, 0, "every table checks its types");
    }
    check_books(&world).await;
}
