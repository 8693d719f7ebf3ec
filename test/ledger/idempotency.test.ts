import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Database } from "../../src/db/client.ts";
import { Sweeper } from "../../src/ledger/checks/sweeper.ts";
import { Wallets } from "../../src/ledger/wallets/wallets.ts";
import { createLogger } from "../../src/log.ts";
import { type Customer, generate, useServer } from "../harness/server.ts";
import { startHeldStandin } from "../standins/held.ts";

const standin = await startHeldStandin();
afterAll(() => standin.close());
const server = useServer({ OPENAI_COMPATIBLE_SERVICES: `cloud=${standin.url}` });

let model = "";
beforeAll(async () => {
  model = await server.model("cloud", "held", { outputCreditsPerMillion: "1000" });
});

const once = (prompt: string, idempotencyKey = "once") => ({ input: { model, prompt, idempotencyKey } });
const uuid = (wireId: string) => wireId.slice(4);
const grant = "mutation ($input: GrantCreditsInput!) { grantCredits(input: $input) { balance } }";

async function chargesOf({ accountId }: Customer): Promise<number> {
  const rows = await server.database.sql`
    select from credit_entries where kind = 'CHARGE' and account_id = ${uuid(accountId)}::uuid`;
  return rows.length;
}

/** How often the server has looked for the record of a call that waits for its twin. */
const lookups = () => server.statements.filter((text) => /^select .*"idempotency_records"/s.test(text)).length;

/** The server finds that the calls of this account stopped giving signs of life a while ago. */
async function letDie({ accountId }: Customer): Promise<void> {
  const id = uuid(accountId);
  await server.database
    .sql`update holds set lease_expires_at = now() where account_id = ${id}::uuid and state = 'open'`;
  const db = new Database({ url: server.database.url, poolSize: 2 });
  await new Sweeper(db, new Wallets(db), createLogger({ level: "silent", production: true })).sweep();
  await db.close();
  await server.database.sql`
    update idempotency_records set claimed_at = now() - interval '1 minute' where account_id = ${id}::uuid`;
}

describe("a call with an idempotencyKey works", () => {
  it("once for fifty twins: one call of the provider, one charge, fifty equal answers", async () => {
    const customer = await server.customer();
    const gate = standin.hold("fifty twins");
    const before = lookups();
    const calls = Array.from({ length: 50 }, () => server.ok(generate, once("fifty twins"), { key: customer.key }));
    await gate.waiting(1);
    await expect.poll(() => lookups() - before).toBeGreaterThanOrEqual(49);
    gate.open();
    const answers = (await Promise.all(calls)).map((data) => data.generate);
    expect(standin.callsWith("fifty twins")).toBe(1);
    expect(await chargesOf(customer)).toBe(1);
    expect(answers.filter(({ replayed }) => replayed)).toHaveLength(49);
    const { replayed: _, ...first } = answers.find(({ replayed }) => !replayed);
    expect(first).toMatchObject({ status: "COMPLETED", text: "ok", charge: { credits: "1.004" } });
    for (const { replayed: _replayed, ...answer } of answers) expect(answer).toEqual(first);
    expect(await server.wallet(customer.walletId)).toEqual({ balance: 98_996_000n, held: 0n });
  });

  it("and again later, with no charge", async () => {
    const customer = await server.customer();
    const { generate: first } = await server.ok(generate, once("later"), { key: customer.key });
    const { generate: second } = await server.ok(generate, once("later"), { key: customer.key });
    expect(second).toEqual({ ...first, replayed: true });
    expect([standin.callsWith("later"), await chargesOf(customer)]).toEqual([1, 1]);
  });

  it("anew for another idempotency key, another API key of the account, and after 24 hours", async () => {
    const customer = await server.customer();
    const sibling = await server.customer({ accountId: customer.accountId });
    await server.ok(generate, once("anew"), { key: customer.key });
    for (const [variables, key] of [
      [once("anew", "twice"), customer.key],
      [once("anew"), sibling.key],
    ] as const) {
      expect((await server.ok(generate, variables, { key })).generate.replayed).toBe(false);
    }
    await server.database.sql`
      update idempotency_records set expires_at = now() where account_id = ${uuid(customer.accountId)}::uuid`;
    expect((await server.ok(generate, once("anew"), { key: customer.key })).generate.replayed).toBe(false);
    expect([standin.callsWith("anew"), await chargesOf(customer)]).toEqual([4, 4]);
  });

  it("for a day", async () => {
    const { key, accountId } = await server.customer();
    await server.ok(generate, once("a day"), { key });
    const [record] = await server.database.sql`
      select extract(epoch from expires_at - now())::int as seconds from idempotency_records
      where account_id = ${uuid(accountId)}::uuid`;
    expect(record?.["seconds"]).toBeGreaterThan(86_400 - 60);
    expect(record?.["seconds"]).toBeLessThanOrEqual(86_400);
  });

  it("in place of one that died: of those who wait one runs, and the late answer changes nothing", async () => {
    const customer = await server.customer();
    const { key } = customer;
    const gate = standin.hold("first died");
    const first = server.ok(generate, once("first died"), { key });
    await gate.waiting(1);
    const twins = Array.from({ length: 10 }, () => server.ok(generate, once("first died"), { key }));
    await letDie(customer);
    await gate.waiting(2);
    gate.release("too late");
    const { generate: late } = await first;
    expect(late).toMatchObject({ status: "ABANDONED", replayed: false, charge: { credits: "0" } });
    gate.release("in its place");
    const answers = (await Promise.all(twins)).map((data) => data.generate);
    expect(answers.map(({ text }) => text)).toEqual(Array(10).fill("in its place"));
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
    expect([standin.callsWith("first died"), await chargesOf(customer)]).toEqual([2, 1]);
    expect(await server.wallet(customer.walletId)).toEqual({ balance: 98_996_000n, held: 0n });
  });
});

