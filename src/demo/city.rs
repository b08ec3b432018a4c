//! Jakarta as the demo shows it: every area with its real code, name and counts, and a shape
//! made up for it.
//!
//! Villages are Voronoi cells around their real points, inside a coast line and city limits
//! that are made up too; RW and RT are cut out of them, RW about where they really lie. Larger
//! areas are the exact union of their villages. No surveyed boundary is used.

use super::partition::{Mesh, Part, Point, Ring, centroid, distance, doubled_area};
use super::{BadSeed, Draw, noise, read_rows};
use crate::domain::area::{AreaCode, AreaLevel};
use crate::domain::place::LonLat;
use geo::{Contains, Coord, InteriorPoint, LineString, MultiPolygon, Polygon};
use serde::Deserialize;
use std::collections::BTreeMap;

/// One area of the demo city.
#[derive(Debug, Clone, PartialEq)]
pub struct DemoArea {
    pub code: AreaCode,
    /// The given label: `Gambir`, `RW 003`, `RT 007`.
    pub name: String,
    pub level: AreaLevel,
    /// Inside the shape; for villages and most RW the real place.
    pub point: LonLat,
    /// Generated, valid, in degrees; outer rings run counter-clockwise.
    pub shape: MultiPolygon<f64>,
    /// The civil registry's number of 2019 for a village and above, spread at will below it.
    pub households: i64,
    /// Made up: 5 to 35 of a hundred households, in quarters.
    pub poor_households: i64,
    /// What the RW list of 2014 says of an RW, and so of its RT; `None` where it says nothing.
    pub flood_prone: Option<bool>,
    /// The village's code at BPS, which is not the Ministry's and looks like it.
    pub bps_code: Option<String>,
}

const VILLAGES: &str = "jakarta/villages.csv";
const RWS: &str = "jakarta/rw.csv";
const VILLAGES_CSV: &str = include_str!("../../seed/jakarta/villages.csv");
const RWS_CSV: &str = include_str!("../../seed/jakarta/rw.csv");

const SEED: u64 = 0x5a1_0e20;
/// Cities without this prefix lie on the mainland.
const ISLANDS: &str = "31.01";

#[derive(Debug, Deserialize)]
struct VillageRow {
    code: String,
    name: String,
    district_code: String,
    district: String,
    city_code: String,
    city: String,
    lon: f64,
    lat: f64,
    households: i64,
    bps_code: String,
}

#[derive(Debug, Deserialize)]
struct RwRow {
    village_code: String,
    rw: u32,
    rt_count: usize,
    lon: Option<f64>,
    lat: Option<f64>,
    flood_prone: String,
    rt_numbers: String,
}

/// The whole city, sorted by code, so that parents come before their children: 1 province,
/// 6 cities, 44 districts, 267 villages, 2,709 RW and 30,274 RT.
pub fn city() -> Result<Vec<DemoArea>, BadSeed> {
    let villages: Vec<VillageRow> = read_rows(VILLAGES, VILLAGES_CSV)?;
    let rows: Vec<RwRow> = read_rows(RWS, RWS_CSV)?;
    let mut rws: BTreeMap<&str, Vec<&RwRow>> = BTreeMap::new();
    for row in &rows {
        rws.entry(&row.village_code).or_default().push(row);
    }

    let mut mesh = Mesh::default();
    let outlines = village_cells(&mut mesh, &villages);
    let mut leaves = Vec::with_capacity(rows.len());
    for (village, cell) in villages.iter().zip(&outlines) {
        let own = rws.get(village.code.as_str()).map(Vec::as_slice).unwrap_or_default();
        leaves.push(divide_village(&mut mesh, village, cell, own)?);
    }
    mesh.refine(LONGEST_EDGE);
    mesh.place(|p| degrees(bend(p)));

    let mut areas = Vec::with_capacity(34_000);
    for ((village, cell), rws) in villages.iter().zip(&outlines).zip(leaves) {
        add_village(&mut areas, &mesh, village, cell, rws)?;
    }
    add_unions(&mut areas, &mesh, &villages, &outlines)?;
    areas.sort_by(|a, b| a.code.cmp(&b.code));
    Ok(areas)
}

