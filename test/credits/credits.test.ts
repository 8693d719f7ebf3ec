import { describe, expect, it } from "vitest";
import { dumpState } from "../harness/dump.ts";
import { generate, useServer } from "../harness/server.ts";

const server = useServer();

const grant = `mutation ($input: GrantCreditsInput!) {
  grantCredits(input: $input) { id balance held available }
}`;
const entries = `query ($walletId: ID!, $first: Int, $after: String) {
  creditEntries(walletId: $walletId, first: $first, after: $after) {
    nodes { id kind amount balanceAfter actor reason generationId createdAt } pageInfo { hasNextPage endCursor }
  }
}`;
const prompt = { input: { model: "echo", prompt: "Hello" } };

/** Micro-credits of a decimal, computed here apart from the server's own way. */
function micro(decimal: string): bigint {
  const [whole = "0", fraction = ""] = decimal.replace("-", "").split(".");
  const amount = BigInt(whole) * 1_000_000n + BigInt(fraction.padEnd(6, "0"));
  return decimal.startsWith("-") ? -amount : amount;
}

async function allEntries(walletId: string, first = 100) {
  const found: { kind: string; amount: string; balanceAfter: string; [field: string]: unknown }[] = [];
  let after: string | null = null;
  do {
    const { creditEntries: page } = await server.ok(entries, { walletId, first, after });
    found.push(...page.nodes);
    after = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
  } while (after !== null);
  return found;
}

describe("credits work", () => {
  it("go to the wallet of a key, or to a wallet named by itself", async () => {
    const { apiKeyId, walletId } = await server.customer({ credits: "0" });
    const first = await server.ok(grant, { input: { apiKeyId, credits: "12.5" } });
    expect(first.grantCredits).toEqual({ id: walletId, balance: "12.5", held: "0", available: "12.5" });
    const second = await server.ok(grant, { input: { walletId, credits: "0.000001" } });
    expect(second.grantCredits.balance).toBe("12.500001");
  });

  it("are listed as entries, newest first, that explain the balance to the last millionth", async () => {
    const { key, apiKeyId, walletId } = await server.customer({ credits: "1.5" });
    await server.ok(grant, { input: { apiKeyId, credits: "2.25", reason: "a gift" } });
    const { generate: call } = await server.ok(generate, prompt, { key });
    const { me } = await server.ok("{ me { user { id } } }");
    const list = await allEntries(walletId);
    const actor = expect.stringMatching(/^user:/);
    expect(list).toMatchObject([
      { kind: "CHARGE", amount: "-1", balanceAfter: "2.75", reason: null, generationId: call.id },
      { kind: "GRANT", amount: "2.25", balanceAfter: "3.75", actor, reason: "a gift", generationId: null },
      { kind: "GRANT", amount: "1.5", balanceAfter: "1.5", actor, reason: "first credits" },
    ]);
    expect(String(list[1]?.["actor"]).replaceAll("-", "")).toBe(me.user.id.replace("usr_", "user:"));
    expect(String(list[0]?.["actor"]).replaceAll("-", "")).toBe(apiKeyId.replace("key_", "key:"));
    expect(list.reduce((sum, { amount }) => sum + micro(amount), 0n)).toBe((await server.wallet(walletId)).balance);
  });

  it("page by cursor with no gap and no repeat", async () => {
    const { walletId } = await server.customer({ credits: "1" });
    for (const credits of ["2", "3", "4", "5", "6", "7"]) await server.ok(grant, { input: { walletId, credits } });
    const list = await allEntries(walletId, 3);
    expect(list.map(({ amount }) => amount)).toEqual(["7", "6", "5", "4", "3", "2", "1"]);
    expect(list.map(({ balanceAfter }) => balanceAfter)).toEqual(["28", "21", "15", "10", "6", "3", "1"]);
  });

  it("are spent by two keys from one shared wallet, and by others from wallets of their own", async () => {
    const { accountId, walletId: own } = await server.customer();
    const first = await server.customer({ accountId, sharedWallet: true, credits: "1" });
    const second = await server.customer({ accountId, sharedWallet: true, credits: "1" });
    expect(second.walletId).toBe(first.walletId);
    expect(first.walletId).not.toBe(own);
    const { generate: call } = await server.ok(generate, prompt, { key: first.key });
    expect(call.charge.balance).toBe("1");
    await server.ok(generate, prompt, { key: second.key });
    await server.refused("OUT_OF_CREDITS", generate, prompt, { key: first.key });
    expect(await server.wallet(first.walletId)).toEqual({ balance: 0n, held: 0n });
    expect(await server.wallet(own)).toEqual({ balance: 100_000_000n, held: 0n });
  });

  it("are granted once for one idempotency key, and again for another", async () => {
    const { walletId } = await server.customer({ credits: "0" });
    const input = { walletId, credits: "5", idempotencyKey: "order-1" };
    for (const _ of [1, 2, 3]) expect((await server.ok(grant, { input })).grantCredits.balance).toBe("5");
    expect((await server.ok(grant, { input: { ...input, credits: "5.000" } })).grantCredits.balance).toBe("5");
    const other = await server.ok(grant, { input: { ...input, idempotencyKey: "order-2" } });
    expect(other.grantCredits.balance).toBe("10");
    expect(await allEntries(walletId)).toHaveLength(2);
  });
});

