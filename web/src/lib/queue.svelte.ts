/** The findings that an auditor goes through, page by page, as the filter takes them in. */
import { Findings, type FindingRow } from './audit';
import { filter } from './audit-filter.svelte';
import { ask, Refused, type ResultOf } from './graphql';

export type Finding = ResultOf<typeof FindingRow>;

const PAGE = 50;

class Queue {
	rows = $state.raw<Finding[]>([]);
	total = $state(0);
	hasMore = $state(false);
	loading = $state(true);
	error = $state.raw<Refused | null>(null);
	#after: string | null = null;
	#read: AbortController | null = null;

	async load(): Promise<void> {
		this.#read?.abort();
		const read = new AbortController();
		this.#read = read;
		this.loading = true;
		try {
			const { overlaps } = await ask(Findings, { ...filter.variables, first: PAGE, after: null }, read.signal);
			this.rows = overlaps.nodes;
			this.#took(overlaps);
			this.error = null;
		} catch (fault) {
			if (read.signal.aborted) return;
			this.error = fault instanceof Refused ? fault : new Refused('INTERNAL', String(fault));
		}
		if (this.#read === read) this.loading = false;
	}

	async more(): Promise<void> {
		const { overlaps } = await ask(Findings, { ...filter.variables, first: PAGE, after: this.#after });
		const known = new Set(this.rows.map((row) => row.id));
		this.rows = [...this.rows, ...overlaps.nodes.filter((row) => !known.has(row.id))];
		this.#took(overlaps);
	}

	#took(page: ResultOf<typeof Findings>['overlaps']): void {
		this.total = page.totalCount;
		this.hasMore = page.pageInfo.hasNextPage;
		this.#after = page.pageInfo.endCursor;
	}

	/** A finding as it stands now. It stays in its place until the list is read anew, so that nothing jumps away. */
	put(now: Finding): void {
		this.rows = this.rows.map((row) => (row.id === now.id ? now : row));
	}

	/** The neighbour of a finding in the list. */
	beside(id: string, step: 1 | -1): Finding | undefined {
		const at = this.rows.findIndex((row) => row.id === id);
		return at < 0 ? this.rows[step === 1 ? 0 : this.rows.length - 1] : this.rows[at + step];
	}

	/** The next one that nobody has decided, after this and from the top again. */
	undecided(after: string): Finding | undefined {
		const at = this.rows.findIndex((row) => row.id === after);
		return [...this.rows.slice(at + 1), ...this.rows.slice(0, Math.max(at, 0))].find((row) => row.status === 'SUSPECTED');
	}
}

export const queue = new Queue();
