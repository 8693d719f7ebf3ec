/** Waits for the end of its input, which is the end of the process that started it. See watchdog.ts. */
import { readdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";

// As PostgreSQL was told it.
const folder = realpathSync(process.argv[2]);

function ignoringFaults(work) {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** Pids are reused: where the system tells command lines, the process must also be the PostgreSQL of this cluster. */
function isPostgresOf(cluster, pid) {
  const commandLine = ignoringFaults(() => readFileSync(`/proc/${pid}/cmdline`, "utf8"));
  if (commandLine === undefined) return process.platform !== "linux";
  const [program, ...args] = commandLine.split("\0");
  return basename(program) === "postgres" && args.includes(cluster);
}

function endDatabases() {
  for (const path of readdirSync(folder, { recursive: true })) {
    if (basename(path) !== "postmaster.pid") continue;
    const file = join(folder, path);
    const pid = Number.parseInt(
      ignoringFaults(() => readFileSync(file, "utf8")),
      10,
    );
    // SIGQUIT, because nothing that it could still write will be read.
    if (pid > 0 && isPostgresOf(dirname(file), pid)) ignoringFaults(() => process.kill(pid, "SIGQUIT"));
  }
}

process.stdin.resume().once("end", () => {
  ignoringFaults(endDatabases);
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
});