describe("credits refuse", () => {
  const bad: [string, unknown][] = [
    ["nothing", "0"],
    ["nothing with places", "0.000000"],
    ["minus nothing", "-0"],
    ["less than nothing", "-5"],
    ["NaN", "NaN"],
    ["infinity", "Infinity"],
    ["an exponent", "1e30"],
    ["a small exponent", "1e2"],
    ["a seventh place", "0.0000001"],
    ["a comma", "1,000"],
    ["an underscore", "1_000"],
    ["hexadecimal", "0x10"],
    ["a plus", "+5"],
    ["a space", " 5"],
    ["a line break", "5\n"],
    ["other digits", "５"],
    ["no digit before the point", ".5"],
    ["no digit after the point", "5."],
    ["an empty text", ""],
    ["14 digits", "10000000000000"],
    ["more than int64 holds", "9223372036854.775808"],
    ["a number", 5],
    ["a fraction", 0.1],
    ["a number beyond double precision", 2 ** 53],
    ["a flag", true],
    ["a list", ["5"]],
    ["null", null],
  ];
  it.each(bad)("to grant %s", async (_what, credits) => {
    const { walletId } = await server.customer({ credits: "3" });
    const { status } = await server.refused("BAD_USER_INPUT", grant, { input: { walletId, credits } });
    expect(status).toBe(400);
    expect(await server.wallet(walletId)).toEqual({ balance: 3_000_000n, held: 0n });
    expect(await allEntries(walletId)).toHaveLength(1);
  });

  it("what would take a wallet beyond int64, and move nothing", async () => {
    const { walletId } = await server.customer({ credits: "0" });
    const most = "9223372036854.775807";
    expect((await server.ok(grant, { input: { walletId, credits: most } })).grantCredits.balance).toBe(most);
    for (const credits of ["0.000001", most]) {
      await server.refused("BAD_USER_INPUT", grant, { input: { walletId, credits } });
    }
    expect(await server.wallet(walletId)).toEqual({ balance: 2n ** 63n - 1n, held: 0n });
    expect(await allEntries(walletId)).toHaveLength(1);
  });

  it("both and neither of apiKeyId and walletId, also when one of them is empty", async () => {
    const { apiKeyId, walletId } = await server.customer();
    await server.refused("BAD_USER_INPUT", grant, { input: { apiKeyId, walletId, credits: "1" } });
    await server.refused("BAD_USER_INPUT", grant, { input: { credits: "1" } });
    await server.refused("BAD_USER_INPUT", grant, { input: { apiKeyId: null, walletId: null, credits: "1" } });
    await server.refused("NOT_FOUND", grant, { input: { apiKeyId: "", walletId, credits: "1" } });
    expect((await server.wallet(walletId)).balance).toBe(100_000_000n);
  });

  it("a wallet or key that is not there", async () => {
    const digits = "01900000000070008000000000000000";
    const { apiKeyId, walletId } = await server.customer();
    for (const target of [
      { walletId: `wal_${digits}` },
      { apiKeyId: `key_${digits}` },
      { walletId: apiKeyId },
      { apiKeyId: walletId },
    ]) {
      await server.refused("NOT_FOUND", grant, { input: { ...target, credits: "1" } });
    }
    for (const id of [`wal_${digits}`, apiKeyId, ""]) await server.refused("NOT_FOUND", entries, { walletId: id });
  });

  it("an idempotency key that was used for another amount", async () => {
    const { walletId } = await server.customer({ credits: "0" });
    const input = { walletId, credits: "5", idempotencyKey: "order-1" };
    await server.ok(grant, { input });
    const { status } = await server.refused("IDEMPOTENCY_MISMATCH", grant, { input: { ...input, credits: "6" } });
    expect(status).toBe(409);
    expect((await server.wallet(walletId)).balance).toBe(5_000_000n);
  });

  it.each([
    ["an empty idempotency key", { idempotencyKey: "" }],
    ["an idempotency key of 201 characters", { idempotencyKey: "x".repeat(201) }],
    ["a reason of 501 characters", { reason: "x".repeat(501) }],
    ["a reason with a NUL", { reason: "a\0b" }],
    ["a kind", { kind: "REFUND" }],
  ])("%s", async (_what, change) => {
    const { walletId } = await server.customer();
    await server.refused("BAD_USER_INPUT", grant, { input: { walletId, credits: "1", ...change } });
    expect((await server.wallet(walletId)).balance).toBe(100_000_000n);
  });
});

