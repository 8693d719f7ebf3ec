import { Redis } from "ioredis";

/**
 * The connection to Redis, for counters shared by all replicas. Redis is optional at any time: after the first command
 * that is not answered in time the connection is dropped, and callers count locally until a new connection answers.
 */
const patienceMs = 100;
/** For commands that are sent while the connection is being made. */
const commandTimeoutMs = 1000;
const reconnectMsMax = 1000;

export function connectRedis(url: string, onChange: (connected: boolean) => void): Redis {
  const redis = new ImpatientRedis(url, {
    commandTimeout: commandTimeoutMs,
    connectTimeout: 2000,
    // Commands do not wait for a connection: without one they fail at once.
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

/** A Redis that hangs would delay every call by the timeout of each of its commands. */
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
      // The answer may have come while this process was busy: it is read before the second turn. Destroyed, because a
      // Redis that hangs does not answer a close either. Pending commands fail, and a new connection is made.
      setImmediate(() => setImmediate(() => !answered && this.stream.destroy()));
    }, patienceMs);
    answer.then(done, done);
  }
}
