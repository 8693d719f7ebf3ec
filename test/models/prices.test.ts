import { describe, expect, it } from "vitest";
import { Database } from "../../src/db/client.ts";
import { Catalogue } from "../../src/models/catalogue.ts";
import { Providers } from "../../src/models/providers/registry.ts";
import { dumpState } from "../harness/dump.ts";
import { generate, useServer } from "../harness/server.ts";

/** Versions of a price: which one is in force, and which ones are scheduled. */
const server = useServer();

const setPrice = `mutation ($input: SetModelPriceInput!) {
  setModelPrice(input: $input) { id version status effectiveFrom }
}`;
const cancel = `mutation ($id: ID!) {
  cancelModelPrice(id: $id) { price { version } prices { version status } }
}`;
const list = "{ models { name price { version status } prices { id version status multiplier effectiveFrom } } }";
const within = (ms: number) => new Date(Date.now() + ms).toISOString();
const hourMs = 3_600_000;

interface Listed {
  name: string;
  price: object;
  prices: { id: string; version: number; status: string }[] | null;
}

async function found(name: string, as?: object): Promise<Listed> {
  const { models } = await server.ok(list, {}, as);
  return models.find((model: Listed) => model.name === name);
}

async function set(model: string, multiplier: string, effectiveFrom?: string) {
  return (await server.ok(setPrice, { input: { model, multiplier, effectiveFrom } })).setModelPrice;
}

async function charged(model: string, key: string, more: object = {}) {
  const { generate: answer } = await server.ok(generate, { input: { model, prompt: "Hi", ...more } }, { key });
  return { credits: answer.charge.credits, createdAt: answer.createdAt };
}

const statuses = ({ prices }: Listed) => prices?.map(({ version, status }) => `${version} ${status}`);

describe("prices", () => {
  it("that are scheduled still come when another price is set for now", async () => {
    const name = await server.model("echo", "echo");
    const { key } = await server.customer({ credits: "1000" });
    const effectiveFrom = within(2_500);
    expect(await set(name, "5", effectiveFrom)).toMatchObject({ version: 2, status: "SCHEDULED" });
    expect(await set(name, "3")).toMatchObject({ version: 3, status: "CURRENT" });
    const before = await charged(name, key);
    expect(before.credits).toBe("3");
    expect(before.createdAt < effectiveFrom).toBe(true);
    // The catalogue is cached, and nothing tells the server that the time has come.
    const calls: { credits: string; createdAt: string }[] = [];
    const next = async () => calls[calls.push(await charged(name, key)) - 1]?.credits;
    await expect.poll(next, { timeout: 10_000 }).toBe("5");
    expect(Date.parse(calls.at(-1)?.createdAt ?? "")).toBeGreaterThan(Date.parse(effectiveFrom) - 500);
    expect(statuses(await found(name))).toEqual(["2 CURRENT", "3 PAST", "1 PAST"]);
  });

  it("are listed from the last to take effect to the first, with their status", async () => {
    const name = await server.model("echo", "echo");
    await set(name, "2", within(2 * hourMs));
    await set(name, "3", within(hourMs));
    await set(name, "4");
    const listed = await found(name);
    expect(statuses(listed)).toEqual(["2 SCHEDULED", "3 SCHEDULED", "4 CURRENT", "1 PAST"]);
    expect(listed.price).toEqual({ version: 4, status: "CURRENT" });
  });

  it("of one instant are decided by the higher version", async () => {
    const name = await server.model("echo", "echo");
    const effectiveFrom = within(hourMs);
    await set(name, "2", effectiveFrom);
    await set(name, "3", effectiveFrom);
    expect(statuses(await found(name))).toEqual(["3 SCHEDULED", "2 SCHEDULED", "1 CURRENT"]);
    await server.database.sql`update model_prices set effective_from = now() where effective_from = ${effectiveFrom}`;
    await expect.poll(async () => (await found(name)).price, { timeout: 10_000 }).toMatchObject({ version: 3 });
  });

  it("of a preset are its own: without one it has the price of its base", async () => {
    const base = await server.model("echo", "echo");
    const name = `preset-of-${base}`;
    const upsert = "mutation ($input: UpsertPresetInput!) { upsertPreset(input: $input) { id } }";
    await server.ok(upsert, { input: { name, base } });
    await set(name, "2", within(hourMs));
    expect(await found(name)).toMatchObject({ price: { version: 1 }, prices: [{ version: 1, status: "SCHEDULED" }] });
  });

  it("are shown to ANALYST and above, and to no key", async () => {
    const name = await server.model("echo", "echo");
    const { token } = await server.staff("ANALYST");
    expect(statuses(await found(name, { token }))).toEqual(["1 CURRENT"]);
    const { key } = await server.customer({ scopes: ["generate", "models:read"] });
    await server.refused("FORBIDDEN", list, {}, { key });
  });

  it("that are promised by a quote hold when another price takes effect", async () => {
    const name = await server.model("echo", "echo");
    const { key } = await server.customer();
    const ask = "query ($input: GenerateInput!) { quote(input: $input) { quoteId maxCredits } }";
    const { quote } = await server.ok(ask, { input: { model: name, prompt: "Hi" } }, { key });
    await set(name, "7", within(800));
    await expect.poll(async () => (await charged(name, key)).credits, { timeout: 10_000 }).toBe("7");
    expect(await charged(name, key, { quoteId: quote.quoteId })).toMatchObject({ credits: "1" });
  });
});

