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
  description: "What does not agree with the ledger's rows.",
  valuesConfig: {
    ROLLUP: { description: "An hour of an account, as reports see it." },
    WALLET: { description: "What a call took from its wallet." },
    CORRECTION: { description: "What restatements took from the wallet of a call since, or gave back." },
  },
});

@ObjectType({ description: "Sums over the calls that began in a day.", simpleResolvers: true })
export class ReconciledSums {
  @Field(() => GraphQLDecimal, { description: "How many calls." })
  requests!: string;

  @Field(() => GraphQLDecimal, { description: "Credits charged." })
  credits!: string;

  @Field(() => GraphQLDecimal, { description: "What the providers take, in USD." })
  costUsd!: string;

  @Field(() => GraphQLDecimal, { description: "Credits with what restatements have changed since." })
  creditsCorrected!: string;

  @Field(() => GraphQLDecimal, { description: "USD with what restatements have changed since." })
  costUsdCorrected!: string;
}

@ObjectType({ description: "One place where two accounts of the same thing disagree.", simpleResolvers: true })
export class ReconciliationDifference {
  @Field(() => DifferenceKind, { description: "What disagrees." })
  kind!: `${DifferenceKind}`;

  @Field(() => ID, { description: "Of which account, `acc_…`." })
  accountId!: string;

  @Field(() => String, { description: "The hour, or the generation `gen_…`; of archived rows the day." })
  subject!: string;

  @Field(() => GraphQLDecimal, { description: "Credits by the ledger's rows." })
  ledger!: string;

  @Field(() => GraphQLDecimal, { description: "Credits by what disagrees." })
  other!: string;
}

@ObjectType({ description: "Whether a day's figures agree with each other.", simpleResolvers: true })
export class Reconciliation {
  @Field(() => Date, { description: "The start of the day, in UTC." })
  day!: Date;

  @Field(() => Date, { description: "Everything settled by this instant is in it." })
  asOf!: Date;

  @Field(() => Boolean, { description: "Whether everything agrees to the micro-credit." })
  balanced!: boolean;

  @Field(() => Boolean, {
    description: "Whether the day's rows were archived and dropped; `ledger` is then what they came to before.",
  })
  archived!: boolean;

  @Field(() => ReconciledSums, { description: "By the ledger's rows." })
  ledger!: ReconciledSums;

  @Field(() => ReconciledSums, { description: "By the rollups that reports are made from." })
  rollup!: ReconciledSums;

  @Field(() => GraphQLDecimal, { description: "Credits that the day's calls took from wallets." })
  walletsCharged!: string;

  @Field(() => GraphQLDecimal, { description: "The same with the adjustments that restatements have made since." })
  walletsCorrected!: string;

  @Field(() => [ReconciliationDifference], { description: "Where they disagree; at most 1,000." })
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
