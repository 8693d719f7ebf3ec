import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/**
 * Ends each PostgreSQL whose files lie below `folder`, and removes the folder, when this process ends, be it by
 * SIGKILL. Answers a function that calls the watchdog off.
 */
export function watchOver(folder: string): () => void {
  const script = fileURLToPath(new URL("watchdog.mjs", import.meta.url));
  // Detached, so that a Ctrl-C in the terminal does not reach it. It reads the end of this pipe when we are gone.
  const dog = spawn(process.execPath, [script, folder], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
  dog.unref();
  (dog.stdin as unknown as { unref(): void }).unref();
  dog.stdin.on("error", () => {});
  return () => void dog.kill("SIGKILL");
}
