import { Field, ID, InputType, Int, ObjectType } from "type-graphql";
import { badInput } from "../errors.ts";
import { connectionOf } from "../graphql/pagination.ts";
import { GraphQLAnyJson } from "../graphql/scalars.ts";
import { fromWire, toWire } from "../ids.ts";
import type { PromptHeader, PromptLogOwner, PromptSearch } from "./store.ts";

@ObjectType({ description: "The prompt log setting of a key or an account.", simpleResolvers: true })
export class PromptLogTerms {
  @Field(() => Int, {
    nullable: true,
    description:
      "Retention in days of logged prompts and answers, which are redacted and encrypted; null when prompt logs are off.",
  })
  days!: number | null;
}

@InputType({
  description: "The prompt log setting of a key or an account. Exactly one of `accountId` and `apiKeyId` must be set.",
})
export class SetPromptLogInput {
  @Field(() => ID, {
    nullable: true,
    description: "The account, `acc_…`: for all its keys without a setting of their own. Set this or `apiKeyId`.",
  })
  accountId?: string | null;

  @Field(() => ID, { nullable: true, description: "The key, `key_…`. Set this or `accountId`." })
  apiKeyId?: string | null;

  @Field(() => Int, {
    nullable: true,
    description:
      "Retention in days, 1 to 365; 0 turns prompt logs off. Null: a key uses its account's setting, and an account has prompt logs off.",
  })
  days?: number | null;
}

@ObjectType({ description: "A prompt log record, without the text.", simpleResolvers: true })
export class PromptRecord {
  @Field(() => ID, { description: "The call, `gen_…`." })
  id!: string;

  @Field(() => ID, { description: "The account of the call, `acc_…`." })
  accountId!: string;

  @Field(() => ID, { description: "The key of the call, `key_…`." })
  apiKeyId!: string;

  @Field(() => String, { description: "The name of the requested model." })
  model!: string;

  @Field(() => String, {
    nullable: true,
    description: "The end user, as in `GenerateInput.endUser`; null when the call named none.",
  })
  endUser!: string | null;

  @Field(() => Date, { description: "When the record was written, by the database's clock." })
  loggedAt!: Date;

  @Field(() => Date, { description: "When the record expires and is deleted." })
  expiresAt!: Date;
}

export const PromptRecordConnection = connectionOf(PromptRecord, "PromptRecord");

@ObjectType({
  description:
    "The logged prompt and answer of one call. Email addresses, card numbers, keys and similar data are redacted.",
})
export class PromptText extends PromptRecord {
  @Field(() => GraphQLAnyJson, { description: "The messages of the call, in order, as `{ role, content }`." })
  messages!: unknown;

  @Field(() => String, { nullable: true, description: "The text of the answer; null when there was none." })
  answer!: string | null;

  @Field(() => GraphQLAnyJson, { description: "The tool calls of the answer." })
  toolCalls!: unknown;
}

@InputType({ description: "Filters prompt log records." })
export class PromptRecordFilter {
  @Field(() => ID, { description: "Only records of this account, `acc_…`." })
  accountId!: string;

  @Field(() => ID, { nullable: true, description: "Only records of this key, `key_…`." })
  apiKeyId?: string | null;

  @Field(() => String, { nullable: true, description: "Only records of this end user." })
  endUser?: string | null;
}

@ObjectType({ description: "The result of deleting prompt logs.", simpleResolvers: true })
export class DeletedPrompts {
  @Field(() => Int, { description: "The number of calls whose prompt logs were deleted." })
  prompts!: number;

  @Field(() => Int, { description: "The number of cached answers that were deleted." })
  answers!: number;
}

export const toPromptLogTerms = (days: number): PromptLogTerms => ({ days: days > 0 ? days : null });

export function toPromptRecord<T extends PromptHeader>(row: T) {
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

/** @throws BAD_USER_INPUT unless exactly one id is set */
export function toPromptLogOwner({ accountId, apiKeyId }: SetPromptLogInput): PromptLogOwner {
  if ((accountId == null) === (apiKeyId == null)) throw badInput("Exactly one of accountId and apiKeyId must be set.");
  return accountId != null
    ? { kind: "ACCOUNT", id: fromWire("acc", accountId) }
    : { kind: "KEY", id: fromWire("key", apiKeyId ?? "") };
}
