import { ask, Refused, type ResultOf } from './graphql';
import { coverOf } from './levels';
import { live } from './live.svelte';
import { ClaimNeeds, NeedsChanged } from './operations';
import { aroundOf, placeOf } from './place';
import { onNeeds, type Need } from './scene.svelte';

/** What is picked, until it is claimed. */
export type Line = {
	need: string;
	code: string;
	place: string;
	around: string;
	item: string;
	unit: string;
	quantity: number;
	/** What is free as far as this page knows. */
	free: number;
	/** Somebody else took some of it while it lay here. */
	taken: boolean;
};

type Outcome = ResultOf<typeof ClaimNeeds>['claimNeeds'];
export type Refusal = Extract<Outcome, { __typename: 'ClaimRefused' }>['refusals'][number];
export type Claim = Extract<Outcome, { __typename: 'ClaimAccepted' }>['claim'];

export const MOST = 500;
/** Areas that are listened to for what is in the basket, at most. */
const AREAS = 8;
/** In milliseconds: by then what takes the place of a subscription stands. */
const LINGER = 10_000;
const KEPT = 'salur.basket';

/** What was sent and not answered yet: it is sent again as it was, whatever lies in the basket by then. */
type Sent = { key: string; lines: { needId: string; quantity: number }[]; onConflict: 'REFUSE' | 'TAKE_FREE' };
type Kept = { lines: Line[]; sent: Sent | null; claim: Claim | null; skew: number };

function kept(): Kept {
	const nothing = { lines: [], sent: null, claim: null, skew: 0 };
	try {
		return { ...nothing, ...JSON.parse(localStorage.getItem(KEPT) ?? '{}') };
	} catch {
		return nothing;
	}
}

class Basket {
	lines = $state<Line[]>([]);
	claim = $state.raw<Claim | null>(null);
	refusals = $state.raw<Refusal[]>([]);
	/** What a claim that took what was free did not get. */
	shortfalls = $state.raw<Refusal[]>([]);
	busy = $state(false);
	error = $state.raw<Refused | null>(null);
	#sent = $state.raw<Sent | null>(null);
	/** Who answered last said when; the difference to this machine's clock. */
	skew = $state(0);
	#now = $state(Date.now());
	/** What is listened to, and how that is stopped. */
	#followed = new Map<string, () => void>();

