//! Writes the demo city and its story into an empty database.
//!
//! One transaction, made of the commands that everybody uses: it leaves the whole city or nothing.
//! What it writes depends on the day alone.

use super::imports::overlap_rule;
use crate::demo::story::{DemoClaim, DemoClaimState, DemoDelivery, DemoNeed};
use crate::demo::{BadSeed, DemoArea, PROGRAMS_CSV, RULES_JSON, Story, city, story};
use crate::domain::area::{AreaCode, AreaLevel};
use crate::domain::calendar::Moment;
use crate::domain::claim::ClaimLine;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::ids::{AreaId, ClaimId, DeliveryId, ItemId, NeedId, OfferId, OrganizationId, ProgramId, UserId};
use crate::domain::organization::OrganizationCategory;
use crate::domain::program::HoldRules;
use crate::domain::quantity::Quantity;
use crate::domain::rules::OnConflict;
use crate::import::{
    ImportError, KnownItem, KnownProgram, PlannedRule, ProgramPlan, Reference, SourceFile, plan_programs, read_rules,
};
use crate::spatial::{Packed, Shape, ShapeError};
use crate::store::{
    AcknowledgeDelivery, AddOrganization, AddUser, Answer, AreaRow, Author, CancelDelivery, ClaimAccess, ClaimOutcome,
    Command, ConfirmClaim, CreateOffer, DispatchDelivery, ExpireDue, ImportDistributions, ImportNeeds, ImportPrograms,
    ImportRules, Keyed, NewUser, OpenClaim, OpeningNeed, OutsideAid, ProgramRow, PublishAreas, RecordDelivery,
    ReleaseClaim, ScheduleDelivery, Scope, Store, StoreError, Tx,
};
use serde_json::json;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// The source that the story's outside aid is written under.
const SOURCE: &str = "demo";

/// The user whose presence, with aid of [`SOURCE`], tells a demo from other data.
const ADMIN: &str = "admin@demo.example";

/// Claims after which the planner looks at the tables again.
const REFRESH: usize = 64;

/// Users of the demo whom a visitor may sign in as, one for each role.
pub const VISITORS: [&str; 5] =
    ["donor@demo.example", "agregator@demo.example", "rw@demo.example", "auditor@demo.example", ADMIN];

