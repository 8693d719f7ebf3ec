import { Field, ID, InputType, Int } from "type-graphql";
import { GraphQLAnyJson, GraphQLDecimal } from "../graphql/scalars.ts";
import { ApiKeyStatus, LimitMode } from "./types.ts";

@InputType({ description: "A new key." })
export class CreateApiKeyInput {
  @Field(() => String, { description: "1 to 200 characters." })
  name!: string;

  @Field(() => ID, { nullable: true, description: "Whose key it is; the default account when absent." })
  accountId?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    defaultValue: "0",
    description: "Credits that it starts with; not below 0.",
  })
  credits?: string | null;

  @Field(() => Boolean, {
    nullable: true,
    defaultValue: false,
    description: "Draw on the account's shared wallet instead of a wallet of its own.",
  })
  sharedWallet?: boolean | null;

  @Field(() => String, {
    nullable: true,
    description:
      "A key text of your own, 20 to 200 visible ASCII characters; minted when absent. Fails with CONFLICT if in use.",
  })
  key?: string | null;

  @Field(() => [String], {
    nullable: true,
    description: 'What the key may do; ["generate", "embed", "usage:read"] when absent.',
  })
  scopes?: string[] | null;

  @Field(() => [String], {
    nullable: true,
    description: "Names of the models that it may call; every model when absent.",
  })
  models?: string[] | null;

  @Field(() => [String], { nullable: true, description: "Addresses or CIDR ranges, IPv4 or IPv6; any when absent." })
  allowedIps?: string[] | null;

  @Field(() => Int, { nullable: true, description: "At least 1." })
  requestsPerMinute?: number | null;

  @Field(() => Int, { nullable: true, description: "At least 1." })
  tokensPerMinute?: number | null;

  @Field(() => Int, { nullable: true, description: "At least 1." })
  maxConcurrency?: number | null;

  @Field(() => LimitMode, { nullable: true, description: "ENFORCE when absent or null." })
  limitMode?: `${LimitMode}` | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "In USD, not below 0." })
  dailyBudgetUsd?: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "In USD, not below 0." })
  monthlyBudgetUsd?: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "In credits, not below 0." })
  dailyBudgetCredits?: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "In credits, not below 0." })
  monthlyBudgetCredits?: string | null;

  @Field(() => Date, { nullable: true, description: "Must be in the future." })
  expiresAt?: Date | null;

  @Field(() => GraphQLAnyJson, { nullable: true, description: "At most 16 KiB." })
  metadata?: unknown;
}

@InputType({ description: "A change of a key: a field that is absent stays as it is, and null takes its limit away." })
export class UpdateApiKeyInput {
  @Field(() => String, { nullable: true, description: "1 to 200 characters; not null." })
  name?: string | null;

  @Field(() => [String], {
    nullable: true,
    description: 'What the key may do; null means ["generate", "embed", "usage:read"].',
  })
  scopes?: string[] | null;

  @Field(() => [String], {
    nullable: true,
    description: "Names of the models that it may call; null means every model.",
  })
  models?: string[] | null;

  @Field(() => [String], { nullable: true, description: "Addresses or CIDR ranges, IPv4 or IPv6; null means any." })
  allowedIps?: string[] | null;

  @Field(() => Int, { nullable: true, description: "At least 1; null means the limit of the field." })
  requestsPerMinute?: number | null;

  @Field(() => Int, { nullable: true, description: "At least 1; null means no limit." })
  tokensPerMinute?: number | null;

  @Field(() => Int, { nullable: true, description: "At least 1; null means no limit." })
  maxConcurrency?: number | null;

  @Field(() => LimitMode, { nullable: true, description: "ENFORCE when absent or null." })
  limitMode?: `${LimitMode}` | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "In USD, not below 0; null means no limit." })
  dailyBudgetUsd?: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "In USD, not below 0; null means no limit." })
  monthlyBudgetUsd?: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "In credits, not below 0; null means no limit." })
  dailyBudgetCredits?: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "In credits, not below 0; null means no limit." })
  monthlyBudgetCredits?: string | null;

  @Field(() => Date, { nullable: true, description: "Must be in the future; null means never." })
  expiresAt?: Date | null;

  @Field(() => GraphQLAnyJson, { nullable: true, description: "At most 16 KiB." })
  metadata?: unknown;
}

@InputType({ description: "Which keys to list." })
export class ApiKeyFilter {
  @Field(() => ID, { nullable: true, description: "Of this account only." })
  accountId?: string | null;

  @Field(() => String, { nullable: true, description: "Part of the name, in any case; at least 1 character." })
  name?: string | null;

  @Field(() => ApiKeyStatus, { nullable: true, description: "In this state only." })
  status?: `${ApiKeyStatus}` | null;
}
