import { AccountsResolver, UserAccountResolver } from "../accounts/resolver.ts";
import { AccountsService } from "../accounts/service.ts";
import type { RecordChange } from "../auth/record-change.ts";
import type { Database } from "../db/client.ts";
import type { Wallets } from "../ledger/wallets/wallets.ts";
import { ClosingResolver, LeaksResolver, RotationDueResolver } from "./care-resolver.ts";
import { Closing, type ClosingOptions } from "./closing.ts";
import { Exposures } from "./exposures.ts";
import { type Guesses, KeyIdentity } from "./identity.ts";
import { KeyImport } from "./import.ts";
import { ImportResolver } from "./import-resolver.ts";
import { Issuing } from "./issuing.ts";
import { Leaks } from "./leaks.ts";
import { AccountPlanResolver, KeyPlanResolver, PlansResolver } from "./plan-resolver.ts";
import { Plans } from "./plans.ts";
import { RotationReminders } from "./reminders.ts";
import { KeysResolver, MyKeyResolver } from "./resolver.ts";
import { Rotation } from "./rotation.ts";
import { RotationResolver } from "./rotation-resolver.ts";
import { RunningCalls } from "./running.ts";
import type { KeyEnvironment, Peppers } from "./secret.ts";
import { KeysService } from "./service.ts";

/** Customers and their keys, put together. */
export interface KeyParts {
  db: Database;
  wallets: Wallets;
  peppers: Peppers;
  environment: KeyEnvironment;
  guesses: Guesses;
  disableMembers: ClosingOptions["disableMembers"];
  record: RecordChange;
  onError: (error: unknown) => void;
}

export function openKeys({ db, wallets, peppers, environment, guesses, disableMembers, record, onError }: KeyParts) {
  const identity = new KeyIdentity({ db, peppers, guesses, onError });
  const accounts = new AccountsService({
    ...{ db, record },
    openSharedWallet: (tx, accountId) => wallets.openShared(tx, accountId),
    onChange: (accountId) => identity.forgetOf("account", accountId),
  });
  const issuing = new Issuing({ accounts, wallets, peppers, environment, record });
  const keys = new KeysService({ db, accounts, issuing, identity, record });
  const plans = new Plans({ db, accounts, identity, record });
  const rotation = new Rotation({ db, identity, peppers, environment, record });
  const resolvers = [
    new AccountsResolver(accounts),
    new UserAccountResolver(accounts),
    new KeysResolver(keys, accounts),
    new MyKeyResolver(keys),
    new RotationResolver(rotation),
    new RotationDueResolver(keys, accounts),
    new LeaksResolver(new Leaks({ db, identity, peppers, record })),
    new ImportResolver(new KeyImport({ db, accounts, issuing, peppers })),
    new ClosingResolver(new Closing({ db, accounts, identity, disableMembers })),
    new PlansResolver(plans),
    new KeyPlanResolver(plans),
    new AccountPlanResolver(plans),
  ];
  const reminders = new RotationReminders(db, onError);
  const exposures = new Exposures({ db, peppers, guesses, record });
  const running = new RunningCalls(db, onError);
  return { accounts, identity, keys, running, exposures, reminders, resolvers };
}
