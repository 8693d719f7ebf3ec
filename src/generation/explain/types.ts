import { Field, ObjectType, registerEnumType } from "type-graphql";
import type { Explanation } from "./service.ts";

export enum AccessCheckName {
  STATUS = "STATUS",
  EXPIRY = "EXPIRY",
  SCOPE = "SCOPE",
  ADDRESS = "ADDRESS",
  HOURS = "HOURS",
  MODEL = "MODEL",
  GUARD = "GUARD",
  REQUESTS = "REQUESTS",
  TOKENS = "TOKENS",
  CONCURRENCY = "CONCURRENCY",
  BUDGET = "BUDGET",
  CREDITS = "CREDITS",
}
registerEnumType(AccessCheckName, {
  name: "AccessCheckName",
  description: "The name of a check.",
  valuesConfig: {
    STATUS: { description: "Whether the key was disabled or revoked." },
    EXPIRY: { description: "The `expiresAt` of the key, shown in `resetAt`." },
    SCOPE: { description: "Whether the key has the scope `generate`." },
    ADDRESS: { description: "The `allowedIps` of the key." },
    HOURS: { description: "The hours of use of the key; `resetAt` is when they start." },
    MODEL: { description: "Whether the model exists and has a price, and the key may call it." },
    GUARD: { description: "Whether the input is valid, within the size limits, and supported by the model." },
    REQUESTS: { description: "The key's calls in the current minute." },
    TOKENS: { description: "The key's tokens in the current minute; `required` is the most that the call can use." },
    CONCURRENCY: { description: "The key's concurrent calls." },
    BUDGET: { description: "One budget of the key or its account, named in `detail`, in credits or USD." },
    CREDITS: { description: "The wallet's available credits, against the least that the call needs." },
  },
});

export enum AccessOutcome {
  PASSED = "PASSED",
  REFUSED = "REFUSED",
  COUNTED = "COUNTED",
  SKIPPED = "SKIPPED",
}
registerEnumType(AccessOutcome, {
  name: "AccessOutcome",
  description: "Result of a check.",
  valuesConfig: {
    PASSED: { description: "The check allows the call." },
    REFUSED: { description: "The call would be refused, with the `code`." },
    COUNTED: { description: "The call would go through and be counted, because the key's `limitMode` is SHADOW." },
    SKIPPED: { description: "Not checked: no address was given, or an earlier check was refused." },
  },
});

@ObjectType("AccessCheck", {
  description: "One check of a call, with the figures that were compared.",
  simpleResolvers: true,
})
export class ExplainedCheck {
  @Field(() => AccessCheckName, { description: "The name of the check." })
  check!: `${AccessCheckName}`;

  @Field(() => AccessOutcome, { description: "Result of the check." })
  outcome!: `${AccessOutcome}`;

  @Field(() => String, {
    nullable: true,
    description: "The error code of a call that is refused or counted; null otherwise.",
  })
  code!: string | null;

  @Field(() => String, {
    nullable: true,
    description: "The limit: a number, a decimal or a list, as a string; null for a check without one.",
  })
  limit!: string | null;

  @Field(() => String, { nullable: true, description: "Current use, in the unit of `limit`." })
  used!: string | null;

  @Field(() => String, { nullable: true, description: "The amount that the call needs, in the unit of `limit`." })
  required!: string | null;

  @Field(() => Date, {
    nullable: true,
    description: "When the result will change without any action, where that is known.",
  })
  resetAt!: Date | null;

  @Field(() => String, { nullable: true, description: "Details of the result, for people; null for none." })
  detail!: string | null;
}

@ObjectType({
  description: "The checks that `generate` would make for a key, with their results.",
  simpleResolvers: true,
})
export class AccessExplanation {
  @Field(() => Boolean, { description: "Whether the call would go through: no check refuses it." })
  allowed!: boolean;

  @Field(() => Date, { description: "The timestamp for which expiry and hours were checked." })
  judgedAt!: Date;

  @Field(() => [ExplainedCheck], { description: "The checks, in the order in which `generate` makes them." })
  checks!: ExplainedCheck[];
}

export function toExplanation({ judgedAt, checks }: Explanation): AccessExplanation {
  return { allowed: checks.every(({ outcome }) => outcome !== "REFUSED"), judgedAt, checks };
}
