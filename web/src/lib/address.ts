/** The whole state of the map stands in the address's fragment, so that a link shows what its sender saw. */
import { STATUSES, type Show, type Status } from './status';

export type Place = { zoom: number; lat: number; lon: number };

export type State = {
	/** Null: the whole ground. */
	place: Place | null;
	item: string | null;
	/** Empty: all. */
	status: Status[];
	/** 1 takes in all. */
	severity: number;
	show: Show;
	/** The area that is open beside the map. */
	area: string | null;
};

export const START: State = { place: null, item: null, status: [], severity: 1, show: 'unmet', area: null };

/** What cannot be read is as if it were not there: an old link still opens. */
export function read(fragment: string): State {
	const given = new URLSearchParams(fragment.replace(/^#/, ''));
	const [zoom, lat, lon] = (given.get('map') ?? '').split('/').map(Number);
	const sound =
		Number.isFinite(zoom) && Number.isFinite(lat) && Number.isFinite(lon) && Math.abs(lat!) <= 85 && Math.abs(lon!) <= 180;
	const severity = Number(given.get('need') ?? 1);
	const area = given.get('area');
	return {
		place: sound ? { zoom: Math.min(Math.max(zoom!, 0), 20), lat: lat!, lon: lon! } : null,
		item: given.get('item'),
		status: STATUSES.filter((status) => given.get('status')?.toUpperCase().split(',').includes(status)),
		severity: Number.isInteger(severity) && severity >= 1 && severity <= 5 ? severity : 1,
		show: given.get('show') === 'status' ? 'status' : 'unmet',
		area: area && /^\d{2}(\.\d{2}){0,2}(\.\d{4}(\.\d{3}){0,2})?$/.test(area) ? area : null,
	};
}

/** Only what differs from the start is said. */
export function write(state: State): string {
	const parts: string[] = [];
	if (state.place) {
		const { zoom, lat, lon } = state.place;
		parts.push(`map=${round(zoom, 2)}/${round(lat, 5)}/${round(lon, 5)}`);
	}
	if (state.item) parts.push(`item=${encodeURIComponent(state.item)}`);
	if (state.status.length > 0 && state.status.length < STATUSES.length) {
		parts.push(`status=${state.status.join(',').toLowerCase()}`);
	}
	if (state.severity > 1) parts.push(`need=${state.severity}`);
	if (state.show !== START.show) parts.push(`show=${state.show}`);
	if (state.area) parts.push(`area=${state.area}`);
	return parts.join('&');
}

function round(value: number, digits: number): number {
	return Number(value.toFixed(digits));
}
