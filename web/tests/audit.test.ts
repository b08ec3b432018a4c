import { describe, expect, test, vi } from 'vitest';
import { classesOf, OPEN_COLOURS, paintOf } from '../src/lib/audit-paint';
import { parts, ticks } from '../src/lib/bars';
import { validity } from '../src/lib/papers';

describe('what the audit looks at', () => {
	test('stands in the address, beside what the map keeps there', async () => {
		vi.stubGlobal('location', { hash: '', pathname: '/audit' });
		vi.stubGlobal('addEventListener', () => {});
		const { readChosen, writeChosen } = await import('../src/lib/audit-filter.svelte');
		const chosen = { kind: 'OVER_SERVED', status: 'ALL', area: '31.72.01', item: 'SEMBAKO', level: 'RW', record: 'overlap-12' } as const;
		const fragment = writeChosen('#map=14.2/-6.135/106.905', chosen);
		expect(fragment).toContain('map=14.2/-6.135/106.905');
		expect(readChosen(`#${fragment}`)).toEqual(chosen);
		const start = readChosen('');
		expect(start.status, 'what waits comes first').toBe('SUSPECTED');
		expect(writeChosen(`#${fragment}`, start)).toBe('map=14.2/-6.135/106.905');
		for (const wrong of ['#kind=none', '#decision=x', '#within=31.7', '#level=street', '#record=<b>', '#record=need']) {
			expect(readChosen(wrong), wrong).toEqual(start);
		}
	});
});

describe('the map of findings', () => {
	test('has as many classes as there are different numbers, three at most', () => {
		expect([[], [0, 0], [1], [1, 1, 2], [1, 2, 3, 4, 8, 20]].map(classesOf)).toEqual([[], [], [1], [1, 2], [1, 3, 8]]);
	});

	test('is the darker the more waits, crossed where anything does, and calm where all is decided', () => {
		const breaks = [1, 3, 8];
		expect([1, 3, 7, 8].map((suspected) => paintOf({ suspected }, breaks).colour)).toEqual([OPEN_COLOURS[0], OPEN_COLOURS[1], OPEN_COLOURS[1], OPEN_COLOURS[2]]);
		expect(paintOf({ suspected: 1 }, [1]).colour, 'one class is the darkest').toBe(OPEN_COLOURS[2]);
		expect(paintOf({ suspected: 0 }, breaks).cross).toBe(0);
		expect(paintOf({ suspected: 2 }, breaks).cross).toBe(1);
	});
});

describe('a chart', () => {
	test('fills its room with its parts, one after the other', () => {
		expect(parts([20, 30, 50], 100, 400)).toEqual([
			{ from: 0, width: 80 },
			{ from: 80, width: 120 },
			{ from: 200, width: 200 },
		]);
		expect(parts([0, 0], 0, 400).every(({ width }) => width === 0)).toBe(true);
	});

	test('has round numbers on its axis, up to one that holds the largest', () => {
		expect(ticks(103)).toEqual([0, 50, 100, 150]);
		expect(ticks(3)).toEqual([0, 1, 2, 3]);
		expect(ticks(0)).toEqual([0, 1]);
		for (const largest of [1, 7, 99, 1_234, 5_000_000]) expect(ticks(largest).at(-1)).toBeGreaterThanOrEqual(largest);
	});
});

test('a paper is good through its last day in Jakarta, with a month of notice', () => {
	const at = (text: string) => new Date(text);
	expect(validity(null, at('2026-11-28T05:00:00Z'))).toBe('good');
	expect(validity('2026-11-28', at('2026-11-28T16:59:00Z')), 'its last day, a minute before midnight there').toBe('soon');
	expect(validity('2026-11-28', at('2026-11-28T17:01:00Z')), 'midnight is over there').toBe('lapsed');
	expect(validity('2026-12-28', at('2026-11-28T05:00:00Z'))).toBe('soon');
	expect(validity('2026-12-29', at('2026-11-28T05:00:00Z'))).toBe('good');
});
