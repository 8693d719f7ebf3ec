import type { RecordChange } from "../auth/record-change.ts";
import type { Database } from "../db/client.ts";
import { Adjustments } from "../ledger/wallets/adjustments.ts";
import type { Wallets } from "../ledger/wallets/wallets.ts";
import type { UsageService } from "../usage/service.ts";
import { InvoiceResolver } from "./invoices/resolver.ts";
import { Invoices } from "./invoices/service.ts";
import { RestatementResolver } from "./restatements/resolver.ts";
import { Restatements } from "./restatements/service.ts";

/** What the folder needs, and all that it makes of it. */
export interface FinanceOptions {
  db: Database;
  wallets: Wallets;
  usage: UsageService;
  record: RecordChange;
  onError: (error: unknown) => void;
}

export function openFinance({ db, wallets, usage, record, onError }: FinanceOptions) {
  const restatements = new Restatements({ db, adjustments: new Adjustments(wallets), record, onError });
  const invoices = new InvoiceResolver(new Invoices(db, usage, record));
  return { restatements, resolvers: [new RestatementResolver(restatements), invoices] as const };
}
