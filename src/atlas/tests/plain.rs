//! The same answers by a plain loop over everything, and worlds and questions drawn at random.

use super::super::*;
use crate::domain::area::AreaCode;
use crate::domain::calendar::{Day, Period};
use crate::domain::ids::{AreaId, ItemId, NeedId, ProgramId};
use crate::domain::need::{Counters, Need, NeedStatus, ServiceStatus, Severity};
use crate::domain::place::{Bounds, LonLat};
use crate::domain::program::{HoldRules, Item, ItemKind, Program};
use crate::domain::quantity::Quantity;
use crate::spatial::{EARTH_RADIUS_M, Shape, SpatialIndex, distance_between, distance_m};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A small generator (splitmix64), so that a seed printed by a failed run repeats it anywhere.
pub struct Random(pub u64);

impl Random {
    pub fn seeded(seed: u64) -> Self {
        eprintln!("random seed {seed}");
        Random(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * ((self.bits() >> 11) as f64 / (1u64 << 53) as f64)
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Some of them, in their order; now and then none.
    pub fn some<T: Copy>(&mut self, from: &[T]) -> Vec<T> {
        let dense = 1 + self.below(4);
        from.iter().copied().filter(|_| self.below(4) < dense).collect()
    }

    pub fn shuffle<T>(&mut self, what: &mut [T]) {
        (1..what.len()).rev().for_each(|i| what.swap(i, self.below(i + 1)));
    }
}

pub fn at(lon: f64, lat: f64) -> LonLat {
    LonLat::new(lon, lat).expect("in range")
}

pub fn day(number: i32) -> Day {
    Day::from_number(number).expect("a day")
}

pub fn code(text: &str) -> AreaCode {
    text.parse().expect("a code")
}

pub fn boxed(west: f64, south: f64, east: f64, north: f64) -> Shape {
    let wkt = format!("POLYGON(({west} {south},{east} {south},{east} {north},{west} {north},{west} {south}))");
    Shape::from_wkt(&wkt).expect("a box").shape
}

pub fn counters(required: i64, reserved: i64, delivered: i64) -> Counters {
    let [required, reserved, delivered] =
        [required, reserved, delivered].map(|q| Quantity::new(q).expect("a quantity"));
    Counters::new(required, reserved, delivered).expect("no more than required")
}

pub fn random_counters(random: &mut Random, most: usize) -> Counters {
    let required = random.below(most + 1);
    let reserved = if random.one_in(3) { random.below(required + 1) } else { 0 };
    let delivered = if random.one_in(3) { random.below(required - reserved + 1) } else { 0 };
    let delivered = if random.one_in(9) { required - reserved } else { delivered };
    counters(required as i64, reserved as i64, delivered as i64)
}

pub fn random_need(random: &mut Random, id: i64, area: AreaId, items: &[Item]) -> Need {
    let item = random.pick(items);
    let start = random.below(30) as i32;
    let most = *random.pick(&[6, 20]);
    Need {
        id: NeedId(id),
        area,
        program: item.program,
        item: item.id,
        period: Period::new(day(start), day(start + random.below(10) as i32)).expect("ordered"),
        counters: random_counters(random, most),
        severity: Severity::new(1 + random.below(5) as i64).expect("1 to 5"),
        status: *random.pick(&[NeedStatus::Reported, NeedStatus::Verified, NeedStatus::Verified, NeedStatus::Closed]),
        first_right_until: None,
        last_line: None,
        version: 1,
    }
}

pub fn catalogue(programs: usize, items: usize) -> (Vec<Program>, Vec<Item>) {
    let program = |n: usize| Program {
        id: ProgramId(70 - n as i64),
        key: format!("P{n}"),
        name_id: format!("Program {n}"),
        name_en: format!("Program {n}"),
        rules: HoldRules::default(),
        first_right_hours: 0,
    };
    let item = |n: usize| Item {
        id: ItemId(90 - n as i64),
        program: ProgramId(70 - (n % programs) as i64),
        key: format!("I{n}"),
        name_id: format!("Barang {n}"),
        name_en: format!("Item {n}"),
        unit: "unit".into(),
        kind: ItemKind::Other,
    };
    ((0..programs).map(program).collect(), (0..items).map(item).collect())
}

pub fn record(id: i64, code: AreaCode, shape: Option<Shape>, point: Option<LonLat>) -> AreaRecord {
    AreaRecord {
        id: AreaId(id),
        name: format!("Area {code}"),
        code,
        label: None,
        shape,
        generated: false,
        point,
        households: None,
        poor_households: None,
    }
}

/// Some dozens of areas on a grid, with gaps of every kind: levels left out, shapes, points, both.
pub fn small_contents(random: &mut Random, edition: i64) -> Contents {
    let mut codes = vec![code("31")];
    for start in 0.. {
        let Some(above) = codes.get(start).cloned() else { break };
        let children = if codes.len() > 90 { 0 } else { random.below(4) + usize::from(start == 0) };
        codes.extend((0..children).filter_map(|n| above.child(2 * n as u32 + 1)));
    }
    codes.retain(|code| !(random.one_in(15) || (code.as_str() == "31" && random.one_in(3))));
    if codes.is_empty() {
        codes.push(code("31.71"));
    }
    random.shuffle(&mut codes);
    let mut areas = Vec::new();
    for code in codes {
        let (x, y) = (106.0 + 0.01 * random.below(12) as f64, -6.0 - 0.01 * random.below(12) as f64);
        let (w, h) = (0.01 * (1 + random.below(4)) as f64, 0.01 * (1 + random.below(4)) as f64);
        let shape = (!random.one_in(3)).then(|| boxed(x, y, x + w, y + h));
        let point = random.one_in(4).then(|| at(x + w / 2.0, y));
        areas.push(record(500 + areas.len() as i64, code, shape, point));
    }
    let (programs, items) = {
        let programs = 1 + random.below(3);
        catalogue(programs, programs + random.below(3))
    };
    let count = random.below(150);
    let mut ids: Vec<i64> = (1..=count as i64).collect();
    random.shuffle(&mut ids);
    let mut need = |id| {
        let area = random_area(random, &areas);
        random_need(random, id, area, &items)
    };
    let needs = ids.into_iter().map(&mut need).collect();
    Contents { programs, items, areas, needs, edition }
}

fn random_area(random: &mut Random, areas: &[AreaRecord]) -> AreaId {
    // A few areas get most needs.
    let end = if random.one_in(2) { areas.len() } else { 1 + areas.len() / 5 };
    areas[random.below(end)].id
}

/// Everything, and the questions asked of it in the plainest way.
pub struct Plain {
    pub contents: Contents,
    /// Places of the areas in `contents.areas`, ascending by code.
    sorted: Vec<usize>,
    by_id: HashMap<AreaId, usize>,
    /// Of each area, alone.
    indexes: Vec<Option<SpatialIndex>>,
    points: Vec<Option<LonLat>>,
}

impl Plain {
    pub fn new(contents: Contents) -> Self {
        let mut sorted: Vec<usize> = (0..contents.areas.len()).collect();
        sorted.sort_by(|a, b| contents.areas[*a].code.cmp(&contents.areas[*b].code));
        let by_code: BTreeMap<_, _> = contents.areas.iter().enumerate().map(|(i, a)| (a.code.clone(), i)).collect();
        let point = |area: &AreaRecord| {
            let mut code = Some(area.code.clone());
            while let Some(at) = code {
                let found = by_code.get(&at).map(|i| &contents.areas[*i]);
                let own = found.and_then(|a| a.point.or_else(|| a.shape.as_ref().map(Shape::inside_point)));
                if own.is_some() {
                    return own;
                }
                code = at.parent();
            }
            None
        };
        let points: Vec<_> = contents.areas.iter().map(point).collect();
        let alone = |(area, point): (&AreaRecord, &Option<LonLat>)| {
            point.map(|point| SpatialIndex::build([(area.shape.clone(), point)]))
        };
        let indexes = contents.areas.iter().zip(&points).map(alone).collect();
        let by_id = contents.areas.iter().enumerate().map(|(i, a)| (a.id, i)).collect();
        Plain { contents, sorted, by_id, indexes, points }
    }

    pub fn area_of(&self, need: &Need) -> &AreaRecord {
        &self.contents.areas[self.by_id[&need.area]]
    }

    pub fn distance(&self, area: AreaId, from: LonLat) -> Option<f64> {
        let at = self.by_id[&area];
        match (&self.contents.areas[at].shape, self.points[at]) {
            (Some(shape), _) => Some(distance_m(from, shape)),
            (None, point) => point.map(|point| distance_between(from, point)),
        }
    }

    fn distance_within(&self, at: usize, from: LonLat, radius: f64) -> bool {
        let area = &self.contents.areas[at];
        // The difference of latitudes alone spares the loop what is plainly farther.
        if let Some(shape) = &area.shape {
            let (south, north) = (shape.bounds().south(), shape.bounds().north());
            let gap = (south - from.lat()).max(from.lat() - north).to_radians() * EARTH_RADIUS_M;
            if gap > radius + 10.0 {
                return false;
            }
        }
        self.distance(area.id, from).is_some_and(|metres| metres <= radius)
    }

    /// The filter's area and spatial conditions, for each area by its place.
    fn in_scope(&self, filter: &Filter) -> Vec<bool> {
        let known = |code: &AreaCode| self.contents.areas.iter().any(|a| a.code == *code);
        let unknown = filter.area.as_ref().is_some_and(|code| !known(code));
        let meets = |at: usize| {
            let area = &self.contents.areas[at];
            let index = self.indexes[at].as_ref();
            !unknown
                && filter.area.as_ref().is_none_or(|code| code.covers(&area.code))
                && filter.bounds.as_ref().is_none_or(|b| match (&area.shape, self.points[at]) {
                    (Some(shape), _) => shape.intersects_bounds(b),
                    (None, Some(p)) => {
                        (b.west()..=b.east()).contains(&p.lon()) && (b.south()..=b.north()).contains(&p.lat())
                    }
                    (None, None) => false,
                })
                && filter.within.as_ref().is_none_or(|shape| {
                    let apart = area.shape.as_ref().is_some_and(|own| !own.bounds().intersects(&shape.bounds()));
                    !apart && index.is_some_and(|index| !index.in_shape(&[index.all()], shape).is_empty())
                })
                && filter
                    .near
                    .is_none_or(|near| near.radius_m.is_none_or(|radius| self.distance_within(at, near.point, radius)))
        };
        (0..self.contents.areas.len()).map(meets).collect()
    }

    fn takes(&self, filter: &Filter, in_scope: &[bool], need: &Need) -> bool {
        let at = self.by_id[&need.area];
        let area = &self.contents.areas[at];
        let usual = [NeedStatus::Reported, NeedStatus::Verified];
        let seen = match &filter.sight {
            _ if need.status == NeedStatus::Verified => true,
            Sight::Public | Sight::Giver => false,
            Sight::Officer(home) => home.covers(&area.code),
            Sight::All => true,
        };
        seen && in_scope[at]
            && filter.statuses.as_deref().unwrap_or(&usual).contains(&need.status)
            && filter.programs.as_ref().is_none_or(|p| p.contains(&need.program))
            && filter.items.as_ref().is_none_or(|i| i.contains(&need.item))
            && filter.levels.as_ref().is_none_or(|l| l.contains(&area.code.level()))
            && filter.service.as_ref().is_none_or(|s| s.contains(&need.counters.service()))
            && filter.min_severity.is_none_or(|least| need.severity.get() >= least.get())
            && filter.active_on.is_none_or(|day| need.period.start <= day && day <= need.period.end)
    }

    /// All needs as they look to whoever asks.
    fn seen<'a>(&'a self, filter: &Filter) -> impl Iterator<Item = Need> + use<'a> {
        let public = filter.sight == Sight::Public;
        let needs = self.contents.needs.iter();
        needs.map(move |need| if public { need.for_public(self.area_of(need).code.level()) } else { *need })
    }

