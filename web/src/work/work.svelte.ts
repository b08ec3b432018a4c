import { catalogue } from '../lib/catalogue.svelte';
import { ask, Refused } from '../lib/graphql';
import { me } from '../lib/me.svelte';
import { see, seen } from './keep';
import { MyClaims, MyTrips, OneClaim, OneTrip, TripsOfClaim } from './operations';
import { OPEN, type Carried, type Claim, type Trip } from './trips';

const PAGE = 10;
/** Pages of open trips that are read at once: a driver without a signal has to have them all. */
const PAGES = 20;

type Kept = { claims: Claim[]; open: Trip[]; past: Trip[]; carried: Record<string, Carried[]>; programs: typeof catalogue.programs };

/** Claims and trips of one's organisation: as the server has them, or as they were last seen. */
class Work {
	claims = $state.raw<Claim[]>([]);
	/** Planned and on their way; all of them. */
	open = $state.raw<Trip[]>([]);
	/** Handed over or called off, the latest first, page by page. */
	past = $state.raw<Trip[]>([]);
	/** The trips of claims that were opened, by claim. */
	carried = $state.raw<Record<string, Carried[]>>({});
	hasMoreClaims = $state(false);
	hasMoreTrips = $state(false);
	loading = $state(true);
	error = $state.raw<Refused | null>(null);
	/** When what is shown was read, where it could not be read just now. */
	asOf = $state<string | null>(null);

	claim(id: string): Claim | undefined {
		return this.claims.find((claim) => claim.id === id);
	}

	trip(id: string): Trip | undefined {
		return [...this.open, ...this.past].find((trip) => trip.id === id);
	}

	/** All that the overview shows. */
	load(): Promise<void> {
		return this.#try(async () => {
			const [claims, open, past] = await Promise.all([claimsAfter(null), openTrips(), pastAfter(null)]);
			const rest = this.claims.filter((known) => !claims.some(({ id }) => id === known.id));
			this.claims = [...claims, ...rest.filter((known) => claims.length > 0 && older(known.id, claims.at(-1)!.id))];
			this.open = open;
			this.past = past;
			this.hasMoreClaims = claims.length === PAGE;
			this.hasMoreTrips = past.length === PAGE;
		});
	}

	moreClaims(): Promise<void> {
		return this.#try(async () => {
			const more = await claimsAfter(this.claims.at(-1)?.id ?? null);
			this.claims = [...this.claims, ...more];
			this.hasMoreClaims = more.length === PAGE;
		});
	}

	moreTrips(): Promise<void> {
		return this.#try(async () => {
			const more = await pastAfter(this.past.at(-1)?.id ?? null);
			this.past = [...this.past, ...more];
			this.hasMoreTrips = more.length === PAGE;
		});
	}

	/** One claim anew, with its trips; one that an address names may not be on the page yet. */
	openClaim(id: string): Promise<void> {
		return this.#try(async () => {
			const [{ claim }, trips] = await Promise.all([ask(OneClaim, { id }), ask(TripsOfClaim, { id })]);
			if (!claim) return;
			this.carried = { ...this.carried, [id]: trips.claim?.deliveries ?? [] };
			this.claims = this.claim(id) ? this.claims.map((known) => (known.id === id ? claim : known)) : [...this.claims, claim].toSorted((a, b) => (older(a.id, b.id) ? 1 : -1));
		});
	}

	openTrip(id: string): Promise<void> {
		return this.#try(async () => {
			const { delivery } = await ask(OneTrip, { id });
			if (!delivery) return;
			const others = (trips: Trip[]) => trips.filter((trip) => trip.id !== id);
			const isOpen = OPEN.includes(delivery.status);
			this.open = isOpen ? [...others(this.open), delivery] : others(this.open);
			this.past = isOpen ? others(this.past) : [delivery, ...others(this.past)];
		});
	}

	async #try(read: () => Promise<void>): Promise<void> {
		this.loading = true;
		try {
			await read();
			this.error = null;
			this.asOf = null;
			const { claims, open, past, carried } = this;
			const kept: Kept = { claims, open, past, carried, programs: catalogue.programs };
			// A browser that keeps nothing still shows all while there is a signal.
			if (me.person) void see(me.person.email, 'work', kept).catch(() => {});
		} catch (error) {
			const refused = error instanceof Refused ? error : new Refused('INTERNAL', String(error));
			const kept = refused.open && me.person ? await seen<Kept>(me.person.email, 'work').catch(() => null) : null;
			if (kept) {
				({ claims: this.claims, open: this.open, past: this.past, carried: this.carried } = kept.data);
				// Items keep their names without a signal.
				if (catalogue.programs.length === 0) catalogue.programs = kept.data.programs;
				this.asOf = kept.at;
			} else this.error = refused;
		}
		this.loading = false;
	}
}

const numberOf = (id: string) => Number(id.slice(id.lastIndexOf('-') + 1));
const older = (one: string, other: string) => numberOf(one) < numberOf(other);

async function claimsAfter(after: string | null): Promise<Claim[]> {
	return (await ask(MyClaims, { first: PAGE, after })).viewer?.claims ?? [];
}

async function pastAfter(after: string | null): Promise<Trip[]> {
	const status = ['DELIVERED', 'ACKNOWLEDGED', 'DISPUTED', 'CANCELLED'] as const;
	return (await ask(MyTrips, { status: [...status], first: PAGE, after })).viewer?.deliveries ?? [];
}

async function openTrips(): Promise<Trip[]> {
	const trips: Trip[] = [];
	for (let page = 0; page < PAGES; page++) {
		const more = (await ask(MyTrips, { status: [...OPEN], first: PAGE, after: trips.at(-1)?.id ?? null })).viewer?.deliveries ?? [];
		trips.push(...more);
		if (more.length < PAGE) break;
	}
	return trips;
}

export const work = new Work();
