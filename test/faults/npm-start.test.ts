import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { makeDataDir } from "./server-process.ts";

/** A server that npm started ends with npm, in whatever way npm ends. */
const root = join(import.meta.dirname, "..", "..");
const startMsMax = 60_000;
const endMsMax = 15_000;

let database: TestDatabase;
let dataDir: { path: string; remove: () => Promise<void> };
const started: ChildProcess[] = [];
beforeAll(async () => {
  [database, dataDir] = await Promise.all([createDatabase(), makeDataDir()]);
});
afterEach(() => {
  for (const { pid } of started.splice(0)) endGroup(pid);
});
afterAll(async () => {
  await database?.drop();
  await dataDir?.remove();
});

/** Whatever a failed test has left of npm and its server, which share a process group of their own. */
function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // They have ended, as they should.
  }
}

async function npmStart(): Promise<{ npm: ChildProcess; url: string }> {
  const { PATH = "", HOME = "" } = process.env;
  const env = { PATH, HOME, NODE_ENV: "test", PORT: "0", DATABASE_URL: database.url, DATA_DIR: dataDir.path };
  const npm = spawn("npm", ["start"], {
    cwd: root,
    env: { ...env, OLLAMA_BASE_URL: "http://127.0.0.1:9" },
    stdio: ["ignore", "pipe", "ignore"],
    detached: true,
  });
  started.push(npm);
  const lines = createInterface({ input: npm.stdout as NonNullable<typeof npm.stdout> });
  const url = await new Promise<string>((resolve, reject) => {
    lines.on("line", (line) => {
      const [, address] = /Tollgate is ready at (\S+)\/graphql/.exec(line) ?? [];
      if (address) resolve(address);
    });
    lines.once("close", () => reject(new Error("npm start ended before the server was ready")));
  });
  return { npm, url };
}

it.each(["SIGTERM", "SIGINT", "SIGKILL"] as const)(
  "npm start leaves no server behind after %s to npm alone",
  async (signal) => {
    const { npm, url } = await npmStart();
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    npm.kill(signal);
    const isAnswered = () =>
      fetch(`${url}/healthz`).then(
        () => true,
        () => false,
      );
    await expect.poll(isAnswered, { timeout: endMsMax, interval: 100 }).toBe(false);
    const hasEnded = () => {
      try {
        return !process.kill(-(npm.pid ?? 0), 0);
      } catch {
        return true;
      }
    };
    await expect.poll(hasEnded, { timeout: endMsMax, interval: 100 }).toBe(true);
  },
  startMsMax + 2 * endMsMax,
);
