import { Field, ID, InputType, Int, ObjectType } from "type-graphql";
import { badInput } from "../errors.ts";
import { connectionOf } from "../graphql/pagination.ts";
import { GraphQLAnyJson } from "../graphql/scalars.ts";
import { fromWire, toWire } from "../ids.ts";
import type { PromptHeader, PromptSearch, Whose } from "./store.ts";

@ObjectType({ description: "Whether prompts and answers are kept.", simpleResolvers: true })
export class PromptLogTerms {
  @Field(() => Int, {
    nullable: true,
    description: "For how many days they are kept, redacted and encrypted; null when they are not.",
  })
  days!: number | null;
}

@InputType({ description: "An agreement to keep prompts and answers, of a key or of an account." })
export class SetPromptLogInput {
  @Field(() => ID, { nullable: true, description: "Either this, for all keys that say nothing else, or `apiKeyId`." })
  accountId?: string | null;

  @Field(() => ID, { nullable: true, description: "Either this or `accountId`." })
  apiKeyId?: string | null;

  @Field(() => Int, {
    nullable: true,
    description:
      "For how many days, 1 to 365; 0 for not at all. Null leaves a key to its account, and keeps nothing of an account.",
  })
  days?: number | null;
}

@ObjectType({ description: "That a prompt is kept, without what it says.", simpleResolvers: true })
export class PromptRecord {
  @Field(() => ID, { description: "The generation, `gen_…`." })
  id!: string;

  @Field(() => ID, { description: "Of which account, `acc_…`." })
  accountId!: string;

  @Field(() => ID, { description: "Of which key, `key_…`." })
  apiKeyId!: string;

  @Field(() => String, { description: "The name of the model." })
  model!: string;

  @Field(() => String, { nullable: true, description: "On whose behalf, as given with the call." })
  endUser!: string | null;

  @Field(() => Date, { description: "When it was written." })
  loggedAt!: Date;

  @Field(() => Date, { description: "When it ends." })
  expiresAt!: Date;
}

export const PromptRecordConnection = connectionOf(PromptRecord, "PromptRecord");

@ObjectType({
  description: "What was said in one call. Addresses, numbers of cards, keys and the like are struck out.",
})
export class PromptText extends PromptRecord {
  @Field(() => GraphQLAnyJson, { description: "The messages, in their order, as `{ role, content }`." })
  messages!: unknown;

  @Field(() => String, { nullable: true, description: "What the model wrote; null when it did not come to that." })
  answer!: string | null;

  @Field(() => GraphQLAnyJson, { description: "The tools that the model asked for." })
  toolCalls!: unknown;
}

@InputType({ description: "Which prompts to list." })
export class PromptRecordFilter {
  @Field(() => ID, { description: "Of this account." })
  accountId!: string;

  @Field(() => ID, { nullable: true, description: "Of this key only." })
  apiKeyId?: string | null;

  @Field(() => String, { nullable: true, description: "For this end user only." })
  endUser?: string | null;
}

@ObjectType({ description: "What was deleted.", simpleResolvers: true })
export class DeletedPrompts {
  @Field(() => Int, { description: "Calls whose prompts and answers were deleted." })
  prompts!: number;

  @Field(() => Int, { description: "Answers that were kept to be given again." })
  answers!: number;
}

export const toTerms = (days: number): PromptLogTerms => ({ days: days > 0 ? days : null });

export function toRecord<T extends PromptHeader>(row: T) {
  const { id, accountId, apiKeyId } = row;
  return { ...row, id: toWire("gen", id), accountId: toWire("acc", accountId), apiKeyId: toWire("key", apiKeyId) };
}

export function toPromptSearch({ accountId, apiKeyId, endUser }: PromptRecordFilter): PromptSearch {
  return {
    accountId: fromWire("acc", accountId),
    apiKeyId: apiKeyId == null ? undefined : fromWire("key", apiKeyId),
    endUser: endUser ?? undefined,
  };
}

/** @throws BAD_USER_INPUT unless it names one of both */
export function toWhose({ accountId, apiKeyId }: SetPromptLogInput): Whose {
  if ((accountId == null) === (apiKeyId == null)) throw badInput("Give either accountId or apiKeyId.");
  return accountId != null
    ? { kind: "ACCOUNT", id: fromWire("acc", accountId) }
    : { kind: "KEY", id: fromWire("key", apiKeyId ?? "") };
}
