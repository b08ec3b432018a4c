//! Cuts a plane into cells that share their borders exactly.
//!
//! Cells are rings of directed edges of one [`Mesh`]. When a cut ends in the middle of an edge,
//! the edge itself is split, so the neighbour on its other side gets the new vertex as well: no
//! gap, no overlap and no vertex that only one side knows. Moving vertices afterwards keeps
//! that, which is how straight cuts become winding borders.
//!
//! Coordinates are metres on a local plane, x to the east and y to the north.

use std::collections::BTreeMap;

pub(super) type Point = [f64; 2];

/// An edge as one cell walks it; the neighbour walks the same edge the other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Side {
    edge: usize,
    forward: bool,
}

/// The border of a cell, counter-clockwise.
pub(super) type Ring = Vec<Side>;

#[derive(Debug)]
struct Edge {
    from: usize,
    to: usize,
    /// The two edges that stand in this one's place, from its start to its end.
    split: Option<(usize, usize)>,
}

#[derive(Debug, Default)]
pub(super) struct Mesh {
    vertices: Vec<Point>,
    edges: Vec<Edge>,
}

/// A share of a cell that is to be cut up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Areas of parts are in the proportion of their weights.
    pub weight: f64,
    /// Parts lie to each other about as their guides do.
    pub guide: Point,
}

/// How near a cut may end to a vertex before it takes that vertex, in lengths of the cell.
const SNAP: f64 = 0.06;

/// Ends of a cut this near to a vertex, in metres, are that vertex.
const HAIR: f64 = 1e-3;

impl Mesh {
    /// A cell of its own that borders on nothing; `corners` are counter-clockwise.
    pub fn polygon(&mut self, corners: &[Point]) -> Ring {
        let first = self.vertices.len();
        self.vertices.extend_from_slice(corners);
        (0..corners.len()).map(|i| self.add_edge(first + i, first + (i + 1) % corners.len())).collect()
    }

    /// The Voronoi cells of the first `wanted` seeds. They must be enclosed by the others.
    pub fn voronoi(&mut self, seeds: &[Point], wanted: usize) -> Vec<Ring> {
        let mut vertices: BTreeMap<[usize; 3], usize> = BTreeMap::new();
        let mut edges: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        let mut cells = Vec::with_capacity(wanted);
        for own in 0..wanted.min(seeds.len()) {
            let around = neighbours(seeds, own);
            let corners: Vec<usize> = (0..around.len())
                .map(|k| {
                    let mut triple = [own, around[(k + around.len() - 1) % around.len()], around[k]];
                    triple.sort_unstable();
                    *vertices.entry(triple).or_insert_with(|| {
                        self.vertices.push(circumcentre(triple.map(|s| seeds[s])));
                        self.vertices.len() - 1
                    })
                })
                .collect();
            let ring = (0..corners.len())
                .map(|k| {
                    let (from, to) = (corners[k], corners[(k + 1) % corners.len()]);
                    match edges.get(&(to, from)) {
                        Some(edge) => Side { edge: *edge, forward: false },
                        None => {
                            let side = self.add_edge(from, to);
                            edges.insert((from, to), side.edge);
                            side
                        }
                    }
                })
                .collect();
            cells.push(ring);
        }
        cells
    }

    /// Cuts a convex cell into one cell per part, in the parts' order.
    pub fn divide(&mut self, ring: &Ring, parts: &[Part], sway: &mut super::Draw) -> Vec<Ring> {
        let mut cells = vec![Ring::new(); parts.len()];
        let order: Vec<usize> = (0..parts.len()).collect();
        self.halve(ring.clone(), parts, order, sway, &mut cells);
        cells
    }

    fn halve(&mut self, ring: Ring, parts: &[Part], mut group: Vec<usize>, sway: &mut super::Draw, out: &mut [Ring]) {
        if let [only] = group[..] {
            out[only] = ring;
            return;
        }
        if group.is_empty() {
            return;
        }
        let ring = self.leaves(&ring);
        let axis = tilt(long_axis(&self.corners(&ring)), sway.between(-0.2, 0.2));
        let along = |p: Point| p[0] * axis[0] + p[1] * axis[1];
        group.sort_by(|a, b| along(parts[*a].guide).total_cmp(&along(parts[*b].guide)).then(a.cmp(b)));
        let total: f64 = group.iter().map(|i| parts[*i].weight).sum();
        let mut low_count = 1;
        let mut low_weight = parts[group[0]].weight;
        while low_count + 1 < group.len() && low_weight + parts[group[low_count]].weight / 2.0 < total / 2.0 {
            low_weight += parts[group[low_count]].weight;
            low_count += 1;
        }
        let (low, high) = self.cut(&ring, axis, low_weight / total);
        let rest = group.split_off(low_count);
        self.halve(low, parts, group, sway, out);
        self.halve(high, parts, rest, sway, out);
    }

