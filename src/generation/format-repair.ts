import { responseFormatFault } from "../guard/response-format.ts";
import { addTokens } from "../ledger/token-counts.ts";
import { endingBy } from "../models/attempts.ts";
import { mostCostOf, mostCreditsOf, type Price, type Tariff } from "../models/prices/price.ts";
import {
  type ChatMessage,
  inputTokensUpperBound,
  type ProviderAnswer,
  type ProviderCall,
  type TokenUsage,
} from "../models/providers/provider.ts";
import type { AnswerContent } from "./types.ts";

/**
 * Answers that were asked for in a format. One that does not have it is asked for once more where the model's entry
 * says so, within the same hold, and both attempts are charged as one call. If it still does not fit it is told with
 * what is wrong: it was paid for, and its reader may know how to use it.
 */
export interface Bounds {
  tariff: Tariff;
  price: Price;
  /** What the hold reserved: micro-credits, and nano-USD for the budgets. */
  amount: bigint;
  costMax: bigint;
  /** Whether the model's entry asks for a repair. */
  repairs: boolean;
}

export type CheckedAnswer = ProviderAnswer & { formatFault?: string | undefined };

/** What is wrong with the form of an answer; undefined for one in which no text was to be expected. */
export function faultOf(
  { responseFormat }: Pick<ProviderCall, "responseFormat">,
  { text, toolCalls, finishReason }: Pick<ProviderAnswer, "text" | "finishReason"> & Pick<AnswerContent, "toolCalls">,
): string | undefined {
  if (!responseFormat || toolCalls?.length || finishReason === "CONTENT_FILTER") return undefined;
  const fault = responseFormatFault(responseFormat, text);
  return fault !== undefined && finishReason === "LENGTH" ? "It was cut at the limit of output tokens." : fault;
}

export async function askInFormat(
  call: ProviderCall,
  bounds: Bounds,
  ask: (call: ProviderCall) => Promise<ProviderAnswer>,
): Promise<CheckedAnswer> {
  const endsAtMs = performance.now() + (call.limits?.totalMs ?? Number.POSITIVE_INFINITY);
  const first = await ask(call);
  const fault = faultOf(call, first);
  if (fault === undefined) return first;
  const isCut = first.finishReason === "LENGTH";
  if (isCut || !bounds.repairs || !isPaidFor(first.usage, call, bounds)) return { ...first, formatFault: fault };
  try {
    // Both attempts are one call, and have the time of one.
    const again = corrected(call, first.text, fault);
    const answer = await ask(call.limits ? endingBy(again, endsAtMs) : again);
    const usage = together(first.usage, answer.usage);
    const { timeToFirstTokenMs } = first;
    const timed = timeToFirstTokenMs !== undefined && { timeToFirstTokenMs };
    return { ...answer, ...timed, usage, formatFault: faultOf(call, answer) };
  } catch {
    // The first answer is there and is charged for, whatever became of the second.
    return { ...first, formatFault: fault };
  }
}

const correction = (fault: string) =>
  `That answer does not have the form that was asked for. ${fault} Answer again, with nothing but the JSON.`;
const correctionBytesMax = 2_200;
const turnTokens = 16;

/** The most that a repair reads: all that the first attempt read, its answer, and what is wrong with it. */
export function repairInputMax(firstInputMax: number, answerTokens: number): number {
  return firstInputMax + answerTokens + correctionBytesMax + 2 * turnTokens;
}

function corrected(call: ProviderCall, text: string, fault: string): ProviderCall {
  const answer: ChatMessage[] = text === "" ? [] : [{ role: "assistant", content: text }];
  return { ...call, messages: [...call.messages, ...answer, { role: "user", content: correction(fault) }] };
}

function isPaidFor(used: TokenUsage, call: ProviderCall, { tariff, price, amount, costMax }: Bounds): boolean {
  const again = repairInputMax(inputTokensUpperBound(call.messages, call), used.outputTokens);
  const most = {
    inputTokens: used.inputTokens + again,
    outputTokens: used.outputTokens + call.maxOutputTokens,
  };
  return mostCreditsOf(tariff, price, most) <= amount && mostCostOf(price, most) <= costMax;
}

function together(a: TokenUsage, b: TokenUsage): TokenUsage {
  return {
    ...addTokens(a, b),
    source: a.source === "PROVIDER" ? b.source : a.source,
  };
}
