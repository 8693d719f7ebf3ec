import { createContext, Script } from "node:vm";

/**
 * Work on what strangers wrote, stopped when it takes too long: a regular expression of theirs can be made to search
 * for years, and JavaScript has no other way to interrupt one. The work must leave nothing half done that is kept, as it
 * may be begun again.
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
      // The clock goes on while a busy machine, or a container's quota, lets this process wait: that is not its fault.
      const itself = (user + system) / 1000 >= msMax * ownShareMin;
      if (itself || tries === triesMax) return undefined;
    }
  }
}
