// Reads vector tiles as others do, Mapbox's reader and the JTS library, and tells what is wrong with them.
//
//     node tiles.js DIRECTORY        with files like 14-13054-8468.mvt
//
// Writes one line: {"tiles": n, "polygons": n, "parents": n, "findings": ["…"]}
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { VectorTile } from '@mapbox/vector-tile';
import { PbfReader } from 'pbf';
import Coordinate from 'jsts/org/locationtech/jts/geom/Coordinate.js';
import GeometryFactory from 'jsts/org/locationtech/jts/geom/GeometryFactory.js';
import UnaryUnionOp from 'jsts/org/locationtech/jts/operation/union/UnaryUnionOp.js';
import IsValidOp from 'jsts/org/locationtech/jts/operation/valid/IsValidOp.js';

const LEVELS = ['province', 'city', 'district', 'village', 'rw', 'rt'];
/** Where shapes are cut: the tile's extent and its margin. */
const [LOW, HIGH] = [-64, 4096 + 64];
const factory = new GeometryFactory();

const directory = process.argv[2];
const told = { tiles: 0, polygons: 0, parents: 0, findings: [] };
for (const file of readdirSync(directory).filter((name) => name.endsWith('.mvt'))) {
	told.tiles += 1;
	const tile = new VectorTile(new PbfReader(readFileSync(join(directory, file))));
	const layers = LEVELS.filter((level) => tile.layers[level]).map((level) => shapes(file, tile.layers[level]));
	for (const [at, parents] of layers.entries()) {
		const children = layers[at + 1];
		if (children) for (const [code, parent] of parents) compare(file, code, parent, children);
	}
}
process.stdout.write(`${JSON.stringify(told)}\n`);

/** By code: all polygons of a layer, each of them sound. */
function shapes(file, layer) {
	const found = new Map();
	for (let at = 0; at < layer.length; at++) {
		const feature = layer.feature(at);
		const code = feature.properties.code;
		const finding = (text) => told.findings.push(`${file} ${layer.name} ${code}: ${text}`);
		if (feature.type !== 3) finding('is no polygon');
		const polygons = [];
		for (const points of feature.loadGeometry()) {
			const area = twiceArea(points);
			if (area === 0) finding('has a ring without area');
			if (area < 0 && polygons.length === 0) finding('begins with a hole');
			if (area > 0) polygons.push([points]);
			else polygons.at(-1)?.push(points);
		}
		const built = polygons.map((rings) => {
			const [shell, ...holes] = rings.map(ring);
			return factory.createPolygon(shell, holes);
		});
		const geometry = factory.createMultiPolygon(built);
		const validity = new IsValidOp(geometry);
		if (!validity.isValid()) finding(validity.getValidationError().toString());
		told.polygons += built.length;
		const cut = polygons.flat(2).some(({ x, y }) => [LOW, HIGH].includes(x) || [LOW, HIGH].includes(y));
		found.set(code, { geometry, cut, valid: validity.isValid() });
	}
	return found;
}

/** What lies right below an area covers it, all of it once. */
function compare(file, code, parent, children) {
	const below = [...children].filter(([child]) => child.startsWith(`${code}.`)).map(([, child]) => child);
	if (below.length === 0 || ![parent, ...below].every((shape) => shape.valid)) return;
	told.parents += 1;
	// A cut through an edge is rounded to a unit at either end.
	const allowed = parent.cut ? 2 * (HIGH - LOW) : 0;
	const whole = parent.geometry.getArea();
	const finding = (text) => told.findings.push(`${file} ${code}: ${text}`);
	const sum = below.reduce((sum, child) => sum + child.geometry.getArea(), 0);
	if (Math.abs(sum - whole) > allowed) finding(`its parts come to ${sum} and it to ${whole}`);
	const parts = factory.createGeometryCollection(below.map((child) => child.geometry));
	const union = UnaryUnionOp.union(parts).getArea();
	if (Math.abs(union - whole) > allowed) finding(`its parts cover ${union} and it ${whole}`);
}

function ring(points) {
	return factory.createLinearRing(points.map(({ x, y }) => new Coordinate(x, y)));
}

/** Positive where an outer ring runs as the specification asks, with y to the south. */
function twiceArea(points) {
	let sum = 0;
	for (let at = 0; at + 1 < points.length; at++) {
		sum += points[at].x * points[at + 1].y - points[at + 1].x * points[at].y;
	}
	return sum;
}
