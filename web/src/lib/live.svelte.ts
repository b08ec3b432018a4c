import type { TadaDocumentNode } from 'gql.tada';
import type { Client } from 'graphql-ws';
import { textOf } from './graphql';
import { session } from './session.svelte';

/** The one live connection. `since` is when it was lost; readers start anew with what they missed. */
class Live {
	since = $state<Date | null>(null);
	/** Grows with each connection after the first: what was read before may be old. */
	comebacks = $state(0);
	/** True while messages can come. */
	open = false;
	#client: Promise<Client> | null = null;
	#opened = false;

	async #connect(): Promise<Client> {
		const { createClient } = await import('graphql-ws');
		const url = new URL('/graphql/ws', location.href);
		url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
		return createClient({
			url: url.href,
			lazy: true,
			lazyCloseTimeout: 5_000,
			keepAlive: 15_000,
			retryAttempts: Number.POSITIVE_INFINITY,
			shouldRetry: () => true,
			// A second and some, then longer: a server that comes back is not met by everybody at once.
			retryWait: (tries) => new Promise((go) => setTimeout(go, Math.min(1_000 * 2 ** tries, 15_000) * (0.5 + Math.random()))),
			connectionParams: () => session.payload(),
			on: {
				connected: () => {
					if (this.#opened) this.comebacks += 1;
					this.#opened = this.open = true;
					this.since = null;
				},
				closed: (event) => {
					this.open = false;
					if ((event as CloseEvent).code !== 1000) this.since ??= new Date();
				},
			},
		});
	}

	/**
	 * Follows until it is stopped. Where the server ends it (it fell behind, rights have changed, there is no such thing),
	 * it is begun anew after a pause, the longer the more often that was in vain; `missed` says so.
	 */
	subscribe<D, V extends Record<string, unknown>>(
		document: TadaDocumentNode<D, V>,
		variables: V,
		next: (data: D) => void,
		missed: () => void = () => {},
	): () => void {
		let stop = () => {};
		let [stopped, pause, vain] = [false, 0, 0];
		const later = () => {
			// Who was told together does not come back together.
			const wait = Math.min(1_000 * 2 ** vain++, 60_000) * (0.5 + Math.random());
			pause = setTimeout(() => void begin().then((begun) => begun && missed()), wait) as unknown as number;
		};
		const begin = async (): Promise<boolean> => {
			const client = await (this.#client ??= this.#connect()).catch(() => (this.#client = null));
			if (stopped) return false;
			if (!client) return later(), false;
			let over = false;
			const end = () => {
				if (over || stopped) return;
				over = true;
				stop();
				later();
			};
			const hear = ({ data }: { data?: D | null }) => {
				if (over || stopped) return;
				if (!data) return end();
				vain = 0;
				next(data);
			};
			stop = client.subscribe<D>({ query: textOf(document), variables }, { next: hear, error: end, complete: end });
			return true;
		};
		void begin();
		return () => {
			stopped = true;
			clearTimeout(pause);
			stop();
		};
	}

	/** Who one is has changed: begin anew. */
	restart(): void {
		void this.#client?.then((client) => client.terminate());
		this.#client = null;
	}
}

export const live = new Live();
