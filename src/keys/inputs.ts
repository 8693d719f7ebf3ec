import { Field, ID, InputType, Int } from "type-graphql";
import { GraphQLAnyJson, GraphQLDecimal } from "../graphql/scalars.ts";
import { fromWire } from "../ids.ts";
import type { KeyInput } from "./rules/key-input.ts";
import { HoursOfUseInput } from "./rules/types.ts";
import type { KeyFilter } from "./sql/search-keys.ts";
import { ApiKeyStatus, LimitMode } from "./types.ts";

/** What both a new key and a change of one may say. */
@InputType()
abstract class KeySettingsInput {
  @Field(() => [String], {
    nullable: true,
    description:
      'What the key may do; null means ["generate", "embed", "usage:read"]. `model:…` for models that ask for it.',
  })
  scopes?: string[] | null;

  @Field(() => [String], {
    nullable: true,
    description:
      "Names of the models that it may call, or patterns such as `gpt-*`, at most 200; null means those of its plan.",
  })
  models?: string[] | null;

  @Field(() => [String], { nullable: true, description: "Addresses or CIDR ranges, IPv4 or IPv6; null means any." })
  allowedIps?: string[] | null;

  @Field(() => Int, {
    nullable: true,
    description: "At least 1; null means what its plan says, else the limit of the field.",
  })
  requestsPerMinute?: number | null;

  @Field(() => Int, { nullable: true, description: "At least 1; null means what its plan says, else no limit." })
  tokensPerMinute?: number | null;

  @Field(() => Int, { nullable: true, description: "At least 1; null means what its plan says, else no limit." })
  maxConcurrency?: number | null;

  @Field(() => Int, {
    nullable: true,
    description: "The `GenerateInput.cacheSeconds` of calls that do not say, 0 to 604,800; null means 0.",
  })
  cacheSeconds?: number | null;

  @Field(() => LimitMode, { nullable: true, description: "null means ENFORCE." })
  limitMode?: `${LimitMode}` | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "In USD, not below 0; null means what its plan says, else no limit.",
  })
  dailyBudgetUsd?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "In USD, not below 0; null means what its plan says, else no limit.",
  })
  monthlyBudgetUsd?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "In credits, not below 0; null means what its plan says, else no limit.",
  })
  dailyBudgetCredits?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "In credits, not below 0; null means what its plan says, else no limit.",
  })
  monthlyBudgetCredits?: string | null;

  @Field(() => ID, {
    nullable: true,
    description: "Gives what the key leaves open; null means its account's plan. Fails with NOT_FOUND.",
  })
  planId?: string | null;

  @Field(() => HoursOfUseInput, { nullable: true, description: "When it may be used; null means always." })
  hours?: HoursOfUseInput | null;

  @Field(() => [String], {
    nullable: true,
    description: "For finding it: at most 20, of 1 to 50 characters; null takes them away.",
  })
  tags?: string[] | null;

  @Field(() => Date, { nullable: true, description: "Must be in the future; null means never." })
  expiresAt?: Date | null;

  @Field(() => GraphQLAnyJson, { nullable: true, description: "At most 16 KiB." })
  metadata?: unknown;
}

@InputType({ description: "A new key. What is absent is as if it were null." })
export class CreateApiKeyInput extends KeySettingsInput {
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
}

@InputType({ description: "A change of a key: a field that is absent stays as it is, and null takes its limit away." })
export class UpdateApiKeyInput extends KeySettingsInput {
  @Field(() => String, { nullable: true, description: "1 to 200 characters; not null." })
  name?: string | null;
}

@InputType({ description: "Which keys to list: those to which all of it applies." })
export class ApiKeyFilter {
  @Field(() => ID, { nullable: true, description: "Of this account only." })
  accountId?: string | null;

  @Field(() => String, { nullable: true, description: "Part of the name, in any case; at least 1 character." })
  name?: string | null;

  @Field(() => String, { nullable: true, description: "How `prefix` begins, such as `tg_live_`." })
  prefix?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      "The last four characters of any secret that the key has or had, e.g. of one that was found somewhere.",
  })
  last4?: string | null;

  @Field(() => ApiKeyStatus, { nullable: true, description: "In this state only." })
  status?: `${ApiKeyStatus}` | null;

  @Field(() => String, { nullable: true, description: "With this tag, as it is written." })
  tag?: string | null;

  @Field(() => ID, { nullable: true, description: "With this plan as its own." })
  planId?: string | null;

  @Field(() => Boolean, {
    nullable: true,
    description:
      "Whether the newest secret is older than `rotateKeysAfterDays` of its account. Revoked and expired keys are not due.",
  })
  dueForRotation?: boolean | null;

  @Field(() => Boolean, {
    nullable: true,
    description:
      "Whether a secret that still works was exposed, as `ApiKeySecret.exposedAt` says. Not of revoked keys.",
  })
  exposed?: boolean | null;
}

export function toKeyOrder({ accountId, ...input }: CreateApiKeyInput) {
  const { name } = input;
  return {
    ...input,
    ...toKeyChange(input),
    name,
    accountId: accountId == null ? undefined : fromWire("acc", accountId),
  };
}

export function toKeyChange(input: UpdateApiKeyInput): KeyInput {
  const { planId } = input;
  return { ...input, planId: planId == null ? planId : fromWire("pln", planId) };
}

export function toKeyFilter({ accountId, planId, ...filter }: ApiKeyFilter): KeyFilter {
  return {
    accountId: accountId == null ? undefined : fromWire("acc", accountId),
    planId: planId == null ? undefined : fromWire("pln", planId),
    name: filter.name ?? undefined,
    prefix: filter.prefix ?? undefined,
    last4: filter.last4 ?? undefined,
    status: filter.status ?? undefined,
    tag: filter.tag ?? undefined,
    dueForRotation: filter.dueForRotation ?? undefined,
    exposed: filter.exposed ?? undefined,
  };
}
