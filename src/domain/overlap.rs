//! Overlap: where aid met aid. Pure findings from what was delivered and what was required, and
//! what becomes of a stored finding when the next computation, or an auditor, speaks.
//!
//! Periods hold their first and their last day, so two periods that share one day intersect and two
//! that merely follow each other do not. Periods of one area and item that intersect directly or
//! through others form a *chain*; chains of one area and item share no day.
//!
//! Absent on purpose: who is an auditor (see `service`), and which rule has which id (findings
//! name rules by their place in the given slice).

use super::calendar::{Day, Period};
use super::ids::{AreaId, ClaimLineId, DistributionId, ItemId, OrganizationId, OverlapId, ProgramId};
use super::quantity::{MAX_QUANTITY, Quantity};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

#[cfg(test)]
mod tests;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OverlapKind {
    /// More was delivered to one area, of one item, in one chain of periods than was required.
    OverServed,
    /// Two or more organisations served the same area and item on the same days.
    SameAreaSameItem,
    /// Two programs that a rule calls exclusive served the same area on the same days.
    ExclusivePrograms,
}

impl OverlapKind {
    pub const ALL: [OverlapKind; 3] =
        [OverlapKind::OverServed, OverlapKind::SameAreaSameItem, OverlapKind::ExclusivePrograms];

    pub fn word(self) -> &'static str {
        match self {
            OverlapKind::OverServed => "OVER_SERVED",
            OverlapKind::SameAreaSameItem => "SAME_AREA_SAME_ITEM",
            OverlapKind::ExclusivePrograms => "EXCLUSIVE_PROGRAMS",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.word() == word)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OverlapStatus {
    Suspected,
    Permitted,
    Confirmed,
}

impl OverlapStatus {
    pub const ALL: [OverlapStatus; 3] = [OverlapStatus::Suspected, OverlapStatus::Permitted, OverlapStatus::Confirmed];

    pub fn word(self) -> &'static str {
        match self {
            OverlapStatus::Suspected => "SUSPECTED",
            OverlapStatus::Permitted => "PERMITTED",
            OverlapStatus::Confirmed => "CONFIRMED",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }
}

/// The record that tells of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    ClaimLine(ClaimLineId),
    /// Aid given outside Salur.
    Outside(DistributionId),
    /// An opening balance: aid was given, but by whom is unknown.
    Opening(ClaimLineId),
}

impl fmt::Display for Source {
    /// The record's id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::ClaimLine(id) | Source::Opening(id) => id.fmt(f),
            Source::Outside(id) => id.fmt(f),
        }
    }
}

/// Aid that reached an area. One of quantity zero counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    pub area: AreaId,
    pub program: ProgramId,
    pub item: ItemId,
    /// Without meaning where the source is an opening balance.
    pub organization: OrganizationId,
    pub period: Period,
    /// Delivered.
    pub quantity: Quantity,
    pub source: Source,
}

impl Served {
    /// Who gave it, where that is known.
    fn giver(&self) -> Option<OrganizationId> {
        (!matches!(self.source, Source::Opening(_))).then_some(self.organization)
    }
}

/// What an area requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Required {
    pub area: AreaId,
    pub program: ProgramId,
    pub item: ItemId,
    pub period: Period,
    pub required: Quantity,
}

/// What a written rule says. An empty list names nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleKind {
    /// The two programs, in either order, must not serve one area on the same day. A program
    /// does not exclude itself.
    Exclusive { programs: (ProgramId, ProgramId) },
    /// The named items may be given by several at once and beyond what is required; the named
    /// programs may meet each other, and within each of them organisations may meet.
    Permitted { programs: Vec<ProgramId>, items: Vec<ItemId> },
}

/// A written, dated rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub kind: RuleKind,
    /// The office that answers for it.
    pub owner: String,
    pub valid_from: Day,
    /// The last day on which it holds; `None`: until further notice.
    pub valid_until: Option<Day>,
    pub reason_id: String,
    pub reason_en: String,
}

impl Rule {
    fn holds_on(&self, day: Day) -> bool {
        self.valid_from <= day && self.valid_until.is_none_or(|last| day <= last)
    }

