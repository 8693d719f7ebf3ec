import { Field, ID, InputType, ObjectType, registerEnumType } from "type-graphql";
import { connectionOf } from "../graphql/pagination.ts";
import { GraphQLDecimal } from "../graphql/scalars.ts";
import { toWire } from "../ids.ts";
import { formatCredits } from "../ledger/amount.ts";
import type { CreditEntryRow, WalletRow } from "../ledger/store.ts";

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

  @Field(() => Date, { description: "When it was written." })
  createdAt!: Date;
}

export const CreditEntryConnection = connectionOf(CreditEntry, "CreditEntry");

@InputType({ description: "Credits to put into a wallet, named by itself or by a key that draws on it." })
export class GrantCreditsInput {
  @Field(() => ID, { nullable: true, description: "Either this or `walletId`." })
  apiKeyId?: string | null;

  @Field(() => ID, { nullable: true, description: "Either this or `apiKeyId`." })
  walletId?: string | null;

  @Field(() => GraphQLDecimal, { description: "In credits, above 0, at most 6 decimal places." })
  credits!: string;

  @Field(() => String, { nullable: true, description: "A note for the ledger, at most 500 characters." })
  reason?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      "1 to 200 characters. The same grant again changes nothing; another amount fails with IDEMPOTENCY_MISMATCH.",
  })
  idempotencyKey?: string | null;
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
  const { id, kind, amount, balanceAfter, actor, reason, requestId, createdAt } = row;
  return {
    id: toWire("ent", id),
    kind,
    amount: formatCredits(amount),
    balanceAfter: formatCredits(balanceAfter),
    actor,
    reason,
    generationId: requestId && toWire("gen", requestId),
    createdAt,
  };
}
