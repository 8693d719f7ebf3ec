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
  description: "A check of a call.",
  valuesConfig: {
    STATUS: { description: "Whether the key was disabled or revoked." },
    EXPIRY: { description: "`expiresAt` of the key, which is in `resetAt`." },
    SCOPE: { description: "Whether the key has the scope `generate`." },
    ADDRESS: { description: "`allowedIps` of the key." },
    HOURS: { description: "The hours of use of the key; `resetAt` is when they begin." },
    MODEL: { description: "Whether the model is there and priced, and the key may call it." },
    GUARD: { description: "Whether the input is valid, within its bounds, and fits the model." },
    REQUESTS: { description: "Calls in this minute." },
    TOKENS: { description: "Tokens in this minute; `required` is the most that the call can use." },
    CONCURRENCY: { description: "Calls that run now." },
    BUDGET: { description: "One budget of the key or its account, named in `detail`, in credits or USD." },
    CREDITS: { description: "Free credits of the wallet, and the least that the call needs." },
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
    PASSED: { description: "The call may go on." },
    REFUSED: { description: "The call would be refused, with the `code`." },
    COUNTED: { description: "The call would go through and be counted, because the key's `limitMode` is SHADOW." },
    SKIPPED: { description: "Not checked: no address was given, or an earlier check was refused." },
  },
});

@ObjectType("AccessCheck", {
  description: "One check of a call, with the figures that it compares.",
  simpleResolvers: true,
})
export class ExplainedCheck {
  @Field(() => AccessCheckName, { description: "The check." })
  check!: `${AccessCheckName}`;

  @Field(() => AccessOutcome, { description: "Result of the check." })
  outcome!: `${AccessOutcome}`;

  @Field(() => String, {
    nullable: true,
    description: "A code of the error catalogue; null unless refused or counted.",
  })
  code!: string | null;

  @Field(() => String, { nullable: true, description: "The limit, as a number, a decimal or a list." })
  limit!: string | null;

  @Field(() => String, { nullable: true, description: "Current use of the limit, in the same unit." })
  used!: string | null;

  @Field(() => String, { nullable: true, description: "The amount that the call needs, in the same unit." })
  required!: string | null;

  @Field(() => Date, { nullable: true, description: "When the result changes with time alone, where that is known." })
  resetAt!: Date | null;

  @Field(() => String, { nullable: true, description: "More about the result, for people." })
  detail!: string | null;
}

@ObjectType({
  description: "The checks that `generate` would make for a key, with their results.",
  simpleResolvers: true,
})
export class AccessExplanation {
  @Field(() => Boolean, { description: "True when no check refuses the call." })
  allowed!: boolean;

  @Field(() => Date, { description: "The timestamp for which expiry and hours were checked." })
  judgedAt!: Date;

  @Field(() => [ExplainedCheck], { description: "The checks, in the order in which a call is checked." })
  checks!: ExplainedCheck[];
}

export function toExplanation({ judgedAt, checks }: Explanation): AccessExplanation {
  return { allowed: checks.every(({ outcome }) => outcome !== "REFUSED"), judgedAt, checks };
}
