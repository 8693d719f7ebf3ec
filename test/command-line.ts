import { execFile } from "node:child_process";

export interface Ran {
  code: number;
  out: string;
  err: string;
}

/** The command line as a process of its own, to its end. */
export function tollgate(args: string[], env: Record<string, string>): Promise<Ran> {
  const base = { PATH: process.env["PATH"] ?? "", NODE_ENV: "test", OLLAMA_BASE_URL: "http://127.0.0.1:9" };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ["--import", "tsx", "src/cli.ts", ...args],
      { env: { ...base, ...env } },
      (error, out, err) => resolve({ code: typeof error?.code === "number" ? error.code : error ? -1 : 0, out, err }),
    );
  });
}
