import { defineConfig } from "vitest/config";

const unit = "test/**/*.unit.test.ts";
const faults = "test/faults/**";

/**
 * A file named `*.unit.test.ts` needs no database, and so none is started for it. The others share one PostgreSQL.
 * Kills and restarts have a configuration of their own.
 */
export default defineConfig({
  // graphql must be one module instance: its ESM and CommonJS builds refuse each other's schemas.
  resolve: { alias: [{ find: /^graphql$/, replacement: "graphql/index.js" }] },
  test: {
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Tests wait for sockets and for the database far more than they compute.
    maxWorkers: 4,
    isolate: false,
    // Wire types are decorated, whichever file of a worker loads them first.
    setupFiles: ["reflect-metadata"],
    projects: [
      { extends: true, test: { name: "unit", include: [unit], exclude: [faults] } },
      {
        extends: true,
        test: {
          name: "server",
          include: ["test/**/*.test.ts"],
          exclude: [unit, faults],
          globalSetup: ["test/harness/cluster.ts"],
        },
      },
    ],
  },
});
