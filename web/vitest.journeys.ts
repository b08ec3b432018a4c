import { defineConfig } from 'vitest/config';

// A software renderer on a busy machine is slow to start; nothing here is judged by the clock.
export default defineConfig({
	test: {
		include: ['tests/journeys/*.test.ts'],
		globalSetup: 'tests/journeys/server.ts',
		testTimeout: 180_000,
		hookTimeout: 180_000,
		fileParallelism: false,
		retry: process.env.CI ? 1 : 0,
	},
});