	constructor() {
		const { lines, sent, claim, skew } = kept();
		this.lines = lines;
		this.claim = claim;
		this.#sent = sent;
		this.skew = skew;
		// What is picked is in view, where changes are heard of already; from then on it is listened to wherever one looks.
		onNeeds((needs) => this.#hear(needs));
		this.#follow();
		setInterval(() => this.claim?.status === 'HELD' && (this.#now = Date.now()), 500);
		addEventListener('online', () => this.error?.open && this.#sent && void this.send());
	}

	/** True where nobody knows yet what became of a claim that was sent. */
	get unanswered(): boolean {
		return this.#sent !== null && !this.busy;
	}

	/** Seconds to the end of the hold, by the server's clock; null where nothing is held. */
	get left(): number | null {
		if (this.claim?.status !== 'HELD' || !this.claim.expiresAt) return null;
		return Math.max(0, (Date.parse(this.claim.expiresAt) - this.#now - this.skew) / 1000);
	}

	has(need: string): boolean {
		return this.lines.some((line) => line.need === need);
	}

	add(needs: readonly Need[], item: { key: string; unit: string }, quantities?: Map<string, number>): void {
		for (const need of needs) {
			if (this.has(need.id) || need.unmet === 0 || need.status !== 'VERIFIED' || this.lines.length >= MOST) continue;
			this.lines.push({
				need: need.id,
				code: need.area.code,
				place: placeOf(need.area),
				around: aroundOf(need.area),
				item: item.key,
				unit: item.unit,
				quantity: quantities?.get(need.id) ?? need.unmet,
				free: need.unmet,
				taken: false,
			});
		}
		this.#changed();
	}

	remove(need: string): void {
		this.lines = this.lines.filter((line) => line.need !== need);
		this.#changed();
	}

	clear(): void {
		this.lines = [];
		this.#changed();
	}

	set(need: string, quantity: number): void {
		const line = this.lines.find((line) => line.need === need);
		if (!line) return;
		line.quantity = Math.min(Math.max(1, Math.floor(quantity) || 1), Math.max(line.free, 1));
		this.#changed();
	}

	#changed(): void {
		this.refusals = [];
		this.error = null;
		this.#keep();
	}

	#keep(): void {
		const kept: Kept = { lines: $state.snapshot(this.lines), sent: this.#sent, claim: this.claim, skew: this.skew };
		localStorage.setItem(KEPT, JSON.stringify(kept));
		this.#follow();
	}

	#follow(): void {
		const items = [...new Set(this.lines.map((line) => line.item))].sort().slice(0, 100);
		const areas = coverOf(this.lines.map((line) => line.code), AREAS);
		const wanted = new Map(areas.map((areaCode) => [JSON.stringify([areaCode, items]), { items, areaCode }]));
		for (const [key, stop] of this.#followed) {
			if (wanted.has(key)) continue;
			this.#followed.delete(key);
			setTimeout(stop, LINGER);
		}
		for (const [key, where] of wanted) {
			if (this.#followed.has(key)) continue;
			this.#followed.set(key, live.subscribe(NeedsChanged, { where }, ({ needsChanged }) => this.#hear(needsChanged)));
		}
	}

	#hear(needs: readonly Need[]): void {
		for (const need of needs) {
			const line = this.lines.find((line) => line.need === need.id);
			if (!line || this.busy || line.free === need.unmet) continue;
			line.taken = need.unmet < line.quantity;
			line.free = need.unmet;
		}
	}

	/**
	 * Sends what is in the basket. Pressed twice, or sent again after a lost answer, it is one claim: what was not
	 * answered goes first, under its own key, and what was put into the basket since waits for another press.
	 */
	async send(onConflict: Sent['onConflict'] = 'REFUSE'): Promise<void> {
		if (this.busy || (!this.#sent && this.lines.length === 0)) return;
		this.busy = true;
		this.error = null;
		const sent = (this.#sent ??= {
			key: crypto.randomUUID(),
			lines: this.lines.map((line) => ({ needId: line.need, quantity: line.quantity })),
			onConflict,
		});
		this.#keep();
		try {
			const asked = performance.now();
			const { claimNeeds } = await ask(ClaimNeeds, { input: { idempotencyKey: sent.key, lines: sent.lines, onConflict: sent.onConflict } });
			this.#sent = null;
			if (claimNeeds.__typename === 'ClaimAccepted') {
				const { claim, replayed } = claimNeeds;
				// A fresh claim was made while it was asked for, by the server's clock.
				if (!replayed) this.skew = Date.parse(claim.createdAt) - (Date.now() - (performance.now() - asked) / 2);
				this.claim = claim;
				this.#now = Date.now();
				this.shortfalls = claimNeeds.shortfalls;
				this.refusals = [];
				this.lines = this.lines.filter((line) => !sent.lines.some(({ needId }) => needId === line.need));
			} else {
				this.refusals = claimNeeds.refusals;
				for (const refusal of claimNeeds.refusals) {
					const line = this.lines.find((line) => line.need === refusal.needId);
					if (line) line.free = refusal.free;
				}
			}
		} catch (error) {
			this.error = error instanceof Refused ? error : new Refused('INTERNAL', String(error));
			if (!this.error.open) this.#sent = null;
		}
		this.busy = false;
		this.#keep();
	}

	/** Takes what is free of it: another claim than the one that was refused. */
	takeFree(): Promise<void> {
		return this.send('TAKE_FREE');
	}

	/** Whoever comes next on this machine neither sees the claim nor sends it. */
	forget(): void {
		this.#sent = null;
		this.close();
	}

	/** The claim as it stands after a step, of which one is taken at a time. */
	async step(step: () => Promise<Claim>): Promise<void> {
		if (this.busy) return;
		this.busy = true;
		this.error = null;
		try {
			this.claim = await step();
		} catch (error) {
			this.error = error instanceof Refused ? error : new Refused('INTERNAL', String(error));
		}
		this.busy = false;
		this.#keep();
	}

	/** The claim is done with; what ran out goes back into the basket where it is to be taken again. */
	close(again = false): void {
		const lines = this.claim?.lines ?? [];
		if (again) {
			for (const { need, quantity } of lines) {
				this.lines.push({
					need: need.id,
					code: need.area.code,
					place: placeOf(need.area),
					around: aroundOf(need.area),
					item: need.item.key,
					unit: need.item.unit,
					quantity,
					free: quantity,
					taken: false,
				});
			}
		}
		this.claim = null;
		this.shortfalls = [];
		this.#changed();
	}
}

export const basket = new Basket();
