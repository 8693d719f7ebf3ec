import { loadConfig, loadRemote } from "../config/environment.ts";
import { createLogger } from "../log.ts";
import { type Connection, connectRemote } from "./connection.ts";
import type { Terminal } from "./program.ts";

/** A server, when one is named by an option or the environment; else the database of the configuration. */
export async function connect(options: { url?: string; token?: string }, { env, err }: Terminal): Promise<Connection> {
  const remote = loadRemote(env);
  const url = options.url ?? remote.url;
  if (url) return connectRemote(url, options.token ?? remote.token);
  const config = loadConfig(env);
  // Only here: a command for a server elsewhere has no need of all that a server is.
  const { connectDirect } = await import("./direct.ts");
  return connectDirect(config, createLogger({ level: "error", production: true }), err);
}
