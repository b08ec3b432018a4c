//! The audit log out of the database: numbered, signed, exported, and verified without it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use salur::audit::FIRST_SEQUENCE;
use salur::audit::bundle::{self, BundleWriter, Problem, Report, Totals};
use salur::audit::signing::{Head, SigningKey};
use salur::domain::ids::NeedId;
use salur::store::{ClaimOutcome, ConfirmClaim, IssueKey, ReleaseClaim, ResolveOverlap, Sequenced, Store};
use sea_orm::ConnectionTrait;
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use crate::claims::random;
use crate::harness::books::{check_books, connect, count, lay_out_log, rows};
use crate::harness::database::{Kind, TestDatabase};
use crate::harness::dice::Dice;
use crate::harness::world::{ANY_CLAIM, World};
use crate::on_both_databases;
use crate::store::overlaps;

on_both_databases!(
    the_log_of_a_random_run_verifies_and_says_what_the_tables_say,
    writers_and_sequencers_at_once_leave_a_log_that_verifies,
    no_transaction_that_is_left_open_holds_entries_back,
    a_later_export_continues_an_earlier_one,
    what_is_changed_behind_the_log_is_found,
    words_of_a_decision_may_be_erased_and_not_changed,
    entries_of_items_from_before_they_told_the_unit_are_sound,
    a_head_is_signed_when_the_last_is_a_second_old_or_when_asked,
    the_trail_of_a_record_runs_through_its_versions,
    a_long_trail_is_read_page_by_page,
    the_log_names_no_person,
    a_second_key_signs_nothing,
);

/// Entries without a number.
const OPEN: &str = "SELECT count(*) AS n FROM audit_pack WHERE first_sequence IS NULL";

