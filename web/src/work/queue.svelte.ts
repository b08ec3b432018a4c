import { formats } from '../lib/format';
import { ask, Refused, type VariablesOf } from '../lib/graphql';
import { me } from '../lib/me.svelte';
import { session } from '../lib/session.svelte';
import { dropStep, putStep, steps } from './keep';
import { AnswerTrip, DispatchTrip, RecordTrip, TripStatus } from './operations';

export type AnswerLine = VariablesOf<typeof AnswerTrip>['lines'][number];

/** A step that a person took, perhaps without a signal. It leads where the trip may stand already, so it may be sent again. */
export type Step = {
	id: string;
	/** Who took it: nobody else's name is put to it. */
	who: string;
	/** HAND_OVER by the giver, ANSWER by the neighbourhood. */
	kind: 'HAND_OVER' | 'ANSWER';
	trip: string;
	/** What it is about, in the words that stood on the screen. */
	about: string;
	note: string | null;
	lines: AnswerLine[];
	/** When it was taken, by the phone's clock. */
	at: string;
	state: 'WAITING' | 'ACCEPTED' | 'REFUSED';
	/** The code of why it was not sent or not taken; of a step that came too late, where the trip stands. */
	why: string | null;
	/** The server's own words for it. */
	said: string | null;
	answeredAt: string | null;
};

/** Codes after which the same step may do better later; all others are the server's answer. */
const LATER = new Set(['OFFLINE', 'UNAVAILABLE', 'RATE_LIMITED', 'INTERNAL', 'UNAUTHENTICATED']);
const AGAIN = 20_000;
/** What is sent later than this carries the hour at which it was taken. */
const LATE = 120_000;

class Queue {
	steps = $state.raw<Step[]>([]);
	sending = $state(false);
	/** False where this browser keeps nothing, as some do in private windows. */
	keeps = $state(true);
	#loaded: Promise<void> | null = null;
	#timer = 0;
	#done = new Set<() => void>();

	/** Steps without an answer, of whomever. */
	get waiting(): Step[] {
		return this.steps.filter((step) => step.state === 'WAITING');
	}

	/** True where the step was taken by who is signed in. */
	mine(step: Step): boolean {
		return step.who === me.person?.email;
	}

	of(trip: string): Step | undefined {
		return this.steps.findLast((step) => step.trip === trip && this.mine(step));
	}

	/** Is told whenever steps have been answered. */
	onAnswered(listen: () => void): () => void {
		this.#done.add(listen);
		return () => this.#done.delete(listen);
	}

	/** Reads what an earlier visit left behind, and sends it whenever there may be a signal. */
	start(): Promise<void> {
		this.#loaded ??= this.#begin();
		return this.#loaded;
	}