    /// Cuts a convex cell across `axis` so that about `share` of it lies at the low end.
    fn cut(&mut self, ring: &Ring, axis: Point, share: f64) -> (Ring, Ring) {
        let corners = self.corners(ring);
        let heights: Vec<f64> = corners.iter().map(|p| p[0] * axis[0] + p[1] * axis[1]).collect();
        let (mut bottom, mut top) =
            heights.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), d| (l.min(*d), h.max(*d)));
        let whole = doubled_area(&corners);
        for _ in 0..40 {
            let middle = (bottom + top) / 2.0;
            if doubled_area(&below(&corners, &heights, middle)) < share * whole {
                bottom = middle
            } else {
                top = middle
            }
        }
        let level = (bottom + top) / 2.0;
        let reach = SNAP * (whole / 2.0).sqrt();
        for snap in [reach, 0.0] {
            let Some((rise, fall)) = self.cut_ends(ring, &heights, level, snap) else { continue };
            return self.chord(ring, rise, fall);
        }
        // A level strictly between the lowest and the highest corner always has both ends.
        (ring.clone(), ring.clone())
    }

    /// Where the cut at `level` enters the upper part and where it leaves it, walking the ring.
    /// `None` where snapping would leave one part without a body.
    fn cut_ends(&self, ring: &Ring, heights: &[f64], level: f64, snap: f64) -> Option<(CutEnd, CutEnd)> {
        let count = ring.len();
        let up = |i: usize| heights[i] > level;
        let rise = (0..count).find(|i| !up(*i) && up((*i + 1) % count))?;
        let fall = (0..count).find(|i| up(*i) && !up((*i + 1) % count))?;
        let end = |i: usize| {
            let next = (i + 1) % count;
            let (a, b) = (self.vertices[self.start(ring[i])], self.vertices[self.start(ring[next])]);
            let t = (level - heights[i]) / (heights[next] - heights[i]);
            let length = distance(a, b);
            if t * length < snap.max(HAIR) {
                CutEnd::Corner(i)
            } else if (1.0 - t) * length < snap.max(HAIR) {
                CutEnd::Corner(next)
            } else {
                CutEnd::Middle(ring[i].edge, [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t])
            }
        };
        let ends = (end(rise), end(fall));
        if snap > 0.0 {
            let place = |e: &CutEnd| match e {
                CutEnd::Corner(i) => self.vertices[self.start(ring[*i])],
                CutEnd::Middle(_, p) => *p,
            };
            let (a, b) = (place(&ends.0), place(&ends.1));
            // Corners strictly on either side of the chord, far enough from it to span a body.
            let mut sides = [false, false];
            for side in ring {
                let p = self.vertices[self.start(*side)];
                let depth = ((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])) / distance(a, b);
                sides[0] |= depth > 4.0 * snap;
                sides[1] |= depth < -4.0 * snap;
            }
            if sides != [true, true] {
                return None;
            }
        }
        Some(ends)
    }

    /// Joins the two ends by a new edge; answers with the low and the high part.
    fn chord(&mut self, ring: &Ring, rise: CutEnd, fall: CutEnd) -> (Ring, Ring) {
        let start = |mesh: &mut Mesh, end: CutEnd| match end {
            CutEnd::Corner(i) => mesh.start(ring[i]),
            CutEnd::Middle(edge, point) => mesh.split(edge, point),
        };
        let (first, last) = (start(self, rise), start(self, fall));
        let mut ring = self.leaves(ring);
        if let Some(at) = ring.iter().position(|s| self.start(*s) == first) {
            ring.rotate_left(at);
        }
        let turn = ring.iter().position(|s| self.start(*s) == last).unwrap_or(ring.len());
        let mut low = ring.split_off(turn);
        let mut high = ring;
        let side = self.add_edge(last, first);
        high.push(side);
        low.push(Side { edge: side.edge, forward: false });
        (low, high)
    }

    /// Splits every edge until none is longer than `longest`.
    pub fn refine(&mut self, longest: f64) {
        let mut edge = 0;
        while edge < self.edges.len() {
            let Edge { from, to, split } = self.edges[edge];
            let (a, b) = (self.vertices[from], self.vertices[to]);
            if split.is_none() && distance(a, b) > longest {
                self.split(edge, [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0]);
            }
            edge += 1;
        }
    }

    /// Moves every vertex.
    pub fn place(&mut self, to: impl Fn(Point) -> Point) {
        self.vertices.iter_mut().for_each(|v| *v = to(*v));
    }

    /// The corners of a cell, counter-clockwise, with every vertex its neighbours have on it.
    pub fn border(&self, ring: &Ring) -> Vec<Point> {
        self.corners(&self.leaves(ring))
    }

    /// The outer borders (counter-clockwise) and holes (clockwise) of several cells together.
    pub fn outline<'r>(&self, cells: impl IntoIterator<Item = &'r Ring>) -> Vec<Vec<Point>> {
        let mut sides: Vec<Side> = cells.into_iter().flat_map(|ring| self.leaves(ring)).collect();
        sides.sort_unstable();
        let mut from: BTreeMap<usize, Side> = sides
            .chunk_by(|a, b| a.edge == b.edge)
            .filter(|same| same.len() == 1)
            .map(|same| (self.start(same[0]), same[0]))
            .collect();
        let mut rings = Vec::new();
        while let Some((mut vertex, mut side)) = from.pop_first() {
            let mut ring = Vec::new();
            loop {
                ring.push(self.vertices[vertex]);
                vertex = self.end(side);
                match from.remove(&vertex) {
                    Some(next) => side = next,
                    None => break,
                }
            }
            rings.push(ring);
        }
        rings
    }

    fn add_edge(&mut self, from: usize, to: usize) -> Side {
        self.edges.push(Edge { from, to, split: None });
        Side { edge: self.edges.len() - 1, forward: true }
    }

    /// The new vertex.
    fn split(&mut self, edge: usize, point: Point) -> usize {
        let vertex = self.vertices.len();
        self.vertices.push(point);
        let (from, to) = (self.edges[edge].from, self.edges[edge].to);
        let first = self.add_edge(from, vertex).edge;
        let second = self.add_edge(vertex, to).edge;
        self.edges[edge].split = Some((first, second));
        vertex
    }

    fn start(&self, side: Side) -> usize {
        let edge = &self.edges[side.edge];
        if side.forward { edge.from } else { edge.to }
    }

    fn end(&self, side: Side) -> usize {
        self.start(Side { forward: !side.forward, ..side })
    }

    fn corners(&self, ring: &Ring) -> Vec<Point> {
        ring.iter().map(|s| self.vertices[self.start(*s)]).collect()
    }

    /// The ring in edges that are not split.
    fn leaves(&self, ring: &Ring) -> Ring {
        let mut whole = Vec::with_capacity(ring.len());
        let mut open: Vec<Side> = ring.iter().rev().copied().collect();
        while let Some(side) = open.pop() {
            match self.edges[side.edge].split {
                None => whole.push(side),
                Some((first, second)) => {
                    let (near, far) = if side.forward { (first, second) } else { (second, first) };
                    open.push(Side { edge: far, forward: side.forward });
                    open.push(Side { edge: near, forward: side.forward });
                }
            }
        }
        whole
    }
}

