import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApp } from "../../src/app.ts";
import { loadConfig } from "../../src/config/environment.ts";
import { createLogger } from "../../src/log.ts";

/**
 * The first start of a server, done once for a whole run: it makes an owner, whose password takes long to hash by
 * design, and the keys that sign. The servers of tests start on copies of its database, so they share its secret, and
 * the owner's session goes on in each of them.
 */
export const owner = { email: "owner@example.com", password: "correct horse battery" };
export const serverSecret = "what the servers of all tests are given";

export function environmentOf(databaseUrl: string, dataDir: string): Record<string, string> {
  return {
    NODE_ENV: "test",
    PORT: "0",
    DATABASE_URL: databaseUrl,
    DATA_DIR: dataDir,
    SERVER_SECRET: serverSecret,
    ADMIN_EMAIL: owner.email,
    ADMIN_PASSWORD: owner.password,
    // The least that is allowed: tests sign hundreds of people in.
    PASSWORD_HASH_COST: "10",
    OLLAMA_BASE_URL: "http://127.0.0.1:9",
    TRUST_PROXY: "127.0.0.1",
  };
}

/** Leaves the database to be copied. Returns the owner's refresh token, which can be exchanged once in each copy. */
export async function startFirst(databaseUrl: string): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), "tollgate-data-"));
  const config = loadConfig(environmentOf(databaseUrl, dataDir));
  const app = await createApp(config, createLogger({ level: "silent", production: true }));
  try {
    const { address } = await app.listen();
    const query = "mutation ($input: LoginInput!) { login(input: $input) { refreshToken } }";
    const response = await fetch(`${address}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query, variables: { input: owner } }),
    });
    return ((await response.json()) as { data: { login: { refreshToken: string } } }).data.login.refreshToken;
  } finally {
    await app.close();
    await rm(dataDir, { recursive: true, force: true });
  }
}
