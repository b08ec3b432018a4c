//! Which provinces there are, how large each is, and where its lattice lies.

use crate::draw::Draw;
use crate::ground::Plane;

/// The Ministry's code, a name, inhabitants in hundred thousands, cities, and how thinly its edges are settled.
const PROVINCES: [(u32, &str, u32, u32, f64); 38] = [
    (11, "Aceh", 54, 23, 12.0),
    (12, "Sumatera Utara", 153, 33, 9.0),
    (13, "Sumatera Barat", 57, 19, 12.0),
    (14, "Riau", 66, 12, 14.0),
    (15, "Jambi", 37, 11, 14.0),
    (16, "Sumatera Selatan", 87, 17, 14.0),
    (17, "Bengkulu", 21, 10, 12.0),
    (18, "Lampung", 92, 15, 9.0),
    (19, "Kepulauan Bangka Belitung", 15, 7, 12.0),
    (21, "Kepulauan Riau", 21, 7, 9.0),
    (31, "DKI Jakarta", 106, 6, 0.3),
    (32, "Jawa Barat", 499, 27, 5.0),
    (33, "Jawa Tengah", 375, 35, 5.0),
    (34, "DI Yogyakarta", 37, 5, 4.0),
    (35, "Jawa Timur", 415, 38, 6.0),
    (36, "Banten", 123, 8, 4.0),
    (51, "Bali", 44, 9, 5.0),
    (52, "Nusa Tenggara Barat", 55, 10, 8.0),
    (53, "Nusa Tenggara Timur", 56, 22, 13.0),
    (61, "Kalimantan Barat", 56, 14, 20.0),
    (62, "Kalimantan Tengah", 27, 14, 28.0),
    (63, "Kalimantan Selatan", 42, 13, 12.0),
    (64, "Kalimantan Timur", 39, 10, 24.0),
    (65, "Kalimantan Utara", 7, 5, 30.0),
    (71, "Sulawesi Utara", 27, 15, 10.0),
    (72, "Sulawesi Tengah", 31, 13, 20.0),
    (73, "Sulawesi Selatan", 93, 24, 9.0),
    (74, "Sulawesi Tenggara", 27, 17, 15.0),
    (75, "Gorontalo", 12, 6, 12.0),
    (76, "Sulawesi Barat", 15, 6, 14.0),
    (81, "Maluku", 19, 11, 20.0),
    (82, "Maluku Utara", 13, 10, 20.0),
    (91, "Papua", 10, 9, 30.0),
    (92, "Papua Barat", 6, 7, 30.0),
    (93, "Papua Selatan", 5, 4, 30.0),
    (94, "Papua Tengah", 14, 8, 30.0),
    (95, "Papua Pegunungan", 14, 8, 30.0),
    (96, "Papua Barat Daya", 6, 6, 30.0),
];

/// RT of the whole nation.
const RT: u32 = 1_200_000;

/// A nation has as many provinces as leave each this many RT or more.
const FEWEST_RT: u32 = 1_000;

/// Provinces lie in rows between these meridians, the first row at this latitude.
const WEST: f64 = 95.3;
const EAST: f64 = 140.5;
const NORTH: f64 = 5.5;

/// Degrees of sea between two provinces.
const STRAIT: f64 = 0.2;

/// A province as a grid of cities.
#[derive(Debug)]
pub struct Province {
    pub code: u32,
    pub name: &'static str,
    pub plane: Plane,
    /// Widths of the columns of districts in each column of cities.
    pub columns: Vec<Vec<u32>>,
    /// Heights of the rows of cities.
    pub rows: Vec<u32>,
}

pub fn provinces(scale: u32) -> Vec<Province> {
    let all = (RT / scale.max(1)).max(12);
    let count = ((all / FEWEST_RT) as usize).clamp(1, PROVINCES.len());
    let inhabitants: u32 = PROVINCES[..count].iter().map(|p| p.2).sum();
    let (mut west, mut north, mut south) = (WEST, NORTH, NORTH);
    let mut made = Vec::with_capacity(count);
    for (code, name, people, cities, thinning) in PROVINCES.into_iter().take(count) {
        let cells = f64::from(all) * f64::from(people) / f64::from(inhabitants);
        let (columns, rows) = grid(code, cells, cities);
        let width = columns.iter().flatten().sum();
        let mut plane =
            Plane { number: u64::from(code), middle: (0.0, 0.0), width, height: rows.iter().sum(), thinning };
        let (across, up) = plane.reach();
        let (across, up) = (across / 111_000.0, up / 111_000.0);
        if west > WEST && west + 2.0 * across > EAST {
            (west, north) = (WEST, south - STRAIT);
        }
        plane.middle = (west + across, north - up);
        west += 2.0 * across + STRAIT;
        south = south.min(north - 2.0 * up);
        made.push(Province { code, name, plane, columns, rows });
    }
    made
}

/// Columns and rows of cities that come to about so many cells, as square as can be.
fn grid(code: u32, cells: f64, cities: u32) -> (Vec<Vec<u32>>, Vec<u32>) {
    let mut draw = Draw::keyed(&[1, u64::from(code)]);
    // A city of fewer than 300 RT is none.
    let cities = f64::from(cities).min(cells / 300.0).max(1.0);
    let across = cities.sqrt().round().max(1.0);
    let up = (cities / across).round().max(1.0);
    let districts = (cells.sqrt() / across / 16.0).round().max(1.0);
    let columns: Vec<Vec<u32>> =
        (0..across as u32).map(|_| (0..districts as u32).map(|_| draw.whole(14, 18)).collect()).collect();
    let width: u32 = columns.iter().flatten().sum();
    let height = (cells / f64::from(width) / up).round().max(6.0) as u32;
    // What one row is lower, the next one is higher.
    let mut rows = Vec::new();
    let mut owed = 0;
    for row in 0..up as u32 {
        let less = if owed > 0 || row + 1 == up as u32 { 0 } else { draw.whole(0, height / 5) };
        let lower = height - less + owed;
        owed = less;
        rows.push(lower.max(6));
    }
    (columns, rows)
}
