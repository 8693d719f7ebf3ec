import { DirectiveLocation, GraphQLDirective, GraphQLInt, GraphQLNonNull, type GraphQLSchema } from "graphql";
import { rateLimitDirective } from "graphql-rate-limit-directive";
import { type RateLimiterAbstract, RateLimiterMemory, type RateLimiterRes } from "rate-limiter-flexible";
import { AppError } from "../../errors.ts";

const amount = { type: new GraphQLNonNull(GraphQLInt) };

export const rateLimitDirectiveDefinition = new GraphQLDirective({
  name: "rateLimit",
  description:
    "At most `limit` calls per `duration` seconds for one caller (key, else user, else address); a key's own limit overrides it.",
  args: { limit: amount, duration: amount },
  locations: [DirectiveLocation.FIELD_DEFINITION],
});

/** Whom a call is counted for, and the calls a minute that were agreed with that caller, if any. */
export interface Counted {
  caller: string;
  perMinute: number | null;
}

const ownLimitMark = "|";
const ownLimitDurationSeconds = 60;

/** The directive of the package, with a counter for each caller and field instead of one for each field. */
export function withRateLimit<C>(schema: GraphQLSchema, count: (context: C) => Counted): GraphQLSchema {
  const { rateLimitDirectiveTransformer } = rateLimitDirective<C, object>({
    keyGenerator: (_declared, _source, _args, context, info) => {
      const { caller, perMinute } = count(context);
      // A limit of the caller's own spans all fields: two paid fields must not double what was agreed.
      if (perMinute !== null) return `${caller}${ownLimitMark}${perMinute}`;
      return `${info.parentType.name}.${info.fieldName}:${caller}`;
    },
    onLimit: ({ msBeforeNext, consumedPoints }, declared, _source, _args, context) => {
      const limit = count(context).perMinute ?? declared.limit;
      throw new AppError("RATE_LIMITED", {
        details: {
          limit,
          used: Math.min(consumedPoints, limit),
          retryAfter: Math.max(1, Math.ceil(msBeforeNext / 1000)),
          resetAt: new Date(Date.now() + msBeforeNext).toISOString(),
        },
      });
    },
    limiterClass: OwnLimitLimiter,
  });
  return rateLimitDirectiveTransformer(schema);
}

/**
 * The package fixes the points of a limiter when the schema is built. A caller with a limit of its own is therefore
 * sent, by the mark in its key, to a limiter of that many points.
 */
class OwnLimitLimiter extends RateLimiterMemory {
  readonly #byPerMinute = new Map<number, RateLimiterAbstract>();

  override consume(key: string, points = 1): Promise<RateLimiterRes> {
    const [, perMinute] = key.split(ownLimitMark);
    return perMinute === undefined ? super.consume(key, points) : this.#own(Number(perMinute)).consume(key, points);
  }

  #own(perMinute: number): RateLimiterAbstract {
    let limiter = this.#byPerMinute.get(perMinute);
    if (!limiter) {
      limiter = new RateLimiterMemory({ keyPrefix: "own", points: perMinute, duration: ownLimitDurationSeconds });
      this.#byPerMinute.set(perMinute, limiter);
    }
    return limiter;
  }
}
