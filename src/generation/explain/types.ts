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
  description: "What a call is judged by.",
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
    CREDITS: { description: "What the wallet has free, and the least that it must have, in credits." },
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
  description: "What a check says.",
  valuesConfig: {
    PASSED: { description: "The call may go on." },
    REFUSED: { description: "The call would be refused, with the `code`." },
    COUNTED: { description: "The call would go through and be counted, because the key's `limitMode` is SHADOW." },
    SKIPPED: { description: "It cannot be said, for want of an address or because of what was refused before." },
  },
});

@ObjectType({ description: "One check of a call, with what it looks at.", simpleResolvers: true })
export class AccessCheck {
  @Field(() => AccessCheckName, { description: "Which one." })
  check!: `${AccessCheckName}`;

  @Field(() => AccessOutcome, { description: "What it says." })
  outcome!: `${AccessOutcome}`;

  @Field(() => String, {
    nullable: true,
    description: "A code of the error catalogue; null unless refused or counted.",
  })
  code!: string | null;

  @Field(() => String, { nullable: true, description: "What is allowed, as a number, a decimal or a list." })
  limit!: string | null;

  @Field(() => String, { nullable: true, description: "What is used of it now, in the same unit." })
  used!: string | null;

  @Field(() => String, { nullable: true, description: "What the call would take, in the same unit." })
  required!: string | null;

  @Field(() => Date, {
    nullable: true,
    description: "When the result of the check changes without any action; null when unknown.",
  })
  resetAt!: Date | null;

  @Field(() => String, { nullable: true, description: "More, for people." })
  detail!: string | null;
}

@ObjectType({ description: "What `generate` would say to a key, check by check.", simpleResolvers: true })
export class AccessExplanation {
  @Field(() => Boolean, { description: "Whether no check refuses." })
  allowed!: boolean;

  @Field(() => Date, { description: "The time that expiry and hours were judged by." })
  judgedAt!: Date;

  @Field(() => [AccessCheck], { description: "In the order in which a call meets them." })
  checks!: AccessCheck[];
}

export function toExplanation({ judgedAt, checks }: Explanation): AccessExplanation {
  return { allowed: checks.every(({ outcome }) => outcome !== "REFUSED"), judgedAt, checks };
}
