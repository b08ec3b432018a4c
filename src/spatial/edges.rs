//! Edges of shapes and the exact questions asked of them: do two meet, does one meet a box, is a
//! point among the insides of a set of rings.
//!
//! All signs come from adaptive-precision orientation, so that a point on a border is on it.

use geo::{Coord, Kernel, MultiPolygon, Orientation, kernels::RobustKernel};
use rstar::{AABB, RTree, RTreeObject};

/// One edge of a ring, with the ring's number and the edge's place in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub a: Coord<f64>,
    pub b: Coord<f64>,
    pub ring: u32,
    pub at: u32,
}

impl RTreeObject for Edge {
    type Envelope = AABB<[f64; 2]>;

    fn envelope(&self) -> Self::Envelope {
        AABB::from_corners([self.a.x, self.a.y], [self.b.x, self.b.y])
    }
}

/// How two edges meet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meeting {
    Apart,
    /// In one point, an end of at least one of them.
    Touch(Coord<f64>),
    /// In one point inside both.
    Cross,
    /// Along a stretch.
    Overlap,
}

fn orient(a: Coord<f64>, b: Coord<f64>, p: Coord<f64>) -> Orientation {
    RobustKernel::orient2d(a, b, p)
}

fn in_box(p: Coord<f64>, a: Coord<f64>, b: Coord<f64>) -> bool {
    p.x >= a.x.min(b.x) && p.x <= a.x.max(b.x) && p.y >= a.y.min(b.y) && p.y <= a.y.max(b.y)
}

/// True where `b` lies straight behind `a` as seen from the corner between them, so that the two
/// edges that meet there run back over each other.
pub(super) fn doubles_back(a: Coord<f64>, corner: Coord<f64>, b: Coord<f64>) -> bool {
    let (u, v) = (a - corner, b - corner);
    orient(a, corner, b) == Orientation::Collinear && u.x * v.x + u.y * v.y > 0.0
}

pub(super) fn meet(a: Coord<f64>, b: Coord<f64>, c: Coord<f64>, d: Coord<f64>) -> Meeting {
    use Orientation::Collinear;
    let (oc, od) = (orient(a, b, c), orient(a, b, d));
    if oc == od && oc != Collinear {
        return Meeting::Apart;
    }
    let (oa, ob) = (orient(c, d, a), orient(c, d, b));
    if oa == ob && oa != Collinear {
        return Meeting::Apart;
    }
    if oc == Collinear && od == Collinear {
        // Both on one line: along its longer axis they are intervals.
        let key = |p: Coord<f64>| if (b.x - a.x).abs() >= (b.y - a.y).abs() { p.x } else { p.y };
        let sorted = |p, q| if key(p) <= key(q) { (p, q) } else { (q, p) };
        let ((first, last), (other_first, other_last)) = (sorted(a, b), sorted(c, d));
        let low = if key(first) >= key(other_first) { first } else { other_first };
        let high = if key(last) <= key(other_last) { last } else { other_last };
        return match key(low).total_cmp(&key(high)) {
            std::cmp::Ordering::Less => Meeting::Overlap,
            std::cmp::Ordering::Equal => Meeting::Touch(low),
            std::cmp::Ordering::Greater => Meeting::Apart,
        };
    }
    for (o, p, q, r) in [(oc, c, a, b), (od, d, a, b), (oa, a, c, d), (ob, b, c, d)] {
        if o == Collinear {
            return if in_box(p, q, r) { Meeting::Touch(p) } else { Meeting::Apart };
        }
    }
    Meeting::Cross
}

/// True where the edge and the closed box share a point. The box may be a line or a point.
pub(super) fn meets_box(a: Coord<f64>, b: Coord<f64>, low: Coord<f64>, high: Coord<f64>) -> bool {
    if a.x.max(b.x) < low.x || a.x.min(b.x) > high.x || a.y.max(b.y) < low.y || a.y.min(b.y) > high.y {
        return false;
    }
    if in_box(a, low, high) || in_box(b, low, high) {
        return true;
    }
    // Both ends are outside and the boxes overlap: the edge misses only where all four corners lie on one side.
    let side = orient(a, b, low);
    side == Orientation::Collinear
        || [Coord { x: high.x, y: low.y }, high, Coord { x: low.x, y: high.y }]
            .into_iter()
            .any(|corner| orient(a, b, corner) != side)
}

