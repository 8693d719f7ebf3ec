import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pickPort } from "../../src/db/embedded/postmaster.ts";

export const hasPgBouncer = spawnSync("pgbouncer", ["--version"]).status === 0;
const patienceMs = 10_000;

/** A real PgBouncer between the servers of a test and one PostgreSQL. */
export class PgBouncer {
  readonly #process: ChildProcess;
  readonly #directory: string;
  readonly #port: number;

  private constructor(process: ChildProcess, directory: string, port: number) {
    this.#process = process;
    this.#directory = directory;
    this.#port = port;
  }

  static async start(target: string, mode: string, poolSize: number): Promise<PgBouncer> {
    const { hostname, port: targetPort, username, password } = new URL(target);
    const directory = await mkdtemp(join(tmpdir(), "tollgate-pgbouncer-"));
    const port = await pickPort();
    const users = join(directory, "users.txt");
    const settings = {
      listen_addr: "127.0.0.1",
      listen_port: port,
      unix_socket_dir: "",
      auth_type: "scram-sha-256",
      auth_file: users,
      pool_mode: mode,
      default_pool_size: poolSize,
      max_client_conn: 500,
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
    const file = join(directory, "pgbouncer.ini");
    const database = `* = host=${hostname} port=${targetPort}`;
    await writeFile(file, ["[databases]", database, "[pgbouncer]", ...lines, ""].join("\n"));
    await writeFile(users, `"${decodeURIComponent(username)}" "${decodeURIComponent(password)}"\n`);
    await chmod(directory, 0o755);
    // It refuses to be root.
    const runAs = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
    const child = spawn("pgbouncer", ["-q", file], { stdio: ["ignore", "ignore", "inherit"], ...runAs });
    const bouncer = new PgBouncer(child, directory, port);
    await bouncer.#untilReady();
    return bouncer;
  }

  /** The same database and user, through the pooler. */
  url(original: string): string {
    const url = new URL(original);
    url.host = `127.0.0.1:${this.#port}`;
    return url.href;
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    if (this.#process.exitCode === null && this.#process.kill("SIGKILL")) await ended;
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #untilReady(): Promise<void> {
    for (const deadline = Date.now() + patienceMs; Date.now() < deadline; await delay(25)) {
      if (this.#process.exitCode !== null) break;
      const isOpen = await new Promise<boolean>((resolve) => {
        const socket = connect(this.#port, "127.0.0.1", () => resolve(true));
        socket.once("error", () => resolve(false)).once("connect", () => socket.destroy());
      });
      if (isOpen) return;
    }
    throw new Error("pgbouncer did not start");
  }
}
