import { execFile } from "node:child_process";
import { Writable } from "node:stream";
import { runCommand } from "../../src/cli/program.ts";

export interface Ran {
  code: number;
  out: string;
  err: string;
}

const settings = { NODE_ENV: "test", OLLAMA_BASE_URL: "http://127.0.0.1:9" };

/** One command of the command line, to its end. */
export async function tollgate(args: string[], env: Record<string, string>): Promise<Ran> {
  const [out, err] = [new Paper(), new Paper()];
  const code = await runCommand(args, { env: { ...settings, ...env }, out, err });
  return { code, out: out.text, err: err.text };
}

/** The same as a process of its own: what a shell sees. */
export function tollgateProcess(args: string[], env: Record<string, string>): Promise<Ran> {
  const base = { PATH: process.env["PATH"] ?? "", ...settings };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ["--import", "tsx", "src/cli.ts", ...args],
      { env: { ...base, ...env } },
      (error, out, err) => resolve({ code: typeof error?.code === "number" ? error.code : error ? -1 : 0, out, err }),
    );
  });
}

/** The same as a process whose output goes through a pipe to another command. */
export function tollgatePipe(args: string[], env: Record<string, string>, reader: string): Promise<Ran> {
  const base = { PATH: process.env["PATH"] ?? "", ...settings };
  const line = `set -o pipefail; "$0" --import tsx src/cli.ts "$@" | ${reader}`;
  return new Promise((resolve) => {
    execFile(
      "bash",
      ["--norc", "-c", line, process.execPath, ...args],
      { env: { ...base, ...env } },
      (error, out, err) => resolve({ code: typeof error?.code === "number" ? error.code : error ? -1 : 0, out, err }),
    );
  });
}

class Paper extends Writable {
  text = "";

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}
