import { Field, ID, InputType, Int, registerEnumType } from "type-graphql";
import { GraphQLDecimal } from "../graphql/scalars.ts";

@InputType({ description: "A grant of credits to a wallet. Exactly one of `apiKeyId` and `walletId` must be set." })
export class GrantCreditsInput {
  @Field(() => ID, {
    nullable: true,
    description: "The key whose wallet gets the credits, `key_…`. Set this or `walletId`.",
  })
  apiKeyId?: string | null;

  @Field(() => ID, {
    nullable: true,
    description: "The wallet that gets the credits, `wal_…`. Set this or `apiKeyId`.",
  })
  walletId?: string | null;

  @Field(() => GraphQLDecimal, { description: "The amount in credits: above 0, at most 6 decimal places." })
  credits!: string;

  @Field(() => Int, {
    nullable: true,
    description:
      "The order of spending, 1 to 1,000; 100 when absent. Credits with a lower priority are spent first, then credits that expire sooner, then older ones.",
  })
  priority?: number | null;

  @Field(() => Date, {
    nullable: true,
    description: "The time when unspent credits expire; never when absent. Must be in the future.",
  })
  expiresAt?: Date | null;

  @Field(() => String, { nullable: true, description: "A note for the ledger entry, at most 500 characters." })
  reason?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      "Makes retries safe: 1 to 200 characters. A retry with the same grant changes nothing. A different amount with the same key fails with IDEMPOTENCY_MISMATCH.",
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
    "The interval between refills of a wallet, counted in UTC from the previous refill. A monthly refill on the 31st falls on the last day of a shorter month and on the 31st again after it.",
  valuesConfig: {
    DAY: { description: "One refill every day." },
    WEEK: { description: "One refill every seven days." },
    MONTH: { description: "One refill every month. In a month without that day, on its last day." },
  },
});

export enum RefillMode {
  ADD = "ADD",
  REPLACE = "REPLACE",
}
registerEnumType(RefillMode, {
  name: "RefillMode",
  description: "How a refill treats the credits in the wallet.",
  valuesConfig: {
    ADD: { description: "Adds credits, up to the cap." },
    REPLACE: {
      description:
        "Expires unspent credits of the previous refill, then adds new ones. Refilled credits expire when the next refill is due, so they are spent before granted credits.",
    },
  },
});

@InputType({ description: "An automatic refill of a wallet. Replaces the wallet's refill rule." })
export class SetRefillInput {
  @Field(() => ID, { description: "The wallet to refill, `wal_…`." })
  walletId!: string;

  @Field(() => RefillPeriod, { description: "The interval between refills." })
  every!: `${RefillPeriod}`;

  @Field(() => RefillMode, { description: "How a refill treats the credits in the wallet." })
  mode!: `${RefillMode}`;

  @Field(() => GraphQLDecimal, { description: "The credits of each refill: above 0, at most 6 decimal places." })
  credits!: string;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description:
      "The highest balance after a refill, in credits: at least `credits`. Required for ADD; must be absent for REPLACE.",
  })
  cap?: string | null;

  @Field(() => Date, { nullable: true, description: "The time of the first refill; now when absent." })
  startsAt?: Date | null;
}

@InputType({
  description:
    "Budgets of an account, shared by all its API keys. Replaces all four budgets; an absent budget means no limit.",
})
export class SetAccountBudgetsInput {
  @Field(() => ID, { description: "The account, `acc_…`." })
  accountId!: string;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Limit on the provider cost a day (UTC), in USD: 0 or more.",
  })
  dailyBudgetUsd?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Limit on the provider cost a month (UTC), in USD: 0 or more.",
  })
  monthlyBudgetUsd?: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "Limit on the credits charged a day (UTC): 0 or more." })
  dailyBudgetCredits?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Limit on the credits charged a month (UTC): 0 or more.",
  })
  monthlyBudgetCredits?: string | null;
}

@InputType({ description: "A full or partial refund of a charge." })
export class RefundCreditsInput {
  @Field(() => ID, { description: "The call whose charge is refunded, `gen_…`." })
  generationId!: string;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "The amount in credits: above 0. The whole remaining charge when absent.",
  })
  credits?: string | null;

  @Field(() => String, { nullable: true, description: "A note for the ledger entry, at most 500 characters." })
  reason?: string | null;

  @Field(() => String, {
    nullable: true,
    description: "Makes retries safe: 1 to 200 characters. A retry with the same refund changes nothing.",
  })
  idempotencyKey?: string | null;
}

@InputType({ description: "A full or partial reversal of a grant: deducts granted credits from the wallet." })
export class TakeBackCreditsInput {
  @Field(() => ID, { description: "The ledger entry that granted the credits, `ent_…`." })
  entryId!: string;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "The amount in credits: above 0. All credits left of the entry when absent.",
  })
  credits?: string | null;

  @Field(() => String, { nullable: true, description: "A note for the ledger entry, at most 500 characters." })
  reason?: string | null;

  @Field(() => String, {
    nullable: true,
    description: "Makes retries safe: 1 to 200 characters. A retry with the same change changes nothing.",
  })
  idempotencyKey?: string | null;
}