#[derive(Debug, thiserror::Error)]
pub enum DemoFailure {
    #[error(transparent)]
    Seed(#[from] BadSeed),
    #[error(transparent)]
    File(#[from] ImportError),
    #[error("a shape of the demo city is unsound: {0}")]
    Shape(#[from] ShapeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the database holds other data already; name an empty one, for example --database sqlite://demo.db")]
    OtherData,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Filled {
        areas: usize,
        needs: usize,
        claims: usize,
    },
    /// The demo is there already; nothing was changed.
    Stands,
}

/// Told what is being done, how much of it is done and how much there is.
pub type Progress = Arc<dyn Fn(&str, u64, u64) + Send + Sync>;

/// Fills an empty database with the demo city as it stands today, by the database's clock.
pub async fn fill(store: &Store, progress: Progress) -> Result<Outcome, DemoFailure> {
    if !store.is_empty().await? {
        let demo = store.user_by_email(ADMIN).await?.is_some() && !store.aid_of_source(SOURCE).await?.is_empty();
        return if demo { Ok(Outcome::Stands) } else { Err(DemoFailure::OtherData) };
    }
    progress("drawing the city", 0, 1);
    let areas = city()?;
    let story = story(&areas, store.now().await?.day())?;
    let (programs, rules) = programs_and_rules()?;
    let areas = areas.into_iter().map(area_row).collect::<Result<Vec<_>, _>>()?;
    let outcome = Outcome::Filled { areas: areas.len(), needs: story.needs.len(), claims: story.claims.len() };
    store.execute(Fill { areas, story, programs, rules, progress }).await?;
    Ok(outcome)
}

fn area_row(area: DemoArea) -> Result<AreaRow, ShapeError> {
    let label = (area.level >= AreaLevel::Rw).then(|| area.name.clone());
    Ok(AreaRow {
        shape: Some(Packed::of(&Shape::from_sound(&area.shape)?)),
        code: area.code,
        name: area.name,
        label,
        point: Some(area.point),
        generated: true,
        households: Some(area.households),
        poor_households: Some(area.poor_households),
        bps_code: area.bps_code,
    })
}

fn programs_and_rules() -> Result<(Vec<ProgramRow>, Vec<PlannedRule>), ImportError> {
    let file = SourceFile::new("seed/programs.csv", PROGRAMS_CSV.as_bytes().to_vec())?;
    let (ProgramPlan { programs, items }, _) = plan_programs(&[file], &Reference::default())?;
    let rows = items
        .iter()
        .filter_map(|item| {
            let program = programs.iter().find(|p| p.key == item.program_key)?;
            Some(super::imports::program_row(program, item))
        })
        .collect();
    let known_programs = programs.into_iter().map(KnownProgram::from);
    let known_items = items.into_iter().map(|i| KnownItem {
        program_key: i.program_key,
        key: i.key,
        name_id: i.name_id,
        name_en: i.name_en,
        unit: i.unit,
        kind: i.kind,
    });
    let reference = Reference::default().with_items(known_programs, known_items);
    let rules = SourceFile::new("seed/rules.json", RULES_JSON.as_bytes().to_vec())?;
    Ok((rows, read_rules(&rules, &reference)?))
}

struct Fill {
    areas: Vec<AreaRow>,
    story: Story,
    programs: Vec<ProgramRow>,
    rules: Vec<PlannedRule>,
    progress: Progress,
}

/// Ids of what the story points at by index.
struct Written {
    areas: HashMap<AreaCode, AreaId>,
    items: HashMap<String, (ProgramId, ItemId)>,
    organizations: Vec<OrganizationId>,
    users: Vec<UserId>,
    admin: Author,
    offers: Vec<OfferId>,
    /// By the need's index.
    needs: Vec<Option<NeedId>>,
}

impl Command for Fill {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        tx.take_your_time().await?;
        let mut written = self.places_and_people(tx).await?;
        // Holds that have run out were made when their needs were free, so they come first. Their
        // two seconds pass while everything else is entered.
        let lapsed = |c: &DemoClaim| c.state == DemoClaimState::Expired;
        let early: BTreeSet<usize> =
            self.story.claims.iter().filter(|c| lapsed(c)).flat_map(|c| &c.lines).map(|l| l.need).collect();
        self.needs(tx, &mut written, |need| early.contains(&need)).await?;
        self.offers(tx, &mut written).await?;
        for (number, claim) in self.story.claims.iter().enumerate().filter(|(_, c)| lapsed(c)) {
            self.claim(tx, &written, number, claim).await?;
        }
        let due = tx.now().await?.plus_seconds(HoldRules::MIN_SECONDS);
        self.needs(tx, &mut written, |need| !early.contains(&need)).await?;
        wait_until(tx, due).await?;
        let count = self.story.claims.len() as u64;
        for (number, claim) in self.story.claims.iter().enumerate().filter(|(_, c)| !lapsed(c)) {
            (self.progress)("claims and deliveries", number as u64, count);
            if number.is_multiple_of(REFRESH) {
                tx.refresh_plans().await?;
            }
            self.claim(tx, &written, number, claim).await?;
        }
        self.outside_aid(tx, &written).await?;
        ExpireDue { most: i64::MAX }.run(tx).await.map(|_| ())
    }
}

/// Waits for a moment of the database's clock.
async fn wait_until(tx: &mut Tx, due: Moment) -> Result<(), StoreError> {
    loop {
        let left = due.0 - tx.now().await?.0;
        if left <= 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_micros(left.unsigned_abs())).await;
    }
}

fn unknown(what: &'static str) -> StoreError {
    StoreError::Fault(format!("the demo's story points at an unknown {what}"))
}

fn at<T: Copy>(list: &[T], index: usize, what: &'static str) -> Result<T, StoreError> {
    list.get(index).copied().ok_or_else(|| unknown(what))
}

impl Fill {
    async fn places_and_people(&self, tx: &mut Tx) -> Result<Written, StoreError> {
        (self.progress)("areas", 0, 1);
        let areas = PublishAreas {
            author: None,
            level: AreaLevel::Rt,
            source: "demo city, shapes generated".into(),
            rows: self.areas.clone(),
            dry_run: false,
        };
        areas.run(tx).await?;
        ImportPrograms { author: None, rows: self.programs.clone(), dry_run: false }.run(tx).await?;
        let (areas, items, programs) = (tx.area_ids().await?, tx.item_ids().await?, tx.program_ids().await?);
        let mut rules = Vec::new();
        for rule in &self.rules {
            let program = |key: &str| programs.get(key).copied();
            let item = |key: &str| items.get(key).map(|(_, item)| *item);
            rules.push(overlap_rule(rule, program, item).map_err(StoreError::Fault)?);
        }
        ImportRules { author: None, rules, dry_run: false }.run(tx).await?;
        let mut organizations = Vec::new();
        for organization in &self.story.organizations {
            let add = AddOrganization {
                author: None,
                name: organization.name.clone(),
                category: organization.category,
                status: organization.status,
                aggregator: organization.aggregator,
                home_area: None,
            };
            organizations.push(add.run(tx).await?);
        }
        let mut users = Vec::new();
        let mut admin = None;
        for user in &self.story.users {
            let organization = user.organization.map(|o| at(&organizations, o, "organisation")).transpose()?;
            let mut id = None;
            for role in &user.roles {
                let user = NewUser { email: user.email.clone(), role: *role, organization, area: user.area.clone() };
                id = Some(AddUser { author: None, user }.run(tx).await?);
            }
            admin = admin.or(id.filter(|_| user.email == ADMIN));
            users.push(id.ok_or_else(|| unknown("role"))?);
        }
        let needs = vec![None; self.story.needs.len()];
        Ok(Written { areas, items, organizations, users, admin, offers: Vec::new(), needs })
    }

