//! Long outlines in stretches of a few edges, each with a box around it, so that a question about a small place reads
//! only what is near. A province has thousands of corners, and every view within it asks whether it meets it.

use super::edges::{EdgeTree, covers_by, meets_box};
use super::outlines::{Drawn, Mark, Outline};
use crate::domain::place::Bounds;
use geo::Coord;

/// Edges of a stretch.
const EDGES: usize = 32;

/// Outlines with at most so many edges are read as a whole.
const SHORT: usize = 128;

/// One outline's, which it has to be asked with.
#[derive(Debug)]
pub(super) struct Stretches {
    all: Vec<Stretch>,
    /// The first vertex of each polygon.
    starts: Vec<Coord<f64>>,
}

#[derive(Debug)]
struct Stretch {
    low: Coord<f64>,
    high: Coord<f64>,
    from: Mark,
}

impl Stretch {
    fn is_near(&self, low: Coord<f64>, high: Coord<f64>) -> bool {
        self.low.x <= high.x && self.high.x >= low.x && self.low.y <= high.y && self.high.y >= low.y
    }
}

impl Stretches {
    /// `None` for outlines that are short.
    pub fn of(outline: Outline) -> Option<Self> {
        outline.edges().nth(SHORT)?;
        let (mut edges, mut all) = (outline.drawn(), Vec::new());
        loop {
            let from = outline.mark(&edges);
            let ends = edges.by_ref().take(EDGES).flat_map(|edge| [edge.a, edge.b]);
            let around = ends.fold(None, |around: Option<(Coord<f64>, Coord<f64>)>, at| {
                let (low, high) = around.unwrap_or((at, at));
                Some((
                    Coord { x: low.x.min(at.x), y: low.y.min(at.y) },
                    Coord { x: high.x.max(at.x), y: high.y.max(at.y) },
                ))
            });
            let Some((low, high)) = around else { return Some(Stretches { all, starts: outline.starts().collect() }) };
            all.push(Stretch { low, high, from });
        }
    }

    /// As [`Outline::intersects_bounds`].
    pub fn intersect_bounds(&self, outline: Outline, bounds: &Bounds) -> bool {
        let low = Coord { x: bounds.west(), y: bounds.south() };
        let high = Coord { x: bounds.east(), y: bounds.north() };
        let near = |of: &Stretch| of.is_near(low, high);
        let meets = self.edges(outline, near).any(|edge| meets_box(edge.a, edge.b, low, high));
        meets || self.cover(outline, low)
    }

    /// True where the outline and a shape between two corners share a point; `edges` are those of the shape, `starts` a
    /// point of each part of it.
    pub fn meet(
        &self,
        outline: Outline,
        starts: &[Coord<f64>],
        edges: &EdgeTree,
        [low, high]: [Coord<f64>; 2],
    ) -> bool {
        // Where no edges meet, a part is wholly inside the other shape or wholly outside it: one of its points tells.
        self.starts.iter().any(|p| edges.covers(*p))
            || self.edges(outline, |of| of.is_near(low, high)).any(|edge| edges.meets(edge.a, edge.b))
            || starts.iter().any(|p| self.cover(outline, *p))
    }

    /// As [`Outline::covers`].
    pub fn cover(&self, outline: Outline, point: Coord<f64>) -> bool {
        // A ray to the east misses all others.
        let met = |of: &Stretch| of.low.y <= point.y && point.y <= of.high.y && point.x <= of.high.x;
        covers_by(self.edges(outline, met).map(|edge| (edge.a, edge.b)), point)
    }

    /// Those of the stretches that are looked for.
    fn edges<'a>(
        &'a self,
        outline: Outline<'a>,
        wanted: impl Fn(&Stretch) -> bool + 'a,
    ) -> impl Iterator<Item = Drawn> + 'a {
        let wanted = self.all.iter().filter(move |of| wanted(of));
        wanted.flat_map(move |of| outline.from(&of.from).take(EDGES))
    }
}

#[cfg(test)]
mod tests {
    use super::super::outlines::Outlines;
    use super::super::samples::{Random, at, boxed, star};
    use super::super::shapes::Shape;
    use super::*;
    use serde_json::json;

    /// So many corners around a point, now nearer to it and now farther.
    fn wheel(corners: u32, lon: f64, size: f64) -> Vec<[f64; 2]> {
        let corner = |n: u32| {
            let (turn, far) = (f64::from(n) / f64::from(corners) * std::f64::consts::TAU, size * f64::from(5 + n % 7));
            [lon + far * turn.cos(), -6.0 + far * turn.sin()]
        };
        (0..corners).map(corner).collect()
    }

    #[test]
    fn a_long_outline_in_stretches_answers_as_the_whole_of_it_does() {
        let mut random = Random::seeded(20_261_128);
        let mut parts = vec![vec![wheel(1_000, 107.0, 0.08), wheel(300, 107.0, 0.01)], vec![wheel(200, 109.0, 0.05)]];
        for n in 0..30 {
            let (lon, lat) = (106.2 + 0.12 * f64::from(n), -4.0);
            parts.push(vec![star(&mut random, lon, lat, 0.05, None)]);
        }
        let shape = Shape::from_geojson(&json!({"type": "MultiPolygon", "coordinates": parts})).expect("it is sound");
        let mut outlines = Outlines::default();
        let place = outlines.push(&shape.shape);
        let short = outlines.push(&boxed(1.0, 2.0, 3.0, 4.0));
        assert!(Stretches::of(outlines.at(short)).is_none(), "what is short is read as a whole");
        let outline = outlines.at(place);
        let stretches = Stretches::of(outline).expect("it is long");
        let (mut met, mut covered) = (0, 0);
        for _ in 0..20_000 {
            let (x, y) = (random.between(106.0, 110.0), random.between(-7.0, -3.8));
            let size = if random.one_in(2) { 0.01 } else { 0.5 };
            let (wide, high) = (random.between(0.0, size), random.between(0.0, size));
            let bounds = Bounds::new(x, y, x + wide, y + high).expect("a box");
            let meets = outline.intersects_bounds(&bounds);
            assert_eq!(stretches.intersect_bounds(outline, &bounds), meets, "{bounds:?}");
            let covers = outline.covers(at(x, y));
            assert_eq!(stretches.cover(outline, Coord { x, y }), covers, "{x} {y}");
            let other = boxed(x, y, x + wide, y + high);
            let (edges, starts) = (EdgeTree::of(other.polygons()), [Coord { x, y }]);
            let corners = [Coord { x, y }, Coord { x: x + wide, y: y + high }];
            assert_eq!(stretches.meet(outline, &starts, &edges, corners), meets, "{bounds:?}");
            (met, covered) = (met + u32::from(meets), covered + u32::from(covers));
        }
        assert!(covered > 1_000 && met > covered && met < 15_000, "{met} {covered}");
        // Corners are on the border.
        assert!(outline.starts().all(|corner| stretches.cover(outline, corner)));
    }
}
