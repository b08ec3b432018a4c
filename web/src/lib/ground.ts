/** What the server says of its tiles. Whoever asks at the same time as somebody else shares the answer. */
export type Bounds = [west: number, south: number, east: number, north: number];
export type Ground = { tiles: string[]; maxzoom: number; bounds: Bounds | null; basemap: string | null };

/** A page that stays open learns of new areas: nothing is kept for longer, in milliseconds. */
const KEPT = 10_000;

let asked: Promise<Ground> | null = null;

export function ground(): Promise<Ground> {
	if (!asked) {
		asked = fetch('/tiles/areas.json').then((answer) => answer.json() as Promise<Ground>);
		const forget = () => void (asked = null);
		asked.then(() => setTimeout(forget, KEPT), forget);
	}
	return asked;
}
