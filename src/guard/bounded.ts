import { createContext, Script } from "node:vm";

/**
 * Runs work on untrusted input and stops it when it takes too long: a caller's regular expression can be made to search
 * for years, and JavaScript has no other way to interrupt it. The work must keep no half-done state, because it may be
 * started again.
 */
const run = new Script("work()");
const overtime = "ERR_SCRIPT_EXECUTION_TIMEOUT";
const triesMax = 3;
const ownShareMin = 0.5;

/** Undefined when it took too long. */
export function bounded<T>(work: () => T, msMax: number): { done: T } | undefined {
  for (let tries = 1; ; tries++) {
    const before = process.cpuUsage();
    try {
      return { done: run.runInContext(createContext({ work }), { timeout: msMax }) as T };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== overtime) throw error;
      const { user, system } = process.cpuUsage(before);
      // A busy machine or a container's quota may suspend this process while the clock runs: count the CPU time, too.
      const itself = (user + system) / 1000 >= msMax * ownShareMin;
      if (itself || tries === triesMax) return undefined;
    }
  }
}
