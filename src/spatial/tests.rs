//! The index against a plain loop over all areas, and the readers against hostile input.

use super::samples::*;
use super::*;
use crate::domain::place::{Bounds, LonLat};
use geo::{Coord, Intersects, Rect};
use serde_json::{Value, json};

/// The same questions without a tree: geo's own predicates on each area in turn. Boxes only spare
/// the loop areas that are plainly elsewhere.
struct PlainLoop(Vec<(u32, Option<Shape>, LonLat)>);

impl PlainLoop {
    fn slots(&self, on_shape: impl Fn(&Shape) -> bool, on_point: impl Fn(LonLat) -> bool) -> Vec<u32> {
        let belongs =
            |shape: &Option<Shape>, point: &LonLat| shape.as_ref().map_or_else(|| on_point(*point), &on_shape);
        self.0.iter().filter(|(_, shape, point)| belongs(shape, point)).map(|(slot, ..)| *slot).collect()
    }

    fn intersecting_bounds(&self, b: &Bounds) -> Vec<u32> {
        let rect = Rect::new(Coord { x: b.west(), y: b.south() }, Coord { x: b.east(), y: b.north() });
        self.slots(
            |s| s.bounds().intersects(b) && s.polygons().intersects(&rect),
            |p| rect.intersects(&Coord { x: p.lon(), y: p.lat() }),
        )
    }

    fn intersecting_shape(&self, query: &Shape) -> Vec<u32> {
        self.slots(
            |s| s.bounds().intersects(&query.bounds()) && s.polygons().intersects(query.polygons()),
            |p| has_point(query, p),
        )
    }

    fn distances(&self, point: LonLat, radius: f64) -> Vec<(u32, f64)> {
        let metres = |(slot, shape, own): &(u32, Option<Shape>, LonLat)| {
            let (south, north) =
                shape.as_ref().map_or((own.lat(), own.lat()), |s| (s.bounds().south(), s.bounds().north()));
            let gap = (south - point.lat()).max(point.lat() - north).to_radians() * EARTH_RADIUS_M;
            if gap > radius + 10.0 {
                return None;
            }
            let metres = shape.as_ref().map_or_else(|| distance_between(point, *own), |s| distance_m(point, s));
            (metres <= radius).then_some((*slot, metres))
        };
        self.0.iter().filter_map(metres).collect()
    }

    fn nearest(&self, point: LonLat) -> Vec<(u32, f64)> {
        let mut all = self.distances(point, f64::INFINITY);
        all.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        all
    }

    fn locate(&self, point: LonLat) -> Option<u32> {
        self.slots(|s| has_point(s, point), |_| false).first().copied()
    }
}

/// Each slot of each part.
fn slots(parts: Vec<Part>) -> Vec<u32> {
    parts.into_iter().flat_map(|part| part.slots).collect()
}

fn has_point(shape: &Shape, p: LonLat) -> bool {
    let p = Coord { x: p.lon(), y: p.lat() };
    shape.polygons().iter().any(|polygon| polygon.intersects(&p))
}

/// A world to ask: its index, its loop, and positions that are worth asking about.
struct World {
    name: &'static str,
    index: SpatialIndex,
    plain: PlainLoop,
    places: Vec<LonLat>,
    reach: f64,
}

impl World {
    fn new(name: &'static str, areas: Vec<(Option<Shape>, LonLat)>, reach: f64) -> Self {
        let areas: Vec<_> = areas.into_iter().enumerate().map(|(i, (s, p))| (i as u32, s, p)).collect();
        let mut places: Vec<LonLat> = areas.iter().map(|(_, _, p)| *p).collect();
        for (a, b) in areas.iter().filter_map(|(_, s, _)| s.as_ref()).flat_map(|s| s.edges()) {
            places.push(at(a.x, a.y));
            places.push(at((a.x + b.x) / 2.0, (a.y + b.y) / 2.0));
        }
        World {
            name,
            index: SpatialIndex::build(areas.iter().map(|(_, s, p)| (s.clone(), *p))),
            plain: PlainLoop(areas),
            places,
            reach,
        }
    }

    fn place(&self, random: &mut Random) -> LonLat {
        let near = *random.pick(&self.places);
        match random.below(10) {
            0..4 => near,
            4 => at(near.lon(), random.between(-90.0, 90.0)),
            5 => at(*random.pick(&[-180.0, 180.0]), *random.pick(&[-90.0, 90.0, near.lat()])),
            _ => {
                let wander = self.reach * random.between(0.0, 1.0).powi(2);
                at(near.lon() + random.between(-wander, wander), near.lat() + random.between(-wander, wander))
            }
        }
    }

