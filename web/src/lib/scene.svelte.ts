import { ask, Refused, type ResultOf, type VariablesOf } from './graphql';
import { codeAt, drawnAt, type Box, type Level } from './levels';
import { live } from './live.svelte';
import { Breaks, InView, MapCoverage, NeedsChanged, OneArea, Totals, type NeedRow } from './operations';
import { paintOf, type Paint } from './status';
import { view } from './view.svelte';
import { catalogue } from './catalogue.svelte';

export type Need = ResultOf<typeof NeedRow>;
type Where = VariablesOf<typeof InView>['where'];
type Row = ResultOf<typeof MapCoverage>['areaCoverage'][number];
type Sums = ResultOf<typeof Totals>['coverage'];

const PAGE = 50;
/** More areas than this changed at once: reading all of the view anew costs less than one by one. */
const ONE_BY_ONE = 8;

/**
 * What stands on the ground in view: sums by area for the map, the most urgent needs for the list, totals. Shapes come
 * as tiles and never change; all that does is here, and what changes elsewhere arrives without being asked for.
 */
class Scene {
	rows = $state.raw<Map<string, Row>>(new Map());
	/** Of `rows`; they are painted by its breaks. */
	level = $state<Level>('PROVINCE');
	breaks = $state.raw<readonly number[]>([]);
	needs = $state.raw<Need[]>([]);
	total = $state(0);
	totals = $state.raw<Sums | null>(null);
	loading = $state(true);
	error = $state.raw<Refused | null>(null);
	/** Codes whose numbers have just changed, for as long as the map shows it. */
	changed = $state.raw<ReadonlySet<string>>(new Set());
	#after: string | null = null;
	hasMore = $state(false);
	#read: AbortController | null = null;
	#breaks = new Map<string, readonly number[]>();
	#ends: (() => void) | null = null;
	#heard: Need[] = [];
	#timer = 0;

	where(box: Box | null): Where {
		const { status, severity } = view.state;
		const item = catalogue.item;
		return {
			...(item ? { items: [item.key] } : {}),
			...(status.length > 0 ? { service: [...status] } : {}),
			...(severity > 1 ? { minSeverity: severity } : {}),
			...(box ? { bbox: box } : {}),
		};
	}

	paint(row: Row): Paint {
		return paintOf(row.coverage, row.area.households, this.breaks, view.state.show);
	}

	/** Reads all that is in view. A later call takes the place of one that is under way. */
	async load(box: Box, zoom: number): Promise<void> {
		const item = catalogue.item;
		if (!item) return;
		this.#read?.abort();
		const read = new AbortController();
		this.#read = read;
		this.loading = true;
		const level = drawnAt(zoom);
		try {
			const where = this.where(box);
			const [breaks, map, list, totals] = await Promise.all([
				this.#breaksOf(level, item.key),
				ask(MapCoverage, { level, where: this.where(null), view: wider(box) }, read.signal),
				ask(InView, { where, first: PAGE, after: null }, read.signal),
				ask(Totals, { where }, read.signal),
			]);
			if (read.signal.aborted) return;
			this.level = level;
			this.breaks = breaks;
			this.rows = new Map(map.areaCoverage.map((row) => [row.area.code, row]));
			this.needs = list.needs.nodes;
			this.total = list.needs.totalCount;
			this.#after = list.needs.pageInfo.endCursor;
			this.hasMore = list.needs.pageInfo.hasNextPage;
			this.totals = totals.coverage;
			this.error = null;
		} catch (error) {
			if (read.signal.aborted) return;
			this.error = error instanceof Refused ? error : new Refused('INTERNAL', String(error));
		}
		if (this.#read === read) this.loading = false;
	}

	async more(box: Box): Promise<void> {
		const list = await ask(InView, { where: this.where(box), first: PAGE, after: this.#after });
		const known = new Set(this.needs.map((need) => need.id));
		this.needs = [...this.needs, ...list.needs.nodes.filter((need) => !known.has(need.id))];
		this.total = list.needs.totalCount;
		this.#after = list.needs.pageInfo.endCursor;
		this.hasMore = list.needs.pageInfo.hasNextPage;
	}

	/** Follows the item, wherever its needs change; `again` reads anew what is in view. */
	follow(item: string, again: () => void): () => void {
		this.#ends?.();
		const box = () => view.box;
		const end = live.subscribe(
			NeedsChanged,
			{ where: { items: [item] } },
			({ needsChanged }) => {
				this.#heard.push(...needsChanged);
				listeners.forEach((listen) => listen(needsChanged));
				this.#timer ||= setTimeout(() => {
					this.#timer = 0;
					const heard = this.#heard.splice(0);
					void this.#take(heard, box(), again);
				}, 120) as unknown as number;
			},
			again,
		);
		this.#ends = end;
		return end;
	}

	async #take(heard: Need[], box: Box | null, again: () => void): Promise<void> {
		const newest = new Map(heard.map((need) => [need.id, need]));
		this.needs = this.needs.map((need) => newest.get(need.id) ?? need);
		const codes = new Set(heard.map((need) => codeAt(need.area.code, this.level)));
		const shown = [...codes].filter((code) => this.rows.has(code));
		if (shown.length === 0) return;
		if (shown.length > ONE_BY_ONE) return again();
		const where = this.where(null);
		try {
			const answers = await Promise.all(shown.map((code) => ask(OneArea, { code, where })));
			const rows = new Map(this.rows);
			for (const { area } of answers) {
				if (area) rows.set(area.code, { area, coverage: area.coverage });
			}
			this.rows = rows;
			this.changed = new Set(shown);
			if (box) this.totals = (await ask(Totals, { where: this.where(box) })).coverage;
		} catch {
			// What could not be read is read with the next move, and the lost connection is told of elsewhere.
		}
	}

	async #breaksOf(level: Level, item: string): Promise<readonly number[]> {
		const key = `${level} ${item}`;
		const known = this.#breaks.get(key);
		if (known) return known;
		const { coverageBreaks } = await ask(Breaks, { level, item });
		this.#breaks.set(key, coverageBreaks);
		return coverageBreaks;
	}
}

/** Who else wants to hear of needs that changed. */
const listeners = new Set<(needs: Need[]) => void>();
export function onNeeds(listen: (needs: Need[]) => void): () => void {
	listeners.add(listen);
	return () => listeners.delete(listen);
}

/** A quarter more on each side, so that a small step shows no bare border. */
function wider(box: Box): Box {
	const [x, y] = [(box.east - box.west) / 4, (box.north - box.south) / 4];
	return {
		west: Math.max(box.west - x, -180),
		south: Math.max(box.south - y, -90),
		east: Math.min(box.east + x, 180),
		north: Math.min(box.north + y, 90),
	};
}

export const scene = new Scene();
