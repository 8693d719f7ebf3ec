import { Field, ID, Int, ObjectType, registerEnumType } from "type-graphql";
import { connectionOf } from "../graphql/pagination.ts";
import { GraphQLAnyJson, GraphQLDecimal } from "../graphql/scalars.ts";
import { toWire } from "../ids.ts";
import { formatCredits, formatUsd } from "../ledger/amount.ts";
import type { KeyRow, SecretRow } from "./store.ts";
import { effectiveWithinMs } from "./trust.ts";

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
  description: "What happens to a call past a key's limits of requests, tokens or concurrency.",
  valuesConfig: {
    ENFORCE: { description: "It is refused with RATE_LIMITED." },
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

  @Field(() => [String], { nullable: true, description: "Names of the models it may call; null means every model." })
  models!: string[] | null;

  @Field(() => [String], {
    nullable: true,
    description: "Addresses and CIDR ranges it may be used from; null means any.",
  })
  allowedIps!: string[] | null;

  @Field(() => Int, { nullable: true, description: "Calls a minute; null means the limit of the field." })
  requestsPerMinute!: number | null;

  @Field(() => Int, { nullable: true, description: "Tokens a minute; null means no limit." })
  tokensPerMinute!: number | null;

  @Field(() => Int, { nullable: true, description: "Calls at once; null means no limit." })
  maxConcurrency!: number | null;

  @Field(() => LimitMode, { description: "Whether calls past the key's limits are refused or only counted." })
  limitMode!: `${LimitMode}`;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Provider cost a day (UTC), in USD; null means no limit.",
  })
  dailyBudgetUsd!: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Provider cost a month (UTC), in USD; null means no limit.",
  })
  monthlyBudgetUsd!: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "Credits a day (UTC); null means no limit." })
  dailyBudgetCredits!: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "Credits a month (UTC); null means no limit." })
  monthlyBudgetCredits!: string | null;

  @Field(() => GraphQLAnyJson, { nullable: true, description: "Whatever the admin noted." })
  metadata!: unknown;

  @Field(() => Date, { nullable: true, description: "When the key stops working; null means never." })
  expiresAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "The last use, to the minute." })
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

  /** For the edges: ids as the database has them. */
  row!: { id: string; accountId: string; walletId: string };
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

  @Field(() => Date, { nullable: true, description: "The last use, to the minute." })
  lastUsedAt!: Date | null;
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
    dailyBudgetUsd: optional(formatUsd, row.dailyBudgetNanoUsd),
    monthlyBudgetUsd: optional(formatUsd, row.monthlyBudgetNanoUsd),
    dailyBudgetCredits: optional(formatCredits, row.dailyBudgetMicroCredits),
    monthlyBudgetCredits: optional(formatCredits, row.monthlyBudgetMicroCredits),
    effectiveBy: new Date(row.changedAt.getTime() + effectiveWithinMs),
    row: { id: row.id, accountId: row.accountId, walletId: row.walletId },
  };
}

function optional(format: (amount: bigint) => string, amount: bigint | null): string | null {
  return amount === null ? null : format(amount);
}

export function toApiKeySecret({ id, last4, validFrom, validTo, lastUsedAt }: SecretRow): ApiKeySecret {
  return { id: toWire("sec", id), last4, validFrom, validTo, lastUsedAt };
}
