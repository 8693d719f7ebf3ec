import { getDirective } from "@graphql-tools/utils";
import {
  DirectiveLocation,
  GraphQLDirective,
  GraphQLInt,
  GraphQLNonNull,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  type OperationTypeNode,
} from "graphql";
import { type RateLimitArgs, rateLimitDirective } from "graphql-rate-limit-directive";
import { type RateLimiterAbstract, RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import { AppError } from "../../errors.ts";

const amount = { type: new GraphQLNonNull(GraphQLInt) };

export const rateLimitDirectiveDefinition = new GraphQLDirective({
  name: "rateLimit",
  description:
    "Rate limit: at most `limit` calls per `duration` seconds for one caller (API key, else user, else IP address). A key's own `requestsPerMinute` replaces it, counted over all rate-limited fields together.",
  args: {
    limit: { ...amount, description: "The number of calls, at least 1." },
    duration: { ...amount, description: "The period in seconds, at least 1." },
  },
  locations: [DirectiveLocation.FIELD_DEFINITION],
});

/** The calls that a field allows one caller in a window, as its `@rateLimit` declares. */
export interface FieldLimit {
  /** With its type, such as `Mutation.generate`. */
  field: string;
  limit: number;
  durationSeconds: number;
}

/** Read where it is declared, so that no feature repeats the figures of a field. */
export function fieldLimit(
  schema: GraphQLSchema,
  type: "Query" | "Mutation" | "Subscription",
  name: string,
): FieldLimit {
  const field = schema.getRootType(type.toLowerCase() as OperationTypeNode)?.getFields()[name];
  const declared = field && getDirective(schema, field, "rateLimit")?.[0];
  if (!declared) throw new AppError("INTERNAL", { cause: `${type}.${name} declares no rate limit` });
  return { field: counterOf(type, name), limit: declared["limit"], durationSeconds: declared["duration"] };
}

/** The caller for whom a call counts, and the caller's own limit on calls per minute, if any. */
export interface RateLimitCaller {
  caller: string;
  perMinute: number | null;
}

export interface WindowState {
  limit: number;
  /** Includes this call; above `limit` when the call went through in shadow mode. */
  used: number;
  remaining: number;
  resetSeconds: number;
  windowSeconds: number;
}

export interface RateLimiting<C> {
  /** `anyone` for a public field: then no credential may change for whom a call counts. */
  count: (context: C, anyone: boolean) => RateLimitCaller;
  /** A counter of this many points in this many seconds; the same counter for the same arguments. */
  limiter: (window: { points: number; durationSeconds: number }) => RateLimiterAbstract;
  /** Called with the rest of the limit after each call that went through. */
  onAllowed: (context: C, state: WindowState) => void;
  /** Whether a call beyond its limit is refused; false lets it through. */
  refuses: (context: C, anyone: boolean) => boolean;
}

const ownLimitMark = "|";
const ownLimitDurationSeconds = 60;

function counterOf(type: string, field: string): string {
  return `${type}.${field}`;
}

/** The directive of the package, with a counter for each caller and field instead of one for each field. */
export function withRateLimit<C>(schema: GraphQLSchema, limiting: RateLimiting<C>): GraphQLSchema {
  const { count, limiter, onAllowed, refuses } = limiting;
  const isPublic = publicFieldsOf(schema);
  const windowOf = (context: C, declared: RateLimitArgs, info: GraphQLResolveInfo) => {
    const { perMinute } = count(context, isPublic(info));
    return perMinute === null ? declared : { limit: perMinute, duration: ownLimitDurationSeconds };
  };
  const { rateLimitDirectiveTransformer } = rateLimitDirective<C, object>({
    keyGenerator: (_declared, _source, _args, context, info) => {
      const anyone = isPublic(info);
      const { caller, perMinute } = count(context, anyone);
      // The caller's own limit spans all fields: two paid fields must not double it.
      const key = perMinute === null ? `${counterOf(info.parentType.name, info.fieldName)}:${caller}` : caller;
      return [key, perMinute ?? "", refuses(context, anyone) ? "" : "counted only"].join(ownLimitMark);
    },
    setState: ({ msBeforeNext, consumedPoints }, declared, _source, _args, context, info) => {
      const { limit, duration } = windowOf(context, declared, info);
      const remaining = Math.max(0, limit - consumedPoints);
      onAllowed(context, {
        limit,
        used: consumedPoints,
        remaining,
        resetSeconds: Math.ceil(msBeforeNext / 1000),
        windowSeconds: duration,
      });
    },
    onLimit: ({ msBeforeNext, consumedPoints }, declared, _source, _args, context, info) => {
      const { limit } = windowOf(context, declared, info);
      const own = count(context, isPublic(info)).perMinute !== null;
      throw new AppError("RATE_LIMITED", {
        details: {
          limited: "requests",
          limit,
          used: Math.min(consumedPoints, limit),
          retryAfter: Math.max(1, Math.ceil(msBeforeNext / 1000)),
          resetAt: new Date(Date.now() + msBeforeNext).toISOString(),
          ...(own && { liftedBy: "an admin, with updateApiKey" }),
        },
      });
    },
    limiterClass: routedTo(limiter),
  });
  return rateLimitDirectiveTransformer(schema);
}

/** Whether the field is public: it declares no access directive. */
function publicFieldsOf(schema: GraphQLSchema): (info: GraphQLResolveInfo) => boolean {
  const guards = ["role", "scope", "authenticated"];
  const known = new Map<string, boolean>();
  return ({ parentType, fieldName }) => {
    const name = `${parentType.name}.${fieldName}`;
    const found = known.get(name);
    if (found !== undefined) return found;
    const field = parentType.getFields()[fieldName];
    const open = field !== undefined && guards.every((guard) => !getDirective(schema, field, guard)?.length);
    known.set(name, open);
    return open;
  };
}

/**
 * The package fixes the points of a limiter when the schema is built. A caller with its own limit is therefore routed,
 * by a mark in its key, to a limiter of that many points.
 */
function routedTo(limiter: RateLimiting<never>["limiter"]): typeof RateLimiterAbstract {
  return class extends RateLimiterMemory {
    override async consume(routed: string, points = 1): Promise<RateLimiterRes> {
      const [key = "", perMinute, countedOnly] = routed.split(ownLimitMark);
      const window = perMinute
        ? { points: Number(perMinute), durationSeconds: ownLimitDurationSeconds }
        : { points: this.points, durationSeconds: this.duration };
      return limiter(window)
        .consume(key, points)
        .catch((refusal: unknown) => {
          if (countedOnly && refusal instanceof RateLimiterRes) return refusal;
          throw refusal;
        });
    }
  } as unknown as typeof RateLimiterAbstract;
}
