import type { Context } from "../auth/viewer.ts";
import type { Counted } from "../graphql/directives/rate-limit.ts";

/** Whom a call counts for: its key, else its user, else its address. */
export function counted({ identity: { viewer }, ip }: Context): Counted {
  if (viewer === undefined) return { caller: `ip:${ip}`, perMinute: null };
  if (viewer.kind === "USER") return { caller: `user:${viewer.userId}`, perMinute: null };
  return { caller: `key:${viewer.apiKeyId}`, perMinute: viewer.requestsPerMinute };
}
