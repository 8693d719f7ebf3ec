import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve as resolvePath } from "node:path";
import { promisify } from "node:util";

/** The built server as a process of its own, for what only a process can show: signals, exits, and what it prints. */
const repository = join(import.meta.dirname, "../..");
const patienceMs = 20_000;

export interface Build {
  main: string;
  remove(): Promise<void>;
}

/** As `npm run build` does, but into a folder of its own; types are checked by `npm run check`. */
export async function build(): Promise<Build> {
  // Within the checkout, where a build finds its packages, its migrations and its module type.
  const outDir = join(repository, "dist", `test-${randomUUID()}`);
  const compiler = join(repository, "node_modules", "typescript", "bin", "tsc");
  const options = ["--noCheck", "--incremental", "false", "--outDir", outDir];
  await promisify(execFile)(process.execPath, [compiler, "-p", "tsconfig.build.json", ...options], { cwd: repository });
  return { main: join(outDir, "main.js"), remove: () => rm(outDir, { recursive: true, force: true }) };
}

/** A folder that PostgreSQL's unprivileged user may pass through, in case the tests are run by root. */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tollgate-process-"));
  await chmod(folder, 0o711);
  return folder;
}

export class ServerProcess {
  output = "";
  readonly exited: Promise<number | null>;
  readonly dataDir: string;
  readonly #child: ChildProcess;
  readonly #onChange = new Set<() => void>();

  constructor(main: string, cwd: string, env: Record<string, string>) {
    this.dataDir = resolvePath(cwd, env["DATA_DIR"] ?? ".tollgate");
    // Nothing is inherited, so that a variable of the test run cannot stand in for a default.
    this.#child = spawn(process.execPath, [main], { cwd, env: { PATH: process.env["PATH"] ?? "", ...env } });
    const read = (chunk: Buffer) => {
      this.output += chunk.toString("utf8");
      this.#changed();
    };
    this.#child.stdout?.on("data", read);
    this.#child.stderr?.on("data", read);
    this.exited = new Promise((resolve) => this.#child.once("close", (code) => resolve(code)));
    this.exited.then(() => this.#changed());
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Of the PostgreSQL that it said it runs, if any. */
  get postgresPid(): number | undefined {
    const pid = /PostgreSQL runs on port \d+ as process (\d+)/.exec(this.output)?.[1];
    return pid === undefined ? undefined : Number(pid);
  }

  /** The address it said it is ready at. */
  async ready(): Promise<string> {
    return (await this.printed(/Tollgate is ready at (http\S+)\/graphql/))[1] as string;
  }

  /** Waits until the output has it; fails with the output when the process ends or is silent for too long. */
  printed(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const fail = (why: string) => {
        stop();
        reject(new Error(`${why} without printing ${pattern}. It printed:\n${this.output}`));
      };
      const look = () => {
        const match = pattern.exec(this.output);
        if (match) {
          stop();
          resolve(match);
        } else if (!this.isRunning) fail("The server ended");
      };
      const timer = setTimeout(() => fail(`The server went on for ${patienceMs} ms`), patienceMs);
      const stop = () => {
        clearTimeout(timer);
        this.#onChange.delete(look);
      };
      this.#onChange.add(look);
      look();
    });
  }

  /** The exit code; fails when the process goes on for too long. */
  async exitCode(): Promise<number | null> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`The server does not end. It printed:\n${this.output}`)), patienceMs);
    });
    return Promise.race([this.exited, late]).finally(() => clearTimeout(timer));
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  #changed(): void {
    for (const look of [...this.#onChange]) look();
  }
}

/** Starts servers and ends whatever is left of them, their databases included. */
export class Servers {
  readonly #main: string;
  readonly #folder: string;
  readonly #all: ServerProcess[] = [];

  constructor(main: string, folder: string) {
    this.#main = main;
    this.#folder = folder;
  }

  start(env: Record<string, string>, cwd = this.#folder): ServerProcess {
    const quiet = { OLLAMA_BASE_URL: "http://127.0.0.1:9", PORT: "0" };
    const server = new ServerProcess(this.#main, cwd, { ...quiet, ...env });
    this.#all.push(server);
    return server;
  }

  async folder(name: string): Promise<string> {
    const path = join(this.#folder, name);
    await mkdir(path);
    return path;
  }

  async end(): Promise<void> {
    for (const server of this.#all) server.signal("SIGTERM");
    await Promise.all(this.#all.map((server) => server.exitCode().catch(() => server.signal("SIGKILL"))));
    for (const { postgresPid, dataDir } of this.#all) {
      // A clean end removes this file, so what it names was left behind, and it is ours if we saw it start.
      const file = await readFile(join(dataDir, "postgres", "postmaster.pid"), "utf8").catch(() => "");
      if (postgresPid === Number(file.split("\n")[0]) && isAlive(postgresPid)) process.kill(postgresPid, "SIGQUIT");
    }
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 10 });
  }
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
