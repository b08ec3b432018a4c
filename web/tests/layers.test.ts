import { validateStyleMin } from '@maplibre/maplibre-gl-style-spec';
import { describe, expect, test } from 'vitest';
import { clock, formats } from '../src/lib/format';
import { codeAt, DRAWN_FROM, drawnAt, drawnUntil, LEVELS, levelOf, pathOf } from '../src/lib/levels';
import { classOf, lack, NOTHING, paintOf, ramp, RAMP, SERVED, statusOf, type Sums } from '../src/lib/status';
import { layers } from '../src/map/style';

const sums = (required: number, allocated: number, delivered: number): Sums => ({
	needCount: 1,
	unservedCount: allocated === 0 ? 1 : 0,
	required,
	allocated,
	delivered,
	unmet: required - allocated,
});

describe('levels', () => {
	test('follow each other without a gap, and the tiles have the same table', () => {
		for (const [i, level] of LEVELS.entries()) {
			expect(drawnAt(DRAWN_FROM[level])).toBe(level);
			if (i > 0) expect(drawnUntil(LEVELS[i - 1]!)).toBe(DRAWN_FROM[level]);
		}
		expect([0, 6.9, 7, 9.99, 10, 11, 12.9, 13, 14, 18].map(drawnAt)).toEqual(
			['PROVINCE', 'PROVINCE', 'CITY', 'CITY', 'DISTRICT', 'VILLAGE', 'VILLAGE', 'RW', 'RT', 'RT'],
		);
	});

	test('are read from codes', () => {
		expect(levelOf('31.71.01.1001.003')).toBe('RW');
		expect(codeAt('31.71.01.1001.003.007', 'VILLAGE')).toBe('31.71.01.1001');
		expect(codeAt('31.71', 'RT')).toBe('31.71');
		expect(pathOf('31.71.01')).toEqual(['31', '31.71', '31.71.01']);
	});
});

describe('what is drawn', () => {
	test('tells the four states apart', () => {
		expect([sums(9, 0, 0), sums(9, 3, 3), sums(9, 9, 3), sums(9, 9, 9)].map(statusOf)).toEqual(
			['UNSERVED', 'PARTIAL', 'COVERED', 'DELIVERED'],
		);
		expect(statusOf({ ...sums(0, 0, 0), needCount: 0 })).toBeNull();
		expect(statusOf({ ...sums(9, 0, 0), required: null })).toBeNull();
	});

	test('is the darker the more lacks, and grey where nothing does', () => {
		const breaks = [10, 20, 30, 40];
		const colours = [1, 10, 25, 39, 90].map((n) => paintOf(sums(n, 0, 0), 100, breaks, 'unmet').colour);
		expect(colours).toEqual([RAMP[0], RAMP[1], RAMP[2], RAMP[3], RAMP[4]]);
		expect(paintOf(sums(9, 9, 0), 100, breaks, 'unmet')).toEqual({ colour: SERVED, hatch: 0, dots: 1 });
		expect(paintOf(sums(9, 3, 0), 100, breaks, 'unmet').hatch).toBe(1);
		expect(paintOf(sums(9, 0, 0), null, breaks, 'unmet').colour).toBe(NOTHING);
	});

	test('takes the ends of the ramp where classes are few', () => {
		expect(ramp(2)).toEqual([RAMP[0], RAMP[4]]);
		expect(ramp(1)).toHaveLength(1);
		expect(classOf(5, [])).toBe(0);
		expect(lack(sums(30, 10, 0), 200)).toBe(10);
	});

	test('is a style that the map accepts', () => {
		const style = {
			version: 8,
			glyphs: 'https://fonts.invalid/{fontstack}/{range}.pbf',
			sources: { areas: { type: 'vector', tiles: ['https://tiles.invalid/{z}/{x}/{y}'] } },
			layers: layers(),
		};
		expect(validateStyleMin(style as never)).toEqual([]);
	});
});

describe('numbers and times', () => {
	test('are written as people there write them', () => {
		const { id, en } = { id: formats('id'), en: formats('en') };
		expect([id.number(30276), en.number(30276)]).toEqual(['30.276', '30,276']);
		expect(id.amount(1500000, 'rupiah').replaceAll('\u00a0', ' ')).toBe('Rp 1.500.000');
		expect(id.amount(12, 'paket')).toBe('12 paket');
		expect(id.day('2026-12-31')).toBe('31 Desember 2026');
		expect(id.time('2026-11-25T07:30:00Z')).toBe('14.30 WIB');
	});

	test('never call nearly all all', () => {
		const { percent } = formats('en');
		expect([percent(999, 1000), percent(1000, 1000), percent(0, 0)]).toEqual(['99%', '100%', '0%']);
	});

	test('count down in two places', () => {
		expect([clock(65), clock(3661), clock(-5)]).toEqual(['01:05', '1:01:01', '00:00']);
	});
});