    /// A box between two places, or from one place with no width, no height or neither.
    fn bounds(&self, random: &mut Random) -> Bounds {
        let (a, b) = (self.place(random), self.place(random));
        let small = self.reach * random.between(0.0, 1.0).powi(4);
        let b = match random.below(8) {
            0 => a,
            1 => at(a.lon(), b.lat()),
            2 => at(b.lon(), a.lat()),
            3..7 => at(a.lon() + random.between(-small, small), a.lat() + random.between(-small, small)),
            _ => b,
        };
        Bounds::new(a.lon().min(b.lon()), a.lat().min(b.lat()), a.lon().max(b.lon()), a.lat().max(b.lat()))
            .expect("ordered")
    }

    fn query_shape(&self, random: &mut Random) -> Shape {
        loop {
            let own = random.pick(&self.plain.0).1.clone();
            let b = self.bounds(random);
            let drawn = match random.below(4) {
                0 => own,
                1 if b.west() < b.east() && b.south() < b.north() => {
                    Some(boxed(b.west(), b.south(), b.east(), b.north()))
                }
                _ => {
                    let (centre, radius) = (self.place(random), self.reach * random.between(0.01, 0.5));
                    let ring = star(random, centre.lon(), centre.lat(), radius, None);
                    Shape::query_geojson(&polygon(&[ring])).ok()
                }
            };
            if let Some(shape) = drawn {
                return shape;
            }
        }
    }

    /// Asks one random question both ways.
    fn ask(&self, random: &mut Random, number: usize) {
        let place = self.place(random);
        let name = self.name;
        match number % 10 {
            0..4 => {
                let b = self.bounds(random);
                let found = slots(self.index.in_bounds(&[self.index.all()], &b));
                assert_eq!(found, self.plain.intersecting_bounds(&b), "{name} {b:?}");
            }
            4 | 5 => {
                let shape = self.query_shape(random);
                let found = slots(self.index.in_shape(&[self.index.all()], &shape));
                let expected = self.plain.intersecting_shape(&shape);
                assert_eq!(found, expected, "{name} {}", shape.to_geojson());
            }
            6 | 7 => {
                let radius = match random.below(8) {
                    0 => 0.0,
                    1 if self.plain.0.len() < 500 => *random.pick(&[2.1e7, f64::INFINITY, 1e7]),
                    _ => self.reach * 111_000.0 * random.between(0.0, 1.0).powi(4),
                };
                let found = self.index.within_distance(&[self.index.all()], place, radius);
                assert_eq!(found, self.plain.distances(place, radius), "{name} {place:?} {radius}");
            }
            8 => {
                let count = 1 + random.below(30);
                let found: Vec<_> = self.index.nearest(&[self.index.all()], place, |_| true).take(count).collect();
                let mut expected = self.plain.nearest(place);
                expected.truncate(count);
                assert_eq!(found, expected, "{name} {place:?}");
            }
            _ => assert_eq!(self.index.locate_among(place, |_| true), self.plain.locate(place), "{name} {place:?}"),
        }
    }
}

/// How many of `SALUR_QUERIES` (10,000 where unset) fall to a world with so many of a hundred.
fn share(percent: usize) -> usize {
    let all = std::env::var("SALUR_QUERIES").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000usize);
    all * percent / 100
}

/// Tiles that share borders exactly, stars over them on the same grid, holes, parts, and bare points.
fn patchwork(random: &mut Random) -> World {
    let mut areas = Vec::new();
    for i in 0..64 {
        let (x, y) = (106.0 + f64::from(i % 8) * 0.125, -6.5 + f64::from(i / 8) * 0.125);
        let tile = boxed(x, y, x + 0.125, y + 0.125);
        let point = tile.inside_point();
        areas.push((Some(tile), point));
    }
    while areas.len() < 200 {
        let (x, y) = (106.0 + random.below(33) as f64 / 32.0, -6.5 + random.below(33) as f64 / 32.0);
        let drawn = match random.below(4) {
            0 => {
                areas.push((None, at(x, y)));
                continue;
            }
            1 => Shape::from_geojson(&polygon(&[star(random, x, y, 0.3, Some(1.0 / 64.0))])),
            2 => Shape::from_geojson(&polygon(&[star(random, x, y, 0.3, None)])),
            _ => {
                let ring = |x: f64, y: f64, r: f64| {
                    json!([[x - r, y - r], [x + r, y - r], [x + r, y + r], [x - r, y + r], [x - r, y - r]])
                };
                let parts =
                    json!([[ring(x, y, 0.125), ring(x, y, 0.0625)], [ring(x, y, 0.03125)], [ring(x + 0.25, y, 0.125)]]);
                Shape::from_geojson(&json!({ "type": "MultiPolygon", "coordinates": parts }))
            }
        };
        if let Ok(checked) = drawn {
            let point = checked.shape.inside_point();
            areas.push((Some(checked.shape), point));
        }
    }
    World::new("patchwork", areas, 0.6)
}

