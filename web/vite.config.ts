import { svelte } from '@sveltejs/vite-plugin-svelte';
import { createHash } from 'node:crypto';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

// While one works on the page, a running server answers for the data: SALUR_SERVER=http://127.0.0.1:8080 npm run dev
const server = process.env.SALUR_SERVER ?? 'http://127.0.0.1:8080';

/** Tells the service worker which files there are: all but the map's, which not everybody needs. */
function keptFiles(): Plugin {
	return {
		name: 'salur-kept-files',
		apply: 'build',
		generateBundle(_, bundle) {
			const worker = bundle['sw.js'];
			if (worker?.type !== 'chunk') throw new Error('the service worker was not built');
			const files = Object.keys(bundle).filter((name) => name.startsWith('assets/') && !/maplibre|Map-|\.(woff2|map)$/.test(name)).sort();
			const version = createHash('sha256').update(JSON.stringify([files, worker.code])).digest('hex').slice(0, 12);
			worker.code = worker.code.replace('__FILES__', JSON.stringify(files.map((name) => `/${name}`))).replace('__VERSION__', JSON.stringify(version));
		},
	};
}

export default defineConfig({
	plugins: [svelte(), keptFiles()],
	build: {
		rollupOptions: {
			input: { index: 'index.html', sw: 'src/offline/worker.ts' },
			output: {
				entryFileNames: ({ name }) => (name === 'sw' ? 'sw.js' : 'assets/[name]-[hash].js'),
				codeSplitting: {
					groups: [
						{ name: 'maplibre', test: /node_modules.maplibre-gl/ },
						// One file for each kind of visitor: every file's name is carried by the shell.
						{ name: 'audit', test: /src.(audit.|screens.AuditScreen|lib.(audit|queue|bars|words.audit)|parts.Decision)/ },
						{ name: 'people', test: /src.(admin.|screens.(Account|Admin|Organization)Screen|lib.(people|papers|act\.|words.people)|parts.(Outcome|Papers|Sheet))/ },
						// What the first paint needs is one file: it squeezes better than three.
						{ name: 'shell', priority: 1, tags: ['$initial'], test: (id) => !id.includes('/src/offline/') },
					],
				},
			},
		},
		target: 'es2022',
		modulePreload: { polyfill: false },
		// The map is large and loaded on its own; scripts/sizes.mjs holds the limits.
		chunkSizeWarningLimit: 1200,
		reportCompressedSize: false,
	},
	worker: { format: 'es' },
	test: { include: ['tests/*.test.ts'] },
	server: {
		proxy: {
			'/graphql': { target: server, ws: true },
			'/tiles': server,
			'/api': server,
		},
	},
});
