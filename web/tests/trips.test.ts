/** Claims and trips as people work with them, and steps that were kept without a signal. */
import { beforeEach, expect, test, vi } from 'vitest';
import type { Step } from '../src/work/queue.svelte';
import type { Claim, Line } from '../src/work/trips';

const kept = { getItem: () => null, setItem: () => {}, removeItem: () => {} };
vi.stubGlobal('sessionStorage', kept);
vi.stubGlobal('localStorage', kept);
vi.stubGlobal('location', { hash: '', pathname: '/', href: 'http://salur.example/' });
vi.stubGlobal('document', { documentElement: {} });
const { byPlace, csv, least, leftToPlan, loadOf, reportOf, sheetNumber, statusOf } = await import('../src/work/trips');
const { attempt } = await import('../src/work/queue.svelte');

const line = (id: string, code: string, numbers: Partial<Line> = {}): Line => ({
	id,
	quantity: 10,
	scheduled: 0,
	delivered: 0,
	status: 'CONFIRMED',
	need: { item: { key: 'SEMBAKO', unit: 'paket' }, area: { code, name: code, point: null, parent: null } },
	...numbers,
});

test('only what is confirmed and on no trip yet may be planned', () => {
	expect(leftToPlan(line('a', '31', { scheduled: 3, delivered: 4 }))).toBe(3);
	for (const status of ['HELD', 'RELEASED', 'EXPIRED', 'FULFILLED'] as const) expect(leftToPlan(line('a', '31', { status }))).toBe(0);
});

test('stops are gathered by RW and by village, in the order of places', () => {
	const codes = ['31.71.01.1002.001.001', '31.71.01.1001.002.001', '31.71.01.1001.001.009', '31.71.01.1001.001.002'];
	expect(byPlace(codes, (code) => code, 'RW').map(([place, inside]) => [place, inside.length])).toEqual([['31.71.01.1001.001', 2], ['31.71.01.1001.002', 1], ['31.71.01.1002.001', 1]]);
	expect(byPlace(codes, (code) => code, 'VILLAGE')).toHaveLength(2);
});

test('a load adds up by item, and an area shows what is least advanced in it', () => {
	expect(loadOf([line('a', '31'), line('b', '31', { quantity: 5 })])).toEqual([{ item: 'SEMBAKO', unit: 'paket', quantity: 15 }]);
	const states = [line('a', '31'), line('b', '31', { scheduled: 4 }), line('c', '31', { scheduled: 6, delivered: 4 }), line('d', '31', { delivered: 10 })].map(statusOf);
	expect(states).toEqual(['UNSERVED', 'PARTIAL', 'COVERED', 'DELIVERED']);
	expect(states.toReversed().reduce(least, 'DELIVERED')).toBe('UNSERVED');
});

test('a report counts the answers of all trips, and leaves out what was given back untouched', () => {
	const claim = { lines: [line('b', '31.02'), line('a', '31.01', { status: 'RELEASED', delivered: 4 }), line('c', '31.03', { status: 'EXPIRED' })] } as unknown as Claim;
	const trip = (id: string, accepted: number | null, rejected: number | null) => ({ id, status: 'DELIVERED' as const, scheduledFor: null, lines: [{ quantity: 4, accepted, rejected, claimLine: { id: 'b' } }] });
	const report = reportOf(claim, [trip('1', 3, 1), trip('2', null, null), trip('3', 4, 0)]);
	expect(report.map((row) => [row.line.id, row.accepted, row.rejected])).toEqual([['a', 0, 0], ['b', 7, 1]]);
});

test('a table survives commas and quotes, and no cell of it is a formula', () => {
	expect(csv([['a,b', 'say "x"', -3], ['=1+1', '@x', 'ok']])).toBe('\uFEFF"a,b","say ""x""",-3\r\n\'=1+1,\'@x,ok\r\n');
	expect(sheetNumber('delivery-12', '31.71.01.1001.003', '2026')).toBe('00012/31.71.01.1001.003/BAST/2026');
});

const step: Step = { id: 's', who: 'x', kind: 'HAND_OVER', trip: 'delivery-1', about: '', note: null, lines: [], at: new Date().toISOString(), state: 'WAITING', why: null, said: null, answeredAt: null };
const refusal = (code: string) => ({ errors: [{ message: 'no', extensions: { code } }] });
/** What is answered to each question, by its name; a null is silence. */
let answers: Record<string, object | null>;
const asked: string[] = [];
beforeEach(() => {
	asked.length = 0;
	vi.stubGlobal('fetch', async (_: string, { body }: { body: string }) => {
		const name = /(?:query|mutation) (\w+)/.exec(JSON.parse(body).query)![1]!;
		asked.push(name);
		const answer = answers[name];
		if (!answer) throw new TypeError('no signal');
		return { json: async () => answer };
	});
});

test('a kept step waits while nobody answers, and is refused only where the trip does not stand where it leads', async () => {
	const illegal = refusal('ILLEGAL_TRANSITION');
	const cases: [Record<string, object | null>, Step['state'], string | null][] = [
		[{ DispatchTrip: { data: {} }, RecordTrip: { data: {} } }, 'ACCEPTED', null],
		[{ DispatchTrip: illegal, RecordTrip: { data: {} } }, 'ACCEPTED', null],
		[{ DispatchTrip: null }, 'WAITING', 'OFFLINE'],
		[{ DispatchTrip: { data: {} }, RecordTrip: null }, 'WAITING', 'OFFLINE'],
		[{ DispatchTrip: { data: {} }, RecordTrip: refusal('INTERNAL') }, 'WAITING', 'INTERNAL'],
		[{ DispatchTrip: refusal('UNAUTHENTICATED') }, 'WAITING', 'UNAUTHENTICATED'],
		[{ DispatchTrip: { data: {} }, RecordTrip: refusal('BAD_INPUT') }, 'REFUSED', 'BAD_INPUT'],
		[{ DispatchTrip: illegal, RecordTrip: illegal, TripStatus: { data: { delivery: { status: 'ACKNOWLEDGED', lines: [] } } } }, 'ACCEPTED', null],
		[{ DispatchTrip: illegal, RecordTrip: illegal, TripStatus: { data: { delivery: { status: 'CANCELLED', lines: [] } } } }, 'REFUSED', 'CANCELLED'],
		[{ DispatchTrip: illegal, RecordTrip: illegal, TripStatus: null }, 'WAITING', 'OFFLINE'],
	];
	for (const [given, state, why] of cases) {
		answers = given;
		expect(await attempt(step), JSON.stringify(given)).toMatchObject({ state, why });
	}
});

test('an answer that another one has overtaken is refused, the same one is not', async () => {
	const lines = [{ claimLineId: 'line-1', accepted: 3, rejected: 1 }];
	const said = (accepted: number, rejected: number) => ({ data: { delivery: { status: 'DISPUTED', lines: [{ accepted, rejected, claimLine: { id: 'line-1' } }] } } });
	answers = { AnswerTrip: refusal('ILLEGAL_TRANSITION'), TripStatus: said(3, 1) };
	expect((await attempt({ ...step, kind: 'ANSWER', lines })).state).toBe('ACCEPTED');
	answers['TripStatus'] = said(4, 0);
	expect(await attempt({ ...step, kind: 'ANSWER', lines })).toMatchObject({ state: 'REFUSED', why: 'DISPUTED' });
	expect(asked).not.toContain('RecordTrip');
});
