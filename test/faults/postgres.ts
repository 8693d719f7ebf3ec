import { execFileSync, spawn } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import postgres from "postgres";
import { type Cluster, plainEnvironment, prepareCluster, role } from "../../src/db/embedded/cluster.ts";
import { launch, type Postmaster, pickPort, stopPostmaster } from "../../src/db/embedded/postmaster.ts";

/** A PostgreSQL that a test may stop and start as it likes, always at the same address. */
export class Postgres {
  readonly url: string;
  readonly #cluster: Cluster;
  readonly #port: number;
  readonly #settings: Record<string, string>;
  #postmaster: Postmaster | undefined;

  private constructor(cluster: Cluster, port: number, settings: Record<string, string>) {
    this.#cluster = cluster;
    this.#port = port;
    this.#settings = settings;
    this.url = `postgres://${role}:${cluster.password}@127.0.0.1:${port}/postgres`;
  }

  static async create(settings: Record<string, string> = {}): Promise<Postgres> {
    const dataDir = await mkdtemp(join(tmpdir(), "tollgate-faults-"));
    const server = new Postgres(await prepareCluster(dataDir, "/var/lib/tollgate"), await pickPort(), settings);
    await server.start();
    return server;
  }

  async start(): Promise<void> {
    const { signal } = new AbortController();
    await rm(join(this.#cluster.directory, "standby.signal"), { force: true });
    const settings = { fsync: "off", ...this.#settings };
    this.#postmaster = await launch(this.#cluster, { port: this.#port, settings, signal });
  }

  /** As a hot standby: read-only, and following `primary_conninfo` if that is among `settings`. */
  async startAsStandby(settings: Record<string, string> = {}): Promise<void> {
    const { directory, runtime, runAs, logFile } = this.#cluster;
    await writeFile(join(directory, "standby.signal"), "");
    const all = { fsync: "off", listen_addresses: "127.0.0.1", port: this.#port, unix_socket_directories: "" };
    const pairs = Object.entries({ ...all, ...this.#settings, ...settings }).flatMap(([name, value]) => [
      "-c",
      `${name}=${value}`,
    ]);
    const child = spawn(join(runtime, "bin", "postgres"), ["-D", directory, ...pairs], {
      cwd: directory,
      env: plainEnvironment,
      stdio: "ignore",
      ...runAs,
    });
    const isAlive = async () => child.exitCode === null && child.signalCode === null;
    this.#postmaster = { pid: child.pid ?? 0, port: this.#port, isAlive };
    const sql = postgres(this.url, { max: 1, onnotice: () => {} });
    for (const deadline = Date.now() + 20_000; ; await delay(50)) {
      const answered = await sql`select`.then(() => true).catch(() => false);
      if (answered) break;
      if (Date.now() > deadline) throw new Error(`the standby does not start: ${await readFile(logFile, "utf8")}`);
    }
    await sql.end();
  }

  /** A copy of one that is stopped, at an address of its own, not started yet. */
  async copy(): Promise<Postgres> {
    const dataDir = await mkdtemp(join(tmpdir(), "tollgate-faults-"));
    const directory = join(dataDir, "postgres");
    await cp(this.#cluster.directory, directory, { recursive: true });
    const { runAs } = this.#cluster;
    if (runAs) execFileSync("chown", ["-R", `${runAs.uid}:${runAs.gid}`, dataDir]);
    execFileSync("chmod", ["0700", directory]);
    return new Postgres({ ...this.#cluster, dataDir, directory }, await pickPort(), this.#settings);
  }

  /** For `primary_conninfo` of another. */
  get connection(): string {
    return `host=127.0.0.1 port=${this.#port} user=${role} password=${this.#cluster.password}`;
  }

  /** All of its processes stand still: connections stay, and nothing is answered. */
  async freeze(): Promise<void> {
    await this.#signal("SIGSTOP");
  }

  async thaw(): Promise<void> {
    await this.#signal("SIGCONT");
  }

  async #signal(name: NodeJS.Signals): Promise<void> {
    const { pid } = this.#postmaster ?? {};
    if (!pid) return;
    for (const process of [pid, ...(await childrenOf(pid))]) signal(process, name);
  }

  /** `fast` ends every session; `immediate` leaves all as a power cut would, for the write-ahead log to mend. */
  async stop(mode: "fast" | "immediate"): Promise<void> {
    const { pid } = this.#postmaster ?? {};
    if (!this.#postmaster || !pid) return;
    process.kill(pid, mode === "fast" ? "SIGINT" : "SIGQUIT");
    await stopPostmaster(this.#postmaster);
    this.#postmaster = undefined;
  }

  async remove(): Promise<void> {
    await this.thaw();
    await this.stop("immediate");
    await rm(this.#cluster.dataDir, { recursive: true, force: true });
  }
}

/** One that has ended meanwhile needs none. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function childrenOf(parent: number): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const status = await readFile(`/proc/${name}/stat`, "utf8").catch(() => "");
    // The name of the program stands in brackets and may hold anything.
    const [, ppid] = status.slice(status.lastIndexOf(")") + 2).split(" ");
    if (Number(ppid) === parent) found.push(Number(name));
  }
  return found;
}
