//! A small town behind a running server, and the people who call it, each with a key.
//!
//! Two villages of one district. The near one spans 106.80 to 106.82 E and 6.22 to 6.20 S; its RW 001
//! is the western half, its RW 002 the eastern one; RT 001 and RT 002 of each are the southern and the
//! northern half, and RT 003 of RW 001 has no shape. The far one lies a tenth of a degree east.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use salur::clock::Clock;
use salur::domain::actor::Role;
use salur::domain::area::AreaLevel;
use salur::domain::ids::{AreaId, ItemId, OrganizationId};
use salur::domain::organization::{OrganizationCategory, OrganizationStatus};
use salur::domain::program::ItemKind;
use salur::spatial::{Packed, Shape};
use salur::store::{
    AddOrganization, AddUser, AreaRow, ImportPrograms, IssueKey, NewUser, ProgramRow, PublishAreas, Store,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::app::{App, code_of};
use super::database::TestDatabase;
use super::world::{area_row, code, open};

/// The near village and its areas.
pub const VILLAGE: &str = "31.71.01.1001";
pub const RW_1: &str = "31.71.01.1001.001";
pub const RW_2: &str = "31.71.01.1001.002";
pub const RT_11: &str = "31.71.01.1001.001.001";
pub const RT_12: &str = "31.71.01.1001.001.002";
/// Without a shape.
pub const RT_13: &str = "31.71.01.1001.001.003";
pub const RT_21: &str = "31.71.01.1001.002.001";
pub const RT_22: &str = "31.71.01.1001.002.002";
/// An RT of the far village.
pub const FAR_RT: &str = "31.71.01.1002.001.001";
pub const FAR_VILLAGE: &str = "31.71.01.1002";

/// Program, item.
pub const FOOD: (&str, &str) = ("PANGAN", "paket");
pub const DEVICE: (&str, &str) = ("PENDIDIKAN", "tablet");
pub const CAPITAL: (&str, &str) = ("UMKM", "modal");

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    Anonymous,
    /// Of organisation A.
    DonorA,
    /// Of organisation B, A's mirror image.
    DonorB,
    /// Of the distribution partner.
    Aggregator,
    /// Of an organisation that nobody has verified.
    PendingDonor,
    /// Of the near village.
    Officer,
    /// Of the far village.
    FarOfficer,
    Auditor,
    Admin,
}

impl Who {
    pub const ALL: [Who; 9] = [
        Who::Anonymous,
        Who::DonorA,
        Who::DonorB,
        Who::Aggregator,
        Who::PendingDonor,
        Who::Officer,
        Who::FarOfficer,
        Who::Auditor,
        Who::Admin,
    ];
}

pub struct Town {
    pub app: App,
    pub clock: Clock,
    keys: HashMap<Who, String>,
    /// A, B, the distribution partner.
    pub organizations: [OrganizationId; 3],
    pub areas: HashMap<String, AreaId>,
    pub items: HashMap<String, ItemId>,
    serial: AtomicU64,
    pub db: TestDatabase,
}

/// A box as a polygon in well-known binary.
fn boxed(west: f64, south: f64, east: f64, north: f64) -> Option<Packed> {
    let ring = json!([[west, south], [east, south], [east, north], [west, north], [west, south]]);
    let shape = Shape::from_geojson(&json!({"type": "Polygon", "coordinates": [ring]})).expect("a box is sound");
    Some(Packed::of(&shape.shape))
}

fn area_rows() -> Vec<AreaRow> {
    let row = |text: &str, shape| AreaRow { shape, ..area_row(text) };
    let mut rows: Vec<AreaRow> = ["31", "31.71", "31.71.01"].into_iter().map(area_row).collect();
    for (village, west) in [(VILLAGE, 106.80), (FAR_VILLAGE, 106.90)] {
        rows.push(row(village, boxed(west, -6.22, west + 0.02, -6.20)));
        for (rw, west) in [("001", west), ("002", west + 0.01)] {
            let rw = format!("{village}.{rw}");
            rows.push(row(&rw, boxed(west, -6.22, west + 0.01, -6.20)));
            rows.push(row(&format!("{rw}.001"), boxed(west, -6.22, west + 0.01, -6.21)));
            rows.push(row(&format!("{rw}.002"), boxed(west, -6.21, west + 0.01, -6.20)));
        }
    }
    rows.push(row(RT_13, None));
    rows
}

pub fn program_rows() -> Vec<ProgramRow> {
    let row = |(program, item): (&str, &str), unit: &str, kind| ProgramRow {
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
        row(FOOD, "paket", ItemKind::Food),
        row(DEVICE, "unit", ItemKind::Device),
        row(CAPITAL, "rupiah", ItemKind::Capital),
    ]
}

