import { addressBlockOf } from "../address-block.ts";
import type { Context } from "../auth/viewer.ts";
import type { RateLimiting, WindowState } from "../graphql/directives/rate-limit.ts";
import type { Denials } from "./denials.ts";
import type { Limiters } from "./limiters.ts";

/** The rules of `@rateLimit`: for whom a call counts, where it is counted, and where its figures go. */
export function requestLimits(limiters: Limiters, denials: Denials): RateLimiting<Context> {
  return {
    count: counted,
    limiter: (window) => limiters.insured("requests", window),
    refuses: ({ identity: { viewer } }, anyone) =>
      anyone || viewer?.kind !== "API_KEY" || viewer.limitMode === "ENFORCE",
    onAllowed(context, state) {
      const { viewer, shadowed } = context.identity;
      const past = state.remaining === 0 && state.used > state.limit;
      if (past && viewer?.kind === "API_KEY") denials.count(viewer, "RATE_LIMITED", true);
      if (shadowed && viewer?.kind === "API_KEY") denials.count(viewer, shadowed, true);
      if (!context.rateLimit || narrower(state, context.rateLimit)) context.rateLimit = state;
    },
  };
}

function narrower(state: WindowState, other: NonNullable<Context["rateLimit"]>): boolean {
  return state.remaining < other.remaining;
}

/**
 * The API key, else the user, else the IP address. A public field, such as `login`, always counts for the address, so
 * that sending a key along does not allow more guesses.
 */
function counted({ identity: { viewer }, ip }: Context, anyone: boolean) {
  if (anyone || viewer === undefined) return { caller: `ip:${addressBlockOf(ip)}`, perMinute: null };
  if (viewer.kind === "USER") return { caller: `user:${viewer.userId}`, perMinute: null };
  return { caller: `key:${viewer.apiKeyId}`, perMinute: viewer.requestsPerMinute };
}
