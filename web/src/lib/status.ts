/** What is told apart on the map, and how it is drawn. */
export type Status = 'UNSERVED' | 'PARTIAL' | 'COVERED' | 'DELIVERED';
export const STATUSES: readonly Status[] = ['UNSERVED', 'PARTIAL', 'COVERED', 'DELIVERED'];

export type Sums = {
	needCount: number;
	unservedCount: number;
	required: number | null;
	allocated: number | null;
	delivered: number | null;
	unmet: number | null;
};

/** Null where nothing is asked for, or where the parts do not add up to one number. */
export function statusOf(sums: Sums): Status | null {
	const { required, allocated, delivered } = sums;
	if (sums.needCount === 0 || required === null || allocated === null || delivered === null) return null;
	if (allocated === 0) return required === 0 ? 'DELIVERED' : 'UNSERVED';
	if (allocated < required) return 'PARTIAL';
	return delivered < required ? 'COVERED' : 'DELIVERED';
}

/** Unmet per 100 households; null where nobody knows how many live there. */
export function lack(sums: Sums, households: number | null): number | null {
	if (sums.unmet === null || !households) return null;
	return (sums.unmet * 100) / households;
}

/** The number of breaks that the value reaches: its class. */
export function classOf(value: number, breaks: readonly number[]): number {
	return breaks.filter((border) => value >= border).length;
}

/** ColorBrewer's YlGnBu: told apart with every kind of colour vision, and in grey. */
export const RAMP = ['#ffffcc', '#a1dab4', '#41b6c4', '#2c7fb8', '#253494'] as const;
/** Okabe and Ito's colours, for the map of states. */
export const STATUS_COLOURS: Record<Status, string> = {
	UNSERVED: '#d55e00',
	PARTIAL: '#f0c05a',
	COVERED: '#8fc7e8',
	DELIVERED: '#e3e9ea',
};
export const SERVED = '#e3e9ea';
export const NOTHING = '#f7f6f1';

/** A ramp of as many colours as there are classes: few classes take the ends, so that dark always means much. */
export function ramp(classes: number): string[] {
	if (classes <= 1) return [RAMP[2]];
	return Array.from({ length: classes }, (_, i) => RAMP[Math.round((i * (RAMP.length - 1)) / (classes - 1))] ?? RAMP[0]);
}

export type Show = 'unmet' | 'status';

/** What the map sets on a feature: a colour, and whether it is hatched or dotted. */
export type Paint = { colour: string; hatch: number; dots: number };

export function paintOf(sums: Sums, households: number | null, breaks: readonly number[], show: Show): Paint {
	const status = statusOf(sums);
	const hatch = status === 'PARTIAL' ? 1 : 0;
	const dots = status === 'COVERED' ? 1 : 0;
	if (status === null) return { colour: NOTHING, hatch, dots };
	if (show === 'status') return { colour: STATUS_COLOURS[status], hatch, dots };
	if (status === 'COVERED' || status === 'DELIVERED') return { colour: SERVED, hatch, dots };
	const value = lack(sums, households);
	if (value === null) return { colour: NOTHING, hatch, dots };
	return { colour: ramp(breaks.length + 1)[classOf(value, breaks)] ?? NOTHING, hatch, dots };
}
