import { Field, ID, InputType, Int, ObjectType, registerEnumType } from "type-graphql";
import { connectionOf } from "../../graphql/pagination.ts";
import { GraphQLDecimal } from "../../graphql/scalars.ts";
import { toWire } from "../../ids.ts";
import { formatCredits, formatUsd } from "../../ledger/amount.ts";
import type { RestatementOrder } from "./service.ts";
import type { RestatementRow } from "./store.ts";

export enum RestatementState {
  RUNNING = "RUNNING",
  SETTLING = "SETTLING",
  DONE = "DONE",
}
registerEnumType(RestatementState, {
  name: "RestatementState",
  description: "The progress of a restatement.",
  valuesConfig: {
    RUNNING: {
      description:
        "Calls are being corrected in batches; the figures are those of the calls processed so far. Waits for earlier restatements of the same calls.",
    },
    SETTLING: {
      description:
        "All calls that had ended are corrected. Calls of the span that were still running will be corrected when the last of them has ended, and an hour after `to` at the earliest.",
    },
    DONE: { description: "Every call of the span is corrected." },
  },
});

@InputType({ description: "A correction of the price of a model for past calls." })
export class RestateUsageInput {
  @Field(() => String, {
    description:
      "Name of the model, or of a preset with prices of its own. All calls that were charged by its price are corrected, whatever name was asked for.",
  })
  model!: string;

  @Field(() => Date, { description: "Start of the span, inclusive, by when calls began. Must be 2000-01-01 or later." })
  from!: Date;

  @Field(() => Date, {
    description: "End of the span, exclusive. Must be after `from`, by at most ten years, and not in the future.",
  })
  to!: Date;

  @Field(() => Int, {
    description: "Version of the price that the calls should have had; see `setModelPrice`.",
  })
  priceVersion!: number;

  @Field(() => Boolean, {
    nullable: true,
    defaultValue: false,
    description: "Computes the difference and changes nothing, as if every wallet could pay.",
  })
  dryRun?: boolean | null;

  @Field(() => String, { nullable: true, description: "A note for the credit entries, at most 500 characters." })
  reason?: string | null;

  @Field(() => String, {
    nullable: true,
    description: "Makes retries safe: 1 to 200 characters. A retry with the same key returns the same restatement.",
  })
  idempotencyKey?: string | null;
}

@ObjectType({
  description:
    "A correction of a model's price for past calls. Calls and charges stay unchanged: the difference of each call is a credit entry of the kind ADJUSTMENT, and `usage` shows both figures by `basis`.",
  simpleResolvers: true,
})
export class Restatement {
  @Field(() => ID, { description: "Id of the restatement, `rst_…`." })
  id!: string;

  @Field(() => RestatementState, { description: "The progress." })
  state!: `${RestatementState}`;

  @Field(() => Boolean, { description: "Whether it only computes the difference." })
  dryRun!: boolean;

  @Field(() => String, { description: "The name of the model." })
  model!: string;

  @Field(() => Int, { description: "Version of the price that the calls should have had." })
  priceVersion!: number;

  @Field(() => Date, { description: "Start of the span, inclusive." })
  from!: Date;

  @Field(() => Date, { description: "End of the span, exclusive." })
  to!: Date;

  @Field(() => String, { nullable: true, description: "The note given with the request." })
  reason!: string | null;

  @Field(() => String, { description: "Who requested it, such as `user:…`." })
  actor!: string;

  @Field(() => GraphQLDecimal, { description: "Number of calls processed." })
  calls!: string;

  @Field(() => GraphQLDecimal, { description: "Of `calls`, how many changed." })
  callsChanged!: string;

  @Field(() => GraphQLDecimal, { description: "Credits charged for the calls before, earlier corrections included." })
  creditsBefore!: string;

  @Field(() => GraphQLDecimal, { description: "Change in credits: below 0 when customers get credits back." })
  creditsDifference!: string;

  @Field(() => GraphQLDecimal, { description: "Credits given back to wallets." })
  creditsGivenBack!: string;

  @Field(() => GraphQLDecimal, { description: "Credits taken from wallets." })
  creditsTaken!: string;

  @Field(() => GraphQLDecimal, {
    description: "Credits owed that wallets did not have available: they stay uncollected and are in no report.",
  })
  creditsUncollected!: string;

  @Field(() => GraphQLDecimal, {
    description: "Cost of the calls at the providers before, in USD, earlier corrections included.",
  })
  costUsdBefore!: string;

  @Field(() => GraphQLDecimal, { description: "Change of that cost, in USD." })
  costUsdDifference!: string;

  @Field(() => Date, { description: "When it was requested." })
  createdAt!: Date;

  @Field(() => Date, { nullable: true, description: "When it was done; null until then." })
  finishedAt!: Date | null;
}

export const RestatementConnection = connectionOf(Restatement, "Restatement");

export function toOrder(input: RestateUsageInput): RestatementOrder {
  const { model, from, to, priceVersion, dryRun, reason, idempotencyKey } = input;
  return {
    model,
    from,
    to,
    priceVersion,
    dryRun: dryRun ?? false,
    reason: reason ?? null,
    idempotencyKey: idempotencyKey ?? null,
  };
}

export function toRestatement(row: RestatementRow): Restatement {
  const { id, calls, callsChanged, charged, costNanoUsd, givenBack, taken, uncollected, costCorrection, ...rest } = row;
  return {
    ...rest,
    id: toWire("rst", id),
    calls: calls.toString(),
    callsChanged: callsChanged.toString(),
    creditsBefore: formatCredits(charged),
    creditsDifference: formatCredits(taken - givenBack),
    creditsGivenBack: formatCredits(givenBack),
    creditsTaken: formatCredits(taken),
    creditsUncollected: formatCredits(uncollected),
    costUsdBefore: formatUsd(costNanoUsd),
    costUsdDifference: formatUsd(costCorrection),
  };
}
