import { defineConfig } from "vitest/config";

export default defineConfig({
  // graphql must be one module instance: its ESM and CommonJS builds refuse each other's schemas.
  resolve: { alias: [{ find: /^graphql$/, replacement: "graphql/index.js" }] },
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/faults/**"],
    globalSetup: ["test/harness/cluster.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Tests wait for sockets and for the database far more than they compute.
    maxWorkers: 4,
    isolate: false,
  },
});
