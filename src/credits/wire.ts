import type { RecordChange } from "../auth/record-change.ts";
import type { Database } from "../db/client.ts";
import { Corrections } from "../ledger/wallets/corrections.ts";
import type { Wallets } from "../ledger/wallets/wallets.ts";
import { BudgetsService } from "./budgets.ts";
import {
  AccountCreditsResolver,
  ApiKeyWalletResolver,
  BudgetsResolver,
  CreditsResolver,
  MyWalletResolver,
} from "./resolver.ts";
import { CreditsService } from "./service.ts";

export interface CreditsParts {
  db: Database;
  wallets: Wallets;
  record: RecordChange;
}

/** Puts the feature together: grants, corrections, refill rules and budgets. */
export function openCredits({ db, wallets, record }: CreditsParts) {
  const credits = new CreditsService(db, wallets, new Corrections(db, wallets), record);
  const budgets = new BudgetsService(db, record);
  const resolvers = [
    new CreditsResolver(credits),
    new BudgetsResolver(budgets),
    new AccountCreditsResolver(credits, budgets),
    new MyWalletResolver(credits),
    new ApiKeyWalletResolver(credits),
  ];
  return { resolvers };
}