/// Large and small shapes all over the earth: at the poles, at the antimeridian, around the whole of it.
fn globe(random: &mut Random) -> World {
    let mut areas = vec![
        (Some(boxed(-180.0, -90.0, 180.0, -60.0)), at(0.0, -75.0)),
        (Some(boxed(-180.0, 89.0, -90.0, 90.0)), at(-135.0, 89.5)),
        (Some(boxed(170.0, -10.0, 180.0, 10.0)), at(175.0, 0.0)),
        (Some(boxed(-180.0, -10.0, -170.0, 10.0)), at(-175.0, 0.0)),
        (None, at(180.0, 0.0)),
        (None, at(-180.0, 0.0)),
        (None, at(0.0, 90.0)),
        (None, at(77.0, -90.0)),
    ];
    while areas.len() < 120 {
        let (x, y) = (random.between(-180.0, 180.0), random.between(-90.0, 90.0));
        if random.one_in(5) {
            areas.push((None, at(x, y)));
            continue;
        }
        let radius = 40.0 * random.between(0.001, 1.0).powi(3);
        if let Ok(checked) = Shape::from_geojson(&polygon(&[star(random, x, y, radius, None)])) {
            let point = checked.shape.inside_point();
            areas.push((Some(checked.shape), point));
        }
    }
    World::new("globe", areas, 60.0)
}

/// Real areas; every seventh gives up its shape and takes part as a point.
fn real(name: &'static str, file: &str) -> Option<World> {
    let geometries = real_features(file)?;
    let areas = geometries.iter().enumerate().map(|(i, geometry)| {
        let shape = Shape::from_geojson(geometry).expect("a real shape").shape;
        let point = shape.inside_point();
        ((i % 7 != 3).then_some(shape), point)
    });
    Some(World::new(name, areas.collect(), 0.1))
}

fn ask_all(world: Option<World>, seed: u64, percent: usize) {
    let Some(world) = world else { return };
    let mut random = Random::seeded(seed);
    for number in 0..share(percent) {
        world.ask(&mut random, number);
    }
}

#[test]
fn a_patchwork_with_shared_borders_answers_as_a_plain_loop_does() {
    ask_all(Some(patchwork(&mut Random::seeded(11))), 12, 40);
}

#[test]
fn a_globe_of_large_shapes_poles_and_limits_answers_as_a_plain_loop_does() {
    ask_all(Some(globe(&mut Random::seeded(21))), 22, 20);
}

#[test]
fn the_real_rw_of_jakarta_answer_as_a_plain_loop_does() {
    ask_all(real("rw", JAKARTA_RW), 32, 20);
}

#[test]
fn the_real_villages_of_jakarta_answer_as_a_plain_loop_does() {
    ask_all(real("villages", JAKARTA_VILLAGES), 42, 20);
}

#[test]
fn of_the_real_rw_of_jakarta_one_is_mended_and_each_has_its_point_inside() {
    let Some(geometries) = real_features(JAKARTA_RW) else { return };
    let mut mended = Vec::new();
    for (number, geometry) in geometries.iter().enumerate() {
        let checked = Shape::from_geojson(geometry).expect("a real shape");
        assert!(has_point(&checked.shape, checked.shape.inside_point()), "feature {number}");
        assert_eq!(Shape::from_wkb(&checked.shape.to_wkb()), Ok(checked.shape.clone()), "feature {number}");
        if !checked.repairs.is_empty() {
            mended.push((number, checked.repairs));
        }
    }
    assert_eq!(geometries.len(), 2724);
    assert_eq!(mended, [(2511, vec![Repair::OverlappingParts])]);
}