// ------------------------------------------------------------------- the plane and the earth

/// The plane's origin and how many metres one degree is there.
const ORIGIN: Point = [106.82, -6.2];
const DEGREE: Point = [110_670.0, 110_577.0];
/// Edges are broken up to this many metres before they are bent.
const LONGEST_EDGE: f64 = 110.0;

fn metres(lon: f64, lat: f64) -> Point {
    [(lon - ORIGIN[0]) * DEGREE[0], (lat - ORIGIN[1]) * DEGREE[1]]
}

/// Rounded to seven decimals, about a centimetre.
fn degrees(p: Point) -> Point {
    let round = |v: f64| (v * 1e7).round() / 1e7;
    [round(ORIGIN[0] + p[0] / DEGREE[0]), round(ORIGIN[1] + p[1] / DEGREE[1])]
}

/// Moves a place by up to some 200 m, its neighbours nearly as far: straight cuts become
/// winding lines. Steep enough to be seen, never so steep that borders cross.
fn bend(p: Point) -> Point {
    let sway = |seed: u64| {
        let hills = |seed: u64, reach: f64, width: f64| reach * noise(SEED ^ seed, p[0] / width, p[1] / width);
        hills(seed, 170.0, 3_100.0) + hills(seed + 1, 60.0, 870.0) + hills(seed + 2, 10.0, 310.0)
    };
    [p[0] + sway(10), p[1] + sway(20)]
}

/// The place that [`bend`] moves to `p`.
fn unbend(p: Point) -> Point {
    let mut at = p;
    for _ in 0..30 {
        let there = bend(at);
        at = [at[0] + p[0] - there[0], at[1] + p[1] - there[1]];
    }
    at
}

// ---------------------------------------------------------------------------------- villages

/// One cell per village. Islands lie apart; the mainland's cells share their borders.
fn village_cells(mesh: &mut Mesh, villages: &[VillageRow]) -> Vec<Ring> {
    let points: Vec<Point> = villages.iter().map(|v| unbend(metres(v.lon, v.lat))).collect();
    let is_island = |i: usize| villages[i].city_code == ISLANDS;
    let (islands, inland): (Vec<usize>, Vec<usize>) = (0..villages.len()).partition(|i| is_island(*i));
    let mut seeds: Vec<Point> = inland.iter().map(|i| points[*i]).collect();
    seeds.extend(surroundings(&seeds));
    let mut cells = vec![Ring::new(); villages.len()];
    for (i, ring) in inland.iter().zip(mesh.voronoi(&seeds, inland.len())) {
        cells[*i] = ring;
    }
    for i in islands {
        cells[i] = mesh.polygon(&island(points[i], &mut Draw::keyed(SEED, &villages[i].code)));
    }
    cells
}

/// Places in the sea and beyond the city's limits. As Voronoi seeds they bound the outermost
/// villages. They are what a disc rolled around the given points covers, so that no bay or gap
/// is narrower than the disc.
fn surroundings(points: &[Point]) -> Vec<Point> {
    const STEP: f64 = 700.0;
    const CLEAR: f64 = 1_550.0;
    const DISC: f64 = 3_200.0;
    const MARGIN: f64 = CLEAR + 2.0 * DISC;
    let low = |axis: usize| points.iter().map(|p| p[axis]).fold(f64::INFINITY, f64::min) - MARGIN;
    let high = |axis: usize| points.iter().map(|p| p[axis]).fold(f64::NEG_INFINITY, f64::max) + MARGIN;
    let (west, south) = (low(0), low(1));
    let across = ((high(0) - west) / STEP) as usize + 1;
    let up = ((high(1) - south) / STEP) as usize + 1;
    let mut draw = Draw::new(SEED ^ 30);
    let places: Vec<Point> = (0..across * up)
        .map(|i| [(i % across) as f64, (i / across) as f64])
        .map(|c| [west + (c[0] + draw.between(-0.3, 0.3)) * STEP, south + (c[1] + draw.between(-0.3, 0.3)) * STEP])
        .collect();
    let clear_of = |p: &Point, by: f64| points.iter().all(|q| distance(*p, *q) > by);
    let discs: Vec<Point> = places.iter().filter(|p| clear_of(p, CLEAR + DISC)).copied().collect();
    let covered = |p: &Point| clear_of(p, CLEAR) && discs.iter().any(|d| distance(*p, *d) < DISC);
    places.into_iter().filter(covered).collect()
}

