import { describe, expect, it } from "vitest";
import { generate, useServer } from "../harness/server.ts";

const server = useServer();

const grant = `mutation ($input: GrantCreditsInput!) { grantCredits(input: $input) { id balance available } }`;
const refund = `mutation ($input: RefundCreditsInput!) { refundCredits(input: $input) { balance } }`;
const takeBack = `mutation ($input: TakeBackCreditsInput!) { takeBackCredits(input: $input) { balance } }`;
const setRefill = `mutation ($input: SetRefillInput!) { setRefill(input: $input) { balance } }`;
const entries = `query ($id: ID!) { creditEntries(walletId: $id) { nodes { id kind amount balanceAfter generationId correctsId } } }`;
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();
const echo = { input: { model: "echo", prompt: "x" } };

async function entriesOf(walletId: string) {
  return (await server.ok(entries, { id: walletId })).creditEntries.nodes;
}

describe("credits that expire", () => {
  it("are spent first, and what is left of them leaves with an entry", async () => {
    const { key, walletId } = await server.customer({ credits: "5" });
    await server.ok(grant, { input: { walletId, credits: "3", expiresAt: inAnHour() } });
    await server.ok(generate, echo, { key });
    await server.database.sql`
      update credit_lots set expires_at = now() where expires_at is not null and wallet_id = ${uuid(walletId)}`;
    await server.database.sql`update wallets set due_at = now() where id = ${uuid(walletId)}`;
    const { generate: next } = await server.ok(generate, echo, { key });
    expect(next.charge.balance).toBe("4");
    expect(await entriesOf(walletId)).toMatchObject([
      { kind: "CHARGE", amount: "-1", balanceAfter: "4" },
      { kind: "EXPIRY", amount: "-2", balanceAfter: "5" },
      { kind: "CHARGE", amount: "-1", balanceAfter: "7" },
      { kind: "GRANT", amount: "3", balanceAfter: "8" },
      { kind: "GRANT", amount: "5", balanceAfter: "5" },
    ]);
  });

  it("cannot be granted for the past, nor with a priority out of bounds", async () => {
    const { walletId } = await server.customer({ credits: "0" });
    await server.refused("BAD_USER_INPUT", grant, {
      input: { walletId, credits: "1", expiresAt: "2020-01-01T00:00:00Z" },
    });
    await server.refused("BAD_USER_INPUT", grant, { input: { walletId, credits: "1", priority: 0 } });
    expect(await server.wallet(walletId)).toMatchObject({ balance: 0n });
  });
});

describe("refundCredits", () => {
  it("gives a charge back in parts, up to what was charged", async () => {
    const { key, walletId } = await server.customer({ credits: "5" });
    const { generate: call } = await server.ok(generate, echo, { key });
    await server.ok(refund, { input: { generationId: call.id, credits: "0.4" } });
    await server.refused("BAD_USER_INPUT", refund, { input: { generationId: call.id, credits: "0.7" } });
    const { refundCredits: wallet } = await server.ok(refund, { input: { generationId: call.id } });
    expect(wallet.balance).toBe("5");
    await server.refused("BAD_USER_INPUT", refund, { input: { generationId: call.id } });
    const refunds = (await entriesOf(walletId)).filter(({ kind }: { kind: string }) => kind === "REFUND");
    expect(refunds).toMatchObject([
      { amount: "0.6", generationId: call.id },
      { amount: "0.4", generationId: call.id },
    ]);
  });

  it("of twenty at once for the whole charge lets one through", async () => {
    const { key, walletId } = await server.customer({ credits: "5" });
    const { generate: call } = await server.ok(generate, echo, { key });
    const all = Array.from({ length: 20 }, () => server.call(refund, { input: { generationId: call.id } }, owner()));
    const refused = (await Promise.all(all)).filter(({ body }) => body.errors);
    expect(refused).toHaveLength(19);
    expect(await server.wallet(walletId)).toMatchObject({ balance: 5_000_000n });
  });

  it("repeats nothing for the same idempotencyKey", async () => {
    const { key } = await server.customer({ credits: "5" });
    const { generate: call } = await server.ok(generate, echo, { key });
    const input = { generationId: call.id, credits: "0.5", idempotencyKey: "once" };
    await server.ok(refund, { input });
    const { refundCredits: wallet } = await server.ok(refund, { input });
    expect(wallet.balance).toBe("4.5");
    await server.refused("IDEMPOTENCY_MISMATCH", refund, { input: { ...input, credits: "0.4" } });
  });
});

