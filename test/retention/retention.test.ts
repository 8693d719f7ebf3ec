import "reflect-metadata";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AuditService } from "../../src/audit/service.ts";
import { systemOrigin } from "../../src/auth/viewer.ts";
import { Database } from "../../src/db/client.ts";
import { Doctor } from "../../src/ledger/checks/doctor.ts";
import { PartitionMaintenance } from "../../src/ledger/rollups/partition-maintenance.ts";
import { createLogger } from "../../src/log.ts";
import { Retention } from "../../src/retention/service.ts";
import { type Customer, generate, useServer } from "../harness/server.ts";
import { settlePast, uuidOf } from "../harness/traffic.ts";
import { pastCalls, usage } from "../usage/oracle.ts";

// One server for one story: months are the whole ledger's, not one account's.
const folder = await mkdtemp(join(tmpdir(), "tollgate-archive-"));
const server = useServer({ ARCHIVE_DIR: folder });
let db: Database;
let ann: Customer;
let bob: Customer;

const fields = "month state storedBytes droppedAt archive { file sha256 bytes requests credits costUsd }";
const archiveMonth = `mutation ($month: String!) { archiveMonth(month: $month) { ${fields} } }`;
const dropMonth = `mutation ($month: String!, $sha256: String) { dropMonth(month: $month, sha256: $sha256) { ${fields} } }`;
const january = "2026-01";
const horizon = "2026-02-01T00:00:00.000Z";

beforeAll(async () => {
  db = new Database({ url: server.database.url, poolSize: 2 });
  ann = await server.customer();
  bob = await server.customer();
  await settlePast(server, ann, pastCalls(150));
  await settlePast(server, bob, pastCalls(150));
});
afterAll(async () => {
  await db?.close();
  await rm(folder, { recursive: true, force: true });
});

const whole = { from: "2026-01-01T00:00:00Z", to: "2026-03-01T00:00:00Z" };
/** Questions that the sums can answer, of the dropped month and across its end. */
const answerable = [
  { ...whole, groupBy: ["MODEL", "STATUS"] },
  { ...whole, groupBy: ["ACCOUNT", "API_KEY"], grain: "DAY" },
  { ...whole, groupBy: ["TAG"], grain: "HOUR" },
  { ...whole, groupBy: ["END_USER", "MODEL"], grain: "MONTH" },
  { ...whole, groupBy: ["MODEL"], grain: "DAY", timeZone: "Europe/Berlin" },
  { from: "2026-01-31T07:00:00Z", to: "2026-02-01T19:00:00Z", groupBy: ["PROVIDER"], compare: true },
  { from: "2026-01-30T00:00:00Z", to: "2026-02-01T11:23:45.678Z", groupBy: ["MODEL"], top: 2 },
  { ...whole, groupBy: [], filter: { tags: ["a"] } },
  { ...whole, groupBy: ["TAG", "MODEL"], filter: { tags: ["a"] }, top: 1 },
];

async function reports(): Promise<unknown[]> {
  const told = [];
  for (const question of answerable) {
    const { asOf: _asOf, ...report } = (await server.ok(usage, { input: { limit: 5000, ...question } })).usage;
    told.push(report);
  }
  return told;
}

const reconcileOf = async (day: string) => {
  const query = `query ($day: DateTime!) { reconcile(day: $day) {
    archived balanced walletsCharged ledger { requests credits costUsd } rollup { requests credits costUsd }
    differences { kind subject ledger other }
  } }`;
  return (await server.ok(query, { day })).reconcile;
};

/** Wallets are left out: what pays for calls of the past was put into them by hand. */
const healthy = async () => {
  const findings = await new Doctor(db, createLogger({ level: "silent", production: true })).examine();
  const broken = findings.filter(({ name, breaks }) => breaks.length > 0 && !["balance", "lots"].includes(name));
  expect(broken.map(({ name, breaks }) => ({ name, breaks }))).toEqual([]);
};

const audited = (action: string) => server.database.sql`
  select actor, object, after from audit_events where action = ${action} order by seq`;

