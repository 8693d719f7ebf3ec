import type { AnswerContent } from "../types.ts";

/** The parts of an answer that the ledger does not hold, kept for retries and for the cache. */
interface Stored {
  text: string;
  toolCalls?: AnswerContent["toolCalls"];
  formatFault?: string;
  /** 64-bit floats in base64: a third of their size as decimals, and exact. */
  vectors?: string[];
}

export function writeAnswer({ text, toolCalls, formatFault, vectors }: AnswerContent): string {
  const stored: Stored = {
    text,
    ...(toolCalls?.length && { toolCalls }),
    ...(formatFault !== undefined && { formatFault }),
    ...(vectors && { vectors: vectors.map(toBase64) }),
  };
  return JSON.stringify(stored);
}

export function readAnswer(text: string): AnswerContent {
  const { vectors, ...stored } = JSON.parse(text) as Stored;
  return { ...stored, ...(vectors && { vectors: vectors.map(fromBase64) }), replayed: true };
}

function toBase64(vector: number[]): string {
  return Buffer.from(new Float64Array(vector).buffer).toString("base64");
}

function fromBase64(text: string): number[] {
  // Copied, because a Buffer need not be aligned for floats.
  return [...new Float64Array(new Uint8Array(Buffer.from(text, "base64")).buffer)];
}
