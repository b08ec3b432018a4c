//! A small world in an empty database: two programs, twenty areas, four organisations, and short
//! ways to make needs, claims and trips. Quantities are plain numbers here.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use salur::audit::signing::SigningKey;
use salur::clock::Clock;
use salur::domain::actor::Role;
use salur::domain::area::{AreaCode, AreaLevel};
use salur::domain::calendar::Period;
use salur::domain::claim::{Claim, ClaimLine};
use salur::domain::delivery::Delivery;
use salur::domain::ids::{AreaId, ClaimId, ClaimLineId, DeliveryId, ItemId, NeedId, OfferId, OrganizationId};
use salur::domain::ids::{ProgramId, UserId};
use salur::domain::need::{Need, NeedStatus, Severity};
use salur::domain::organization::{OrganizationCategory, OrganizationStatus};
use salur::domain::program::ItemKind;
use salur::domain::quantity::Quantity;
use salur::domain::rules::OnConflict;
use salur::service::Service;
use salur::store::{
    AddOrganization, AddUser, AreaRow, ClaimAccess, ClaimOutcome, ConfirmClaim, CreateOffer, DispatchDelivery,
    ImportNeeds, ImportPrograms, Keyed, NeedAccess, NewUser, OpenClaim, OpeningNeed, ProgramRow, PublishAreas,
    RecordDelivery, ReleaseClaim, ScheduleDelivery, Scope, Store, StoreError, StoreOptions,
};
use serde_json::json;

use super::database::TestDatabase;
use super::how_far::HowFar;
use crate::cli::Home;

pub struct Place {
    pub id: AreaId,
    pub code: AreaCode,
}

pub struct World {
    pub store: Store,
    pub clock: Clock,
    pub db: TestDatabase,
    pub food: ProgramId,
    /// Of `food`.
    pub package: ItemId,
    /// Of `food`.
    pub meal: ItemId,
    pub school: ProgramId,
    /// Of `school`.
    pub tablet: ItemId,
    /// RWs, ascending by code: ten in village 31.71.01.1001, ten in 31.71.01.1002.
    pub areas: Vec<Place>,
    /// Verified organisations that give; the last one is registered in the first area.
    pub donors: [OrganizationId; 3],
    /// A verified distribution partner.
    pub aggregator: OrganizationId,
    pub officer: UserId,
    keys: AtomicU64,
    map: OnceLock<Service>,
    _how_far: HowFar,
}

/// A quantity written down in a test.
pub fn q(value: i64) -> Quantity {
    Quantity::new(value).expect("a test writes down quantities in range")
}

pub fn period(start: &str, end: &str) -> Period {
    let day = |text: &str| text.parse().expect("a test writes down days");
    Period::new(day(start), day(end)).expect("a test writes the start before the end")
}

pub fn code(text: &str) -> AreaCode {
    text.parse().expect("a test writes down area codes")
}

/// A month in which all needs stand that a test says no more of.
pub fn april() -> Period {
    period("2020-04-01", "2020-04-30")
}

/// Access for everybody's claims, as an admin has it.
pub const ANY_CLAIM: ClaimAccess = ClaimAccess { organization: None };

/// Access for everybody's needs, as an admin has it.
pub const ANY_NEED: NeedAccess = NeedAccess { area: None };

pub fn access_of(organization: OrganizationId) -> ClaimAccess {
    ClaimAccess { organization: Some(organization) }
}

pub async fn open(db: &TestDatabase, clock: &Clock) -> Store {
    let options = StoreOptions { clock: clock.clone(), ..StoreOptions::new(db.url()) };
    Store::open(&options).await.expect("a test database opens")
}

