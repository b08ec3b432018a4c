import { defineConfig } from 'vitest/config';
import journeys from './vitest.journeys';

export default defineConfig({ test: { ...journeys.test, include: ['tests/phone/*.test.ts'] } });
