//! Needs as they stand.
//!
//! They lie one after another in the order of slots and ids, so that the needs of an area and of all below
//! it are one run. What comes later, or moves to another area, is kept apart until everything is read anew.

use super::ground::{BadContents, Ground};
use super::places::Places;
use super::totals::{Local, Totals};
use crate::domain::calendar::{Moment, Period};
use crate::domain::ids::{ClaimLineId, ItemId, NeedId, ProgramId};
use crate::domain::need::{Counters, Need, NeedStatus, ServiceStatus, Severity};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// A change that was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeedChange {
    /// `None` where the need is new to the map.
    pub before: Option<Need>,
    pub after: Need,
}

/// What became of the needs handed to [`super::Atlas::apply`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// In the order given; old and repeated versions leave no trace.
    pub changes: Vec<NeedChange>,
    /// Needs on an area or of an item that the map does not have.
    pub skipped: usize,
}

/// A need in its place, small: a nation has millions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub id: NeedId,
    pub version: i64,
    pub counters: Counters,
    /// The number of the newest line on it, 0 where there is none.
    last_line: i64,
    pub slot: u32,
    /// The number of its [`Terms`].
    terms: u32,
    /// The item's number.
    pub item: u32,
    pub severity: Severity,
    pub status: NeedStatus,
}

impl Held {
    pub fn with_counters(self, counters: Counters) -> Self {
        Held { counters, ..self }
    }

    pub fn is_unserved(&self) -> bool {
        self.counters.service() == ServiceStatus::Unserved
    }
}

/// What thousands of needs have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Terms {
    program: ProgramId,
    item: ItemId,
    period: Period,
    first_right_until: Option<Moment>,
}

/// The needs of one state, and what they add up to. The public sees them by another picture: see [`View`].
#[derive(Debug)]
pub(super) struct Board {
    /// The settled ones ascend by slot and id; what came later follows.
    needs: Vec<Held>,
    /// For each slot, where its needs begin among the settled ones; one more for the end.
    starts: Vec<u32>,
    terms: Vec<Terms>,
    known_terms: HashMap<Terms, u32>,
    by_id: Places,
    /// Places of needs that are not among the settled ones of their slot, by slot.
    apart: BTreeMap<u32, Vec<u32>>,
    totals: Totals,
    public_totals: Totals,
}

/// What an area's own needs add up to.
struct Locals {
    own: Local,
    /// As the public sees them, where that is something else.
    rounded: Option<Local>,
}

impl Locals {
    fn public(&self) -> &Local {
        self.rounded.as_ref().unwrap_or(&self.own)
    }
}

/// A board in the making.
#[derive(Debug, Default)]
pub(super) struct BoardDraft {
    needs: Vec<Held>,
    terms: Vec<Terms>,
    known_terms: HashMap<Terms, u32>,
}

impl BoardDraft {
    pub fn add(&mut self, ground: &Ground, need: &Need) -> Result<(), BadContents> {
        let slot = ground.slot_of(need.area).ok_or(BadContents::NeedWithoutArea(need.id))?;
        let item = ground.item_number(need.item).ok_or(BadContents::NeedWithoutItem(need.id))?;
        let terms = number_of(&mut self.terms, &mut self.known_terms, need);
        self.needs.push(held(need, slot, item, terms));
        Ok(())
    }

    pub fn finish(self, ground: &Ground) -> Result<Board, BadContents> {
        let BoardDraft { mut needs, terms, known_terms } = self;
        needs.sort_unstable_by_key(|held| (held.slot, held.id));
        needs.shrink_to_fit();
        let mut starts = Vec::with_capacity(ground.area_count() + 1);
        let mut by_id = Places::default();
        for (place, held) in needs.iter().enumerate() {
            while starts.len() <= held.slot as usize {
                starts.push(place as u32);
            }
            if by_id.put(held.id.0, place as u32).is_some() {
                return Err(BadContents::NeedTwice(held.id));
            }
        }
        by_id.shrink_to_fit();
        starts.resize(ground.area_count() + 1, needs.len() as u32);
        let apart = BTreeMap::new();
        let (totals, public_totals) = (Totals::empty(ground, false), Totals::empty(ground, true));
        let mut board = Board { needs, starts, terms, known_terms, by_id, apart, totals, public_totals };
        for public in [false, true] {
            let mut totals = Totals::empty(ground, public);
            totals.fill(ground, &board);
            *(if public { &mut board.public_totals } else { &mut board.totals }) = totals;
        }
        Ok(board)
    }
}