#[derive(Debug, Clone, Copy)]
enum CutEnd {
    /// At the start of the ring's side with this index.
    Corner(usize),
    Middle(usize, Point),
}

pub(super) fn distance(a: Point, b: Point) -> f64 {
    ((b[0] - a[0]) * (b[0] - a[0]) + (b[1] - a[1]) * (b[1] - a[1])).sqrt()
}

/// Twice the area, positive where the ring runs counter-clockwise.
pub(super) fn doubled_area(ring: &[Point]) -> f64 {
    let Some(o) = ring.first() else { return 0.0 };
    ring.windows(2).map(|w| (w[0][0] - o[0]) * (w[1][1] - o[1]) - (w[1][0] - o[0]) * (w[0][1] - o[1])).sum()
}

/// The centre of mass.
pub(super) fn centroid(ring: &[Point]) -> Point {
    let Some(o) = ring.first() else { return [0.0, 0.0] };
    let (mut x, mut y, mut mass) = (0.0, 0.0, 0.0);
    for w in ring.windows(2) {
        let (a, b) = ([w[0][0] - o[0], w[0][1] - o[1]], [w[1][0] - o[0], w[1][1] - o[1]]);
        let cross = a[0] * b[1] - b[0] * a[1];
        mass += cross;
        x += (a[0] + b[0]) * cross;
        y += (a[1] + b[1]) * cross;
    }
    if mass == 0.0 { *o } else { [o[0] + x / (3.0 * mass), o[1] + y / (3.0 * mass)] }
}

