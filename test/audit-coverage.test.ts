import { describe, expect, it } from "vitest";
import { generate, someAddress, useServer } from "./harness/server.ts";
import { settlePast } from "./harness/traffic.ts";

/** Every mutation of the schema is in one of these tables, so that a new one cannot go unrecorded by oversight. */
const server = useServer({ RETENTION_MONTHS: "1" });

/** They change nothing that an admin decides; credits that they spend stand in the ledger. */
const unrecorded = ["generate", "embed", "login", "refreshSession", "logout"];

interface Case {
  run: (customer: Awaited<ReturnType<typeof server.customer>>) => Promise<unknown>;
  action: string;
}

const onKey =
  (call: string): Case["run"] =>
  ({ apiKeyId }) =>
    server.ok(`mutation ($id: ID!) { ${call} }`, { id: apiKeyId });
const onWallet =
  (call: string): Case["run"] =>
  ({ walletId }) =>
    server.ok(`mutation ($id: ID!) { ${call} }`, { id: walletId });

const onPerson = (call: string) => async () => {
  const { id } = await server.staff("ANALYST");
  await server.ok(`mutation ($id: ID!) { ${call} }`, { id });
};

const addPlan = async (name: string): Promise<string> =>
  (await server.ok("mutation ($name: String!) { createPlan(input: { name: $name }) { id } }", { name })).createPlan.id;

const setService = "mutation ($input: UpsertModelServiceInput!) { upsertModelService(input: $input) { name } }";

