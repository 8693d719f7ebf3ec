import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Answer, generate, useServer } from "../harness/server.ts";
import { startHeldStandin } from "../standins/held.ts";

const standin = await startHeldStandin();
afterAll(() => standin.close());
const server = useServer({ OPENAI_COMPATIBLE_SERVICES: `cloud=${standin.url}` });

const echo = { input: { model: "echo", prompt: "now" } };
const setBudgets =
  "mutation ($input: SetAccountBudgetsInput!) { setAccountBudgets(input: $input) { dailyBudgetCredits } }";

/** A cent for ten tokens of output, and nothing else. */
let centModel = "";
beforeAll(async () => {
  centModel = await server.model("cloud", "held", { outputUsdPerMillion: "1000" });
});

const tenTokens = (prompt: string) => ({ input: { model: centModel, prompt, maxOutputTokens: 10 } });
const codeOf = ({ body }: Answer) => body.errors?.[0]?.extensions.code ?? "ok";

function fifty(key: string, variables: object = echo): Promise<Answer>[] {
  return Array.from({ length: 50 }, () => server.call(generate, variables, { key }));
}

async function count(calls: Promise<Answer>[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const code of (await Promise.all(calls)).map(codeOf)) counts[code] = (counts[code] ?? 0) + 1;
  return counts;
}

/** Resolves with the first answer once so many of the calls are answered. */
async function answered(calls: Promise<Answer>[], number: number): Promise<Answer | undefined> {
  const answers: Answer[] = [];
  await new Promise<void>((resolve, reject) => {
    for (const call of calls) {
      call.then((answer) => {
        if (answers.push(answer) === number) resolve();
      }, reject);
    }
  });
  return answers[0];
}

function nextDay(): string {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() + 1)).toISOString();
}

function nextMonth(): string {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)).toISOString();
}

describe("budgets in credits", () => {
  it.each([
    ["dailyBudgetCredits", "DAY", nextDay],
    ["monthlyBudgetCredits", "MONTH", nextMonth],
  ])(
    "of fifty calls at once %s grants exactly what fits, and says what refused the rest",
    async (field, period, reset) => {
      const { key, walletId } = await server.customer({ [field]: "10" });
      expect(await count(fifty(key))).toEqual({ ok: 10, BUDGET_EXCEEDED: 40 });
      const { extensions, status } = await server.refused("BUDGET_EXCEEDED", generate, echo, { key });
      expect(status).toBe(402);
      expect(extensions).toMatchObject({
        budget: { scope: "KEY", unit: "CREDITS", period },
        limit: "10",
        used: "10",
        resetAt: reset(),
        liftedBy: expect.stringContaining("admin"),
      });
      expect(await server.wallet(walletId)).toEqual({ balance: 90_000_000n, held: 0n });
    },
  );

  it("start anew with the next day, and the month goes on", async () => {
    const { key, apiKeyId } = await server.customer({ dailyBudgetCredits: "2", monthlyBudgetCredits: "3" });
    expect(await count(fifty(key))).toEqual({ ok: 2, BUDGET_EXCEEDED: 48 });
    // As if the day of these two calls were over: its row becomes yesterday's.
    await server.database.sql`
      update budget_windows set starts_on = starts_on - 1
      where period = 'DAY' and scope_id = ${apiKeyId.replace("key_", "")}::uuid`;
    expect(await count(fifty(key))).toEqual({ ok: 1, BUDGET_EXCEEDED: 49 });
    const { extensions } = await server.refused("BUDGET_EXCEEDED", generate, echo, { key });
    expect(extensions["budget"]).toMatchObject({ period: "MONTH" });
  });
});

