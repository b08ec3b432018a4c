import { expect, test } from 'vitest';
import { boxOf, mainland, placeFor } from '../src/lib/frame';

const JAKARTA: [number, number, number, number] = [106.68, -6.38, 106.98, -6.08];
const [WEST, SOUTH, EAST, NORTH] = JAKARTA;

test('a box fits into every screen with room around it', () => {
	for (const size of [{ width: 880, height: 742 }, { width: 360, height: 385 }, { width: 1920, height: 400 }]) {
		const place = placeFor(JAKARTA, size);
		const seen = boxOf(place, size);
		expect(seen.west).toBeLessThan(WEST);
		expect(seen.east).toBeGreaterThan(EAST);
		expect(seen.south).toBeLessThan(SOUTH);
		expect(seen.north).toBeGreaterThan(NORTH);
		const pixels = (degrees: number) => (degrees / (seen.east - seen.west)) * size.width;
		const room = Math.min(pixels(WEST - seen.west), (1 - (NORTH - SOUTH) / (seen.north - seen.south)) * size.height / 2);
		expect(room).toBeCloseTo(16, 0);
	}
});

test('what is seen is as wide as the map draws it', () => {
	// MapLibre's own answer for this centre, zoom and size.
	const box = boxOf({ zoom: 10, lon: 106.8, lat: -6.2 }, { width: 1024, height: 512 });
	expect(box.east - box.west).toBeCloseTo((360 * 1024) / (512 * 1024), 9);
	expect((box.north + box.south) / 2).toBeCloseTo(-6.2, 2);
});

test('no box is larger than the world', () => {
	const box = boxOf({ zoom: 3, lon: 179, lat: 80 }, { width: 9000, height: 9000 });
	expect(box.east).toBe(180);
	expect(box.north).toBeLessThanOrEqual(90);
	expect(box.south).toBeGreaterThanOrEqual(-90);
});

test('far islands in the north are left for later', () => {
	expect(mainland([106, -6.4, 107, -5])[3]).toBeCloseTo(-5.75);
	expect(mainland(JAKARTA)).toEqual(JAKARTA);
});
