/** How long connections and the steps of an ending last. */
export interface Lifetimes {
  /** How long a connection without a request stays open. */
  keepAliveMs: number;
  /** How long an ending server still answers while it tells balancers that it is not ready. */
  lameDuckMs: number;
  /** How long after that running calls may go on. */
  drainMs: number;
}

/** Two checks of a balancer that asks every two seconds, and the time that its routes need to follow. */
const productionLameDuckSeconds = 5;

export function lifetimesOf(
  env: { KEEP_ALIVE_SECONDS: number; LAME_DUCK_SECONDS?: number | undefined; DRAIN_SECONDS: number },
  production: boolean,
): Lifetimes {
  return {
    keepAliveMs: env.KEEP_ALIVE_SECONDS * 1000,
    lameDuckMs: (env.LAME_DUCK_SECONDS ?? (production ? productionLameDuckSeconds : 0)) * 1000,
    drainMs: env.DRAIN_SECONDS * 1000,
  };
}

/** Whether a script of npm started this process, as `npm start` does. */
export function isStartedByNpm(): boolean {
  return process.env["npm_lifecycle_event"] !== undefined;
}
