import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { useServer } from "./harness/server.ts";

/** The operations that the guides show, each with the variables below it, run as a reader would run them. */
const folder = join(import.meta.dirname, "..", "docs", "guides");
const shown = /^```graphql\n(.*?)^```\n```json\n(.*?)^```$/gms;

const operations = readdirSync(folder).flatMap((file) =>
  [...readFileSync(join(folder, file), "utf8").matchAll(shown)].map(([, query = "", variables = ""]) => ({
    name: `${file}: ${/\w+ \w+/.exec(query)?.[0]}`,
    query,
    variables: JSON.parse(variables) as object,
  })),
);

const server = useServer();
let key = "";
beforeAll(async () => {
  ({ key } = await server.customer({ credits: "1000" }));
  const upsert = "mutation ($input: UpsertModelInput!) { upsertModel(input: $input) { id } }";
  await server.ok(upsert, { input: { name: "sees", provider: "echo", modalities: ["TEXT", "IMAGE"] } });
  const setPrice = "mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { id } }";
  await server.ok(setPrice, { input: { model: "sees" } });
});

describe("docs/guides", () => {
  it("show operations", () => {
    expect(operations.length).toBeGreaterThan(5);
  });

  it.each(operations)("$name", async ({ query, variables }) => {
    if (!query.startsWith("subscription")) {
      expect(await server.ok(query, variables, { key })).toBeTruthy();
      return;
    }
    const response = await fetch(`${server.url}/graphql/stream`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream", "x-api-key": key },
      body: JSON.stringify({ query, variables }),
    });
    const events = await response.text();
    expect(events).toContain("event: next");
    expect(events).toContain("event: complete");
    expect(events).not.toContain("errors");
  });
});
