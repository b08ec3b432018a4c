import type { initGraphQLTada, TadaDocumentNode } from 'gql.tada';
import type { introspection } from '../graphql-env';
import { session } from './session.svelte';

type Tada = ReturnType<
	typeof initGraphQLTada<{
		introspection: introspection;
		scalars: { Quantity: number; Date: string; DateTime: string; Version: string; GeoJSON: unknown };
	}>
>;

type Text = { text: string; fragments: Text[] };

/**
 * Documents are typed by gql.tada from their text, and stay text: nothing here needs them parsed, and the parser would
 * be a tenth of what a phone loads first. `@_unmask` is a word to the types alone.
 */
export const graphql = ((text: string, fragments: Text[] = []): Text => ({
	text: text.replaceAll('@_unmask', ''),
	fragments,
})) as unknown as Tada;

export type { FragmentOf, ResultOf, VariablesOf } from 'gql.tada';

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

/** The document's text with all its fragments, each once. */
export function textOf(document: unknown): string {
	const texts = new Set<string>();
	const gather = (part: Text) => {
		texts.add(part.text);
		part.fragments.forEach(gather);
	};
	gather(document as Text);
	return [...texts].join('\n');
}

export async function ask<D, V>(document: TadaDocumentNode<D, V>, variables: V, signal?: AbortSignal): Promise<D> {
	let answer: Answer<D>;
	try {
		const response = await fetch('/graphql', {
			method: 'POST',
			headers: { 'content-type': 'application/json', ...session.headers() },
			body: JSON.stringify({ query: textOf(document), variables }),
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
