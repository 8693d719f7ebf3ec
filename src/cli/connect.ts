import { loadConfig, loadRemote } from "../config.ts";
import { createLogger } from "../log.ts";
import { type Connection, connectRemote } from "./connection.ts";

/** A server, when one is named by an option or the environment; else the database of the configuration. */
export async function connect(options: { url?: string; token?: string }): Promise<Connection> {
  const remote = loadRemote();
  const url = options.url ?? remote.url;
  if (url) return connectRemote(url, options.token ?? remote.token);
  const config = loadConfig();
  // Only here: a command for a server elsewhere has no need of all that a server is.
  const { connectDirect } = await import("./direct.ts");
  return connectDirect(config, createLogger({ level: "error", production: true }));
}
