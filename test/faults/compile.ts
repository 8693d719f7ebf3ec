import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import ts from "typescript";
import type { TestProject } from "vitest/node";

/** Processes that are started by the hundred run compiled code: compiling at each start takes longer than the rest. */
declare module "vitest" {
  interface ProvidedContext {
    /** Holds `src/` and the worker. */
    compiled: string;
  }
}

const root = join(import.meta.dirname, "..", "..");
const compilerOptions: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  experimentalDecorators: true,
  useDefineForClassFields: false,
  verbatimModuleSyntax: true,
  rewriteRelativeImportExtensions: true,
};

// biome-ignore lint/style/noDefaultExport: Vitest takes a global setup from the default export.
export default async function compile(project: TestProject): Promise<() => Promise<void>> {
  // Below the root, so that packages are found.
  const out = join(root, "dist", `faults-${process.pid}`);
  const sources = (await readdir(join(root, "src"), { recursive: true })).map((file) => join("src", file));
  const workers = ["ledger.ts", "kill-worker.ts"].map((file) => join("test", "faults", file));
  for (const file of [...sources, ...workers].filter((path) => path.endsWith(".ts"))) {
    const target = join(out, file.replace(/\.ts$/, ".js"));
    await mkdir(dirname(target), { recursive: true });
    await writeFile(
      target,
      ts.transpileModule(await readFile(join(root, file), "utf8"), { compilerOptions }).outputText,
    );
  }
  project.provide("compiled", out);
  return () => rm(out, { recursive: true, force: true });
}
