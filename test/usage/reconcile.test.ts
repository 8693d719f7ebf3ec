import { describe, expect, it } from "vitest";
import { generate, TestServer } from "../harness/server.ts";

const reconcile = `query ($day: DateTime!) {
  reconcile(day: $day) {
    day balanced walletsCharged ledger { requests credits costUsd } rollup { requests credits costUsd }
    differences { kind accountId subject ledger other }
  }
}`;

/** A ledger of each test's own, because the whole day is compared. */
async function withCalls(test: (server: TestServer, day: string) => Promise<void>): Promise<void> {
  const server = new TestServer();
  await server.start();
  try {
    const { key } = await server.customer();
    for (let i = 0; i < 4; i++) await server.ok(generate, { input: { model: "echo", prompt: "x" } }, { key });
    await test(server, new Date().toISOString());
  } finally {
    await server.stop();
  }
}

describe("reconcile", () => {
  it("finds ledger, rollup and wallets equal", async () => {
    await withCalls(async (server, day) => {
      const { reconcile: found } = await server.ok(reconcile, { day });
      const sums = { requests: "4", credits: "4", costUsd: "0" };
      expect(found).toMatchObject({ balanced: true, walletsCharged: "4", ledger: sums, rollup: sums, differences: [] });
      expect(found.day).toBe(`${day.slice(0, 10)}T00:00:00.000Z`);
    });
  });

  it("names the hour of a rollup that is off", async () => {
    await withCalls(async (server, day) => {
      await server.database.sql`update usage_hourly set charged = charged + 1`;
      const { reconcile: found } = await server.ok(reconcile, { day });
      expect(found.balanced).toBe(false);
      expect(found.differences).toMatchObject([{ kind: "ROLLUP", ledger: "4", other: "4.000001" }]);
    });
  });

  it("names the generation whose entry is off", async () => {
    await withCalls(async (server, day) => {
      const [row] = await server.database.sql`
        update requests set charged = charged - 1 where id = (select min(id::text)::uuid from requests) returning id`;
      const { reconcile: found } = await server.ok(reconcile, { day });
      const subject = `gen_${String(row?.["id"]).replaceAll("-", "")}`;
      expect(found.differences).toContainEqual(
        expect.objectContaining({ kind: "WALLET", subject, ledger: "0.999999", other: "1" }),
      );
    });
  });

  it("is for ANALYST and above", async () => {
    await withCalls(async (server, day) => {
      const { accountId, key } = await server.customer();
      const { token } = await server.person("MEMBER", accountId);
      await server.refused("FORBIDDEN", reconcile, { day }, { token });
      await server.refused("FORBIDDEN", reconcile, { day }, { key });
      await server.refused("UNAUTHENTICATED", reconcile, { day }, {});
    });
  });
});