#[test]
fn an_empty_index_answers_everything_with_nothing() {
    let empty = SpatialIndex::build([]);
    let all = [empty.all()];
    let everywhere = Bounds::new(-180.0, -90.0, 180.0, 90.0).expect("a box");
    assert!(empty.is_empty() && empty.in_bounds(&all, &everywhere).is_empty());
    assert!(empty.in_shape(&all, &boxed(0.0, 0.0, 1.0, 1.0)).is_empty());
    assert!(empty.within_distance(&all, at(0.0, 0.0), f64::INFINITY).is_empty());
    let nearest = empty.nearest(&all, at(0.0, 0.0), |_| true).next();
    assert_eq!((nearest, empty.locate_among(at(0.0, 0.0), |_| true)), (None, None));
}

#[test]
fn a_point_on_a_shared_border_belongs_to_the_lower_code() {
    let (west, east) = (boxed(0.0, 0.0, 1.0, 1.0), boxed(1.0, 0.0, 2.0, 1.0));
    let index = SpatialIndex::build([(None, at(1.0, 0.5)), (Some(east), at(1.5, 0.5)), (Some(west), at(0.5, 0.5))]);
    assert_eq!(index.locate_among(at(1.0, 0.5), |_| true), Some(1));
    assert_eq!(index.locate_among(at(1.0, 0.5), |slot| slot != 1), Some(2));
    assert_eq!(index.locate_among(at(0.5, 0.5), |_| true), Some(2));
    assert_eq!(index.locate_among(at(2.5, 0.5), |_| true), None);
}

#[test]
fn a_radius_that_is_negative_or_no_number_finds_nothing() {
    let index = SpatialIndex::build([(Some(boxed(0.0, 0.0, 1.0, 1.0)), at(0.5, 0.5))]);
    let within = |place, radius| index.within_distance(&[index.all()], place, radius);
    for radius in [-1.0, f64::NAN, f64::NEG_INFINITY] {
        assert!(within(at(0.5, 0.5), radius).is_empty(), "{radius}");
    }
    assert_eq!(within(at(0.5, 0.5), 0.0), vec![(0, 0.0)]);
    assert_eq!(within(at(1.0, 1.0), 0.0), vec![(0, 0.0)]);
}

/// The areas of a world as the children of others, three deep, some of the parents without a shape.
fn nested(world: &World, random: &mut Random) -> SpatialIndex {
    let mut outlines = Outlines::default();
    let areas = &world.plain.0;
    let mut nested: Vec<Area> = Vec::new();
    for (slot, shape, point) in areas {
        let outline = shape.as_ref().map(|shape| outlines.push(shape));
        nested.push(Area { outline, point: Some(*point), end: slot + 1 });
    }
    let mut slot = 0;
    while slot < nested.len() {
        let end = (slot + 1 + random.below(40)).min(nested.len());
        nested[slot].end = end as u32;
        let mut child = slot + 1;
        while child < end {
            let last = (child + 1 + random.below(9)).min(end);
            nested[child].end = last as u32;
            child = last;
        }
        slot = end;
    }
    SpatialIndex::new(outlines, nested.into_iter())
}

#[test]
fn a_hierarchy_changes_no_answer_and_what_is_taken_whole_is_whole() {
    let mut random = Random::seeded(61);
    for world in [patchwork(&mut random), globe(&mut random)] {
        let index = nested(&world, &mut random);
        let mut runs = 0;
        for _ in 0..600 {
            let (place, b) = (world.place(&mut random), world.bounds(&mut random));
            let found = index.in_bounds(&[index.all()], &b);
            for run in found.iter().filter(|part| part.whole) {
                assert_eq!(index.tops(run.slots.clone()).map(|top| index.end(top)).last(), Some(run.slots.end));
                runs += 1;
            }
            assert_eq!(slots(found.clone()), world.plain.intersecting_bounds(&b), "{} {b:?}", world.name);
            let shape = world.query_shape(&mut random);
            let expected = world.plain.intersecting_shape(&shape);
            assert_eq!(slots(index.in_shape(&[index.all()], &shape)), expected, "{}", shape.to_geojson());
            let both: Vec<u32> =
                slots(found.clone()).into_iter().filter(|slot| expected.binary_search(slot).is_ok()).collect();
            assert_eq!(slots(index.in_shape(&found, &shape)), both, "one after the other");
            let near: Vec<_> = index.nearest(&found, place, |_| true).collect();
            let mut expected = world.plain.nearest(place);
            expected.retain(|(slot, _)| Part::any_has(&found, *slot));
            assert_eq!(near, expected, "{} {place:?} {b:?}", world.name);
            assert_eq!(index.locate_among(place, |_| true), world.plain.locate(place));
        }
        assert!(runs > 20, "only {runs} runs in {}", world.name);
    }
}

