//! Which index finds the areas of a view: the hierarchy of areas itself, as the map has it, beside an R-tree of rstar's and
//! a packed Hilbert R-tree, over all areas of a made-up nation.
//!
//! `make bench-index` runs it. All three name the same areas, whose true shapes meet the view, or the first difference ends
//! the run; then each names them, and each adds up their households. See docs/decisions/0027-a-nation-in-memory.md.

#[path = "measure.rs"]
#[expect(dead_code, reason = "nobody is asked over a connection here")]
mod measure;

use measure::{Dice, Spread};
use rstar::primitives::{GeomWithData, Rectangle};
use salur::domain::place::{Bounds, LonLat};
use salur::spatial::index::Area;
use salur::spatial::{Outlines, Shape, SpatialIndex};
use static_aabb2d_index::{StaticAABB2DIndex, StaticAABB2DIndexBuilder};
use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn Error>>;
type Boxed = GeomWithData<Rectangle<[f64; 2]>, u32>;

/// Metres of a degree, near enough at the equator.
const DEGREE: f64 = 111_320.0;
const QUESTIONS: usize = 300;

/// One row of an area's file.
struct Read {
    code: String,
    shape: Shape,
    point: LonLat,
    households: u64,
}

struct Nation {
    index: SpatialIndex,
    bounds: Vec<[f64; 4]>,
    points: Vec<LonLat>,
    /// Of the areas before each; one more for all.
    households: Vec<u64>,
}

impl Nation {
    fn read(files: &Path) -> Outcome<Self> {
        let mut rows = Vec::new();
        for name in salur_nation::AREA_FILES {
            let mut reader = csv::Reader::from_path(files.join(name))?;
            let header = reader.headers()?.clone();
            let column = |name: &str| header.iter().position(|own| own == name).ok_or(format!("no column {name}"));
            let [code, lon, lat, wkt, households] = ["code", "lon", "lat", "wkt", "households"].map(column);
            let [code, lon, lat, wkt, households] = [code?, lon?, lat?, wkt?, households?];
            for row in reader.records() {
                let row = row?;
                rows.push(Read {
                    code: row[code].to_owned(),
                    shape: Shape::from_wkt(&row[wkt])?.shape,
                    point: LonLat::new(row[lon].parse()?, row[lat].parse()?).map_err(|_| "a point is nowhere")?,
                    households: row[households].parse().unwrap_or(0),
                });
            }
        }
        rows.sort_by(|a, b| a.code.cmp(&b.code));
        let (mut outlines, mut areas) = (Outlines::default(), Vec::with_capacity(rows.len()));
        let (mut bounds, mut points, mut households) = (Vec::new(), Vec::new(), vec![0]);
        for row in &rows {
            let outline = Some(outlines.push(&row.shape));
            areas.push(Area { outline, point: Some(row.point), end: rows.len() as u32 });
            bounds.push(row.shape.bounds().to_array());
            points.push(row.point);
            households.push(households[households.len() - 1] + row.households);
        }
        let mut above: Vec<usize> = Vec::new();
        for (slot, row) in rows.iter().enumerate() {
            let holds =
                |above: usize| row.code.strip_prefix(&rows[above].code).is_some_and(|rest| rest.starts_with('.'));
            while let Some(last) = above.pop_if(|last| !holds(*last)) {
                areas[last].end = slot as u32;
            }
            above.push(slot);
        }
        Ok(Nation { index: SpatialIndex::new(outlines, areas.into_iter()), bounds, points, households })
    }

    fn meets(&self, slot: u32, view: &Bounds) -> bool {
        self.index.outline(slot).is_some_and(|outline| outline.intersects_bounds(view))
    }

    fn households_of(&self, slot: u32) -> u64 {
        self.households[slot as usize + 1] - self.households[slot as usize]
    }
}

/// What finds areas.
enum Index {
    Hierarchy,
    Rstar(rstar::RTree<Boxed>),
    Packed(StaticAABB2DIndex<f64>),
}