describe("budgets in USD", () => {
  it("reserve the most that a call can cost, and count what it did cost", async () => {
    const { key } = await server.customer({ dailyBudgetUsd: "0.07" });
    const gate = standin.hold("seven cents");
    const calls = fifty(key, tenTokens("seven cents"));
    await gate.waiting(7);
    // The refusals come while the seven are under way: what they hold counts as used.
    const refused = await answered(calls, 43);
    expect(refused?.body.errors?.[0]?.extensions).toMatchObject({
      code: "BUDGET_EXCEEDED",
      budget: { scope: "KEY", unit: "USD", period: "DAY" },
      limit: "0.07",
      used: "0.07",
      resetAt: nextDay(),
    });
    gate.open();
    expect(await count(calls)).toEqual({ ok: 7, BUDGET_EXCEEDED: 43 });
    // Four tokens each were produced, so 2.8 cents are used and 4.2 left: four more at once.
    const again = standin.hold("four more");
    const more = fifty(key, tenTokens("four more"));
    await again.waiting(4);
    await answered(more, 46);
    again.open();
    expect(await count(more)).toEqual({ ok: 4, BUDGET_EXCEEDED: 46 });
    expect(standin.callsWith("four more")).toBe(4);
  });

  it("are free again after a call that failed", async () => {
    const { key } = await server.customer({ monthlyBudgetUsd: "0.01", dailyBudgetCredits: "1" });
    for (let i = 0; i < 3; i++) await server.refused("PROVIDER_FAILED", generate, tenTokens("please fail"), { key });
    await server.ok(generate, tenTokens("fine"), { key });
    const { extensions } = await server.refused("BUDGET_EXCEEDED", generate, tenTokens("fine"), { key });
    expect(extensions).toMatchObject({ budget: { unit: "CREDITS", period: "DAY" }, used: "1" });
  });

  it("refuse from the first call on when they are zero", async () => {
    const { key, walletId } = await server.customer({ dailyBudgetUsd: "0" });
    await server.refused("BUDGET_EXCEEDED", generate, tenTokens("nothing"), { key });
    expect(standin.callsWith("nothing")).toBe(0);
    expect(await server.wallet(walletId)).toEqual({ balance: 100_000_000n, held: 0n });
  });
});

describe("of several limits the smallest wins", () => {
  it.each([
    ["the key's day", { dailyBudgetCredits: "3", monthlyBudgetCredits: "5" }, "9", { scope: "KEY", period: "DAY" }],
    ["the key's month", { dailyBudgetCredits: "5", monthlyBudgetCredits: "3" }, "9", { scope: "KEY", period: "MONTH" }],
    ["the account's day", { dailyBudgetCredits: "5" }, "3", { scope: "ACCOUNT", period: "DAY" }],
  ])("%s", async (_what, budgets, accountsDay, budget) => {
    const { key, accountId, walletId } = await server.customer({ credits: "10", ...budgets });
    await server.ok(setBudgets, { input: { accountId, dailyBudgetCredits: accountsDay } });
    expect(await count(fifty(key))).toEqual({ ok: 3, BUDGET_EXCEEDED: 47 });
    const { extensions } = await server.refused("BUDGET_EXCEEDED", generate, echo, { key });
    expect(extensions).toMatchObject({ budget, limit: "3", used: "3" });
    expect(await server.wallet(walletId)).toEqual({ balance: 7_000_000n, held: 0n });
  });

  it("the wallet", async () => {
    const { key, accountId, walletId } = await server.customer({ credits: "3", dailyBudgetCredits: "5" });
    await server.ok(setBudgets, { input: { accountId, dailyBudgetCredits: "4" } });
    expect(await count(fifty(key))).toEqual({ ok: 3, OUT_OF_CREDITS: 47 });
    expect(await server.wallet(walletId)).toEqual({ balance: 0n, held: 0n });
  });

  it("the account's budget, over all its keys together", async () => {
    const { key, accountId } = await server.customer({ dailyBudgetCredits: "6" });
    await server.ok(setBudgets, { input: { accountId, dailyBudgetCredits: "8" } });
    const other = await server.customer({ accountId });
    const counts = await count([...fifty(key), ...fifty(other.key)]);
    expect(counts).toEqual({ ok: 8, BUDGET_EXCEEDED: 92 });
  });
});

describe("the first calls of a new account, all at once,", () => {
  it("find one wallet and one budget each, and what the account's plan says holds from the first on", async () => {
    const { createPlan } = await server.ok("mutation ($input: CreatePlanInput!) { createPlan(input: $input) { id } }", {
      input: { name: "newcomers", limits: { dailyBudgetCredits: "4" } },
    });
    const { createAccount } = await server.ok('mutation { createAccount(input: { name: "new" }) { id } }');
    const accountId = createAccount.id;
    await server.ok(
      "mutation ($input: UpdateAccountInput!, $id: ID!) { updateAccount(id: $id, input: $input) { id } }",
      {
        id: accountId,
        input: { planId: createPlan.id },
      },
    );
    const keys = await Promise.all([1, 2].map(() => server.customer({ accountId, sharedWallet: true, credits: "10" })));
    expect(await count(keys.flatMap(({ key }) => fifty(key)))).toEqual({ ok: 8, BUDGET_EXCEEDED: 92 });
    const account = accountId.replace("acc_", "");
    const rows = await server.database.sql`
      select (select count(*)::int from wallets where account_id = ${account}::uuid) as wallets,
        (select count(*)::int from budget_windows where account_id = ${account}::uuid) as windows,
        (select balance from wallets where account_id = ${account}::uuid) as balance`;
    expect(rows).toEqual([{ wallets: 1, windows: 2, balance: 12_000_000n }]);
  });
});
