//! What has happened in the demo city by the day it is opened: who gives, what is needed where,
//! what is promised, under way, handed over, refused at the door, and given past the ledger.
//!
//! Plain data. Records point at each other by their index in the story's lists. All of it keeps
//! the ledger's rules, so that writing it needs no exception: no need is promised more than it
//! requires, no delivery brings more than was promised, no offer gives more than it holds.

use super::city::DemoArea;
use super::{BadSeed, Draw, ORGANIZATIONS_CSV, noise, read_rows};
use crate::domain::actor::Role;
use crate::domain::area::{AreaCode, AreaLevel};
use crate::domain::calendar::{Day, Period};
use crate::domain::delivery::DeliveryStatus;
use crate::domain::need::{NeedStatus, Severity};
use crate::domain::organization::{OrganizationCategory, OrganizationStatus};
use crate::domain::place::LonLat;
use crate::domain::quantity::Quantity;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq)]
pub struct Story {
    pub organizations: Vec<DemoOrganization>,
    pub users: Vec<DemoUser>,
    /// By area code, then in the order of the programs' file.
    pub needs: Vec<DemoNeed>,
    pub offers: Vec<DemoOffer>,
    /// In the order in which they were made.
    pub claims: Vec<DemoClaim>,
    pub distributions: Vec<DemoDistribution>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoOrganization {
    pub name: String,
    pub category: OrganizationCategory,
    pub status: OrganizationStatus,
    pub aggregator: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoUser {
    /// Always under `demo.example`, where no mail can arrive.
    pub email: String,
    pub roles: Vec<Role>,
    pub organization: Option<usize>,
    pub area: Option<AreaCode>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoNeed {
    pub external_id: String,
    pub area_code: AreaCode,
    /// Keys as in the programs' file.
    pub program: &'static str,
    pub item: &'static str,
    pub period: Period,
    /// Never zero.
    pub required: Quantity,
    pub severity: Severity,
    pub status: NeedStatus,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DemoOffer {
    pub organization: usize,
    pub item: &'static str,
    pub quantity: Quantity,
    /// What held and confirmed claims take of it.
    pub claimed: Quantity,
    pub origin: LonLat,
    pub available_from: Day,
    pub available_until: Day,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoClaim {
    pub organization: usize,
    /// The organisation itself or an aggregator.
    pub executor: usize,
    /// A user of the organisation.
    pub created_by: usize,
    pub created_on: Day,
    pub offer: Option<usize>,
    /// Ascending by need, one line per need.
    pub lines: Vec<DemoClaimLine>,
    pub state: DemoClaimState,
    pub deliveries: Vec<DemoDelivery>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoClaimLine {
    pub need: usize,
    pub quantity: Quantity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemoClaimState {
    /// Runs out so long after the story is written.
    Held {
        hold_seconds: i64,
    },
    Confirmed,
    Released,
    Expired,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoDelivery {
    pub scheduled_for: Day,
    pub state: DeliveryStatus,
    /// Ascending by claim line.
    pub lines: Vec<DemoDeliveryLine>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoDeliveryLine {
    /// Index into the claim's lines.
    pub line: usize,
    pub quantity: Quantity,
    /// What did not arrive whole; more than zero only where the delivery is disputed.
    pub rejected: Quantity,
}

/// Aid given outside Salur.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoDistribution {
    pub external_id: String,
    pub organization: &'static str,
    pub area_code: AreaCode,
    pub item: &'static str,
    pub quantity: Quantity,
    pub period: Period,
}

/// The story of the city as it stands on `today`. Needs run in the quarter of that day, so the
/// same day tells the same story.
pub fn story(areas: &[DemoArea], today: Day) -> Result<Story, BadSeed> {
    let organizations = organizations()?;
    let users = users(&organizations);
    let (needs, places) = needs(areas, today)?;
    let mut teller = Teller::new(areas, organizations, users, needs, places, today);
    for (item, number) in CAMPAIGNS.iter().flat_map(|plan| (0..plan.times).map(move |n| (plan, n))) {
        teller.campaign(item, number);
    }
    teller.second_helpers();
    teller.open_offers();
    teller.distributions();
    teller.officers();
    Ok(teller.story)
}

// ------------------------------------------------------------------- who takes part, and what

#[derive(Debug, Deserialize)]
struct OrganizationRow {
    name: String,
    category: String,
    status: String,
    aggregator: String,
}

fn organizations() -> Result<Vec<DemoOrganization>, BadSeed> {
    const FILE: &str = "organizations.csv";
    let rows: Vec<OrganizationRow> = read_rows(FILE, ORGANIZATIONS_CSV)?;
    rows.into_iter()
        .map(|row| {
            let category = OrganizationCategory::from_word(&row.category);
            let status = OrganizationStatus::from_word(&row.status);
            let (Some(category), Some(status)) = (category, status) else {
                return Err(BadSeed::new(FILE, format!("{} has no known category and status", row.name)));
            };
            Ok(DemoOrganization { name: row.name, category, status, aggregator: row.aggregator == "yes" })
        })
        .collect()
}

/// One user per verified organisation, and those who belong to none. Officers get their areas
/// once it is known where something happens.
fn users(organizations: &[DemoOrganization]) -> Vec<DemoUser> {
    let user = |name: &str, role, organization| DemoUser {
        email: format!("{name}@demo.example"),
        roles: vec![role],
        organization,
        area: None,
    };
    let mut users = vec![
        user("admin", Role::Admin, None),
        user("auditor", Role::Auditor, None),
        user("rw", Role::AreaOfficer, None),
        user("kelurahan", Role::AreaOfficer, None),
    ];
    let (mut donors, mut aggregators) = (0, 0);
    for (i, organization) in organizations.iter().enumerate() {
        if organization.status != OrganizationStatus::Verified {
            continue;
        }
        let (word, role, number) = if organization.aggregator {
            ("agregator", Role::Aggregator, &mut aggregators)
        } else {
            ("donor", Role::Donor, &mut donors)
        };
        *number += 1;
        let name = if *number == 1 { word.to_string() } else { format!("{word}-{number:02}") };
        users.push(user(&name, role, Some(i)));
    }
    users
}

// ------------------------------------------------------------------------------------- needs

/// Where an item is needed: in which areas, in how many of a hundred of them, and how much.
struct Wanted {
    program: &'static str,
    item: &'static str,
    level: AreaLevel,
    percent: u64,
    floods_only: bool,
    span: Span,
    amount: fn(&DemoArea, &mut Draw) -> i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Span {
    Quarter,
    LastQuarter,
    Year,
}

const FLOODS: bool = true;
const ANYWHERE: bool = false;

/// Every item of the programs' file, in its order.
const WANTED: [Wanted; 24] = [
    wanted("PANGAN", "SEMBAKO", AreaLevel::Rt, 100, ANYWHERE, Span::Quarter, |a, _| a.poor_households),
    wanted("PANGAN", "MAKANAN_SIAP_SAJI", AreaLevel::Rt, 55, FLOODS, Span::Quarter, |a, _| a.poor_households * 6),
    wanted("PANGAN", "PAKET_LEBARAN", AreaLevel::Rt, 10, ANYWHERE, Span::LastQuarter, |a, _| a.poor_households),
    wanted("PANGAN", "PAKET_GIZI_BALITA", AreaLevel::Rt, 10, ANYWHERE, Span::Quarter, |a, _| a.poor_households / 4),
    wanted("UMKM", "PELATIHAN_UMKM", AreaLevel::Rw, 100, ANYWHERE, Span::Quarter, |a, d| {
        5 + a.poor_households / 12 + d.whole(0, 5)
    }),
    wanted("UMKM", "FASILITAS_UMKM", AreaLevel::Rw, 25, ANYWHERE, Span::Year, |_, d| d.whole(1, 5)),
    wanted("UMKM", "MODAL_UMKM", AreaLevel::Rw, 60, ANYWHERE, Span::Year, |a, d| {
        2_500_000 * (a.poor_households / 40 + d.whole(1, 4))
    }),
    wanted("UMKM", "BAHAN_BAKU", AreaLevel::Rw, 50, ANYWHERE, Span::Quarter, |a, d| {
        a.poor_households / 20 + d.whole(1, 6)
    }),
    wanted("UMKM", "PEMASARAN_UMKM", AreaLevel::Rw, 15, ANYWHERE, Span::Quarter, |_, d| d.whole(3, 15)),
    wanted("PENDIDIKAN", "SMARTPHONE", AreaLevel::Rt, 30, ANYWHERE, Span::Year, |a, d| {
        a.poor_households / 4 + d.whole(0, 3)
    }),
    wanted("PENDIDIKAN", "TABLET", AreaLevel::Rt, 33, ANYWHERE, Span::Year, |a, d| {
        a.poor_households / 5 + d.whole(0, 3)
    }),
    wanted("PENDIDIKAN", "LAPTOP", AreaLevel::Village, 90, ANYWHERE, Span::Year, |_, d| d.whole(5, 40)),
    wanted("PENDIDIKAN", "KOMPUTER", AreaLevel::Village, 80, ANYWHERE, Span::Year, |_, d| d.whole(5, 30)),
    wanted("PERMUKIMAN", "PENGHIJAUAN", AreaLevel::Rw, 60, FLOODS, Span::Year, |_, d| 50 * d.whole(1, 12)),
    wanted("PERMUKIMAN", "SANITASI", AreaLevel::Rw, 80, FLOODS, Span::Year, |a, d| {
        a.poor_households / 60 + d.whole(1, 3)
    }),
    wanted("PERMUKIMAN", "SALURAN_AIR", AreaLevel::Rw, 90, FLOODS, Span::Year, |_, d| 25 * d.whole(2, 24)),
    wanted("PERMUKIMAN", "SARANA_WARGA", AreaLevel::Rw, 35, FLOODS, Span::Year, |_, d| d.whole(1, 3)),
    wanted("PERSAMPAHAN", "TEMPAT_SAMPAH_TERPILAH", AreaLevel::Rw, 70, ANYWHERE, Span::Year, |a, d| {
        a.households / 60 + d.whole(2, 10)
    }),
    wanted("PERSAMPAHAN", "GEROBAK_SAMPAH", AreaLevel::Rw, 40, ANYWHERE, Span::Year, |_, d| d.whole(1, 4)),
    wanted("PERSAMPAHAN", "KOMPOSTER", AreaLevel::Rt, 5, ANYWHERE, Span::Year, |_, d| d.whole(1, 4)),
    wanted("PERSAMPAHAN", "BANK_SAMPAH", AreaLevel::Village, 80, ANYWHERE, Span::Year, |_, d| d.whole(1, 3)),
    wanted("KETENAGAKERJAAN", "PELATIHAN_KERJA", AreaLevel::Village, 100, ANYWHERE, Span::Quarter, |a, d| {
        a.poor_households / 60 + d.whole(5, 25)
    }),
    wanted("KETENAGAKERJAAN", "PENEMPATAN_KERJA", AreaLevel::Village, 100, ANYWHERE, Span::Year, |a, d| {
        a.poor_households / 80 + d.whole(5, 20)
    }),
    wanted("KETENAGAKERJAAN", "PADAT_KARYA", AreaLevel::Rw, 50, FLOODS, Span::Quarter, |a, d| {
        a.poor_households / 5 + 10 * d.whole(2, 8)
    }),
];

const fn wanted(
    program: &'static str,
    item: &'static str,
    level: AreaLevel,
    percent: u64,
    floods_only: bool,
    span: Span,
    amount: fn(&DemoArea, &mut Draw) -> i64,
) -> Wanted {
    Wanted { program, item, level, percent, floods_only, span, amount }
}

/// The needs and, beside each, where its area lies.
fn needs(areas: &[DemoArea], today: Day) -> Result<(Vec<DemoNeed>, Vec<LonLat>), BadSeed> {
    let spans = Spans::around(today)?;
    let mut needs = Vec::with_capacity(85_000);
    let mut places = Vec::with_capacity(85_000);
    for area in areas {
        let mut draw = Draw::keyed(71, area.code.as_str());
        for w in WANTED.iter().filter(|w| w.level == area.level) {
            if w.floods_only && area.flood_prone != Some(true) || !draw.percent(w.percent) {
                continue;
            }
            let amount = (w.amount)(area, &mut draw);
            let status = match draw.whole(1, 100) {
                _ if w.span == Span::LastQuarter => NeedStatus::Closed,
                1..=2 => NeedStatus::Reported,
                3 => NeedStatus::Closed,
                _ => NeedStatus::Verified,
            };
            let sway = if w.level == AreaLevel::Rt { 0 } else { draw.whole(-1, 1) };
            let level = 1 + poverty_band(area) + i64::from(w.floods_only) + sway;
            let severity = Severity::new(level.clamp(1, 5));
            let (Some(severity), Ok(required)) = (severity, Quantity::new(amount)) else { continue };
            if required.is_zero() {
                continue;
            }
            let period = spans.of(w.span);
            let external_id = format!("demo/{}/{}/{}", w.item, area.code, period.start);
            let (program, item, area_code) = (w.program, w.item, area.code.clone());
            needs.push(DemoNeed { external_id, area_code, program, item, period, required, severity, status });
            places.push(area.point);
        }
    }
    Ok((needs, places))
}

/// 0 to 4, by the share of poor households.
fn poverty_band(area: &DemoArea) -> i64 {
    let share = area.poor_households * 100 / area.households.max(1);
    [11, 18, 25, 31].iter().filter(|limit| share >= **limit).count() as i64
}

struct Spans {
    quarter: Period,
    last_quarter: Period,
    year: Period,
}

impl Spans {
    fn around(today: Day) -> Result<Spans, BadSeed> {
        let text = today.to_string();
        let spans = || -> Option<Spans> {
            let year: i32 = text.get(..4)?.parse().ok()?;
            let month: i32 = text.get(5..7)?.parse().ok()?;
            let quarter = (month - 1) / 3;
            let starts = |quarters: i32| -> Option<Day> {
                let months = year * 12 + (quarter + quarters) * 3;
                format!("{:04}-{:02}-01", months.div_euclid(12), months.rem_euclid(12) + 1).parse().ok()
            };
            let from_to = |a: i32, b: i32| Period::new(starts(a)?, starts(b)?.plus(-1));
            Some(Spans {
                quarter: from_to(0, 1)?,
                last_quarter: from_to(-1, 0)?,
                year: from_to(-quarter, 4 - quarter)?,
            })
        };
        spans().ok_or_else(|| BadSeed::new("programs.csv", format!("no quarter of a year lies around {today}")))
    }

    fn of(&self, span: Span) -> Period {
        match span {
            Span::Quarter => self.quarter,
            Span::LastQuarter => self.last_quarter,
            Span::Year => self.year,
        }
    }
}

// ------------------------------------------------------------------------------- what happens

/// Drives of one item: how often, over how many needs each, in claims of how many lines.
struct Plan {
    item: &'static str,
    times: usize,
    reach: (i64, i64),
    batch: (i64, i64),
}

const fn plan(item: &'static str, times: usize, reach: (i64, i64), batch: (i64, i64)) -> Plan {
    Plan { item, times, reach, batch }
}

const CAMPAIGNS: [Plan; 22] = [
    plan("SEMBAKO", 20, (280, 560), (60, 200)),
    plan("MAKANAN_SIAP_SAJI", 8, (120, 260), (60, 150)),
    plan("PAKET_GIZI_BALITA", 4, (60, 120), (30, 60)),
    plan("SMARTPHONE", 10, (100, 250), (40, 120)),
    plan("TABLET", 10, (100, 250), (40, 120)),
    plan("LAPTOP", 4, (4, 12), (3, 6)),
    plan("KOMPUTER", 3, (4, 12), (3, 6)),
    plan("PELATIHAN_UMKM", 12, (12, 45), (8, 20)),
    plan("MODAL_UMKM", 8, (10, 40), (8, 20)),
    plan("BAHAN_BAKU", 6, (10, 30), (8, 15)),
    plan("FASILITAS_UMKM", 4, (8, 20), (5, 10)),
    plan("PEMASARAN_UMKM", 2, (6, 12), (5, 8)),
    plan("SANITASI", 6, (8, 25), (5, 12)),
    plan("SALURAN_AIR", 6, (8, 25), (5, 12)),
    plan("PENGHIJAUAN", 5, (8, 20), (5, 10)),
    plan("SARANA_WARGA", 3, (5, 12), (4, 8)),
    plan("TEMPAT_SAMPAH_TERPILAH", 6, (10, 40), (10, 20)),
    plan("GEROBAK_SAMPAH", 3, (8, 20), (5, 10)),
    plan("KOMPOSTER", 3, (20, 60), (15, 30)),
    plan("PELATIHAN_KERJA", 4, (4, 12), (3, 6)),
    plan("PENEMPATAN_KERJA", 3, (4, 10), (3, 6)),
    plan("PADAT_KARYA", 6, (8, 25), (5, 12)),
];

/// How far a drive has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Done,
    UnderWay,
    Begun,
    GivenUp,
}

const PHASES: [Phase; 10] = [
    Phase::Done,
    Phase::UnderWay,
    Phase::UnderWay,
    Phase::Begun,
    Phase::Done,
    Phase::UnderWay,
    Phase::GivenUp,
    Phase::Done,
    Phase::UnderWay,
    Phase::Begun,
];

/// How far one claim has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Delivered,
    OnTheRoad,
    Planned,
    Promised,
    Basket,
    Lapsed,
    Withdrawn,
}

struct Teller {
    story: Story,
    places: Vec<LonLat>,
    /// Village points, where drives start.
    centres: Vec<LonLat>,
    /// Per need: not spoken for.
    free: Vec<i64>,
    /// Per need: handed over and kept.
    delivered: Vec<i64>,
    /// Open needs by item.
    by_item: BTreeMap<&'static str, Vec<usize>>,
    donors: Vec<usize>,
    aggregators: Vec<usize>,
    /// The user of each organisation.
    user_of: BTreeMap<usize, usize>,
    /// Centres of the food drives that bring something, for those who come second.
    food_centres: Vec<(LonLat, usize)>,
    today: Day,
    draw: Draw,
}

impl Teller {
    fn new(
        areas: &[DemoArea],
        organizations: Vec<DemoOrganization>,
        users: Vec<DemoUser>,
        needs: Vec<DemoNeed>,
        places: Vec<LonLat>,
        today: Day,
    ) -> Self {
        let mut by_item: BTreeMap<&'static str, Vec<usize>> = BTreeMap::new();
        for (i, need) in needs.iter().enumerate().filter(|(_, n)| n.status == NeedStatus::Verified) {
            by_item.entry(need.item).or_default().push(i);
        }
        let free = needs.iter().map(|n| n.required.get()).collect();
        let delivered = vec![0; needs.len()];
        let user_of: BTreeMap<usize, usize> =
            users.iter().enumerate().filter_map(|(u, user)| user.organization.map(|o| (o, u))).collect();
        let (aggregators, donors) = user_of.keys().copied().partition(|o| organizations[*o].aggregator);
        let centres = areas.iter().filter(|a| a.level == AreaLevel::Village).map(|a| a.point).collect();
        let story = Story { organizations, users, needs, offers: vec![], claims: vec![], distributions: vec![] };
        Teller {
            story,
            places,
            centres,
            free,
            delivered,
            by_item,
            donors,
            aggregators,
            user_of,
            food_centres: Vec::new(),
            today,
            draw: Draw::new(72),
        }
    }

    fn any<T: Copy>(draw: &mut Draw, of: &[T]) -> Option<T> {
        of.get(draw.whole(0, of.len() as i64 - 1) as usize).copied()
    }

    /// The open needs of `item` that still have something free, nearest to `centre` first.
    fn around(&self, item: &str, centre: LonLat, count: usize, wanted: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut found: Vec<(f64, usize)> = self
            .by_item
            .get(item)
            .into_iter()
            .flatten()
            .filter(|n| self.free[**n] > 0 && wanted(**n))
            .map(|n| (effort(self.places[*n], centre), *n))
            .filter(|(effort, _)| *effort < FARTHEST * FARTHEST)
            .collect();
        let nearer = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        if count < found.len() {
            found.select_nth_unstable_by(count, nearer);
            found.truncate(count);
        }
        found.sort_by(nearer);
        found.into_iter().map(|(_, n)| n).collect()
    }

    /// One organisation serves the needs around a place, from the middle outwards.
    fn campaign(&mut self, plan: &Plan, number: usize) {
        let phase = PHASES[(number + plan.item.len()) % PHASES.len()];
        let mut draw = Draw::keyed(73 + number as u64, plan.item);
        let (Some(centre), Some(donor)) = (Self::any(&mut draw, &self.centres), Self::any(&mut draw, &self.donors))
        else {
            return;
        };
        // The first donor and the first aggregator, whom visitors sign in as, have more to do
        // than the rest. Every seventh drive is an aggregator's own, most others are carried
        // out by one.
        let aggregator =
            if draw.percent(30) { self.aggregators.first().copied() } else { Self::any(&mut draw, &self.aggregators) };
        let organization = match number % 7 {
            1 => self.donors.first().copied().unwrap_or(donor),
            6 => aggregator.unwrap_or(donor),
            _ => donor,
        };
        let executor = aggregator.filter(|_| number % 7 != 6 && draw.percent(60)).unwrap_or(organization);
        let count = draw.whole(plan.reach.0, plan.reach.1) as usize;
        let reached = self.around(plan.item, centre, count, |_| true);
        let mut lines: Vec<DemoClaimLine> = Vec::with_capacity(reached.len());
        for (k, need) in reached.iter().enumerate() {
            let at_the_edge = k * 3 > reached.len() * 2;
            if draw.percent(if at_the_edge { 12 } else { 3 }) {
                continue;
            }
            let free = self.free[*need];
            let part = draw.percent(if at_the_edge { 60 } else { 12 });
            let quantity = if part { (free * draw.whole(30, 80) / 100).max(1) } else { free };
            lines.extend(Quantity::new(quantity).ok().map(|quantity| DemoClaimLine { need: *need, quantity }));
        }
        let offer = if phase != Phase::GivenUp && draw.percent(60) {
            let total: i64 = lines.iter().map(|l| l.quantity.get()).sum();
            self.offer(organization, plan.item, total + total / draw.whole(3, 12), &mut draw)
        } else {
            None
        };
        if plan.item == "SEMBAKO" && matches!(phase, Phase::Done | Phase::UnderWay) {
            self.food_centres.push((centre, organization));
        }
        let size = draw.whole(plan.batch.0, plan.batch.1) as usize;
        let batches: Vec<Vec<DemoClaimLine>> = lines.chunks(size).map(<[_]>::to_vec).collect();
        let count = batches.len().max(1);
        for (k, batch) in batches.into_iter().enumerate() {
            let stage = match phase {
                Phase::Done => Stage::Delivered,
                Phase::UnderWay => match k * 5 / count + usize::from(count < 5) * (number % 2) {
                    0 => Stage::Delivered,
                    1 => Stage::OnTheRoad,
                    2 => Stage::Planned,
                    3 => Stage::Promised,
                    _ => Stage::Basket,
                },
                Phase::Begun if k == 0 => Stage::Promised,
                Phase::Begun => Stage::Basket,
                Phase::GivenUp if k % 2 == 0 => Stage::Lapsed,
                Phase::GivenUp => Stage::Withdrawn,
            };
            self.claim(organization, executor, offer, batch, stage, &mut draw);
        }
    }

    fn claim(
        &mut self,
        organization: usize,
        executor: usize,
        offer: Option<usize>,
        mut lines: Vec<DemoClaimLine>,
        stage: Stage,
        draw: &mut Draw,
    ) {
        let Some(created_by) = self.user_of.get(&organization).copied() else { return };
        lines.sort_by_key(|l| l.need);
        let (state, age) = match stage {
            Stage::Basket => (DemoClaimState::Held { hold_seconds: 3_600 * draw.whole(6, 240) }, 0),
            Stage::Lapsed => (DemoClaimState::Expired, draw.whole(15, 40)),
            Stage::Withdrawn => (DemoClaimState::Released, draw.whole(5, 40)),
            Stage::Delivered => (DemoClaimState::Confirmed, draw.whole(30, 45)),
            Stage::OnTheRoad | Stage::Planned | Stage::Promised => (DemoClaimState::Confirmed, draw.whole(2, 12)),
        };
        let deliveries = match stage {
            Stage::Delivered => self.trips(&lines, draw, |_| true),
            Stage::OnTheRoad => self.trips(&lines, draw, |trip| trip % 2 == 0),
            Stage::Planned => self.planned(&lines, draw),
            _ => Vec::new(),
        };
        if matches!(state, DemoClaimState::Held { .. } | DemoClaimState::Confirmed) {
            let total: i64 = lines.iter().map(|l| l.quantity.get()).sum();
            for line in &lines {
                self.free[line.need] -= line.quantity.get();
            }
            if let Some(offer) = offer.and_then(|o| self.story.offers.get_mut(o)) {
                offer.claimed = Quantity::new(offer.claimed.get() + total).unwrap_or(offer.quantity);
            }
        }
        for line in deliveries.iter().filter(|d| hands_over(d.state)).flat_map(|d| &d.lines) {
            self.delivered[lines[line.line].need] += line.quantity.get() - line.rejected.get();
        }
        let created_on = self.today.plus(-(age as i32));
        self.story.claims.push(DemoClaim {
            organization,
            executor,
            created_by,
            created_on,
            offer,
            lines,
            state,
            deliveries,
        });
    }

    /// Trips of up to forty stops that have arrived or, where `arrived` says no, are on the road.
    fn trips(&self, lines: &[DemoClaimLine], draw: &mut Draw, arrived: fn(usize) -> bool) -> Vec<DemoDelivery> {
        let mut trips = Vec::new();
        for (trip, stops) in stops(lines).into_iter().enumerate() {
            if !arrived(trip) {
                trips.push(DemoDelivery { scheduled_for: self.today, state: DeliveryStatus::InTransit, lines: stops });
                continue;
            }
            let scheduled_for = self.today.plus(-(draw.whole(1, 25) as i32));
            let state = match draw.whole(1, 100) {
                1..=10 => DeliveryStatus::Disputed,
                11..=35 => DeliveryStatus::Delivered,
                _ => DeliveryStatus::Acknowledged,
            };
            let mut lines = stops;
            let mut owed = Vec::new();
            if state == DeliveryStatus::Disputed {
                for line in lines.iter_mut().step_by(9) {
                    let spoilt = Quantity::new((line.quantity.get() / 4).max(1)).unwrap_or_default();
                    line.rejected = spoilt;
                    owed.push(DemoDeliveryLine { line: line.line, quantity: spoilt, rejected: Quantity::ZERO });
                }
            }
            trips.push(DemoDelivery { scheduled_for, state, lines });
            if !owed.is_empty() && draw.percent(50) {
                let scheduled_for = self.today.plus(draw.whole(1, 7) as i32);
                trips.push(DemoDelivery { scheduled_for, state: DeliveryStatus::Scheduled, lines: owed });
            }
        }
        trips
    }

    /// Trips still to come; now and then one was called off and has been planned anew.
    fn planned(&self, lines: &[DemoClaimLine], draw: &mut Draw) -> Vec<DemoDelivery> {
        let mut trips = Vec::new();
        for (trip, stops) in stops(lines).into_iter().enumerate() {
            if trip == 0 && draw.percent(70) {
                let scheduled_for = self.today.plus(-(draw.whole(1, 5) as i32));
                let state = DeliveryStatus::Cancelled;
                trips.push(DemoDelivery { scheduled_for, state, lines: stops.clone() });
            }
            let scheduled_for = self.today.plus(draw.whole(1, 14) as i32);
            trips.push(DemoDelivery { scheduled_for, state: DeliveryStatus::Scheduled, lines: stops });
        }
        trips
    }

    fn offer(&mut self, organization: usize, item: &'static str, quantity: i64, draw: &mut Draw) -> Option<usize> {
        let quantity = Quantity::new(quantity).ok().filter(|q| !q.is_zero())?;
        self.story.offers.push(DemoOffer {
            organization,
            item,
            quantity,
            claimed: Quantity::ZERO,
            origin: Self::any(draw, &self.centres)?,
            available_from: self.today.plus(-(draw.whole(45, 60) as i32)),
            available_until: self.today.plus(draw.whole(20, 90) as i32),
        });
        Some(self.story.offers.len() - 1)
    }

    /// A second organisation fills up what a food drive has left, in the same RT.
    fn second_helpers(&mut self) {
        for (k, (centre, first)) in std::mem::take(&mut self.food_centres).into_iter().enumerate() {
            let mut draw = Draw::keyed(74, &k.to_string());
            let others: Vec<usize> = self.donors.iter().copied().filter(|d| *d != first).collect();
            let Some(organization) = Self::any(&mut draw, &others).filter(|_| k % 2 == 0) else { continue };
            let begun = |n: usize| self.delivered[n] > 0;
            let reached = self.around("SEMBAKO", centre, draw.whole(15, 40) as usize, begun);
            let lines: Vec<DemoClaimLine> = reached
                .into_iter()
                .filter_map(|need| Some(DemoClaimLine { need, quantity: Quantity::new(self.free[need]).ok()? }))
                .collect();
            if !lines.is_empty() {
                self.claim(organization, organization, None, lines, Stage::Delivered, &mut draw);
            }
        }
    }

    /// Offers of which nothing is claimed yet, for donors and aggregators to place.
    fn open_offers(&mut self) {
        const OPEN: [(&str, i64); 12] = [
            ("SEMBAKO", 1_200),
            ("TABLET", 80),
            ("SEMBAKO", 5_000),
            ("SMARTPHONE", 150),
            ("MAKANAN_SIAP_SAJI", 3_000),
            ("MODAL_UMKM", 250_000_000),
            ("PELATIHAN_UMKM", 400),
            ("SANITASI", 25),
            ("TEMPAT_SAMPAH_TERPILAH", 300),
            ("LAPTOP", 60),
            ("BAHAN_BAKU", 180),
            ("PADAT_KARYA", 900),
        ];
        for (k, (item, quantity)) in OPEN.into_iter().enumerate() {
            // The first two are those of the donor whom a visitor signs in as.
            let organization =
                if k < 2 { self.donors.first().copied() } else { Self::any(&mut self.draw, &self.donors) };
            let Some(organization) = organization else { return };
            let mut draw = Draw::keyed(75 + k as u64, item);
            self.offer(organization, item, quantity, &mut draw);
        }
    }

    /// Aid past the ledger. By quarter of the list: more than required; beside others but within
    /// what is required; of a program that excludes one which has delivered; where nobody was.
    fn distributions(&mut self) {
        let required = |n: &usize| self.story.needs[*n].required.get();
        let of = |item: &str| self.by_item.get(item).cloned().unwrap_or_default();
        let food = of("SEMBAKO");
        let every = |list: Vec<usize>, count: usize| -> Vec<usize> {
            let step = (list.len() / count).max(1);
            list.into_iter().step_by(step).take(count).collect()
        };
        let mut given: Vec<(usize, i64)> = Vec::new();

        let full: Vec<usize> = food.iter().copied().filter(|n| self.delivered[*n] == required(n)).collect();
        given.extend(every(full, 60).into_iter().map(|n| (n, required(&n) / 5 + 2)));

        let begun = |n: &usize| (1..required(n)).contains(&self.delivered[*n]);
        let partly: Vec<usize> = food.iter().copied().filter(begun).collect();
        given.extend(every(partly, 60).into_iter().map(|n| (n, ((required(&n) - self.delivered[n]) / 2).max(1))));

        let mut served: std::collections::BTreeSet<&AreaCode> = std::collections::BTreeSet::new();
        for item in ["MODAL_UMKM", "PELATIHAN_UMKM", "BAHAN_BAKU"] {
            served.extend(
                of(item).into_iter().filter(|n| self.delivered[*n] > 0).map(|n| &self.story.needs[n].area_code),
            );
        }
        let beside: Vec<usize> = of("PADAT_KARYA")
            .into_iter()
            .filter(|n| served.contains(&self.story.needs[*n].area_code) && self.delivered[*n] < required(n))
            .collect();
        given.extend(every(beside, 40).into_iter().map(|n| (n, ((required(&n) - self.delivered[n]) / 3).max(1))));

        let untouched: Vec<usize> = food.iter().copied().filter(|n| self.free[*n] == required(n)).collect();
        given.extend(every(untouched, 160).into_iter().map(|n| (n, (required(&n) / 2).max(1))));

        const OUTSIDE: [&str; 4] =
            ["Posko Contoh Jalan Raya", "Dapur Contoh Mandiri", "Rombongan Contoh Peduli", "Kantor Contoh Cabang"];
        let quarter_of = |need: &DemoNeed, k: i32| {
            let start = need.period.start.plus(k % 28);
            Period::new(start, start.plus(6).min(need.period.end)).unwrap_or(need.period)
        };
        let rows: Vec<DemoDistribution> = given
            .into_iter()
            .enumerate()
            .filter_map(|(k, (n, quantity))| {
                let need = &self.story.needs[n];
                Some(DemoDistribution {
                    external_id: format!("demo-outside-{:04}", k + 1),
                    organization: OUTSIDE[k % OUTSIDE.len()],
                    area_code: need.area_code.clone(),
                    item: need.item,
                    quantity: Quantity::new(quantity).ok()?,
                    period: quarter_of(need, k as i32),
                })
            })
            .collect();
        self.story.distributions = rows;
    }

    /// Officers answer for an RW, and its village, to which food is on its way.
    fn officers(&mut self) {
        let coming = self
            .story
            .claims
            .iter()
            .filter_map(|c| c.deliveries.iter().find(|d| d.state == DeliveryStatus::InTransit).map(|d| (c, d)))
            .find_map(|(c, d)| d.lines.first().and_then(|l| c.lines.get(l.line)))
            .map(|line| self.story.needs[line.need].area_code.clone());
        for (email, level) in [("rw@demo.example", AreaLevel::Rw), ("kelurahan@demo.example", AreaLevel::Village)] {
            if let Some(user) = self.story.users.iter_mut().find(|u| u.email == email) {
                user.area = coming.as_ref().and_then(|code| code.at(level));
            }
        }
    }
}

/// All lines in full, forty to a trip.
fn stops(lines: &[DemoClaimLine]) -> Vec<Vec<DemoDeliveryLine>> {
    let all: Vec<DemoDeliveryLine> = lines
        .iter()
        .enumerate()
        .map(|(line, l)| DemoDeliveryLine { line, quantity: l.quantity, rejected: Quantity::ZERO })
        .collect();
    all.chunks(40).map(<[_]>::to_vec).collect()
}

fn hands_over(state: DeliveryStatus) -> bool {
    matches!(state, DeliveryStatus::Delivered | DeliveryStatus::Acknowledged | DeliveryStatus::Disputed)
}

/// Nobody drives farther than about this many degrees, ten kilometres.
const FARTHEST: f64 = 0.09;

/// How hard it is to get from one place to the other, for comparing only: the squared distance
/// (near the equator a degree is nearly as long either way), and some streets easier than others.
fn effort(to: LonLat, from: LonLat) -> f64 {
    let (x, y) = (to.lon() - from.lon(), to.lat() - from.lat());
    (x * x + y * y) * (1.0 + 0.4 * noise(76, to.lon() * 60.0, to.lat() * 60.0))
}

#[cfg(test)]
mod tests {
    use super::super::PROGRAMS_CSV;
    use super::*;
    use crate::domain::need::{Counters, ServiceStatus};
    use crate::domain::program::ItemKind;
    use std::collections::BTreeSet;
    use std::sync::LazyLock;

    static AREAS: LazyLock<Vec<DemoArea>> =
        LazyLock::new(|| super::super::city().expect("the built-in files are whole"));
    static STORY: LazyLock<Story> = LazyLock::new(|| story(&AREAS, today()).expect("a story"));

    fn today() -> Day {
        "2020-11-26".parse().expect("a day")
    }

    /// What each need's counters come to.
    fn counters(story: &Story) -> Vec<Counters> {
        let mut sums = vec![(0, 0); story.needs.len()];
        for claim in &story.claims {
            let active = matches!(claim.state, DemoClaimState::Held { .. } | DemoClaimState::Confirmed);
            for line in claim.lines.iter().filter(|_| active) {
                sums[line.need].0 += line.quantity.get();
            }
            for line in claim.deliveries.iter().filter(|d| hands_over(d.state)).flat_map(|d| &d.lines) {
                sums[claim.lines[line.line].need].1 += line.quantity.get() - line.rejected.get();
            }
        }
        let quantity = |v| Quantity::new(v).expect("never below zero");
        sums.into_iter()
            .zip(&story.needs)
            .map(|((allocated, delivered), need)| {
                Counters::new(need.required, quantity(allocated - delivered), quantity(delivered))
                    .unwrap_or_else(|| panic!("{}: {allocated} promised, {delivered} delivered", need.external_id))
            })
            .collect()
    }

    #[test]
    fn needs_name_known_areas_and_items_once_per_period() {
        let codes: BTreeSet<&str> = AREAS.iter().map(|a| a.code.as_str()).collect();
        let items: BTreeSet<(&str, &str)> = WANTED.iter().map(|w| (w.program, w.item)).collect();
        let mut ids = BTreeSet::new();
        for need in &STORY.needs {
            assert!(codes.contains(need.area_code.as_str()) && items.contains(&(need.program, need.item)));
            assert!(!need.required.is_zero() && ids.insert(need.external_id.as_str()), "{}", need.external_id);
            assert!(need.item == "PAKET_LEBARAN" || need.period.contains(today()));
        }
        let used: BTreeSet<(&str, &str)> = STORY.needs.iter().map(|n| (n.program, n.item)).collect();
        assert_eq!(used, items);
        assert!((60_000..90_000).contains(&STORY.needs.len()), "{}", STORY.needs.len());
        let verified = STORY.needs.iter().filter(|n| n.status == NeedStatus::Verified).count();
        assert!(verified * 10 > STORY.needs.len() * 9);
        let food = STORY.needs.iter().filter(|n| n.item == "SEMBAKO").count();
        assert!(food * 100 > 30_274 * 99, "{food}");
    }

    #[test]
    fn claims_keep_the_ledgers_rules() {
        counters(&STORY);
        for claim in &STORY.claims {
            assert!((1..=200).contains(&claim.lines.len()));
            assert!(claim.lines.windows(2).all(|w| w[0].need < w[1].need));
            assert!(claim.lines.iter().all(|l| !l.quantity.is_zero()));
            assert!(claim.lines.iter().all(|l| STORY.needs[l.need].status == NeedStatus::Verified));
            assert!(claim.lines.iter().all(|l| l.quantity <= STORY.needs[l.need].required));
            let organization = &STORY.organizations[claim.organization];
            assert_eq!(organization.status, OrganizationStatus::Verified);
            assert_eq!(STORY.users[claim.created_by].organization, Some(claim.organization));
            assert!(claim.executor == claim.organization || STORY.organizations[claim.executor].aggregator);
            assert!(claim.created_on <= today());
            if let DemoClaimState::Held { hold_seconds } = claim.state {
                assert!((2..=14 * 86_400).contains(&hold_seconds));
            }
        }
        assert!((200..1_000).contains(&STORY.claims.len()), "{}", STORY.claims.len());
    }

    #[test]
    fn deliveries_stay_within_confirmed_lines() {
        for claim in &STORY.claims {
            assert!(claim.deliveries.is_empty() || claim.state == DemoClaimState::Confirmed);
            let mut on_trips = vec![0; claim.lines.len()];
            for delivery in &claim.deliveries {
                assert!(!delivery.lines.is_empty() && delivery.lines.windows(2).all(|w| w[0].line < w[1].line));
                for line in &delivery.lines {
                    assert!(!line.quantity.is_zero() && line.rejected <= line.quantity);
                    assert!(line.rejected.is_zero() || delivery.state == DeliveryStatus::Disputed);
                    if delivery.state != DeliveryStatus::Cancelled {
                        on_trips[line.line] += line.quantity.get() - line.rejected.get();
                    }
                }
                let rejected = delivery.lines.iter().any(|l| !l.rejected.is_zero());
                assert_eq!(rejected, delivery.state == DeliveryStatus::Disputed);
            }
            for (sum, line) in on_trips.iter().zip(&claim.lines) {
                assert!(*sum <= line.quantity.get());
            }
        }
    }

    #[test]
    fn offers_hold_what_is_claimed_of_them() {
        let mut claimed = vec![0; STORY.offers.len()];
        for claim in &STORY.claims {
            let Some(offer) = claim.offer else { continue };
            assert_eq!(STORY.offers[offer].organization, claim.organization);
            assert!(claim.lines.iter().all(|l| STORY.needs[l.need].item == STORY.offers[offer].item));
            assert!(STORY.offers[offer].available_from <= claim.created_on);
            if matches!(claim.state, DemoClaimState::Held { .. } | DemoClaimState::Confirmed) {
                claimed[offer] += claim.lines.iter().map(|l| l.quantity.get()).sum::<i64>();
            }
        }
        for (offer, sum) in STORY.offers.iter().zip(claimed) {
            assert_eq!(offer.claimed.get(), sum);
            assert!(offer.claimed <= offer.quantity && offer.available_from <= offer.available_until);
        }
        assert!(STORY.offers.iter().any(|o| o.claimed.is_zero()) && STORY.offers.iter().any(|o| !o.claimed.is_zero()));
    }

    #[test]
    fn every_state_is_there_to_be_seen_and_a_quarter_of_the_food_is_spoken_for() {
        let states = |name: fn(&DemoClaimState) -> bool| STORY.claims.iter().filter(|c| name(&c.state)).count();
        assert!(states(|s| matches!(s, DemoClaimState::Held { .. })) >= 10);
        for state in [DemoClaimState::Confirmed, DemoClaimState::Released, DemoClaimState::Expired] {
            assert!(STORY.claims.iter().filter(|c| c.state == state).count() >= 5, "{state:?}");
        }
        let deliveries: Vec<DeliveryStatus> =
            STORY.claims.iter().flat_map(|c| &c.deliveries).map(|d| d.state).collect();
        for state in DeliveryStatus::ALL {
            assert!(deliveries.iter().filter(|s| **s == state).count() >= 5, "{state:?}");
        }
        let counters = counters(&STORY);
        use ServiceStatus::{Covered, Delivered, Partial, Unserved};
        for program in STORY.needs.iter().map(|n| n.program).collect::<BTreeSet<_>>() {
            for service in [Unserved, Partial, Covered, Delivered] {
                let found =
                    STORY.needs.iter().zip(&counters).any(|(n, c)| n.program == program && c.service() == service);
                assert!(found, "{program}: {service:?}");
            }
        }
        let food = || STORY.needs.iter().zip(&counters).filter(|(n, _)| n.item == "SEMBAKO");
        let share = food().filter(|(_, c)| c.service() != Unserved).count() * 100 / food().count();
        assert!((18..=32).contains(&share), "{share} %");
    }

    #[test]
    fn outside_aid_makes_each_kind_of_overlap() {
        let counters = counters(&STORY);
        let need_of = |d: &DemoDistribution| {
            let found = STORY.needs.iter().position(|n| n.area_code == d.area_code && n.item == d.item);
            found.unwrap_or_else(|| panic!("{} answers to no need", d.external_id))
        };
        let (mut over, mut beside, mut exclusive) = (0, 0, 0);
        for d in &STORY.distributions {
            let n = need_of(d);
            let delivered = counters[n].delivered().get();
            assert!(STORY.needs[n].period.intersects(d.period) && !d.quantity.is_zero());
            over += usize::from(delivered > 0 && delivered + d.quantity.get() > STORY.needs[n].required.get());
            beside += usize::from(delivered > 0 && delivered + d.quantity.get() <= STORY.needs[n].required.get());
            let business = |k: &usize| STORY.needs[*k].program == "UMKM" && STORY.needs[*k].area_code == d.area_code;
            exclusive += usize::from(
                STORY.needs[n].program == "KETENAGAKERJAAN"
                    && (0..STORY.needs.len()).filter(business).any(|k| !counters[k].delivered().is_zero()),
            );
        }
        assert!(over >= 30 && beside >= 30 && exclusive >= 5, "{over} {beside} {exclusive}");
        let ids: BTreeSet<&str> = STORY.distributions.iter().map(|d| d.external_id.as_str()).collect();
        assert_eq!(ids.len(), STORY.distributions.len());
    }

    #[test]
    fn there_is_a_user_for_every_role_and_officers_know_their_area() {
        for role in Role::ALL {
            assert!(STORY.users.iter().any(|u| u.roles.contains(&role)), "{role:?}");
        }
        let emails: BTreeSet<&str> = STORY.users.iter().map(|u| u.email.as_str()).collect();
        assert_eq!(emails.len(), STORY.users.len());
        for user in &STORY.users {
            assert!(user.email.ends_with("@demo.example"));
            assert_eq!(user.area.is_some(), user.roles.contains(&Role::AreaOfficer), "{}", user.email);
        }
        for category in OrganizationCategory::ALL {
            assert!(STORY.organizations.iter().any(|o| o.category == category), "{category:?}");
        }
        assert!(STORY.organizations.iter().all(|o| o.name.contains("Contoh")), "names say that they are made up");
    }

    #[test]
    fn visitors_who_sign_in_find_work_of_their_own() {
        let organization = |email: &str| STORY.users.iter().find(|u| u.email == email).and_then(|u| u.organization);
        let (donor, aggregator) = (organization("donor@demo.example"), organization("agregator@demo.example"));
        let given: Vec<&DemoClaim> = STORY.claims.iter().filter(|c| Some(c.organization) == donor).collect();
        let carried: Vec<&DemoClaim> = STORY.claims.iter().filter(|c| Some(c.executor) == aggregator).collect();
        for claims in [&given, &carried] {
            assert!(claims.iter().any(|c| matches!(c.state, DemoClaimState::Held { .. })));
            let has = |state| claims.iter().flat_map(|c| &c.deliveries).any(|d| d.state == state);
            assert!(has(DeliveryStatus::Scheduled) && has(DeliveryStatus::Acknowledged));
        }
        let coming = |c: &&DemoClaim| c.deliveries.iter().any(|d| d.state == DeliveryStatus::InTransit);
        assert!(carried.iter().any(coming));
        assert!(STORY.offers.iter().any(|o| Some(o.organization) == donor && o.claimed.is_zero()));
    }

    #[test]
    fn the_same_day_tells_the_same_story_and_any_day_tells_one() {
        assert_eq!(story(&AREAS, today()).as_ref(), Ok(&*STORY));
        for day in ["2026-01-01", "2024-02-29", "2026-12-31"] {
            let day: Day = day.parse().expect("a day");
            let other = story(&AREAS, day).expect("a story");
            counters(&other);
            assert!(other.needs.iter().any(|n| n.period.contains(day)));
        }
    }

    #[derive(Debug, Deserialize)]
    struct ProgramRow {
        program_key: String,
        program_name_id: String,
        item_key: String,
        unit: String,
        kind: String,
    }

    #[test]
    fn the_programs_file_has_known_kinds_and_each_item_once() {
        let rows: Vec<ProgramRow> = read_rows("programs.csv", PROGRAMS_CSV).expect("programs");
        let keys: BTreeSet<&str> = rows.iter().map(|r| r.item_key.as_str()).collect();
        assert_eq!(keys.len(), rows.len());
        let needed: Vec<(&str, &str)> = WANTED.iter().map(|w| (w.program, w.item)).collect();
        let listed: Vec<(&str, &str)> = rows.iter().map(|r| (r.program_key.as_str(), r.item_key.as_str())).collect();
        assert_eq!(needed, listed);
        assert_eq!(rows.iter().map(|r| r.program_key.as_str()).collect::<BTreeSet<_>>().len(), 6);
        assert!(rows.iter().all(|r| !r.unit.is_empty() && !r.program_name_id.is_empty()));
        assert!(rows.iter().all(|r| ItemKind::from_word(&r.kind).is_some()));
    }

    #[derive(Debug, Deserialize)]
    struct RuleRow {
        kind: String,
        #[serde(default)]
        programs: Vec<String>,
        #[serde(default)]
        items: Vec<String>,
        owner: String,
        reason_id: String,
        reason_en: String,
        valid_from: String,
        valid_until: Option<String>,
    }

    #[test]
    fn rules_name_two_known_programs_or_items_and_are_dated() {
        let rules: Vec<RuleRow> = serde_json::from_str(super::super::RULES_JSON).expect("rules");
        for rule in &rules {
            assert!(["exclusive", "permitted"].contains(&rule.kind.as_str()));
            assert_eq!(rule.programs.len() + rule.items.len(), 2, "{rule:?}");
            assert!(rule.programs.iter().all(|p| WANTED.iter().any(|k| k.program == p)), "{rule:?}");
            assert!(rule.items.iter().all(|i| WANTED.iter().any(|k| k.item == i)), "{rule:?}");
            assert!([&rule.owner, &rule.reason_id, &rule.reason_en].iter().all(|t| !t.is_empty()));
            let from: Day = rule.valid_from.parse().expect("a day");
            let until = rule.valid_until.as_ref().map(|d| d.parse::<Day>().expect("a day"));
            assert!(until.is_none_or(|u| from <= u));
        }
        assert!(rules.iter().any(|r| r.kind == "exclusive" && r.programs == ["UMKM", "KETENAGAKERJAAN"]));
    }

    #[test]
    fn aliases_belong_to_known_areas() {
        #[derive(Debug, Deserialize)]
        struct Alias {
            code: String,
            alias: String,
            seen_in: String,
        }
        let codes: BTreeSet<&str> = AREAS.iter().map(|a| a.code.as_str()).collect();
        for (text, count) in [(super::super::VILLAGE_ALIASES_CSV, 40), (super::super::DISTRICT_ALIASES_CSV, 13)] {
            let rows: Vec<Alias> = read_rows("aliases", text).expect("aliases");
            assert_eq!(rows.len(), count);
            assert!(rows.iter().all(|a| codes.contains(a.code.as_str()) && !a.alias.is_empty()));
            assert!(rows.iter().all(|a| !a.seen_in.is_empty()));
        }
    }
}