/// The direction in which the ring's body stretches farthest, of length one.
fn long_axis(ring: &[Point]) -> Point {
    let c = centroid(ring);
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for i in 0..ring.len() {
        let (p, q) = (ring[i], ring[(i + 1) % ring.len()]);
        let (a, b) = ([p[0] - c[0], p[1] - c[1]], [q[0] - c[0], q[1] - c[1]]);
        let cross = a[0] * b[1] - b[0] * a[1];
        xx += cross * (a[0] * a[0] + a[0] * b[0] + b[0] * b[0]);
        yy += cross * (a[1] * a[1] + a[1] * b[1] + b[1] * b[1]);
        xy += cross * (a[0] * a[1] * 2.0 + a[0] * b[1] + b[0] * a[1] + b[0] * b[1] * 2.0) / 2.0;
    }
    let most = (xx + yy) / 2.0 + ((xx - yy) * (xx - yy) / 4.0 + xy * xy).sqrt();
    let (one, other) = ([xy, most - xx], [most - yy, xy]);
    let v = if distance([0.0, 0.0], one) > distance([0.0, 0.0], other) { one } else { other };
    unit_or(v, [1.0, 0.0])
}

fn unit_or(v: Point, otherwise: Point) -> Point {
    let length = distance([0.0, 0.0], v);
    if length > 0.0 && length.is_finite() { [v[0] / length, v[1] / length] } else { otherwise }
}

/// Turned a little, by about `by` of its length.
fn tilt(v: Point, by: f64) -> Point {
    unit_or([v[0] - by * v[1], v[1] + by * v[0]], v)
}

/// What of a convex ring lies at or under `level`.
fn below(corners: &[Point], heights: &[f64], level: f64) -> Vec<Point> {
    let mut kept = Vec::with_capacity(corners.len() + 2);
    for i in 0..corners.len() {
        let next = (i + 1) % corners.len();
        if heights[i] <= level {
            kept.push(corners[i]);
        }
        if (heights[i] <= level) != (heights[next] <= level) {
            let t = (level - heights[i]) / (heights[next] - heights[i]);
            let (a, b) = (corners[i], corners[next]);
            kept.push([a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t]);
        }
    }
    kept
}

/// The seeds whose cells border on that of `own`, counter-clockwise.
fn neighbours(seeds: &[Point], own: usize) -> Vec<usize> {
    const FAR: f64 = 1.0e6;
    let o = seeds[own];
    let mut others: Vec<(f64, usize)> =
        (0..seeds.len()).filter(|s| *s != own).map(|s| (distance(o, seeds[s]), s)).collect();
    others.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let corners = [[-FAR, -FAR], [FAR, -FAR], [FAR, FAR], [-FAR, FAR]];
    // Corners relative to `own`, each with the seed beyond the edge that starts there.
    let mut cell: Vec<(Point, usize)> = corners.into_iter().map(|c| (c, usize::MAX)).collect();
    for (away, other) in others {
        let widest = cell.iter().map(|(p, _)| distance([0.0, 0.0], *p)).fold(0.0, f64::max);
        if away > 2.0 * widest {
            break;
        }
        let d = [seeds[other][0] - o[0], seeds[other][1] - o[1]];
        let outside = |p: Point| p[0] * d[0] + p[1] * d[1] - away * away / 2.0;
        let mut kept = Vec::with_capacity(cell.len() + 1);
        for (k, (p, beyond)) in cell.iter().enumerate() {
            let (q, _) = cell[(k + 1) % cell.len()];
            let (a, b) = (outside(*p), outside(q));
            let crossing = || {
                let t = a / (a - b);
                [p[0] + (q[0] - p[0]) * t, p[1] + (q[1] - p[1]) * t]
            };
            match (a <= 0.0, b <= 0.0) {
                (true, true) => kept.push((*p, *beyond)),
                (true, false) => kept.extend([(*p, *beyond), (crossing(), other)]),
                (false, true) => kept.push((crossing(), *beyond)),
                (false, false) => {}
            }
        }
        cell = kept;
    }
    cell.into_iter().map(|(_, beyond)| beyond).collect()
}

/// The point as far from the first as from the second as from the third.
fn circumcentre([a, b, c]: [Point; 3]) -> Point {
    let (u, v) = ([b[0] - a[0], b[1] - a[1]], [c[0] - a[0], c[1] - a[1]]);
    let twice = 2.0 * (u[0] * v[1] - u[1] * v[0]);
    let (uu, vv) = (u[0] * u[0] + u[1] * u[1], v[0] * v[0] + v[1] * v[1]);
    [a[0] + (v[1] * uu - u[1] * vv) / twice, a[1] + (u[0] * vv - v[0] * uu) / twice]
}

#[cfg(test)]
mod tests {
    use super::super::Draw;
    use super::*;

