import { afterAll, beforeAll, expect, it } from "vitest";
import { Database } from "../../src/db/client.ts";
import { Journal } from "../../src/ledger/journal/journal.ts";
import { Wallets } from "../../src/ledger/wallets/wallets.ts";
import { credit, holdFor, makeKey, openLedger, settlementOf, wideBudgets } from "../faults/ledger.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";

/**
 * The journal's statements are planned once for a connection, perhaps when its tables are empty, and then run for as
 * long as it lasts: the plan must be the one for a table of any size.
 */
let database: TestDatabase;
let db: Database;
const statements = new Set<string>();

beforeAll(async () => {
  database = await createDatabase();
  const onStatement = (text: string) => statements.add(text);
  db = new Database({ url: database.url, poolSize: 1, forLedger: true, onStatement });
});
afterAll(async () => {
  await db.close();
  await database.drop();
});

/** The journal's statements, with all the parts that they can have and without. */
async function run(calls: number): Promise<void> {
  const ledger = openLedger(database.url);
  const key = await makeKey(ledger, BigInt(calls) * 10n * credit);
  await ledger.db.close();
  const wallets = new Wallets(db);
  const journal = new Journal({ db, bringUpToDate: (wallet) => wallets.bringUpToDate(wallet) });
  for (let i = 0; i < calls; i++) {
    const plain = holdFor(key);
    const full = { ...holdFor(key, { tags: ["a"], endUser: "b" }), budgets: wideBudgets(key, plain) };
    for (const hold of [plain, full]) {
      await journal.reserve(hold);
      await journal.settle({ ...settlementOf(hold), idempotent: hold === full });
    }
  }
}

function journals(): string[] {
  return [...statements].filter((text) => /^\s*with item as/.test(text));
}

/** What is looked up otherwise than by the whole of its key. */
async function scans(): Promise<string[]> {
  const found: string[] = [];
  for (const text of journals()) {
    // As the journal's connections plan it, whose setting this one has: for any batch, not for the one that is named here.
    await db.sql.unsafe(`prepare journal as ${text}`);
    const plan = await db.sql.unsafe("explain execute journal('[]')");
    await db.sql.unsafe("deallocate journal");
    const lines = plan.map((row) => String(row["QUERY PLAN"]));
    found.push(...lines.filter((line) => /Seq Scan on (?!feed_listeners)|holds_open_lease/.test(line)));
    lines.forEach((line, i) => {
      const condition = lines[i + 1] ?? "";
      if (
        /Index Scan using (holds|wallets)_account_id_id_pk/.test(line) &&
        !/account_id = .* AND \(id = /.test(condition)
      ) {
        found.push(`${line} ${condition}`);
      }
    });
  }
  return found;
}

it("finds holds, wallets and budgets by their keys, before the tables have grown and after", async () => {
  await run(1);
  expect(journals()).toHaveLength(4);
  expect(await scans()).toEqual([]);
  await run(30);
  await database.sql`analyze`;
  expect(await scans()).toEqual([]);
});