impl Index {
    fn name(&self) -> &'static str {
        match self {
            Index::Hierarchy => "the hierarchy",
            Index::Rstar(_) => "rstar",
            Index::Packed(_) => "packed Hilbert",
        }
    }

    /// The slots of all areas that meet the view, in any order.
    fn names(&self, nation: &Nation, view: &Bounds) -> Vec<u32> {
        let [west, south, east, north] = view.to_array();
        match self {
            Index::Hierarchy => {
                nation.index.in_bounds(&[nation.index.all()], view).into_iter().flat_map(|part| part.slots).collect()
            }
            Index::Rstar(tree) => {
                let envelope = rstar::AABB::from_corners([west, south], [east, north]);
                let boxes = tree.locate_in_envelope_intersecting(envelope).map(|boxed| boxed.data);
                boxes.filter(|slot| nation.meets(*slot, view)).collect()
            }
            Index::Packed(tree) => {
                let slots = tree.query(west, south, east, north).into_iter().map(|slot| slot as u32);
                slots.filter(|slot| nation.meets(*slot, view)).collect()
            }
        }
    }

    /// Households of all areas that meet the view.
    fn sum(&self, nation: &Nation, view: &Bounds) -> u64 {
        match self {
            Index::Hierarchy => {
                let sum = |from: u32, to: u32| nation.households[to as usize] - nation.households[from as usize];
                let parts = nation.index.in_bounds(&[nation.index.all()], view);
                parts.iter().map(|part| sum(part.slots.start, part.slots.end)).sum()
            }
            _ => self.names(nation, view).into_iter().map(|slot| nation.households_of(slot)).sum(),
        }
    }
}

fn main() -> Outcome<()> {
    let scale = std::env::args().find_map(|argument| argument.strip_prefix("scale=")?.parse().ok()).unwrap_or(1);
    println!("{}", measure::machine());
    let files = std::env::temp_dir().join(format!("salur-bench-index-{}", std::process::id()));
    std::fs::create_dir_all(&files)?;
    let told = salur_nation::write(&files, scale);
    let nation = told.map_err(Into::into).and_then(|told| {
        println!("{told}");
        Nation::read(&files)
    });
    std::fs::remove_dir_all(&files)?;
    let nation = nation?;
    let count = nation.bounds.len();
    let begun = Instant::now();
    let boxed = nation.bounds.iter().zip(0..).map(|([west, south, east, north], slot)| {
        Boxed::new(Rectangle::from_corners([*west, *south], [*east, *north]), slot)
    });
    let rstar = Index::Rstar(rstar::RTree::bulk_load(boxed.collect()));
    println!(
        "rstar: {:.1} s; {} bytes an entry, without inner nodes",
        begun.elapsed().as_secs_f64(),
        size_of::<Boxed>()
    );
    let begun = Instant::now();
    let mut builder = StaticAABB2DIndexBuilder::new(count);
    for [west, south, east, north] in &nation.bounds {
        builder.add(*west, *south, *east, *north);
    }
    let packed = builder.build()?;
    println!("packed Hilbert: {:.1} s", begun.elapsed().as_secs_f64());
    let indexes = [Index::Hierarchy, rstar, Index::Packed(packed)];

    println!(
        "\n| view | areas in it | index | naming them, µs | adding up their households, µs |\n|---|---|---|---|---|"
    );
    for metres in [800.0, 4_000.0, 20_000.0] {
        let mut dice = Dice(metres as u64);
        let views = (0..QUESTIONS).map(|_| {
            let at = nation.points[dice.below(count)];
            let half = metres / 2.0 / DEGREE;
            Bounds::new(at.lon() - half, at.lat() - half, at.lon() + half, at.lat() + half)
        });
        let views: Vec<Bounds> = views.collect::<Result<_, _>>().map_err(|_| "a view is a box")?;
        let mut found = 0;
        for view in &views {
            let [ours, others @ ..] = &indexes;
            let mut expected = ours.names(&nation, view);
            expected.sort_unstable();
            found += expected.len();
            for other in others {
                let mut slots = other.names(&nation, view);
                slots.sort_unstable();
                if slots != expected || other.sum(&nation, view) != ours.sum(&nation, view) {
                    return Err(format!("{} names other areas in {:?}", other.name(), view.to_array()).into());
                }
            }
        }
        // In turn, so that what disturbs one disturbs all.
        let mut took = [const { (Vec::new(), Vec::new()) }; 3];
        for _ in 0..7 {
            for (index, (names, sums)) in indexes.iter().zip(&mut took) {
                let begun = Instant::now();
                views.iter().for_each(|view| drop(black_box(index.names(&nation, view))));
                names.push(begun.elapsed().as_secs_f64() * 1e6 / QUESTIONS as f64);
                let begun = Instant::now();
                views.iter().for_each(|view| _ = black_box(index.sum(&nation, view)));
                sums.push(begun.elapsed().as_secs_f64() * 1e6 / QUESTIONS as f64);
            }
        }
        for (index, (names, sums)) in indexes.iter().zip(took) {
            let (names, sums) = (Spread::of(names.into_iter()), Spread::of(sums.into_iter()));
            let (km, found) = (metres / 1e3, found / QUESTIONS);
            println!("| {km} km | {found} | {} | {names:.1} | {sums:.1} |", index.name());
        }
    }
    Ok(())
}
