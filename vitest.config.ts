import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: [
      'engine/**/*.test.ts',
      'preload/**/*.test.ts',
      'main/**/*.test.ts',
      'assets/**/*.test.ts',
      'test/**/*.test.ts',
    ],
    exclude: ['**/node_modules/**'],
    // Two cores: more workers only make the guests slower.
    maxWorkers: 2,
    // Only a hang meets these: a busy machine makes guests many times slower.
    expect: { poll: { timeout: 60_000 } },
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
