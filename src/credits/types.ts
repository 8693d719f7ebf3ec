import { Field, ID, ObjectType, registerEnumType } from "type-graphql";
import { connectionOf } from "../graphql/pagination.ts";
import { GraphQLDecimal } from "../graphql/scalars.ts";
import { toWire } from "../ids.ts";
import { formatCredits, formatUsd } from "../ledger/amount.ts";
import type { CreditEntryRow, WalletRow } from "../ledger/wallets/store.ts";
import type { AccountBudgets as BudgetRow } from "./store.ts";

@ObjectType({ description: "Credits that one key, or the keys of one account, may spend.", simpleResolvers: true })
export class Wallet {
  @Field(() => ID, { description: "`wal_…`" })
  id!: string;

  @Field(() => GraphQLDecimal, { description: "In credits: the sum of all entries. Never below 0." })
  balance!: string;

  @Field(() => GraphQLDecimal, { description: "In credits: reserved by calls that are running." })
  held!: string;

  @Field(() => GraphQLDecimal, { description: "In credits: `balance` less `held`, what a new call may reserve." })
  available!: string;
}

@ObjectType({
  description: "What all keys of an account together may cost; null means no limit.",
  simpleResolvers: true,
})
export class AccountBudgets {
  @Field(() => GraphQLDecimal, { nullable: true, description: "Provider cost a day (UTC), in USD." })
  dailyBudgetUsd!: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "Provider cost a month (UTC), in USD." })
  monthlyBudgetUsd!: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "Credits a day (UTC)." })
  dailyBudgetCredits!: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "Credits a month (UTC)." })
  monthlyBudgetCredits!: string | null;
}

export enum CreditEntryKind {
  GRANT = "GRANT",
  CHARGE = "CHARGE",
  REFUND = "REFUND",
  ADJUSTMENT = "ADJUSTMENT",
  EXPIRY = "EXPIRY",
}
registerEnumType(CreditEntryKind, {
  name: "CreditEntryKind",
  description: "Why a balance changed.",
  valuesConfig: {
    GRANT: { description: "An admin put credits in." },
    CHARGE: { description: "A call was paid." },
    REFUND: { description: "A charge was given back." },
    ADJUSTMENT: { description: "A correction." },
    EXPIRY: { description: "Granted credits ran out of time." },
  },
});

@ObjectType({ description: "One change of a balance. Entries are only ever added.", simpleResolvers: true })
export class CreditEntry {
  @Field(() => ID, { description: "`ent_…`" })
  id!: string;

  @Field(() => CreditEntryKind, { description: "Why the balance changed." })
  kind!: `${CreditEntryKind}`;

  @Field(() => GraphQLDecimal, { description: "In credits, below 0 when they left the wallet." })
  amount!: string;

  @Field(() => GraphQLDecimal, { description: "In credits: the balance with this entry." })
  balanceAfter!: string;

  @Field(() => String, { description: "Who caused it, e.g. `user:…` or `key:…`." })
  actor!: string;

  @Field(() => String, { nullable: true, description: "What the admin noted." })
  reason!: string | null;

  @Field(() => ID, { nullable: true, description: "The generation that a charge paid for, `gen_…`." })
  generationId!: string | null;

  @Field(() => ID, { nullable: true, description: "The entry that this one takes back or ends, `ent_…`." })
  correctsId!: string | null;

  @Field(() => Date, { description: "When it was written." })
  createdAt!: Date;
}

export const CreditEntryConnection = connectionOf(CreditEntry, "CreditEntry");

export function toAccountBudgets(row: BudgetRow): AccountBudgets {
  const optional = (format: (amount: bigint) => string, amount: bigint | null) =>
    amount === null ? null : format(amount);
  return {
    dailyBudgetUsd: optional(formatUsd, row.dailyBudgetNanoUsd),
    monthlyBudgetUsd: optional(formatUsd, row.monthlyBudgetNanoUsd),
    dailyBudgetCredits: optional(formatCredits, row.dailyBudgetMicroCredits),
    monthlyBudgetCredits: optional(formatCredits, row.monthlyBudgetMicroCredits),
  };
}

export function toWallet({ id, balance, held }: WalletRow): Wallet {
  return {
    id: toWire("wal", id),
    balance: formatCredits(balance),
    held: formatCredits(held),
    available: formatCredits(balance - held),
  };
}

export function toCreditEntry(row: CreditEntryRow): CreditEntry {
  const { id, kind, amount, balanceAfter, actor, reason, requestId, correctsId, createdAt } = row;
  return {
    id: toWire("ent", id),
    kind,
    amount: formatCredits(amount),
    balanceAfter: formatCredits(balanceAfter),
    actor,
    reason,
    generationId: requestId && toWire("gen", requestId),
    correctsId: correctsId && toWire("ent", correctsId),
    createdAt,
  };
}
