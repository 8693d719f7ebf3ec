import { Field, ID, Int, ObjectType, registerEnumType } from "type-graphql";
import type { ErrorCode } from "../errors.ts";
import { connectionOf } from "../graphql/pagination.ts";
import { GraphQLDecimal } from "../graphql/scalars.ts";
import { toWire } from "../ids.ts";
import { formatCredits, formatUsd } from "../ledger/amount.ts";
import { GenerationStatus } from "../ledger/types.ts";
import { ToolCall } from "./inputs/messages.ts";
import type { GenerationRow } from "./store.ts";

export enum FinishReason {
  STOP = "STOP",
  LENGTH = "LENGTH",
  CONTENT_FILTER = "CONTENT_FILTER",
  TOOL_CALLS = "TOOL_CALLS",
  ERROR = "ERROR",
  CANCELLED = "CANCELLED",
  OTHER = "OTHER",
}
registerEnumType(FinishReason, {
  name: "FinishReason",
  description: "Why the model stopped.",
  valuesConfig: {
    STOP: { description: "It was done, or met a stop text." },
    LENGTH: { description: "It reached the limit of output tokens." },
    CONTENT_FILTER: { description: "The provider withheld the rest." },
    TOOL_CALLS: { description: "It asks for a tool." },
    ERROR: { description: "The provider failed." },
    CANCELLED: { description: "The caller left." },
    OTHER: { description: "The provider gave no known reason." },
  },
});

export enum UsageSource {
  PROVIDER = "PROVIDER",
  ESTIMATED = "ESTIMATED",
}
registerEnumType(UsageSource, {
  name: "UsageSource",
  description: "Who counted the tokens.",
  valuesConfig: {
    PROVIDER: { description: "The provider, plausibly." },
    ESTIMATED: { description: "Tollgate, because the provider's count was missing or impossible." },
  },
});

@ObjectType({ description: "Tokens of one call.", simpleResolvers: true })
export class TokenUsage {
  @Field(() => Int, { description: "Read by the model." })
  inputTokens!: number;

  @Field(() => Int, { description: "Of those, in the provider's cache." })
  cachedInputTokens!: number;

  @Field(() => Int, { description: "Written by the model." })
  outputTokens!: number;

  @Field(() => Int, { description: "Of those, not in the text." })
  reasoningTokens!: number;

  @Field(() => Int, { description: "Input and output together." })
  totalTokens!: number;

  @Field(() => UsageSource, { description: "Who counted." })
  source!: `${UsageSource}`;
}

@ObjectType({ description: "What one call cost.", simpleResolvers: true })
export class Charge {
  @Field(() => GraphQLDecimal, { description: "Credits taken from the wallet; never more than `reserved`." })
  credits!: string;

  @Field(() => GraphQLDecimal, { description: "Credits held while the call was running: the most it could cost." })
  reserved!: string;

  @Field(() => GraphQLDecimal, { description: "Credits in the wallet after this call." })
  balance!: string;

  @Field(() => GraphQLDecimal, { description: "What the provider takes for the call, in USD." })
  costUsd!: string;
}

@ObjectType({
  description: "A failed attempt, or a model skipped because its circuit breaker was open.",
  simpleResolvers: true,
})
export class FailedTry {
  @Field(() => String, { description: "The name of the model." })
  model!: string;

  @Field(() => String, { description: "Who runs it." })
  provider!: string;

  @Field(() => String, {
    description: "PROVIDER_FAILED or PROVIDER_TIMEOUT; UNAVAILABLE when it was passed over.",
  })
  errorCode!: string;

  @Field(() => Int, { nullable: true, description: "The HTTP status with which the provider refused, if it did." })
  upstreamStatus!: number | null;
}

@ObjectType({ description: "A call of a model and what came of it.", simpleResolvers: true })
export class Generation {
  @Field(() => ID, { description: "`gen_…`" })
  id!: string;

  @Field(() => GenerationStatus, { description: "How the call ended." })
  status!: `${GenerationStatus}`;

