import type { Told } from "./types.ts";

/** What is kept of an answer for the twins of its call: what the ledger does not hold. */
export function writeAnswer({ text, toolCalls }: Told): string {
  return JSON.stringify({ text, ...(toolCalls?.length && { toolCalls }) });
}

export function readAnswer(stored: string): Told {
  return { ...(JSON.parse(stored) as Omit<Told, "replayed">), replayed: true };
}
