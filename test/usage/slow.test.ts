import { describe, expect, it } from "vitest";
import { generate, useServer } from "../harness/server.ts";

const server = useServer({ ANALYTICS_TIMEOUT_SECONDS: "1", ANALYTICS_POOL_SIZE: "1", DATABASE_POOL_SIZE: "2" });

const usage = "query ($input: UsageInput!) { usage(input: $input) { totals { requests } } }";
const hour = 3_600_000;

async function waitingForLocks(): Promise<number> {
  const [row] = await server.database.sql<[{ waiting: number }]>`
    select count(*)::int as waiting from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`;
  return row.waiting;
}

describe("a report that takes too long", () => {
  it("is given up, and holds up no call", async () => {
    const { key } = await server.customer();
    await server.ok(generate, { input: { model: "echo", prompt: "before" } }, { key });
    const input = { from: new Date(Date.now() - 30 * 24 * hour), to: new Date(Date.now() + hour) };
    // Reports read this table, and calls do not.
    await server.database.sql.begin(async (sql) => {
      await sql`lock table usage_folds in access exclusive mode`;
      const reports = ["MODEL", "STATUS", "ACCOUNT"].map((dimension) =>
        server.refused("UNAVAILABLE", usage, { input: { ...input, groupBy: [dimension] } }),
      );
      // One of them has the only connection of reports by now, and the others wait for it.
      await expect.poll(() => waitingForLocks()).toBeGreaterThan(0);
      // The search of calls stands in the same line, and in that of no call.
      const list = "{ generations(first: 1) { nodes { id } } }";
      const order: string[] = [];
      const searching = server.ok(list, {}, { key }).then(() => order.push("search"));
      for (const prompt of ["1", "2", "3"]) await server.ok(generate, { input: { model: "echo", prompt } }, { key });
      for (const { status, message } of await Promise.all(reports)) {
        expect(status).toBe(503);
        expect(message).toMatch(/took too long/);
      }
      order.push("reports");
      await searching;
      expect(order).toEqual(["reports", "search"]);
    });
    const { usage: after } = await server.ok(usage, { input }, { key });
    expect(after.totals.requests).toBe(4);
  });
});