describe("credits protect", () => {
  it("against twins: of 20 equal grants at once one is made, and all are answered alike", async () => {
    const { walletId } = await server.customer({ credits: "0" });
    const input = { walletId, credits: "5", idempotencyKey: "order-1" };
    const answers = await Promise.all(Array.from({ length: 20 }, () => server.ok(grant, { input })));
    expect(new Set(answers.map(({ grantCredits }) => grantCredits.balance))).toEqual(new Set(["5"]));
    expect(await allEntries(walletId)).toHaveLength(1);
  });

  it("against twins that differ: one amount is granted and the others are told so", async () => {
    const { walletId } = await server.customer({ credits: "0" });
    const input = { walletId, idempotencyKey: "order-1" };
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        server.call(grant, { input: { ...input, credits: String(i + 1) } }, { token: server.ownerToken }),
      ),
    );
    const codes = answers.map(({ body }) => body.errors?.[0]?.extensions.code ?? "ok");
    expect(codes.filter((code) => code === "ok")).toHaveLength(1);
    expect(codes.filter((code) => code === "IDEMPOTENCY_MISMATCH")).toHaveLength(19);
    const [entry] = await allEntries(walletId);
    expect(micro(entry?.amount ?? "")).toBe((await server.wallet(walletId)).balance);
  });

  it("the sum: whatever grants and calls do at once, entries add up to the balance", async () => {
    const { key, walletId } = await server.customer({ credits: "10" });
    const work = Array.from({ length: 60 }, (_, i) =>
      i % 3 === 0 ? server.ok(grant, { input: { walletId, credits: "0.1" } }) : server.call(generate, prompt, { key }),
    );
    await Promise.all(work);
    const { balance, held } = await server.wallet(walletId);
    const list = await allEntries(walletId);
    expect(list.reduce((sum, { amount }) => sum + micro(amount), 0n)).toBe(balance);
    expect([held, balance >= 0n]).toEqual([0n, true]);
    expect(list.filter(({ kind }) => kind === "GRANT")).toHaveLength(21);
  });

  it("wallets from people who may not touch them", async () => {
    const { key, walletId, accountId } = await server.customer();
    const other = await server.customer();
    const member = (await server.person("MEMBER", accountId)).token;
    const { token: analyst } = await server.staff("ANALYST");
    const { token: operator } = await server.staff("OPERATOR");
    const before = await dumpState(server.database);
    for (const as of [{ key }, { token: member }, { token: analyst }, { token: operator }]) {
      await server.refused("FORBIDDEN", grant, { input: { walletId, credits: "1" } }, as);
    }
    await server.refused("FORBIDDEN", entries, { walletId }, { key });
    await server.ok(entries, { walletId }, { token: analyst });
    await server.ok(entries, { walletId }, { token: member });
    await server.refused("NOT_FOUND", entries, { walletId: other.walletId }, { token: member });
    expect(await dumpState(server.database)).toEqual(before);
  });

  it("against first credits from people who may not grant any", async () => {
    const { accountId } = await server.customer();
    const create = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }";
    const rich = { input: { name: "rich", accountId, credits: "1000000" } };
    const member = (await server.person("MEMBER", accountId)).token;
    const { token: operator } = await server.staff("OPERATOR");
    const before = await dumpState(server.database);
    for (const token of [member, operator]) await server.refused("FORBIDDEN", create, rich, { token });
    expect(await dumpState(server.database)).toEqual(before);
    await server.ok(create, { input: { ...rich.input, credits: "0" } }, { token: operator });
    await server.ok(create, rich, { token: (await server.staff("ADMIN")).token });
  });

  it("what a caller may know: a key sees its wallet, a MEMBER the shared one of the account", async () => {
    const { key, accountId, walletId } = await server.customer();
    const shared = await server.customer({ accountId, sharedWallet: true, credits: "7" });
    const { token } = await server.person("MEMBER", accountId);
    const mine = async (as: object) => (await server.ok("{ me { wallet { id balance } } }", {}, as)).me.wallet;
    expect(await mine({ key })).toEqual({ id: walletId, balance: "100" });
    expect(await mine({ token })).toEqual({ id: shared.walletId, balance: "7" });
    expect(await mine({ token: server.ownerToken })).toBeNull();
  });
});
