import { ask, type ResultOf } from './graphql';
import { Viewer } from './operations';
import { session } from './session.svelte';

export type Who = NonNullable<ResultOf<typeof Viewer>['viewer']>;
export type Role = Who['roles'][number];

/** Who looks at the page, as the server knows them. */
class Known {
	/** Null for nobody, and before the server has said who. */
	who = $state.raw<Who | null>(null);
	/** True once it is known, or known that nobody is signed in. */
	settled = $state(false);

	/** Asks anew; wherever roles or the organisation may have changed. */
	async load(): Promise<void> {
		if (!session.isOpen) {
			this.who = null;
			this.settled = true;
			return;
		}
		try {
			this.who = (await ask(Viewer, {})).viewer;
			// A session that the server knows no more is over on the page, too.
			if (!this.who) session.close();
		} catch {
			// Unreachable: told of elsewhere. What was known stays.
		}
		this.settled = true;
	}

	has(...roles: Role[]): boolean {
		return roles.some((role) => this.who?.roles.includes(role));
	}

	/** Where they have most to do; the map for everybody else. */
	get home(): string {
		return this.has('AUDITOR') ? '/audit' : this.has('ADMIN') ? '/admin' : '/';
	}
}

export const viewer = new Known();
