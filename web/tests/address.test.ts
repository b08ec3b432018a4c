import { describe, expect, test } from 'vitest';
import { read, START, write, type State } from '../src/lib/address';

describe('the address', () => {
	test('says all of the state and reads it back', () => {
		const state: State = {
			place: { zoom: 14.31, lat: -6.23512, lon: 106.83 },
			item: 'SEMBAKO',
			status: ['UNSERVED', 'PARTIAL'],
			severity: 4,
			show: 'status',
			area: '31.71.01.1001.003.007',
		};
		expect(read(`#${write(state)}`)).toEqual(state);
	});

	test('is empty at the start', () => {
		expect(write(START)).toBe('');
		expect(read('')).toEqual(START);
	});

	test('opens also where parts of it make no sense', () => {
		for (const wrong of ['#map=a/b/c', '#map=12', '#map=12/95/10', '#status=NONE', '#need=9', '#area=31.7', '#area=<b>', '#=&&=']) {
			expect(read(wrong), wrong).toEqual(START);
		}
		expect(read('#map=99/1/2').place).toEqual({ zoom: 20, lat: 1, lon: 2 });
	});

	test('says nothing of a filter that takes in all', () => {
		expect(write({ ...START, status: ['UNSERVED', 'PARTIAL', 'COVERED', 'DELIVERED'] })).toBe('');
	});
});
