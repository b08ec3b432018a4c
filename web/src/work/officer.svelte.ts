import { catalogue } from '../lib/catalogue.svelte';
import { ask, Refused, type ResultOf } from '../lib/graphql';
import { i18n } from '../lib/i18n.svelte';
import { me } from '../lib/me.svelte';
import { see, seen } from './keep';
import { Incoming, MyArea } from './operations';

type Viewer = NonNullable<ResultOf<typeof Incoming>['viewer']>;
export type Arrival = Viewer['incoming'][number];
export type Place = NonNullable<ResultOf<typeof MyArea>['area']>;
export type Reported = ResultOf<typeof MyArea>['needs'];

const PAGE = 15;

type Kept = { place: Place | null; reported: Reported; arrivals: Arrival[]; programs: typeof catalogue.programs };

/** What comes to the officer's area, and what was reported there. */
class Officer {
	place = $state.raw<Place | null>(null);
	reported = $state.raw<Reported>({ totalCount: 0, nodes: [] });
	arrivals = $state.raw<Arrival[]>([]);
	hasMore = $state(false);
	loading = $state(true);
	error = $state.raw<Refused | null>(null);
	asOf = $state<string | null>(null);

	async load(): Promise<void> {
		this.loading = true;
		const who = me.person?.email ?? '';
		try {
			const { viewer } = await ask(Incoming, { first: PAGE, after: null });
			const code = viewer?.areaCode;
			const area = code ? await ask(MyArea, { code, locale: i18n.locale }) : null;
			this.arrivals = viewer?.incoming.map((arrival) => within(arrival, code)) ?? [];
			this.hasMore = viewer?.incoming.length === PAGE;
			this.place = area?.area ?? null;
			this.reported = area?.needs ?? { totalCount: 0, nodes: [] };
			this.error = null;
			this.asOf = null;
			const kept: Kept = { place: this.place, reported: this.reported, arrivals: this.arrivals, programs: catalogue.programs };
			void see(who, 'area', kept).catch(() => {});
		} catch (error) {
			const refused = error instanceof Refused ? error : new Refused('INTERNAL', String(error));
			const kept = refused.open ? await seen<Kept>(who, 'area').catch(() => null) : null;
			if (kept) {
				({ place: this.place, reported: this.reported, arrivals: this.arrivals } = kept.data);
				if (catalogue.programs.length === 0) catalogue.programs = kept.data.programs;
				this.asOf = kept.at;
			} else this.error = refused;
		}
		this.loading = false;
	}

	async more(): Promise<void> {
		const { viewer } = await ask(Incoming, { first: PAGE, after: this.arrivals.at(-1)?.id ?? null });
		const more = viewer?.incoming.map((arrival) => within(arrival, viewer.areaCode)) ?? [];
		this.arrivals = [...this.arrivals, ...more];
		this.hasMore = more.length === PAGE;
	}
}

/** A trip may serve others, too: only lines in the officer's own area are theirs to answer for. */
function within(arrival: Arrival, code: string | null | undefined): Arrival {
	const mine = (area: string) => area === code || area.startsWith(`${code}.`);
	const lines = arrival.lines.filter(({ claimLine }) => mine(claimLine.need.area.code));
	return { ...arrival, lines: lines.toSorted((a, b) => a.claimLine.need.area.code.localeCompare(b.claimLine.need.area.code)) };
}

export const officer = new Officer();