	async #begin(): Promise<void> {
		await this.#read();
		addEventListener('online', () => void this.send());
		document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && void this.send());
		void this.send();
	}

	async #read(): Promise<void> {
		try {
			this.steps = (await steps<Step>()).toSorted((a, b) => a.at.localeCompare(b.at));
		} catch {
			this.keeps = false;
		}
	}

	/** The step is on the phone's disk before anything is sent; it is thrown back at the caller where it cannot be kept. */
	async take(step: Pick<Step, 'kind' | 'trip' | 'about' | 'note' | 'lines'>): Promise<void> {
		await this.start();
		const before = this.of(step.trip);
		if (before?.state === 'WAITING') return;
		const who = me.person?.email;
		if (!who) throw new Error('nobody is signed in');
		const taken: Step = {
			...step,
			id: crypto.randomUUID(),
			who,
			at: new Date().toISOString(),
			state: 'WAITING',
			why: null,
			said: null,
			answeredAt: null,
		};
		await putStep(taken);
		this.steps = [...this.steps.filter(({ id }) => id !== before?.id), taken];
		if (before) await dropStep(before.id);
		await this.send();
	}

	/** An answer has been read; what waits is not dropped by anybody. */
	async read(id: string): Promise<void> {
		if (this.steps.find((step) => step.id === id)?.state === 'WAITING') return;
		await dropStep(id);
		this.steps = this.steps.filter((step) => step.id !== id);
	}

	/** Once more, without the words that were refused. */
	async again(id: string): Promise<void> {
		const step = this.steps.find((step) => step.id === id);
		if (step?.state !== 'REFUSED') return;
		await this.#change({ ...step, note: null, lines: step.lines.map((line) => ({ ...line, note: null })), state: 'WAITING', why: null, said: null });
		await this.send();
	}

	async #change(step: Step): Promise<void> {
		await putStep(step);
		this.steps = this.steps.map((other) => (other.id === step.id ? step : other));
	}

	/** Sends what waits, the oldest first, one tab at a time; stops at the first that nobody answers. */
	async send(): Promise<void> {
		if (this.sending) return;
		clearTimeout(this.#timer);
		this.sending = true;
		let answered = false;
		const turn = async () => {
			// Another tab may have sent some meanwhile.
			if (this.keeps) await this.#read();
			for (const step of this.waiting.filter((step) => this.mine(step))) {
				if (!session.isOpen) break;
				const after = await attempt(step);
				await this.#change(after);
				if (after.state !== 'WAITING') answered = true;
				// What fails by itself does not keep the others from being sent; a lost signal does.
				else if (after.why !== 'INTERNAL') break;
			}
		};
		try {
			await (navigator.locks ? navigator.locks.request('salur-steps', turn) : turn());
		} finally {
			this.sending = false;
		}
		if (answered) this.#done.forEach((listen) => listen());
		if (this.waiting.some((step) => this.mine(step))) this.#timer = setTimeout(() => void this.send(), AGAIN) as unknown as number;
	}
}

/** One try: what became of the step. */
export async function attempt(step: Step): Promise<Step> {
	const answered = (state: Step['state'], why: string | null = null, said: string | null = null): Step => ({ ...step, state, why, said, answeredAt: new Date().toISOString() });
	try {
		if (step.kind === 'ANSWER') await ask(AnswerTrip, { id: step.trip, lines: step.lines });
		else {
			// A driver who left without pressing anything has left all the same.
			await ask(DispatchTrip, { id: step.trip }).catch((error: unknown) => {
				if (!(error instanceof Refused) || error.code !== 'ILLEGAL_TRANSITION') throw error;
			});
			await ask(RecordTrip, { id: step.trip, note: noteOf(step) });
		}
		return answered('ACCEPTED');
	} catch (error) {
		const refused = error instanceof Refused ? error : new Refused('INTERNAL', String(error));
		if (LATER.has(refused.code)) return { ...step, why: refused.code };
		if (refused.code !== 'ILLEGAL_TRANSITION') return answered('REFUSED', refused.code, refused.message);
		try {
			// The first answer may have been lost, and the trip gone on since.
			const [stands, status] = await standing(step);
			return stands ? answered('ACCEPTED') : answered('REFUSED', status, refused.message);
		} catch {
			return { ...step, why: 'OFFLINE' };
		}
	}
}

/** Whether the trip stands where the step leads, and where it does. */
async function standing(step: Step): Promise<[boolean, string]> {
	const { delivery } = await ask(TripStatus, { id: step.trip });
	if (!delivery) return [false, 'NOT_FOUND'];
	if (step.kind === 'HAND_OVER') return [['DELIVERED', 'ACKNOWLEDGED', 'DISPUTED'].includes(delivery.status), delivery.status];
	const said = new Map(delivery.lines.map((line) => [line.claimLine.id, line]));
	const stands = step.lines.every((line) => said.get(line.claimLineId)?.accepted === line.accepted && said.get(line.claimLineId)?.rejected === line.rejected);
	return [stands, delivery.status];
}

/** The server writes down when it heard of the hand-over; what was sent late says when it was. */
function noteOf(step: Step): string | null {
	const late = Date.now() - Date.parse(step.at) > LATE;
	return [step.note, late ? `(di ponsel: ${formats('id').moment(step.at)})` : null].filter(Boolean).join(' ') || null;
}

export const queue = new Queue();
