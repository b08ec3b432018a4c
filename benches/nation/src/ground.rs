//! Where everything lies: a province is a lattice whose every cell is one RT, and every larger area is a
//! rectangle of cells. Vertices of the lattice are moved at will, once for all who share them, so areas
//! partition their parents exactly and neighbours have the same vertices on their border.

use crate::draw::Draw;

/// Metres of a degree, near enough at the equator.
const DEGREE: f64 = 111_000.0;

/// Metres from one RT to the next where people live densest.
const DENSEST: f64 = 150.0;

/// Cells from (left, bottom) up to (right, top), which are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    pub left: u32,
    pub bottom: u32,
    pub right: u32,
    pub top: u32,
}

/// A place in millionths of a degree.
pub type Place = (i64, i64);

/// How a province's lattice lies on the earth.
#[derive(Debug, Clone)]
pub struct Plane {
    pub number: u64,
    /// Of the lattice's middle, in degrees.
    pub middle: (f64, f64),
    pub width: u32,
    pub height: u32,
    /// How much wider apart RT lie at the corners than in the middle.
    pub thinning: f64,
}

impl Plane {
    /// Metres from the middle to the farthest east and to the farthest north.
    pub fn reach(&self) -> (f64, f64) {
        let metres = |cells: u32| (f64::from(cells) / 2.0 + 1.0) * DENSEST * (1.0 + self.thinning);
        (metres(self.width), metres(self.height))
    }

    /// The vertex at so many half cells: corners are even, and edges have one vertex more half-way.
    fn vertex(&self, across: u32, up: u32) -> Place {
        let mut draw = Draw::keyed(&[self.number, u64::from(across), u64::from(up)]);
        // So little that a cell's middle sees all of its border.
        let sway = if across.is_multiple_of(2) && up.is_multiple_of(2) { 0.18 } else { 0.12 };
        let x = f64::from(across) / 2.0 + sway * draw.either_way();
        let y = f64::from(up) / 2.0 + sway * draw.either_way();
        self.on_earth(x, y)
    }

    fn on_earth(&self, x: f64, y: f64) -> Place {
        let (half_width, half_height) = (f64::from(self.width) / 2.0, f64::from(self.height) / 2.0);
        let (x, y) = (x - half_width, y - half_height);
        let (right, up) = (x / half_width, y / half_height);
        let step = DENSEST * (1.0 + self.thinning * (right * right + up * up) / 2.0) / DEGREE;
        let millionths = |degrees: f64| (degrees * 1e6).round() as i64;
        (millionths(self.middle.0 + x * step), millionths(self.middle.1 + y * step))
    }

    /// Inside the rectangle, near its middle.
    pub fn middle_of(&self, rect: Rect) -> Place {
        let half = |low: u32, high: u32| f64::from(low + high) / 2.0;
        self.on_earth(half(rect.left, rect.right), half(rect.bottom, rect.top))
    }

    /// The rectangle's border, counter-clockwise, its first vertex not repeated.
    pub fn border(&self, rect: Rect, into: &mut Vec<Place>) {
        let [left, bottom, right, top] = [rect.left, rect.bottom, rect.right, rect.top].map(|cells| cells * 2);
        into.clear();
        into.extend((left..right).map(|x| self.vertex(x, bottom)));
        into.extend((bottom..top).map(|y| self.vertex(right, y)));
        into.extend((left + 1..=right).rev().map(|x| self.vertex(x, top)));
        into.extend((bottom + 1..=top).rev().map(|y| self.vertex(left, y)));
    }

    /// 0 in the middle of the province, 1 at its corners.
    pub fn remoteness(&self, rect: Rect) -> f64 {
        let part = |low: u32, high: u32, all: u32| f64::from(low + high) / f64::from(all) - 1.0;
        let (x, y) = (part(rect.left, rect.right, self.width), part(rect.bottom, rect.top, self.height));
        (x * x + y * y) / 2.0
    }
}

/// Cuts a length into pieces of `least` to `most`, about as chance has it, none left over.
pub fn cut(length: u32, least: u32, most: u32, draw: &mut Draw) -> Vec<u32> {
    let (mut left, mut pieces) = (length, Vec::new());
    while left > most {
        let longest = most.min(left - least);
        // What is left then is cut into whole pieces, too.
        let fits = |piece: &u32| (left - piece).div_ceil(most) * least <= left - piece;
        let choice: Vec<u32> = (least..=longest).filter(fits).collect();
        let piece = choice[draw.whole(0, choice.len() as u32 - 1) as usize];
        pieces.push(piece);
        left -= piece;
    }
    if left > 0 {
        pieces.push(left);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_fill_the_length_and_keep_their_bounds() {
        for (least, most) in [(2, 4), (3, 4), (3, 5), (14, 18)] {
            // From here on every length can be cut.
            for length in least * (least / (most - least).max(1) + 2)..200 {
                let pieces = cut(length, least, most, &mut Draw::keyed(&[u64::from(length)]));
                assert_eq!(pieces.iter().sum::<u32>(), length);
                assert!(pieces.iter().all(|p| (least..=most).contains(p)), "{length}: {pieces:?}");
            }
        }
    }
}
