// Holds what a phone has to load: gzipped, the shell within 40 kB, the map and its worker within 460 kB together, every
// other file within 60 kB. Ends with 1 where one is larger.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const dist = new URL('../dist/', import.meta.url).pathname;
const html = readFileSync(join(dist, 'index.html'), 'utf8');
const first = new Set([...html.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map((found) => found[1]));

const groups = { shell: { limit: 40_000, size: 0 }, map: { limit: 460_000, size: 0 } };
let failed = false;
for (const name of readdirSync(dist, { recursive: true })) {
	const file = join(dist, name);
	if (!statSync(file).isFile() || /\.(br|gz)$/.test(name)) continue;
	const sent = existsSync(`${file}.gz`) ? `${file}.gz` : file;
	const size = statSync(sent).size;
	const group = first.has(name) || name === 'index.html' ? 'shell' : /(maplibre|Map-).*\.m?js$/.test(name) ? 'map' : 'other';
	console.log(`${String(size).padStart(8)}  ${group.padEnd(6)} ${name}`);
	if (group !== 'other') groups[group].size += size;
	else if (size > 60_000) {
		console.error(`${name} is ${size} bytes gzipped; the limit is 60000`);
		failed = true;
	}
}
for (const [name, { limit, size }] of Object.entries(groups)) {
	console.log(`${String(size).padStart(8)}  ${name} in all, of ${limit}`);
	if (size > limit || size === 0) {
		console.error(`${name} is ${size} bytes gzipped; the limit is ${limit}`);
		failed = true;
	}
}
process.exit(failed ? 1 : 0);
