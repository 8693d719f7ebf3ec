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
  description: "How far a restatement is.",
  valuesConfig: {
    RUNNING: {
      description:
        "Calls are being corrected, batch by batch; the figures are of those looked at so far. It waits for earlier restatements of the same calls.",
    },
    SETTLING: {
      description:
        "All calls that had ended are corrected. Those of the period that were still running then will be: an hour after `to` at the earliest, and when the last has ended.",
    },
    DONE: { description: "Every call of the period is corrected." },
  },
});

@InputType({ description: "A correction of a model's price for calls of the past." })
export class RestateUsageInput {
  @Field(() => String, {
    description:
      "Whose price it is: a model, or a preset with prices of its own. It is that of every call that was charged by it, under whatever name it was asked for.",
  })
  model!: string;

  @Field(() => Date, { description: "Calls that began at or after this instant, from 2000 on." })
  from!: Date;

  @Field(() => Date, { description: "Calls that began before this instant; after `from`, not in the future." })
  to!: Date;

  @Field(() => Int, {
    description: "Which version of the model's price the calls should have had; see `setModelPrice`.",
  })
  priceVersion!: number;

  @Field(() => Boolean, {
    nullable: true,
    defaultValue: false,
    description: "Works out the difference and changes nothing, as if every wallet could pay.",
  })
  dryRun?: boolean | null;

  @Field(() => String, { nullable: true, description: "A note for the entries, at most 500 characters." })
  reason?: string | null;

  @Field(() => String, {
    nullable: true,
    description: "1 to 200 characters; the same again answers the same restatement.",
  })
  idempotencyKey?: string | null;
}

@ObjectType({
  description:
    "A correction of a model's price for calls of the past. Calls and charges stay as they are: what differs is an entry of the kind ADJUSTMENT for each call, and `usage` shows both with `basis`.",
  simpleResolvers: true,
})
export class Restatement {
  @Field(() => ID, { description: "`rst_…`" })
  id!: string;

  @Field(() => RestatementState, { description: "How far it is." })
  state!: `${RestatementState}`;

  @Field(() => Boolean, { description: "Whether it only works the difference out." })
  dryRun!: boolean;

  @Field(() => String, { description: "The name of the model." })
  model!: string;

  @Field(() => Int, { description: "The version of its price that the calls should have had." })
  priceVersion!: number;

  @Field(() => Date, { description: "The first instant of the calls." })
  from!: Date;

  @Field(() => Date, { description: "The first instant that is not in it." })
  to!: Date;

  @Field(() => String, { nullable: true, description: "What was noted." })
  reason!: string | null;

  @Field(() => String, { description: "Who ordered it, e.g. `user:…`." })
  actor!: string;

  @Field(() => GraphQLDecimal, { description: "How many calls were looked at." })
  calls!: string;

  @Field(() => GraphQLDecimal, { description: "Of these, how many changed." })
  callsChanged!: string;

  @Field(() => GraphQLDecimal, { description: "Credits that the calls stood at before, earlier corrections included." })
  creditsBefore!: string;

  @Field(() => GraphQLDecimal, { description: "Credits by which that changes: below 0 when customers get some back." })
  creditsDifference!: string;

  @Field(() => GraphQLDecimal, { description: "Credits that came back to wallets." })
  creditsGivenBack!: string;

  @Field(() => GraphQLDecimal, { description: "Credits that were taken from wallets." })
  creditsTaken!: string;

  @Field(() => GraphQLDecimal, {
    description:
      "Credits that are owed and that wallets did not have free: they stay uncollected, and outside of reports.",
  })
  creditsUncollected!: string;

  @Field(() => GraphQLDecimal, { description: "USD that the calls stood at before." })
  costUsdBefore!: string;

  @Field(() => GraphQLDecimal, { description: "USD by which that changes." })
  costUsdDifference!: string;

  @Field(() => Date, { description: "When it was ordered." })
  createdAt!: Date;

  @Field(() => Date, { nullable: true, description: "When it was done; null before." })
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
