import { Directive, Field, ID, Int, ObjectType, registerEnumType } from "type-graphql";
import { connectionOf } from "../graphql/pagination.ts";
import { GraphQLAnyJson, GraphQLDecimal } from "../graphql/scalars.ts";
import { toWire } from "../ids.ts";
import { budgetsToText } from "../ledger/budgets.ts";
import { HoursOfUse } from "./rules/types.ts";
import type { KeyRow, SecretRow } from "./store.ts";

/** The time within which every replica enforces a change, also one that missed the notification. */
export const effectiveWithinMs = 5_000;

export enum ApiKeyStatus {
  ACTIVE = "ACTIVE",
  DISABLED = "DISABLED",
  REVOKED = "REVOKED",
  EXPIRED = "EXPIRED",
}
registerEnumType(ApiKeyStatus, {
  name: "ApiKeyStatus",
  description: "Whether a key can be used.",
  valuesConfig: {
    ACTIVE: { description: "The key can be used." },
    DISABLED: { description: "The key is disabled until an OPERATOR re-enables it." },
    REVOKED: { description: "The key was revoked, which is final." },
    EXPIRED: { description: "The key's `expiresAt` has passed." },
  },
});

export enum LimitMode {
  ENFORCE = "ENFORCE",
  SHADOW = "SHADOW",
}
registerEnumType(LimitMode, {
  name: "LimitMode",
  description:
    "How the gateway treats a call that exceeds a key's rate limits, concurrency limit, budgets or hours of use.",
  valuesConfig: {
    ENFORCE: { description: "The call is refused with RATE_LIMITED, BUDGET_EXCEEDED or OUTSIDE_HOURS." },
    SHADOW: {
      description: "The call goes through and is counted in `denials`: for testing a limit before it is enforced.",
    },
  },
});

@ObjectType({ description: "A credential that lets a program call the gateway.", simpleResolvers: true })
export class ApiKey {
  @Field(() => ID, { description: "The key's id, `key_…`. Rotation does not change it." })
  id!: string;

  @Field(() => String, { description: "A label for people; not unique." })
  name!: string;

  @Field(() => ApiKeyStatus, { description: "Whether the key can be used now." })
  status!: `${ApiKeyStatus}`;

  @Field(() => String, {
    description:
      "The first characters of the newest secret, such as `tg_live_`; empty for a plaintext key that the customer supplied.",
  })
  prefix!: string;

  @Field(() => String, { description: "The last four characters of the newest secret." })
  last4!: string;

  @Field(() => [String], { description: "The key's scopes, such as `generate` and `usage:read`." })
  scopes!: string[];

  @Field(() => [String], {
    nullable: true,
    description: "Names and patterns of the models that the key may call; null means the plan's models.",
  })
  models!: string[] | null;

  @Field(() => [String], {
    nullable: true,
    description: "IP addresses and CIDR ranges from which the key may be used; null means any.",
  })
  allowedIps!: string[] | null;

  @Field(() => Int, { nullable: true, description: "Limit on calls per minute; null means the plan's limit." })
  requestsPerMinute!: number | null;

  @Field(() => Int, { nullable: true, description: "Limit on tokens per minute; null means the plan's limit." })
  tokensPerMinute!: number | null;

  @Field(() => Int, { nullable: true, description: "Limit on concurrent calls; null means the plan's limit." })
  maxConcurrency!: number | null;

  @Field(() => LimitMode, { description: "Whether calls that exceed a limit are refused or only counted." })
  limitMode!: `${LimitMode}`;

  @Field(() => Int, {
    nullable: true,
    description: "The default of `GenerateInput.cacheSeconds` for the key's calls; null means 0: no cached answers.",
  })
  cacheSeconds!: number | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Limit on the provider cost a day (UTC), in USD; null means the plan's budget.",
  })
  dailyBudgetUsd!: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Limit on the provider cost a month (UTC), in USD; null means the plan's budget.",
  })
  monthlyBudgetUsd!: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Limit on the credits charged a day (UTC); null means the plan's budget.",
  })
  dailyBudgetCredits!: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Limit on the credits charged a month (UTC); null means the plan's budget.",
  })
  monthlyBudgetCredits!: string | null;

  @Field(() => HoursOfUse, {
    nullable: true,
    description: "Hours of use: when the key may be used; null means always.",
  })
  hours!: HoursOfUse | null;

  @Field(() => [String], { description: "Tags, for filters of `apiKeys`." })
  tags!: string[];

  @Directive('@role(requires: "ANALYST")')
  @Field(() => GraphQLAnyJson, {
    nullable: true,
    description: "Notes of the staff. Requires ANALYST: neither the key itself nor a MEMBER can read them.",
  })
  metadata!: unknown;

  @Field(() => Date, { nullable: true, description: "When the key stops working; null means never." })
  expiresAt!: Date | null;

  @Field(() => Date, {
    nullable: true,
    description: "When it was last used, at most two minutes late; null when it was never used.",
  })
  lastUsedAt!: Date | null;

  @Field(() => Date, { description: "When the key was created." })
  createdAt!: Date;

  @Field(() => Date, {
    description: "When the key's settings or status last changed. Using the key does not count as a change.",
  })
  changedAt!: Date;

  @Field(() => Date, {
    description:
      "Deadline by which every replica enforces the last change: 5 seconds after `changedAt`, even if the notification is lost. A change usually takes effect within 0.1 seconds.",
  })
  effectiveBy!: Date;

  /** For field resolvers: the key's row. */
  row!: KeyRow;
}

@ObjectType({
  description: "A secret of a key. A key has several while it is being rotated.",
  simpleResolvers: true,
})
export class ApiKeySecret {
  @Field(() => ID, { description: "The secret's id, `sec_…`." })
  id!: string;

  @Field(() => String, { description: "The last four characters of the secret." })
  last4!: string;

  @Field(() => Date, { description: "When the secret starts to work." })
  validFrom!: Date;

  @Field(() => Date, { nullable: true, description: "When the secret stops working; null means with its key." })
  validTo!: Date | null;

  @Field(() => Date, {
    nullable: true,
    description: "When it was last used, at most two minutes late; null when it was never used.",
  })
  lastUsedAt!: Date | null;

  @Field(() => Date, {
    nullable: true,
    description:
      "When the plaintext key was first found in a URL or in a GraphQL document, where others may read it; null for never. Rotate an exposed key.",
  })
  exposedAt!: Date | null;
}

@ObjectType({ description: "A key with its plaintext, which is shown once and never stored.", simpleResolvers: true })
export class IssuedApiKey {
  @Field(() => ApiKey, { description: "The key." })
  apiKey!: ApiKey;

  @Field(() => String, {
    description:
      "The plaintext key, for the header `x-api-key` or `Authorization: Bearer …`. It is in this answer only.",
  })
  secret!: string;
}

export const ApiKeyConnection = connectionOf(ApiKey, "ApiKey");

export function toApiKey(row: KeyRow): ApiKey {
  return {
    ...row,
    id: toWire("key", row.id),
    status: row.status === "ACTIVE" && row.expired ? "EXPIRED" : row.status,
    ...budgetsToText(row),
    effectiveBy: new Date(row.changedAt.getTime() + effectiveWithinMs),
    hours: row.hours as HoursOfUse | null,
    row,
  };
}

export function toApiKeySecret({ id, last4, validFrom, validTo, lastUsedAt, exposedAt }: SecretRow): ApiKeySecret {
  return { id: toWire("sec", id), last4, validFrom, validTo, lastUsedAt, exposedAt };
}
