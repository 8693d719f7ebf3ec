import { describe, expect, it } from "vitest";
import { accessCheckNames } from "../../src/generation/explain/service.ts";
import { dumpState } from "../harness/dump.ts";
import { generate, useServer } from "../harness/server.ts";

const server = useServer();

const explain = `query ($id: ID!, $input: GenerateInput!, $ip: String, $at: DateTime) {
  explainAccess(apiKeyId: $id, input: $input, ip: $ip, at: $at) {
    allowed judgedAt checks { check outcome code limit used required resetAt detail }
  }
}`;
const input = { model: "echo", prompt: "Hello", maxOutputTokens: 20 };
const change = (name: string) => `mutation ($id: ID!) { ${name}(id: $id) { id } }`;

interface Check {
  check: string;
  outcome: string;
  code: string | null;
  [figure: string]: unknown;
}

async function ask(id: string, more: object = {}): Promise<{ allowed: boolean; of: (name: string) => Check[] }> {
  const { allowed, checks } = (await server.ok(explain, { id, input, ...more })).explainAccess;
  return { allowed, of: (name) => checks.filter(({ check }: Check) => check === name) };
}

/** What is refused, in the order in which it is told. */
async function refusals(id: string, more: object = {}): Promise<string[]> {
  const { checks } = (await server.ok(explain, { id, input, ...more })).explainAccess;
  return checks
    .filter(({ outcome }: Check) => outcome === "REFUSED")
    .map(({ check, code }: Check) => `${check} ${code}`);
}

