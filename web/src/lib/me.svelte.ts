import { ask, Refused, type ResultOf } from './graphql';
import { Viewer } from './operations';
import { session } from './session.svelte';

export type Person = NonNullable<ResultOf<typeof Viewer>['viewer']>;
export type Role = Person['roles'][number];

const KEPT = 'salur.me';

function kept(): Person | null {
	try {
		return JSON.parse(localStorage.getItem(KEPT) ?? 'null') as Person | null;
	} catch {
		return null;
	}
}

/** Who is signed in, as the server last said: the page knows without a signal which screens are theirs. */
class Me {
	person = $state.raw<Person | null>(session.isOpen ? kept() : null);
	/** True once it is known who it is, or that it is nobody. */
	settled = $state(!session.isOpen);

	/** Gives, or carries out what others give. */
	get gives(): boolean {
		return this.person?.roles.some((role) => role === 'DONOR' || role === 'AGGREGATOR') ?? false;
	}

	/** Holds one of the roles. */
	is(...roles: Role[]): boolean {
		return roles.some((role) => this.person?.roles.includes(role));
	}

	/** Where they have most to do; the map for everybody else. */
	get home(): string {
		return this.is('AUDITOR') ? '/audit' : this.is('ADMIN') ? '/admin' : '/';
	}

	/** Answers for an area. */
	get keepsArea(): boolean {
		return this.person?.roles.includes('AREA_OFFICER') ?? false;
	}

	/** Asks the server; a session that has ended is told by an answer without anybody. */
	async load(): Promise<void> {
		try {
			const { viewer } = await ask(Viewer, {});
			if (viewer) this.#set(viewer);
			else session.close();
		} catch (error) {
			if (error instanceof Refused && error.code === 'UNAUTHENTICATED') session.close();
		}
		if (!session.isOpen) this.forget();
		this.settled = true;
	}

	#set(person: Person): void {
		this.person = person;
		localStorage.setItem(KEPT, JSON.stringify(person));
	}

	forget(): void {
		this.person = null;
		localStorage.removeItem(KEPT);
	}
}

export const me = new Me();
