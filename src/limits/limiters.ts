import type { Redis } from "ioredis";
import { type RateLimiterAbstract, RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from "rate-limiter-flexible";

/**
 * Counters of points in a window: shared by all replicas when there is a Redis, of this process alone when not. With
 * Redis gone each replica takes its share of the limit, so that all together still keep it.
 */
export interface LimitersOptions {
  redis?: Redis | undefined;
  /** How many replicas share a limit while Redis is gone. */
  replicas: number;
  /** Called for each decision that had to be made locally although there should be a Redis. */
  onLocal?: (() => void) | undefined;
}

export interface RateWindow {
  points: number;
  durationSeconds: number;
}

/** What a call took from a window, or what is missing for it. */
export interface Taken {
  granted: boolean;
  /** What the window holds with this call; without it when refused. */
  used: number;
  msBeforeReset: number;
  /** Puts the call's points right by that many, above or below 0, if its window is still running. */
  correct(points: number): void;
}

export class Limiters {
  readonly options: LimitersOptions;
  readonly #made = new Map<string, { shared: RateLimiterRedis | undefined; local: RateLimiterMemory }>();

  constructor(options: LimitersOptions) {
    this.options = options;
  }

  /** A limiter that never fails for want of Redis: it is insured by the local one. */
  insured(name: string, window: RateWindow): RateLimiterAbstract {
    const { shared, local } = this.#make(name, window);
    return shared ?? local;
  }

  /** Takes points, all or none: what was refused leaves nothing behind. */
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
      // A window that has ended took its points with it; a new one must not be given them.
      if (by === 0 || performance.now() >= endsAtMs) return;
      const put = by > 0 ? limiter.penalty(key, by) : limiter.reward(key, -by);
      put.catch(() => {});
    };
    if (!granted) correct(-points);
    const used = granted ? result.consumedPoints : result.consumedPoints - points;
    return { granted, used, msBeforeReset: result.msBeforeNext, correct };
  }

  /** What a window holds, without taking anything. */
  async look(name: string, key: string, window: RateWindow): Promise<{ used: number; msBeforeReset: number }> {
    const found = await this.insured(name, window).get(key);
    // A limiter counts on past what it grants, and forgets nothing before its window has ended.
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
  /** Set for one that stands in for Redis. */
  readonly #onLocal: (() => void) | undefined;

  constructor(options: ConstructorParameters<typeof RateLimiterMemory>[0], onLocal: (() => void) | undefined) {
    super(options);
    this.#onLocal = onLocal;
  }

  /** A call that would fit the whole limit must not be refused for ever because this replica has a share of it. */
  override consume(key: string | number, points = 1): Promise<RateLimiterRes> {
    this.#onLocal?.();
    return super.consume(key, Math.min(points, this.points));
  }

  /** Gives back no more than was taken here: the rest was taken from Redis. */
  override async reward(key: string | number, points = 1): Promise<RateLimiterRes> {
    if (!this.#onLocal) return super.reward(key, points);
    const taken = (await super.get(key))?.consumedPoints ?? 0;
    return super.reward(key, Math.min(points, Math.max(0, taken)));
  }
}