    /// The days of `period` on which the rule holds.
    fn clip(&self, period: Period) -> Option<Period> {
        let end = self.valid_until.map_or(period.end, |last| last.min(period.end));
        Period::new(period.start.max(self.valid_from), end)
    }
}

/// One overlap as computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub kind: OverlapKind,
    /// [`OverlapStatus::Permitted`] where a rule permits it, else [`OverlapStatus::Suspected`].
    pub status: OverlapStatus,
    pub area: AreaId,
    /// `None` for exclusive programs.
    pub item: Option<ItemId>,
    /// The lower id first; set for exclusive programs only.
    pub programs: Option<(ProgramId, ProgramId)>,
    /// Sorted, without repeats; those behind opening balances are unknown and not among them.
    pub organizations: Vec<OrganizationId>,
    /// The sum of the services, at most [`MAX_QUANTITY`]; `None` for exclusive programs, whose items have
    /// different units.
    pub quantity: Option<Quantity>,
    /// What was delivered beyond what was required; for [`OverlapKind::OverServed`] only.
    pub excess: Option<Quantity>,
    /// Over-served: from the first to the last day of the services and needs. Otherwise from the first to
    /// the last day on which both sides served.
    pub period: Period,
    /// The day that tells findings of one kind, area and item (or pair of programs) apart: the first
    /// day of the earliest need for over-served, of the period otherwise.
    pub anchor: Day,
    /// Sorted, without repeats.
    pub evidence: Vec<Source>,
    /// The exclusive rule it rests on, by its place among the given rules: the first that holds on the first
    /// day of the period.
    pub rule: Option<usize>,
    /// The first permitting rule that covers it, likewise.
    pub permitted_by: Option<usize>,
}

impl Finding {
    /// The natural key by which a later computation recognises the same finding, like
    /// `OVER_SERVED/area-7/item-2/2020-04-01` or `EXCLUSIVE_PROGRAMS/area-7/program-1/program-2/2020-04-01`.
    /// No two findings of one computation share a key.
    pub fn key(&self) -> String {
        let mut key = format!("{}/{}", self.kind.word(), self.area);
        if let Some(item) = self.item {
            key.push_str(&format!("/{item}"));
        }
        if let Some((a, b)) = self.programs {
            key.push_str(&format!("/{a}/{b}"));
        }
        key.push_str(&format!("/{}", self.anchor));
        key
    }

    /// True where both tell of the same facts, whatever the rules made of them.
    pub fn same_evidence(&self, other: &Finding) -> bool {
        self.organizations == other.organizations
            && self.quantity == other.quantity
            && self.excess == other.excess
            && self.period == other.period
            && self.evidence == other.evidence
    }

    /// True where `fresh` is worse: a new organisation, a larger quantity or excess, or, where nothing is
    /// summed, a new service.
    fn grew_to(&self, fresh: &Finding) -> bool {
        let new_giver = fresh.organizations.iter().any(|o| self.organizations.binary_search(o).is_err());
        let new_service = || fresh.evidence.iter().any(|s| self.evidence.binary_search(s).is_err());
        new_giver
            || fresh.quantity > self.quantity
            || fresh.excess > self.excess
            || (fresh.quantity.is_none() && new_service())
    }
}

/// Finds every overlap, ordered by kind, area, item, programs and anchor, whatever the order of the input.
///
/// Over-served: a chain of needs and services of one area and item, with at least one need, whose
/// services sum to more than its needs; all sources count, and one organisation is enough.
///
/// Same area, same item: per chain of services of known organisations, those services that meet one of another
/// organisation on a day.
///
/// Exclusive programs: services of both programs of an exclusive rule in one area, connected by meeting
/// one of the other program on a day on which a rule for the pair holds; all sources count.
///
/// Takes O(n log n) for n services and needs, plus O(m log m) per exclusive pair and area, where m counts the
/// services of both programs there, once per rule of the pair; no step compares services pair by pair.
pub fn findings(served: &[Served], required: &[Required], rules: &[Rule]) -> Vec<Finding> {
    let mut served: Vec<&Served> = served.iter().filter(|s| !s.quantity.is_zero()).collect();
    served.sort_unstable_by_key(|s| (s.area, s.item, s.period, s.source));
    let mut found = over_served(&served, required, rules);
    for of_one_item in served.chunk_by(|a, b| (a.area, a.item) == (b.area, b.item)) {
        let known: Vec<&Served> = of_one_item.iter().copied().filter(|s| s.giver().is_some()).collect();
        found.extend(chains(&known, |s| s.period).filter_map(|chain| same_area_same_item(chain, rules)));
    }
    found.extend(exclusive_programs(&mut served, rules));
    found.sort_unstable_by_key(|f| (f.kind, f.area, f.item, f.programs, f.anchor));
    found
}

