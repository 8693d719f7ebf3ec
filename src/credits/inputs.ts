import { Field, ID, InputType, Int, registerEnumType } from "type-graphql";
import { GraphQLDecimal } from "../graphql/scalars.ts";

@InputType({ description: "Credits to put into a wallet, named by itself or by a key that draws on it." })
export class GrantCreditsInput {
  @Field(() => ID, { nullable: true, description: "Either this or `walletId`." })
  apiKeyId?: string | null;

  @Field(() => ID, { nullable: true, description: "Either this or `apiKeyId`." })
  walletId?: string | null;

  @Field(() => GraphQLDecimal, { description: "In credits, above 0, at most 6 decimal places." })
  credits!: string;

  @Field(() => Int, {
    nullable: true,
    description: "1 to 1,000; 100 when absent. Lower is spent first, then what expires first, then the oldest.",
  })
  priority?: number | null;

  @Field(() => Date, {
    nullable: true,
    description: "When what is left of them ends; never when absent. Must be in the future.",
  })
  expiresAt?: Date | null;

  @Field(() => String, { nullable: true, description: "A note for the ledger, at most 500 characters." })
  reason?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      "1 to 200 characters. The same grant again changes nothing; another amount fails with IDEMPOTENCY_MISMATCH.",
  })
  idempotencyKey?: string | null;
}

export enum RefillPeriod {
  DAY = "DAY",
  WEEK = "WEEK",
  MONTH = "MONTH",
}
registerEnumType(RefillPeriod, {
  name: "RefillPeriod",
  description:
    "How often a wallet is refilled, counted in UTC from the refill before. A month from the 31st ends on the last day of a shorter month, and goes on from there.",
  valuesConfig: {
    DAY: { description: "Every day." },
    WEEK: { description: "Every seven days." },
    MONTH: { description: "Every month; a day that a month does not have is its last." },
  },
});

export enum RefillMode {
  ADD = "ADD",
  REPLACE = "REPLACE",
}
registerEnumType(RefillMode, {
  name: "RefillMode",
  description: "What a refill does with what is there.",
  valuesConfig: {
    ADD: { description: "Adds to it, up to the cap." },
    REPLACE: {
      description:
        "Ends what is left of the refill before, then adds. A refill expires when the next one is due, so it is spent before credits that were bought.",
    },
  },
});

@InputType({ description: "Credits that come by themselves. Replaces the wallet's rule." })
export class SetRefillInput {
  @Field(() => ID, { description: "Which wallet." })
  walletId!: string;

  @Field(() => RefillPeriod, { description: "How often." })
  every!: `${RefillPeriod}`;

  @Field(() => RefillMode, { description: "What to do with what is there." })
  mode!: `${RefillMode}`;

  @Field(() => GraphQLDecimal, { description: "In credits, above 0." })
  credits!: string;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "For ADD, required: the balance that a refill does not pass, at least `credits`.",
  })
  cap?: string | null;

  @Field(() => Date, { nullable: true, description: "When the first refill comes; at once when absent." })
  startsAt?: Date | null;
}

@InputType({
  description: "What all keys of an account together may cost. Replaces all four; what is absent has no limit.",
})
export class SetAccountBudgetsInput {
  @Field(() => ID, { description: "Which account." })
  accountId!: string;

  @Field(() => GraphQLDecimal, { nullable: true, description: "Provider cost a day (UTC), in USD, not below 0." })
  dailyBudgetUsd?: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "Provider cost a month (UTC), in USD, not below 0." })
  monthlyBudgetUsd?: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "Credits a day (UTC), not below 0." })
  dailyBudgetCredits?: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "Credits a month (UTC), not below 0." })
  monthlyBudgetCredits?: string | null;
}

@InputType({ description: "A charge to give back, in whole or in part." })
export class RefundCreditsInput {
  @Field(() => ID, { description: "The call that was charged, `gen_…`." })
  generationId!: string;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "In credits, above 0; all that is left of the charge when absent.",
  })
  credits?: string | null;

  @Field(() => String, { nullable: true, description: "A note for the ledger, at most 500 characters." })
  reason?: string | null;

  @Field(() => String, { nullable: true, description: "1 to 200 characters. The same refund again changes nothing." })
  idempotencyKey?: string | null;
}

@InputType({ description: "Credits to take back that were put in, in whole or in part." })
export class TakeBackCreditsInput {
  @Field(() => ID, { description: "The entry that put them in, `ent_…`." })
  entryId!: string;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "In credits, above 0; all that is left of the entry when absent.",
  })
  credits?: string | null;

  @Field(() => String, { nullable: true, description: "A note for the ledger, at most 500 characters." })
  reason?: string | null;

  @Field(() => String, { nullable: true, description: "1 to 200 characters. The same change again changes nothing." })
  idempotencyKey?: string | null;
}
