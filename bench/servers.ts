import { type ChildProcess, fork, spawn } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";

/** The servers that are measured, each a process of its own. */
export interface Server {
  url: string;
  pid: number;
  stop(): Promise<void>;
}

const patienceMs = 30_000;

/** A script of this folder that tells its address once it listens, and ends when we do. */
export async function startScript(file: URL, args: string[] = []): Promise<Server> {
  const child = fork(file, args);
  const [url] = (await once(child, "message")) as [string];
  return { url, pid: pidOf(child), stop: () => stop(child) };
}

export async function startPortkey(stubUrl: string): Promise<Server> {
  const main = join(import.meta.dirname, "node_modules/@portkey-ai/gateway/build/start-server.js");
  if (!existsSync(main)) throw new Error("Portkey is not installed: run `npm ci --prefix bench` first.");
  const port = await freePort();
  const env = { NODE_ENV: "production", TRUSTED_CUSTOM_HOSTS: `127.0.0.1,${new URL(stubUrl).host}` };
  const child = start([main, "--headless", `--port=${port}`], tmpdir(), env);
  const url = `http://127.0.0.1:${port}`;
  child.stdout?.resume();
  await untilAnswers(url, child);
  return { url, pid: pidOf(child), stop: () => stop(child) };
}

export interface Build {
  /** `dist/main.js` of this checkout when absent. */
  main?: string | undefined;
  nodeOptions?: string[];
  env?: Record<string, string>;
}

export interface Tollgate extends Server, Keys {}

interface Keys {
  key: string;
  keyWithoutCredits: string;
}

/** As an operator runs it: the built server, in production, with its defaults and the PostgreSQL that comes with it. */
export async function startTollgate(stubUrl: string, build: Build = {}): Promise<Tollgate> {
  const { main = join(import.meta.dirname, "..", "dist", "main.js"), nodeOptions = [], env = {} } = build;
  if (!existsSync(main)) throw new Error("Tollgate is not built: run `npm run build` first.");
  const folder = await mkdtemp(join(tmpdir(), "tollgate-bench-"));
  // PostgreSQL's unprivileged user must be able to pass through.
  await chmod(folder, 0o711);
  const port = await freePort();
  const password = randomBytes(16).toString("hex");
  const { privateKey } = generateKeyPairSync("ed25519");
  const child = start([...nodeOptions, main], folder, {
    NODE_ENV: "production",
    PORT: String(port),
    SERVER_SECRET: randomBytes(32).toString("base64"),
    JWT_PRIVATE_KEY: privateKey.export({ format: "der", type: "pkcs8" }).toString("base64"),
    ADMIN_PASSWORD: password,
    OPENAI_COMPATIBLE_SERVICES: `stub=${stubUrl}/v1`,
    STUB_API_KEY: "none",
    OLLAMA_BASE_URL: "http://127.0.0.1:9",
    ...env,
  });
  const url = `http://127.0.0.1:${port}`;
  const stopAll = async () => {
    await stop(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    // Not earlier, because the first start makes its owner after it listens.
    await untilSays("is ready", child);
    return { url, pid: pidOf(child), ...(await prepare(url, password)), stop: stopAll };
  } catch (error) {
    await stopAll();
    throw error;
  }
}

/** A priced model, and keys with limits of every kind, so that a call pays for all that is checked. */
async function prepare(url: string, password: string): Promise<Keys> {
  const credentials = { email: "admin@localhost.localdomain", password };
  const token = await ask(url, "login", "LoginInput", "accessToken", credentials);
  const model = { name: "stub", provider: "stub", providerModel: "stub" };
  await ask(url, "upsertModel", "UpsertModelInput", "id", model, token);
  const price = { inputCreditsPerMillion: "100", outputCreditsPerMillion: "400" };
  const usd = { inputUsdPerMillion: "0.15", outputUsdPerMillion: "0.6" };
  await ask(url, "setModelPrice", "SetModelPriceInput", "version", { model: "stub", ...price, ...usd }, token);
  const limits = { requestsPerMinute: 1_000_000_000, tokensPerMinute: 1_000_000_000, maxConcurrency: 10_000 };
  const create = (credits: string) => {
    const input = { name: "bench", credits, ...limits };
    return ask(url, "createApiKey", "CreateApiKeyInput", "secret", input, token);
  };
  return { key: await create("1000000000"), keyWithoutCredits: await create("0") };
}

/** Runs a mutation and gives one field of its answer. */
async function ask(url: string, mutation: string, type: string, field: string, input: object, token?: string) {
  const query = `mutation ($input: ${type}!) { ${mutation}(input: $input) { ${field} } }`;
  const response = await fetch(`${url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, variables: { input } }),
  });
  const { data, errors } = (await response.json()) as {
    data: Record<string, Record<string, string>>;
    errors?: unknown;
  };
  if (errors) throw new Error(JSON.stringify(errors));
  return data[mutation]?.[field] ?? "";
}

function start(args: string[], cwd: string, env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, args, {
    cwd,
    env: { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "", ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
}

async function untilSays(words: string, child: ChildProcess): Promise<void> {
  if (!child.stdout) throw new Error("Its output cannot be read.");
  for await (const line of createInterface(child.stdout)) if (line.includes(words)) break;
  if (child.exitCode !== null) throw new Error(`The server ended with ${child.exitCode}.`);
  child.stdout.resume();
}

async function untilAnswers(url: string, child: ChildProcess): Promise<void> {
  for (const deadline = Date.now() + patienceMs; ; await delay(50)) {
    if (child.exitCode !== null) throw new Error(`The server for ${url} ended with ${child.exitCode}.`);
    const response = await fetch(url).catch(() => undefined);
    if (response?.ok) return;
    if (Date.now() > deadline) throw new Error(`${url} does not answer.`);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  if (child.connected) child.disconnect();
  else child.kill("SIGTERM");
  await ended;
}

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new Error("The server could not be started.");
  return pid;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}
