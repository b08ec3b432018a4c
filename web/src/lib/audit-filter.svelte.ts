/** What the audit screens look at. All of it stands in the address's fragment, beside what the map keeps there. */
import type { VariablesOf } from './graphql';
import type { Findings } from './audit';
import { LEVELS, type Level } from './levels';

export type Kind = NonNullable<VariablesOf<typeof Findings>['kinds']>[number];
export type Status = NonNullable<VariablesOf<typeof Findings>['status']>[number];

export const KINDS: readonly Kind[] = ['OVER_SERVED', 'SAME_AREA_SAME_ITEM', 'EXCLUSIVE_PROGRAMS'];
export const STATUSES: readonly Status[] = ['SUSPECTED', 'CONFIRMED', 'PERMITTED'];

export type Chosen = {
	/** Null: all. */
	kind: Kind | null;
	/** `ALL`, or one; what waits for a decision where the address says nothing. */
	status: Status | 'ALL';
	area: string | null;
	item: string | null;
	/** By which areas charts and lists go; each screen has its own where the address says nothing. */
	level: Level | null;
	/** Whose history is open. */
	record: string | null;
};

/** What cannot be read is as if it were not there. */
export function readChosen(fragment: string): Chosen {
	const given = new URLSearchParams(fragment.replace(/^#/, ''));
	const upper = (name: string) => given.get(name)?.toUpperCase();
	const area = given.get('within');
	const record = given.get('record');
	const status = upper('decision');
	return {
		kind: KINDS.find((kind) => kind === upper('kind')) ?? null,
		status: status === 'ALL' ? 'ALL' : (STATUSES.find((known) => known === status) ?? 'SUSPECTED'),
		area: area && /^\d{2}(\.\d{2}){0,2}(\.\d{4}(\.\d{3}){0,2})?$/.test(area) ? area : null,
		item: given.get('item'),
		level: LEVELS.find((level) => level === upper('level')) ?? null,
		record: record && /^[a-z]+(-[a-z]+)*-\d{1,18}$/.test(record) ? record : null,
	};
}

/** The fragment with the choice in it; what the map keeps there stays. */
export function writeChosen(fragment: string, chosen: Chosen): string {
	const parts = new URLSearchParams(fragment.replace(/^#/, ''));
	const say = (name: string, value: string | null) => (value ? parts.set(name, value) : parts.delete(name));
	say('kind', chosen.kind?.toLowerCase() ?? null);
	say('decision', chosen.status === 'SUSPECTED' ? null : chosen.status.toLowerCase());
	say('within', chosen.area);
	say('item', chosen.item);
	say('level', chosen.level?.toLowerCase() ?? null);
	say('record', chosen.record);
	return parts.toString().replaceAll('%2F', '/');
}

class Filter {
	chosen = $state.raw<Chosen>(readChosen(location.hash));

	constructor() {
		addEventListener('popstate', () => this.read());
	}

	read(): void {
		this.chosen = readChosen(location.hash);
	}

	set(part: Partial<Chosen>): void {
		this.chosen = { ...this.chosen, ...part };
		const fragment = writeChosen(location.hash, this.chosen);
		history.pushState(null, '', `${location.pathname}${fragment ? `#${fragment}` : ''}`);
	}

	/** True where more is left out than what is decided already. */
	get isNarrow(): boolean {
		const { kind, status, area } = this.chosen;
		return kind !== null || status !== 'SUSPECTED' || area !== null;
	}

	clear(): void {
		this.set({ kind: null, status: 'SUSPECTED', area: null });
	}

	/** As the API takes it. */
	get variables() {
		const { kind, status, area } = this.chosen;
		return { areaCode: area, kinds: kind ? [kind] : null, status: status === 'ALL' ? null : [status] };
	}
}

export const filter = new Filter();
