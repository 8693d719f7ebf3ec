import { Directive, Field, ID, Int, ObjectType, registerEnumType } from "type-graphql";
import { connectionOf } from "../graphql/pagination.ts";
import { GraphQLAnyJson, GraphQLDecimal } from "../graphql/scalars.ts";
import { toWire } from "../ids.ts";
import { budgetsToText } from "../ledger/budgets.ts";
import { HoursOfUse } from "./rules/types.ts";
import type { KeyRow, SecretRow } from "./store.ts";

/** By when every replica enforces a change, also one that no notification reached. */
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
    ACTIVE: { description: "It can." },
    DISABLED: { description: "Not now; an admin can enable it again." },
    REVOKED: { description: "Never again." },
    EXPIRED: { description: "Its `expiresAt` has passed." },
  },
});

export enum LimitMode {
  ENFORCE = "ENFORCE",
  SHADOW = "SHADOW",
}
registerEnumType(LimitMode, {
  name: "LimitMode",
  description: "What happens to a call past a key's limits of requests, tokens, concurrency, budgets or hours of use.",
  valuesConfig: {
    ENFORCE: { description: "It is refused with RATE_LIMITED, BUDGET_EXCEEDED or OUTSIDE_HOURS." },
    SHADOW: { description: "It goes through and is counted in `denials`, to try a limit out before it bites." },
  },
});

@ObjectType({ description: "A credential that lets a program call the gateway.", simpleResolvers: true })
export class ApiKey {
  @Field(() => ID, { description: "`key_…`; stays the same when the secret changes." })
  id!: string;

  @Field(() => String, { description: "A label for people; not unique." })
  name!: string;

  @Field(() => ApiKeyStatus, { description: "Whether the key can be used now." })
  status!: `${ApiKeyStatus}`;

  @Field(() => String, { description: "How the newest secret starts; empty for a key text of the customer's own." })
  prefix!: string;

  @Field(() => String, { description: "The last four characters of the newest secret." })
  last4!: string;

  @Field(() => [String], { description: "What the key may do." })
  scopes!: string[];

  @Field(() => [String], {
    nullable: true,
    description: "Names and patterns of the models it may call; null means what its plan says.",
  })
  models!: string[] | null;

  @Field(() => [String], {
    nullable: true,
    description: "Addresses and CIDR ranges it may be used from; null means any.",
  })
  allowedIps!: string[] | null;

  @Field(() => Int, { nullable: true, description: "Calls a minute; null means what its plan says." })
  requestsPerMinute!: number | null;

  @Field(() => Int, { nullable: true, description: "Tokens a minute; null means what its plan says." })
  tokensPerMinute!: number | null;

  @Field(() => Int, { nullable: true, description: "Calls at once; null means what its plan says." })
  maxConcurrency!: number | null;

  @Field(() => LimitMode, { description: "Whether calls past the key's limits are refused or only counted." })
  limitMode!: `${LimitMode}`;

  @Field(() => Int, {
    nullable: true,
    description:
      "How old an answer out of the cache may be, in seconds, for calls that do not say; null means that they get none.",
  })
  cacheSeconds!: number | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Provider cost a day (UTC), in USD; null means what its plan says.",
  })
  dailyBudgetUsd!: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Provider cost a month (UTC), in USD; null means what its plan says.",
  })
  monthlyBudgetUsd!: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "Credits a day (UTC); null means what its plan says." })
  dailyBudgetCredits!: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "Credits a month (UTC); null means what its plan says." })
  monthlyBudgetCredits!: string | null;

  @Field(() => HoursOfUse, { nullable: true, description: "When it may be used; null means always." })
  hours!: HoursOfUse | null;

  @Field(() => [String], { description: "For finding it." })
  tags!: string[];

  @Directive('@role(requires: "ANALYST")')
  @Field(() => GraphQLAnyJson, {
    nullable: true,
    description: "Notes of the staff. Requires ANALYST: neither the key itself nor a MEMBER can read them.",
  })
  metadata!: unknown;

  @Field(() => Date, { nullable: true, description: "When the key stops working; null means never." })
  expiresAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "The last use, told at most two minutes late." })
  lastUsedAt!: Date | null;

  @Field(() => Date, { description: "When the key was created." })
  createdAt!: Date;

  @Field(() => Date, { description: "When what the key may do was changed last; using it is no change." })
  changedAt!: Date;

  @Field(() => Date, {
    description:
      "When the last change is in force on every replica at the latest: 5 seconds after `changedAt`, even if the notification is lost. Commonly it is within 0.1 seconds.",
  })
  effectiveBy!: Date;

  /** For the edges: the key as the database has it. */
  row!: KeyRow;
}

@ObjectType({
  description: "One text that proves a key. A key has several while it is being rotated.",
  simpleResolvers: true,
})
export class ApiKeySecret {
  @Field(() => ID, { description: "`sec_…`" })
  id!: string;

  @Field(() => String, { description: "The last four characters." })
  last4!: string;

  @Field(() => Date, { description: "From when it works." })
  validFrom!: Date;

  @Field(() => Date, { nullable: true, description: "Until when it works; null means as long as its key." })
  validTo!: Date | null;

  @Field(() => Date, { nullable: true, description: "The last use, told at most two minutes late." })
  lastUsedAt!: Date | null;

  @Field(() => Date, {
    nullable: true,
    description:
      "When its text first came in a URL or among what an operation says, where others may read it: then it should be rotated. Null for never.",
  })
  exposedAt!: Date | null;
}

@ObjectType({ description: "A key with its secret, which is shown this once and never stored.", simpleResolvers: true })
export class IssuedApiKey {
  @Field(() => ApiKey, { description: "The key." })
  apiKey!: ApiKey;

  @Field(() => String, { description: "The text that goes in `x-api-key` or `Authorization: Bearer …`." })
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
