import { describe, expect, it } from "vitest";
import { Database } from "../../src/db/client.ts";
import { Doctor } from "../../src/ledger/checks/doctor.ts";
import { PartitionMaintenance } from "../../src/ledger/rollups/partition-maintenance.ts";
import { createLogger } from "../../src/log.ts";
import { type Customer, generate, useServer } from "../harness/server.ts";
import { settlePast, uuidOf } from "../harness/traffic.ts";
import { expectReportsOfCalls, pastCalls } from "./oracle.ts";

// One server for one story: what is summed up here is the whole ledger's, not one account's.
const server = useServer();

async function withDatabase<T>(work: (db: Database) => Promise<T>): Promise<T> {
  const db = new Database({ url: server.database.url, poolSize: 1 });
  try {
    return await work(db);
  } finally {
    await db.close();
  }
}

const growOlder = () => withDatabase((db) => new PartitionMaintenance(db, () => {}).run());

async function restate(
  model: string,
  from: string,
  to: string,
  priceVersion: number,
): Promise<{ state: string; creditsUncollected: string }> {
  const idempotencyKey = `${model} ${from} ${priceVersion}`;
  const { restateUsage } = await server.ok(
    "mutation ($input: RestateUsageInput!) { restateUsage(input: $input) { state creditsUncollected } }",
    { input: { model, from, to, priceVersion, idempotencyKey } },
  );
  // A busy machine may not be done in the time that the mutation waits: asking again waits on.
  return restateUsage.state === "RUNNING" ? restate(model, from, to, priceVersion) : restateUsage;
}

async function expectSound(): Promise<void> {
  for (const { day } of await server.database
    .sql`select distinct date_trunc('day', created_at, 'UTC') as day from requests`) {
    const reconcile = "query ($day: DateTime!) { reconcile(day: $day) { balanced differences { subject } } }";
    expect((await server.ok(reconcile, { day })).reconcile).toEqual({ balanced: true, differences: [] });
  }
  const log = createLogger({ level: "silent", production: true });
  const findings = await withDatabase((db) => new Doctor(db, log).examine());
  expect(findings.filter(({ breaks }) => breaks.length > 0)).toEqual([]);
}

