import type { Config } from "../config/environment.ts";
import type { Database } from "../db/client.ts";
import type { Logger } from "../log.ts";
import { Concurrency } from "./concurrency.ts";
import { Denials } from "./denials.ts";
import { KeyGuesses } from "./key-guesses.ts";
import { Limiters } from "./limiters.ts";
import { connectRedis } from "./redis.ts";
import { DenialsResolver } from "./resolver.ts";
import { type LimitsOptions, LimitsService } from "./service.ts";
import { StrangerBudget } from "./stranger-budget.ts";

/** Puts the limits together: counters in this process, or in Redis for all replicas. */
export interface LimitParts {
  config: Pick<Config, "redisUrl" | "replicas" | "strangerOperationsPerMinute">;
  db: Database;
  log: Logger;
  /** Called for each limit that was decided locally because Redis was unreachable. */
  onLocal: () => void;
  generateLimit: LimitsOptions["generateLimit"];
}

export function openLimits({ config, db, log, onLocal, generateLimit }: LimitParts) {
  const { redisUrl, replicas, strangerOperationsPerMinute } = config;
  const redis = redisUrl
    ? connectRedis(redisUrl, (connected) => {
        if (connected) log.info("limits are shared by way of Redis");
        else log.warn("Redis is gone: each replica keeps its share of the limits");
      })
    : undefined;
  const options = { redis, replicas, onLocal };
  const limiters = new Limiters(options);
  const concurrency = new Concurrency(options);
  const denials = new Denials(db, (error) => log.error({ err: error }, "denials could not be counted"));
  const close = async () => {
    concurrency.stop();
    await denials.flush();
    redis?.disconnect();
  };
  const limits = new LimitsService({ db, limiters, concurrency, denials, generateLimit });
  const strangers = new StrangerBudget(limiters, strangerOperationsPerMinute);
  return {
    limits,
    limiters,
    denials,
    resolver: new DenialsResolver(limits),
    keyGuesses: new KeyGuesses(limiters),
    strangers,
    close,
  };
}
