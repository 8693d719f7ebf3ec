import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Database } from "../../src/db/client.ts";
import { Leases } from "../../src/ledger/journal/leases.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";

let database: TestDatabase;
let db: Database;
let leases: Leases;

beforeAll(async () => {
  database = await createDatabase();
  db = new Database({ url: database.url, poolSize: 2 });
  leases = new Leases(db, { leaseSeconds: 60, everyMs: 20, onError: () => {} });
});
afterAll(async () => {
  await db.close();
  await database.drop();
});

/** A hold whose lease ends in a second. */
async function openHold() {
  const hold = { accountId: randomUUID(), id: randomUUID() };
  await database.sql`
    insert into holds (account_id, id, wallet_id, api_key_id, amount, cost_max, model, provider, price_id, http_request_id,
      lease_expires_at)
    values (${hold.accountId}, ${hold.id}, ${randomUUID()}, ${randomUUID()}, 1, 0, 'm', 'p', ${randomUUID()}, 'r',
      now() + interval '1 second')`;
  return hold;
}

async function leaseMs(id: string): Promise<number> {
  const [row] = await database.sql`
    select extract(epoch from lease_expires_at - now())::float8 * 1000 as ms from holds where id = ${id}`;
  return row?.["ms"];
}

describe("leases", () => {
  it("are renewed by the database's clock for as long as they are kept, and not after", async () => {
    const [kept, other] = [await openHold(), await openHold()];
    const letGo = leases.keep(kept, () => {});
    while ((await leaseMs(kept.id)) < 50_000);
    expect(await leaseMs(other.id)).toBeLessThan(1_000);
    letGo();
    await leases.idle();
    await database.sql`update holds set lease_expires_at = now() where id = ${kept.id}`;
    const again = leases.keep(other, () => {});
    while ((await leaseMs(other.id)) < 50_000);
    again();
    expect(await leaseMs(kept.id)).toBeLessThan(0);
  });

  it("tell when a hold was closed by somebody else", async () => {
    const hold = await openHold();
    const lost = new Promise<void>((resolve) => {
      leases.keep(hold, resolve);
    });
    await database.sql`update holds set state = 'released' where id = ${hold.id}`;
    await lost;
    expect(await leaseMs(hold.id)).toBeLessThan(60_000);
  });
});
