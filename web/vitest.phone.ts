import { defineConfig, mergeConfig } from 'vitest/config';
import journeys from './vitest.journeys';

export default mergeConfig(journeys, defineConfig({ test: { include: ['tests/phone/*.test.ts'] } }));
