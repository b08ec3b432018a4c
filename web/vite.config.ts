import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// While one works on the page, a running server answers for the data: SALUR_SERVER=http://127.0.0.1:8080 npm run dev
const server = process.env.SALUR_SERVER ?? 'http://127.0.0.1:8080';

export default defineConfig({
	plugins: [svelte()],
	build: {
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
