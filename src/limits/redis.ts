import { Redis } from "ioredis";

/**
 * The shared counters of all replicas. Redis is a help and never a need: with the first command that is not answered in
 * time the connection is given up, and until there is a new one that answers, callers count locally at once.
 */
const patienceMs = 100;
/** For what is asked while a connection is being made. */
const commandTimeoutMs = 1000;
const reconnectMsMax = 1000;

export function connectRedis(url: string, onChange: (connected: boolean) => void): Redis {
  const redis = new ImpatientRedis(url, {
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

/** A Redis that hangs would hold up every call for as long as each of its commands is waited for. */
class ImpatientRedis extends Redis {
  override sendCommand(...[command, stream]: Parameters<Redis["sendCommand"]>): unknown {
    if (this.status === "ready") this.#watch(command.promise as Promise<unknown>);
    return super.sendCommand(command, stream);
  }

  #watch(answer: Promise<unknown>): void {
    let answered = false;
    const done = () => {
      answered = true;
      clearTimeout(timer);
    };
    const timer = setTimeout(() => {
      // The answer may have come while this process was busy: it is read before the second turn.
      // Destroyed, because who hangs says no goodbye either; what was asked on it then fails, and it is made anew.
      setImmediate(() => setImmediate(() => !answered && this.stream.destroy()));
    }, patienceMs);
    answer.then(done, done);
  }
}
