import { defineConfig } from "vitest/config";

/** Kills, restarts, broken connections, and the life of whole processes: `npm run test:faults`. Its figures are printed at the end of each test. */
export default defineConfig({
  resolve: { alias: [{ find: /^graphql$/, replacement: "graphql/index.js" }] },
  test: {
    include: ["test/faults/**/*.test.ts"],
    globalSetup: ["test/harness/cluster.ts", "test/faults/compile.ts"],
    testTimeout: 240_000,
    hookTimeout: 60_000,
    // What one file does to its own processes must not starve the clock of another.
    maxWorkers: 2,
  },
});