async fn organization(store: &Store, name: &str, status: OrganizationStatus, aggregator: bool) -> OrganizationId {
    let category = OrganizationCategory::Business;
    let add = AddOrganization { author: None, name: name.into(), category, status, aggregator, home_area: None };
    store.execute(add).await.expect("an organisation is taken")
}

impl Town {
    pub async fn new(db: TestDatabase) -> Town {
        Town::settle(db, true).await
    }

    /// Whose server does nothing but answer, so that what a question costs can be counted.
    pub async fn quiet(db: TestDatabase) -> Town {
        Town::settle(db, false).await
    }

    async fn settle(db: TestDatabase, background: bool) -> Town {
        let clock = Clock::default();
        let store = open(&db, &clock).await;
        store.migrate().await.expect("an empty database is brought into shape");
        let programs = ImportPrograms { author: None, rows: program_rows(), dry_run: false };
        store.execute(programs).await.expect("programs are taken");
        let publish = PublishAreas {
            author: None,
            level: AreaLevel::Rt,
            source: "test".into(),
            rows: area_rows(),
            dry_run: false,
        };
        store.execute(publish).await.expect("areas are taken");
        use OrganizationStatus::{Pending, Verified};
        let a = organization(&store, "Donor A", Verified, false).await;
        let b = organization(&store, "Donor B", Verified, false).await;
        let partner = organization(&store, "Mitra", Verified, true).await;
        let pending = organization(&store, "Donor Baru", Pending, false).await;
        let people = [
            (Who::DonorA, "a@donor.example", Role::Donor, Some(a), None),
            (Who::DonorB, "b@donor.example", Role::Donor, Some(b), None),
            (Who::Aggregator, "mitra@mitra.example", Role::Aggregator, Some(partner), None),
            (Who::PendingDonor, "baru@donor.example", Role::Donor, Some(pending), None),
            (Who::Officer, "dekat@rw.example", Role::AreaOfficer, None, Some(VILLAGE)),
            (Who::FarOfficer, "jauh@rw.example", Role::AreaOfficer, None, Some(FAR_VILLAGE)),
            (Who::Auditor, "auditor@kota.example", Role::Auditor, None, None),
            (Who::Admin, "admin@kota.example", Role::Admin, None, None),
        ];
        let mut keys = HashMap::new();
        for (who, email, role, organization, area) in people {
            let user = NewUser { email: email.into(), role, organization, area: area.map(code) };
            store.execute(AddUser { author: None, user }).await.expect("a user is taken");
            let key = format!("slr_test_{email}");
            let hash = Sha256::digest(key.as_bytes()).into();
            let issue = IssueKey {
                author: None,
                email: email.into(),
                prefix: "slr_test".into(),
                hash,
                expires_days: None,
                label: None,
                scopes: salur::domain::actor::KeyScope::ALL.to_vec(),
            };
            store.execute(issue).await.expect("a key is taken");
            keys.insert(who, key);
        }
        let seen = store.snapshot().await.expect("a snapshot is read");
        Town {
            areas: seen.areas.iter().map(|a| (a.code.to_string(), a.id)).collect(),
            items: seen.items.iter().map(|i| (i.key.clone(), i.id)).collect(),
            app: App::begin(store, background).await,
            clock,
            keys,
            organizations: [a, b, partner],
            serial: AtomicU64::new(0),
            db,
        }
    }

    pub fn key_of(&self, who: Who) -> Option<&str> {
        self.keys.get(&who).map(String::as_str)
    }

    pub fn store(&self) -> &Store {
        self.app.service.store()
    }

    /// A word that nobody has used.
    pub fn fresh(&self) -> String {
        format!("fresh-{}", self.serial.fetch_add(1, Ordering::Relaxed))
    }

    /// The whole answer.
    pub async fn ask(&self, who: Who, query: &str, variables: Value) -> Value {
        self.app.ask(self.key_of(who), query, variables).await
    }

    /// The data of an answer without errors.
    pub async fn data(&self, who: Who, query: &str, variables: Value) -> Value {
        let mut answer = self.ask(who, query, variables).await;
        assert!(answer.get("errors").is_none(), "{who:?} {query}: {answer}");
        answer["data"].take()
    }

    /// The code of an answer that is one error.
    pub async fn code(&self, who: Who, query: &str, variables: Value) -> String {
        let answer = self.ask(who, query, variables).await;
        let code = code_of(&answer);
        assert!(!code.is_empty(), "{who:?} {query} should have been refused: {answer}");
        code
    }

    /// A REPORTED need: its id and version.
    pub async fn reports(&self, area: &str, of: (&str, &str), required: i64, severity: i64) -> (String, String) {
        self.reports_for(area, of, required, severity, "2020-04").await
    }