    /// Enters the needs whose index is `wanted`.
    async fn needs(
        &self,
        tx: &mut Tx,
        written: &mut Written,
        wanted: impl Fn(usize) -> bool,
    ) -> Result<(), StoreError> {
        (self.progress)("needs", 0, 1);
        let chosen = || self.story.needs.iter().enumerate().filter(|(index, _)| wanted(*index));
        let rows = chosen().map(|(row, need)| opening(row, need, written)).collect::<Result<Vec<_>, _>>()?;
        let import = ImportNeeds { author: written.admin, rows, accept_rejects: false, dry_run: false };
        let report = import.run(tx).await?;
        if let Some((row, reason)) = report.rejected.first() {
            return Err(StoreError::Fault(format!("need {row} of the demo's story: {reason}")));
        }
        let ids = tx.need_ids().await?;
        for (index, need) in chosen() {
            written.needs[index] = ids.get(&need.external_id).copied();
        }
        Ok(())
    }

    async fn offers(&self, tx: &mut Tx, written: &mut Written) -> Result<(), StoreError> {
        for (number, offer) in self.story.offers.iter().enumerate() {
            let organization = at(&written.organizations, offer.organization, "organisation")?;
            let user = self.story.users.iter().position(|u| u.organization == Some(offer.organization));
            let create = CreateOffer {
                author: user.and_then(|u| written.users.get(u).copied()),
                keyed: keyed(organization, "demo.offer", format!("demo/offer/{number}")),
                organization,
                item: written.items.get(offer.item).map(|(_, item)| *item).ok_or_else(|| unknown("item"))?,
                quantity: offer.quantity,
                available_from: Some(offer.available_from),
                available_until: Some(offer.available_until),
                origin: Some(offer.origin),
            };
            written.offers.push(create.run(tx).await?);
        }
        Ok(())
    }

    async fn claim(&self, tx: &mut Tx, written: &Written, number: usize, claim: &DemoClaim) -> Result<(), StoreError> {
        let organization = at(&written.organizations, claim.organization, "organisation")?;
        let executor = at(&written.organizations, claim.executor, "organisation")?;
        let author = Some(at(&written.users, claim.created_by, "user")?);
        let need = |index: usize| at(&written.needs, index, "need")?.ok_or_else(|| unknown("need"));
        let mut lines: Vec<(NeedId, Quantity)> =
            claim.lines.iter().map(|l| Ok((need(l.need)?, l.quantity))).collect::<Result<_, StoreError>>()?;
        lines.sort_unstable_by_key(|(need, _)| *need);
        let (hold_seconds, on_conflict) = match claim.state {
            DemoClaimState::Held { hold_seconds } => (Some(hold_seconds), OnConflict::Refuse),
            // It comes before its time, see above, and may meet another that does.
            DemoClaimState::Expired => (Some(HoldRules::MIN_SECONDS), OnConflict::TakeFree),
            DemoClaimState::Confirmed | DemoClaimState::Released => (None, OnConflict::Refuse),
        };
        let open = OpenClaim {
            author,
            keyed: keyed(organization, "demo.claim", format!("demo/claim/{number}")),
            organization,
            executor: Some(executor),
            offer: claim.offer.map(|o| at(&written.offers, o, "offer")).transpose()?,
            lines,
            on_conflict,
            hold_seconds,
        };
        let id = match open.run(tx).await? {
            ClaimOutcome::Accepted { claim, .. } => claim,
            ClaimOutcome::Refused { refusals, .. } => {
                let why = refusals.first().map(|r| format!("{} on {}", r.reason.word(), r.need)).unwrap_or_default();
                return Err(StoreError::Fault(format!("claim {number} of the demo's story was refused: {why}")));
            }
        };
        let access = ClaimAccess { organization: Some(organization) };
        match claim.state {
            DemoClaimState::Held { .. } | DemoClaimState::Expired => return Ok(()),
            DemoClaimState::Released => return ReleaseClaim { author, id, access, reason: None }.run(tx).await,
            DemoClaimState::Confirmed => ConfirmClaim { author, id, access }.run(tx).await?,
        }
        if claim.deliveries.is_empty() {
            return Ok(());
        }
        let held: HashMap<NeedId, ClaimLine> =
            tx.lines_of_claim(id).await?.into_iter().map(|line| (line.need, line)).collect();
        let mut lines = Vec::with_capacity(claim.lines.len());
        for line in &claim.lines {
            lines.push(*held.get(&need(line.need)?).ok_or_else(|| unknown("claim line"))?);
        }
        let carrier = self.story.users.iter().position(|u| u.organization == Some(claim.executor));
        let trip = Trips {
            claim: id,
            lines,
            organization: executor,
            author: carrier.and_then(|u| written.users.get(u).copied()).or(author),
            admin: written.admin,
        };
        for (stop, delivery) in claim.deliveries.iter().enumerate() {
            trip.make(tx, format!("demo/claim/{number}/trip/{stop}"), delivery).await?;
        }
        Ok(())
    }