/// Splits what is sorted by the start of its period into chains.
fn chains<'a, T>(sorted: &'a [T], period: impl Fn(&T) -> Period + 'a) -> impl Iterator<Item = &'a [T]> {
    let mut rest = sorted;
    std::iter::from_fn(move || {
        let mut reach = period(rest.first()?).end;
        let mut len = 1;
        while let Some(next) = rest.get(len).map(&period).filter(|p| p.start <= reach) {
            reach = reach.max(next.end);
            len += 1;
        }
        let (chain, after) = rest.split_at(len);
        rest = after;
        Some(chain)
    })
}

fn hull(a: Option<Period>, b: Period) -> Period {
    a.map_or(b, |a| Period { start: a.start.min(b.start), end: a.end.max(b.end) })
}

/// A sum of quantities, at most [`MAX_QUANTITY`].
fn capped(sum: i128) -> Option<Quantity> {
    i64::try_from(sum.clamp(0, i128::from(MAX_QUANTITY))).ok().and_then(|v| Quantity::new(v).ok())
}

fn total<'a>(served: impl IntoIterator<Item = &'a Served>) -> i128 {
    served.into_iter().map(|s| i128::from(s.quantity.get())).sum()
}

fn givers(served: &[&Served]) -> Vec<OrganizationId> {
    let all: BTreeSet<OrganizationId> = served.iter().filter_map(|s| s.giver()).collect();
    all.into_iter().collect()
}

fn sources(served: &[&Served]) -> Vec<Source> {
    let all: BTreeSet<Source> = served.iter().map(|s| s.source).collect();
    all.into_iter().collect()
}

impl Finding {
    /// A finding over `evidence` as the permitting rules see it.
    fn over(kind: OverlapKind, area: AreaId, period: Period, evidence: &[&Served], rules: &[Rule]) -> Self {
        let programs: BTreeSet<ProgramId> = evidence.iter().map(|s| s.program).collect();
        let item = match kind {
            OverlapKind::ExclusivePrograms => None,
            OverlapKind::OverServed | OverlapKind::SameAreaSameItem => evidence.first().map(|s| s.item),
        };
        // A rule must hold on every day of the period: one that covers it in part permits nothing.
        let covers = |rule: &Rule| match &rule.kind {
            RuleKind::Exclusive { .. } => false,
            RuleKind::Permitted { programs: named, items } => {
                let by_item = item.is_some_and(|i| items.contains(&i));
                let by_program =
                    kind != OverlapKind::OverServed && programs.iter().all(|program| named.contains(program));
                (by_item || by_program) && rule.holds_on(period.start) && rule.holds_on(period.end)
            }
        };
        let permitted_by = rules.iter().position(covers);
        Finding {
            kind,
            status: if permitted_by.is_some() { OverlapStatus::Permitted } else { OverlapStatus::Suspected },
            area,
            item,
            programs: None,
            organizations: givers(evidence),
            quantity: capped(total(evidence.iter().copied())).filter(|_| item.is_some()),
            excess: None,
            period,
            anchor: period.start,
            evidence: sources(evidence),
            rule: None,
            permitted_by,
        }
    }
}

#[derive(Clone, Copy)]
enum Entry<'a> {
    Asked(&'a Required),
    Given(&'a Served),
}

impl Entry<'_> {
    fn place(&self) -> (AreaId, ItemId) {
        match self {
            Entry::Asked(r) => (r.area, r.item),
            Entry::Given(s) => (s.area, s.item),
        }
    }

    fn period(&self) -> Period {
        match self {
            Entry::Asked(r) => r.period,
            Entry::Given(s) => s.period,
        }
    }
}

