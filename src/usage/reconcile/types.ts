import { Field, ID, ObjectType, registerEnumType } from "type-graphql";
import { GraphQLDecimal } from "../../graphql/scalars.ts";
import { toWire } from "../../ids.ts";
import { formatCredits, formatUsd } from "../../ledger/amount.ts";
import type { ReconciledDay } from "./service.ts";
import type { DaySums, DifferenceRow } from "./store.ts";

export enum DifferenceKind {
  ROLLUP = "ROLLUP",
  WALLET = "WALLET",
  CORRECTION = "CORRECTION",
}
registerEnumType(DifferenceKind, {
  name: "DifferenceKind",
  description: "The side that disagrees with the ledger rows.",
  valuesConfig: {
    ROLLUP: { description: "The hourly rollup of an account, from which reports are made." },
    WALLET: { description: "The credits that a call took from its wallet." },
    CORRECTION: { description: "The credits that later restatements of a call took from its wallet or gave back." },
  },
});

@ObjectType({ description: "Sums over the calls that began in a day.", simpleResolvers: true })
export class ReconciledSums {
  @Field(() => GraphQLDecimal, { description: "Number of calls." })
  requests!: string;

  @Field(() => GraphQLDecimal, { description: "Credits charged." })
  credits!: string;

  @Field(() => GraphQLDecimal, { description: "Cost at the providers, in USD." })
  costUsd!: string;

  @Field(() => GraphQLDecimal, { description: "Credits with the corrections of later restatements." })
  creditsCorrected!: string;

  @Field(() => GraphQLDecimal, { description: "Cost in USD with the corrections of later restatements." })
  costUsdCorrected!: string;
}

@ObjectType({
  description: "One disagreement between the ledger rows and the rollups or wallets.",
  simpleResolvers: true,
})
export class ReconciliationDifference {
  @Field(() => DifferenceKind, { description: "The side that disagrees with the ledger rows." })
  kind!: `${DifferenceKind}`;

  @Field(() => ID, { description: "Id of the account, `acc_…`." })
  accountId!: string;

  @Field(() => String, {
    description: "The start of the hour, or the generation `gen_…`; for an archived day, the start of the day.",
  })
  subject!: string;

  @Field(() => GraphQLDecimal, { description: "Credits by the ledger rows." })
  ledger!: string;

  @Field(() => GraphQLDecimal, { description: "Credits by the rollup or the wallet." })
  other!: string;
}

@ObjectType({ description: "The result of reconciling one day.", simpleResolvers: true })
export class Reconciliation {
  @Field(() => Date, { description: "Start of the day, in UTC." })
  day!: Date;

  @Field(() => Date, { description: "Time of the snapshot: every call settled by then is in the figures." })
  asOf!: Date;

  @Field(() => Boolean, { description: "Whether ledger rows, rollups and wallets agree to the micro-credit." })
  balanced!: boolean;

  @Field(() => Boolean, {
    description:
      "Whether the ledger rows of the day were archived and dropped. `ledger` then has their sums as archived.",
  })
  archived!: boolean;

  @Field(() => ReconciledSums, { description: "Sums by the ledger rows." })
  ledger!: ReconciledSums;

  @Field(() => ReconciledSums, { description: "Sums by the hourly rollups, from which reports are made." })
  rollup!: ReconciledSums;

  @Field(() => GraphQLDecimal, { description: "Credits that the calls of the day took from wallets." })
  walletsCharged!: string;

  @Field(() => GraphQLDecimal, {
    description: "Credits that the calls of the day took from wallets, with the adjustments of later restatements.",
  })
  walletsCorrected!: string;

  @Field(() => [ReconciliationDifference], { description: "The disagreements, at most 1,000." })
  differences!: ReconciliationDifference[];
}

export function toReconciliation(found: ReconciledDay): Reconciliation {
  const { day, asOf, archived, ledger, rollup, wallets } = found;
  return {
    day,
    asOf,
    archived,
    balanced: isBalanced(found),
    ledger: toSums(ledger),
    rollup: toSums(rollup),
    walletsCharged: formatCredits(wallets.charged),
    walletsCorrected: formatCredits(wallets.charged + wallets.adjusted),
    differences: found.differences.map((difference) => toDifference(difference, archived)),
  };
}

function isBalanced({ ledger, rollup, wallets, differences }: ReconciledDay): boolean {
  const names = ["charged", "costNanoUsd", "chargedCorrection", "costCorrection"] as const;
  const rolledUp = names.every((name) => ledger[name] === rollup[name]);
  const paid = ledger.charged === wallets.charged && ledger.chargedCorrection === wallets.adjusted;
  return rolledUp && paid && differences.length === 0;
}

function toSums({ requests, charged, costNanoUsd, chargedCorrection, costCorrection }: DaySums): ReconciledSums {
  return {
    requests: requests.toString(),
    credits: formatCredits(charged),
    costUsd: formatUsd(costNanoUsd),
    creditsCorrected: formatCredits(charged + chargedCorrection),
    costUsdCorrected: formatUsd(costNanoUsd + costCorrection),
  };
}

function toDifference(
  { kind, accountId, subject, ledger, other }: DifferenceRow,
  archived: boolean,
): ReconciliationDifference {
  return {
    kind,
    accountId: toWire("acc", accountId),
    subject: kind === "ROLLUP" || archived ? subject : toWire("gen", subject),
    ledger: formatCredits(ledger),
    other: formatCredits(other),
  };
}