describe("the catalogue", () => {
  it("has no price before its time by the database's clock, also when its read had to wait", async () => {
    const name = await server.model("echo", "echo");
    const db = new Database({ url: server.database.url, poolSize: 1 });
    const config = {
      anthropic: undefined,
      ollamaBaseUrl: "http://127.0.0.1:9",
      services: [],
      providerTimeoutMs: 1_000,
    };
    const unused = { guard: {} as never, sealer: {} as never, onError: () => {} };
    const catalogue = new Catalogue({ db, providers: new Providers({ config, ...unused }), totalMs: 1_000 });
    const effectiveFrom = within(3_500);
    await set(name, "5", effectiveFrom);
    // `then` sends it: a query of drizzle is lazy.
    const busy = db.orm.execute("select pg_sleep(2)").then(() => {});
    const price = (await catalogue.list()).find(({ model }) => model.name === name)?.price;
    const [clock] = await server.database.sql`select now() < ${effectiveFrom} as before`;
    expect(price?.version === 2 && clock?.["before"]).toBe(false);
    await busy;
    await db.close();
  });
});

describe("a scheduled price", () => {
  it("can be cancelled: it is listed no more, never comes, and its version is not used again", async () => {
    const name = await server.model("echo", "echo");
    const { key } = await server.customer();
    const { id } = await set(name, "5", within(1_500));
    const { cancelModelPrice: model } = await server.ok(cancel, { id });
    expect(model).toEqual({ price: { version: 1 }, prices: [{ version: 1, status: "CURRENT" }] });
    const isOver = "select effective_from < now() as over from model_prices where id = $1";
    const over = async () => (await server.database.sql.unsafe(isOver, [id.replace("prc_", "")]))[0]?.["over"];
    await expect.poll(over, { timeout: 10_000 }).toBe(true);
    expect((await charged(name, key)).credits).toBe("1");
    expect(await set(name, "2")).toMatchObject({ version: 3 });
  });

  it("that is cancelled on another server is forgotten by this one", async () => {
    const name = await server.model("echo", "echo");
    const { id } = await set(name, "5", within(hourMs));
    await server.database.sql`update model_prices set cancelled_at = now() where id = ${id.replace("prc_", "")}::uuid`;
    await expect.poll(async () => statuses(await found(name)), { timeout: 10_000 }).toEqual(["1 CURRENT"]);
  });

  it("cannot be cancelled twice, and no price once it has taken effect", async () => {
    const name = await server.model("echo", "echo");
    const { id } = await set(name, "5", within(hourMs));
    const [current] = (await found(name)).prices?.filter(({ status }) => status === "CURRENT") ?? [];
    const { token } = await server.staff("OPERATOR");
    await server.ok(cancel, { id });
    const before = await dumpState(server.database);
    for (const each of [id, current?.id]) {
      const { message, status } = await server.refused("CONFLICT", cancel, { id: each });
      expect([status, message]).toEqual([409, "Only a scheduled price can be cancelled."]);
    }
    await server.refused("NOT_FOUND", cancel, { id: "prc_00000000000070008000000000000000" });
    await server.refused("FORBIDDEN", cancel, { id }, { token });
    expect(await dumpState(server.database)).toEqual(before);
  });

  it("that is cancelled is no version for a restatement", async () => {
    const name = await server.model("echo", "echo");
    const { id, version } = await set(name, "5", within(hourMs));
    await server.ok(cancel, { id });
    const restate = "mutation ($input: RestateUsageInput!) { restateUsage(input: $input) { id } }";
    const span = { from: within(-hourMs), to: within(-1_000) };
    await server.refused("NOT_FOUND", restate, { input: { model: name, priceVersion: version, ...span } });
  });
});
