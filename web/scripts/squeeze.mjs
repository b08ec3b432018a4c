// Writes FILE.br and FILE.gz beside every file of the build that gets smaller by it: the server sends them as they are.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const dist = new URL('../dist/', import.meta.url).pathname;
const squeezable = /\.(js|mjs|css|html|svg|json|txt)$/;

for (const name of readdirSync(dist, { recursive: true })) {
	const file = join(dist, name);
	if (!statSync(file).isFile() || !squeezable.test(name)) continue;
	const bytes = readFileSync(file);
	const brotli = brotliCompressSync(bytes, {
		params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
	});
	const gzip = gzipSync(bytes, { level: 9 });
	if (brotli.length < bytes.length) writeFileSync(`${file}.br`, brotli);
	if (gzip.length < bytes.length) writeFileSync(`${file}.gz`, gzip);
}
