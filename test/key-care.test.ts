import { describe, expect, it } from "vitest";
import { Database } from "../src/db/client.ts";
import { RotationReminders } from "../src/keys/reminders.ts";
import { mintKey } from "../src/keys/secret.ts";
import { generate, someAddress, useServer } from "./harness.ts";

const server = useServer();

const prompt = { input: { model: "echo", prompt: "Hello", maxOutputTokens: 20 } };
const report = "mutation ($secret: String!) { reportLeakedKey(secret: $secret) }";
const close = "mutation ($id: ID!) { closeAccount(id: $id) { closedAt } }";
const updateAccount =
  "mutation ($id: ID!, $input: UpdateAccountInput!) { updateAccount(id: $id, input: $input) { id } }";
const rotate = "mutation ($id: ID!, $overlap: Int) { rotateApiKey(id: $id, overlapSeconds: $overlap) { secret } }";
const show = "query ($id: ID!) { apiKey(id: $id) { status rotationDueAt secrets { validFrom } } }";
const uuid = (id: string) => id.slice(4).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");

function alertsOf(apiKeyId: string) {
  const subject = `key:${uuid(apiKeyId)}`;
  return server.database.sql`select kind, account_id, details from alerts where subject = ${subject} order by id`;
}

/** As if the secrets of a key had been made so long ago. */
async function age(apiKeyId: string, days: number): Promise<void> {
  await server.database.sql`update key_secrets set valid_from = valid_from - make_interval(days => ${days})
    where api_key_id = ${uuid(apiKeyId)}`;
}

describe("a leaked key that is reported", () => {
  it("is revoked for ever, with an alert and an audit event that says from where", async () => {
    const { key, apiKeyId: id, accountId } = await server.customer({ name: "leaked" });
    await server.ok(generate, prompt, { key });
    const ip = someAddress();
    expect(await server.ok(report, { secret: key }, { ip })).toEqual({ reportLeakedKey: true });
    await server.refused("KEY_REVOKED", generate, prompt, { key });
    const alerts = await alertsOf(id);
    expect(alerts).toMatchObject([
      { kind: "key.leaked", account_id: uuid(accountId), details: { name: "leaked", last4: key.slice(-4) } },
    ]);
    const events = `query ($id: ID!) { auditEvents(filter: { object: $id, action: "key.reportLeak" }) { nodes { actor ip before after } } }`;
    const { nodes } = (await server.ok(events, { id })).auditEvents;
    expect(nodes).toEqual([
      {
        ...{ actor: "system:leak-report", ip },
        ...{ before: { status: "ACTIVE" }, after: { status: "REVOKED", last4: key.slice(-4) } },
      },
    ]);
    // Once is enough.
    await server.ok(report, { secret: key }, { ip });
    expect(await alertsOf(id)).toHaveLength(1);
  });

  it("is answered as any other text is", async () => {
    const { key } = await server.customer();
    const texts = [key, key, mintKey("test"), "tg_test_mistyped", "", "' OR 1=1--", "x".repeat(10_000)];
    const bodies = new Set<string>();
    for (const secret of texts) {
      const { body, status } = await server.call(report, { secret }, { ip: someAddress() });
      bodies.add(JSON.stringify([status, body]));
    }
    expect([...bodies]).toEqual(['[200,{"data":{"reportLeakedKey":true}}]']);
  });

  it("lives on when the secret had ended before", async () => {
    const { key, apiKeyId: id } = await server.customer();
    const { secret } = (await server.ok(rotate, { id, overlap: 0 })).rotateApiKey;
    await server.ok(report, { secret: key }, { ip: someAddress() });
    await server.ok(generate, prompt, { key: secret });
    await server.ok(report, { secret }, { ip: someAddress() });
    await server.refused("KEY_REVOKED", generate, prompt, { key: secret });
  });

  it("cannot be guessed: ten reports a minute from one address, whatever credential comes along", async () => {
    const ip = someAddress();
    const { key } = await server.customer({ requestsPerMinute: 1000 });
    for (let i = 0; i < 10; i++) await server.ok(report, { secret: mintKey("test") }, { ip, ...(i % 2 && { key }) });
    for (const as of [{ ip }, { ip, key }]) {
      const { status } = await server.refused("RATE_LIMITED", report, { secret: key }, as);
      expect(status).toBe(429);
    }
    await server.ok(generate, prompt, { key });
  });
});

