import { describe, expect, it } from "vitest";
import { generate, useServer } from "../harness/server.ts";

const server = useServer();

const createPlan = "mutation ($input: CreatePlanInput!) { createPlan(input: $input) { id } }";
const updatePlan = `mutation ($id: ID!, $limits: PlanLimitsInput) {
  updatePlan(id: $id, input: { limits: $limits }) { limits { requestsPerMinute models } }
}`;
const updateKey =
  "mutation ($id: ID!, $input: UpdateApiKeyInput!) { updateApiKey(id: $id, input: $input) { plan { id } } }";
const updateAccount =
  "mutation ($id: ID!, $input: UpdateAccountInput!) { updateAccount(id: $id, input: $input) { plan { id } } }";
const show = `query ($id: ID!) { apiKey(id: $id) {
  requestsPerMinute models plan { id name } limits { requestsPerMinute models tokensPerMinute dailyBudgetCredits }
} }`;
const prompt = { input: { model: "echo", prompt: "Hello", maxOutputTokens: 20 } };

let made = 0;
async function plan(limits: object = {}): Promise<string> {
  made += 1;
  return (await server.ok(createPlan, { input: { name: `plan ${made}`, limits } })).createPlan.id;
}

describe("a plan works", () => {
  it("for what its keys do not say for themselves", async () => {
    const planId = await plan({ requestsPerMinute: 2, models: ["nothing-*"], tokensPerMinute: 5000 });
    const { apiKeyId: id, key } = await server.customer({ planId, models: ["echo"] });
    expect((await server.ok(show, { id })).apiKey).toMatchObject({
      requestsPerMinute: null,
      models: ["echo"],
      plan: { id: planId },
      limits: { requestsPerMinute: 2, models: ["echo"], tokensPerMinute: 5000, dailyBudgetCredits: null },
    });
    for (const _ of [1, 2]) await server.ok(generate, prompt, { key });
    const { extensions } = await server.refused("RATE_LIMITED", generate, prompt, { key });
    expect(extensions["limit"]).toBe(2);
    // Null gives the say back to the plan.
    await server.ok(updateKey, { id, input: { models: null, requestsPerMinute: 50 } });
    await server.refused("MODEL_NOT_ALLOWED", generate, prompt, { key });
  });

  it("with budgets that are each key's", async () => {
    const planId = await plan({ dailyBudgetCredits: "2" });
    const keys = [await server.customer({ planId }), await server.customer({ planId })];
    for (const { key } of keys) {
      for (const _ of [1, 2]) await server.ok(generate, prompt, { key });
      const { extensions } = await server.refused("BUDGET_EXCEEDED", generate, prompt, { key });
      expect(extensions).toMatchObject({ budget: { scope: "KEY", unit: "CREDITS", period: "DAY" }, limit: "2" });
    }
  });

  it("for all its keys at once when it is changed, from the next call on", async () => {
    const planId = await plan({ models: ["echo"] });
    const keys = await Promise.all([1, 2, 3].map(() => server.customer({ planId })));
    for (const { key } of keys) await server.ok(generate, prompt, { key });
    await server.ok(updatePlan, { id: planId, limits: { models: ["gpt-*"] } });
    for (const { key } of keys) await server.refused("MODEL_NOT_ALLOWED", generate, prompt, { key });
    await server.ok(updatePlan, { id: planId, limits: { models: null } });
    for (const { key } of keys) await server.ok(generate, prompt, { key });
  });

  it("for the keys of an account that have none of their own", async () => {
    const [first, second] = [await plan({ models: ["a-*"] }), await plan({ models: ["b-*"] })];
    const { accountId, apiKeyId: id, key } = await server.customer();
    await server.ok(generate, prompt, { key });
    await server.ok(updateAccount, { id: accountId, input: { planId: first } });
    await server.refused("MODEL_NOT_ALLOWED", generate, prompt, { key });
    expect((await server.ok(show, { id })).apiKey.limits.models).toEqual(["a-*"]);
    expect((await server.ok(updateKey, { id, input: { planId: second } })).updateApiKey.plan.id).toBe(second);
    expect((await server.ok(show, { id })).apiKey.limits.models).toEqual(["b-*"]);
    await server.ok(updateKey, { id, input: { planId: null } });
    await server.ok(updateAccount, { id: accountId, input: { planId: null } });
    await server.ok(generate, prompt, { key });
  });

  it("in its list, with its history in the audit", async () => {
    const id = await plan({ requestsPerMinute: 7 });
    await server.ok(updatePlan, { id, limits: { requestsPerMinute: 8 } });
    const { plans } = await server.ok("{ plans { id limits { requestsPerMinute } } }");
    expect(plans).toContainEqual({ id, limits: { requestsPerMinute: 8 } });
    const list = "query ($object: ID!) { auditEvents(filter: { object: $object }) { nodes { action before after } } }";
    const { nodes } = (await server.ok(list, { object: id })).auditEvents;
    expect(nodes.map(({ action }: { action: string }) => action)).toEqual(["plan.update", "plan.create"]);
    expect(nodes[0]).toMatchObject({ before: { requestsPerMinute: 7 }, after: { requestsPerMinute: 8 } });
  });
});