const recorded: Record<string, Case> = {
  createApiKey: { run: async () => {}, action: "key.create" },
  updateApiKey: { run: onKey('updateApiKey(id: $id, input: { name: "n" }) { id }'), action: "key.update" },
  rotateApiKey: { run: onKey("rotateApiKey(id: $id) { secret }"), action: "key.rotate" },
  endSecret: {
    action: "key.endSecret",
    async run({ apiKeyId: id }) {
      const rotate = "mutation ($id: ID!) { rotateApiKey(id: $id) { apiKey { secrets { id } } } }";
      const { secrets } = (await server.ok(rotate, { id })).rotateApiKey.apiKey;
      const end = "mutation ($id: ID!, $secretId: ID!) { endSecret(id: $id, secretId: $secretId) { id } }";
      await server.ok(end, { id, secretId: secrets[1].id });
    },
  },
  disableApiKey: { run: onKey("disableApiKey(id: $id) { id }"), action: "key.disable" },
  enableApiKey: { run: onKey("enableApiKey(id: $id) { id }"), action: "key.enable" },
  revokeApiKey: { run: onKey("revokeApiKey(id: $id) { id }"), action: "key.revoke" },
  grantCredits: {
    run: onWallet('grantCredits(input: { walletId: $id, credits: "1" }) { id }'),
    action: "credits.grant",
  },
  refundCredits: {
    action: "credits.refund",
    async run({ key }) {
      const { id } = (await server.ok(generate, { input: { model: "echo", prompt: "hi" } }, { key })).generate;
      await server.ok("mutation ($id: ID!) { refundCredits(input: { generationId: $id }) { id } }", { id });
    },
  },
  takeBackCredits: {
    action: "credits.takeBack",
    async run({ walletId }) {
      const { nodes } = (
        await server.ok("query ($id: ID!) { creditEntries(walletId: $id) { nodes { id } } }", { id: walletId })
      ).creditEntries;
      await server.ok("mutation ($id: ID!) { takeBackCredits(input: { entryId: $id }) { id } }", { id: nodes[0].id });
    },
  },
  setRefill: {
    run: onWallet('setRefill(input: { walletId: $id, every: DAY, mode: REPLACE, credits: "5" }) { id }'),
    action: "wallet.setRefill",
  },
  removeRefill: { run: onWallet("removeRefill(walletId: $id) { id }"), action: "wallet.removeRefill" },
  setLowBalance: {
    run: onWallet('setLowBalance(walletId: $id, credits: "5") { id }'),
    action: "wallet.setLowBalance",
  },
  setAccountBudgets: {
    action: "account.setBudgets",
    run: ({ accountId: id }) =>
      server.ok(
        'mutation ($id: ID!) { setAccountBudgets(input: { accountId: $id, dailyBudgetUsd: "1" }) { dailyBudgetUsd } }',
        { id },
      ),
  },
  createAccount: { run: async () => {}, action: "account.create" },
  updateAccount: {
    action: "account.update",
    run: ({ accountId: id }) =>
      server.ok("mutation ($id: ID!) { updateAccount(id: $id, input: { memberKeysMax: 3 }) { id } }", { id }),
  },
  importApiKeys: {
    action: "key.create",
    run: ({ accountId }) =>
      server.ok("mutation ($input: ImportApiKeysInput!) { importApiKeys(input: $input) { lines } }", {
        input: { format: "CSV", content: "name\nimported", accountId },
      }),
  },
  closeAccount: {
    action: "account.close",
    run: ({ accountId: id }) => server.ok("mutation ($id: ID!) { closeAccount(id: $id) { id } }", { id }),
  },
  reportLeakedKey: {
    action: "key.reportLeak",
    run: ({ key }) => server.ok("mutation ($key: String!) { reportLeakedKey(secret: $key) }", { key }),
  },
  createPlan: { run: () => addPlan("audited at creation"), action: "plan.create" },
  updatePlan: {
    action: "plan.update",
    run: async () =>
      server.ok('mutation ($id: ID!) { updatePlan(id: $id, input: { description: "d" }) { id } }', {
        id: await addPlan("audited at change"),
      }),
  },
  deletePlan: {
    action: "plan.delete",
    run: async () =>
      server.ok("mutation ($id: ID!) { deletePlan(id: $id) }", { id: await addPlan("audited at its end") }),
  },
  createUser: { run: ({ accountId }) => server.person("MEMBER", accountId), action: "user.create" },
  changePassword: {
    action: "user.changePassword",
    async run() {
      const { token } = await server.person("ANALYST");
      const change = `mutation { changePassword(currentPassword: "a password of ours", newPassword: "another password") }`;
      await server.ok(change, {}, { token });
    },
  },
  resetPassword: {
    action: "user.resetPassword",
    async run() {
      const { id } = await server.person("ANALYST");
      await server.ok('mutation ($id: ID!) { resetPassword(userId: $id, newPassword: "another password") { id } }', {
        id,
      });
    },
  },
  setUserRole: {
    action: "user.setRole",
    async run() {
      const { id } = await server.person("ANALYST");
      await server.ok("mutation ($id: ID!) { setUserRole(userId: $id, role: OPERATOR) { id } }", { id });
    },
  },
  disableUser: { run: onPerson("disableUser(userId: $id) { id }"), action: "user.disable" },
  enableUser: { run: onPerson("enableUser(userId: $id) { id }"), action: "user.enable" },
  unlockUser: { run: onPerson("unlockUser(userId: $id) { id }"), action: "user.unlock" },
  endUserSessions: { run: onPerson("endUserSessions(userId: $id)"), action: "user.endSessions" },
  endMyOtherSessions: { run: () => server.ok("mutation { endMyOtherSessions }"), action: "user.endSessions" },
  endSession: {
    action: "session.end",
    async run() {
      const { id } = await server.staff("OPERATOR");
      const list = "query ($id: ID!) { userSessions(userId: $id) { id } }";
      const [session] = (await server.ok(list, { id })).userSessions;
      await server.ok("mutation ($id: ID!) { endSession(id: $id) { id } }", { id: session.id });
    },
  },
  rotateSigningKey: { run: () => server.ok("mutation { rotateSigningKey { kid } }"), action: "signingKey.add" },
  removeSigningKey: {
    action: "signingKey.remove",
    async run() {
      const [next] = (await server.ok("mutation { rotateSigningKey { kid } }")).rotateSigningKey;
      await server.ok("mutation ($kid: ID!) { removeSigningKey(kid: $kid) { kid } }", { kid: next.kid });
    },
  },
  unlockAddress: {
    action: "address.unlock",
    async run() {
      const ip = someAddress();
      const wrong = { email: "nobody@example.com", password: "x" };
      const login = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
      await server.refused("UNAUTHENTICATED", login, { input: wrong }, { ip });
      await server.ok("mutation ($ip: String!) { unlockAddress(address: $ip) }", { ip });
    },
  },
  upsertModel: {
    run: () => server.ok('mutation { upsertModel(input: { name: "audited", provider: "echo" }) { id } }'),
    action: "model.create",
  },
  upsertPreset: {
    run: () => server.ok('mutation { upsertPreset(input: { name: "audited-preset", base: "echo" }) { id } }'),
    action: "preset.create",
  },
  upsertModelService: {
    run: () =>
      server.ok(setService, { input: { name: "audited", baseUrl: "https://1.1.1.1/v1", apiKey: "sk-canary" } }),
    action: "service.create",
  },
  removeModelService: {
    action: "service.remove",
    async run() {
      await server.ok(setService, { input: { name: "gone", baseUrl: "https://1.1.1.1/v1" } });
      await server.ok('mutation { removeModelService(name: "gone") }');
    },
  },
  importModels: {
    run: () => server.ok('mutation { importModels(input: { provider: "echo", prefix: "audited/" }) { added } }'),
    action: "model.import",
  },
  upsertModelAlias: {
    run: () =>
      server.ok('mutation { upsertModelAlias(input: { name: "audited-alias", targets: { model: "echo" } }) { name } }'),
    action: "alias.create",
  },
  removeModelAlias: {
    action: "alias.remove",
    async run() {
      await server.ok('mutation { upsertModelAlias(input: { name: "gone", targets: { model: "echo" } }) { name } }');
      await server.ok('mutation { removeModelAlias(name: "gone") }');
    },
  },
  setPromptLog: {
    run: onKey("setPromptLog(input: { apiKeyId: $id, days: 1 }) { days }"),
    action: "prompts.agree",
  },
  deleteAccountPrompts: {
    run: ({ accountId }) =>
      server.ok("mutation ($id: ID!) { deleteAccountPrompts(accountId: $id) { prompts } }", { id: accountId }),
    action: "prompts.delete",
  },
  deleteEndUserPrompts: {
    run: ({ accountId }) =>
      server.ok('mutation ($id: ID!) { deleteEndUserPrompts(accountId: $id, endUser: "u") { prompts } }', {
        id: accountId,
      }),
    action: "prompts.delete",
  },
  archiveMonth: {
    action: "retention.archive",
    async run(customer) {
      await settlePast(server, customer, [{ at: new Date("2020-01-15T00:00:00Z") }]);
      await server.ok('mutation { archiveMonth(month: "2020-01") { state } }');
    },
  },
  dropMonth: {
    run: () => server.ok('mutation { dropMonth(month: "2020-01") { state } }'),
    action: "retention.drop",
  },
  applyRetention: {
    action: "retention.drop",
    async run(customer) {
      await settlePast(server, customer, [{ at: new Date("2020-02-15T00:00:00Z") }]);
      await server.ok("mutation { applyRetention { state } }");
    },
  },
  setModelPrice: {
    run: () => server.ok('mutation { setModelPrice(input: { model: "echo", multiplier: "1" }) { version } }'),
    action: "model.setPrice",
  },
  cancelModelPrice: {
    action: "model.cancelPrice",
    async run() {
      const input = { model: "echo", effectiveFrom: new Date(Date.now() + 3_600_000) };
      const set = "mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { id } }";
      const { id } = (await server.ok(set, { input })).setModelPrice;
      await server.ok("mutation ($id: ID!) { cancelModelPrice(id: $id) { id } }", { id });
    },
  },
  importProviderInvoice: {
    action: "invoice.import",
    run: () =>
      server.ok("mutation ($input: ImportProviderInvoiceInput!) { importProviderInvoice(input: $input) { id } }", {
        input: { provider: "echo", number: "audited", csv: "day,model,tokens,cost\n2026-01-01,echo,1,1" },
      }),
  },
  restateUsage: {
    action: "usage.restate",
    run: () =>
      server.ok("mutation ($input: RestateUsageInput!) { restateUsage(input: $input) { id } }", {
        input: { model: "echo", from: new Date(Date.now() - 60_000), to: new Date(), priceVersion: 1 },
      }),
  },
};

describe("every mutation", () => {
  it("is in a table here", async () => {
    const { fields } = (await server.ok("{ __schema { mutationType { fields { name } } } }")).__schema.mutationType;
    const named = [...Object.keys(recorded), ...unrecorded].toSorted();
    expect(fields.map(({ name }: { name: string }) => name).toSorted()).toEqual(named);
  });

  it.each(Object.entries(recorded))("%s is recorded with who did it", async (_name, { run, action }) => {
    const customer = await server.customer();
    await run(customer);
    const [event] = await server.database.sql`
      select actor, ip, after from audit_events where action = ${action} order by seq desc limit 1`;
    expect(event?.["actor"]).toMatch(/^user:/);
    expect(event?.["ip"]).toMatch(/^(127\.0\.0\.1|::1)$/);
    const [gap] = await server.database.sql`select max(seq) - count(*) as gap from audit_events`;
    expect(gap?.["gap"]).toBe(0n);
  });
});
