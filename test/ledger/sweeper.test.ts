import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Sweeper } from "../../src/ledger/checks/sweeper.ts";
import { createLogger } from "../../src/log.ts";
import { credit, holdFor, type Key, type Ledger, makeKey, openLedger } from "../faults/ledger.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";

let database: TestDatabase;
let ledger: Ledger;
const logLines: string[] = [];
let sweeper: Sweeper;

beforeAll(async () => {
  database = await createDatabase();
  ledger = openLedger(database.url);
  const destination = { write: (line: string) => void logLines.push(line) };
  const log = createLogger({ level: "info", production: true, destination });
  sweeper = new Sweeper(ledger.db, ledger.wallets, log, { batchSize: 2 });
});
afterAll(async () => {
  await ledger.db.close();
  await database.drop();
});

/** So many holds of one wallet, whose leases are over. */
async function expired(key: Key, count: number): Promise<string[]> {
  const holds = Array.from({ length: count }, () => holdFor(key, { leaseSeconds: -1 }));
  for (const hold of holds) await ledger.journal.reserve(hold);
  return holds.map(({ id }) => id);
}

async function states({ walletId }: Key): Promise<string[]> {
  const rows = await database.sql`select state from holds where wallet_id = ${walletId} order by id`;
  return rows.map(({ state }) => state);
}

const held = async ({ walletId }: Key) =>
  (await database.sql`select held from wallets where id = ${walletId}`)[0]?.["held"];

describe.sequential("the sweeper", () => {
  it("releases what can be released, past any number of holds that cannot, and comes to an end", async () => {
    const [broken, sound] = [await makeKey(ledger, 100n * credit), await makeKey(ledger, 100n * credit)];
    const stuck = await expired(broken, 5);
    await expired(sound, 5);
    // As only a hand could leave it: closing any of them would hold less than nothing, which the table refuses.
    await database.sql`update wallets set held = 0 where id = ${broken.walletId}`;
    await sweeper.sweep();
    expect(await states(sound)).toEqual(Array(5).fill("released"));
    expect(await held(sound)).toBe(0n);
    expect(await states(broken)).toEqual(Array(5).fill("open"));
    const told = logLines.map((line) => JSON.parse(line)).find(({ msg }) => msg === "holds could not be released");
    expect(told).toMatchObject({ count: 5, first: stuck[0] });
    await database.sql`update wallets set held = ${10n * credit} where id = ${broken.walletId}`;
    await sweeper.sweep();
    expect(await states(broken)).toEqual(Array(5).fill("released"));
  });

  it("leaves a hold alone whose lease was renewed between the look and the closing", async () => {
    const key = await makeKey(ledger, 10n * credit);
    const [renewed, late] = await expired(key, 2);
    const { sql } = database;
    // The sweeper looks, then waits for the wallet; meanwhile the call gives a sign of life.
    let sweeping: Promise<void> = Promise.resolve();
    await sql.begin(async (tx) => {
      await tx`select from wallets where id = ${key.walletId} for update`;
      sweeping = sweeper.sweep();
      const waiting = () => sql`
        select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;
      while ((await waiting()).length === 0);
      await sql`update holds set lease_expires_at = now() + interval '1 minute' where id = ${renewed as string}`;
    });
    await sweeping;
    const rows = await sql`select id, state from holds where wallet_id = ${key.walletId}`;
    expect(new Map(rows.map(({ id, state }) => [id, state]))).toEqual(
      new Map([
        [renewed, "open"],
        [late, "released"],
      ]),
    );
    expect(await held(key)).toBe(2n * credit);
  });

  it("brings every due wallet up to date that can be, and deletes what has had its day all the same", async () => {
    const keys = await Promise.all(Array.from({ length: 5 }, () => makeKey(ledger, 10n * credit)));
    const [first] = keys as [Key];
    const ids = keys.map(({ walletId }) => walletId);
    await database.sql`update wallets set due_at = now() - interval '1 hour' where id = any(${ids})`;
    await database.sql`update wallets set unburnt = 99000000 where id = ${first.walletId}`;
    const swept: string[] = [];
    const log = createLogger({ level: "silent", production: true });
    const deleteExpired = async () => void swept.push("more");
    await new Sweeper(ledger.db, ledger.wallets, log, { batchSize: 2, deleteExpired }).sweep();
    const due = await database.sql`select id from wallets where due_at <= now() and id = any(${ids})`;
    expect(due.map(({ id }) => id)).toEqual([first.walletId]);
    expect(swept).toEqual(["more"]);
  });
});
