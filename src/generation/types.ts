import { Field, Float, ID, InputType, Int, ObjectType, registerEnumType } from "type-graphql";
import type { ErrorCode } from "../errors.ts";
import { connectionOf } from "../graphql/pagination.ts";
import { GraphQLAnyJson, GraphQLDecimal } from "../graphql/scalars.ts";
import { toWire } from "../ids.ts";
import { formatCredits, formatUsd } from "../ledger/amount.ts";
import type { GenerationRow } from "./store.ts";

export enum GenerationStatus {
  COMPLETED = "COMPLETED",
  PARTIAL = "PARTIAL",
  CANCELLED = "CANCELLED",
  FAILED = "FAILED",
  ABANDONED = "ABANDONED",
}
registerEnumType(GenerationStatus, {
  name: "GenerationStatus",
  description: "How a call ended.",
  valuesConfig: {
    COMPLETED: { description: "The model answered in full." },
    PARTIAL: { description: "The provider broke off; what was delivered is charged." },
    CANCELLED: { description: "The caller left; what was produced until then is charged." },
    FAILED: { description: "The provider failed before it answered; nothing is charged." },
    ABANDONED: { description: "The server died or the answer came too late; nothing is charged." },
  },
});

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

export enum MessageRole {
  SYSTEM = "SYSTEM",
  USER = "USER",
  ASSISTANT = "ASSISTANT",
}
registerEnumType(MessageRole, {
  name: "MessageRole",
  description: "Who says a message.",
  valuesConfig: {
    SYSTEM: { description: "Instructions for the model." },
    USER: { description: "The person or program that asks." },
    ASSISTANT: { description: "What the model said before." },
  },
});

@InputType({ description: "One message of a conversation." })
export class MessageInput {
  @Field(() => MessageRole, { description: "Who says it." })
  role!: `${MessageRole}`;

  @Field(() => String, { description: "What is said." })
  content!: string;
}

@InputType({ description: "A call of a model." })
export class GenerateInput {
  @Field(() => String, { description: "The name of a model, as `models` lists it." })
  model!: string;

  @Field(() => String, { nullable: true, description: "What to answer. Either this or `messages`." })
  prompt?: string | null;

  @Field(() => [MessageInput], {
    nullable: true,
    description: "A conversation to go on with. Either this or `prompt`.",
  })
  messages?: MessageInput[] | null;

  @Field(() => String, { nullable: true, description: "Instructions that go before everything else." })
  system?: string | null;

  @Field(() => Int, {
    nullable: true,
    description: "At least 1; cut to the model's limit and to what the credits pay for.",
  })
  maxOutputTokens?: number | null;

  @Field(() => Float, { nullable: true, description: "0 to 2." })
  temperature?: number | null;

  @Field(() => Float, { nullable: true, description: "0 to 1." })
  topP?: number | null;

  @Field(() => [String], {
    nullable: true,
    description: "Texts that end the answer: at most 4, of at most 100 characters.",
  })
  stop?: string[] | null;

  @Field(() => Int, { nullable: true, description: "For providers that can repeat an answer." })
  seed?: number | null;

  @Field(() => GraphQLAnyJson, {
    nullable: true,
    description: '`{"type":"json_schema","schema":{…}}` or `{"type":"json"}`.',
  })
  responseFormat?: unknown;

  @Field(() => [String], { nullable: true, description: "For usage reports: at most 10, of at most 100 characters." })
  tags?: string[] | null;

  @Field(() => String, { nullable: true, description: "For usage reports: on whose behalf the call is made." })
  endUser?: string | null;

  @Field(() => String, {
    nullable: true,
    description: "Makes a retry safe: the same call again is answered and charged once.",
  })
  idempotencyKey?: string | null;

  @Field(() => ID, { nullable: true, description: "A quote whose price is to hold." })
  quoteId?: string | null;
}

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

@ObjectType({ description: "A call of a model and what came of it.", simpleResolvers: true })
export class Generation {
  @Field(() => ID, { description: "`gen_…`" })
  id!: string;

  @Field(() => GenerationStatus, { description: "How the call ended." })
  status!: `${GenerationStatus}`;

  @Field(() => String, { description: "The name of the model." })
  model!: string;

  @Field(() => String, { description: "Who ran it." })
  provider!: string;

  @Field(() => String, {
    description: "What the model wrote. Answers are not stored, so it is empty in `generations`.",
  })
  text!: string;

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

@InputType({ description: "Which generations to list." })
export class GenerationFilter {
  @Field(() => ID, { nullable: true, description: "Of this account only." })
  accountId?: string | null;

  @Field(() => ID, { nullable: true, description: "Of this key only." })
  apiKeyId?: string | null;

  @Field(() => String, { nullable: true, description: "Of this model only, by its name." })
  model?: string | null;

  @Field(() => GenerationStatus, { nullable: true, description: "That ended like this only." })
  status?: `${GenerationStatus}` | null;

  @Field(() => String, { nullable: true, description: "With this tag only." })
  tag?: string | null;

  @Field(() => String, { nullable: true, description: "For this end user only." })
  endUser?: string | null;

  @Field(() => Date, { nullable: true, description: "Not before this." })
  from?: Date | null;

  @Field(() => Date, { nullable: true, description: "Before this." })
  to?: Date | null;
}

export const GenerationConnection = connectionOf(Generation, "Generation");

export interface Told {
  text: string;
  replayed: boolean;
}

export function toGeneration(row: GenerationRow, { text, replayed }: Told = { text: "", replayed: false }): Generation {
  const { inputTokens, cachedInputTokens, outputTokens, reasoningTokens } = row;
  return {
    id: toWire("gen", row.id),
    status: row.status,
    model: row.model,
    provider: row.provider,
    text,
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
    errorCode: row.errorCode as ErrorCode | null,
    tags: row.tags,
    endUser: row.endUser,
    createdAt: row.createdAt,
    apiKeyId: row.apiKeyId,
  };
}
