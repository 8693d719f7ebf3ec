import type { Redis } from "ioredis";
import { newId } from "../ids.ts";
import { Interval } from "../tasks/interval.ts";
import type { LimitersOptions } from "./limiters.ts";

/**
 * Counts the concurrent calls of a key. With Redis, each running call is a lease of 10 seconds that its process renews,
 * so that the places of a process that died become free. Times are by the clock of Redis.
 */
export interface CallSlot {
  granted: boolean;
  used: number;
  release(): void;
}

const leaseMs = 10_000;
const renewEveryMs = 3_000;

const clock = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000)";
const acquireScript = `${clock}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local used = redis.call('ZCARD', KEYS[1])
if used >= tonumber(ARGV[2]) then return {0, used} end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {1, used + 1}`;
const countScript = `${clock} return redis.call('ZCOUNT', KEYS[1], now, '+inf')`;
// It also restores leases that a restart of Redis lost.
const renewScript = `${clock}
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])`;

export class Concurrency {
  readonly #options: LimitersOptions;
  readonly #leases = new Map<string, Set<string>>();
  #leaseCount = 0;
  readonly #renewals = new Interval(
    () => this.#renew(),
    renewEveryMs,
    () => {},
    { runsFirst: false },
  );

  constructor(options: LimitersOptions) {
    this.#options = options;
  }

  async acquire(key: string, limit: number): Promise<CallSlot> {
    const { redis } = this.#options;
    // Only Redis knows the leases of other processes.
    const lease = redis ? newId() : String(++this.#leaseCount);
    const decided = (redis && (await this.#ask(redis, key, lease, limit))) ?? this.#decide(key, limit);
    const { granted, used } = decided;
    if (!granted) return { granted, used, release: () => {} };
    this.#keep(key, lease);
    return { granted, used, release: () => this.#release(key, lease) };
  }

  /** The number of a key's calls that run now. */
  async used(key: string): Promise<number> {
    const { redis } = this.#options;
    const local = this.#leases.get(key)?.size ?? 0;
    if (redis?.status !== "ready") return local;
    return (redis.eval(countScript, 1, name(key)) as Promise<number>).catch(() => local);
  }

  stop(): void {
    void this.#renewals.stop();
  }

  /** Undefined when Redis does not answer. */
  async #ask(redis: Redis, key: string, lease: string, limit: number) {
    if (redis.status !== "ready") return undefined;
    try {
      const [granted, used] = (await redis.eval(acquireScript, 1, name(key), lease, limit, leaseMs)) as [
        number,
        number,
      ];
      return { granted: granted === 1, used };
    } catch {
      return undefined;
    }
  }

  #decide(key: string, limit: number) {
    const { redis, replicas, onLocal } = this.#options;
    if (redis) onLocal?.();
    const share = redis ? Math.max(1, Math.floor(limit / replicas)) : limit;
    const used = this.#leases.get(key)?.size ?? 0;
    return used < share ? { granted: true, used: used + 1 } : { granted: false, used };
  }

  #keep(key: string, lease: string): void {
    const known = this.#leases.get(key);
    if (known) known.add(lease);
    else this.#leases.set(key, new Set([lease]));
    if (this.#options.redis) this.#renewals.start();
  }

  #release(key: string, lease: string): void {
    const leases = this.#leases.get(key);
    if (!leases?.delete(lease)) return;
    if (leases.size === 0) this.#leases.delete(key);
    const { redis } = this.#options;
    // If a release is lost, the lease expires.
    if (redis?.status === "ready") redis.zrem(name(key), lease).catch(() => {});
    if (this.#leases.size === 0) this.stop();
  }

  async #renew(): Promise<void> {
    const { redis } = this.#options;
    if (redis?.status !== "ready") return;
    for (const [key, leases] of this.#leases) {
      // Not waited for: a command that hangs must not keep the others from their renewal.
      redis.eval(renewScript, 1, name(key), leaseMs, ...leases).catch(() => {});
    }
  }
}

/** The braces keep all that belongs to one key on one node of a Redis cluster. */
function name(key: string): string {
  return `tollgate:running:{${key}}`;
}
