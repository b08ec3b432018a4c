/** How the map's scene follows what changes, with a server that is played here. */
import { beforeEach, expect, test, vi } from 'vitest';
import { coverOf } from '../src/lib/levels';
import { Relay } from '../src/lib/relay';

const kept = { getItem: () => null, setItem: () => {}, removeItem: () => {} };
vi.stubGlobal('sessionStorage', kept);
vi.stubGlobal('localStorage', kept);
vi.stubGlobal('location', { hash: '', pathname: '/', href: 'http://salur.example/' });
vi.stubGlobal('document', { documentElement: {} });
vi.stubGlobal('addEventListener', () => {});
vi.useFakeTimers();

type Asked = { name: string; variables: Record<string, unknown>; answer: (data: unknown) => void };
type Followed = { name: string; variables: Record<string, unknown>; next: (data: unknown) => void; missed: () => void; stopped: boolean };
const asked: Asked[] = [];
const followed: Followed[] = [];
const server = vi.hoisted(() => ({ open: true }));
const nameOf = (document: unknown) => /(?:query|subscription) (\w+)/.exec((document as { text: string }).text)![1]!;

vi.mock('../src/lib/graphql', async (original) => ({
	...(await original<object>()),
	ask: (document: unknown, variables: Asked['variables'], signal?: AbortSignal) =>
		new Promise((answer, refuse) => {
			signal?.addEventListener('abort', () => refuse(new Error('aborted')));
			asked.push({ name: nameOf(document), variables, answer });
		}),
}));
vi.mock('../src/lib/live.svelte', () => ({
	live: {
		get open() {
			return server.open;
		},
		subscribe: (document: unknown, variables: Followed['variables'], next: Followed['next'], missed = () => {}) => {
			const one: Followed = { name: nameOf(document), variables, next, missed, stopped: false };
			followed.push(one);
			return () => void (one.stopped = true);
		},
	},
}));

const { catalogue } = await import('../src/lib/catalogue.svelte');
const { scene, onNeeds } = await import('../src/lib/scene.svelte');
catalogue.programs = [{ key: 'PANGAN', name: 'Pangan', holdSeconds: 1, maxRenewals: 1, items: [{ key: 'SEMBAKO', name: 'Sembako', unit: 'paket', kind: 'FOOD' }] }];

const BOX = { west: 106, south: -7, east: 107, north: -6 };
const row = (code: string, allocated: number) => ({
	area: { code, name: code, households: 10 },
	coverage: { needCount: 1, unservedCount: 0, required: 10, allocated, delivered: 0, unmet: 10 - allocated },
});
const settled = () => vi.advanceTimersByTimeAsync(0);
const open = (name: string) => followed.filter((one) => one.name === name && !one.stopped);
const map = () => open('MapChanged').at(-1)!;
const stand = (one = map()) => one.next({ areaCoverageChanged: [] });
const push = (...rows: unknown[]) => map().next({ areaCoverageChanged: rows });
const shown = () => Object.fromEntries([...scene.rows].map(([code, { coverage }]) => [code, coverage.allocated]));

/** Answers all that has been asked, and gives its names. */
async function answered(rows: unknown[], needs: unknown[] = []): Promise<string[]> {
	const answers: Record<string, unknown> = {
		Breaks: { coverageBreaks: [1, 2] },
		MapCoverage: { areaCoverage: rows },
		InView: { needs: { totalCount: needs.length, nodes: needs, pageInfo: { hasNextPage: false, endCursor: null } } },
		Totals: { coverage: { needCount: asked.length } },
	};
	const now = asked.splice(0);
	now.forEach(({ name, answer }) => answer(answers[name]));
	await settled();
	return now.map(({ name }) => name).filter((name) => name !== 'Breaks');
}

/** A scene that has read and follows. */
async function begun(rows: unknown[], needs: unknown[] = [], zoom = 15): Promise<void> {
	void scene.load(BOX, zoom);
	stand();
	await settled();
	await answered(rows, needs);
}

beforeEach(async () => {
	scene.leave();
	await vi.runAllTimersAsync();
	asked.length = followed.length = 0;
	server.open = true;
});

test('what is read is asked for after the subscription stands', async () => {
	void scene.load(BOX, 15);
	await settled();
	expect(followed.map(({ name }) => name)).toEqual(['NeedsChanged', 'MapChanged']);
	expect(asked).toEqual([]);
	expect(followed[0]!.variables).toEqual({ where: { items: ['SEMBAKO'], bbox: BOX } });
	stand();
	await settled();
	const { variables } = asked.find(({ name }) => name === 'MapCoverage')!;
	expect(variables).toEqual(map().variables);
	expect(variables).toEqual({ level: 'RT', where: { items: ['SEMBAKO'] }, view: { west: 105.75, south: -7.25, east: 107.25, north: -5.75 } });
});

test('without a connection it is read at once, and again when the subscription stands', async () => {
	server.open = false;
	void scene.load(BOX, 15);
	await settled();
	expect(await answered([row('a', 1)])).toEqual(['MapCoverage', 'InView', 'Totals']);
	stand();
	await settled();
	expect(await answered([row('a', 2)])).toEqual(['MapCoverage', 'InView', 'Totals']);
	expect(shown()).toEqual({ a: 2 });
	expect(open('MapChanged')).toHaveLength(1);
	// A connection that was lost and is back has perhaps missed something.
	stand();
	await settled();
	expect(await answered([row('a', 3)])).toEqual(['MapCoverage', 'InView', 'Totals']);
	expect(shown()).toEqual({ a: 3 });
});