    pub fn taken(&self, filter: &Filter) -> Vec<Need> {
        let in_scope = self.in_scope(filter);
        self.seen(filter).filter(|need| self.takes(filter, &in_scope, need)).collect()
    }

    /// Ids in the order, with metres where the filter has a point.
    pub fn needs(&self, filter: &Filter, order: Order) -> Vec<(NeedId, Option<f64>)> {
        let mut known: HashMap<AreaId, Option<f64>> = HashMap::new();
        let mut rows = Vec::new();
        for need in self.taken(filter) {
            let metres = filter
                .near
                .and_then(|near| *known.entry(need.area).or_insert_with(|| self.distance(need.area, near.point)));
            rows.push((need, metres));
        }
        let unmet = |n: &Need| n.counters.required().get() - n.counters.allocated().get();
        rows.sort_by(|(a, a_metres), (b, b_metres)| {
            let key = match order {
                Order::Priority => b.severity.cmp(&a.severity).then(unmet(b).cmp(&unmet(a))),
                Order::Unmet => unmet(b).cmp(&unmet(a)),
                Order::Code => Ordering::Equal,
                Order::Nearest => a_metres.unwrap_or(f64::INFINITY).total_cmp(&b_metres.unwrap_or(f64::INFINITY)),
            };
            let codes = || self.area_of(a).code.as_str().cmp(self.area_of(b).code.as_str());
            key.then_with(codes).then(a.id.cmp(&b.id))
        });
        rows.into_iter().map(|(need, metres)| (need.id, metres)).collect()
    }