/// Programs with their items, as `World::new` enters them.
pub fn program_rows() -> Vec<ProgramRow> {
    let row = |program: &str, item: &str, unit: &str, kind| ProgramRow {
        program_key: program.into(),
        program_name_id: format!("Program {program}"),
        program_name_en: format!("{program} program"),
        first_right_hours: 0,
        item_key: item.into(),
        item_name_id: format!("Barang {item}"),
        item_name_en: format!("{item} item"),
        unit: unit.into(),
        kind,
    };
    vec![
        row("PANGAN", "package", "paket", ItemKind::Food),
        row("PANGAN", "meal", "porsi", ItemKind::Food),
        row("PENDIDIKAN", "tablet", "unit", ItemKind::Device),
    ]
}

pub fn area_row(text: &str) -> AreaRow {
    AreaRow {
        code: code(text),
        name: format!("Area {text}"),
        label: None,
        point: None,
        shape: None,
        generated: false,
        households: Some(100),
        poor_households: None,
        bps_code: None,
    }
}

impl World {
    pub async fn new(db: TestDatabase) -> World {
        let clock = Clock::default();
        let store = open(&db, &clock).await;
        store.migrate().await.expect("an empty database is brought into shape");
        let programs = ImportPrograms { author: None, rows: program_rows(), dry_run: false };
        store.execute(programs).await.expect("programs are taken");
        let mut rows: Vec<AreaRow> =
            ["31", "31.71", "31.71.01", "31.71.01.1001", "31.71.01.1002"].into_iter().map(area_row).collect();
        for village in ["31.71.01.1001", "31.71.01.1002"] {
            rows.extend((1..=10).map(|rw| area_row(&format!("{village}.{rw:03}"))));
        }
        let publish = PublishAreas { author: None, level: AreaLevel::Rw, source: "test".into(), rows, dry_run: false };
        store.execute(publish).await.expect("areas are taken");
        let mut organizations = Vec::new();
        for (name, aggregator, home) in [
            ("Donor A", false, None),
            ("Donor B", false, None),
            ("Donor C", false, Some("31.71.01.1001.001")),
            ("Agregator", true, None),
        ] {
            let add = AddOrganization {
                author: None,
                name: name.into(),
                category: OrganizationCategory::Business,
                status: OrganizationStatus::Verified,
                aggregator,
                home_area: home.map(code),
            };
            organizations.push(store.execute(add).await.expect("an organisation is taken"));
        }
        let user = NewUser {
            email: "officer@example.org".into(),
            role: Role::AreaOfficer,
            organization: None,
            area: Some(code("31.71.01.1001")),
        };
        let officer = store.execute(AddUser { author: None, user }).await.expect("a user is taken");
        let seen = store.snapshot().await.expect("a snapshot is read");
        let program = |key: &str| seen.programs.iter().find(|p| p.key == key).expect("it was entered").id;
        let item = |key: &str| seen.items.iter().find(|i| i.key == key).expect("it was entered").id;
        World {
            food: program("PANGAN"),
            package: item("package"),
            meal: item("meal"),
            school: program("PENDIDIKAN"),
            tablet: item("tablet"),
            areas: seen
                .areas
                .iter()
                .filter(|a| a.code.level() == AreaLevel::Rw)
                .map(|a| Place { id: a.id, code: a.code.clone() })
                .collect(),
            donors: [organizations[0], organizations[1], organizations[2]],
            aggregator: organizations[3],
            officer,
            keys: AtomicU64::new(0),
            map: OnceLock::new(),
            _how_far: HowFar::writes_of(&store),
            store,
            clock,
            db,
        }
    }

    /// With the map of a service over its store, by which claims are decided.
    pub async fn with_map(db: TestDatabase) -> World {
        let world = World::new(db).await;
        let home = Home::new();
        let key = SigningKey::create_or_load(&home.path("key.pem")).expect("a key is made");
        let service = Service::new(world.store.clone(), key.into());
        service.load().await.expect("the map is read");
        assert!(world.map.set(service).is_ok(), "it has none before");
        world
    }

    /// Another server process on the same database, as a second replica has it.
    pub async fn replica(&self) -> Store {
        open(&self.db, &self.clock).await
    }

