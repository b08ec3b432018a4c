import { readFileSync } from 'node:fs';
import { buildSchema, parse, validate } from 'graphql';
import { expect, test, vi } from 'vitest';

test('every question of the page is one that the committed schema answers', async () => {
	const kept = { getItem: () => null, setItem: () => {}, removeItem: () => {} };
	vi.stubGlobal('sessionStorage', kept);
	vi.stubGlobal('localStorage', kept);
	const { textOf } = await import('../src/lib/graphql');
	const operations = { ...(await import('../src/lib/operations')), ...(await import('../src/lib/accounts')), ...(await import('../src/lib/audit')), ...(await import('../src/lib/people')), ...(await import('../src/lib/area')), ...(await import('../src/lib/plan')), ...(await import('../src/lib/steps')), ...(await import('../src/work/operations')) };
	const schema = buildSchema(readFileSync('../schema.graphql', 'utf8'));
	const asked = Object.entries(operations).filter(([, document]) => /\b(query|mutation|subscription) \w/.test(textOf(document)));
	expect(asked.length).toBeGreaterThan(62);
	for (const [name, document] of asked) {
		const faults = validate(schema, parse(textOf(document))).map(({ message }) => message);
		expect(faults, name).toEqual([]);
	}
});
