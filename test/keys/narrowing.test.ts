import { describe, expect, it } from "vitest";
import { useServer } from "../harness/server.ts";

const server = useServer();

const create = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { apiKey { id scopes } } }";
const update = "mutation ($id: ID!, $input: UpdateApiKeyInput!) { updateApiKey(id: $id, input: $input) { id } }";
const settings = `query ($id: ID!) { apiKey(id: $id) {
  scopes models allowedIps requestsPerMinute tokensPerMinute maxConcurrency expiresAt hours { timeZone windows { from to } }
  dailyBudgetUsd monthlyBudgetUsd dailyBudgetCredits monthlyBudgetCredits
} }`;
const hours = (from: string, to: string) => ({ timeZone: "Europe/Berlin", windows: [{ days: ["MON"], from, to }] });
const year = new Date().getUTCFullYear();
const july = (ahead: number) => new Date(Date.UTC(year + ahead, 6)).toISOString();

/** A MEMBER with a key of its own. */
async function member(key: object = {}) {
  const { accountId } = await server.customer();
  const { token } = await server.person("MEMBER", accountId);
  const { id } = (await server.ok(create, { input: { name: "mine", ...key } }, { token })).createApiKey.apiKey;
  return { accountId, token, id };
}

/** For each setting: what an OPERATOR sets, what widens it, and what narrows it. */
const bounds: [field: string, set: unknown, wider: unknown[], narrower: unknown][] = [
  ["scopes", ["generate", "usage:read"], [null, ["generate", "embed"], ["models:read"]], ["generate"]],
  ["models", ["gpt-*"], [null, ["*"], ["gpt-*", "echo"]], ["gpt-4*"]],
  ["allowedIps", ["10.0.0.0/8"], [null, ["10.0.0.0/7"], ["10.0.0.1", "192.0.2.1"]], ["10.1.0.0/16"]],
  ["requestsPerMinute", 50, [null, 51], 49],
  ["tokensPerMinute", 1000, [null, 1001], 999],
  ["maxConcurrency", 4, [null, 5], 3],
  ["dailyBudgetUsd", "1.5", [null, "1.500000001"], "1.4"],
  ["monthlyBudgetUsd", "15", [null, "15.000000001"], "14"],
  ["dailyBudgetCredits", "10", [null, "10.000001"], "9"],
  ["monthlyBudgetCredits", "100", [null, "100.000001"], "99"],
  ["hours", hours("08:00", "18:00"), [null, hours("08:00", "18:01")], hours("09:00", "17:00")],
  ["expiresAt", july(2), [null, july(3)], july(1)],
];

describe("what an OPERATOR sets on a MEMBER's key", () => {
  it.each(bounds)("bounds its %s: the MEMBER may narrow it, not widen it", async (field, set, wider, narrower) => {
    const { token, id } = await member();
    const { token: operator } = await server.staff("OPERATOR");
    await server.ok(update, { id, input: { [field]: set } }, { token: operator });
    const before = (await server.ok(settings, { id })).apiKey;
    for (const value of wider) {
      const { extensions } = await server.refused("FORBIDDEN", update, { id, input: { [field]: value } }, { token });
      expect(extensions["field"]).toBe(field);
    }
    expect((await server.ok(settings, { id })).apiKey).toEqual(before);
    await server.ok(update, { id, input: { [field]: set, tags: ["x"] } }, { token });
    await server.ok(update, { id, input: { [field]: narrower } }, { token });
    const back = await server.refused("FORBIDDEN", update, { id, input: { [field]: set } }, { token });
    expect(back.message).toBe(`${field} was set by the staff. A MEMBER may narrow it, not widen it.`);
  });

  it("bounds it no longer once an OPERATOR has taken it away", async () => {
    const { token, id } = await member();
    const { token: operator } = await server.staff("OPERATOR");
    await server.ok(update, { id, input: { allowedIps: ["10.0.0.0/8"], maxConcurrency: 2 } }, { token: operator });
    await server.ok(update, { id, input: { allowedIps: null } }, { token: operator });
    await server.ok(update, { id, input: { allowedIps: ["192.0.2.1"] } }, { token });
    await server.ok(update, { id, input: { allowedIps: null } }, { token });
    await server.refused("FORBIDDEN", update, { id, input: { maxConcurrency: null } }, { token });
  });

  it("is not what the MEMBER set itself: that it may widen again, within the plan", async () => {
    const { token, id } = await member({ requestsPerMinute: 10, allowedIps: ["10.0.0.0/8"], scopes: ["generate"] });
    await server.ok(update, { id, input: { requestsPerMinute: 20, allowedIps: null, scopes: null } }, { token });
  });
});

describe("a scope of a model", () => {
  const premium = ["generate", "model:premium"];

  it("is refused to a MEMBER whose account does not have it, at creation and later", async () => {
    const { token, id } = await member();
    await server.refused("FORBIDDEN", create, { input: { name: "x", scopes: premium } }, { token });
    await server.refused("FORBIDDEN", update, { id, input: { scopes: premium } }, { token });
  });

  it("is given by a MEMBER whose account has it", async () => {
    const { token, id, accountId } = await member();
    const allow = `mutation ($id: ID!, $scopes: [String!]) {
      updateAccount(id: $id, input: { modelScopes: $scopes }) { modelScopes }
    }`;
    const { updateAccount } = await server.ok(allow, { id: accountId, scopes: ["model:premium"] });
    expect(updateAccount.modelScopes).toEqual(["model:premium"]);
    await server.ok(update, { id, input: { scopes: premium } }, { token });
    await server.refused("FORBIDDEN", update, { id, input: { scopes: ["model:secret"] } }, { token });
    await server.refused("BAD_USER_INPUT", allow, { id: accountId, scopes: ["generate"] });
    await server.ok(allow, { id: accountId, scopes: null });
    await server.ok(update, { id, input: { name: "keeps it", scopes: premium } }, { token });
  });

  it("stays when an OPERATOR has given it, and does not come back once the MEMBER has dropped it", async () => {
    const { token, id } = await member();
    const { token: operator } = await server.staff("OPERATOR");
    await server.ok(update, { id, input: { scopes: premium } }, { token: operator });
    await server.ok(update, { id, input: { scopes: premium } }, { token });
    await server.ok(update, { id, input: { scopes: ["generate"] } }, { token });
    await server.refused("FORBIDDEN", update, { id, input: { scopes: premium } }, { token });
  });
});
