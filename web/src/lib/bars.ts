/** How a chart of stacked bars is laid out; nothing here knows what it shows. */
export type Series = { name: string; colour: string; pattern: 'plain' | 'dots' | 'hatch' };
export type Bar = { name: string; values: number[]; label: string };

/** Where the parts of a bar stand, in units of the room that there is. `whole`: what the room stands for. */
export function parts(values: number[], whole: number, room: number): { from: number; width: number }[] {
	let from = 0;
	return values.map((value) => {
		const width = whole === 0 ? 0 : (value / whole) * room;
		const part = { from, width };
		from += width;
		return part;
	});
}

/** Round numbers for the axis, from 0 up to the first that holds the largest value. */
export function ticks(largest: number, about = 4): number[] {
	if (largest <= 0) return [0, 1];
	const rough = largest / about;
	const power = 10 ** Math.floor(Math.log10(rough));
	const step = Math.max(1, ([1, 2, 5, 10].find((n) => n * power >= rough) ?? 10) * power);
	return Array.from({ length: Math.ceil(largest / step) + 1 }, (_, i) => i * step);
}