/// A convex island around `centre`, half as wide as long.
fn island(centre: Point, draw: &mut Draw) -> Vec<Point> {
    const CORNERS: i32 = 8;
    let (long, wide) = (draw.between(520.0, 680.0), draw.between(280.0, 340.0));
    let turn = on_circle(draw.between(-1.0, 1.0));
    let half = |sign: f64| {
        (0..CORNERS).map(move |k| {
            let [c, s] = on_circle(f64::from(2 * k - CORNERS) / f64::from(CORNERS));
            let (x, y) = (sign * c * long, sign * s * wide);
            [centre[0] + x * turn[0] - y * turn[1], centre[1] + x * turn[1] + y * turn[0]]
        })
    };
    half(1.0).chain(half(-1.0)).collect()
}

/// A point of the unit circle's right half, from bottom (-1) to top (1).
fn on_circle(t: f64) -> Point {
    [(1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t)]
}

/// An RW with its cell and, by number, the cells of its RT.
struct RwCell<'a> {
    row: &'a RwRow,
    ring: Ring,
    rts: Vec<(u32, Ring)>,
}

fn divide_village<'a>(
    mesh: &mut Mesh,
    village: &VillageRow,
    cell: &Ring,
    rows: &[&'a RwRow],
) -> Result<Vec<RwCell<'a>>, BadSeed> {
    let mut draw = Draw::keyed(SEED ^ 40, &village.code);
    let parts: Vec<Part> = rows
        .iter()
        .map(|r| {
            let (lon, lat) = r.lon.zip(r.lat).unwrap_or((village.lon, village.lat));
            // The constant keeps an RW of one or two RT from becoming a strip.
            Part { weight: 5.0 + r.rt_count as f64, guide: unbend(metres(lon, lat)) }
        })
        .collect();
    let rings = mesh.divide(cell, &parts, &mut draw);
    let mut cells = Vec::with_capacity(rows.len());
    for (row, ring) in rows.iter().zip(rings) {
        let numbers = numbers(row)?;
        let parts: Vec<Part> =
            numbers.iter().map(|_| Part { weight: draw.between(0.8, 1.25), guide: [0.0, 0.0] }).collect();
        let rts = numbers.into_iter().zip(mesh.divide(&ring, &parts, &mut draw)).collect();
        cells.push(RwCell { row, ring, rts });
    }
    Ok(cells)
}

/// The RT numbers of an RW: `1-4 7` means 1, 2, 3, 4 and 7.
fn numbers(row: &RwRow) -> Result<Vec<u32>, BadSeed> {
    let wrong = |what: &str| BadSeed::new(RWS, format!("{what} in RW {} of {}", row.rw, row.village_code));
    let mut all = Vec::with_capacity(row.rt_count);
    for range in row.rt_numbers.split_whitespace() {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        match (first.parse::<u32>(), last.parse::<u32>()) {
            (Ok(first), Ok(last)) => all.extend(first..=last),
            _ => return Err(wrong("a range of RT numbers that is none")),
        }
    }
    if all.len() == row.rt_count && !all.is_empty() { Ok(all) } else { Err(wrong("not as many RT as counted")) }
}

// ------------------------------------------------------------------------------------- areas