  @Field(() => String, {
    description: "The name of the model or preset that was asked for; of an alias, the one that it stood for.",
  })
  model!: string;

  @Field(() => String, {
    description: "The name of the model that answered, or was asked last: the base of a preset, or a fallback.",
  })
  servedModel!: string;

  @Field(() => String, { description: "Who ran it." })
  provider!: string;

  @Field(() => [FailedTry], { description: "What went wrong before or instead of an answer, try by try." })
  failedTries!: FailedTry[];

  @Field(() => String, {
    description: "What the model wrote. Answers are not stored, so it is empty in `generations`.",
  })
  text!: string;

  @Field(() => [ToolCall], {
    description: "The tools that the model asks for, with the finish reason TOOL_CALLS. Not stored, as `text` is not.",
  })
  toolCalls!: ToolCall[];

  @Field(() => String, {
    nullable: true,
    description:
      "Why `text` is not what `responseFormat` asked for, in words; null when it is, or when no format was asked for. The answer is charged all the same. Not stored, as `text` is not.",
  })
  formatFault!: string | null;

  @Field(() => FinishReason, { description: "Why the model stopped." })
  finishReason!: `${FinishReason}`;

  @Field(() => TokenUsage, { description: "The tokens." })
  usage!: TokenUsage;

  @Field(() => Charge, { description: "The price." })
  charge!: Charge;

  @Field(() => Int, { description: "From the reservation to the provider's last byte, in milliseconds." })
  latencyMs!: number;

  @Field(() => Boolean, {
    description: "Whether this is the stored answer of an earlier call with the same idempotencyKey.",
  })
  replayed!: boolean;

  @Field(() => Boolean, {
    description:
      "Whether the answer came out of the cache (`GenerateInput.cacheSeconds`): no model was asked, `usage` is 0 and so is `costUsd`.",
  })
  cached!: boolean;

  @Field(() => String, { nullable: true, description: "Why it failed, as a code of the error catalogue." })
  errorCode!: string | null;

  @Field(() => [String], { description: "As given with the call." })
  tags!: string[];

  @Field(() => String, { nullable: true, description: "As given with the call." })
  endUser!: string | null;

  @Field(() => Date, { description: "When the credits were reserved." })
  createdAt!: Date;

  /** For the edge to the key: its id as the database has it. */
  apiKeyId!: string;
}

export const GenerationConnection = connectionOf(Generation, "Generation");

export interface Told {
  text: string;
  toolCalls?: ToolCall[] | undefined;
  formatFault?: string | undefined;
  /** Of an embedding. */
  vectors?: number[][] | undefined;
  replayed: boolean;
  /** Out of the cache. */
  cached?: boolean;
}

export function toGeneration(
  row: GenerationRow,
  { text, toolCalls = [], formatFault = "", replayed }: Told = { text: "", replayed: false },
): Generation {
  const { inputTokens, cachedInputTokens, outputTokens, reasoningTokens } = row;
  return {
    id: toWire("gen", row.id),
    status: row.status,
    model: row.model,
    servedModel: row.servedModel ?? row.model,
    provider: row.provider,
    failedTries: (row.failedTries ?? []).map((failed) => ({ upstreamStatus: null, ...failed })),
    text,
    toolCalls,
    formatFault: formatFault || null,
    finishReason: row.finishReason,
    usage: {
      inputTokens,
      cachedInputTokens,
      outputTokens,
      reasoningTokens,
      totalTokens: inputTokens + outputTokens,
      source: row.usageSource,
    },
    charge: {
      credits: formatCredits(row.charged),
      reserved: formatCredits(row.reserved),
      balance: formatCredits(row.balanceAfter),
      costUsd: formatUsd(row.costNanoUsd),
    },
    latencyMs: row.latencyMs,
    replayed,
    cached: row.cached,
    errorCode: row.errorCode as ErrorCode | null,
    tags: row.tags,
    endUser: row.endUser,
    createdAt: row.createdAt,
    apiKeyId: row.apiKeyId,
  };
}
