import type { RecordChange } from "../auth/record-change.ts";
import type { Origin } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { AppError } from "../errors.ts";
import type { LoadMany } from "../graphql/loaders.ts";
import { toWire } from "../ids.ts";
import { type BudgetColumns, type BudgetInput, budgetsToText, readBudgets } from "../ledger/budgets.ts";
import { accountBudgetsById, updateAccountBudgets } from "./store.ts";

/**
 * What all keys of an account together may cost in a day or month of UTC. A budget is reserved and settled with the
 * credits of each call. Every replica enforces a change within five seconds.
 */
export class BudgetsService {
  readonly #db: Database;
  readonly byAccount: LoadMany<BudgetColumns>;

  readonly #record: RecordChange;

  constructor(db: Database, record: RecordChange) {
    this.#db = db;
    this.#record = record;
    this.byAccount = (ids) => accountBudgetsById(db.orm, ids);
  }

  /** Replaces all four; what is absent has no limit. */
  async set(origin: Origin, accountId: string, order: BudgetInput): Promise<BudgetColumns> {
    const budgets = readBudgets(order);
    await this.#db.transaction(async (tx) => {
      const before = (await accountBudgetsById(tx, [accountId])).get(accountId);
      if (!before || !(await updateAccountBudgets(tx, accountId, budgets))) throw new AppError("NOT_FOUND");
      const sides = { before: budgetsToText(before), after: budgetsToText(budgets) };
      await this.#record(tx, origin, {
        action: "account.setBudgets",
        object: toWire("acc", accountId),
        accountId,
        ...sides,
      });
    });
    return budgets;
  }
}