    fn cover(&self, filter: &Filter, needs: impl IntoIterator<Item = Need>) -> Coverage {
        let takes_in = |item: &&Item| {
            filter.items.as_ref().is_none_or(|items| items.contains(&item.id))
                && filter.programs.as_ref().is_none_or(|programs| programs.contains(&item.program))
        };
        let one_item = self.contents.items.iter().filter(takes_in).count() == 1;
        let (mut count, mut unserved, mut areas, mut sums) = (0, 0, BTreeSet::new(), Sums::default());
        for need in needs {
            count += 1;
            if need.counters.service() == ServiceStatus::Unserved {
                unserved += 1;
                areas.insert(need.area);
            }
            sums.required += i128::from(need.counters.required().get());
            sums.allocated += i128::from(need.counters.allocated().get());
            sums.delivered += i128::from(need.counters.delivered().get());
            sums.unmet += i128::from(need.counters.free().get());
        }
        Coverage { needs: count, unserved, unserved_areas: areas.len() as u64, sums: one_item.then_some(sums) }
    }

    pub fn coverage(&self, filter: &Filter) -> Coverage {
        self.cover(filter, self.taken(filter))
    }

    pub fn area_coverage(&self, level: AreaLevel, filter: &Filter) -> Vec<(AreaCode, Coverage)> {
        let in_scope = self.in_scope(filter);
        let mut below: HashMap<AreaCode, Vec<Need>> = HashMap::new();
        for need in self.taken(filter) {
            if let Some(code) = self.area_of(&need).code.at(level) {
                below.entry(code).or_default().push(need);
            }
        }
        let mut rows = Vec::new();
        for at in &self.sorted {
            let code = &self.contents.areas[*at].code;
            let needs = below.get(code);
            if code.level() == level && (in_scope[*at] || needs.is_some()) {
                rows.push((code.clone(), self.cover(filter, needs.into_iter().flatten().copied())));
            }
        }
        rows
    }

