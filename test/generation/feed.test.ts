import { createClient as createSseClient } from "graphql-sse";
import { createClient as createWsClient } from "graphql-ws";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type App, createApp } from "../../src/app.ts";
import { loadConfig } from "../../src/config/environment.ts";
import { FeedReader } from "../../src/generation/feed/reader.ts";
import type { GenerationRow } from "../../src/generation/store.ts";
import { createLogger } from "../../src/log.ts";
import { environmentOf } from "../harness/first-start.ts";
import { type Credential, generate, useServer } from "../harness/server.ts";
import { settlePast } from "../harness/traffic.ts";

const server = useServer();
/** Another server on the same database. */
let other: App;
let otherUrl = "";
let namedBefore: unknown;

beforeAll(async () => {
  const { key } = await server.customer();
  await server.ok(generate, { input: { model: "echo", prompt: "nobody listens" } }, { key });
  [namedBefore] = await server.database.sql`
    select (select count(*)::int from settled_feed) as named, (select count(*)::int from requests) as calls`;
  const config = loadConfig(environmentOf(server.database.url, "/tmp"));
  other = await createApp(config, createLogger({ level: "silent", production: true }));
  otherUrl = (await other.listen()).address;
});
afterAll(() => other?.close());

const subscription = `subscription ($filter: GenerationFeedFilter) {
  generationFeed(filter: $filter) { id status model text tags charge { credits } apiKey { name } }
}`;

// biome-ignore lint/suspicious/noExplicitAny: a test knows the shape that its own operation asks for.
type Told = any;

/** A subscription that goes on until it is left, or ends by itself. */
class Listening {
  readonly told: Told[] = [];
  readonly ended: Promise<{ code?: string }>;
  leave: () => Promise<void> = async () => {};
  #look: () => void = () => {};

  constructor(url: string, { key, token }: Credential, filter: object = {}, over: "WS" | "SSE" = "WS") {
    const headers: Record<string, string> = key ? { "x-api-key": key } : { authorization: `Bearer ${token}` };
    const client =
      over === "WS"
        ? createWsClient({
            url: `${url.replace("http", "ws")}/graphql`,
            webSocketImpl: WebSocket,
            connectionParams: headers,
            retryAttempts: 0,
          })
        : createSseClient({ url: `${url}/graphql/stream`, headers, retryAttempts: 0 });
    this.ended = new Promise((resolve, reject) => {
      const codeOf = (errors: readonly { extensions?: Record<string, unknown> }[]) => ({
        code: String(errors[0]?.extensions?.["code"]),
      });
      const stop = (client as ReturnType<typeof createWsClient>).subscribe<Told>(
        { query: subscription, variables: { filter } },
        {
          next: ({ data, errors }) => {
            if (data?.generationFeed) this.told.push(data.generationFeed);
            if (errors) resolve(codeOf(errors as never));
            this.#look();
          },
          error: (error) => {
            if (Array.isArray(error)) resolve(codeOf(error));
            else reject(new Error(`the connection ended: ${(error as { reason?: string }).reason}`));
          },
          complete: () => resolve({}),
        },
      );
      this.leave = async () => {
        stop();
        await client.dispose();
      };
    });
  }

  /** Resolves when it has been told of something that fits. */
  until(done: (told: Told[]) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#look = () => done(this.told) && resolve();
      this.#look();
    });
  }
}