fn add_village(
    areas: &mut Vec<DemoArea>,
    mesh: &Mesh,
    village: &VillageRow,
    cell: &Ring,
    rws: Vec<RwCell>,
) -> Result<(), BadSeed> {
    let code = parse_code(&village.code)?;
    let mut draw = Draw::keyed(SEED ^ 50, &village.code);
    let sizes: Vec<f64> = rws.iter().flat_map(|rw| &rw.rts).map(|_| draw.between(0.75, 1.25)).collect();
    let mut households = spread(village.households, &sizes).into_iter();
    let mut village_poor = 0;
    for rw in rws {
        let rw_code = child(&code, rw.row.rw)?;
        let flood_prone = match rw.row.flood_prone.as_str() {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        };
        let (mut rw_households, mut rw_poor) = (0, 0);
        for (number, ring) in rw.rts {
            let border = mesh.border(&ring);
            let own = households.next().unwrap_or(0);
            let poor = poor_of(own, centroid(&border), flood_prone, &mut draw);
            rw_households += own;
            rw_poor += poor;
            let name = format!("RT {number:03}");
            let mut area = area(child(&rw_code, number)?, name, vec![border], None)?;
            (area.households, area.poor_households, area.flood_prone) = (own, poor, flood_prone);
            areas.push(area);
        }
        let known = rw.row.lon.zip(rw.row.lat).map(|(lon, lat)| [lon, lat]);
        let name = format!("RW {:03}", rw.row.rw);
        let mut area = area(rw_code, name, vec![mesh.border(&rw.ring)], known)?;
        (area.households, area.poor_households, area.flood_prone) = (rw_households, rw_poor, flood_prone);
        areas.push(area);
        village_poor += rw_poor;
    }
    let own = Some([village.lon, village.lat]);
    let mut area = area(code, village.name.clone(), vec![mesh.border(cell)], own)?;
    (area.households, area.poor_households) = (village.households, village_poor);
    area.bps_code = Some(village.bps_code.clone());
    areas.push(area);
    Ok(())
}

/// Districts, cities and the province: the villages' cells without the borders between them.
fn add_unions(areas: &mut Vec<DemoArea>, mesh: &Mesh, villages: &[VillageRow], cells: &[Ring]) -> Result<(), BadSeed> {
    let mut groups: BTreeMap<&str, (&str, Vec<usize>)> = BTreeMap::new();
    for (i, v) in villages.iter().enumerate() {
        let province = v.code.get(..2).unwrap_or_default();
        for (code, name) in [(province, "DKI Jakarta"), (&v.city_code, &v.city), (&v.district_code, &v.district)] {
            groups.entry(code).or_insert((name, Vec::new())).1.push(i);
        }
    }
    let poor: BTreeMap<String, i64> = areas
        .iter()
        .filter(|a| a.level == AreaLevel::Village)
        .map(|a| (a.code.to_string(), a.poor_households))
        .collect();
    for (code, (name, members)) in groups {
        let count = members.len() as f64;
        let mean = |of: fn(&VillageRow) -> f64| members.iter().map(|i| of(&villages[*i])).sum::<f64>() / count;
        let middle = [mean(|v| v.lon), mean(|v| v.lat)];
        let nearest = members
            .iter()
            .map(|i| [villages[*i].lon, villages[*i].lat])
            .min_by(|a, b| distance(*a, middle).total_cmp(&distance(*b, middle)));
        let outline = mesh.outline(members.iter().map(|i| &cells[*i]));
        let mut area = area(parse_code(code)?, name.to_string(), outline, nearest)?;
        area.households = members.iter().map(|i| villages[*i].households).sum();
        area.poor_households = members.iter().filter_map(|i| poor.get(&villages[*i].code)).sum();
        areas.push(area);
    }
    Ok(())
}

fn parse_code(text: &str) -> Result<AreaCode, BadSeed> {
    text.parse().map_err(|_| BadSeed::new(VILLAGES, format!("{text} is no area code")))
}

fn child(code: &AreaCode, number: u32) -> Result<AreaCode, BadSeed> {
    code.child(number).ok_or_else(|| BadSeed::new(RWS, format!("{number} cannot be a number in {code}")))
}