describe("an account that is closed", () => {
  it("takes all its keys with it, gets no new ones, and keeps its history", async () => {
    const { accountId: id, key } = await server.customer();
    const create = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }";
    const { secret } = (await server.ok(create, { input: { name: "second", accountId: id } })).createApiKey;
    await server.ok(generate, prompt, { key });
    await server.ok("{ me { kind } }", {}, { key: secret });
    expect((await server.ok(close, { id })).closeAccount.closedAt).toBeTruthy();
    for (const text of [key, secret]) await server.refused("KEY_REVOKED", generate, prompt, { key: text });
    await server.refused("CONFLICT", create, { input: { name: "third", accountId: id } });
    await server.refused("CONFLICT", updateAccount, { id, input: { memberKeysMax: 5 } });
    await server.refused("CONFLICT", close, { id });
    const calls = "query ($id: ID!) { generations(filter: { accountId: $id }) { nodes { id } } }";
    expect((await server.ok(calls, { id })).generations.nodes).toHaveLength(1);
    const events = `query ($id: ID!) { auditEvents(filter: { object: $id, action: "account.close" }) { nodes { after } } }`;
    expect((await server.ok(events, { id })).auditEvents.nodes[0].after.revokedKeys).toHaveLength(2);
  });

  it("is neither the default one nor one that is not there", async () => {
    const [row] = await server.database
      .sql`select 'acc_' || replace(id::text, '-', '') as id from accounts where is_default`;
    await server.refused("CONFLICT", close, { id: row?.["id"] });
    for (const id of ["", "acc_1", "acc_01900000000070008000000000000000"])
      await server.refused("NOT_FOUND", close, { id });
  });
});

describe("a reminder to rotate", () => {
  it("is listed and raised once for each secret that is older than its account wants", async () => {
    const { accountId, apiKeyId: id } = await server.customer({ name: "old" });
    const db = new Database({ url: server.database.url, poolSize: 4 });
    // Each on its own, as on replicas.
    const replicas = [1, 2, 3].map(() => new RotationReminders(db, () => {}));
    const remind = () => Promise.all(replicas.map((replica) => replica.remind()));
    const due = async () => {
      const list = "query ($filter: ApiKeyFilter) { apiKeys(filter: $filter) { nodes { id } } }";
      const { nodes } = (await server.ok(list, { filter: { accountId, dueForRotation: true } })).apiKeys;
      return nodes.map((node: { id: string }) => node.id);
    };
    try {
      await age(id, 40);
      await remind();
      expect([await due(), await alertsOf(id)]).toEqual([[], []]);
      await server.ok(updateAccount, { id: accountId, input: { rotateKeysAfterDays: 30 } });
      expect(await due()).toEqual([id]);
      const { rotationDueAt, secrets } = (await server.ok(show, { id })).apiKey;
      expect(Date.parse(rotationDueAt) - Date.parse(secrets[0].validFrom)).toBe(30 * 86_400_000);
      await remind();
      await remind();
      const raised = await alertsOf(id);
      expect(raised).toMatchObject([
        { kind: "key.rotation_due", account_id: uuid(accountId), details: { name: "old", rotateKeysAfterDays: 30 } },
      ]);
      expect(raised).toHaveLength(1);
      await server.ok(rotate, { id });
      expect(await due()).toEqual([]);
      await remind();
      expect(await alertsOf(id)).toHaveLength(1);
      await age(id, 31);
      await remind();
      expect(await alertsOf(id)).toHaveLength(2);
      await server.ok("mutation ($id: ID!) { revokeApiKey(id: $id) { id } }", { id });
      expect(await due()).toEqual([]);
      expect((await server.ok(show, { id })).apiKey.rotationDueAt).toBeNull();
    } finally {
      await db.close();
    }
  });

  it("refuses a policy that is none", async () => {
    const { accountId: id } = await server.customer();
    for (const rotateKeysAfterDays of [0, -1, 3651]) {
      await server.refused("BAD_USER_INPUT", updateAccount, { id, input: { rotateKeysAfterDays } });
    }
  });
});

describe("a budget in shadow mode", () => {
  it("goes on counting and refuses nothing, while the account's stays in force", async () => {
    const { key, accountId, apiKeyId: id } = await server.customer({ dailyBudgetCredits: "2", limitMode: "SHADOW" });
    for (let i = 0; i < 4; i++) await server.ok(generate, prompt, { key });
    const denials = "query ($id: ID!) { apiKey(id: $id) { denials { code count shadow } } }";
    await expect
      .poll(async () => (await server.ok(denials, { id })).apiKey.denials, { timeout: 10_000 })
      .toEqual([{ code: "BUDGET_EXCEEDED", count: 2, shadow: true }]);
    const [window] = await server.database.sql`select used, held from budget_windows where scope_id = ${uuid(id)}`;
    expect(window).toEqual({ used: 4_000_000n, held: 0n });
    const limit =
      'mutation ($id: ID!) { setAccountBudgets(input: { accountId: $id, dailyBudgetCredits: "5" }) { dailyBudgetCredits } }';
    await server.ok(limit, { id: accountId });
    const codes: unknown[] = [];
    // The account has counted from now on, and has five left; how soon it is known here is the change feed's matter.
    for (let i = 0; i < 8; i++)
      codes.push((await server.call(generate, prompt, { key })).body.errors?.[0]?.extensions.code);
    expect(codes.at(-1)).toBe("BUDGET_EXCEEDED");
  });
});