    fn square() -> (Mesh, Ring) {
        let mut mesh = Mesh::default();
        let ring = mesh.polygon(&[[0.0, 0.0], [100.0, 0.0], [100.0, 100.0], [0.0, 100.0]]);
        (mesh, ring)
    }

    #[test]
    fn parts_fill_their_cell_in_the_proportion_of_their_weights() {
        for seed in 1..40 {
            let mut draw = Draw::new(seed);
            let (mut mesh, ring) = square();
            let parts: Vec<Part> = (0..draw.whole(1, 31))
                .map(|i| Part { weight: draw.between(1.0, 3.0), guide: [i as f64, 0.0] })
                .collect();
            let total: f64 = parts.iter().map(|p| p.weight).sum();
            let cells = mesh.divide(&ring, &parts, &mut draw);
            mesh.refine(7.0);
            let areas: Vec<f64> = cells.iter().map(|c| doubled_area(&mesh.border(c)) / 2.0).collect();
            let sum: f64 = areas.iter().sum();
            assert!((sum - 10_000.0).abs() < 1e-6, "seed {seed}: {sum}");
            for (area, part) in areas.iter().zip(&parts) {
                let ratio = area / (10_000.0 * part.weight / total);
                assert!((0.5..1.6).contains(&ratio), "seed {seed}: {ratio}");
            }
            let outline = mesh.outline(&cells);
            assert_eq!(outline.len(), 1, "seed {seed}");
            assert!((doubled_area(&outline[0]) - 20_000.0).abs() < 1e-6, "seed {seed}");
        }
    }

    #[test]
    fn moving_vertices_keeps_neighbours_joined() {
        let (mut mesh, ring) = square();
        let parts = [Part { weight: 1.0, guide: [0.0, 0.0] }; 12];
        let cells = mesh.divide(&ring, &parts, &mut Draw::new(5));
        mesh.refine(9.0);
        mesh.place(|p| [p[0] + noise(p), p[1] - noise(p)]);
        let sum: f64 = cells.iter().map(|c| doubled_area(&mesh.border(c))).sum();
        let around: f64 = mesh.outline(&cells).iter().map(|r| doubled_area(r)).sum();
        assert!((sum - around).abs() < 1e-6 && (sum - doubled_area(&mesh.border(&ring))).abs() < 1e-6);
    }

    fn noise(p: Point) -> f64 {
        4.0 * super::super::noise(3, p[0] / 40.0, p[1] / 40.0)
    }

    #[test]
    fn voronoi_cells_of_neighbours_share_their_edges() {
        let mut draw = Draw::new(11);
        let seeds: Vec<Point> = (0..400)
            .map(|i| [f64::from(i % 20) + draw.between(-0.4, 0.4), f64::from(i / 20) + draw.between(-0.4, 0.4)])
            .collect();
        // The innermost seeds are asked for, so they come first.
        let (mut inner, outer): (Vec<Point>, Vec<Point>) =
            seeds.into_iter().partition(|p| (4.0..15.0).contains(&p[0]) && (4.0..15.0).contains(&p[1]));
        let wanted = inner.len();
        inner.extend(outer);
        let mut mesh = Mesh::default();
        let cells = mesh.voronoi(&inner, wanted);
        let sum: f64 = cells.iter().map(|c| doubled_area(&mesh.border(c))).sum();
        let outline = mesh.outline(&cells);
        assert_eq!((cells.len(), outline.len()), (wanted, 1));
        assert!((sum - doubled_area(&outline[0])).abs() < 1e-6);
    }

    #[test]
    fn a_cell_enclosed_by_others_leaves_a_clockwise_hole() {
        let (mut mesh, ring) = square();
        let parts: Vec<Part> =
            (0..25).map(|i| Part { weight: 1.0, guide: [f64::from(i % 5) * 20.0, f64::from(i / 5) * 20.0] }).collect();
        let cells = mesh.divide(&ring, &parts, &mut Draw::new(1));
        let middle = cells
            .iter()
            .position(|c| mesh.border(c).iter().all(|p| p.iter().all(|v| (1.0..99.0).contains(v))))
            .expect("a cell that touches no border");
        let rest: Vec<&Ring> = cells.iter().enumerate().filter(|(i, _)| *i != middle).map(|(_, c)| c).collect();
        let mut areas: Vec<f64> = mesh.outline(rest).iter().map(|r| doubled_area(r)).collect();
        areas.sort_by(f64::total_cmp);
        assert_eq!(areas.len(), 2);
        assert!(areas[0] < 0.0 && areas[1] > 19_999.0);
    }
}
