import type { RecordChange } from "../auth/record-change.ts";
import type { Origin } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { AppError, badInput } from "../errors.ts";
import type { LoadMany } from "../graphql/loaders.ts";
import { toWire } from "../ids.ts";
import { formatCredits, formatUsd, parseCredits, parseUsd } from "../ledger/amount.ts";
import { accountBudgetsById, type BudgetRow, updateAccountBudgets } from "./store.ts";

/**
 * Budgets of an account, shared by all its keys, a day or a month of UTC. Each call reserves and settles its budgets
 * together with its credits. Running replicas enforce a change within five seconds, the lifetime of their key cache.
 */
export interface BudgetChange {
  dailyBudgetUsd?: string | null | undefined;
  monthlyBudgetUsd?: string | null | undefined;
  dailyBudgetCredits?: string | null | undefined;
  monthlyBudgetCredits?: string | null | undefined;
}

export class BudgetsService {
  readonly #db: Database;
  readonly byAccount: LoadMany<BudgetRow>;

  readonly #record: RecordChange;

  constructor(db: Database, record: RecordChange) {
    this.#db = db;
    this.#record = record;
    this.byAccount = (ids) => accountBudgetsById(db.orm, ids);
  }

  /** Replaces all four budgets. An absent budget means no limit. */
  async set(origin: Origin, accountId: string, order: BudgetChange): Promise<BudgetRow> {
    const budgets = {
      dailyBudgetNanoUsd: read(parseUsd, order.dailyBudgetUsd, "dailyBudgetUsd"),
      monthlyBudgetNanoUsd: read(parseUsd, order.monthlyBudgetUsd, "monthlyBudgetUsd"),
      dailyBudgetMicroCredits: read(parseCredits, order.dailyBudgetCredits, "dailyBudgetCredits"),
      monthlyBudgetMicroCredits: read(parseCredits, order.monthlyBudgetCredits, "monthlyBudgetCredits"),
    };
    await this.#db.transaction(async (tx) => {
      const before = (await accountBudgetsById(tx, [accountId])).get(accountId);
      if (!before || !(await updateAccountBudgets(tx, accountId, budgets))) throw new AppError("NOT_FOUND");
      const sides = { before: toAudit(before), after: toAudit(budgets) };
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

function toAudit(budgets: BudgetRow): object {
  const { dailyBudgetNanoUsd, monthlyBudgetNanoUsd, dailyBudgetMicroCredits, monthlyBudgetMicroCredits } = budgets;
  const text = (format: (amount: bigint) => string, amount: bigint | null) => (amount === null ? null : format(amount));
  return {
    dailyBudgetUsd: text(formatUsd, dailyBudgetNanoUsd),
    monthlyBudgetUsd: text(formatUsd, monthlyBudgetNanoUsd),
    dailyBudgetCredits: text(formatCredits, dailyBudgetMicroCredits),
    monthlyBudgetCredits: text(formatCredits, monthlyBudgetMicroCredits),
  };
}

function read(
  parse: (text: string, field: string) => bigint,
  text: string | null | undefined,
  field: string,
): bigint | null {
  if (text == null) return null;
  const budget = parse(text, field);
  if (budget < 0n) throw badInput(`${field} must not be negative.`, { field });
  return budget;
}
