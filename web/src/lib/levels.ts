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

export type Box = { west: number; south: number; east: number; north: number };