fn over_served(served: &[&Served], required: &[Required], rules: &[Rule]) -> Vec<Finding> {
    let mut entries: Vec<Entry<'_>> =
        required.iter().map(Entry::Asked).chain(served.iter().map(|s| Entry::Given(s))).collect();
    entries.sort_unstable_by_key(|e| (e.place(), e.period()));
    let mut found = Vec::new();
    for of_one_item in entries.chunk_by(|a, b| a.place() == b.place()) {
        for chain in chains(of_one_item, Entry::period) {
            let (mut asked, mut anchor, mut days) = (0_i128, None, None);
            let mut evidence = Vec::new();
            for entry in chain {
                days = Some(hull(days, entry.period()));
                match entry {
                    Entry::Asked(r) => {
                        asked += i128::from(r.required.get());
                        anchor = anchor.or(Some(r.period.start));
                    }
                    Entry::Given(s) => evidence.push(*s),
                }
            }
            let excess = total(evidence.iter().copied()) - asked;
            if let (Some(anchor), Some(period), Some(first)) = (anchor, days, evidence.first())
                && excess > 0
            {
                let finding = Finding::over(OverlapKind::OverServed, first.area, period, &evidence, rules);
                found.push(Finding { anchor, excess: capped(excess), ..finding });
            }
        }
    }
    found
}

/// The greatest value seen, and the greatest seen of any other organisation.
struct Lead<T> {
    first: Option<(OrganizationId, T)>,
    second: Option<(OrganizationId, T)>,
}

impl<T: Ord + Copy> Lead<T> {
    const fn new() -> Self {
        Lead { first: None, second: None }
    }

    fn see(&mut self, organization: OrganizationId, value: T) {
        match self.first {
            Some((leader, best)) if leader == organization => self.first = Some((leader, best.max(value))),
            Some((_, best)) if value <= best => {
                if self.second.is_none_or(|(_, second)| value > second) {
                    self.second = Some((organization, value));
                }
            }
            leader => {
                self.second = leader;
                self.first = Some((organization, value));
            }
        }
    }

    /// The greatest value of all organisations but this one.
    fn of_others(&self, organization: OrganizationId) -> Option<T> {
        [self.first, self.second].into_iter().flatten().find(|(o, _)| *o != organization).map(|(_, value)| value)
    }
}

/// `chain`: services of one area and item, of known givers, sorted by the start of their periods.
fn same_area_same_item(chain: &[&Served], rules: &[Rule]) -> Option<Finding> {
    let mut meets = vec![false; chain.len()];
    let mut days: Option<Period> = None;
    // A service meets an earlier one of another organisation where the latest end among those
    // is not before its start, and a later one where the earliest start is not after its end.
    let mut ends: Lead<Day> = Lead::new();
    for (i, s) in chain.iter().enumerate() {
        if let Some(end) = ends.of_others(s.organization).filter(|end| *end >= s.period.start) {
            meets[i] = true;
            days = Some(hull(days, Period { start: s.period.start, end: end.min(s.period.end) }));
        }
        ends.see(s.organization, s.period.end);
    }
    let mut starts: Lead<Reverse<Day>> = Lead::new();
    for (i, s) in chain.iter().enumerate().rev() {
        if starts.of_others(s.organization).is_some_and(|Reverse(start)| start <= s.period.end) {
            meets[i] = true;
        }
        starts.see(s.organization, Reverse(s.period.start));
    }
    let period = days?;
    let evidence: Vec<&Served> = chain.iter().zip(&meets).filter(|(_, meets)| **meets).map(|(s, _)| *s).collect();
    let area = evidence.first()?.area;
    Some(Finding::over(OverlapKind::SameAreaSameItem, area, period, &evidence, rules))
}