    /// Everybody is `seconds` later from now on.
    pub fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// From now on food is kept for neighbours for so long after it is verified.
    pub async fn first_right(&self, hours: i64) {
        let mut rows = program_rows();
        let food = rows.iter_mut().filter(|r| r.program_key == "PANGAN");
        food.for_each(|r| r.first_right_hours = hours);
        let programs = ImportPrograms { author: None, rows, dry_run: false };
        self.store.execute(programs).await.expect("programs are taken");
    }

    /// A key that nobody has used.
    pub fn key(&self) -> String {
        format!("key-{}", self.keys.fetch_add(1, Ordering::Relaxed))
    }

    /// A verified opening row: packages in April in the first area.
    pub fn row(&self, required: i64) -> OpeningNeed {
        OpeningNeed {
            row: 1,
            external_id: None,
            area: self.areas[0].id,
            program: self.food,
            item: self.package,
            period: april(),
            required: q(required),
            severity: Severity::new(3).expect("it is from 1 to 5"),
            status: NeedStatus::Verified,
            allocated: q(0),
            delivered: q(0),
        }
    }

    /// Enters needs and answers them in the order of the rows.
    pub async fn enter(&self, rows: Vec<OpeningNeed>) -> Vec<NeedId> {
        let known: BTreeSet<NeedId> = self.all_needs().await.iter().map(|n| n.id).collect();
        let count = rows.len();
        let import = ImportNeeds { author: None, rows, accept_rejects: false, dry_run: false };
        let report = self.store.execute(import).await.expect("needs are taken");
        assert_eq!((report.accepted, report.published), (count, true));
        self.all_needs().await.iter().map(|n| n.id).filter(|id| !known.contains(id)).collect()
    }

    /// One verified need per quantity: packages in April, one area each as long as there are any.
    pub async fn needs(&self, required: &[i64]) -> Vec<NeedId> {
        let rows = required.iter().enumerate().map(|(i, required)| OpeningNeed {
            row: i + 1,
            area: self.areas[i % self.areas.len()].id,
            ..self.row(*required)
        });
        self.enter(rows.collect()).await
    }

    /// Every need, ascending by id.
    pub async fn all_needs(&self) -> Vec<Need> {
        let mut needs = self.store.snapshot().await.expect("a snapshot is read").needs;
        needs.sort_unstable_by_key(|n| n.id);
        needs
    }

    pub async fn need(&self, id: NeedId) -> Need {
        self.store.needs(&[id]).await.expect("needs are read").pop().expect("the need is there")
    }

    /// `(required, reserved, delivered)`
    pub async fn counters(&self, id: NeedId) -> (i64, i64, i64) {
        let c = self.need(id).await.counters;
        (c.required().get(), c.reserved().get(), c.delivered().get())
    }

    pub async fn claim(&self, id: ClaimId) -> Claim {
        self.store.claims(&[id]).await.expect("claims are read").pop().expect("the claim is there")
    }

    pub async fn line(&self, claim: ClaimId, need: NeedId) -> ClaimLine {
        *self.claim(claim).await.lines.iter().find(|l| l.need == need).expect("the claim has a line on the need")
    }

    pub async fn delivery(&self, id: DeliveryId) -> Delivery {
        self.store.deliveries(&[id]).await.expect("deliveries are read").pop().expect("the delivery is there")
    }

    /// A claim of everything asked or nothing, under a key of its own, not sent yet.
    pub fn asks(&self, organization: OrganizationId, lines: &[(NeedId, i64)]) -> OpenClaim {
        OpenClaim {
            author: None,
            keyed: claim_key(organization, &self.key(), lines),
            organization,
            executor: None,
            offer: None,
            lines: lines.iter().map(|(need, quantity)| (*need, q(*quantity))).collect(),
            on_conflict: OnConflict::Refuse,
            hold_seconds: None,
        }
    }

    /// A claim that is expected to be accepted.
    pub async fn holds(&self, organization: OrganizationId, lines: &[(NeedId, i64)]) -> ClaimId {
        match self.store.execute(self.asks(organization, lines)).await {
            Ok(ClaimOutcome::Accepted { claim, .. }) => claim,
            other => panic!("the claim should have been accepted, but: {other:?}"),
        }
    }

