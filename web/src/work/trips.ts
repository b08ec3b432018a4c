/** Claims and trips as people work with them: what is left to plan, which stops a trip makes, what a sheet is called. */
import type { ResultOf } from '../lib/graphql';
import { codeAt } from '../lib/levels';
import type { Status } from '../lib/status';
import type { TripsOfClaim, WorkClaim, WorkTrip } from './operations';

export type Claim = ResultOf<typeof WorkClaim>;
export type Line = Claim['lines'][number];
export type Trip = ResultOf<typeof WorkTrip>;
export type Stop = Trip['lines'][number];
export type TripStatus = Trip['status'];
/** A trip as its claim's report needs it. */
export type Carried = NonNullable<ResultOf<typeof TripsOfClaim>['claim']>['deliveries'][number];

export const OPEN: readonly TripStatus[] = ['SCHEDULED', 'IN_TRANSIT'];

/** Of a line, what no trip carries yet. Only what was confirmed may be planned. */
export function leftToPlan(line: Pick<Line, 'status' | 'quantity' | 'scheduled' | 'delivered'>): number {
	return line.status === 'CONFIRMED' ? line.quantity - line.scheduled - line.delivered : 0;
}

export const areaOf = (stop: Stop) => stop.claimLine.need.area;

/** The stops of trips, by place. */
export function stopsOf(...trips: readonly Trip[]): Stop[] {
	return trips.flatMap((trip) => trip.lines).toSorted((a, b) => areaOf(a).code.localeCompare(areaOf(b).code));
}

/** By the place that a value lies in, in the order of places. */
export function byPlace<T>(values: readonly T[], code: (value: T) => string, level: 'RW' | 'VILLAGE'): [string, T[]][] {
	const places = new Map<string, T[]>();
	for (const value of values) {
		const place = codeAt(code(value), level);
		places.set(place, [...(places.get(place) ?? []), value]);
	}
	return [...places].toSorted(([a], [b]) => a.localeCompare(b));
}

export type Load = { item: string; unit: string; quantity: number };
type Goods = { item: { key: string; unit: string } };

/** What there is of each item. */
export function loadOf(goods: readonly { need: Goods; quantity: number }[]): Load[] {
	const loads = new Map<string, Load>();
	for (const { need, quantity } of goods) {
		const load = loads.get(need.item.key) ?? { item: need.item.key, unit: need.item.unit, quantity: 0 };
		load.quantity += quantity;
		loads.set(need.item.key, load);
	}
	return [...loads.values()];
}

export const goodsOf = (stops: readonly Stop[]) => stops.map(({ claimLine, quantity }) => ({ need: claimLine.need, quantity }));

/** Where a line stands, in the map's four states: nothing planned, on a trip, promised in full, handed over. */
export function statusOf(line: Pick<Line, 'quantity' | 'scheduled' | 'delivered'>): Status {
	if (line.delivered >= line.quantity) return 'DELIVERED';
	if (line.scheduled + line.delivered >= line.quantity) return 'COVERED';
	return line.scheduled + line.delivered > 0 ? 'PARTIAL' : 'UNSERVED';
}

const ORDER: readonly Status[] = ['UNSERVED', 'PARTIAL', 'COVERED', 'DELIVERED'];

/** An area shows what is least advanced in it. */
export function least(one: Status | undefined, other: Status): Status {
	return one !== undefined && ORDER.indexOf(one) < ORDER.indexOf(other) ? one : other;
}

/** The number of an id: `delivery-12` is 12. */
export function numberOf(id: string): string {
	return id.slice(id.lastIndexOf('-') + 1);
}

/** A hand-over sheet's number: one trip gives one sheet to each RW, so trip and RW name it. */
export function sheetNumber(trip: string, place: string, year: string): string {
	return `${numberOf(trip).padStart(5, '0')}/${place}/BAST/${year}`;
}

export type Report = { line: Line; accepted: number; rejected: number };

/** What became of each line of a claim that still stands or brought something, with the neighbourhood's answers. */
export function reportOf(claim: Claim, trips: readonly Carried[]): Report[] {
	const rows = new Map<string, Report>();
	for (const line of claim.lines) {
		const gone = line.status === 'RELEASED' || line.status === 'EXPIRED';
		if (!gone || line.delivered > 0) rows.set(line.id, { line, accepted: 0, rejected: 0 });
	}
	for (const { claimLine, accepted, rejected } of trips.flatMap((trip) => trip.lines)) {
		const row = rows.get(claimLine.id);
		if (!row) continue;
		row.accepted += accepted ?? 0;
		row.rejected += rejected ?? 0;
	}
	return [...rows.values()].toSorted((a, b) => a.line.need.area.code.localeCompare(b.line.need.area.code));
}

/** A table as spreadsheets open it; a text that they would take for a formula is kept a text. */
export function csv(rows: readonly (readonly (string | number)[])[]): string {
	const cell = (value: string | number) => {
		const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
		return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
	};
	return `\uFEFF${rows.map((row) => row.map(cell).join(',')).join('\r\n')}\r\n`;
}