/// A directory of its own, removed in the end.
struct Bench {
    directory: PathBuf,
    key: Arc<SigningKey>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Bench {
    fn new(db: &TestDatabase) -> Bench {
        let name = db.url().rsplit(['/', '?']).find(|part| part.contains("salur_test")).map(|part| part.to_owned());
        let parent = db.url().split('/').find(|part| part.starts_with("salur_test")).map(str::to_owned);
        let name = parent.or(name).expect("a test database has a name of its own");
        let directory = std::env::temp_dir().join(format!("{name}_audit"));
        std::fs::create_dir(&directory).expect("the name is its own");
        let key = SigningKey::create_or_load(&directory.join("key.pem")).expect("a key is made");
        Bench { directory, key: Arc::new(key) }
    }

    async fn sequence(&self, store: &Store, sign_now: bool) -> Sequenced {
        store.sequence(&self.key, sign_now).await.expect("a round of sequencing runs")
    }

    /// Numbers and signs all there is.
    async fn seal(&self, world: &World) {
        while count(&world.db, OPEN).await > 0 {
            self.sequence(&world.store, true).await;
        }
        self.sequence(&world.store, true).await;
    }

    async fn export(&self, store: &Store, name: &str) -> PathBuf {
        let directory = self.directory.join(name);
        let mut writer = BundleWriter::create(&directory).expect("the directory is new");
        let mut sequence = FIRST_SEQUENCE;
        loop {
            let leaves = store.audit_leaves(sequence - 1, 777).await.expect("leaves are read");
            if leaves.is_empty() {
                break;
            }
            for leaf in leaves {
                writer.push_leaf(sequence, &leaf).expect("a leaf is one line");
                sequence += 1;
            }
        }
        for checkpoint in store.audit_heads().await.expect("heads are read") {
            writer.push_head(&checkpoint.head, &checkpoint.signature).expect("a head is written");
        }
        let [needs, lines, required, reserved, delivered] = store.audit_totals().await.expect("totals are read");
        let totals = Totals {
            leaves: sequence - FIRST_SEQUENCE,
            needs: needs as u64,
            lines: lines as u64,
            required,
            reserved,
            delivered,
        };
        writer.finish(&totals).expect("the export is completed");
        directory
    }

    async fn verify(&self, store: &Store, name: &str, old: Option<Head>) -> Result<Report, Vec<Problem>> {
        let directory = self.export(store, name).await;
        bundle::verify(&directory, &self.key.public_key(), old)
    }

    /// Seals and verifies. Panics where the log is not sound or not whole.
    async fn is_sound(&self, world: &World, name: &str) -> Report {
        self.seal(world).await;
        let all = count(&world.db, "SELECT CAST(sum(entries) AS BIGINT) AS n FROM audit_pack").await;
        let report = self.verify(&world.store, name, None).await.unwrap_or_else(|p| panic!("{p:#?}"));
        assert_eq!(report.totals.leaves as i64, all);
        report
    }
}

async fn the_log_of_a_random_run_verifies_and_says_what_the_tables_say(db: TestDatabase) {
    let dice = Dice::from_environment("the_log_of_a_random_run_verifies_and_says_what_the_tables_say");
    let world = World::new(db).await;
    random::run(&world, dice, 800).await;
    let bench = Bench::new(&world.db);
    let report = bench.is_sound(&world, "export").await;
    assert!(report.totals.needs > 0 && report.totals.lines > 0 && report.heads >= 1, "{report:?}");
    check_books(&world).await;
}

async fn writers_and_sequencers_at_once_leave_a_log_that_verifies(db: TestDatabase) {
    let mut dice = Dice::from_environment("writers_and_sequencers_at_once_leave_a_log_that_verifies");
    let world = World::new(db).await;
    let bench = Bench::new(&world.db);
    let needs = world.needs(&[300; 12]).await;
    let offer = world.offers(world.donors[0], world.package, 100_000).await;
    let mut stores = vec![world.store.clone()];
    if world.db.kind() == Kind::Postgres {
        stores.push(world.replica().await);
    }
    let done = Arc::new(AtomicBool::new(false));
    let mut sequencers = JoinSet::new();
    for store in &stores {
        let (store, done, key) = (store.clone(), done.clone(), bench.key.clone());
        sequencers.spawn(async move {
            let mut numbered = 0;
            while !done.load(Ordering::SeqCst) {
                numbered += store.sequence(&key, true).await.expect("a round of sequencing runs").entries;
                tokio::task::yield_now().await;
            }
            numbered
        });
    }
    let mut writers = JoinSet::new();
    for writer in 0..12 {
        let mut asks = Vec::new();
        for _ in 0..20 {
            let mut lines: Vec<(NeedId, i64)> = (0..4).map(|_| (*dice.pick(&needs), dice.between(1, 3))).collect();
            lines.sort_unstable();
            lines.dedup_by_key(|l| l.0);
            let ask = world.asks(world.donors[0], &lines);
            asks.push(salur::store::OpenClaim { offer: dice.chance(50).then_some(offer), ..ask });
        }
        let store = stores[writer % stores.len()].clone();
        writers.spawn(async move {
            for (i, ask) in asks.into_iter().enumerate() {
                let outcome = store.execute(ask).await.expect("no error reaches a caller");
                let ClaimOutcome::Accepted { claim: id, .. } = outcome else { continue };
                if i % 2 == 0 {
                    let confirm = ConfirmClaim { author: None, id, access: ANY_CLAIM };
                    store.execute(confirm).await.expect("no error reaches a caller");
                }
                if i % 3 == 0 {
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
    let mut numbered = 0;
    while let Some(sequencer) = sequencers.join_next().await {
        numbered += sequencer.expect("no task panics");
    }
    assert!(numbered > 0, "the sequencers worked while the others wrote");
    bench.is_sound(&world, "export").await;
    check_books(&world).await;
}

async fn no_transaction_that_is_left_open_holds_entries_back(db: TestDatabase) {
    let world = World::new(db).await;
    let bench = Bench::new(&world.db);
    let need = world.needs(&[100]).await[0];
    bench.seal(&world).await;
    let own = connect(&world.db).await;
    own.execute_unprepared("BEGIN").await.expect("a transaction begins");
    if world.db.kind() == Kind::Postgres {
        own.execute_unprepared("SELECT pg_current_xact_id()").await.expect("it takes its number");
    }
    world.holds(world.donors[0], &[(need, 1)]).await;
    let done = bench.sequence(&world.store, true).await;
    assert_eq!(done.entries, 3, "a claim, its line and its need");
    own.execute_unprepared("ROLLBACK").await.expect("it ends");
    bench.is_sound(&world, "export").await;
}

async fn a_later_export_continues_an_earlier_one(db: TestDatabase) {
    let world = World::new(db).await;
    let bench = Bench::new(&world.db);
    let need = world.needs(&[100]).await[0];
    let first = bench.is_sound(&world, "first").await;
    for _ in 0..3 {
        world.promises(world.donors[0], &[(need, 1)]).await;
        bench.seal(&world).await;
    }
    let second = bench.verify(&world.store, "second", first.last_head).await.expect("it continues the first");
    assert!(second.totals.leaves > first.totals.leaves && second.heads > first.heads);
    let checkpoint = world.store.audit_checkpoint().await.expect("heads are read").expect("there is one");
    assert_eq!(Some(checkpoint.head), second.last_head);
    bench.key.public_key().verify_head(&checkpoint.head, &checkpoint.signature).expect("it is signed");
}

async fn what_is_changed_behind_the_log_is_found(db: TestDatabase) {
    let world = World::new(db).await;
    let bench = Bench::new(&world.db);
    let need = world.needs(&[100]).await[0];
    let claim = world.promises(world.donors[0], &[(need, 10)]).await;
    world.first_right(5).await;
    world.needs(&[7]).await;
    bench.is_sound(&world, "sound").await;
    let own = connect(&world.db).await;
    for (i, (forth, back)) in [
        ("UPDATE need SET required = required + 1".to_owned(), "UPDATE need SET required = required - 1".to_owned()),
        (
            format!("UPDATE audit_pack SET leaves = replace(leaves, '\"quantity\":10', '\"quantity\":11') WHERE topic = '{claim}'"),
            format!("UPDATE audit_pack SET leaves = replace(leaves, '\"quantity\":11', '\"quantity\":10') WHERE topic = '{claim}'"),
        ),
        (
            "UPDATE audit_pack SET first_sequence = -first_sequence
             WHERE first_sequence = (SELECT max(first_sequence) FROM audit_pack)".to_owned(),
            "UPDATE audit_pack SET first_sequence = -first_sequence WHERE first_sequence < 0".to_owned(),
        ),
        (
            "UPDATE audit_pack SET first_sequence = -first_sequence WHERE first_sequence IN (2, 3)".to_owned(),
            "UPDATE audit_pack SET first_sequence = -first_sequence WHERE first_sequence < 0".to_owned(),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        own.execute_unprepared(&forth).await.unwrap_or_else(|e| panic!("{forth}: {e}"));
        let found = bench.verify(&world.store, &format!("broken {i}"), None).await;
        assert!(found.is_err(), "nobody noticed: {forth}");
        own.execute_unprepared(&back).await.unwrap_or_else(|e| panic!("{back}: {e}"));
        bench.verify(&world.store, &format!("mended {i}"), None).await.expect("it is mended");
    }
}

async fn words_of_a_decision_may_be_erased_and_not_changed(db: TestDatabase) {
    let world = World::new(db).await;
    let bench = Bench::new(&world.db);
    let own = connect(&world.db).await;
    let (_, open) = overlaps::met(&world).await;
    bench.is_sound(&world, "undecided").await;
    let check = async |change: &str| {
        let sql = format!("UPDATE overlap SET {change} WHERE id = {}", open.id.0);
        own.execute_unprepared(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        world.store.check_audit(&bench.key.public_key(), None).await.expect("it answers")
    };
    assert!(check("note = 'tidak apa-apa'").await.is_err(), "nobody has decided it");
    assert!(check("note = NULL").await.is_ok());
    assert_eq!(overlaps::decided(&world).await, open.id);
    bench.is_sound(&world, "decided").await;
    for (change, sound) in [
        ("note = 'tidak pernah diperiksa'", false),
        ("note = 'sudah diperiksa'", true),
        ("note_salt = NULL", false),
        ("note = NULL", true),
        ("status = 'PERMITTED'", false),
    ] {
        let found = check(change).await;
        assert_eq!(found.is_ok(), sound, "{change}: {found:?}");
    }
}

async fn entries_of_items_from_before_they_told_the_unit_are_sound(db: TestDatabase) {
    let world = World::new(db).await;
    let bench = Bench::new(&world.db);
    let own = connect(&world.db).await;
    let of_item = format!("topic = '{}'", world.package);
    let found = rows(&world.db, &own, &format!("SELECT leaves FROM audit_pack WHERE {of_item}")).await;
    let now: String = found[0].try_get("", "leaves").expect("a text");
    let before =
        now.replace(r#""kind":"FOOD","#, "").replace(&format!(r#","program":"{}","unit":"paket""#, world.food), "");
    assert!(before.len() < now.len() && !before.contains("unit") && !before.contains("kind"), "{before}");
    // Not numbered yet, so no head knows of it.
    let sql = format!("UPDATE audit_pack SET leaves = '{before}' WHERE {of_item}");
    own.execute_unprepared(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    bench.is_sound(&world, "before").await;
    let check = async || world.store.check_audit(&bench.key.public_key(), None).await.expect("it answers");
    assert!(check().await.is_ok());
    let renamed = format!("UPDATE item SET name_en = 'other' WHERE id = {}", world.package.0);
    own.execute_unprepared(&renamed).await.expect("nothing in the database forbids it");
    assert!(check().await.is_err());
}

async fn a_head_is_signed_when_the_last_is_a_second_old_or_when_asked(db: TestDatabase) {
    let world = World::new(db).await;
    let bench = Bench::new(&world.db);
    let need = world.needs(&[100]).await[0];
    let heads = async || world.store.audit_heads().await.expect("heads are read").len();
    bench.sequence(&world.store, false).await;
    assert_eq!(heads().await, 1, "the first head waits for nothing");
    bench.seal(&world).await;
    let sealed = heads().await;
    bench.sequence(&world.store, true).await;
    assert_eq!(heads().await, sealed, "one size has one head");
    world.holds(world.donors[0], &[(need, 1)]).await;
    bench.seal(&world).await;
    let asked = heads().await;
    assert!(asked > sealed, "asked to, it signs at once");
    world.holds(world.donors[0], &[(need, 1)]).await;
    while count(&world.db, OPEN).await > 0 {
        world.wait(2);
        bench.sequence(&world.store, false).await;
    }
    assert!(heads().await > asked, "the last one is older than a second");
    bench.is_sound(&world, "export").await;
}

async fn the_trail_of_a_record_runs_through_its_versions(db: TestDatabase) {
    let world = World::new(db).await;
    let bench = Bench::new(&world.db);
    let need = world.needs(&[100]).await[0];
    let claim = world.promises(world.donors[0], &[(need, 10)]).await;
    world.delivers(claim, &[(need, 10)]).await;
    let subject = need.to_string();
    let trail = world.store.audit_trail(&subject, 0, 50).await.expect("the trail is read");
    assert!(trail.iter().all(|e| e.sequence.is_none()), "nobody has numbered it yet");
    bench.seal(&world).await;
    let trail = world.store.audit_trail(&subject, 0, 50).await.expect("the trail is read");
    let actions: Vec<&str> = trail.iter().map(|e| e.action.as_str()).collect();
    let expected = ["needs.import", "claim.open", "claim.confirm", "delivery.schedule", "delivery.record"];
    assert_eq!(actions, expected);
    assert!(trail.is_sorted_by(|a, b| a.sequence < b.sequence && a.at <= b.at), "{trail:?}");
    let rest = world.store.audit_trail(&subject, 3, 1).await.expect("the trail is read");
    assert_eq!(rest.iter().map(|e| e.action.as_str()).collect::<Vec<_>>(), ["delivery.schedule"]);
}

/// More packs than are read at once, half of which hold others alone.
async fn a_long_trail_is_read_page_by_page(db: TestDatabase) {
    let world = World::new(db).await;
    let needs = world.needs(&[1_000, 1_000]).await;
    let claim = world.promises(world.donors[0], &[(needs[0], 300), (needs[1], 300)]).await;
    for _ in 0..110 {
        world.delivers(claim, &[(needs[1], 1)]).await;
        world.holds(world.donors[1], &[(needs[0], 1)]).await;
    }
    let subject = needs[0].to_string();
    let mut trail = Vec::new();
    loop {
        let page = world.store.audit_trail(&subject, trail.len() as i64, 50).await.expect("the trail is read");
        if page.is_empty() {
            break;
        }
        trail.extend(page);
    }
    assert_eq!(trail.len(), 113);
    assert!(trail.iter().all(|entry| entry.subject == subject));
    let opened = trail.iter().filter(|entry| entry.action == "claim.open").count();
    assert_eq!(opened, 111);
    let reserved: Vec<&str> =
        trail.iter().filter_map(|e| e.state.split("\"reserved\":").nth(1)?.split(',').next()).collect();
    assert_eq!((reserved[0], reserved[1], reserved[112]), ("0", "300", "410"));
}

/// Names, addresses and people's own words are told to the program and looked for in the log.
async fn the_log_names_no_person(db: TestDatabase) {
    let world = World::new(db).await;
    let need = world.needs(&[10]).await[0];
    let [a, b, _] = world.donors;
    for who in [a, b] {
        let claim = world.promises(who, &[(need, 5)]).await;
        let trip = world.schedules(claim, &[(need, 5)]).await;
        world.dispatch(trip).await.expect("a scheduled trip is dispatched");
        let id = trip;
        let note = Some("diterima Bu Siti".to_owned());
        let record = salur::store::RecordDelivery { author: Some(world.officer), id, access: ANY_CLAIM, note };
        world.store.execute(record).await.expect("a dispatched trip is recorded");
    }
    let (found, _) = world.store.overlap_page(&Default::default(), None, 10).await.expect("findings are read");
    let resolve = ResolveOverlap {
        author: Some(world.officer),
        id: found[0],
        expected_version: 1,
        status: salur::domain::overlap::OverlapStatus::Confirmed,
        note: "kata Pak Budi".into(),
        salt: [9; 16],
    };
    world.store.execute(resolve).await.expect("an overlap is resolved");
    let issue = IssueKey {
        author: None,
        email: "officer@example.org".into(),
        prefix: "slr_x".into(),
        hash: [1; 32],
        expires_days: None,
        label: None,
        scopes: salur::domain::actor::KeyScope::ALL.to_vec(),
    };
    world.store.execute(issue).await.expect("a key is issued");
    let own = connect(&world.db).await;
    lay_out_log(&world.db, &own).await;
    let leaves = rows(&world.db, &own, "SELECT leaf || actor || subject || action AS text FROM audit_entry").await;
    for leaf in leaves {
        let text: String = leaf.try_get("", "text").expect("a text");
        // Few words are easily guessed from their digest.
        let digest: String = Sha256::digest("kata Pak Budi").iter().map(|byte| format!("{byte:02x}")).collect();
        for name in ["Siti", "Budi", "example.org", "officer", "Donor", &digest] {
            assert!(!text.contains(name), "{name} is in {text}");
        }
    }
}

async fn a_second_key_signs_nothing(db: TestDatabase) {
    let world = World::new(db).await;
    let bench = Bench::new(&world.db);
    let needs = world.needs(&[10]).await;
    bench.sequence(&world.store, true).await;
    let signed = world.store.audit_checkpoint().await.expect("it is read").expect("there is one");
    world.holds(world.donors[0], &[(needs[0], 5)]).await;
    let other = Arc::new(SigningKey::create_or_load(&bench.directory.join("other.pem")).expect("a key is made"));
    let refused = world.store.sequence(&other, true).await.expect_err("it is not the log's key").to_string();
    assert!(refused.contains("another key"), "{refused}");
    let after = world.store.audit_checkpoint().await.expect("it is read").expect("there is one");
    assert_eq!(after.head, signed.head);
    assert!(count(&world.db, OPEN).await > 0, "nothing was numbered");
    bench.sequence(&world.store, true).await;
    assert_eq!(count(&world.db, OPEN).await, 0);
}