    /// A confirmed claim.
    pub async fn promises(&self, organization: OrganizationId, lines: &[(NeedId, i64)]) -> ClaimId {
        let claim = self.holds(organization, lines).await;
        self.confirm(claim).await.expect("a claim just made is confirmed");
        claim
    }

    pub async fn confirm(&self, id: ClaimId) -> Result<(), StoreError> {
        self.store.execute(ConfirmClaim { author: None, id, access: ANY_CLAIM }).await
    }

    pub async fn release(&self, id: ClaimId) -> Result<(), StoreError> {
        self.store.execute(ReleaseClaim { author: None, id, access: ANY_CLAIM, reason: None }).await
    }

    /// A trip over lines of a claim, each named by its need, not sent yet.
    pub async fn trip(&self, claim: ClaimId, lines: &[(NeedId, i64)]) -> ScheduleDelivery {
        let stands = self.claim(claim).await;
        let line = |need: NeedId| stands.lines.iter().find(|l| l.need == need).expect("a line on the need").id;
        let mut lines: Vec<(ClaimLineId, Quantity)> =
            lines.iter().map(|(n, quantity)| (line(*n), q(*quantity))).collect();
        lines.sort_unstable();
        let values = json!({"claim": claim.0, "lines": lines.iter().map(|(l, n)| (l.0, n.get())).collect::<Vec<_>>()});
        ScheduleDelivery {
            author: None,
            keyed: Keyed::new(Scope::Organization(stands.organization), "scheduleDelivery", self.key(), &values),
            claim,
            access: ANY_CLAIM,
            lines,
            scheduled_for: None,
        }
    }

    pub async fn schedules(&self, claim: ClaimId, lines: &[(NeedId, i64)]) -> DeliveryId {
        self.store.execute(self.trip(claim, lines).await).await.expect("the trip is scheduled")
    }

    pub async fn dispatch(&self, id: DeliveryId) -> Result<(), StoreError> {
        self.store.execute(DispatchDelivery { author: None, id, access: ANY_CLAIM }).await
    }

    pub async fn record(&self, id: DeliveryId) -> Result<(), StoreError> {
        self.store.execute(RecordDelivery { author: None, id, access: ANY_CLAIM, note: None }).await
    }

    /// A trip that has handed everything over.
    pub async fn delivers(&self, claim: ClaimId, lines: &[(NeedId, i64)]) -> DeliveryId {
        let id = self.schedules(claim, lines).await;
        self.dispatch(id).await.expect("a scheduled trip is dispatched");
        self.record(id).await.expect("a dispatched trip is recorded");
        id
    }

    pub async fn offers(&self, organization: OrganizationId, item: ItemId, quantity: i64) -> OfferId {
        self.store.execute(self.offer(organization, item, quantity)).await.expect("an offer is taken")
    }

    pub fn offer(&self, organization: OrganizationId, item: ItemId, quantity: i64) -> CreateOffer {
        let values = json!({"item": item.0, "quantity": quantity});
        CreateOffer {
            author: None,
            keyed: Keyed::new(Scope::Organization(organization), "createOffer", self.key(), &values),
            organization,
            item,
            quantity: q(quantity),
            available_from: None,
            available_until: None,
            origin: None,
        }
    }

    /// `(quantity, claimed)`
    pub async fn pledged(&self, id: OfferId) -> (i64, i64) {
        let offer = self.store.offers(&[id]).await.expect("offers are read").pop().expect("the offer is there");
        (offer.quantity.get(), offer.claimed.get())
    }
}

/// A claim's key over its organisation and lines.
pub fn claim_key(organization: OrganizationId, key: &str, lines: &[(NeedId, i64)]) -> Keyed {
    let values = json!({"lines": lines.iter().map(|(need, n)| (need.0, *n)).collect::<Vec<_>>()});
    Keyed::new(Scope::Organization(organization), "claimNeeds", key.to_owned(), &values)
}