describe("a plan refuses", () => {
  it("a name that is taken, and a limit that is none", async () => {
    await server.ok(createPlan, { input: { name: "taken" } });
    await server.refused("CONFLICT", createPlan, { input: { name: "taken" } });
    for (const limits of [{ requestsPerMinute: 0 }, { models: ["a b"] }, { dailyBudgetUsd: "-1" }]) {
      await server.refused("BAD_USER_INPUT", createPlan, { input: { name: "wrong", limits } });
    }
    await server.refused("BAD_USER_INPUT", createPlan, { input: { name: " " } });
  });

  it("to be deleted while a key or an account has it", async () => {
    const [ofKey, ofAccount] = [await plan(), await plan()];
    const { accountId, apiKeyId } = await server.customer({ planId: ofKey });
    await server.ok(updateAccount, { id: accountId, input: { planId: ofAccount } });
    const remove = "mutation ($id: ID!) { deletePlan(id: $id) }";
    for (const id of [ofKey, ofAccount]) await server.refused("CONFLICT", remove, { id });
    await server.ok(updateKey, { id: apiKeyId, input: { planId: null } });
    await server.ok(remove, { id: ofKey });
    await server.refused("NOT_FOUND", remove, { id: ofKey });
    await server.refused("NOT_FOUND", updatePlan, { id: ofKey });
  });

  it("a plan that is not there, wherever one is named", async () => {
    const { accountId, apiKeyId } = await server.customer();
    for (const planId of ["", "pln_1", "pln_01900000000070008000000000000000", accountId]) {
      await server.refused("NOT_FOUND", updateKey, { id: apiKeyId, input: { planId } });
      await server.refused("NOT_FOUND", updateAccount, { id: accountId, input: { planId } });
      const create = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }";
      await server.refused("NOT_FOUND", create, { input: { name: "x", planId } });
    }
  });

  it("whoever is no ADMIN", async () => {
    const { token } = await server.staff("OPERATOR");
    await server.refused("FORBIDDEN", createPlan, { input: { name: "mine" } }, { token });
  });
});

describe("a plan protects", () => {
  it("no replica from hearing of it: the database tells each change of a plan and of an account", async () => {
    const planId = await plan({ requestsPerMinute: 3 });
    const heard: string[] = [];
    const { unlisten } = await server.database.sql.listen("tollgate_changes", (text) => void heard.push(text));
    const { accountId } = await server.customer({ planId });
    await server.ok(updatePlan, { id: planId, limits: { requestsPerMinute: 4 } });
    await server.ok(updateAccount, { id: accountId, input: { planId } });
    const uuid = (id: string) => id.slice(4).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
    await expect
      .poll(() => heard)
      .toEqual(expect.arrayContaining([`plan:${uuid(planId)}:2`, `account:${uuid(accountId)}:0`]));
    await unlisten();
  });
});
