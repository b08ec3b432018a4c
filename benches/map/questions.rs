//! What is asked: about places where people live, the same in every run.

use super::Outcome;
use super::measure::Dice;
use super::town::Town;
use serde_json::{Value, json};
use std::f64::consts::PI;
use std::fmt;

/// Different questions of a kind; the first hundred are compared.
const EACH: usize = 1_000;

/// Metres of a degree, near enough at the equator.
const DEGREE: f64 = 111_320.0;

/// The only item whose quantities are summed up.
pub const ITEM: &str = "SEMBAKO";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Unserved needs of a square with sides of so many metres: the first hundred by priority, and how many.
    Viewport(u32),
    /// The fifty nearest unserved needs.
    Nearest,
    /// Sums of one item over the areas that meet a village's shape.
    Village,
    /// The same with a shape of forty corners, four kilometres or so across.
    Corners,
    /// A tile of this zoom with the state of the areas that are drawn in it.
    Tile(u8),
}

impl Kind {
    pub const ALL: [Kind; 9] = [
        Kind::Viewport(20_000),
        Kind::Viewport(4_000),
        Kind::Viewport(800),
        Kind::Nearest,
        Kind::Village,
        Kind::Corners,
        Kind::Tile(8),
        Kind::Tile(11),
        Kind::Tile(14),
    ];

    pub fn word(self) -> &'static str {
        match self {
            Kind::Viewport(20_000) => "view20km",
            Kind::Viewport(4_000) => "view4km",
            Kind::Viewport(_) => "view0.8km",
            Kind::Nearest => "nearest",
            Kind::Village => "village",
            Kind::Corners => "corners",
            Kind::Tile(8) => "tile8",
            Kind::Tile(11) => "tile11",
            Kind::Tile(_) => "tile14",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Viewport(metres) => write!(f, "unserved in view, {} km", f64::from(*metres) / 1e3),
            Kind::Nearest => f.write_str("nearest 50 unserved"),
            Kind::Village => f.write_str("sums in a village's shape"),
            Kind::Corners => f.write_str("sums in a shape of 40 corners"),
            Kind::Tile(z) => write!(f, "tile of zoom {z} with its state"),
        }
    }
}

#[derive(Debug, Clone)]
pub enum Question {
    Viewport(Box4),
    Nearest { lon: f64, lat: f64 },
    Sums(Polygon),
    Tile { z: u8, x: u32, y: u32 },
}

#[derive(Debug, Clone, Copy)]
pub struct Box4 {
    pub west: f64,
    pub south: f64,
    pub east: f64,
    pub north: f64,
}

impl Box4 {
    pub fn json(self) -> Value {
        json!({ "west": self.west, "south": self.south, "east": self.east, "north": self.north })
    }
}

/// One shape in two forms with the same numbers.
#[derive(Debug, Clone)]
pub struct Polygon {
    pub geojson: Value,
    pub wkt: String,
}

impl Polygon {
    fn of(rings: Vec<Vec<[f64; 2]>>) -> Self {
        let ring = |ring: &Vec<[f64; 2]>| {
            let points: Vec<String> = ring.iter().map(|[x, y]| format!("{x} {y}")).collect();
            format!("({})", points.join(","))
        };
        let wkt = format!("POLYGON({})", rings.iter().map(ring).collect::<Vec<_>>().join(","));
        Polygon { geojson: json!({ "type": "Polygon", "coordinates": rings }), wkt }
    }
}

pub async fn all(town: &Town) -> Outcome<Vec<(Kind, Vec<Question>)>> {
    let (places, villages) = (town.places().await?, town.villages(EACH).await?);
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let mut dice = Dice(kind.word().bytes().fold(7, |seed, byte| seed * 257 + u64::from(byte)));
        let questions = (0..EACH).map(|number| {
            let [lon, lat] = places[dice.below(places.len())];
            match kind {
                Kind::Viewport(metres) => Question::Viewport(square(lon, lat, f64::from(metres) / 2.0 / DEGREE)),
                Kind::Nearest => Question::Nearest { lon, lat },
                Kind::Village => Question::Sums(Polygon::of(villages[number % villages.len()].clone())),
                Kind::Corners => Question::Sums(corners(lon, lat, &mut dice)),
                Kind::Tile(z) => tile(lon, lat, z),
            }
        });
        all.push((kind, questions.collect()));
    }
    Ok(all)
}

fn square(lon: f64, lat: f64, half: f64) -> Box4 {
    Box4 { west: lon - half, south: lat - half, east: lon + half, north: lat + half }
}

/// A star without crossings: corners at even angles, one to two kilometres away.
fn corners(lon: f64, lat: f64, dice: &mut Dice) -> Polygon {
    let corner = |number: usize| {
        let angle = number as f64 * PI / 20.0;
        let reach = (1_000 + dice.below(1_000)) as f64 / DEGREE;
        [lon + reach * angle.cos(), lat + reach * angle.sin()]
    };
    let mut ring: Vec<[f64; 2]> = (0..40).map(corner).collect();
    ring.push(ring[0]);
    Polygon::of(vec![ring])
}

fn tile(lon: f64, lat: f64, z: u8) -> Question {
    let side = f64::from(1u32 << z);
    let y = 0.5 - (PI / 4.0 + lat.to_radians() / 2.0).tan().ln() / (2.0 * PI);
    Question::Tile { z, x: ((lon / 360.0 + 0.5) * side) as u32, y: (y * side) as u32 }
}

/// What a tile covers, in degrees.
pub fn covered(z: u8, x: u32, y: u32) -> Box4 {
    let side = f64::from(1u32 << z);
    let lon = |x: u32| (f64::from(x) / side - 0.5) * 360.0;
    let lat = |y: u32| (PI * (1.0 - 2.0 * f64::from(y) / side)).sinh().atan().to_degrees();
    Box4 { west: lon(x), south: lat(y + 1), east: lon(x + 1), north: lat(y) }
}