describe("takeBackCredits", () => {
  it("takes back a grant by a new entry that names it, and never more than is left of it or free", async () => {
    const { key, walletId } = await server.customer({ credits: "5" });
    await server.ok(generate, echo, { key });
    const [, first] = await entriesOf(walletId);
    const input = { entryId: first.id, credits: "4.5" };
    await server.refused("BAD_USER_INPUT", takeBack, { input });
    const { takeBackCredits: wallet } = await server.ok(takeBack, { input: { ...input, credits: "4" } });
    expect(wallet.balance).toBe("0");
    expect((await entriesOf(walletId))[0]).toMatchObject({ kind: "ADJUSTMENT", amount: "-4", correctsId: first.id });
  });

  it("leaves charges to refundCredits", async () => {
    const { key, walletId } = await server.customer({ credits: "5" });
    await server.ok(generate, echo, { key });
    const [charge] = await entriesOf(walletId);
    await server.refused("BAD_USER_INPUT", takeBack, { input: { entryId: charge.id } });
  });
});

describe("setRefill", () => {
  it("adds up to the cap, at once and when the next one is due", async () => {
    const { key, walletId } = await server.customer({ credits: "2" });
    const input = { walletId, every: "DAY", mode: "ADD", credits: "4", cap: "5" };
    const { setRefill: wallet } = await server.ok(setRefill, { input });
    expect(wallet.balance).toBe("5");
    await server.ok(generate, echo, { key });
    await makeDue(walletId);
    const { generate: call } = await server.ok(generate, echo, { key });
    expect(call.charge.balance).toBe("4");
  });

  it("of the 31st falls on the last day of each month, also after February", async () => {
    const { key, walletId } = await server.customer({ credits: "2" });
    const input = { walletId, every: "MONTH", mode: "ADD", credits: "1", cap: "5", startsAt: "2024-01-31T12:00:00Z" };
    await server.ok(setRefill, { input });
    const id = walletId.replace("wal_", "");
    await server.database.sql`update refill_rules set next_at = '2026-02-28T12:00:00Z' where wallet_id = ${id}::uuid`;
    await server.database.sql`update wallets set due_at = now() where id = ${id}::uuid`;
    await server.ok(generate, echo, { key });
    const [rule] = await server.database.sql`
      select next_at > now() as ahead, (next_at at time zone 'UTC' + interval '1 day')::timestamp::text like '%-01 12:00:00'
        as "isLastDay"
      from refill_rules where wallet_id = ${id}::uuid`;
    expect(rule).toEqual({ ahead: true, isLastDay: true });
  });

  it("replaces what is left of the refill before, and only that", async () => {
    const { key, walletId } = await server.customer({ credits: "2" });
    await server.ok(setRefill, { input: { walletId, every: "MONTH", mode: "REPLACE", credits: "10" } });
    await makeDue(walletId);
    const { generate: call } = await server.ok(generate, echo, { key });
    expect(call.charge.balance).toBe("11");
    const kinds = (await entriesOf(walletId)).map(({ kind, amount }: { kind: string; amount: string }) => [
      kind,
      amount,
    ]);
    expect(kinds).toEqual([
      ["CHARGE", "-1"],
      ["GRANT", "10"],
      ["EXPIRY", "-10"],
      ["GRANT", "10"],
      ["GRANT", "2"],
    ]);
  });

  it("spends an allowance before bought credits, so that only those are left when it ends", async () => {
    const { key, walletId } = await server.customer({ credits: "2" });
    await server.ok(setRefill, { input: { walletId, every: "DAY", mode: "REPLACE", credits: "3" } });
    await server.ok(generate, echo, { key });
    // Bringing the wallet up to date takes what was charged from its lots.
    await server.ok(setRefill, {
      input: { walletId, every: "DAY", mode: "REPLACE", credits: "3", startsAt: new Date(Date.now() + 3_600_000) },
    });
    const rows = await server.database.sql`
      select remaining, is_refill, expires_at - created_at > interval '23 hours' as for_a_day from credit_lots
      where wallet_id = ${walletId.replace("wal_", "")}::uuid order by id`;
    expect([...rows]).toEqual([
      { remaining: 2_000_000n, is_refill: false, for_a_day: null },
      { remaining: 2_000_000n, is_refill: true, for_a_day: true },
    ]);
  });

  it.each([
    ["an ADD without a cap", { mode: "ADD", credits: "4" }],
    ["a REPLACE with a cap", { mode: "REPLACE", credits: "4", cap: "5" }],
    ["a cap below the credits", { mode: "ADD", credits: "4", cap: "3" }],
    ["no credits", { mode: "REPLACE", credits: "0" }],
  ])("refuses %s and moves nothing", async (_what, rule) => {
    const { walletId } = await server.customer({ credits: "2" });
    await server.refused("BAD_USER_INPUT", setRefill, { input: { walletId, every: "DAY", ...rule } });
    expect(await server.wallet(walletId)).toMatchObject({ balance: 2_000_000n });
  });
});