/// An area without counts. `wanted` becomes its point where it lies inside.
fn area(code: AreaCode, name: String, rings: Vec<Vec<Point>>, wanted: Option<Point>) -> Result<DemoArea, BadSeed> {
    let middle = rings.first().filter(|_| rings.len() == 1).map(|r| degrees(metres(centroid(r)[0], centroid(r)[1])));
    let shape = multi_polygon(rings);
    let inside = |p: &Point| shape.contains(&Coord { x: p[0], y: p[1] });
    let point = wanted
        .filter(inside)
        .or(middle.filter(inside))
        .or_else(|| shape.interior_point().map(|p| [p.x(), p.y()]))
        .and_then(|p| LonLat::new(p[0], p[1]).ok())
        .ok_or_else(|| BadSeed::new(VILLAGES, format!("{code} has no inside")))?;
    let level = code.level();
    Ok(DemoArea {
        code,
        name,
        level,
        point,
        shape,
        households: 0,
        poor_households: 0,
        flood_prone: None,
        bps_code: None,
    })
}

/// Outer rings run counter-clockwise, holes clockwise; each hole goes to the ring around it.
fn multi_polygon(rings: Vec<Vec<Point>>) -> MultiPolygon<f64> {
    let line = |ring: Vec<Point>| LineString::from(ring);
    let (outer, holes): (Vec<_>, Vec<_>) = rings.into_iter().partition(|r| doubled_area(r) > 0.0);
    let mut polygons: Vec<Polygon<f64>> = outer.into_iter().map(|r| Polygon::new(line(r), vec![])).collect();
    for hole in holes {
        let around =
            polygons.iter_mut().find(|p| hole.first().is_some_and(|c| p.contains(&Coord { x: c[0], y: c[1] })));
        if let Some(polygon) = around {
            polygon.interiors_push(line(hole));
        }
    }
    MultiPolygon(polygons)
}

// ------------------------------------------------------------------------------------ people

/// Shares out `total` in the proportion of `sizes`, to the last one.
fn spread(total: i64, sizes: &[f64]) -> Vec<i64> {
    let whole: f64 = sizes.iter().sum();
    let mut passed = 0.0;
    let mut given = 0;
    sizes
        .iter()
        .map(|size| {
            passed += size;
            let up_to = (total as f64 * passed / whole).round() as i64;
            let own = up_to - given;
            given = up_to;
            own
        })
        .collect()
}

