/**
 * The database of a server that was given no DATABASE_URL: a real PostgreSQL in the data directory, which outlives any
 * kill of it or of us. We own it while we hold its lock, and only an owner stops it.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type Cluster, prepareCluster, role } from "./cluster.ts";
import { DataDirInUse, type Ownership, takeOwnership } from "./ownership.ts";
import {
  findPostmaster,
  LaunchFailed,
  launch,
  type Postmaster,
  pickPort,
  pollMs,
  stopPostmaster,
} from "./postmaster.ts";
import { codeOf } from "./runtime.ts";

export { DataDirInUse };

/** How long to wait for a server that is stopping, or for the remains of a killed one. */
const patienceMs = 20_000;
const deathsPerMinuteMax = 10;
const pauseMsMax = 1_000;
const retryMs = 100;

export interface EmbeddedOptions {
  dataDir: string;
  log?: (message: string) => void;
  /** More settings of PostgreSQL, such as `{ fsync: "off" }` for tests. A server that is adopted keeps its own. */
  settings?: Record<string, string>;
  /** Where root copies files that PostgreSQL's unprivileged user cannot reach. */
  sharedDir?: string;
  /** Joins a server that already runs, and leaves it running, instead of becoming its owner. */
  joins?: boolean;
}

export interface EmbeddedDatabase {
  /** Valid until `stop`, restarts included. */
  url: string;
  /** The same server and user, another database. */
  adminUrl(database: string): string;
  /** Of the postmaster; changes when PostgreSQL had to be started again. */
  pid(): number;
  stop(): Promise<void>;
}

interface Held {
  postmaster: Postmaster;
  ownership: Ownership;
}

interface Wanted {
  cluster: Cluster;
  settings: Record<string, string>;
  signal: AbortSignal;
  /** Any free port by default. */
  port?: number;
}

/**
 * Starts the database, adopts the one that an earlier, killed process left running, or joins it on request. Throws
 * DataDirInUse.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  const { dataDir, log = () => {}, settings = {}, sharedDir = "/var/lib/tollgate", joins = false } = options;
  const cluster = await prepareCluster(dataDir, sharedDir);
  const running = joins && (await findPostmaster(cluster));
  if (running && running.status === "ready") return guestOf(cluster, running);
  const stopping = new AbortController();
  const wanted = { cluster, settings, signal: stopping.signal };
  const server = new EmbeddedServer(await bringUp(wanted), wanted, stopping, log);
  log(`PostgreSQL runs on port ${server.port} as process ${server.pid()}, its files are in ${cluster.directory}.`);
  return server;
}

function guestOf(cluster: Cluster, { port, pid }: Postmaster): EmbeddedDatabase {
  const adminUrl = (database: string) => urlOf(cluster, port, database);
  return { url: adminUrl(role), adminUrl, pid: () => pid, stop: async () => {} };
}

function urlOf({ password }: Cluster, port: number, database: string): string {
  return `postgres://${role}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
}

class EmbeddedServer implements EmbeddedDatabase {
  readonly url: string;
  readonly port: number;
  readonly #wanted: Wanted;
  readonly #stopping: AbortController;
  readonly #log: (message: string) => void;
  readonly #supervision: Promise<void>;
  #held: Held;
  #isOurs = true;
  #stopped: Promise<void> | undefined;

  constructor(held: Held, wanted: Wanted, stopping: AbortController, log: (message: string) => void) {
    this.#held = held;
    this.port = held.postmaster.port;
    this.#wanted = { ...wanted, port: this.port };
    this.#stopping = stopping;
    this.#log = log;
    this.url = this.adminUrl(role);
    this.#supervision = this.#supervise();
  }

  adminUrl(database: string): string {
    return urlOf(this.#wanted.cluster, this.port, database);
  }

  pid(): number {
    return this.#held.postmaster.pid;
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    await this.#supervision;
    try {
      // Looked up again, because a restart may have been interrupted.
      const postmaster = this.#isOurs && (await findPostmaster(this.#wanted.cluster));
      if (postmaster) await stopPostmaster(postmaster);
    } finally {
      // Not earlier, else a new owner could adopt the server that we are about to stop.
      await this.#held.ownership.release();
    }
  }

  /** Each round is one loss of the lock: the server died, or ended all sessions after a crash in one of them. */
  async #supervise(): Promise<void> {
    const { signal } = this.#stopping;
    const stopRequest = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    let losses: number[] = [];
    for (;;) {
      await Promise.race([this.#held.ownership.lost, stopRequest]);
      if (signal.aborted) return;
      losses = [...losses.filter((time) => time > Date.now() - 60_000), Date.now()];
      if (losses.length >= deathsPerMinuteMax) {
        this.#log(`PostgreSQL was lost ${losses.length} times within a minute and is not started again.`);
        return;
      }
      this.#log("PostgreSQL was lost and is brought back.");
      await delay(pauseMs(losses.length), undefined, { signal }).catch(() => {});
      await this.#bringBack();
    }
  }

  /** When this fails, the ownership stays lost, and the next round tries again. */
  async #bringBack(): Promise<void> {
    await this.#held.ownership.release();
    try {
      this.#held = await bringUp(this.#wanted);
      this.#isOurs = true;
      this.#log(`PostgreSQL runs again as process ${this.pid()}.`);
    } catch (fault) {
      if (this.#stopping.signal.aborted) return;
      this.#log(fault instanceof Error ? fault.message : String(fault));
      // A server that found the directory without an owner has taken it; stopping PostgreSQL is now up to that one.
      this.#isOurs = !(fault instanceof DataDirInUse);
    }
  }
}

function pauseMs(losses: number): number {
  return losses === 1 ? 0 : Math.min(25 * 2 ** losses, pauseMsMax);
}

async function bringUp(wanted: Wanted): Promise<Held> {
  const { signal } = wanted;
  let deadline = Date.now() + patienceMs;
  for (;;) {
    signal.throwIfAborted();
    const running = await findPostmaster(wanted.cluster);
    if (running?.status === "starting") {
      // Recovery after a crash takes as long as it takes.
      deadline = Date.now() + patienceMs;
      await delay(pollMs, undefined, { signal });
      continue;
    }
    try {
      return await hold(wanted, running);
    } catch (fault) {
      if (!isPassing(fault) || Date.now() > deadline) throw fault;
      await delay(retryMs, undefined, { signal });
    }
  }
}

async function hold(wanted: Wanted, running: Postmaster | undefined): Promise<Held> {
  const { cluster } = wanted;
  const postmaster = running ?? (await launch(cluster, { ...wanted, port: wanted.port ?? (await pickPort()) }));
  try {
    return { postmaster, ownership: await takeOwnership(cluster, postmaster.port) };
  } catch (fault) {
    // Another process may own by now what we have launched; otherwise it must not be left behind.
    if (!running && !isPassing(fault) && !(fault instanceof DataDirInUse)) await stopPostmaster(postmaster);
    throw fault;
  }
}

/** Whether a retry may help: the server is starting, stopping, full or just gone. */
function isPassing(fault: unknown): boolean {
  if (fault instanceof LaunchFailed) return fault.isPassing;
  return /^(57P0|53300|ECONN|EPIPE|CONNECT)/.test(codeOf(fault) ?? "");
}