/// Sorts `served` by area and program, and takes each exclusive pair in each area.
fn exclusive_programs(served: &mut [&Served], rules: &[Rule]) -> Vec<Finding> {
    let mut pairs: BTreeMap<(ProgramId, ProgramId), Vec<usize>> = BTreeMap::new();
    for (index, rule) in rules.iter().enumerate() {
        if let RuleKind::Exclusive { programs: (a, b) } = rule.kind
            && a != b
        {
            pairs.entry((a.min(b), a.max(b))).or_default().push(index);
        }
    }
    let mut found = Vec::new();
    if pairs.is_empty() {
        return found;
    }
    served.sort_unstable_by_key(|s| (s.area, s.program, s.period, s.source));
    for in_area in served.chunk_by(|a, b| a.area == b.area) {
        let of = |program: ProgramId| {
            let start = in_area.partition_point(|s| s.program < program);
            let end = in_area.partition_point(|s| s.program <= program);
            &in_area[start..end]
        };
        for (&(a, b), of_pair) in &pairs {
            let (left, right) = (of(a), of(b));
            if left.is_empty() || right.is_empty() {
                continue;
            }
            for (evidence, period) in meetings(left, right, of_pair, rules) {
                let area = in_area[0].area;
                let finding = Finding::over(OverlapKind::ExclusivePrograms, area, period, &evidence, rules);
                let rule = of_pair.iter().copied().find(|&r| rules[r].holds_on(period.start));
                found.push(Finding { programs: Some((a, b)), rule, ..finding });
            }
        }
    }
    found
}

/// A service, or the part of it in which a rule holds, as the sweep meets it.
struct Part {
    period: Period,
    of_left: bool,
    /// Index among the services of the left program followed by those of the right.
    service: usize,
}

/// One program's services during a sweep.
#[derive(Default)]
struct Side {
    /// Parts that have met nothing yet, with their last days.
    waiting: Vec<(usize, Day)>,
    /// One member of the group that met last, and the last day of all its parts on this side. As
    /// long as that day is not over, all parts of the side that are under way and have
    /// met the other side belong to this one group.
    met: Option<(usize, Day)>,
}

/// Groups services that are connected by meeting one of the other program on a day on which one
/// of the pair's rules holds, each with the hull of the days of its meetings.
///
/// A sweep by first day: a part meets all parts of the other program that are under way, which
/// joins them all into one group, so that afterwards they need to be remembered only as one.
fn meetings<'a>(
    left: &[&'a Served],
    right: &[&'a Served],
    of_pair: &[usize],
    rules: &[Rule],
) -> Vec<(Vec<&'a Served>, Period)> {
    let all: Vec<&Served> = left.iter().chain(right).copied().collect();
    let mut parts: Vec<Part> = Vec::new();
    for &rule in of_pair {
        parts.extend(all.iter().enumerate().filter_map(|(service, s)| {
            let period = rules[rule].clip(s.period)?;
            Some(Part { period, of_left: service < left.len(), service })
        }));
    }
    parts.sort_unstable_by_key(|p| (p.period, p.service));

    let mut groups = Groups((0..all.len()).collect());
    let mut met: Vec<(usize, Period)> = Vec::new();
    let (mut lefts, mut rights) = (Side::default(), Side::default());
    for part in &parts {
        let (own, other) = if part.of_left { (&mut lefts, &mut rights) } else { (&mut rights, &mut lefts) };
        let start = part.period.start;
        let mut reach: Option<Day> = None;
        for (service, end) in other.waiting.drain(..).chain(other.met).filter(|(_, end)| *end >= start) {
            groups.join(service, part.service);
            reach = reach.max(Some(end));
        }
        let Some(reach) = reach else {
            own.waiting.push((part.service, part.period.end));
            continue;
        };
        other.met = Some((part.service, reach));
        let own_end = own.met.map(|(_, end)| end).filter(|end| *end >= start).max(Some(part.period.end));
        own.met = own_end.map(|end| (part.service, end));
        met.push((part.service, Period { start, end: part.period.end.min(reach) }));
    }

    let mut found: BTreeMap<usize, (Vec<&Served>, Period)> = BTreeMap::new();
    for (service, days) in met {
        let group = groups.of(service);
        found.entry(group).and_modify(|(_, period)| *period = hull(Some(*period), days)).or_insert((Vec::new(), days));
    }
    for (service, s) in all.into_iter().enumerate() {
        if let Some((evidence, _)) = found.get_mut(&groups.of(service)) {
            evidence.push(s);
        }
    }
    found.into_values().collect()
}

/// Disjoint sets: each index points towards the least one of its group.
struct Groups(Vec<usize>);

impl Groups {
    fn of(&mut self, mut index: usize) -> usize {
        while self.0[index] != index {
            self.0[index] = self.0[self.0[index]];
            index = self.0[index];
        }
        index
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.of(a), self.of(b));
        self.0[a.max(b)] = a.min(b);
    }
}