fn number_of(terms: &mut Vec<Terms>, known: &mut HashMap<Terms, u32>, need: &Need) -> u32 {
    let own = Terms {
        program: need.program,
        item: need.item,
        period: need.period,
        first_right_until: need.first_right_until,
    };
    *known.entry(own).or_insert_with(|| {
        terms.push(own);
        terms.len() as u32 - 1
    })
}

fn held(need: &Need, slot: u32, item: u32, terms: u32) -> Held {
    let Need { id, version, counters, severity, status, .. } = *need;
    let last_line = need.last_line.map_or(0, |line| line.0);
    Held { id, version, counters, last_line, slot, terms, item, severity, status }
}

impl Board {
    pub fn empty(ground: &Ground) -> Self {
        BoardDraft::default().finish(ground).unwrap_or_else(|_| Board {
            needs: Vec::new(),
            starts: vec![0; ground.area_count() + 1],
            terms: Vec::new(),
            known_terms: HashMap::new(),
            by_id: Places::default(),
            apart: BTreeMap::new(),
            totals: Totals::empty(ground, false),
            public_totals: Totals::empty(ground, true),
        })
    }

    pub fn apply(&mut self, ground: &Ground, needs: &[Need]) -> Applied {
        let mut applied = Applied::default();
        // The items that change in each area, and what the own needs of it added up to before.
        let mut items: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for need in needs {
            let before = self.get(need.id);
            if before.is_some_and(|before| before.version >= need.version) {
                continue;
            }
            let was = before.map(|before| (before.slot, before.item));
            let is = ground.slot_of(need.area).zip(ground.item_number(need.item));
            for (slot, item) in was.into_iter().chain(is) {
                let items = items.entry(slot).or_default();
                if !items.contains(&item) {
                    items.push(item);
                }
            }
        }
        let were = |(slot, items): (u32, Vec<u32>)| {
            let was = self.locals(ground, slot, &items);
            (slot, items, was)
        };
        let were: Vec<(u32, Vec<u32>, Locals)> = items.into_iter().map(were).collect();
        for need in needs {
            let (Some(slot), Some(item)) = (ground.slot_of(need.area), ground.item_number(need.item)) else {
                applied.skipped += 1;
                continue;
            };
            let place = self.by_id.get(need.id.0);
            let before = place.map(|place| self.needs[place as usize]);
            if before.is_some_and(|before| before.version >= need.version) {
                continue;
            }
            let terms = number_of(&mut self.terms, &mut self.known_terms, need);
            let after = held(need, slot, item, terms);
            let before_need = before.map(|before| self.need(ground, &before));
            match place.zip(before) {
                Some((place, before)) => {
                    self.needs[place as usize] = after;
                    if before.slot != slot {
                        self.leave(place, before.slot);
                        self.settle(place, after);
                    }
                }
                None => {
                    let place = self.needs.len() as u32;
                    self.needs.push(after);
                    self.by_id.put(need.id.0, place);
                    self.settle(place, after);
                }
            }
            applied.changes.push(NeedChange { before: before_need, after: *need });
        }
        // One after another: an area above that is counted anew meanwhile counts what the others are now, and
        // where they are the reason for its most urgent need, they will have it counted once more.
        for (slot, items, was) in were {
            let is = self.locals(ground, slot, &items);
            let mut totals = std::mem::take(&mut self.totals);
            totals.shift(ground, self, slot, &was.own, &is.own);
            self.totals = totals;
            let mut totals = std::mem::take(&mut self.public_totals);
            totals.shift(ground, self, slot, was.public(), is.public());
            self.public_totals = totals;
        }
        applied
    }

    /// What the area's own needs add up to, by item for these.
    fn locals(&self, ground: &Ground, slot: u32, items: &[u32]) -> Locals {
        let asked = |item: u32| items.contains(&item);
        Locals {
            own: self.totals.local(ground, self, slot, asked),
            rounded: Totals::rounds(ground, slot).then(|| self.public_totals.local(ground, self, slot, asked)),
        }
    }

    /// Takes a need out of what is kept apart at a slot.
    fn leave(&mut self, place: u32, slot: u32) {
        if let Some(places) = self.apart.get_mut(&slot) {
            places.retain(|other| *other != place);
            if places.is_empty() {
                self.apart.remove(&slot);
            }
        }
    }

    /// Keeps a need apart at its slot, ascending by id, unless it has come back to where it is settled.
    fn settle(&mut self, place: u32, held: Held) {
        if self.home(held.slot).contains(&place) {
            return;
        }
        let places = self.apart.entry(held.slot).or_default();
        let at = places.partition_point(|other| self.needs[*other as usize].id < held.id);
        places.insert(at, place);
    }

    /// Where the settled needs of a slot lie.
    fn home(&self, slot: u32) -> Range<u32> {
        self.starts[slot as usize]..self.starts[slot as usize + 1]
    }