describe("a month of calls", { timeout: 120_000 }, () => {
  let before: unknown[];
  let days: unknown[];
  const everyDay = ["2026-01-30T12:00:00Z", "2026-01-31T12:00:00Z", "2026-02-01T12:00:00Z"];

  it("is not archived while one of its calls may still be settled, nor dropped before it is archived", async () => {
    const { sql } = server.database;
    await new PartitionMaintenance(db, () => {}).run();
    before = await reports();
    days = await Promise.all(everyDay.map(reconcileOf));
    await healthy();
    const [hold] =
      await sql`insert into holds (account_id, id, wallet_id, api_key_id, amount, cost_max, model, provider, price_id,
        http_request_id, created_at, lease_expires_at)
      values (${uuidOf(ann.accountId)}, gen_random_uuid(), ${uuidOf(ann.walletId)}, ${uuidOf(ann.apiKeyId)}, 0, 0, 'echo',
        'echo', gen_random_uuid(), 'test', '2026-01-31T23:59Z', now() + interval '1 hour') returning id`;
    await server.refused("CONFLICT", archiveMonth, { month: january });
    await sql`delete from holds where id = ${hold?.["id"]}`;
    await server.refused("CONFLICT", dropMonth, { month: january });
  });

  it("is written to a file, row by row, with its count and checksum", async () => {
    const { archiveMonth: month } = await server.ok(archiveMonth, { month: january });
    const { file, sha256, bytes, requests, credits } = month.archive;
    const written = await readFile(file);
    expect(createHash("sha256").update(written).digest("hex")).toBe(sha256);
    expect(String(written.length)).toBe(bytes);
    const lines = gunzipSync(written).toString().trimEnd().split("\n");
    const [stored] = await server.database.sql`
      select count(*)::text as n, to_json(sum(charged) / 1000000.0)::text as credits from requests where created_at < ${horizon}`;
    expect([requests, String(lines.length)]).toEqual([stored?.["n"], stored?.["n"]]);
    expect(Number(credits)).toBe(Number(stored?.["credits"]));
    expect(month).toMatchObject({ month: january, state: "ARCHIVED", droppedAt: null });
    // What comes out of the file again is what is in the table, to the last column.
    const [{ same }] = (await server.database.sql`
      with line as (select unnest(${server.database.sql.array(lines)}::text[])::jsonb as line),
        back as (select (jsonb_populate_record(null::requests, line)).* from line)
      select count(*)::int as same from back join requests r using (id) where back = r`) as unknown as [
      { same: number },
    ];
    expect(same).toBe(lines.length);
    expect((await audited("retention.archive")).at(-1)).toMatchObject({
      actor: expect.stringMatching(/^user:/),
      object: "requests:2026-01",
      after: { sha256, requests },
    });
  });

  it("is not dropped when its file is not what was written, nor before older ones", async () => {
    await server.refused("BAD_USER_INPUT", dropMonth, { month: january, sha256: "0".repeat(64) });
    const { months } = (await server.ok(`{ retention { months { ${fields} } } }`)).retention;
    const { file } = months[0].archive;
    const written = await readFile(file);
    await writeFile(file, "something else");
    await server.refused("CONFLICT", dropMonth, { month: january });
    await writeFile(file, written);
    await server.ok(archiveMonth, { month: "2026-02" });
    await server.refused("CONFLICT", dropMonth, { month: "2026-02" });
  });

  it("is not dropped while a restatement has not been through it", async () => {
    const { sql } = server.database;
    const [running] = await sql`
      insert into restatements (id, model, price_id, from_at, to_at, dry_run, actor, state, late_from)
      select gen_random_uuid(), 'echo', id, '2026-01-31T23:00Z', now(), false, 'test', 'SETTLING', '2026-01-31'
      from model_prices limit 1 returning id`;
    const { message } = await server.refused("CONFLICT", dropMonth, { month: january });
    expect(message).toContain("restatement");
    const [kept] = await sql`select count(*)::int as calls from requests where created_at < ${horizon}`;
    expect(kept?.["calls"]).toBeGreaterThan(0);
    await sql`update restatements set state = 'DONE' where id = ${running?.["id"]}`;
  });

  it("is dropped without holding up a call, even while somebody reads", async () => {
    const slowestOfMs = async (calls: number) => {
      let slowestMs = 0;
      for (let i = 0; i < calls; i++) {
        const startedAtMs = performance.now();
        await server.ok(generate, { input: { model: "echo", prompt: "x" } }, { key: bob.key });
        slowestMs = Math.max(slowestMs, performance.now() - startedAtMs);
      }
      return slowestMs;
    };
    const usualMs = await slowestOfMs(8);
    let dropped = false;
    const reading = db.sql.begin(async (tx) => {
      await tx`select count(*) from requests`;
      const dropping = server.ok(dropMonth, { month: january }).then((data) => {
        dropped = true;
        return data.dropMonth;
      });
      // A try to drop holds calls up for a tenth of a second at most; the rest is left to a busy machine.
      expect(await slowestOfMs(8)).toBeLessThan(3 * usualMs + 1_000);
      expect(dropped).toBe(false);
      return [dropping];
    });
    const [dropping] = await reading;
    expect(await dropping).toMatchObject({ month: january, state: "DROPPED", storedBytes: null });
    expect(await server.database.sql`select 1 from requests where created_at < ${horizon}`).toEqual([]);
    expect(await audited("retention.drop")).toHaveLength(1);
  });

  it("is in every report as before, by its sums", async () => {
    expect(await reports()).toEqual(before);
    const after = await Promise.all(everyDay.map(reconcileOf));
    expect(after).toEqual(days.map((day, i) => ({ ...(day as object), archived: i < 2 })));
    expect(after.every(({ balanced }) => balanced)).toBe(true);
    const csv = "day,model,tokens,cost\n2026-01-31,echo,1,1\n";
    const importIt = `mutation ($csv: String!) {
      importProviderInvoice(input: { provider: "echo", number: "January", csv: $csv }) { id }
    }`;
    const { id } = (await server.ok(importIt, { csv })).importProviderInvoice;
    const compare = "query ($id: ID!) { compareProviderInvoice(id: $id) { droppedBefore total { ourCostUsd } } }";
    const { compareProviderInvoice: compared } = await server.ok(compare, { id });
    expect(compared.droppedBefore).toBe(horizon);
    expect(Number(compared.total.ourCostUsd)).toBeGreaterThan(0);
    await healthy();
  });

  it("shows in the check and in reconcile when a rollup or an entry is changed behind its back", async () => {
    const { sql } = server.database;
    await sql`update usage_hourly set charged = charged + 1 where hour < ${horizon} and account_id = ${uuidOf(ann.accountId)}`;
    const { balanced, differences } = await reconcileOf("2026-01-31T12:00:00Z");
    expect([balanced, differences[0].kind]).toEqual([false, "ROLLUP"]);
    await expect(healthy()).rejects.toThrow(/archives/);
    await sql`update usage_hourly set charged = charged - 1 where hour < ${horizon} and account_id = ${uuidOf(ann.accountId)}`;
    await healthy();
  });

  it.each([
    ["a ragged beginning", { from: "2026-01-31T00:30:00Z", to: "2026-02-02T00:00:00Z" }],
    ["labels of two kinds", { ...whole, groupBy: ["TAG", "END_USER"] }],
    ["several tags", { ...whole, filter: { tags: ["a", "b"] } }],
    ["all tags but the first as one row, in which a call counts once", { ...whole, groupBy: ["TAG"], top: 1 }],
    ["days that cut hours in two", { ...whole, grain: "DAY", timeZone: "Asia/Kolkata" }],
    ["a ragged span before it", { from: "2026-02-01T00:30:00Z", to: "2026-02-01T23:45:00Z", compare: true }],
  ])("is refused to a question that only its calls could answer: %s", async (_name, question) => {
    const { message, extensions } = await server.refused("BAD_USER_INPUT", usage, { input: question });
    expect(message).toContain("archived and dropped");
    expect(extensions["droppedBefore"]).toBe(horizon);
  });

  it("is refused to lists and exports that reach back to it, and to no others", async () => {
    const list = "query ($filter: GenerationFilter) { generations(filter: $filter) { nodes { id } } }";
    await server.refused("BAD_USER_INPUT", list, { filter: { from: "2026-01-15T00:00:00Z" } });
    await server.refused("BAD_USER_INPUT", list, { filter: { to: horizon } });
    await server.ok(list, { filter: { from: horizon } });
    await server.ok(list, { filter: { to: "2026-02-02T00:00:00Z" } });
    const exported = (query: string) =>
      fetch(`${server.url}/export/${query}`, { headers: { authorization: `Bearer ${server.ownerToken}` } });
    expect((await exported("generations.csv?from=2026-01-01&to=2026-03-01")).status).toBe(400);
    expect((await exported("generations.csv?from=2026-02-01&to=2026-03-01")).status).toBe(200);
    const usageRows = await (
      await exported("usage.jsonl?from=2026-01-01&to=2026-03-01&groupBy=MODEL&grain=MONTH")
    ).text();
    expect(usageRows).toContain("2026-01-01T00:00:00.000Z");
    const entries = await (
      await exported(`entries.jsonl?from=2026-01-01&to=2030-01-01&accountId=${ann.accountId}`)
    ).text();
    expect(entries.trimEnd().split("\n").length).toBeGreaterThan(100);
    const restate = "mutation ($input: RestateUsageInput!) { restateUsage(input: $input) { id } }";
    const order = { model: "echo", priceVersion: 1, from: "2026-01-15T00:00:00Z", to: "2026-03-01T00:00:00Z" };
    await server.refused("BAD_USER_INPUT", restate, { input: order });
  });

  it("leaves the money alone: its charges stand in the entries, and a retry or a refund says what is gone", async () => {
    const [entry] = await server.database.sql`
      select e.request_id as id from credit_entries e join holds h on h.id = e.request_id and h.created_at < ${horizon} limit 1`;
    const refund = "mutation ($id: ID!) { refundCredits(input: { generationId: $id }) { id } }";
    const id = `gen_${String(entry?.["id"]).replaceAll("-", "")}`;
    expect((await server.refused("NOT_FOUND", refund, { id })).message).toContain("grantCredits");
    const idempotencyKey = crypto.randomUUID();
    const input = { model: "echo", prompt: "again", idempotencyKey };
    const [first, second] = [
      await server.ok(generate, { input }, { key: ann.key }),
      await server.ok(generate, { input }, { key: ann.key }),
    ];
    expect([second.generate.id, second.generate.replayed]).toEqual([first.generate.id, true]);
    const [seen] = await server.database
      .sql`select count(*)::int as n from bi.requests_v1 where created_at < ${horizon}`;
    expect(seen).toEqual({ n: 0 });
  });
});