describe("days that are final", () => {
  let ann: Customer;
  let bob: Customer;

  it("are summed up, up to the first that an open hold can still change, and change no report", async () => {
    const { sql } = server.database;
    for (const name of ["alpha", "beta"]) {
      await server.ok("mutation ($input: UpsertModelInput!) { upsertModel(input: $input) { id } }", {
        input: { name, provider: "echo" },
      });
      for (const inputUsdPerMillion of ["0", "9"]) {
        const rates = { multiplier: inputUsdPerMillion, inputCreditsPerMillion: "55.5", inputUsdPerMillion };
        const set = "mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { version } }";
        await server.ok(set, { input: { model: name, ...rates } });
      }
    }
    [ann, bob] = await Promise.all([server.customer(), server.customer({ credits: "3" })]);
    await settlePast(server, ann, pastCalls(150));
    await settlePast(server, bob, pastCalls(160));
    await sql`insert into holds (account_id, id, wallet_id, api_key_id, amount, cost_max, model, provider, price_id, http_request_id,
        created_at, lease_expires_at)
      values (${uuidOf(ann.accountId)}, gen_random_uuid(), ${uuidOf(ann.walletId)}, ${uuidOf(ann.apiKeyId)}, 0, 0, 'echo',
        'echo', gen_random_uuid(), 'test', '2026-02-02T05:00Z', now() + interval '1 hour')`;
    // Before any day is summed up, so that the sums have to take it over.
    await restate("alpha", "2026-01-30T12:00:00Z", "2026-02-02T05:00:00Z", 1);

    expect(await growOlder(), "January and the first of February").toBe(32);
    const folds = await sql`select grain, count(*)::int as n from usage_folds group by 1 order by 1`;
    expect(Object.fromEntries(folds.map(({ grain, n }) => [grain, n]))).toEqual({
      QUARTER: 32,
      DAY: 32,
      DAYS_4: 8,
      DAYS_16: 2,
      MONTH: 1,
    });
    expect(await growOlder()).toBe(0);

    // Across what is summed up and what is not; one wallet cannot pay for all of it.
    const beta = await restate("beta", "2026-01-30T00:00:00Z", "2026-02-03T00:00:00Z", 2);
    expect(Number(beta.creditsUncollected)).toBeGreaterThan(0);
    await restate("alpha", "2026-01-31T09:15:00Z", "2026-02-02T01:00:00Z", 2);
    await settlePast(
      server,
      bob,
      pastCalls(40).map((call) => ({ ...call, at: new Date("2026-02-02T10:00:00Z") })),
    );

    await expectReportsOfCalls(server, ann, 40, { token: server.ownerToken });
    await expectReportsOfCalls(server, bob, 25);
    await expectSound();
    const [month] = await sql`select sum(requests)::int as requests, sum(charged)::bigint as charged,
        sum(charged + charged_correction)::bigint as corrected
      from usage_folded where cube = 'MODEL' and grain = 'MONTH'`;
    const [raw] = await sql`select count(*)::int as requests, sum(charged)::bigint as charged,
        (sum(charged) + (select sum(charged) from request_adjustments where request_created_at < '2026-02-01'))::bigint as corrected
      from requests where created_at < '2026-02-01'`;
    expect(month).toEqual(raw);
    expect(month?.["corrected"]).not.toBe(month?.["charged"]);
  }, 120_000);

  it("stand for their calls when those are dropped, and what was said is deleted: no report changes", async () => {
    const { sql } = server.database;
    await sql`create table kept_requests as select * from requests`;
    const customer = await server.customer();
    await server.ok("mutation ($input: SetPromptLogInput!) { setPromptLog(input: $input) { days } }", {
      input: { accountId: customer.accountId, days: 1 },
    });
    const from = new Date(Date.now() - 3_600_000);
    const to = new Date(Date.now() + 3_600_000);
    const report = async () => {
      const query = `query ($input: UsageInput!) { usage(input: $input) {
        rows { dimensions { id } metrics { requests credits totalTokens } } totals { requests credits } } }`;
      const input = { from, to, groupBy: ["END_USER"] };
      return (await server.ok(query, { input }, { key: customer.key })).usage;
    };
    for (const endUser of ["ann", "bob", "bob"]) {
      await server.ok(
        generate,
        { input: { model: "echo", prompt: "to be forgotten", endUser } },
        { key: customer.key },
      );
    }
    const logged = async () => {
      const [row] =
        await sql`select count(*)::int as n from prompt_logs where account_id = ${uuidOf(customer.accountId)}`;
      return row?.["n"];
    };
    await expect.poll(logged).toBe(3);
    const before = await report();
    const { accountId } = customer;
    const forget = `mutation ($id: ID!) { deleteEndUserPrompts(accountId: $id, endUser: "bob") { prompts } }`;
    expect((await server.ok(forget, { id: accountId })).deleteEndUserPrompts).toEqual({ prompts: 2 });
    const forgetAll = "mutation ($id: ID!) { deleteAccountPrompts(accountId: $id) { prompts } }";
    expect((await server.ok(forgetAll, { id: accountId })).deleteAccountPrompts).toEqual({ prompts: 1 });
    expect(await report()).toEqual(before);
    expect(before.totals).toEqual({ requests: 3, credits: "3" });

    const month = { month: "2026-01" };
    // The call that is still open has held back the correction of beta, and so the month.
    await server.refused("CONFLICT", 'mutation { dropMonth(month: "2026-01") { state } }');
    await sql`delete from holds where state = 'open'`;
    expect((await restate("beta", "2026-01-30T00:00:00Z", "2026-02-03T00:00:00Z", 2)).state).toBe("DONE");
    await server.ok("mutation ($month: String!) { archiveMonth(month: $month) { state } }", month);
    const drop = await server.ok("mutation ($month: String!) { dropMonth(month: $month) { state } }", month);
    expect(drop.dropMonth).toEqual({ state: "DROPPED" });
    const [gone] = await sql`select count(*)::int as calls from requests where created_at < '2026-02-01'`;
    expect(gone).toEqual({ calls: 0 });
    // Later calls, and a later correction, beside those that are gone.
    await settlePast(
      server,
      ann,
      pastCalls(30).map((call) => ({ ...call, at: new Date("2026-02-02T11:00:00Z") })),
    );
    await restate("beta", "2026-02-01T00:00:00Z", "2026-02-03T00:00:00Z", 1);
    await sql`insert into kept_requests select * from requests r where not exists (select from kept_requests k where k.id = r.id)`;
    const dropped = { table: "kept_requests", before: new Date("2026-02-01T00:00:00Z") };
    const answered = await expectReportsOfCalls(server, ann, 50, { token: server.ownerToken, dropped });
    // The others were refused, and say since when there are no calls.
    expect(answered).toBeGreaterThan(8);
    await expectSound();
  }, 120_000);
});
