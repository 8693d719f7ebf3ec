import { loadConfig, loadRemote } from "../config/environment.ts";
import { createLogger } from "../log.ts";
import { type CommandConnection, connectRemote } from "./connection.ts";
import type { Terminal } from "./program.ts";

/** Connects to the server of an option or of the environment; without one, to the database of the configuration. */
export async function connect(
  options: { url?: string; token?: string },
  { env, err }: Terminal,
): Promise<CommandConnection> {
  const remote = loadRemote(env);
  const url = options.url ?? remote.url;
  if (url) return connectRemote(url, options.token ?? remote.token);
  const config = loadConfig(env);
  // Imported here, because a command for a remote server does not need the code of a server.
  const { connectDirect } = await import("./direct.ts");
  return connectDirect(config, createLogger({ level: "error", production: true }), err);
}
