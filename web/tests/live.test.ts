/** The live connection, with a client that is played here. */
import { expect, test, vi } from 'vitest';

const kept = { getItem: () => null, setItem: () => {}, removeItem: () => {} };
vi.stubGlobal('sessionStorage', kept);
vi.stubGlobal('localStorage', kept);
vi.stubGlobal('location', { protocol: 'http:', href: 'http://salur.example/' });
vi.useFakeTimers();

type Sink = { next: (answer: object) => void; error: (errors: unknown) => void; complete: () => void };
const begun = vi.hoisted(() => [] as { sink: unknown; stopped: boolean }[]);
vi.mock('graphql-ws', () => ({
	createClient: () => ({
		subscribe: (_: unknown, sink: unknown) => {
			const one = { sink, stopped: false };
			begun.push(one);
			return () => void (one.stopped = true);
		},
	}),
}));

const { live } = await import('../src/lib/live.svelte');
const { NeedsChanged } = await import('../src/lib/operations');
const sinkOf = (at: number) => begun[at]!.sink as Sink;

/** What was heard, how often something was missed, and how it is stopped. */
async function follow() {
	begun.length = 0;
	const heard: unknown[] = [];
	let missed = 0;
	const stop = live.subscribe(NeedsChanged, { where: {} }, ({ needsChanged }) => heard.push(needsChanged), () => (missed += 1));
	await vi.waitFor(() => expect(begun).toHaveLength(1));
	return { heard, stop, missed: () => missed };
}

test('what the server ends is begun anew, and said to have missed something', async () => {
	const { heard, missed } = await follow();
	sinkOf(0).next({ data: { needsChanged: ['a'] } });
	// It fell behind: an answer that is an error, then the end.
	sinkOf(0).next({ data: null, errors: [{}] });
	sinkOf(0).complete();
	expect([begun.length, missed()]).toEqual([1, 0]);
	await vi.runOnlyPendingTimersAsync();
	expect([begun.length, begun[0]!.stopped, missed()]).toEqual([2, true, 1]);
	sinkOf(0).next({ data: { needsChanged: ['late'] } });
	sinkOf(1).next({ data: { needsChanged: ['b'] } });
	expect(heard).toEqual([['a'], ['b']]);
});

test('the more often it is refused the longer it waits, and once stopped it is not begun again', async () => {
	const { stop } = await follow();
	const pauses: number[] = [];
	for (let at = 0; at < 9; at++) {
		const from = Date.now();
		sinkOf(at).error([{}]);
		await vi.runOnlyPendingTimersAsync();
		pauses.push(Date.now() - from);
	}
	expect(begun).toHaveLength(10);
	expect(pauses[0]).toBeLessThanOrEqual(1_500);
	expect(pauses[8]).toBeGreaterThanOrEqual(30_000);
	expect(Math.max(...pauses)).toBeLessThanOrEqual(90_000);
	sinkOf(9).error([{}]);
	stop();
	await vi.runAllTimersAsync();
	sinkOf(9).next({ data: { needsChanged: [] } });
	expect(begun).toHaveLength(10);
});
