/** Levels of areas, and which one a map draws. The server's tiles follow the same table (`drawn_at` in src/tiles). */
export const LEVELS = ['PROVINCE', 'CITY', 'DISTRICT', 'VILLAGE', 'RW', 'RT'] as const;
export type Level = (typeof LEVELS)[number];

/** The zoom from which on each level is drawn, up to the next one's. */
export const DRAWN_FROM: Record<Level, number> = { PROVINCE: 0, CITY: 7, DISTRICT: 10, VILLAGE: 11, RW: 13, RT: 14 };

export function drawnAt(zoom: number): Level {
	return LEVELS.findLast((level) => zoom >= DRAWN_FROM[level]) ?? 'PROVINCE';
}

/** The zoom up to which the level is drawn. */
export function drawnUntil(level: Level): number {
	const next = LEVELS[LEVELS.indexOf(level) + 1];
	return next ? DRAWN_FROM[next] : 24;
}

/** The level of a code: `31.71.01.1001.003` is that of an RW. */
export function levelOf(code: string): Level {
	return LEVELS[code.split('.').length - 1] ?? 'RT';
}

/** The code of the area of the level that the area lies in; the area's own where it lies above. */
export function codeAt(code: string, level: Level): string {
	return code
		.split('.')
		.slice(0, LEVELS.indexOf(level) + 1)
		.join('.');
}

/** `31.71.01` has `31`, `31.71` above it and itself last. */
export function pathOf(code: string): string[] {
	const parts = code.split('.');
	return parts.map((_, i) => parts.slice(0, i + 1).join('.'));
}

/**
 * Areas that hold all of these, at most so many: where there are more, the lowest give way to what they lie in. No more
 * than provinces can be said in fewer.
 */
export function coverOf(codes: Iterable<string>, most: number): string[] {
	let cover = new Set(codes);
	for (const level of LEVELS.toReversed().slice(1)) {
		if (cover.size <= most) break;
		cover = new Set([...cover].map((code) => codeAt(code, level)));
	}
	return [...cover].filter((code) => !pathOf(code).slice(0, -1).some((above) => cover.has(above))).sort();
}

export type Box = { west: number; south: number; east: number; north: number };