    pub fn get(&self, id: NeedId) -> Option<&Held> {
        self.by_id.get(id.0).map(|place| &self.needs[place as usize])
    }

    pub fn need(&self, ground: &Ground, held: &Held) -> Need {
        let Terms { program, item, period, first_right_until } = self.terms[held.terms as usize];
        let Held { id, version, counters, severity, status, .. } = *held;
        let last_line = (held.last_line != 0).then_some(ClaimLineId(held.last_line));
        let area = ground.id(held.slot);
        Need { id, area, program, item, period, counters, severity, status, first_right_until, last_line, version }
    }

    pub fn period(&self, held: &Held) -> Period {
        self.terms[held.terms as usize].period
    }

    /// Hands over the needs of a run of slots, ascending by slot and id.
    pub fn visit<'b>(&'b self, slots: Range<u32>, mut hand_over: impl FnMut(&'b Held)) {
        if slots.is_empty() {
            return;
        }
        let mut at = slots.start;
        for (slot, places) in self.apart.range(slots.clone()) {
            self.visit_settled(at..*slot, &mut hand_over);
            let mut places = places.iter().map(|place| &self.needs[*place as usize]).peekable();
            self.visit_settled(*slot..slot + 1, |held| {
                while let Some(earlier) = places.next_if(|other| other.id < held.id) {
                    hand_over(earlier);
                }
                hand_over(held);
            });
            places.for_each(&mut hand_over);
            at = slot + 1;
        }
        self.visit_settled(at..slots.end, &mut hand_over);
    }

    fn visit_settled<'b>(&'b self, slots: Range<u32>, mut hand_over: impl FnMut(&'b Held)) {
        if slots.is_empty() {
            return;
        }
        let (start, end) = (self.starts[slots.start as usize], self.starts[slots.end as usize]);
        let lie = &self.needs[start as usize..end as usize];
        // What has moved away bears another slot; where it has moved to within this run is a slot with needs apart.
        lie.iter().filter(|held| slots.contains(&held.slot)).for_each(&mut hand_over);
    }

    /// As [`digest_of`].
    pub fn digest(&self, salt: &str) -> [u8; 32] {
        let lines = self.by_id.in_order().map(|place| {
            let held = &self.needs[place as usize];
            digest_line(held.id, held.version, held.counters)
        });
        digest_lines(salt, lines)
    }

    pub fn view(&self, public: bool) -> View<'_> {
        View { board: self, totals: if public { &self.public_totals } else { &self.totals } }
    }
}

/// A board as somebody sees it. The public sees small counts of RT as [`Need::for_public`] has them, and sums of
/// what it sees: nobody who holds such a view gets at anything else.
#[derive(Clone, Copy)]
pub(super) struct View<'b> {
    board: &'b Board,
    pub totals: &'b Totals,
}

impl<'b> View<'b> {
    pub fn get(&self, ground: &Ground, id: NeedId) -> Option<Held> {
        self.board.get(id).map(|held| self.totals.picture(ground, held))
    }

    pub fn need(&self, ground: &Ground, held: &Held) -> Need {
        self.board.need(ground, held)
    }

    pub fn period(&self, held: &Held) -> Period {
        self.board.period(held)
    }

    /// As [`Board::visit`].
    pub fn visit(&self, ground: &Ground, slots: Range<u32>, mut hand_over: impl FnMut(&Held)) {
        let totals = self.totals;
        self.board.visit(slots, |held| hand_over(&totals.picture(ground, held)));
    }

    /// What the VERIFIED needs of one item, or of [`super::totals::ALL_ITEMS`], add up to over an area and all
    /// below it.
    pub fn below(&self, ground: &Ground, slot: u32, item: u32) -> super::totals::Tally {
        self.totals.below(ground, self.board, slot, item)
    }
}

/// SHA-256 over the salt and over id, version, required, reserved and delivered of each need by
/// ascending id, each as eight bytes, the highest first. The order in which the needs are given does not
/// matter. Without a secret salt, who knows nearly all counters could try out the rest.
pub fn digest_of(salt: &str, needs: &[Need]) -> [u8; 32] {
    let mut lines: Vec<_> = needs.iter().map(|need| digest_line(need.id, need.version, need.counters)).collect();
    lines.sort_unstable();
    digest_lines(salt, lines.into_iter())
}

fn digest_line(id: NeedId, version: i64, counters: Counters) -> [i64; 5] {
    [id.0, version, counters.required().get(), counters.reserved().get(), counters.delivered().get()]
}

fn digest_lines(salt: &str, lines: impl Iterator<Item = [i64; 5]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(salt);
    for number in lines.flatten() {
        hash.update(number.to_be_bytes());
    }
    hash.finalize().into()
}