describe("setLowBalance", () => {
  it("raises one alert each time that the balance falls below the mark", async () => {
    const { key, walletId } = await server.customer({ credits: "3" });
    await server.ok('mutation ($id: ID!) { setLowBalance(walletId: $id, credits: "1.5") { id } }', { id: walletId });
    for (let i = 0; i < 3; i++) await server.ok(generate, echo, { key });
    const alerts = await server.database.sql`
      select details from alerts where kind = 'wallet.low_balance' and subject = ${`wallet:${uuid(walletId)}`}`;
    expect(alerts).toEqual([{ details: { balance: "1000000", threshold: "1500000" } }]);
  });

  it("raises one as well when credits are taken back or expire, and none when a refill makes up for it", async () => {
    const { walletId } = await server.customer({ credits: "1" });
    const { sql } = server.database;
    const wallet = uuid(walletId);
    const alerts = async () =>
      (await sql`select details from alerts where subject = ${`wallet:${wallet}`}`).map(
        ({ details }) => details.balance,
      );
    await server.ok('mutation ($id: ID!) { setLowBalance(walletId: $id, credits: "3") { id } }', { id: walletId });
    const grant = "mutation ($input: GrantCreditsInput!) { grantCredits(input: $input) { id } }";
    await server.ok(grant, { input: { walletId, credits: "4" } });
    const [entry] = await sql`select id from credit_entries where wallet_id = ${wallet} order by id desc limit 1`;
    const takeBack = "mutation ($input: TakeBackCreditsInput!) { takeBackCredits(input: $input) { id } }";
    const entryId = `ent_${String(entry?.["id"]).replaceAll("-", "")}`;
    await server.ok(takeBack, { input: { entryId, credits: "3" } });
    expect(await alerts()).toEqual(["2000000"]);

    const expiresAt = new Date(Date.now() + 3_600_000);
    await server.ok(grant, { input: { walletId, credits: "5", expiresAt } });
    const expire = () =>
      sql`update credit_lots set expires_at = now() where wallet_id = ${wallet} and expires_at > now()`;
    await expire();
    await server.ok(setRefill, { input: { walletId, every: "DAY", mode: "REPLACE", credits: "9" } });
    expect(await alerts()).toEqual(["2000000", "2000000"]);
    await expire();
    await sql`update refill_rules set next_at = now() where wallet_id = ${wallet}`;
    await server.ok(grant, { input: { walletId, credits: "1" } });
    const [moved] = await sql`select array_agg(kind || amount order by id desc) as last from credit_entries
      where wallet_id = ${wallet} and amount in (-9000000, 9000000)`;
    expect(moved?.["last"]).toEqual(["GRANT9000000", "EXPIRY-9000000", "GRANT9000000"]);
    expect(await alerts()).toHaveLength(2);
  });
});

describe("setAccountBudgets", () => {
  it("binds all keys of the account together", async () => {
    const first = await server.customer({ credits: "10" });
    const second = await server.customer({ credits: "10", accountId: first.accountId });
    const set =
      "mutation ($input: SetAccountBudgetsInput!) { setAccountBudgets(input: $input) { dailyBudgetCredits } }";
    await server.ok(set, { input: { accountId: first.accountId, dailyBudgetCredits: "3" } });
    const calls = Array.from({ length: 10 }, (_, i) =>
      server.call(generate, echo, { key: i % 2 === 0 ? first.key : second.key }),
    );
    const codes = (await Promise.all(calls)).map(({ body }) => body.errors?.[0]?.extensions.code ?? "ok");
    expect(codes.filter((code) => code === "ok")).toHaveLength(3);
    const { extensions } = await server.refused("BUDGET_EXCEEDED", generate, echo, { key: first.key });
    expect(extensions).toMatchObject({
      budget: { scope: "ACCOUNT", unit: "CREDITS", period: "DAY" },
      limit: "3",
      used: "3",
      liftedBy: expect.any(String),
    });
  });
});

describe("credit entries", () => {
  it("can be neither changed nor removed, not even in the database", async () => {
    const { walletId } = await server.customer({ credits: "2" });
    const { sql } = server.database;
    const id = uuid(walletId);
    await expect(sql`update credit_entries set amount = 9 where wallet_id = ${id}`).rejects.toMatchObject({
      code: "42501",
    });
    await expect(sql`delete from credit_entries where wallet_id = ${id}`).rejects.toMatchObject({ code: "42501" });
  });
});

function uuid(wireId: string): string {
  return wireId.slice(4).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function owner() {
  return { token: server.ownerToken };
}

async function makeDue(walletId: string): Promise<void> {
  const id = uuid(walletId);
  await server.database.sql`update refill_rules set next_at = now() where wallet_id = ${id}`;
  await server.database.sql`update wallets set due_at = now() where id = ${id}`;
}