describe("explainAccess works", () => {
  it("with every check and its figures, of which none is used by asking", async () => {
    const { apiKeyId: id, key } = await server.customer({
      ...{ credits: "10", requestsPerMinute: 5, tokensPerMinute: 1000, maxConcurrency: 2, dailyBudgetCredits: "4" },
      ...{ models: ["echo", "gpt-*"], allowedIps: ["192.0.2.0/24"] },
    });
    const ip = "192.0.2.7";
    for (const _ of [1, 2]) await server.ok(generate, { input }, { key, ip });
    const before = await dumpState(server.database);
    for (let i = 0; i < 10; i++) await ask(id, { ip });
    const { allowed, of } = await ask(id, { ip });
    expect(allowed).toBe(true);
    expect(of("REQUESTS")).toMatchObject([{ outcome: "PASSED", limit: "5", used: "2", required: "1" }]);
    expect(Date.parse(String(of("REQUESTS")[0]?.["resetAt"])) - Date.now()).toBeLessThanOrEqual(60_000);
    expect(of("TOKENS")).toMatchObject([{ outcome: "PASSED", limit: "1000" }]);
    expect(Number(of("TOKENS")[0]?.["used"])).toBeGreaterThan(0);
    expect(of("CONCURRENCY")).toMatchObject([{ outcome: "PASSED", limit: "2", used: "0" }]);
    expect(of("BUDGET")).toMatchObject([{ outcome: "PASSED", limit: "4", used: "2", required: "1" }]);
    expect(of("CREDITS")).toMatchObject([{ outcome: "PASSED", limit: "8", required: "1" }]);
    expect(of("MODEL")).toMatchObject([{ outcome: "PASSED", limit: "echo,gpt-*", used: "echo" }]);
    expect(of("ADDRESS")).toMatchObject([{ outcome: "PASSED", limit: "192.0.2.0/24", used: ip }]);
    expect(await dumpState(server.database)).toEqual(before);
    // What it foretells is what happens.
    for (const _ of [3, 4]) await server.ok(generate, { input }, { key, ip });
    expect(await refusals(id, { ip })).toEqual(["BUDGET BUDGET_EXCEEDED"]);
    await server.refused("BUDGET_EXCEEDED", generate, { input }, { key, ip });
    expect(await refusals(id, { ip })).toEqual(["REQUESTS RATE_LIMITED", "BUDGET BUDGET_EXCEEDED"]);
    await server.refused("RATE_LIMITED", generate, { input }, { key, ip });
  });

  it("for a key without limits of its own, by what the field allows", async () => {
    const { apiKeyId: id, key } = await server.customer();
    for (const _ of [1, 2, 3]) await server.ok(generate, { input }, { key });
    const { headers } = await server.call(generate, { input }, { key });
    const [check] = (await ask(id)).of("REQUESTS");
    expect([check?.["limit"], check?.["used"]]).toEqual([headers.get("ratelimit-limit"), "4"]);
  });

  it("for each reason to refuse, all of them at once", async () => {
    const { apiKeyId: id } = await server.customer({
      ...{ credits: "0", scopes: ["usage:read"], models: ["gpt-*"], allowedIps: ["192.0.2.7"] },
      ...{ expiresAt: "2099-01-01T00:00:00Z" },
      hours: { timeZone: "UTC", windows: [{ days: ["MON"], from: "08:00", to: "09:00" }] },
    });
    await server.ok(change("disableApiKey"), { id });
    const at = "2099-01-06T10:00:00Z";
    expect(await refusals(id, { ip: "192.0.2.8", at })).toEqual([
      "STATUS KEY_DISABLED",
      "EXPIRY KEY_EXPIRED",
      "SCOPE FORBIDDEN",
      "ADDRESS IP_NOT_ALLOWED",
      "HOURS OUTSIDE_HOURS",
      "MODEL MODEL_NOT_ALLOWED",
      "CREDITS OUT_OF_CREDITS",
    ]);
    const { of } = await ask(id, { at });
    expect(of("HOURS")).toMatchObject([{ resetAt: "2099-01-12T08:00:00.000Z" }]);
    expect(of("ADDRESS")).toMatchObject([{ outcome: "SKIPPED" }]);
  });

  it("for a model and an input that are none, after which the figures cannot be said", async () => {
    const { apiKeyId: id } = await server.customer({ tokensPerMinute: 1000, dailyBudgetUsd: "1" });
    expect(await refusals(id, { input: { ...input, model: "nothing" } })).toEqual(["MODEL NOT_FOUND"]);
    expect(await refusals(id, { input: { ...input, temperature: 9 } })).toEqual(["GUARD BAD_USER_INPUT"]);
    const { of } = await ask(id, { input: { ...input, prompt: "" } });
    for (const name of ["TOKENS", "BUDGET", "CREDITS"]) expect(of(name)).toMatchObject([{ outcome: "SKIPPED" }]);
  });

  it("for an image that the model does not take, as generate would", async () => {
    const { apiKeyId, key } = await server.customer();
    const parts = [{ image: "data:image/png;base64,iVBORw0KGgoAAAAN" }];
    const shown = { model: "echo", messages: [{ role: "USER", content: "", parts }] };
    const { message } = await server.refused("BAD_USER_INPUT", generate, { input: shown }, { key });
    const { checks } = (await server.ok(explain, { id: apiKeyId, input: shown })).explainAccess;
    const guard = checks.find(({ check }: Check) => check === "GUARD");
    expect(guard).toMatchObject({ outcome: "REFUSED", code: "BAD_USER_INPUT", detail: message });
  });

  it("for a key whose limits are only counted", async () => {
    const { apiKeyId: id, key } = await server.customer({
      requestsPerMinute: 1,
      dailyBudgetCredits: "1",
      limitMode: "SHADOW",
    });
    for (const _ of [1, 2]) await server.ok(generate, { input }, { key });
    const { allowed, of } = await ask(id);
    expect(allowed).toBe(true);
    expect(of("REQUESTS")).toMatchObject([{ outcome: "COUNTED", code: "RATE_LIMITED", limit: "1", used: "1" }]);
    expect(of("BUDGET")).toMatchObject([{ outcome: "COUNTED", code: "BUDGET_EXCEEDED", limit: "1", used: "2" }]);
  });

  it("with a word in the schema for every check", async () => {
    const { enumValues } = (await server.ok('{ __type(name: "AccessCheckName") { enumValues { name } } }')).__type;
    expect(enumValues.map(({ name }: { name: string }) => name)).toEqual(accessCheckNames.toSorted());
  });
});

describe("explainAccess refuses", () => {
  it("a key that is not there", async () => {
    for (const id of ["", "key_1", "key_01900000000070008000000000000000"]) {
      await server.refused("NOT_FOUND", explain, { id, input });
    }
  });

  it("whoever is no ANALYST, a MEMBER and the key itself among them", async () => {
    const { apiKeyId: id, accountId, key } = await server.customer();
    const { token } = await server.person("MEMBER", accountId);
    for (const as of [{ token }, { key }]) await server.refused("FORBIDDEN", explain, { id, input }, as);
  });
});