/// A stored finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    pub id: OverlapId,
    /// As last computed. Nothing here reads its status or its rules: a store may keep one status only.
    pub finding: Finding,
    /// What a reader sees.
    pub status: OverlapStatus,
    /// Grows by one with every change of the record.
    pub version: i64,
    /// Why an auditor chose the status; `None` where the computation did.
    pub note: Option<String>,
    /// False where the last computation no longer finds it.
    pub open: bool,
}

/// Why a stored finding changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Turn {
    /// A new organisation, or more of it: earlier decisions are void.
    Grew,
    /// Less of it or other days; an auditor's decision stands.
    Changed,
    /// The same facts, but the rules now say otherwise and no auditor has spoken.
    Judged,
    /// No longer found. Status and note stay as they were.
    Withdrawn,
    /// Found again: earlier decisions are void.
    Reopened,
}

impl Turn {
    pub fn word(self) -> &'static str {
        match self {
            Turn::Grew => "GREW",
            Turn::Changed => "CHANGED",
            Turn::Judged => "JUDGED",
            Turn::Withdrawn => "WITHDRAWN",
            Turn::Reopened => "REOPENED",
        }
    }
}

/// What a computation makes of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Unchanged,
    /// A first version, open, with the computed status and without a note.
    Insert(Finding),
    /// The record as it is to be, its version counted up.
    Update(Overlap, Turn),
}

/// Decides what becomes of the record with one [`Finding::key`] when a computation finds `fresh` there, or
/// nothing.
pub fn merge(stored: Option<&Overlap>, fresh: Option<&Finding>) -> Change {
    let (stored, fresh) = match (stored, fresh) {
        (None, None) => return Change::Unchanged,
        (None, Some(fresh)) => return Change::Insert(fresh.clone()),
        (Some(stored), None) if stored.open => {
            let after = Overlap { open: false, version: stored.version + 1, ..stored.clone() };
            return Change::Update(after, Turn::Withdrawn);
        }
        (Some(_), None) => return Change::Unchanged,
        (Some(stored), Some(fresh)) => (stored, fresh),
    };
    let turn = if !stored.open {
        Turn::Reopened
    } else if stored.finding.grew_to(fresh) {
        Turn::Grew
    } else if !stored.finding.same_evidence(fresh) {
        Turn::Changed
    } else if stored.note.is_none() && stored.status != fresh.status {
        Turn::Judged
    } else {
        return Change::Unchanged;
    };
    let decided = match turn {
        Turn::Changed => stored.note.clone().map(|note| (stored.status, note)),
        Turn::Grew | Turn::Judged | Turn::Withdrawn | Turn::Reopened => None,
    };
    let (status, note) = decided.map_or((fresh.status, None), |(status, note)| (status, Some(note)));
    let after =
        Overlap { id: stored.id, finding: fresh.clone(), status, version: stored.version + 1, note, open: true };
    Change::Update(after, turn)
}

/// Why an overlap cannot be resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unresolvable {
    #[error("a note must say why")]
    NoteMissing,
    #[error("the overlap is no longer found, so there is nothing to decide")]
    Withdrawn,
}

/// An auditor's decision: any status, with a note that says why. `Ok(None)`: it stands there
/// already, for the same reason. Where both refusals apply, the one declared first is returned.
pub fn resolve(overlap: &Overlap, status: OverlapStatus, note: &str) -> Result<Option<Overlap>, Unresolvable> {
    let note = note.trim();
    if note.is_empty() {
        return Err(Unresolvable::NoteMissing);
    }
    if !overlap.open {
        return Err(Unresolvable::Withdrawn);
    }
    if overlap.status == status && overlap.note.as_deref() == Some(note) {
        return Ok(None);
    }
    Ok(Some(Overlap { status, note: Some(note.to_string()), version: overlap.version + 1, ..overlap.clone() }))
}
