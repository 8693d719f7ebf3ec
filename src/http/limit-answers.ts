import type { ApolloServerPlugin } from "@apollo/server";
import type { Context } from "../auth/viewer.ts";
import { catalogue, type ErrorCode } from "../errors.ts";
import { toPublicFault } from "./format-error.ts";

/** Limits in responses: sets the `RateLimit-…` headers, and reports each refusal so that it is counted. */
export function limitAnswers(onDenied: (context: Context, code: ErrorCode) => void): ApolloServerPlugin<Context> {
  return {
    requestDidStart: async ({ contextValue: context }) => ({
      didEncounterErrors: async ({ errors }) => {
        for (const error of errors) {
          const { code } = toPublicFault(error);
          if (isDenial(code)) onDenied(context, code);
        }
      },
      willSendResponse: async ({ response }) => {
        for (const [name, value] of Object.entries(rateLimitHeaders(context))) response.http.headers.set(name, value);
      },
    }),
  };
}

/** As draft-ietf-httpapi-ratelimit-headers names them, for the window with the least left. */
export function rateLimitHeaders({ rateLimit }: Pick<Context, "rateLimit">): Record<string, string> {
  if (!rateLimit) return {};
  const { limit, remaining, resetSeconds, windowSeconds } = rateLimit;
  return {
    "ratelimit-policy": `${limit};w=${windowSeconds}`,
    "ratelimit-limit": String(limit),
    "ratelimit-remaining": String(remaining),
    "ratelimit-reset": String(resetSeconds),
  };
}

/** Refusals by permission, limit or credits. An invalid request is no denial. */
const deniedStatuses: readonly number[] = [401, 402, 403, 422, 429];

export function isDenial(code: ErrorCode): boolean {
  return deniedStatuses.includes(catalogue[code].status);
}
