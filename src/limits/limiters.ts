import type { Redis } from "ioredis";
import { type RateLimiterAbstract, RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from "rate-limiter-flexible";

/**
 * Counters of points in a window: shared by all replicas with Redis, of this process alone without. While Redis is
 * unreachable, each replica grants its share of the limit, so that all together still keep it.
 */
export interface LimitersOptions {
  redis?: Redis | undefined;
  /** The number of replicas that share a limit while Redis is unreachable. */
  replicas: number;
  /** Called for each decision that was made locally because Redis was unreachable. */
  onLocal?: (() => void) | undefined;
}

export interface RateWindow {
  points: number;
  durationSeconds: number;
}

/** The points that a call took from a window, or those that are missing for it. */
export interface Taken {
  granted: boolean;
  /** The window's count with this call; without it when refused. */
  used: number;
  msBeforeReset: number;
  /** Corrects the call's points by this amount, above or below 0, while its window is still running. */
  correct(points: number): void;
}

export class Limiters {
  readonly options: LimitersOptions;
  readonly #made = new Map<string, { shared: RateLimiterRedis | undefined; local: RateLimiterMemory }>();

  constructor(options: LimitersOptions) {
    this.options = options;
  }

  /** A limiter that falls back to the local one when Redis fails. */
  insured(name: string, window: RateWindow): RateLimiterAbstract {
    const { shared, local } = this.#make(name, window);
    return shared ?? local;
  }

  /** Takes all points or none: a refused call leaves nothing behind. */
  async take(name: string, key: string, points: number, window: RateWindow): Promise<Taken> {
    const limiter = this.insured(name, window);
    let granted = true;
    const result = await limiter.consume(key, points).catch((refusal: unknown) => {
      if (!(refusal instanceof RateLimiterRes)) throw refusal;
      granted = false;
      return refusal;
    });
    const endsAtMs = performance.now() + result.msBeforeNext;
    const correct = (by: number) => {
      // Points of an ended window must not be returned to the next one.
      if (by === 0 || performance.now() >= endsAtMs) return;
      const put = by > 0 ? limiter.penalty(key, by) : limiter.reward(key, -by);
      put.catch(() => {});
    };
    if (!granted) correct(-points);
    const used = granted ? result.consumedPoints : result.consumedPoints - points;
    return { granted, used, msBeforeReset: result.msBeforeNext, correct };
  }

  /** The window's count, without taking points. */
  async look(name: string, key: string, window: RateWindow): Promise<{ used: number; msBeforeReset: number }> {
    const found = await this.insured(name, window).get(key);
    // A limiter counts beyond what it grants, and until its window ends.
    const used = Math.min(found?.consumedPoints ?? 0, window.points);
    return { used, msBeforeReset: found && found.msBeforeNext > 0 ? found.msBeforeNext : 0 };
  }

  #make(name: string, { points, durationSeconds: duration }: RateWindow) {
    const id = `${name}:${points}:${duration}`;
    const known = this.#made.get(id);
    if (known) return known;
    const { redis, replicas, onLocal } = this.options;
    const keyPrefix = `tollgate:${name}`;
    const share = redis ? Math.max(1, Math.floor(points / replicas)) : points;
    const local = new LocalLimiter({ keyPrefix, points: share, duration }, redis && (onLocal ?? (() => {})));
    const shared =
      redis &&
      new RateLimiterRedis({
        ...{ storeClient: redis, keyPrefix, points, duration },
        rejectIfRedisNotReady: true,
        insuranceLimiter: local,
      });
    const made = { shared, local };
    this.#made.set(id, made);
    return made;
  }
}

class LocalLimiter extends RateLimiterMemory {
  /** Set for the fallback of Redis. */
  readonly #onLocal: (() => void) | undefined;

  constructor(options: ConstructorParameters<typeof RateLimiterMemory>[0], onLocal: (() => void) | undefined) {
    super(options);
    this.#onLocal = onLocal;
  }

  /** A call within the whole limit must not be refused for ever because this replica has only a share of it. */
  override consume(key: string | number, points = 1): Promise<RateLimiterRes> {
    this.#onLocal?.();
    return super.consume(key, Math.min(points, this.points));
  }

  /** Returns no more than was taken locally: the rest was taken from Redis. */
  override async reward(key: string | number, points = 1): Promise<RateLimiterRes> {
    if (!this.#onLocal) return super.reward(key, points);
    const taken = (await super.get(key))?.consumedPoints ?? 0;
    return super.reward(key, Math.min(points, Math.max(0, taken)));
  }
}