    async fn outside_aid(&self, tx: &mut Tx, written: &Written) -> Result<(), StoreError> {
        (self.progress)("aid from outside", 0, 1);
        let mut rows = Vec::new();
        for aid in &self.story.distributions {
            rows.push(OutsideAid {
                external_id: aid.external_id.clone(),
                organization: aid.organization.to_owned(),
                area: *written.areas.get(&aid.area_code).ok_or_else(|| unknown("area"))?,
                item: written.items.get(aid.item).map(|(_, item)| *item).ok_or_else(|| unknown("item"))?,
                quantity: aid.quantity,
                period: aid.period,
            });
        }
        let import = ImportDistributions {
            author: written.admin,
            source: SOURCE.into(),
            category: OrganizationCategory::CivilSociety,
            rows,
            dry_run: false,
        };
        import.run(tx).await.map(|_| ())
    }
}

fn opening(row: usize, need: &DemoNeed, written: &Written) -> Result<OpeningNeed, StoreError> {
    let (program, item) = *written.items.get(need.item).ok_or_else(|| unknown("item"))?;
    Ok(OpeningNeed {
        row,
        external_id: Some(need.external_id.clone()),
        area: *written.areas.get(&need.area_code).ok_or_else(|| unknown("area"))?,
        program,
        item,
        period: need.period,
        required: need.required,
        severity: need.severity,
        status: need.status,
        allocated: Quantity::ZERO,
        delivered: Quantity::ZERO,
    })
}

fn keyed(organization: OrganizationId, operation: &'static str, key: String) -> Keyed {
    let content = json!(key);
    Keyed::new(Scope::Organization(organization), operation, key, &content)
}

/// The trips of one claim.
struct Trips {
    claim: ClaimId,
    /// In the story's order.
    lines: Vec<ClaimLine>,
    /// Who drives.
    organization: OrganizationId,
    author: Author,
    /// Answers for the areas.
    admin: Author,
}

impl Trips {
    async fn make(&self, tx: &mut Tx, key: String, trip: &DemoDelivery) -> Result<(), StoreError> {
        let (author, access) = (self.author, ClaimAccess { organization: Some(self.organization) });
        let line = |index: usize| self.lines.get(index).map(|l| l.id).ok_or_else(|| unknown("claim line"));
        let mut lines =
            trip.lines.iter().map(|l| Ok((line(l.line)?, l.quantity))).collect::<Result<Vec<_>, StoreError>>()?;
        lines.sort_unstable_by_key(|(line, _)| *line);
        let schedule = ScheduleDelivery {
            author,
            keyed: keyed(self.organization, "demo.delivery", key),
            claim: self.claim,
            access,
            lines,
            scheduled_for: Some(trip.scheduled_for),
        };
        let id: DeliveryId = schedule.run(tx).await?;
        match trip.state {
            DeliveryStatus::Scheduled => return Ok(()),
            DeliveryStatus::Cancelled => {
                let reason = "Truk mogok (contoh)".into();
                return CancelDelivery { author, id, access, reason }.run(tx).await;
            }
            _ => DispatchDelivery { author, id, access }.run(tx).await?,
        }
        if trip.state == DeliveryStatus::InTransit {
            return Ok(());
        }
        RecordDelivery { author, id, access, note: None }.run(tx).await?;
        if trip.state == DeliveryStatus::Delivered {
            return Ok(());
        }
        let mut answers = Vec::with_capacity(trip.lines.len());
        for stop in &trip.lines {
            answers.push(Answer {
                line: line(stop.line)?,
                accepted: stop.quantity.saturating_sub(stop.rejected),
                rejected: stop.rejected,
                note: None,
            });
        }
        AcknowledgeDelivery { author: self.admin, id, area: None, answers }.run(tx).await
    }
}