/// What a ray from a point to the east meets of one edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ray {
    Misses,
    Crosses,
    /// The point itself is on the edge.
    StartsOn,
}

pub(super) fn ray(p: Coord<f64>, a: Coord<f64>, b: Coord<f64>) -> Ray {
    if (a.y > p.y) == (b.y > p.y) {
        let on = in_box(p, a, b) && orient(a, b, p) == Orientation::Collinear;
        return if on { Ray::StartsOn } else { Ray::Misses };
    }
    if a.x < p.x && b.x < p.x {
        return Ray::Misses;
    }
    if a.x > p.x && b.x > p.x {
        return Ray::Crosses;
    }
    let (low, high) = if a.y < b.y { (a, b) } else { (b, a) };
    match orient(low, high, p) {
        Orientation::Collinear => Ray::StartsOn,
        Orientation::CounterClockwise => Ray::Crosses,
        Orientation::Clockwise => Ray::Misses,
    }
}

/// All edges of all rings.
pub(super) fn edges_of(polygons: &MultiPolygon<f64>) -> impl Iterator<Item = (Coord<f64>, Coord<f64>)> {
    polygons
        .iter()
        .flat_map(|polygon| std::iter::once(polygon.exterior()).chain(polygon.interiors()))
        .flat_map(|ring| ring.0.windows(2).map(|pair| (pair[0], pair[1])))
}

/// True where the point is inside or on the border. Rings that do not cross are counted by parity.
pub(super) fn covers(polygons: &MultiPolygon<f64>, p: Coord<f64>) -> bool {
    covers_by(edges_of(polygons), p)
}

/// As [`covers`], by all edges of all rings.
pub(super) fn covers_by(edges: impl Iterator<Item = (Coord<f64>, Coord<f64>)>, p: Coord<f64>) -> bool {
    let mut inside = false;
    for (a, b) in edges {
        match ray(p, a, b) {
            Ray::Misses => {}
            Ray::Crosses => inside = !inside,
            Ray::StartsOn => return true,
        }
    }
    inside
}

/// The edges of one shape in a tree, for asking many questions of it.
pub(super) struct EdgeTree(RTree<Edge>);

impl EdgeTree {
    pub fn new(edges: Vec<Edge>) -> Self {
        EdgeTree(RTree::bulk_load(edges))
    }

    pub fn of(polygons: &MultiPolygon<f64>) -> Self {
        Self::new(edges_of(polygons).map(|(a, b)| Edge { a, b, ring: 0, at: 0 }).collect())
    }

    /// The edges whose boxes touch the box between two corners.
    pub fn near(&self, a: Coord<f64>, b: Coord<f64>) -> impl Iterator<Item = &Edge> {
        self.0.locate_in_envelope_intersecting(AABB::from_corners([a.x, a.y], [b.x, b.y]))
    }

    /// The edges that a ray to the east may meet.
    pub fn east_of(&self, p: Coord<f64>) -> impl Iterator<Item = &Edge> {
        self.near(p, Coord { x: 181.0, y: p.y })
    }

    /// True where an edge and the closed box share a point.
    pub fn meets_box(&self, low: Coord<f64>, high: Coord<f64>) -> bool {
        self.near(low, high).any(|edge| meets_box(edge.a, edge.b, low, high))
    }

    pub fn meets(&self, a: Coord<f64>, b: Coord<f64>) -> bool {
        self.near(a, b).any(|edge| meet(a, b, edge.a, edge.b) != Meeting::Apart)
    }

    /// The same answer as [`covers`] gives.
    pub fn covers(&self, p: Coord<f64>) -> bool {
        let mut inside = false;
        for edge in self.east_of(p) {
            match ray(p, edge.a, edge.b) {
                Ray::Misses => {}
                Ray::Crosses => inside = !inside,
                Ray::StartsOn => return true,
            }
        }
        inside
    }
}
