import { Field, ID, ObjectType, registerEnumType } from "type-graphql";
import { GraphQLDecimal } from "../graphql/scalars.ts";
import { toWire } from "../ids.ts";
import { formatCredits, formatUsd } from "../ledger/amount.ts";
import type { ReconciledDay } from "./reconcile.ts";
import type { DifferenceRow, Sums } from "./reconcile-store.ts";

export enum DifferenceKind {
  ROLLUP = "ROLLUP",
  WALLET = "WALLET",
}
registerEnumType(DifferenceKind, {
  name: "DifferenceKind",
  description: "What does not agree with the ledger's rows.",
  valuesConfig: {
    ROLLUP: { description: "An hour of an account, as reports see it." },
    WALLET: { description: "What a call took from its wallet." },
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

  @Field(() => [ReconciliationDifference], { description: "Where they disagree; at most 1,000." })
  differences!: ReconciliationDifference[];
}

export function toReconciliation(found: ReconciledDay): Reconciliation {
  const { day, asOf, archived, ledger, rollup, walletsCharged } = found;
  return {
    day,
    asOf,
    archived,
    balanced: found.differences.length === 0 && ledger.charged === walletsCharged && ledger.charged === rollup.charged,
    ledger: toSums(ledger),
    rollup: toSums(rollup),
    walletsCharged: formatCredits(walletsCharged),
    differences: found.differences.map((difference) => toDifference(difference, archived)),
  };
}

function toSums({ requests, charged, costNanoUsd }: Sums): ReconciledSums {
  return { requests: requests.toString(), credits: formatCredits(charged), costUsd: formatUsd(costNanoUsd) };
}

function toDifference(
  { kind, accountId, subject, ledger, other }: DifferenceRow,
  archived: boolean,
): ReconciliationDifference {
  return {
    kind,
    accountId: toWire("acc", accountId),
    subject: kind === "WALLET" && !archived ? toWire("gen", subject) : subject,
    ledger: formatCredits(ledger),
    other: formatCredits(other),
  };
}
