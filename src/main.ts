import { setFlagsFromString } from "node:v8";
import { createApp } from "./app.ts";
import { ConfigError, loadConfig } from "./config/environment.ts";
import { isStartedByNpm } from "./config/lifetimes.ts";
import { armFailpoint } from "./failpoint.ts";
import { describeFirstRun } from "./first-run.ts";
import { createLogger, type Logger } from "./log.ts";

/** The process: configuration, app, listen, and an orderly end on a signal. */
const endMsMax = 15_000;
const parentCheckMs = 500;

async function main(): Promise<void> {
  // Left alone, V8 lets old garbage reach several times what is in use before it collects any.
  setFlagsFromString("--heap-growing-percent=100");
  const config = loadConfig();
  armFailpoint(config.failpoint);
  const log = createLogger({ level: config.logLevel, production: config.production });
  // From here on, so that a signal during the start does not leave a PostgreSQL behind.
  const ended = endRequested(log, config.lameDuckMs + config.drainMs + endMsMax);
  const app = await createApp(config, log);
  const { address, firstRun } = await app.listen().catch(async (error: unknown) => {
    await app.close();
    throw error;
  });
  const publicUrl = config.publicUrl ?? address;
  if (firstRun) process.stdout.write(describeFirstRun(firstRun, publicUrl));
  log.info(`Tollgate is ready at ${publicUrl}/graphql`);

  await ended;
  await app.close();
  process.exit(0);
}

/**
 * Resolves on the first signal to end. Later ones change nothing: npm passes on what a terminal has sent already. The
 * end of the npm that started the server is such a signal too: an npm that is killed passes nothing on.
 */
function endRequested(log: Logger, endMs: number): Promise<void> {
  return new Promise((resolve) => {
    let ending = false;
    const end = (signal: string) => {
      if (ending) return;
      ending = true;
      log.info(`${signal}: finishing what is running`);
      setTimeout(() => process.exit(1), endMs).unref();
      resolve();
    };
    process.on("SIGTERM", end);
    process.on("SIGINT", end);
    if (!isStartedByNpm()) return;
    const npm = process.ppid;
    setInterval(() => process.ppid !== npm && end("The end of npm"), parentCheckMs).unref();
  });
}

/** What a person can mend is said in words; only for the rest is the stack of use. */
function explain(error: Error): string {
  const { code, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  if (code === "EADDRINUSE") return `${address}:${port} is in use by another program. Set PORT to a free port.`;
  const inWords = ["DataDirInUse", "UnfitDatabase", "ServerSecretMismatch"].includes(error.name);
  const expected = error instanceof ConfigError || inWords;
  return expected ? error.message : (error.stack ?? String(error));
}

main().catch((error: unknown) => {
  process.stderr.write(`${explain(error instanceof Error ? error : new Error(String(error)))}\n`);
  process.exit(1);
});
