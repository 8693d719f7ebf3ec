import { createClient } from "graphql-ws";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { generate } from "../harness/server.ts";
import { type HeldStandin, startHeldStandin } from "../standins/held.ts";
import { findBreaks } from "./invariants.ts";
import { makeDataDir, ServerProcess } from "./server-process.ts";

/** F20: more and larger requests at once than the process has memory for. What does not fit is told so, and no more. */
const heapMegabytes = 192;
const requests = 200;

let database: TestDatabase;
let dataDir: { path: string; remove: () => Promise<void> };
let standin: HeldStandin;
let server: ServerProcess;

beforeAll(async () => {
  [database, dataDir, standin] = await Promise.all([createDatabase(), makeDataDir(), startHeldStandin()]);
  server = await ServerProcess.start({
    ...{ DATABASE_URL: database.url, DATA_DIR: dataDir.path, OPENAI_COMPATIBLE_SERVICES: `held=${standin.url}` },
    ...{ INPUT_BYTES_MAX: "1000000", NODE_OPTIONS: `--max-old-space-size=${heapMegabytes}` },
  });
  await server.signIn();
});
afterAll(async () => {
  server?.kill();
  await standin?.close();
  await database?.drop();
  await dataDir?.remove();
});

/** Of about a megabyte each, in the shapes that take the most memory: a single wide character widens a whole text. */
const prompts: Record<string, string> = {
  letters: "a".repeat(999_000),
  "letters and one fox": `🦊${"a".repeat(998_000)}`,
  foxes: "🦊".repeat(249_000),
};

it.each(Object.entries(prompts))(
  `takes ${requests} prompts of a megabyte at once, of %s: what it cannot hold is refused with a time to wait`,
  async (name, prompt) => {
    const { client } = server;
    const customer = await client.customer({ credits: "1000" });
    const model = await client.model("held", "held");
    const text = `${name}: ${prompt}`;
    const gate = standin.hold(name);
    let refused = 0;
    const answers = Array.from({ length: requests }, async () => {
      const answer = await client.call(generate, { input: { model, prompt: text, maxOutputTokens: 5 } }, customer);
      if (answer.status !== 200) refused += 1;
      return answer;
    });
    // All are in: each one either waits at the model or was refused.
    const decided = () => standin.callsWith(name) + refused;
    await Promise.race([expect.poll(decided, { timeout: 15_000 }).toBe(requests), Promise.all(answers)]);
    gate.open();
    const all = await Promise.all(answers);
    const taken = all.filter(({ status }) => status === 200).length;
    console.log(`${name}: ${taken} of ${requests} were taken`);
    for (const { status, body, headers } of all) {
      if (status === 200) continue;
      expect([status, body.errors?.[0]?.extensions.code]).toEqual([503, "UNAVAILABLE"]);
      expect(headers.get("retry-after")).toBe("1");
    }
    expect(taken).toBeGreaterThan(5);
    expect(standin.callsWith(name)).toBe(taken);
    expect(server.running, server.output).toBe(true);
    const [wallet] = await database.sql`select balance from wallets where id = ${customer.walletId.slice(4)}::uuid`;
    expect(wallet?.["balance"]).toBe(1_000_000_000n - BigInt(taken) * 1_000_000n);
    expect(await findBreaks(database.sql)).toEqual([]);
    await client.ok(generate, { input: { model: "echo", prompt: "Hello" } }, customer);
  },
);

it("takes as many over sockets, and closes those that send more with a word to try again", async () => {
  const { client } = server;
  const { key } = await client.customer({ credits: "1000" });
  const model = await client.model("held", "held");
  const prompt = `over sockets: ${prompts["letters"]}`;
  const gate = standin.hold("over sockets");
  let closed = 0;
  const ends = Array.from({ length: 60 }, async () => {
    const socket = createClient({
      url: `${client.url.replace("http", "ws")}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { "x-api-key": key },
      retryAttempts: 0,
    });
    const events = socket.iterate({ query: generate, variables: { input: { model, prompt, maxOutputTokens: 5 } } });
    try {
      for await (const { errors } of events) expect(errors).toBeUndefined();
      return "answered";
    } catch (error) {
      closed += 1;
      return (error as { code?: number }).code ?? error;
    } finally {
      await socket.dispose();
    }
  });
  await expect.poll(() => standin.callsWith("over sockets") + closed, { timeout: 15_000 }).toBe(ends.length);
  gate.open();
  const all = await Promise.all(ends);
  expect(new Set(all)).toEqual(new Set([1013, "answered"]));
  expect(server.running, server.output).toBe(true);
  await client.ok(generate, { input: { model: "echo", prompt: "Hello" } }, { key });
});

it("counts a body whose length nobody said as the largest only until it is there", async () => {
  const { client } = server;
  const { key } = await client.customer({ credits: "1000" });
  const model = await client.model("held", "held");
  const gate = standin.hold("in chunks");
  const body = JSON.stringify({ query: generate, variables: { input: { model, prompt: "in chunks" } } });
  const calls = [];
  for (let sent = 1; sent <= 40; sent++) {
    calls.push(
      fetch(`${client.url}/graphql`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": key },
        body: new Blob([body]).stream(),
        duplex: "half",
      } as RequestInit),
    );
    await gate.waiting(sent);
  }
  gate.open();
  expect(new Set((await Promise.all(calls)).map(({ status }) => status))).toEqual(new Set([200]));
});
