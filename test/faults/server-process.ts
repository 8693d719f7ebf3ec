import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { inject } from "vitest";
import { TestServer } from "../harness/server.ts";

const owner = { email: "owner@example.com", password: "correct horse battery" };

/** The real server in a process of its own, which can die; spoken to by the harness's client. */
export class ServerProcess {
  /** Knows the address and, after `signIn`, the OWNER's token. */
  readonly client = new TestServer();
  readonly ended: Promise<NodeJS.Signals | number | null>;
  readonly #process: ChildProcess;
  readonly #output: string[] = [];
  #hasEnded = false;

  private constructor(env: Record<string, string>, preload: string[]) {
    const main = join(inject("compiled"), "src", "main.js");
    const args = [...preload.flatMap((file) => ["--import", file]), main];
    this.#process = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#process.stderr?.on("data", (text) => this.#output.push(String(text)));
    this.ended = new Promise((resolve) => {
      this.#process.once("exit", (code, signal) => {
        this.#hasEnded = true;
        resolve(signal ?? code);
      });
    });
  }

  /** `dataDir` holds the server's secrets: servers that are to know each other's keys share it. */
  static async start(env: Record<string, string>, preload: string[] = []): Promise<ServerProcess> {
    const { PATH = "" } = process.env;
    const base = { PATH, NODE_ENV: "test", PORT: "0", LOG_LEVEL: "info", OLLAMA_BASE_URL: "http://127.0.0.1:9" };
    const admin = { ADMIN_EMAIL: owner.email, ADMIN_PASSWORD: owner.password };
    const server = new ServerProcess({ ...base, ...admin, ...env }, preload);
    await server.#untilReady();
    return server;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get running(): boolean {
    return !this.#hasEnded;
  }

  /** What it wrote lately, for the message of a test that fails. */
  get output(): string {
    return this.#output.slice(-40).join("\n");
  }

  /** All that it ever wrote, to either of its outputs. */
  get wholeOutput(): string {
    return this.#output.join("\n");
  }

  async signIn(): Promise<void> {
    this.client.ownerToken = await this.client.login(owner.email, owner.password);
  }

  kill(): void {
    this.signal("SIGKILL");
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  async #untilReady(): Promise<void> {
    const { stdout } = this.#process;
    if (!stdout) throw new Error("the server has no output");
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: stdout }).on("line", (line) => {
        this.#output.push(line);
        const [, address] = /Tollgate is ready at (\S+)\/graphql/.exec(line) ?? [];
        if (!address) return;
        this.client.url = address;
        resolve();
      });
      void this.ended.then((how) =>
        reject(new Error(`the server ended (${how}) before it was ready:\n${this.output}`)),
      );
    });
  }
}

/** A directory for the secrets that the servers of one test share. */
export async function makeDataDir(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "tollgate-faults-data-"));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
