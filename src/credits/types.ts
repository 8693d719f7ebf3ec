import { Field, ID, ObjectType, registerEnumType } from "type-graphql";
import { connectionOf } from "../graphql/pagination.ts";
import { GraphQLDecimal } from "../graphql/scalars.ts";
import { toWire } from "../ids.ts";
import { formatCredits } from "../ledger/amount.ts";
import type { CreditEntryRow, WalletRow } from "../ledger/wallets/store.ts";

@ObjectType({
  description: "A wallet: the credits that one API key, or all keys of an account that share it, may spend.",
  simpleResolvers: true,
})
export class Wallet {
  @Field(() => ID, { description: "The wallet's id, `wal_…`." })
  id!: string;

  @Field(() => GraphQLDecimal, { description: "The balance in credits: the sum of all ledger entries. Never below 0." })
  balance!: string;

  @Field(() => GraphQLDecimal, { description: "Credits reserved by running calls." })
  held!: string;

  @Field(() => GraphQLDecimal, { description: "Credits that a new call can reserve: `balance` less `held`." })
  available!: string;
}

@ObjectType({
  description: "Budgets of an account, shared by all its API keys. Null means no limit.",
  simpleResolvers: true,
})
export class AccountBudgets {
  @Field(() => GraphQLDecimal, { nullable: true, description: "Limit on the provider cost a day (UTC), in USD." })
  dailyBudgetUsd!: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "Limit on the provider cost a month (UTC), in USD." })
  monthlyBudgetUsd!: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "Limit on the credits charged a day (UTC)." })
  dailyBudgetCredits!: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "Limit on the credits charged a month (UTC)." })
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
  description: "The kind of a ledger entry: why the balance changed.",
  valuesConfig: {
    GRANT: { description: "Credits granted by an admin or by a refill." },
    CHARGE: { description: "The charge of a call." },
    REFUND: { description: "A full or partial refund of a charge." },
    ADJUSTMENT: { description: "A correction of an earlier entry." },
    EXPIRY: { description: "Granted credits that expired unspent." },
  },
});

@ObjectType({
  description: "A ledger entry: one change of a wallet's balance. Entries are added and never changed.",
  simpleResolvers: true,
})
export class CreditEntry {
  @Field(() => ID, { description: "The entry's id, `ent_…`." })
  id!: string;

  @Field(() => CreditEntryKind, { description: "The kind of entry: why the balance changed." })
  kind!: `${CreditEntryKind}`;

  @Field(() => GraphQLDecimal, { description: "The amount in credits: negative when credits left the wallet." })
  amount!: string;

  @Field(() => GraphQLDecimal, { description: "The wallet's balance after this entry, in credits." })
  balanceAfter!: string;

  @Field(() => String, { description: "The actor that caused the entry, e.g. `user:…` or `key:…`." })
  actor!: string;

  @Field(() => String, { nullable: true, description: "The admin's note; null when there is none." })
  reason!: string | null;

  @Field(() => ID, {
    nullable: true,
    description: "The call that was charged or refunded, `gen_…`; null for other entries.",
  })
  generationId!: string | null;

  @Field(() => ID, {
    nullable: true,
    description: "The earlier entry that this one refunds, corrects or expires, `ent_…`; null when there is none.",
  })
  correctsId!: string | null;

  @Field(() => Date, { description: "When the entry was written, by the database's clock." })
  createdAt!: Date;
}

export const CreditEntryConnection = connectionOf(CreditEntry, "CreditEntry");

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