describe("retention", () => {
  it("refuses months that are none, that run, or that had no calls", async () => {
    for (const month of ["2026-13", "2026-1", "; drop table requests", ""]) {
      await server.refused("BAD_USER_INPUT", archiveMonth, { month });
    }
    await server.refused("CONFLICT", archiveMonth, { month: new Date().toISOString().slice(0, 7) });
    await server.refused("NOT_FOUND", archiveMonth, { month: "2019-05".replace("2019", "2020") });
    await server.refused("CONFLICT", archiveMonth, { month: january });
    await server.refused("CONFLICT", "mutation { applyRetention { month } }");
  });

  it("drops by policy what is older than it keeps, by one server at a time", async () => {
    const { record } = new AuditService(db, Buffer.alloc(32));
    const options = { db, record, folder, keepMonths: 1, onError: () => {} };
    const servers = [new Retention(options), new Retention(options)];
    const outcomes = await Promise.allSettled(servers.map((one) => one.apply(systemOrigin("retention"))));
    const months = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? outcome.value : []));
    expect(months.map(({ month }) => month)).toEqual(["2026-02"]);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "CONFLICT" });
    }
    const [stored] = (await server.ok("{ retention { months { month state } } }")).retention.months.filter(
      ({ state }: { state: string }) => state === "STORED",
    );
    expect(stored.month).toBe(new Date().toISOString().slice(0, 7));
    expect((await audited("retention.drop")).at(-1)).toMatchObject({ actor: "system:retention" });
  });
});
