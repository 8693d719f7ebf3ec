import { AccountsResolver, UserAccountResolver } from "../accounts/resolver.ts";
import { AccountsService } from "../accounts/service.ts";
import type { RecordChange } from "../auth/record-change.ts";
import type { User } from "../auth/types.ts";
import type { Database } from "../db/client.ts";
import type { LoadMany } from "../graphql/loaders.ts";
import type { Wallets } from "../ledger/wallets/wallets.ts";
import { AccountClosingResolver } from "./closing/resolver.ts";
import { AccountClosing, type AccountClosingOptions } from "./closing/service.ts";
import { Exposures } from "./exposure/exposures.ts";
import { Leaks } from "./exposure/leaks.ts";
import { LeaksResolver } from "./exposure/resolver.ts";
import { type GuessGuard, KeyIdentity } from "./identity.ts";
import { ImportResolver } from "./import/resolver.ts";
import { KeyImport } from "./import/service.ts";
import { Issuing } from "./issuing.ts";
import { AccountPlanResolver, KeyPlanResolver, PlansResolver } from "./plans/resolver.ts";
import { Plans } from "./plans/service.ts";
import { KeysResolver, MyKeyResolver } from "./resolver.ts";
import { RotationReminders } from "./rotation/reminders.ts";
import { RotationDueResolver, RotationResolver } from "./rotation/resolver.ts";
import { Rotation } from "./rotation/service.ts";
import { RunningCalls } from "./running-calls.ts";
import type { KeyEnvironment, Peppers } from "./secret.ts";
import { type KeysOptions, KeysService } from "./service.ts";

/** Puts accounts and their keys together. */
export interface KeyParts {
  db: Database;
  wallets: Wallets;
  peppers: Peppers;
  environment: KeyEnvironment;
  keyGuesses: GuessGuard;
  disableMembers: AccountClosingOptions["disableMembers"];
  /** Lent by auth/. */
  usersById: LoadMany<User>;
  record: RecordChange;
  generateLimit: KeysOptions["generateLimit"];
  onError: (error: unknown) => void;
}

export function openKeys(parts: KeyParts) {
  const { db, wallets, peppers, environment, keyGuesses, disableMembers, record, generateLimit, onError } = parts;
  const identity = new KeyIdentity({ db, peppers, keyGuesses, onError });
  const accounts = new AccountsService({
    ...{ db, record },
    openSharedWallet: (tx, accountId) => wallets.openShared(tx, accountId),
    onChange: (accountId) => identity.forgetOf("account", accountId),
  });
  const issuing = new Issuing({ accounts, wallets, peppers, environment, record });
  const keys = new KeysService({ db, accounts, issuing, identity, record, generateLimit });
  const plans = new Plans({ db, accounts, identity, record });
  const rotation = new Rotation({ db, identity, peppers, environment, record });
  const resolvers = [
    new AccountsResolver(accounts),
    new UserAccountResolver(accounts),
    new KeysResolver(keys, accounts, parts.usersById),
    new MyKeyResolver(keys),
    new RotationResolver(rotation),
    new RotationDueResolver(keys, accounts),
    new LeaksResolver(new Leaks({ db, identity, peppers, record })),
    new ImportResolver(new KeyImport({ db, accounts, issuing, peppers })),
    new AccountClosingResolver(new AccountClosing({ db, accounts, identity, disableMembers })),
    new PlansResolver(plans),
    new KeyPlanResolver(plans),
    new AccountPlanResolver(plans),
  ];
  const reminders = new RotationReminders(db, onError);
  const exposures = new Exposures({ db, peppers, keyGuesses, record });
  const running = new RunningCalls(db, onError);
  return { accounts, identity, keys, running, exposures, reminders, resolvers };
}
