import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { generate, someAddress } from "../harness/server.ts";
import { audience, type OidcStandin, startOidcProvider } from "../standins/oidc.ts";
import { makeDataDir, ServerProcess } from "./server-process.ts";

/** What ends people's tokens and sessions, on servers that are processes of their own and by real time. */
const me = "{ me { user { id } } }";
const login = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";

let database: TestDatabase;
let dataDir: { path: string; remove: () => Promise<void> };
let rotating: OidcStandin;
let shrinking: OidcStandin;
let one: ServerProcess;
let two: ServerProcess;
beforeAll(async () => {
  [database, dataDir, rotating, shrinking] = await Promise.all([
    createDatabase(),
    makeDataDir(),
    startOidcProvider(),
    startOidcProvider(),
  ]);
  const roles = { claim: "groups", values: { admins: "ADMIN" } };
  const issuers = [rotating, shrinking].map(({ issuer }) => ({ issuer, audience, roles }));
  const env = {
    DATABASE_URL: database.url,
    DATA_DIR: dataDir.path,
    TRUST_PROXY: "127.0.0.1",
    OIDC_ISSUERS: JSON.stringify(issuers),
  };
  [one, two] = await Promise.all([ServerProcess.start(env), ServerProcess.start(env)]);
  await Promise.all([one.signIn(), two.signIn()]);
});
afterAll(async () => {
  one?.kill();
  two?.kill();
  await Promise.all([database?.drop(), dataDir?.remove(), rotating?.close(), shrinking?.close()]);
});

const statusOf = async (server: ServerProcess, token: string) => (await server.client.call(me, {}, { token })).status;
const tokenOf = async (issuer: OidcStandin) => (await issuer.signIn("somebody", { groups: ["admins"] })).accessToken;

/** In seconds, on whichever of the two it takes longer. */
async function secondsUntil(token: string, status: number): Promise<number> {
  const startedMs = performance.now();
  const took = async (server: ServerProcess) => {
    while ((await statusOf(server, token)) !== status) await delay(500);
    return (performance.now() - startedMs) / 1000;
  };
  return Math.max(...(await Promise.all([one, two].map(took))));
}

describe.concurrent("by the clock", () => {
  it("a new key of another issuer is known within 30 s, and the one it replaces is refused from then on (A17)", async () => {
    const before = await tokenOf(rotating);
    for (const server of [one, two]) expect(await statusOf(server, before)).toBe(200);
    rotating.rotateKeys();
    const after = await tokenOf(rotating);
    const seconds = await secondsUntil(after, 200);
    console.log(`a new key of an issuer was known everywhere after ${seconds.toFixed(1)} s`);
    expect(seconds).toBeLessThanOrEqual(31);
    for (const server of [one, two]) expect(await statusOf(server, before)).toBe(401);
  });

  it("a key that another issuer takes out is refused within 60 s, with no token of a new one to tell (A17)", async () => {
    const token = await tokenOf(shrinking);
    for (const server of [one, two]) expect(await statusOf(server, token)).toBe(200);
    const fetches = shrinking.keyFetches();
    shrinking.rotateKeys();
    const seconds = await secondsUntil(token, 401);
    console.log(`a key that an issuer took out was refused everywhere after ${seconds.toFixed(1)} s`);
    expect(seconds).toBeLessThanOrEqual(61);
    // Each server has asked once, when what it knew was a minute old.
    expect(shrinking.keyFetches() - fetches).toBeLessThanOrEqual(4);
  });
});

it("two hundred sign-ins at once wait in a short line or are refused, and calls are served meanwhile (A20)", async () => {
  const { client } = one;
  const { key } = await client.customer({ credits: "1000" });
  const order: string[] = [];
  const guess = async () => {
    const input = { email: `nobody-${crypto.randomUUID()}@example.com`, password: "not a password" };
    const { status } = await client.call(login, { input }, { ip: someAddress() });
    order.push(status === 401 ? "tried" : "refused");
    return status;
  };
  const guesses = Array.from({ length: 200 }, guess);
  for (let i = 0; i < 30; i++) {
    await client.ok(generate, { input: { model: "echo", prompt: "hi" } }, { key });
    order.push("call");
  }
  const statuses = await Promise.all(guesses);
  const tried = statuses.filter((status) => status === 401).length;
  console.log(`of 200 sign-ins at once ${tried} were tried, the others refused`);
  expect(new Set(statuses)).toEqual(new Set([401, 429]));
  // Two are hashed at a time and twenty wait; each takes longer than the others take to come.
  expect(tried).toBeLessThan(100);
  expect(order.lastIndexOf("call")).toBeLessThan(order.lastIndexOf("tried"));
});

describe("what one server ends, the other refuses", () => {
  it("a session with the next request, whether it was left, ended by an admin, or its person disabled", async () => {
    const { client } = one;
    const ends = [
      ({ token }: { token: string }) => client.ok("mutation { logout }", {}, { token }),
      ({ id }: { id: string }) => client.ok("mutation ($id: ID!) { endUserSessions(userId: $id) }", { id }),
      ({ id }: { id: string }) => client.ok("mutation ($id: ID!) { disableUser(userId: $id) { id } }", { id }),
    ];
    for (const end of ends) {
      const person = await client.person("ANALYST");
      expect(await statusOf(two, person.token)).toBe(200);
      await end(person);
      expect(await statusOf(two, person.token)).toBe(401);
    }
  });

  it("the tokens of a signing key that is removed, within a second; people sign in again with another", async () => {
    const { token, email, password } = await one.client.person("ANALYST");
    expect(await statusOf(two, token)).toBe(200);
    const kid = JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString()).kid;
    await one.client.ok("mutation ($kid: ID!) { removeSigningKey(kid: $kid) { kid } }", { kid });
    const seconds = await secondsUntil(token, 401);
    console.log(`the tokens of a removed signing key were refused everywhere after ${(seconds * 1000).toFixed(0)} ms`);
    expect(seconds).toBeLessThan(1);
    const again = await two.client.login(email, password);
    for (const server of [one, two]) expect(await statusOf(server, again)).toBe(200);
  });
});
