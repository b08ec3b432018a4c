import { ask, Refused, type ResultOf, type VariablesOf } from './graphql';
import { drawnAt, type Box, type Level } from './levels';
import { live } from './live.svelte';
import { Breaks, InView, MapChanged, MapCoverage, NeedsChanged, Totals, type NeedRow } from './operations';
import { Relay } from './relay';
import { paintOf, type Paint } from './status';
import { view } from './view.svelte';
import { catalogue } from './catalogue.svelte';

export type Need = ResultOf<typeof NeedRow>;
type Where = VariablesOf<typeof InView>['where'];
type Row = ResultOf<typeof MapCoverage>['areaCoverage'][number];
type Sums = ResultOf<typeof Totals>['coverage'];

const PAGE = 50;
/** Changes that come within so many milliseconds are shown together. */
const BUNCH = 120;
/** So long, in milliseconds, reading waits for an open connection to say that it follows. */
const PATIENCE = 500;

/**
 * What stands on the ground in view: sums by area for the map, the most urgent needs for the list, totals. Shapes come
 * as tiles and never change; all that does is here, and what changes elsewhere is pushed, as it then stands.
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
	#relay = new Relay();
	/** What was asked for last, and whether its reading has begun. */
	#asked: { box: Box; zoom: number; key: string; begun: boolean } | null = null;
	/** Which sums `rows` are: those of areas of one level, under one filter. */
	#kind = '';
	/** What was pushed since the reading under way began: at least as new as what is read. */
	#ahead: { kind: string; rows: Map<string, Row> } | null = null;
	#news = new Map<string, Row>();
	#heard = new Map<string, Need>();
	#timer = 0;
	#counting = false;
	#recount = false;

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

	/** Reads all that is in view, and follows it. A later call takes the place of one that is under way. */
	async load(box: Box, zoom: number): Promise<void> {
		const item = catalogue.item;
		if (!item) return;
		this.#read?.abort();
		const read = new AbortController();
		this.#read = read;
		this.loading = true;
		const level = drawnAt(zoom);
		const sought = { level, where: this.where(null), view: wider(box) };
		const kind = JSON.stringify([level, sought.where]);
		const key = JSON.stringify(sought);
		this.#asked = { box, zoom, key, begun: false };
		const stands = this.#follow(key, kind, sought, { items: [item.key], bbox: box });
		// Where there is no connection yet, nobody waits for one: what was read before it stands is read again then.
		if (live.open) await Promise.race([stands, new Promise((go) => setTimeout(go, PATIENCE))]);
		if (read.signal.aborted) return;
		this.#show();
		this.#asked.begun = true;
		const ahead = { kind, rows: new Map<string, Row>() };
		this.#ahead = ahead;
		try {
			const where = this.where(box);
			const [breaks, map, list, totals] = await Promise.all([
				this.#breaksOf(level, item.key),
				ask(MapCoverage, sought, read.signal),
				ask(InView, { where, first: PAGE, after: null }, read.signal),
				ask(Totals, { where }, read.signal),
			]);
			if (read.signal.aborted) return;
			this.level = level;
			this.breaks = breaks;
			this.rows = new Map(map.areaCoverage.map((row) => [row.area.code, ahead.rows.get(row.area.code) ?? row]));
			this.#kind = kind;
			this.needs = list.needs.nodes;
			this.total = list.needs.totalCount;
			this.#after = list.needs.pageInfo.endCursor;
			this.hasMore = list.needs.pageInfo.hasNextPage;
			this.totals = totals.coverage;
			this.error = null;
			if (ahead.rows.size > 0) void this.#count();
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

	/** Nobody looks any more. */
	leave(): void {
		this.#relay.end();
	}

	#follow(key: string, kind: string, map: VariablesOf<typeof MapChanged>, list: Where): Promise<void> {
		return this.#relay.follow(key, (stands) => {
			const again = () => this.#asked?.key === key && this.#asked.begun && void this.load(this.#asked.box, this.#asked.zoom);
			// The list first: when the map's stands, so does what was sent before it.
			const ends = [
				live.subscribe(NeedsChanged, { where: list }, ({ needsChanged }) => this.#hear(needsChanged), again),
				live.subscribe(MapChanged, map, ({ areaCoverageChanged: rows }) => {
					if (rows.length > 0) return this.#take(kind, rows);
					stands();
					again();
				}),
			];
			return () => ends.forEach((end) => end());
		});
	}

	#hear(needs: readonly Need[]): void {
		needs.forEach((need) => this.#heard.set(need.id, need));
		listeners.forEach((listen) => listen(needs));
		this.#soon();
	}

	#take(kind: string, rows: readonly Row[]): void {
		for (const into of [this.#ahead?.kind === kind && this.#ahead.rows, this.#kind === kind && this.#news]) {
			if (into) rows.forEach((row) => into.set(row.area.code, row));
		}
		this.#soon();
	}

	#soon(): void {
		this.#timer ||= setTimeout(() => this.#show() && void this.#count(), BUNCH) as unknown as number;
	}

	/** Shows what has come, and says whether sums have. */
	#show(): boolean {
		clearTimeout(this.#timer);
		this.#timer = 0;
		const [news, heard] = [this.#news, this.#heard];
		this.#news = new Map();
		this.#heard = new Map();
		if (heard.size > 0) this.needs = this.needs.map((need) => heard.get(need.id) ?? need);
		const shown = [...news.keys()].filter((code) => this.rows.has(code));
		if (shown.length === 0) return false;
		this.rows = new Map([...this.rows].map(([code, row]) => [code, news.get(code) ?? row]));
		this.changed = new Set(shown);
		return true;
	}

	/** Counts what is in view anew, once however often it is called meanwhile. */
	async #count(): Promise<void> {
		this.#recount = true;
		if (this.#counting) return;
		this.#counting = true;
		while (this.#recount && this.#asked) {
			this.#recount = false;
			const read = this.#read;
			try {
				const { coverage } = await ask(Totals, { where: this.where(this.#asked.box) });
				if (read === this.#read) this.totals = coverage;
			} catch {
				// What could not be read is read with the next move, and the lost connection is told of elsewhere.
			}
		}
		this.#counting = false;
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

/** Who else wants to hear of needs in view that changed. */
const listeners = new Set<(needs: readonly Need[]) => void>();
export function onNeeds(listen: (needs: readonly Need[]) => void): () => void {
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
