import { cpuSecondsBelow, cpuSecondsOf } from "../processes.ts";
import { type Load, load, round } from "./load.ts";
import type { Target } from "./targets.ts";

export interface Measured extends Load {
  cpuMicrosecondsPerRequest: { server: number | undefined; database: number | undefined };
}

/** By the name of the target, one of each round. */
export type Rounds = Record<string, Measured[]>;

export interface Ratio {
  /** Of each round. */
  rounds: number[];
  median: number;
}

export interface RoundOptions {
  rounds: number;
  connections: number;
  seconds: number;
  onMeasured: (target: string, measured: Measured) => void;
}

/**
 * Targets take turns, so that whatever else the machine does falls on all of them. Every other round goes backwards,
 * so that none of two always follows the other.
 */
export async function takeTurns(targets: Target[], options: RoundOptions): Promise<Rounds> {
  const results: Rounds = Object.fromEntries(targets.map(({ name }) => [name, []]));
  for (let i = 0; i < options.rounds; i++) {
    for (const target of i % 2 === 0 ? targets : targets.toReversed()) {
      const measured = await measure(target, options);
      results[target.name]?.push(measured);
      options.onMeasured(target.name, measured);
    }
  }
  return results;
}

async function measure({ call, server }: Target, { connections, seconds }: RoundOptions): Promise<Measured> {
  const before = { server: cpuSecondsOf(server.pid), database: cpuSecondsBelow(server.pid) };
  const result = await load(call, { connections, seconds });
  const after = { server: cpuSecondsOf(server.pid), database: cpuSecondsBelow(server.pid) };
  const perRequest = (from: number | undefined, to: number | undefined) =>
    from === undefined || to === undefined ? undefined : Math.round(((to - from) * 1e6) / result.calls);
  const cpuMicrosecondsPerRequest = {
    server: perRequest(before.server, after.server),
    database: perRequest(before.database, after.database),
  };
  return { ...result, cpuMicrosecondsPerRequest };
}

export function middleRounds(rounds: Rounds): Record<string, Measured> {
  const middle = (all: Measured[]) => middleOf(all, ({ requestsPerSecond }) => requestsPerSecond);
  return Object.fromEntries(Object.entries(rounds).map(([name, all]) => [name, middle(all)]));
}

/** A target's requests to those of another in the same round: a slow moment of the machine slows both. */
export function ratioOf(rounds: Rounds, name: string, to: string): Ratio | undefined {
  const { [name]: own, [to]: other } = rounds;
  if (!own || !other) return undefined;
  const ratios = own.map((one, i) => round(one.requestsPerSecond / (other[i] as Measured).requestsPerSecond, 3));
  return { rounds: ratios, median: medianOf(ratios) };
}

function medianOf(numbers: number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const half = (sorted.length - 1) / 2;
  return round(((sorted[Math.floor(half)] as number) + (sorted[Math.ceil(half)] as number)) / 2, 3);
}

/** The lower one of two. */
function middleOf<T>(all: readonly T[], by: (one: T) => number): T {
  return all.toSorted((a, b) => by(a) - by(b))[Math.floor((all.length - 1) / 2)] as T;
}
