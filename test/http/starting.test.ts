import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { type App, createApp, type Listening } from "../../src/app.ts";
import { loadConfig } from "../../src/config/environment.ts";
import { lockNumbers } from "../../src/db/lock-numbers.ts";
import { createLogger } from "../../src/log.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { environmentOf, owner } from "../harness/first-start.ts";

/** A first start whose preparation is held, by the lock that replicas wait for while another one prepares the database. */
let database: TestDatabase;
let dataDir: string;
let app: App;
let url: string;
let starting: Promise<Listening>;
let letGo: () => Promise<unknown>;

beforeAll(async () => {
  database = await createDatabase();
  dataDir = await mkdtemp(join(tmpdir(), "tollgate-data-"));
  const holder = await database.sql.reserve();
  await holder`select pg_advisory_lock(${lockNumbers.firstRun})`;
  letGo = async () => {
    await holder`select pg_advisory_unlock(${lockNumbers.firstRun})`;
    holder.release();
  };
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  const config = loadConfig({ ...environmentOf(database.url, dataDir), PORT: String(port), HOST: "127.0.0.1" });
  app = await createApp(config, createLogger({ level: "silent", production: true }));
  starting = app.listen();
  await vi.waitFor(() => ask("GET", "/healthz"), { timeout: 20_000 });
});
afterAll(async () => {
  await app.close();
  await database.drop();
  await rm(dataDir, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function ask(method: string, path: string, body?: object) {
  const response = await fetch(url + path, {
    method,
    headers: { "content-type": "application/json" },
    ...(body && { body: JSON.stringify(body) }),
  });
  return { status: response.status, headers: response.headers, body: JSON.parse((await response.text()) || "null") };
}

const signIn = () => {
  const query = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
  return ask("POST", "/graphql", { query, variables: { input: owner } });
};
const inGraphql = {
  errors: [expect.objectContaining({ extensions: expect.objectContaining({ code: "UNAVAILABLE" }) })],
};
const inOpenAi = { error: expect.objectContaining({ type: "server_error", code: "unavailable" }) };

describe("a server that is not prepared yet", () => {
  it("is alive", async () => {
    expect((await ask("GET", "/healthz")).status).toBe(200);
  });

  it.each([
    ["GET", "/readyz", undefined, inGraphql],
    ["POST", "/graphql", { query: "{ me { kind } }" }, inGraphql],
    ["POST", "/graphql/stream", { query: "{ me { kind } }" }, inGraphql],
    ["POST", "/generate", { model: "echo", prompt: "Hello" }, inGraphql],
    ["POST", "/token", owner, inGraphql],
    ["POST", "/v1/chat/completions", { model: "echo", messages: [] }, inOpenAi],
    ["GET", "/v1/models", undefined, inOpenAi],
    ["GET", "/export/usage.csv", undefined, inGraphql],
    ["GET", "/.well-known/jwks.json", undefined, inGraphql],
    ["GET", "/nowhere", undefined, inGraphql],
  ])("answers %s %s with 503, Retry-After and UNAVAILABLE", async (method, path, body, shape) => {
    const answer = await ask(method, path, body);
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(answer.body).toEqual(shape);
  });

  it("opens no socket", async () => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
    const [, response] = await once(socket, "unexpected-response");
    expect([response.statusCode, response.headers["retry-after"]]).toEqual([503, "1"]);
    socket.on("error", () => {}).terminate();
  });

  it("takes the right password only once it is prepared, and then at once", async () => {
    expect((await signIn()).status).toBe(503);
    await letGo();
    const { firstRun } = await starting;
    expect(firstRun).toMatchObject({ email: owner.email, demoKey: expect.any(String) });
    expect((await ask("GET", "/readyz")).status).toBe(200);
    expect((await signIn()).body).toMatchObject({ data: { login: { accessToken: expect.any(String) } } });
  });
});
