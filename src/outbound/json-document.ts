import type { Cancelled } from "../tasks/cancellation.ts";
import { Upstream } from "./http.ts";

/** Bounds of one request for a document. */
export interface DocumentBounds {
  /** Whose document it is, for the log. */
  name: string;
  /** From the request to the end of the answer. */
  totalMs: number;
  maxResponseBytes: number;
  signal: Cancelled;
}

/**
 * Reads one JSON document by GET, over a connection of its own. The address must come from the server's configuration:
 * no network guard stands before it. A redirect is refused, because it could lead anywhere.
 *
 * @throws PROVIDER_FAILED, PROVIDER_TIMEOUT
 */
export async function readJsonDocument(address: string, bounds: DocumentBounds): Promise<unknown> {
  const { name, totalMs, maxResponseBytes, signal } = bounds;
  const { origin, pathname, search } = new URL(address);
  const limits = { connectMs: totalMs, headersMs: totalMs, idleMs: totalMs, totalMs, maxResponseBytes };
  const upstream = new Upstream({ name, baseUrl: origin, limits });
  try {
    return await upstream.requestJson(pathname + search, undefined, signal, {
      headers: { accept: "application/json" },
    });
  } finally {
    await upstream.close();
  }
}