async function call(key: string, tag: string, url = server.url): Promise<string> {
  const response = await fetch(`${url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-api-key": key },
    body: JSON.stringify({ query: generate, variables: { input: { model: "echo", prompt: "x", tags: [tag] } } }),
  });
  const body = (await response.json()) as Told;
  expect(body.errors).toBeUndefined();
  return body.data.generate.id;
}

/** Calls until the subscription tells of one: from then on it listens. */
async function begun(listening: Listening, key: string): Promise<void> {
  const heard = listening.until((told) => told.length > 0);
  for (let waiting = true; waiting; ) {
    await call(key, "begin");
    waiting = await Promise.race([
      heard.then(() => false),
      new Promise<boolean>((r) => setTimeout(() => r(true), 300)),
    ]);
  }
}

const told = ({ told }: Listening) => told.filter(({ tags }: Told) => !tags.includes("begin"));

describe("generationFeed works", () => {
  it.each(["WS", "SSE"] as const)(
    "over %s: tells a key of each of its calls once, on whichever server",
    async (over) => {
      const { key } = await server.customer({ credits: "1000" });
      const listening = new Listening(server.url, { key }, {}, over);
      await begun(listening, key);
      const ids = await Promise.all(
        Array.from({ length: 60 }, (_, i) => call(key, "mine", i % 2 ? otherUrl : server.url)),
      );
      await listening.until(() => told(listening).length >= ids.length);
      await call(key, "last");
      await listening.until((all) => all.some(({ tags }) => tags.includes("last")));
      expect(
        told(listening)
          .slice(0, -1)
          .map(({ id }: Told) => id)
          .toSorted(),
      ).toEqual(ids.toSorted());
      expect(listening.told[0]).toMatchObject({
        status: "COMPLETED",
        text: "",
        charge: { credits: "1" },
        apiKey: { name: "a key" },
      });
      await listening.leave();
    },
  );

  it("tells an ANALYST of all accounts, by status and model if that is asked", async () => {
    const customer = await server.customer();
    const { token } = await server.staff("ANALYST");
    const filter = { accountId: customer.accountId, status: "FAILED", model: "feed-model" };
    const listening = new Listening(server.url, { token }, filter);
    const everything = new Listening(server.url, { token }, { apiKeyId: customer.apiKeyId });
    await begun(everything, customer.key);
    const at = new Date();
    await settlePast(server, customer, [
      { at, status: "FAILED", model: "feed-model", tags: ["all"], charge: 0n },
      { at, status: "COMPLETED", model: "feed-model", tags: ["all"] },
      { at, status: "FAILED", model: "another", tags: ["all"], charge: 0n },
    ]);
    await everything.until(() => told(everything).length === 3);
    await listening.until((all) => all.length > 0);
    expect(listening.told).toMatchObject([{ status: "FAILED", model: "feed-model" }]);
    await Promise.all([listening.leave(), everything.leave()]);
  });

  it("ends with the server, without an error", async () => {
    const { key } = await server.customer();
    const listening = new Listening(otherUrl, { key });
    await begun(listening, key);
    const started = performance.now();
    await other.close();
    await expect(listening.ended).resolves.toEqual({});
    expect(performance.now() - started).toBeLessThan(8_000);
    await listening.leave();
  });
});

describe("generationFeed refuses", () => {
  it("a key without the scope, and ids that are none", async () => {
    const { key } = await server.customer({ scopes: ["generate"] });
    await expect(new Listening(server.url, { key }).ended).resolves.toEqual({ code: "FORBIDDEN" });
    const { key: reader } = await server.customer();
    const wrong = new Listening(server.url, { key: reader }, { accountId: "acc_1" });
    await expect(wrong.ended).resolves.toEqual({ code: "NOT_FOUND" });
    const nameless = new Listening(server.url, { token: server.ownerToken }, { accountId: "" });
    await expect(nameless.ended).resolves.toEqual({ code: "NOT_FOUND" });
  });
});

describe("generationFeed protects", () => {
  it("what others call: from another key, and from a MEMBER of another account", async () => {
    const mine = await server.customer();
    const theirs = await server.customer();
    const { token } = await server.person("MEMBER", mine.accountId);
    const asMember = new Listening(server.url, { token });
    const asKey = new Listening(server.url, { key: mine.key });
    const foreign = [
      new Listening(server.url, { token }, { accountId: theirs.accountId }),
      new Listening(server.url, { key: mine.key }, { apiKeyId: theirs.apiKeyId }),
    ];
    await Promise.all([begun(asMember, mine.key), begun(asKey, mine.key)]);
    await call(theirs.key, "theirs");
    await call(mine.key, "mine");
    await Promise.all([asMember, asKey].map((one) => one.until(() => told(one).length > 0)));
    for (const one of [asMember, asKey]) expect(told(one)).toMatchObject([{ tags: ["mine"] }]);
    for (const one of foreign) expect(one.told).toEqual([]);
    await Promise.all([asMember, asKey, ...foreign].map((one) => one.leave()));
  });

  it("its promise: who may have missed something is told so", async () => {
    const { key } = await server.customer();
    const listening = new Listening(server.url, { key });
    await begun(listening, key);
    await server.database.sql`delete from feed_listeners`;
    await expect(listening.ended).resolves.toEqual({ code: "UNAVAILABLE" });
    const again = new Listening(server.url, { key });
    await begun(again, key);
    await again.leave();
  });

  it("a revoked key's feed ends", async () => {
    const { key, apiKeyId } = await server.customer();
    const listening = new Listening(server.url, { key });
    await begun(listening, key);
    await server.ok("mutation ($id: ID!) { revokeApiKey(id: $id) { id } }", { id: apiKeyId });
    await expect(listening.ended).resolves.toEqual({ code: "KEY_REVOKED" });
    await listening.leave();
  });

  it("the hot path: while nobody listens, nothing is named", () => {
    expect(namedBefore).toEqual({ named: 0, calls: 1 });
  });

  it("memory: a reader that lags by more than a thousand is let go after what waits", async () => {
    const reader = new FeedReader(
      "key:1",
      () => true,
      () => {},
    );
    const rows = Array.from({ length: 1_001 }, (_, i) => ({ id: String(i) }) as GenerationRow);
    expect(reader.push(rows)).toBe(false);
    expect(reader.push(rows.slice(1))).toBe(true);
    expect(reader.push(rows.slice(0, 1))).toBe(false);
    expect((await reader.next()).value?.id).toBe("1");
    expect(reader.push(rows.slice(0, 1))).toBe(true);
  });
});