/// How many of an RT's households are poor: 5 to 35 of a hundred, much alike among neighbours,
/// more where floods come.
fn poor_of(households: i64, at: Point, flood_prone: Option<bool>, draw: &mut Draw) -> i64 {
    let p = metres(at[0], at[1]);
    let quarter = noise(SEED ^ 61, p[0] / 5_200.0, p[1] / 5_200.0);
    let street = noise(SEED ^ 62, p[0] / 1_300.0, p[1] / 1_300.0);
    let flood = if flood_prone == Some(true) { 0.03 } else { 0.0 };
    let share = 0.17 + 0.16 * quarter + 0.07 * street + flood + draw.between(-0.02, 0.02);
    (households as f64 * share.clamp(0.05, 0.35)).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use geo::{Area, BooleanOps, BoundingRect};
    use std::sync::LazyLock;

    static CITY: LazyLock<Vec<DemoArea>> = LazyLock::new(|| city().expect("the built-in files are whole"));

    fn built() -> &'static [DemoArea] {
        &CITY
    }

    fn children<'a>(areas: &'a [DemoArea], code: &AreaCode) -> Vec<&'a DemoArea> {
        areas.iter().filter(|a| a.code.parent().as_ref() == Some(code)).collect()
    }

    /// FNV-1a over everything the city says.
    fn fingerprint(areas: &[DemoArea]) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut eat = |bytes: &[u8]| {
            for b in bytes {
                hash = (hash ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3);
            }
        };
        for a in areas {
            eat(a.code.as_str().as_bytes());
            eat(a.name.as_bytes());
            eat(&a.households.to_le_bytes());
            eat(&a.poor_households.to_le_bytes());
            eat(&a.point.lon().to_bits().to_le_bytes());
            eat(&a.point.lat().to_bits().to_le_bytes());
            for c in a.shape.iter().flat_map(|p| p.exterior()) {
                eat(&c.x.to_bits().to_le_bytes());
                eat(&c.y.to_bits().to_le_bytes());
            }
        }
        hash
    }

    #[test]
    fn every_area_of_the_lists_is_there_once_and_parents_come_first() {
        let areas = built();
        let count = |level| areas.iter().filter(|a| a.level == level).count();
        let counts: Vec<usize> = AreaLevel::ALL.into_iter().map(count).collect();
        assert_eq!(counts, [1, 6, 44, 267, 2_709, 30_274]);
        assert!(areas.windows(2).all(|w| w[0].code < w[1].code));
        let codes: std::collections::BTreeSet<&str> = areas.iter().map(|a| a.code.as_str()).collect();
        assert!(areas.iter().all(|a| a.code.parent().is_none_or(|p| codes.contains(p.as_str()))));
        let gambir = areas.iter().find(|a| a.code.as_str() == "31.71.01.1001").expect("Gambir");
        assert_eq!((gambir.name.as_str(), gambir.bps_code.as_deref().map(str::len)), ("Gambir", Some(10)));
    }

    #[test]
    fn households_add_up_to_the_registry_and_the_poor_are_a_share_of_them() {
        let areas = built();
        let villages: Vec<VillageRow> = read_rows(VILLAGES, VILLAGES_CSV).expect("villages");
        for v in &villages {
            let village = areas.iter().find(|a| a.code.as_str() == v.code).expect("each village");
            assert_eq!(village.households, v.households);
        }
        let mut sums: BTreeMap<AreaCode, (i64, i64)> = BTreeMap::new();
        for a in areas {
            if let Some(parent) = a.code.parent() {
                let sum = sums.entry(parent).or_default();
                *sum = (sum.0 + a.households, sum.1 + a.poor_households);
            }
        }
        for a in areas.iter().filter(|a| a.level != AreaLevel::Rt) {
            assert_eq!(sums.get(&a.code), Some(&(a.households, a.poor_households)), "{}", a.code);
        }
        assert_eq!(areas[0].households, 3_543_305);
        for rt in areas.iter().filter(|a| a.level == AreaLevel::Rt) {
            let share = rt.poor_households as f64 / rt.households as f64;
            let slack = 0.5 / rt.households as f64 + 1e-9;
            assert!((0.05 - slack..=0.35 + slack).contains(&share), "{}: {share}", rt.code);
        }
    }

    #[test]
    fn children_fill_their_parent_and_nothing_else() {
        let areas = built();
        let mut filled: BTreeMap<AreaCode, f64> = BTreeMap::new();
        for a in areas {
            if let Some(parent) = a.code.parent() {
                *filled.entry(parent).or_default() += a.shape.signed_area();
            }
        }
        for a in areas.iter().filter(|a| a.level != AreaLevel::Rt) {
            let own = a.shape.signed_area();
            assert!((filled[&a.code] / own - 1.0).abs() < 1e-6, "{}: {} of {own}", a.code, filled[&a.code]);
        }
    }

    #[test]
    fn neighbours_do_not_overlap() {
        let areas = built();
        for parent in ["31", "31.71", "31.71.01", "31.75.06.1001", "31.01.01.1001", "31.71.01.1001.001"] {
            let parent: AreaCode = parent.parse().expect("a code");
            let siblings = children(areas, &parent);
            assert!(siblings.len() > 1, "{parent}");
            for (i, a) in siblings.iter().enumerate() {
                for b in &siblings[i + 1..] {
                    let common = a.shape.intersection(&b.shape).unsigned_area();
                    let smaller = a.shape.unsigned_area().min(b.shape.unsigned_area());
                    assert!(common < 1e-7 * smaller, "{} and {}: {common}", a.code, b.code);
                }
            }
        }
    }

    #[test]
    fn shapes_are_simple_run_counter_clockwise_and_hold_their_point() {
        for a in built() {
            assert!(a.shape.contains(&Coord { x: a.point.lon(), y: a.point.lat() }), "{}", a.code);
            for polygon in &a.shape {
                for ring in std::iter::once(polygon.exterior()).chain(polygon.interiors()) {
                    let mut corners: Vec<(u64, u64)> =
                        ring.coords().skip(1).map(|c| (c.x.to_bits(), c.y.to_bits())).collect();
                    let count = corners.len();
                    corners.sort_unstable();
                    corners.dedup();
                    assert!(count >= 3 && corners.len() == count, "{}: a corner twice", a.code);
                    assert!(!crosses_itself(ring), "{} crosses itself", a.code);
                }
                let points: Vec<Point> = polygon.exterior().coords().map(|c| [c.x, c.y]).collect();
                assert!(doubled_area(&points) > 0.0, "{}", a.code);
            }
        }
    }

    /// Sweeps from west to east over the ring's edges.
    fn crosses_itself(ring: &LineString<f64>) -> bool {
        let mut lines: Vec<(usize, geo::Line<f64>)> = ring.lines().enumerate().collect();
        let count = lines.len();
        let west = |l: &geo::Line<f64>| l.start.x.min(l.end.x);
        let east = |l: &geo::Line<f64>| l.start.x.max(l.end.x);
        lines.sort_by(|a, b| west(&a.1).total_cmp(&west(&b.1)));
        let side = |l: &geo::Line<f64>, c: Coord<f64>| {
            (l.end.x - l.start.x) * (c.y - l.start.y) - (l.end.y - l.start.y) * (c.x - l.start.x)
        };
        for (k, (i, a)) in lines.iter().enumerate() {
            for (j, b) in lines[k + 1..].iter().take_while(|(_, b)| west(b) <= east(a)) {
                let apart = i.abs_diff(*j);
                if apart == 1 || apart == count - 1 {
                    continue;
                }
                if side(a, b.start) * side(a, b.end) <= 0.0 && side(b, a.start) * side(b, a.end) <= 0.0 {
                    return true;
                }
            }
        }
        false
    }

    #[test]
    fn no_rt_is_a_sliver_and_the_city_stays_in_its_place() {
        for a in built().iter().filter(|a| a.level >= AreaLevel::Village) {
            let ring: Vec<Point> = a.shape.0[0].exterior().coords().map(|c| metres(c.x, c.y)).collect();
            let around: f64 = ring.windows(2).map(|w| distance(w[0], w[1])).sum();
            let roundness = 2.0 * std::f64::consts::PI * doubled_area(&ring) / (around * around);
            assert!(roundness > 0.25, "{}: {roundness}", a.code);
            assert!(doubled_area(&ring) / 2.0 > 200.0, "{}: {} m2", a.code, doubled_area(&ring) / 2.0);
            if !a.code.as_str().starts_with(ISLANDS) {
                let b = a.shape.bounding_rect().expect("not empty");
                let inside = b.min().x > 106.675 && b.max().x < 106.985 && b.min().y > -6.385 && b.max().y < -6.065;
                assert!(inside, "{}: {b:?}", a.code);
            }
        }
    }

    #[test]
    fn two_runs_build_the_same_city() {
        let again = city().expect("the built-in files are whole");
        assert_eq!(fingerprint(built()), fingerprint(&again));
    }

    #[test]
    fn rt_numbers_are_read_with_their_gaps() {
        let row = |rt_count, rt_numbers: &str| RwRow {
            village_code: "31.71.01.1001".into(),
            rw: 1,
            rt_count,
            lon: None,
            lat: None,
            flood_prone: String::new(),
            rt_numbers: rt_numbers.into(),
        };
        assert_eq!(numbers(&row(5, "1-4 7")), Ok(vec![1, 2, 3, 4, 7]));
        assert!(numbers(&row(4, "1-4 7")).is_err());
        assert!(numbers(&row(1, "1-x")).is_err());
    }
}