test('a connection that says nothing keeps nobody waiting', async () => {
	void scene.load(BOX, 15);
	await vi.runAllTimersAsync();
	expect(await answered([row('a', 1)])).toEqual(['MapCoverage', 'InView', 'Totals']);
	stand();
	await settled();
	expect(await answered([row('a', 1)])).toEqual(['MapCoverage', 'InView', 'Totals']);
});

test('pushed rows replace what is shown, and nothing is asked but the totals, once for a bunch', async () => {
	await begun([row('a', 0), row('b', 0), row('c', 0)]);
	push(row('a', 1));
	push(row('a', 2), row('b', 3), row('beyond', 1));
	await vi.runAllTimersAsync();
	expect(shown()).toEqual({ a: 2, b: 3, c: 0 });
	expect(scene.changed).toEqual(new Set(['a', 'b']));
	// More comes while the totals are on their way: they are asked for once more.
	push(row('c', 4));
	await vi.runAllTimersAsync();
	push(row('c', 5));
	await vi.runAllTimersAsync();
	expect(shown()).toEqual({ a: 2, b: 3, c: 5 });
	expect(await answered([])).toEqual(['Totals']);
	expect(await answered([])).toEqual(['Totals']);
	expect(await answered([])).toEqual([]);
});

test('what is pushed while it is read is not undone by what was read before', async () => {
	await begun([row('a', 0), row('b', 0)]);
	void scene.load(BOX, 15);
	await settled();
	push(row('a', 7), row('beyond', 1));
	await answered([row('a', 0), row('b', 1)]);
	expect(shown()).toEqual({ a: 7, b: 1 });
});

test('the subscription before goes on until the next one stands', async () => {
	await begun([row('a', 0)]);
	const before = map();
	const moved = { ...BOX, east: 108 };
	void scene.load(moved, 15);
	await settled();
	expect([before.stopped, open('MapChanged').length, open('NeedsChanged').length]).toEqual([false, 2, 2]);
	before.next({ areaCoverageChanged: [row('a', 1)] });
	await vi.runAllTimersAsync();
	expect(shown()).toEqual({ a: 1 });
	stand();
	expect([before.stopped, open('MapChanged').length, open('NeedsChanged').length]).toEqual([true, 1, 1]);
	// The same view again: the same subscription.
	void scene.load(moved, 15);
	await settled();
	expect(open('MapChanged')).toHaveLength(1);
	scene.leave();
	expect(followed.filter(({ stopped }) => !stopped)).toEqual([]);
});

test('rows of another level are kept for their own reading', async () => {
	await begun([row('31.71.01.1001.001.001', 0)]);
	void scene.load(BOX, 13);
	stand();
	await settled();
	push(row('31.71.01.1001.001', 5));
	await vi.runAllTimersAsync();
	expect(shown()).toEqual({ '31.71.01.1001.001.001': 0 });
	await answered([row('31.71.01.1001.001', 0)]);
	expect([shown(), scene.level]).toEqual([{ '31.71.01.1001.001': 5 }, 'RW']);
});

test('needs in the list are replaced where they stand, and who listens hears of them', async () => {
	const need = (id: string, unmet: number) => ({ id, unmet, area: { code: 'a' } });
	await begun([row('a', 0)], [need('need-1', 9), need('need-2', 8)]);
	const heard: unknown[] = [];
	const deaf = onNeeds((needs) => heard.push(...needs));
	open('NeedsChanged')[0]!.next({ needsChanged: [need('need-2', 3), need('need-3', 1)] });
	await vi.runAllTimersAsync();
	deaf();
	expect(scene.needs.map(({ id, unmet }) => [id, unmet])).toEqual([['need-1', 9], ['need-2', 3]]);
	expect(heard).toEqual([need('need-2', 3), need('need-3', 1)]);
	expect(asked).toEqual([]);
});

test('of subscriptions that come in quick succession the one that stands is kept', () => {
	const relay = new Relay();
	const stopped: string[] = [];
	const stands: Record<string, () => void> = {};
	const follow = (key: string) => void relay.follow(key, (stand) => ((stands[key] = stand), () => stopped.push(key)));
	follow('a');
	stands['a']!();
	for (const key of ['b', 'c', 'c']) follow(key);
	expect(stopped).toEqual(['b']);
	// Late, and no longer wanted.
	stands['b']!();
	expect(stopped).toEqual(['b']);
	stands['c']!();
	expect(stopped).toEqual(['b', 'a']);
	relay.end();
	expect(stopped).toEqual(['b', 'a', 'c']);
});

test('few areas hold all that lies in a basket', () => {
	const codes = ['31.71.01.1001.001.001', '31.71.01.1001.001.002', '31.71.01.1001.002.001', '32.01.01.2001.001.001'];
	expect(coverOf(codes, 8)).toEqual(codes);
	expect(coverOf(codes, 3)).toEqual(['31.71.01.1001.001', '31.71.01.1001.002', '32.01.01.2001.001']);
	expect(coverOf(codes, 2)).toEqual(['31.71.01.1001', '32.01.01.2001']);
	expect(coverOf(codes, 1)).toEqual(['31', '32']);
	expect(coverOf(['31.71', '31.71.01.1001', '31.71.01'], 8)).toEqual(['31.71']);
	expect(coverOf([], 8)).toEqual([]);
});