    pub fn candidates(&self, filter: &Filter, origin: Option<LonLat>) -> Vec<(NeedId, Option<f64>)> {
        let mut rows = self.taken(filter);
        rows.retain(|n| n.status == NeedStatus::Verified && n.counters.free() > Quantity::ZERO);
        rows.sort_by(|a, b| self.area_of(a).code.cmp(&self.area_of(b).code).then(a.id.cmp(&b.id)));
        rows.iter().map(|n| (n.id, origin.and_then(|origin| self.distance(n.area, origin)))).collect()
    }

    /// What `apply` is to do: newer versions only. Returns what changed.
    pub fn apply(&mut self, needs: &[Need]) -> Vec<NeedChange> {
        let mut changes = Vec::new();
        for need in needs {
            match self.contents.needs.iter_mut().find(|held| held.id == need.id) {
                Some(held) if held.version >= need.version => {}
                Some(held) => changes.push(NeedChange { before: Some(std::mem::replace(held, *need)), after: *need }),
                None => {
                    self.contents.needs.push(*need);
                    changes.push(NeedChange { before: None, after: *need });
                }
            }
        }
        changes
    }

    // --------------------------------------------------------------- questions

    pub fn place(&self, random: &mut Random) -> LonLat {
        match self.points[random.below(self.points.len())] {
            Some(p) if random.one_in(2) => p,
            Some(p) => at(p.lon() + random.between(-0.02, 0.02), p.lat() + random.between(-0.02, 0.02)),
            None => at(106.0 + random.between(0.0, 0.1), -6.0 - random.between(0.0, 0.1)),
        }
    }

    pub fn random_bounds(&self, random: &mut Random) -> Bounds {
        let (a, b) = (self.place(random), self.place(random));
        let reach = 0.05 * random.between(0.0, 1.0).powi(3);
        let b = if random.one_in(3) { b } else { at(a.lon() + reach, a.lat() + reach / 2.0) };
        Bounds::new(a.lon().min(b.lon()), a.lat().min(b.lat()), a.lon().max(b.lon()), a.lat().max(b.lat()))
            .expect("ordered")
    }

