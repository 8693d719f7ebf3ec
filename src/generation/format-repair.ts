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
 * Checks answers against the requested format. Where the model has `repairFormat`, a wrong answer is repaired by a
 * second attempt within the same hold, and both attempts are charged as one call. An answer that is still wrong is
 * returned with its fault: it was paid for, and the caller may be able to use it.
 */
export interface Bounds {
  tariff: Tariff;
  price: Price;
  /** The amounts of the hold: micro-credits, and nano-USD for the budgets. */
  amount: bigint;
  costMax: bigint;
  /** Whether the model has `repairFormat`. */
  repairs: boolean;
}

export type CheckedAnswer = ProviderAnswer & { formatFault?: string | undefined };

/** The fault of an answer's format; undefined for an answer that need not have text. */
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
    // Both attempts share the timeout of one call.
    const again = corrected(call, first.text, fault);
    const answer = await ask(call.limits ? endingBy(again, endsAtMs) : again);
    const usage = together(first.usage, answer.usage);
    const { timeToFirstTokenMs } = first;
    const timed = timeToFirstTokenMs !== undefined && { timeToFirstTokenMs };
    return { ...answer, ...timed, usage, formatFault: faultOf(call, answer) };
  } catch {
    // The first answer exists and is charged, even if the second attempt failed.
    return { ...first, formatFault: fault };
  }
}

const correction = (fault: string) =>
  `That answer does not have the form that was asked for. ${fault} Answer again, with nothing but the JSON.`;
const correctionBytesMax = 2_200;
const turnTokens = 16;

/** The most input of a repair: the first attempt's input, its answer and the fault. */
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
