import { createContext, Script } from "node:vm";

/**
 * Work on what strangers wrote, stopped when it takes too long: a regular expression of theirs can be made to search
 * for years, and JavaScript has no other way to interrupt one. The work must leave nothing half done that is kept.
 */
const run = new Script("work()");
const overtime = "ERR_SCRIPT_EXECUTION_TIMEOUT";

/** Undefined when it took too long. */
export function bounded<T>(work: () => T, msMax: number): { done: T } | undefined {
  try {
    return { done: run.runInContext(createContext({ work }), { timeout: msMax }) as T };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === overtime) return undefined;
    throw error;
  }
}