    fn random_code(&self, random: &mut Random) -> AreaCode {
        let code = random.pick(&self.contents.areas).code.clone();
        match random.below(12) {
            0 => code.child(99).unwrap_or(code),
            1..6 => code.at(*random.pick(&AreaLevel::ALL)).unwrap_or(code),
            _ => code,
        }
    }

    pub fn random_filter(&self, random: &mut Random) -> Filter {
        let sight = match random.below(5) {
            0 | 1 => Sight::Public,
            2 => Sight::Giver,
            3 => Sight::All,
            _ => Sight::Officer(self.random_code(random)),
        };
        let mut filter = Filter::everything(sight);
        // Few conditions as often as many: the kept sums answer only the plainest.
        let odds = *random.pick(&[3, 6, 12, 30]);
        let contents = &self.contents;
        if random.one_in(odds) {
            filter.statuses = Some(random.some(&NeedStatus::ALL));
        }
        if random.one_in(odds) {
            filter.programs = Some(random.some(&contents.programs.iter().map(|p| p.id).collect::<Vec<_>>()));
        }
        if random.one_in(odds) {
            let all: Vec<_> = contents.items.iter().map(|i| i.id).collect();
            filter.items = Some(if random.one_in(2) { vec![*random.pick(&all)] } else { random.some(&all) });
        }
        if random.one_in(odds.min(4)) {
            filter.area = Some(self.random_code(random));
        }
        if random.one_in(odds) {
            filter.levels = Some(random.some(&AreaLevel::ALL));
        }
        if random.one_in(odds) {
            filter.bounds = Some(self.random_bounds(random));
        }
        if random.one_in(odds) {
            let b = self.random_bounds(random);
            filter.within = if b.west() < b.east() && b.south() < b.north() {
                Some(boxed(b.west(), b.south(), b.east(), b.north()))
            } else {
                random.pick(&self.contents.areas).shape.clone()
            };
        }
        if random.one_in(odds) {
            let radius_m = match random.below(8) {
                0..3 => None,
                3 => Some(*random.pick(&[0.0, -1.0, f64::NAN, f64::INFINITY])),
                _ => Some(6_000.0 * random.between(0.0, 1.0).powi(2)),
            };
            filter.near = Some(Near { point: self.place(random), radius_m });
        }
        if random.one_in(odds) {
            use ServiceStatus::{Covered, Delivered, Partial, Unserved};
            filter.service = Some(random.some(&[Unserved, Partial, Covered, Delivered]));
        }
        if random.one_in(odds) {
            filter.min_severity = Severity::new(1 + random.below(5) as i64);
        }
        if random.one_in(odds) {
            filter.active_on = Some(day(random.below(42) as i32));
        }
        filter
    }

    pub fn random_order(random: &mut Random, filter: &mut Filter, place: LonLat) -> Order {
        let order = *random.pick(&[Order::Priority, Order::Nearest, Order::Unmet, Order::Code]);
        if order == Order::Nearest && filter.near.is_none() {
            filter.near = Some(Near { point: place, radius_m: None });
        }
        order
    }

    /// Changes as commits make them, some of them old, doubled, out of order or on unknown ground.
    pub fn random_changes(&self, random: &mut Random) -> (Vec<Need>, usize) {
        let (mut changes, mut unknown) = (Vec::new(), 0);
        for _ in 0..1 + random.below(40) {
            let area = random.pick(&self.contents.areas).id;
            let mut need = match self.contents.needs.len() {
                0 => random_need(random, 1, area, &self.contents.items),
                n => {
                    let held = self.contents.needs[random.below(n)];
                    Need { version: (held.version - 1 + random.below(4) as i64).max(1), ..held }
                }
            };
            let drawn = random_need(random, need.id.0, area, &self.contents.items);
            match random.below(10) {
                0 => need = Need { version: need.version, ..drawn },
                1 => need = Need { id: NeedId(1_000 + random.below(60) as i64), ..drawn },
                2 | 3 => need.status = drawn.status,
                4 => need.severity = drawn.severity,
                _ => need.counters = drawn.counters,
            }
            if random.one_in(40) {
                need.area = AreaId(9_999);
                unknown += 1;
            }
            changes.push(need);
            if random.one_in(5) {
                changes.push(need);
                unknown += usize::from(need.area == AreaId(9_999));
            }
        }
        random.shuffle(&mut changes);
        (changes, unknown)
    }
}
