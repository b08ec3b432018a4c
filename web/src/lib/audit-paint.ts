/** How areas are drawn by their findings: the darker, the more wait for a decision; crossed, so that no colour is needed. */
export const OPEN_COLOURS = ['#f9d9b4', '#ee9a5d', '#c4481b'] as const;
const DECIDED = '#b9d3cf';

export type Painted = { colour: string; cross: number };

/** Where the classes begin: three at most, with about as many areas in each; none where nothing waits. */
export function classesOf(counts: number[]): number[] {
	const open = counts.filter((n) => n > 0).toSorted((a, b) => a - b);
	if (open.length === 0) return [];
	const at = (share: number) => open[Math.min(Math.floor(share * open.length), open.length - 1)]!;
	return [...new Set([1, at(1 / 3), at(2 / 3)])].toSorted((a, b) => a - b);
}

export function paintOf(row: { suspected: number }, breaks: readonly number[]): Painted {
	if (row.suspected === 0) return { colour: DECIDED, cross: 0 };
	const at = breaks.filter((from) => row.suspected >= from).length;
	return { colour: OPEN_COLOURS[OPEN_COLOURS.length - breaks.length + at - 1] ?? OPEN_COLOURS[0], cross: 1 };
}