#[test]
fn hostile_bytes_are_refused_or_read_but_never_break_the_wkb_reader() {
    let mut random = Random::seeded(51);
    let good = shape("MULTIPOLYGON(((0 0,9 0,9 9,0 9,0 0),(1 1,2 1,2 2,1 1)),((20 20,30 20,30 30,20 20)))").to_wkb();
    let mut refused = 0;
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..1 + random.below(4) {
            let i = random.below(bytes.len());
            let noise = random.bits() as u8;
            bytes[i] = *random.pick(&[0, 1, 3, 6, 0x7f, 0xf0, 0xff, noise]);
        }
        if random.one_in(3) {
            bytes.truncate(random.below(bytes.len() + 1));
        }
        refused += usize::from(Shape::from_wkb(&bytes).is_err());
        let noise: Vec<u8> = (0..random.below(200)).map(|_| random.bits() as u8).collect();
        assert!(Shape::from_wkb(&noise).is_err());
    }
    assert!(refused > 1000, "{refused}");
    // Counts that promise gigabytes are held against the bytes that are there.
    let mut greedy = good.clone();
    greedy[5..9].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(Shape::from_wkb(&greedy), Err(ShapeError::BadWkb("it ends too early")));
}

#[test]
fn hostile_text_is_refused_or_read_but_never_breaks_the_wkt_reader() {
    let mut random = Random::seeded(61);
    let good =
        "MULTIPOLYGON Z (((0 0 1,9 0 1,9 9 1,0 0 1),(3 1 1,4 1 1,4 2 1,3 1 1)),((20 20 0,30 20 0,30 30 0,20 20 0)))";
    let pieces = ["(", ")", ",", " ", "-", "nan", "inf", "1e400", "EMPTY", "POLYGON", "Z", "M", "\0", "é", "9", "."];
    let mut read = 0;
    for _ in 0..5_000 {
        let mut text = good.to_string();
        for _ in 0..1 + random.below(5) {
            let i = random.below(text.len());
            if text.is_char_boundary(i) {
                if random.one_in(3) { text.truncate(i) } else { text.insert_str(i, pieces[random.below(pieces.len())]) }
            }
            if text.is_empty() {
                text.push('P');
            }
        }
        read += usize::from(Shape::from_wkt(&text).is_ok());
    }
    assert!(read > 0);
    let deep = "GEOMETRYCOLLECTION(".repeat(100_000);
    assert_eq!(Shape::from_wkt(&deep), Err(ShapeError::NotPolygonal));
    assert!(Shape::from_wkt(&format!("POLYGON{}", "(".repeat(100_000))).is_err());
}

fn any_json(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 6 } else { 12 }) {
        0 => Value::Null,
        1 => json!(random.between(-400.0, 400.0)),
        2 => json!(f64::from_bits(random.bits())),
        3 => json!("Polygon"),
        4 => json!(*random.pick(&[0, 1, -180, 180, 90, -90])),
        5 => json!(random.bits()),
        _ => (0..random.below(6)).map(|_| any_json(random, depth - 1)).collect(),
    }
}

#[test]
fn hostile_json_is_refused_or_read_but_never_breaks_the_geojson_reader() {
    let mut random = Random::seeded(71);
    for _ in 0..20_000 {
        let kind = *random.pick(&["Polygon", "MultiPolygon", "Point", "GeometryCollection"]);
        let value = json!({ "type": kind, "coordinates": any_json(&mut random, 5) });
        if let Ok(checked) = Shape::from_geojson(&value) {
            assert!(checked.shape.vertex_count() >= 4);
        }
        assert!(Shape::query_geojson(&any_json(&mut random, 3)).is_err());
    }
}

#[test]
fn outlines_of_any_size_and_place_are_mended_or_refused_without_breaking() {
    let mut random = Random::seeded(81);
    let mut sound = 0;
    for _ in 0..5_000 {
        let size = 10f64.powf(random.between(-18.0, 2.2));
        let (x, y) = (random.between(-180.0, 180.0), random.between(-90.0, 90.0));
        let rings: Vec<Vec<[f64; 2]>> = (0..1 + random.below(3))
            .map(|_| {
                (0..3 + random.below(12))
                    .map(|_| {
                        let p = at(x + random.between(-size, size), y + random.between(-size, size));
                        [p.lon(), p.lat()]
                    })
                    .collect()
            })
            .collect();
        if let Ok(checked) = Shape::from_geojson(&polygon(&rings)) {
            sound += 1;
            assert_eq!(Shape::from_wkb(&checked.shape.to_wkb()), Ok(checked.shape));
        }
    }
    assert!(sound > 1000, "{sound}");
}
