/** What a map of a size shows, before there is a map: the same sums that it will do, in Web Mercator of 512 units. */
import type { Place } from './address';
import type { Bounds } from './ground';
import type { Box } from './levels';

export type Size = { width: number; height: number };

const TILE = 512;
const MIN_ZOOM = 3;
const MAX_ZOOM = 18;

const x = (lon: number) => (lon + 180) / 360;
const y = (lat: number) => (180 - (180 / Math.PI) * Math.log(Math.tan(Math.PI / 4 + (lat * Math.PI) / 360))) / 360;
const lon = (x: number) => x * 360 - 180;
const lat = (y: number) => (360 / Math.PI) * Math.atan(Math.exp(((180 - y * 360) * Math.PI) / 180)) - 90;

/** Where one stands who sees all of it, with so many pixels around it. */
export function placeFor([west, south, east, north]: Bounds, { width, height }: Size, padding = 16): Place {
	const room = (pixels: number) => Math.max(pixels - 2 * padding, 1) / TILE;
	const scale = Math.min(room(width) / (x(east) - x(west)), room(height) / (y(south) - y(north)));
	const zoom = Math.min(Math.max(Math.log2(scale), MIN_ZOOM), MAX_ZOOM);
	return { zoom, lon: lon((x(west) + x(east)) / 2), lat: lat((y(north) + y(south)) / 2) };
}

/** What one sees from there. */
export function boxOf(place: Place, { width, height }: Size): Box {
	const world = TILE * 2 ** place.zoom;
	const [cx, cy] = [x(place.lon), y(place.lat)];
	return {
		west: Math.max(lon(cx - width / 2 / world), -180),
		south: lat(Math.min(cy + height / 2 / world, 1)),
		east: Math.min(lon(cx + width / 2 / world), 180),
		north: lat(Math.max(cy - height / 2 / world, 0)),
	};
}

/** A group of far islands would make all else small: where the ground is much taller than wide, begin with its south. */
export function mainland([west, south, east, north]: Bounds): Bounds {
	const wide = east - west;
	return north - south > wide * 1.2 ? [west + wide * 0.35, south, east, south + wide * 0.65] : [west, south, east, north];
}
