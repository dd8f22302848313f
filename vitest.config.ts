import { defineConfig } from 'vitest/config';

/**
 * One run for everything: pure rooms, contracts, and real services. The services are started once (test/services/global-setup.ts).
 * Time limits are wide because the machine may be slow; no test asserts a speed.
 */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/services/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 15_000 } },
    pool: 'forks',
    maxWorkers: 2,
  },
});
