import { Directive, Field, ID, Int, ObjectType, registerEnumType } from "type-graphql";
import type { ErrorCode } from "../errors.ts";
import { connectionOf } from "../graphql/pagination.ts";
import { GraphQLDecimal } from "../graphql/scalars.ts";
import { toWire } from "../ids.ts";
import { formatCredits, formatUsd } from "../ledger/amount.ts";
import { tokensOf } from "../ledger/token-counts.ts";
import { GenerationStatus } from "../ledger/types.ts";
import { RequestedTool } from "./inputs/messages.ts";
import type { GenerationRow } from "./store.ts";

export enum GenerationFinishReason {
  STOP = "STOP",
  LENGTH = "LENGTH",
  CONTENT_FILTER = "CONTENT_FILTER",
  TOOL_CALLS = "TOOL_CALLS",
  ERROR = "ERROR",
  CANCELLED = "CANCELLED",
  OTHER = "OTHER",
}
registerEnumType(GenerationFinishReason, {
  name: "FinishReason",
  description: "Why the model stopped.",
  valuesConfig: {
    STOP: { description: "The answer is complete, or reached a stop sequence." },
    LENGTH: { description: "The answer reached the limit of output tokens." },
    CONTENT_FILTER: { description: "The provider withheld the rest of the answer." },
    TOOL_CALLS: { description: "The model requests a tool call." },
    ERROR: { description: "The provider failed." },
    CANCELLED: { description: "The client left, or the key was disabled, revoked or expired." },
    OTHER: { description: "The provider gave no known reason." },
  },
});

export enum UsageSource {
  PROVIDER = "PROVIDER",
  ESTIMATED = "ESTIMATED",
}
registerEnumType(UsageSource, {
  name: "UsageSource",
  description: "The source of a token count.",
  valuesConfig: {
    PROVIDER: { description: "The provider, whose count is plausible; also when nothing was used." },
    ESTIMATED: { description: "Tollgate's estimate, because the provider's count was missing or impossible." },
  },
});

@ObjectType("TokenUsage", { description: "Tokens of one call.", simpleResolvers: true })
export class GenerationUsage {
  @Field(() => Int, { description: "Tokens that the model read." })
  inputTokens!: number;

  @Field(() => Int, { description: "Of the input tokens, those read from the provider's cache." })
  cachedInputTokens!: number;

  @Field(() => Int, {
    description:
      "Of the input tokens, those written to the provider's cache for 5 minutes, or for a time it does not tell.",
  })
  cacheWriteTokens!: number;

  @Field(() => Int, { description: "Of the input tokens, those written to the provider's cache for an hour." })
  cacheWrite1hTokens!: number;

  @Field(() => Int, { description: "Tokens that the model wrote." })
  outputTokens!: number;

  @Field(() => Int, { description: "Of the output tokens, those of the model's reasoning, which is not in the text." })
  reasoningTokens!: number;

  @Field(() => Int, { description: "Input and output together." })
  totalTokens!: number;

  @Field(() => UsageSource, { description: "The source of the counts." })
  source!: `${UsageSource}`;
}

@ObjectType({ description: "The price of one call.", simpleResolvers: true })
export class Charge {
  @Field(() => GraphQLDecimal, { description: "Credits charged to the wallet; never more than `reserved`." })
  credits!: string;

  @Field(() => GraphQLDecimal, {
    description: "Credits reserved while the call was running: the most that it could cost.",
  })
  reserved!: string;

  @Field(() => GraphQLDecimal, { description: "The wallet's balance after this call, in credits." })
  balance!: string;

  @Directive("@usd")
  @Field(() => GraphQLDecimal, { description: "The provider's price of the call, in USD." })
  costUsd!: string;
}

@ObjectType("FailedTry", {
  description: "A failed attempt, or a model skipped because its circuit breaker was open.",
  simpleResolvers: true,
})
export class GenerationFailedTry {
  @Field(() => String, { description: "The name of the model." })
  model!: string;

  @Field(() => String, { description: "The provider that runs the model." })
  provider!: string;