    /// As `reports`, for a month written `2020-04`.
    pub async fn reports_for(
        &self,
        area: &str,
        (program, item): (&str, &str),
        required: i64,
        severity: i64,
        month: &str,
    ) -> (String, String) {
        let input = json!({"idempotencyKey": self.fresh(), "areaCode": area, "program": program, "item": item,
            "periodStart": format!("{month}-01"), "periodEnd": format!("{month}-28"), "required": required,
            "severity": severity});
        let query = "mutation($input: ReportNeedInput!) { reportNeed(input: $input) { id version status } }";
        // Nobody verifies what they have reported.
        let who = if area.starts_with(FAR_VILLAGE) { Who::FarOfficer } else { Who::Officer };
        let need = self.data(who, query, json!({"input": input})).await;
        assert_eq!(need["reportNeed"]["status"], "REPORTED");
        (text(&need["reportNeed"]["id"]), text(&need["reportNeed"]["version"]))
    }

    pub async fn verifies(&self, ids: &[&str]) {
        let query = "mutation($ids: [ID!]!) { verifyNeeds(ids: $ids) { status } }";
        self.data(Who::Admin, query, json!({"ids": ids})).await;
    }

    /// A VERIFIED need.
    pub async fn need(&self, area: &str, of: (&str, &str), required: i64) -> String {
        let (id, _) = self.reports(area, of, required, 3).await;
        self.verifies(&[&id]).await;
        id
    }

    /// What stands of a need, as an admin sees it.
    pub async fn stands(&self, need: &str) -> Value {
        let query = "query($id: ID!) { node(id: $id) { ... on Need {
            id required allocated delivered unmet severity status service version } } }";
        self.data(Who::Admin, query, json!({"id": need})).await["node"].take()
    }

    /// Asks for quantities of needs; what `claimNeeds` answers, claim or refusal.
    pub async fn claims(&self, who: Who, lines: &[(&str, i64)], more: Value) -> Value {
        let mut input = json!({"idempotencyKey": self.fresh(), "lines": claim_lines(lines)});
        for (name, value) in more.as_object().expect("more fields of an input") {
            input[name] = value.clone();
        }
        self.data(who, CLAIM, json!({"input": input})).await["claimNeeds"].take()
    }

    /// An accepted claim.
    pub async fn holds(&self, who: Who, lines: &[(&str, i64)], more: Value) -> Value {
        let mut answer = self.claims(who, lines, more).await;
        assert_eq!(answer["__typename"], "ClaimAccepted", "{answer}");
        answer["claim"].take()
    }

    /// A confirmed claim.
    pub async fn promises(&self, who: Who, lines: &[(&str, i64)], more: Value) -> Value {
        let claim = self.holds(who, lines, more).await;
        self.data(who, "mutation($id: ID!) { confirmClaim(id: $id) { status } }", json!({"id": claim["id"]})).await;
        claim
    }

    /// A trip over lines of a claim: its id.
    pub async fn schedules(&self, who: Who, claim: &Value, lines: &[(&Value, i64)]) -> String {
        let lines: Vec<Value> =
            lines.iter().map(|(line, quantity)| json!({"claimLineId": line, "quantity": quantity})).collect();
        let input = json!({"idempotencyKey": self.fresh(), "claimId": claim["id"], "lines": lines,
            "scheduledFor": "2020-04-10"});
        let query = "mutation($input: ScheduleDeliveryInput!) { scheduleDelivery(input: $input) { id status } }";
        let made = self.data(who, query, json!({"input": input})).await;
        assert_eq!(made["scheduleDelivery"]["status"], "SCHEDULED");
        text(&made["scheduleDelivery"]["id"])
    }

    /// A trip that has handed everything over.
    pub async fn delivers(&self, who: Who, claim: &Value, lines: &[(&Value, i64)]) -> String {
        let id = self.schedules(who, claim, lines).await;
        for (step, status) in [("dispatchDelivery", "IN_TRANSIT"), ("recordDelivery", "DELIVERED")] {
            let query = format!("mutation($id: ID!) {{ {step}(id: $id) {{ status }} }}");
            assert_eq!(self.data(who, &query, json!({"id": id})).await[step]["status"], status);
        }
        id
    }

    /// Panics where the database's sums do not add up.
    pub async fn check_books(&self) {
        let odd = self.store().recount().await.expect("the recount runs");
        assert!(odd.is_empty(), "the recount finds {odd:?}");
    }
}

pub const CLAIM: &str = "mutation($input: ClaimNeedsInput!) { claimNeeds(input: $input) {
    __typename
    ... on ClaimAccepted { replayed claim { id status expiresAt version offer { id claimed remaining }
        lines { id quantity delivered status need { id } } } }
    ... on ClaimRefused { replayed refusals { needId requested free reason freesAt } } } }";

pub fn claim_lines(lines: &[(&str, i64)]) -> Value {
    lines.iter().map(|(need, quantity)| json!({"needId": need, "quantity": quantity})).collect()
}

/// A JSON text's content.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
