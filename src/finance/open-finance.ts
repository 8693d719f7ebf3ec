import type { RecordChange } from "../auth/change.ts";
import type { Database } from "../db/client.ts";
import { Adjustments } from "../ledger/adjustments.ts";
import type { Wallets } from "../ledger/wallets.ts";
import { RestatementResolver } from "./restatement-resolver.ts";
import { Restatements } from "./restatements.ts";

/** What the folder needs, and all that it makes of it. */
export interface FinanceOptions {
  db: Database;
  wallets: Wallets;
  record: RecordChange;
  onError: (error: unknown) => void;
}

export function openFinance({ db, wallets, record, onError }: FinanceOptions) {
  const restatements = new Restatements({ db, adjustments: new Adjustments(wallets), record, onError });
  return { restatements, resolvers: [new RestatementResolver(restatements)] as const };
}
