import { initGraphQLTada, type TadaDocumentNode } from 'gql.tada';
import type { introspection } from '../graphql-env';
import { session } from './session.svelte';

export const graphql = initGraphQLTada<{
	introspection: introspection;
	scalars: { Quantity: number; Date: string; DateTime: string; Version: string; GeoJSON: unknown };
}>();

export type { FragmentOf, ResultOf, VariablesOf } from 'gql.tada';
export { readFragment } from 'gql.tada';

/** What the server refused, in its own words; `code` is one of the API's, or OFFLINE where nobody answered. */
export class Refused extends Error {
	constructor(
		readonly code: string,
		message: string,
		readonly reference?: string,
	) {
		super(message);
	}

	/** True where the same request may be sent again: nobody knows yet whether it was done. */
	get open(): boolean {
		return this.code === 'OFFLINE' || this.code === 'UNAVAILABLE';
	}
}

type Answer<D> = {
	data?: D | null;
	errors?: { message: string; extensions?: { code?: string; reference?: string } }[];
};

/** The document's text: the typed documents keep it beside what was parsed. */
export function textOf(document: TadaDocumentNode<unknown, never>): string {
	return (document as unknown as { loc: { source: { body: string } } }).loc.source.body;
}

export async function ask<D, V>(document: TadaDocumentNode<D, V>, variables: V, signal?: AbortSignal): Promise<D> {
	let answer: Answer<D>;
	try {
		const response = await fetch('/graphql', {
			method: 'POST',
			headers: { 'content-type': 'application/json', ...session.headers() },
			body: JSON.stringify({ query: textOf(document as never), variables }),
			signal: signal ?? null,
		});
		answer = await response.json();
	} catch (error) {
		if (signal?.aborted) throw error;
		throw new Refused('OFFLINE', String(error));
	}
	const first = answer.errors?.[0];
	if (first) throw new Refused(first.extensions?.code ?? 'INTERNAL', first.message, first.extensions?.reference);
	if (!answer.data) throw new Refused('INTERNAL', 'an answer without data');
	return answer.data;
}
