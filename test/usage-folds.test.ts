import { describe, expect, it } from "vitest";
import { Database } from "../src/db/client.ts";
import { Ageing } from "../src/ledger/ageing.ts";
import { useServer } from "./harness.ts";
import { settlePast, uuidOf } from "./traffic.ts";
import { expectReportsOfCalls, pastCalls } from "./usage-oracle.ts";

// One server for one story: what is summed up here is the whole ledger's, not one account's.
const server = useServer();

async function growOlder(): Promise<number> {
  const db = new Database({ url: server.database.url, poolSize: 1 });
  try {
    return await new Ageing(db, () => {}).run();
  } finally {
    await db.close();
  }
}

describe("days and months that are final", () => {
  it("are summed up, up to the first that an open hold can still change, and change no report", async () => {
    const { sql } = server.database;
    const [ann, bob] = await Promise.all([server.customer(), server.customer()]);
    await settlePast(server, ann, pastCalls(150));
    await settlePast(server, bob, pastCalls(160));
    await sql`insert into holds (account_id, id, wallet_id, api_key_id, amount, cost_max, model, provider, price_id, http_request_id,
        created_at, lease_expires_at)
      values (${uuidOf(ann.accountId)}, gen_random_uuid(), ${uuidOf(ann.walletId)}, ${uuidOf(ann.apiKeyId)}, 0, 0, 'echo',
        'echo', gen_random_uuid(), 'test', '2026-02-02T05:00Z', now() + interval '1 hour')`;

    expect(await growOlder(), "January and the first of February").toBe(32);
    const folds = await sql`select grain, count(*)::int as n from usage_folds group by 1 order by 1`;
    expect([...folds]).toEqual([
      { grain: "DAY", n: 32 },
      { grain: "MONTH", n: 1 },
    ]);
    expect(await growOlder()).toBe(0);

    await expectReportsOfCalls(server, ann, 25, server.ownerToken);
    await expectReportsOfCalls(server, bob, 15);
    const [month] = await sql`select sum(requests)::int as requests, sum(charged)::bigint as charged from usage_folded
      where cube = 'MODEL' and grain = 'MONTH'`;
    const [raw] = await sql`select count(*)::int as requests, sum(charged)::bigint as charged from requests
      where created_at < '2026-02-01'`;
    expect(month).toEqual(raw);
  }, 120_000);
});
