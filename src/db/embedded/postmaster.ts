/** The server process itself: finding one that runs, launching one, stopping it. Nothing here decides who owns it. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { open, readFile, rename, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Cluster, plainEnvironment } from "./cluster.ts";
import { ignoring, isProcess } from "./runtime.ts";

export const pollMs = 25;
const logBytesMax = 10 * 1024 * 1024;
const logLinesShown = 15;

export interface Postmaster {
  pid: number;
  port: number;
  isAlive(): Promise<boolean>;
}

/** PostgreSQL ended before it was ready. `isPassing` says that another try may succeed. */
export class LaunchFailed extends Error {
  readonly isPassing: boolean;

  constructor(logTail: string) {
    super(`PostgreSQL did not start. Its log ends:\n${logTail}`);
    this.name = "LaunchFailed";
    // A port taken meanwhile, another process's server, or backends that outlive their killed postmaster.
    this.isPassing = /Address already in use|lock file .* already exists|pre-existing shared memory/.test(logTail);
  }
}

/** The running server of this cluster by its pid file, including one that another process launched. */
export async function findPostmaster({ directory }: Cluster): Promise<(Postmaster & { status: string }) | undefined> {
  const file = await readPidFile(directory);
  if (!file || !(await isPostmaster(file.pid, directory))) return undefined;
  return { ...file, isAlive: () => isPostmaster(file.pid, directory) };
}

async function readPidFile(directory: string): Promise<{ pid: number; port: number; status: string } | undefined> {
  const text = await readFile(join(directory, "postmaster.pid"), "utf8").catch(ignoring("ENOENT"));
  const [pid, , , port, , , , status] = (text ?? "").split("\n");
  if (!Number(pid)) return undefined;
  // The line with the status is the last to be written.
  return { pid: Number(pid), port: Number(port), status: status?.trim() || "starting" };
}

/** Pids are reused, so the process must also be the postmaster of this cluster. Its zombie has no command line. */
async function isPostmaster(pid: number, directory: string): Promise<boolean> {
  if (pid <= 0 || !isProcess(pid)) return false;
  // Only the command line can be read of another user's process, which is what root without CAP_SYS_PTRACE meets.
  const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => undefined);
  if (commandLine === undefined) return !existsSync("/proc/self");
  const [program = "", ...args] = commandLine.split("\0");
  return basename(program) === "postgres" && args.includes(directory);
}

export interface LaunchOptions {
  port: number;
  settings: Record<string, string>;
  signal: AbortSignal;
}

/** Starts PostgreSQL and waits until it takes connections, which may be long when it recovers from a crash. */
export async function launch(cluster: Cluster, { port, settings, signal }: LaunchOptions): Promise<Postmaster> {
  await rotateLog(cluster.logFile);
  const log = await open(cluster.logFile, "a+", 0o600);
  try {
    if (cluster.runAs) await log.chown(cluster.runAs.uid, cluster.runAs.gid);
    const logStart = (await log.stat()).size;
    const child = spawn(join(cluster.runtime, "bin", "postgres"), commandLine(cluster, port, settings), {
      cwd: cluster.directory,
      // Its own session: a terminal's Ctrl-C must reach only this process, which stops it in order.
      detached: true,
      env: { ...plainEnvironment, ...(await strangerInPidFile(cluster.directory)) },
      stdio: ["ignore", log.fd, log.fd],
      ...cluster.runAs,
    });
    child.unref();
    await untilReady(child, cluster, logStart, signal);
    return asPostmaster(child, port);
  } finally {
    await log.close();
  }
}

function commandLine({ directory }: Cluster, port: number, settings: Record<string, string>): string[] {
  const all = {
    max_connections: "100",
    shared_buffers: "128MB",
    // A young cluster has no old files of its log to use again. Filling each new one with zeros holds up every commit
    // for about 50 ms, and makes none of them safer.
    wal_init_zero: "off",
    synchronous_commit: "on",
    timezone: "UTC",
    log_timezone: "UTC",
    lc_messages: "C",
    log_checkpoints: "off",
    ...settings,
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "",
  };
  return ["-D", directory, ...Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`])];
}

/**
 * A pid file left by a kill may name a process that has nothing to do with us. PostgreSQL disregards the pid that this
 * variable of pg_ctl's gives, and still looks whether the old shared memory is in use. Deleting the file, the usual
 * cure, would forgo that check and could hit the file of a server that has just been started.
 */
async function strangerInPidFile(directory: string): Promise<{ PG_GRANDPARENT_PID?: string }> {
  const file = await readPidFile(directory);
  if (!file || (await isPostmaster(file.pid, directory))) return {};
  return { PG_GRANDPARENT_PID: String(file.pid) };
}

function asPostmaster(child: ChildProcess, port: number): Postmaster {
  return { pid: child.pid ?? 0, port, isAlive: async () => isRunning(child) };
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

async function untilReady(child: ChildProcess, cluster: Cluster, logStart: number, signal: AbortSignal): Promise<void> {
  let spawnFault: Error | undefined;
  child.on("error", (fault) => {
    spawnFault = fault;
  });
  for (;;) {
    const file = await readPidFile(cluster.directory);
    if (file?.pid === child.pid && file?.status === "ready") return;
    if (spawnFault) throw spawnFault;
    if (!isRunning(child)) throw new LaunchFailed(await readTail(cluster.logFile, logStart));
    if (signal.aborted) await stopPostmaster(asPostmaster(child, 0));
    signal.throwIfAborted();
    await delay(pollMs);
  }
}

/** Fast shutdown, then the immediate one, after which the next start recovers from the write-ahead log. */
export async function stopPostmaster(postmaster: Postmaster): Promise<void> {
  for (const signal of ["SIGINT", "SIGQUIT"] as const) {
    if (!(await postmaster.isAlive())) return;
    try {
      process.kill(postmaster.pid, signal);
    } catch (fault) {
      ignoring("ESRCH")(fault);
    }
    for (const deadline = Date.now() + 10_000; Date.now() < deadline; await delay(pollMs)) {
      if (!(await postmaster.isAlive())) return;
    }
  }
  throw new Error(`PostgreSQL (process ${postmaster.pid}) does not stop.`);
}

/** Another process may take the port before PostgreSQL does; the launch is then retried with another port. */
export async function pickPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("The system gave no TCP port.");
  return address.port;
}

async function rotateLog(logFile: string): Promise<void> {
  const stats = await stat(logFile).catch(ignoring("ENOENT"));
  if (stats && stats.size > logBytesMax) await rename(logFile, `${logFile}.1`);
}

async function readTail(logFile: string, from: number): Promise<string> {
  const text = (await readFile(logFile)).subarray(from).toString("utf8");
  return text.trimEnd().split("\n").slice(-logLinesShown).join("\n");
}