describe("a call with an idempotencyKey refuses", () => {
  it.each([
    ["another prompt", { prompt: "another prompt" }],
    ["another limit", { maxOutputTokens: 7 }],
    ["another tag", { tags: ["b"] }],
  ])("%s under the same key, and moves nothing", async (what, change) => {
    const { key, walletId } = await server.customer();
    const { input } = once(`mismatch ${what}`);
    await server.ok(generate, { input }, { key });
    const { status } = await server.refused(
      "IDEMPOTENCY_MISMATCH",
      generate,
      { input: { ...input, ...change } },
      { key },
    );
    expect(status).toBe(409);
    expect(await server.wallet(walletId)).toEqual({ balance: 98_996_000n, held: 0n });
  });

  it("another input while the first is still under way", async () => {
    const { key } = await server.customer();
    const gate = standin.hold("under way");
    const first = server.ok(generate, once("under way"), { key });
    await gate.waiting(1);
    await server.refused("IDEMPOTENCY_MISMATCH", generate, once("something else"), { key });
    gate.open();
    expect((await first).generate.replayed).toBe(false);
  });

  it.each([
    ["an empty one", ""],
    ["one of 201 characters", "x".repeat(201)],
  ])("%s", async (_what, idempotencyKey) => {
    const { key } = await server.customer();
    await server.refused("BAD_USER_INPUT", generate, once("never", idempotencyKey), { key });
    expect(standin.callsWith("never")).toBe(0);
  });
});

describe("a call with an idempotencyKey protects", () => {
  it("the key from a call that was refused: it is free for one that can be paid for", async () => {
    const { key, walletId } = await server.customer({ credits: "0" });
    await server.refused("OUT_OF_CREDITS", generate, once("paid later"), { key });
    await server.ok(grant, { input: { walletId, credits: "5" } });
    expect((await server.ok(generate, once("paid later"), { key })).generate.replayed).toBe(false);
    expect(standin.callsWith("paid later")).toBe(1);
  });

  it("the key from a provider that failed", async () => {
    const customer = await server.customer();
    const { key } = customer;
    const gate = standin.hold("failed once");
    const first = server.refused("PROVIDER_FAILED", generate, once("failed once"), { key });
    await gate.waiting(1);
    const twins = Array.from({ length: 5 }, () => server.ok(generate, once("failed once"), { key }));
    gate.release("fail");
    await first;
    await gate.waiting(2);
    gate.release("well then");
    const answers = (await Promise.all(twins)).map((data) => data.generate);
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
    expect(answers.map(({ text }) => text)).toEqual(Array(5).fill("well then"));
    expect([standin.callsWith("failed once"), await chargesOf(customer)]).toEqual([2, 1]);
  });

  it("what was asked and answered: nothing of it can be read in the database", async () => {
    const { key, accountId } = await server.customer();
    const gate = standin.hold("canary-prompt");
    const call = server.ok(generate, once("canary-prompt", "canary-key"), { key });
    await gate.waiting(1);
    gate.release("canary-answer");
    await call;
    const [record] = await server.database.sql<{ json: string; answer: Buffer }[]>`
      select to_jsonb(r)::text as json, answer from idempotency_records r where account_id = ${uuid(accountId)}::uuid`;
    const bytes = record?.answer.toString("latin1") ?? "";
    // A nonce of 12 bytes and a tag of 16 are in front of what is encrypted.
    expect(bytes.length).toBeGreaterThanOrEqual("canary-answer".length + 28);
    for (const form of ["utf8", "hex", "base64"] as const) {
      const words = ["canary-prompt", "canary-key", "canary-answer"].map((word) => Buffer.from(word).toString(form));
      for (const word of words) for (const text of [bytes, record?.json]) expect(text).not.toContain(word);
    }
  });

  it("the server from twins whose clients have left: they stop waiting", async () => {
    const { key } = await server.customer();
    const gate = standin.hold("left alone");
    const first = server.ok(generate, once("left alone"), { key });
    await gate.waiting(1);
    const leaving = new AbortController();
    const before = lookups();
    const twin = fetch(`${server.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": key },
      body: JSON.stringify({ query: generate, variables: once("left alone") }),
      signal: leaving.signal,
    });
    await expect.poll(() => lookups() - before).toBeGreaterThan(1);
    leaving.abort();
    await expect(twin).rejects.toThrow();
    // A twin that waits looks again within 250 ms; for four times as long nobody does.
    let seen = -1;
    const stillSince = () => {
      const [earlier, now] = [seen, lookups()];
      seen = now;
      return now === earlier;
    };
    await expect.poll(stillSince, { interval: 1_000, timeout: 5_000 }).toBe(true);
    gate.open();
    expect((await first).generate.text).toBe("ok");
    expect(standin.callsWith("left alone")).toBe(1);
  });
});