  @Field(() => String, {
    description: "PROVIDER_FAILED or PROVIDER_TIMEOUT; UNAVAILABLE when its circuit breaker was open.",
  })
  errorCode!: string;

  @Field(() => Int, {
    nullable: true,
    description: "The HTTP status of the provider's refusal; null when there was none.",
  })
  upstreamStatus!: number | null;
}

@ObjectType({ description: "A call of a model, its answer and its price.", simpleResolvers: true })
export class Generation {
  @Field(() => ID, { description: "The call's id, `gen_…`." })
  id!: string;

  @Field(() => GenerationStatus, { description: "How the call ended." })
  status!: `${GenerationStatus}`;

  @Field(() => String, {
    description: "The name of the requested model or preset; for an alias, the target that it picked.",
  })
  model!: string;

  @Field(() => String, {
    description:
      "The name of the model that answered, or that was called last: the model itself, the base of a preset or a fallback.",
  })
  servedModel!: string;

  @Field(() => String, { description: "The provider that ran the model: `echo`, `ollama` or the name of a service." })
  provider!: string;

  @Field(() => [GenerationFailedTry], {
    description: "Failed attempts before or instead of an answer, in order.",
  })
  failedTries!: GenerationFailedTry[];

  @Field(() => String, {
    description: "The model's answer. Answers are not stored, so it is empty in `generations`.",
  })
  text!: string;

  @Field(() => [RequestedTool], {
    description:
      "The tool calls that the model requests, with the finish reason TOOL_CALLS. Not stored, so empty in `generations`.",
  })
  toolCalls!: RequestedTool[];

  @Field(() => String, {
    nullable: true,
    description:
      "How `text` misses the requested `responseFormat`, for people; null when it matches or no format was requested. Such an answer is charged, too. Not stored, so null in `generations`.",
  })
  formatFault!: string | null;

  @Field(() => GenerationFinishReason, { description: "Why the model stopped." })
  finishReason!: `${GenerationFinishReason}`;

  @Field(() => GenerationUsage, { description: "The tokens of the call." })
  usage!: GenerationUsage;

  @Field(() => Charge, { description: "The price of the call." })
  charge!: Charge;

  @Field(() => Int, { description: "From the reservation to the provider's last byte, in milliseconds." })
  latencyMs!: number;

  @Field(() => Boolean, {
    description: "Whether this is the stored answer of an earlier call with the same `idempotencyKey`.",
  })
  replayed!: boolean;

  @Field(() => Boolean, {
    description:
      "Whether the answer is from the cache (`GenerateInput.cacheSeconds`): no model was called, and `usage` and `costUsd` are 0.",
  })
  cached!: boolean;

  @Field(() => String, {
    nullable: true,
    description: "Why the call failed or was cancelled, as a code of the error catalogue; null otherwise.",
  })
  errorCode!: string | null;

  @Field(() => [String], { description: "As in the input of the call." })
  tags!: string[];

  @Field(() => String, { nullable: true, description: "As in the input of the call." })
  endUser!: string | null;

  @Field(() => String, {
    description: "The id of the HTTP request that made the call, as in its `X-Request-Id` header and its errors.",
  })
  requestId!: string;

  @Field(() => Date, { description: "When the credits were reserved." })
  createdAt!: Date;

  /** For the edge to the key: its id as the database has it. */
  apiKeyId!: string;
}

export const GenerationConnection = connectionOf(Generation, "Generation");

export interface AnswerContent {
  text: string;
  toolCalls?: RequestedTool[] | undefined;
  formatFault?: string | undefined;
  /** For an embedding. */
  vectors?: number[][] | undefined;
  replayed: boolean;
  /** Out of the cache. */
  cached?: boolean;
}

export function toGeneration(
  row: GenerationRow,
  { text, toolCalls = [], formatFault = "", replayed }: AnswerContent = { text: "", replayed: false },
): Generation {
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
      ...tokensOf(row),
      totalTokens: row.inputTokens + row.outputTokens,
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
    requestId: row.httpRequestId,
    createdAt: row.createdAt,
    apiKeyId: row.apiKeyId,
  };
}
