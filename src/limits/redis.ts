import { Redis } from "ioredis";

/**
 * The shared counters of all replicas. Redis is a help and never a need: a command that is not answered at once
 * fails, and the caller counts locally instead.
 */
const commandTimeoutMs = 1000;
const reconnectMsMax = 1000;

export function connectRedis(url: string, onChange: (connected: boolean) => void): Redis {
  const redis = new Redis(url, {
    commandTimeout: commandTimeoutMs,
    connectTimeout: 2000,
    // Nothing waits for a connection: what is asked without one fails at once.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt, 10), reconnectMsMax),
  });
  redis.on("ready", () => onChange(true));
  redis.on("close", () => onChange(false));
  // Without a listener an error of the connection would end the process; `close` follows each.
  redis.on("error", () => {});
  return redis;
}
