import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, prepareCluster, role } from "../../src/db/embedded/cluster.ts";
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
    const settings = { fsync: "off", ...this.#settings };
    this.#postmaster = await launch(this.#cluster, { port: this.#port, settings, signal });
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
    await this.stop("immediate");
    await rm(this.#cluster.dataDir, { recursive: true, force: true });
  }
}
