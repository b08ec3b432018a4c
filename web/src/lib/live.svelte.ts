import type { TadaDocumentNode } from 'gql.tada';
import type { Client } from 'graphql-ws';
import { textOf } from './graphql';
import { session } from './session.svelte';

/** The one live connection. `since` is when it was lost; readers start anew with what they missed. */
class Live {
	since = $state<Date | null>(null);
	/** Grows with each connection after the first: what was read before may be old. */
	comebacks = $state(0);
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
					this.#opened = true;
					this.since = null;
				},
				closed: (event) => {
					if ((event as CloseEvent).code !== 1000) this.since ??= new Date();
				},
			},
		});
	}

	subscribe<D, V extends Record<string, unknown>>(
		document: TadaDocumentNode<D, V>,
		variables: V,
		next: (data: D) => void,
		ended: () => void,
	): () => void {
		this.#client ??= this.#connect();
		let stop = () => {};
		let stopped = false;
		void this.#client.then((client) => {
			if (stopped) return;
			stop = client.subscribe<D>(
				{ query: textOf(document), variables },
				{
					next: ({ data }) => data && next(data),
					// The server ends a reader that fell behind: what it held is old.
					error: ended,
					complete: () => {},
				},
			);
		});
		return () => {
			stopped = true;
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
