import { beforeAll, describe, expect, it } from "vitest";
import { type Credential, useServer } from "../harness/server.ts";

const server = useServer();

const input = { model: "echo", prompt: "Hello", maxOutputTokens: 20 };
const day = 86_400_000;
const span = { from: new Date(Date.now() - day).toISOString(), to: new Date(Date.now() + day).toISOString() };
const show = `mutation ($id: ID!, $showUsd: Boolean) {
  updateAccount(id: $id, input: { showUsd: $showUsd }) { showUsd }
}`;
const generateWith = (charge: string) =>
  `mutation ($input: GenerateInput!) { generate(input: $input) { id charge { ${charge} } } }`;

/** Ways to learn a provider's price or cost. */
const ways: [name: string, query: string, variables: object][] = [
  ["a field of a report", "query ($i: UsageInput!) { usage(input: $i) { totals { costUsd } } }", { i: span }],
  ["a report within me", "query ($i: UsageInput!) { me { usage(input: $i) { totals { costUsd } } } }", { i: span }],
  ["a price", "{ models { price { inputUsdPerMillion } } }", {}],
  ["a fragment", "{ models { ...M } } fragment M on Model { price { ... on ModelPrice { outputUsdPerMillion } } }", {}],
  ["the charge of a call", "{ generations { nodes { charge { credits costUsd } } } }", {}],
  [
    "an order",
    "query ($i: UsageInput!) { usage(input: $i) { rows { bucket } } }",
    { i: { ...span, orderBy: "COST_USD" } },
  ],
  [
    "a minimum",
    "query ($f: GenerationFilter) { generations(filter: $f) { nodes { id } } }",
    { f: { ...span, minCostUsd: "0.1" } },
  ],
];

describe("an account that does not show USD", () => {
  const callers: Record<string, Credential> = {};
  let id = "";
  let walletId = "";
  beforeAll(async () => {
    const customer = await server.customer();
    id = customer.accountId;
    walletId = customer.walletId;
    callers["key"] = { key: customer.key };
    callers["MEMBER"] = { token: (await server.person("MEMBER", id)).token };
    await server.ok(generateWith("costUsd"), { input }, callers["key"]);
    expect((await server.ok(show, { id, showUsd: false })).updateAccount).toEqual({ showUsd: false });
  });

  it.each(ways)("hides it from its keys and MEMBERs: %s", async (_name, query, variables) => {
    for (const as of ["key", "MEMBER"]) {
      if (as === "MEMBER" && query.includes("me {")) continue;
      const { body } = await server.refused("FORBIDDEN", query, variables, callers[as]);
      expect(body.errors?.[0]?.message).toBe(
        "Prices and costs in USD are not shown to this account. Select credits instead.",
      );
    }
    await server.ok(query, variables, { token: (await server.staff("ANALYST")).token });
  });

  it("refuses a paid call that selects it before anything is paid", async () => {
    const before = await server.wallet(walletId);
    await server.refused("FORBIDDEN", generateWith("credits costUsd"), { input }, callers["key"]);
    expect(await server.wallet(walletId)).toEqual(before);
    await server.ok(generateWith("credits balance"), { input }, callers["key"]);
  });

  it("refuses a stream that selects it before anything is paid", async () => {
    const before = await server.wallet(walletId);
    const query = `subscription ($input: GenerateInput!) {
      generateStream(input: $input) { ... on GenerationFinished { generation { charge { costUsd } } } }
    }`;
    const response = await fetch(`${server.url}/graphql/stream`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "text/event-stream",
        "x-api-key": callers["key"]?.key ?? "",
      },
      body: JSON.stringify({ query, variables: { input } }),
    });
    expect(await response.text()).toContain("FORBIDDEN");
    expect(await server.wallet(walletId)).toEqual(before);
  });

  it("leaves it out of POST /generate and of exports", async () => {
    const headers = { "content-type": "application/json", "x-api-key": callers["key"]?.key ?? "" };
    const answer = await fetch(`${server.url}/generate`, { method: "POST", headers, body: JSON.stringify(input) });
    const { charge } = (await answer.json()) as { charge: object };
    expect(Object.keys(charge)).toEqual(["credits", "reserved", "balance"]);
    for (const path of ["generations.csv", "usage.csv"]) {
      const exported = await fetch(`${server.url}/export/${path}?${new URLSearchParams(span)}`, { headers });
      const [head = "", row = ""] = (await exported.text()).split("\r\n");
      expect(head).toContain("credits");
      expect(head).not.toContain("costUsd");
      expect(row.split(",")).toHaveLength(head.split(",").length);
    }
  });
});

describe("USD", () => {
  it("is shown to the keys of an account until an admin says otherwise, and again after that", async () => {
    const { key, accountId: id } = await server.customer();
    await server.ok(generateWith("costUsd"), { input }, { key });
    await server.ok(show, { id, showUsd: false });
    await server.refused("FORBIDDEN", generateWith("costUsd"), { input }, { key });
    expect((await server.ok(show, { id, showUsd: null })).updateAccount).toEqual({ showUsd: true });
    await server.ok(generateWith("costUsd"), { input }, { key });
  });
});
