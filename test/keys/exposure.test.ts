import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { Database } from "../../src/db/client.ts";
import { keyTakingFields } from "../../src/http/exposed-keys.ts";
import { RotationReminders } from "../../src/keys/rotation/reminders.ts";
import { mintKey } from "../../src/keys/secret.ts";
import { generate, someAddress, useServer } from "../harness/server.ts";

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

  it("is among the alerts of its account, page by page, newest first", async () => {
    const { key, apiKeyId: id, accountId } = await server.customer({ name: "alerted" });
    await fetch(`${server.url}/?key=${key}`);
    await server.ok(report, { secret: key }, { ip: someAddress() });
    const list = `query ($filter: AlertFilter, $first: Int, $after: String) {
      alerts(filter: $filter, first: $first, after: $after) {
        nodes { id kind subject details createdAt } pageInfo { endCursor hasNextPage }
      }
    }`;
    const { token } = await server.person("MEMBER", accountId);
    const first = (await server.ok(list, { first: 1 }, { token })).alerts;
    expect(first.nodes).toMatchObject([{ kind: "key.leaked", subject: id, details: { name: "alerted" } }]);
    const after = first.pageInfo.endCursor;
    const second = (await server.ok(list, { first: 1, after }, { token })).alerts;
    expect(second).toMatchObject({ nodes: [{ kind: "key.exposed", subject: id }], pageInfo: { hasNextPage: false } });
    const filter = { accountId, kind: "key.exposed" };
    expect((await server.ok(list, { filter })).alerts.nodes).toEqual(second.nodes);
    await server.refused("FORBIDDEN", list, {}, { key: (await server.customer()).key });
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

describe("a key whose text comes where others may read it (A4)", () => {
  const exposures = `query ($id: ID!) {
    apiKey(id: $id) { secrets { last4 exposedAt } }
    auditEvents(filter: { object: $id, action: "key.exposed" }) { nodes { actor ip after } }
  }`;
  const found = "query ($filter: ApiKeyFilter) { apiKeys(filter: $filter) { nodes { id } } }";
  const json = { "content-type": "application/json" };
  const operation = JSON.stringify({ query: "{ me { kind } }" });

  async function isMarked(id: string, where: string, times = 1): Promise<void> {
    const { apiKey, auditEvents } = await server.ok(exposures, { id });
    const [{ last4, exposedAt }] = apiKey.secrets;
    expect(Date.parse(exposedAt)).toBeLessThanOrEqual(Date.now() + 1_000);
    expect(auditEvents.nodes).toMatchObject(Array(times).fill({ actor: "system:exposure", after: { last4, where } }));
    expect(await alertsOf(id)).toMatchObject(Array(times).fill({ kind: "key.exposed", details: { last4, where } }));
  }

  const inUrls: [string, (key: string) => Promise<{ status: number }>][] = [
    [
      "a parameter",
      (key) => fetch(`${server.url}/graphql?x-api-key=${key}`, { method: "POST", headers: json, body: operation }),
    ],
    [
      "any parameter, beside a good header",
      (key) =>
        fetch(`${server.url}/graphql?q=${key}`, {
          method: "POST",
          headers: { ...json, "x-api-key": key },
          body: operation,
        }),
    ],
    ["a path that is none", (key) => fetch(`${server.url}/keys/${key}`)],
    ["a path of a REST door", (key) => fetch(`${server.url}/v1/models/${key}`)],
    [
      "an event stream",
      (key) =>
        fetch(`${server.url}/graphql/stream?token=Bearer%20${key}`, { method: "POST", headers: json, body: operation }),
    ],
    [
      "a WebSocket",
      (key) =>
        new Promise((resolve) => {
          const socket = new WebSocket(
            `${server.url.replace("http", "ws")}/graphql?api_key=${key}`,
            "graphql-transport-ws",
          );
          socket
            .on("error", () => {})
            .on("unexpected-response", (_request, { statusCode: status = 0 }) => resolve({ status }));
        }),
    ],
  ];
  it.each(inUrls)("is refused in the URL of %s, marked once, and not logged", async (_what, send) => {
    const { key, apiKeyId: id } = await server.customer();
    expect([(await send(key)).status, (await send(key)).status]).toEqual([400, 400]);
    await isMarked(id, "URL");
    expect(server.logLines.filter((line) => line.includes(key))).toEqual([]);
    // It is marked and works on: to stop a customer is for its owner to decide.
    await server.ok(generate, prompt, { key });
  });

  it("is found by the names of parameters if it is a text of the customer's own; other texts are let be", async () => {
    const own = `a-text-of-our-own-${someAddress()}`;
    const { apiKeyId: id } = await server.customer({ key: own });
    const send = (url: string) => fetch(`${server.url}${url}`, { headers: { "x-forwarded-for": someAddress() } });
    expect((await send(`/healthz?api_key=${encodeURIComponent(own)}`)).status).toBe(400);
    await isMarked(id, "URL");
    // By its form: who has none cannot learn from the answer which texts are keys.
    expect((await send(`/healthz?api_key=${mintKey("live")}`)).status).toBe(400);
    expect((await send(`/healthz?access_token=${server.ownerToken}`)).status).toBe(400);
    expect((await send("/healthz?key=short&q=tg_live_is_how_they_start")).status).toBe(200);
  });

  /** One document with a prompt and a report, of which `operationName` is executed. */
  async function sendBoth(operationName: string, key: string, status: number): Promise<void> {
    const query = `mutation Say { generate(input: { model: "echo", prompt: "${key}" }) { id } }
      mutation Report { reportLeakedKey(secret: "${key}") }`;
    const headers = { "x-api-key": key, "x-forwarded-for": someAddress() };
    expect((await server.post(JSON.stringify({ query, operationName }), headers)).status).toBe(status);
  }

  const inOperations: [string, (key: string) => Promise<unknown>][] = [
    [
      "variables that no field takes",
      (key) => server.refused("BAD_USER_INPUT", "{ me { kind } }", { apiKey: key }, {}),
    ],
    ["a literal", (key) => server.refused("BAD_USER_INPUT", `{ me(apiKey: "${key}") { kind } }`, {}, {})],
    [
      "a prompt, before the model is called",
      (key) =>
        server.refused(
          "BAD_USER_INPUT",
          generate,
          { input: { model: "echo", prompt: `export TOLLGATE_KEY=${key} # mine` } },
          { key },
        ),
    ],
    [
      "a prompt at a REST door",
      async (key) => {
        const body = JSON.stringify({
          model: "echo",
          messages: [{ role: "user", content: [{ type: "text", text: key }] }],
        });
        const response = await fetch(`${server.url}/v1/chat/completions`, {
          method: "POST",
          headers: { ...json, "x-api-key": key },
          body,
        });
        expect(response.status).toBe(400);
      },
    ],
    ["a prompt beside an operation that may take keys and is not executed", (key) => sendBoth("Say", key, 400)],
    [
      "a prompt beside a field that may take keys",
      (key) =>
        server.refused(
          "BAD_USER_INPUT",
          `mutation ($input: GenerateInput!) { reportLeakedKey(secret: "x") generate(input: $input) { id } }`,
          { input: { model: "echo", prompt: key } },
          { key },
        ),
    ],
    ["a search", (key) => server.refused("BAD_USER_INPUT", found, { filter: { prefix: key } })],
    [
      "a socket",
      (key) =>
        new Promise<void>((resolve) => {
          const socket = new WebSocket(`${server.url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
          socket.on("open", () => socket.send(JSON.stringify({ type: "connection_init", payload: { apiKey: key } })));
          socket.on("message", (text) => {
            const { type, payload } = JSON.parse(String(text));
            if (type === "connection_ack")
              socket.send(
                JSON.stringify({
                  id: "1",
                  type: "subscribe",
                  payload: { query: generate, variables: { input: { model: "echo", prompt: key } } },
                }),
              );
            else {
              expect([type, payload[0].extensions.code]).toEqual(["error", "BAD_USER_INPUT"]);
              socket.close();
              resolve();
            }
          });
        }),
    ],
  ];
  it.each(inOperations)("is refused in %s, and marked", async (_what, send) => {
    const { key, apiKeyId: id, walletId } = await server.customer();
    await send(key);
    await isMarked(id, "OPERATION");
    expect(server.logLines.filter((line) => line.includes(key))).toEqual([]);
    expect(await server.wallet(walletId)).toEqual({ balance: 100_000_000n, held: 0n });
  });

  it("is let be where it is what the field is for, where it opens nothing, and where it is no key", async () => {
    const { key, apiKeyId: id } = await server.customer();
    const { secret } = (await server.ok(rotate, { id, overlap: 0 })).rotateApiKey;
    const say = (text: string) => ({ input: { model: "echo", prompt: `Is ${text} a key?` } });
    for (const text of [key, mintKey("live"), `${secret.slice(0, -1)}~`])
      await server.ok(generate, say(text), { key: secret });
    const { message } = await server.refused(
      "BAD_USER_INPUT",
      "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }",
      { input: { name: "again", key: secret } },
    );
    expect(message).toBe("A key of your own cannot start with tg_.");
    expect((await server.ok(exposures, { id })).apiKey.secrets).toMatchObject([
      { exposedAt: null },
      { exposedAt: null },
    ]);
    await sendBoth("Report", secret, 200);
    await server.refused("KEY_REVOKED", generate, prompt, { key: secret });
  });

  it("is found among the others until it is rotated away", async () => {
    const { key, apiKeyId: id, accountId } = await server.customer();
    const listed = async (exposed: boolean) =>
      (await server.ok(found, { filter: { accountId, exposed } })).apiKeys.nodes.map((one: { id: string }) => one.id);
    expect([await listed(true), await listed(false)]).toEqual([[], [id]]);
    await fetch(`${server.url}/?key=${key}`);
    expect([await listed(true), await listed(false)]).toEqual([[id], []]);
    await server.ok(rotate, { id, overlap: 0 });
    expect([await listed(true), await listed(false)]).toEqual([[], [id]]);
  });

  it("costs an operation nothing that holds none: not a statement more", async () => {
    const { key } = await server.customer();
    const say = (text: string) => server.ok(generate, { input: { model: "echo", prompt: text } }, { key });
    await say("Hello");
    const [plain, marked] = [
      await server.statementsOf(() => say("Hello")),
      await server.statementsOf(() => say("tg_live_…")),
    ];
    expect(marked.length).toBe(plain.length);
  });

  it("and the fields that take one are there", async () => {
    const { __type } = await server.ok(`{ __type(name: "Mutation") { fields { name } } }`);
    const names = __type.fields.map((field: { name: string }) => field.name);
    expect(names).toEqual(expect.arrayContaining(keyTakingFields));
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

  it("disables its MEMBERs, whose sessions are over, and takes no new ones", async () => {
    const { accountId } = await server.customer();
    const { token, id, email, password } = await server.person("MEMBER", accountId);
    await server.ok(close, { id: accountId });
    await server.refused("UNAUTHENTICATED", "{ me { kind } }", {}, { token });
    const input = { email, password };
    const login = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
    await server.refused("UNAUTHENTICATED", login, { input }, { ip: someAddress() });
    const createUser = "mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }";
    const another = { email: `x${email}`, password, role: "MEMBER", accountId };
    await server.refused("CONFLICT", createUser, { input: another });
    const setRole = "mutation ($id: ID!, $acc: ID!) { setUserRole(userId: $id, role: MEMBER, accountId: $acc) { id } }";
    await server.refused("CONFLICT", setRole, { id, acc: accountId });
    const events = `query ($id: ID!) { auditEvents(filter: { object: $id, action: "account.close" }) { nodes { after } } }`;
    expect((await server.ok(events, { id: accountId })).auditEvents.nodes[0].after.disabledUsers).toEqual([id]);
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
