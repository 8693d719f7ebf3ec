import { Field, ID, InputType, Int, ObjectType } from "type-graphql";
import { connectionOf } from "../graphql/pagination.ts";
import { toWire } from "../ids.ts";
import type { AccountRow } from "./store.ts";

@ObjectType({ description: "An account: a customer that owns API keys, wallets and MEMBERs.", simpleResolvers: true })
export class Account {
  @Field(() => ID, { description: "The account's id, `acc_…`." })
  id!: string;

  @Field(() => String, { description: "The account's display name; not unique." })
  name!: string;

  @Field(() => Int, {
    nullable: true,
    description:
      "Rotation interval in days: a key is due for rotation when its newest secret is older. Null means that rotation is never due.",
  })
  rotateKeysAfterDays!: number | null;

  @Field(() => Int, {
    description: "Maximum number of active API keys that each MEMBER of the account may have created; 0 means none.",
  })
  memberKeysMax!: number;

  @Field(() => [String], {
    description: "Scopes of models, such as `model:premium`, that MEMBERs of the account may give to their API keys.",
  })
  modelScopes!: string[];

  @Field(() => Boolean, {
    description:
      "Whether the API keys and MEMBERs of the account can read the providers' prices and costs in USD. If not, an operation that selects a field with `@usd` fails with FORBIDDEN before it runs.",
  })
  showUsd!: boolean;

  @Field(() => Boolean, {
    description:
      "Whether disabling a MEMBER of the account disables the API keys that it created, until the MEMBER is enabled again.",
  })
  stopMemberKeys!: boolean;

  @Field(() => Date, {
    nullable: true,
    description: "When the account was closed, which is final; null for an open account.",
  })
  closedAt!: Date | null;

  @Field(() => Date, { description: "When the account was created." })
  createdAt!: Date;

  /** For the field `plan`: the id as the database stores it. */
  planId!: string | null;
}

export const AccountConnection = connectionOf(Account, "Account");

@InputType({ description: "An account to create." })
export class CreateAccountInput {
  @Field(() => String, { description: "The account's display name: 1 to 200 characters." })
  name!: string;
}

@InputType({ description: "The fields of an account to change. A field that is absent stays as it is." })
export class UpdateAccountInput {
  @Field(() => String, {
    nullable: true,
    description: "The account's display name: 1 to 200 characters. Must not be null.",
  })
  name?: string | null;

  @Field(() => ID, {
    nullable: true,
    description:
      "The account's plan, `pln_…`: for keys without a plan of their own, and the upper bound for keys that MEMBERs create. Null removes it. Fails with NOT_FOUND.",
  })
  planId?: string | null;

  @Field(() => Int, {
    nullable: true,
    description: "Rotation interval in days, 1 to 3,650. Null means that rotation is never due.",
  })
  rotateKeysAfterDays?: number | null;

  @Field(() => Int, {
    nullable: true,
    description:
      "Maximum number of active API keys that each MEMBER of the account may have created, 0 to 1,000. Null means 10.",
  })
  memberKeysMax?: number | null;

  @Field(() => [String], {
    nullable: true,
    description:
      "Scopes of models, such as `model:premium`, that MEMBERs of the account may give to their API keys; at most 50. Null means none. Existing keys keep theirs.",
  })
  modelScopes?: string[] | null;

  @Field(() => Boolean, {
    nullable: true,
    description:
      "Whether the API keys and MEMBERs of the account can read the providers' prices and costs in USD. Null means true.",
  })
  showUsd?: boolean | null;

  @Field(() => Boolean, {
    nullable: true,
    description:
      "Whether disabling a MEMBER of the account disables the API keys that it created, until the MEMBER is enabled again. Null means true. Applies to MEMBERs that are disabled from now on.",
  })
  stopMemberKeys?: boolean | null;
}

export function toAccount(row: AccountRow): Account {
  const {
    name,
    rotateKeysAfterDays,
    memberKeysMax,
    modelScopes,
    showUsd,
    stopMemberKeys,
    closedAt,
    createdAt,
    planId,
  } = row;
  const settings = { rotateKeysAfterDays, memberKeysMax, modelScopes, showUsd, stopMemberKeys };
  return { id: toWire("acc", row.id), name, ...settings, closedAt, createdAt, planId };
}
