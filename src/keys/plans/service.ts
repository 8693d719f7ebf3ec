import type { AccountsService } from "../../accounts/service.ts";
import type { RecordChange } from "../../auth/record-change.ts";
import type { Origin } from "../../auth/viewer.ts";
import type { Database } from "../../db/client.ts";
import { isForeignKeyViolation, isUniqueViolation } from "../../db/errors.ts";
import { AppError, badInput } from "../../errors.ts";
import type { Loaders, LoadMany } from "../../graphql/loaders.ts";
import { newId, toWire } from "../../ids.ts";
import { limitsToAudit } from "../audit-record.ts";
import type { KeyIdentity } from "../identity.ts";
import { type KeyInput, readSettings } from "../rules/key-input.ts";
import type { KeyRow, PlanRow } from "../store.ts";
import { deletePlan, insertPlan, listPlans, lockPlan, type NewPlan, plansById, updatePlan } from "./store.ts";

/**
 * Plans: default limits for many keys. A key refers to its plan and copies nothing, so that a change of the plan
 * applies to all of its keys at once. A key's own limits take precedence.
 */
export interface PlanInput
  extends Pick<KeyInput, "models" | "requestsPerMinute" | "tokensPerMinute" | "maxConcurrency">,
    Pick<KeyInput, "dailyBudgetUsd" | "monthlyBudgetUsd" | "dailyBudgetCredits" | "monthlyBudgetCredits"> {
  name?: string | null | undefined;
  description?: string | null | undefined;
}

const plansMax = 1000;
const descriptionLengthMax = 1000;

export interface PlansOptions {
  db: Database;
  accounts: AccountsService;
  identity: KeyIdentity;
  record: RecordChange;
}

export class Plans {
  readonly #db: Database;
  readonly #accounts: AccountsService;
  readonly #identity: KeyIdentity;
  readonly #record: RecordChange;
  readonly byId: LoadMany<PlanRow>;

  constructor({ db, accounts, identity, record }: PlansOptions) {
    this.#db = db;
    this.#accounts = accounts;
    this.#identity = identity;
    this.#record = record;
    this.byId = (ids) => plansById(db.orm, ids);
  }

  /** The key's own plan, else its account's. */
  async of(
    { planId, accountId }: Pick<KeyRow, "planId" | "accountId">,
    loaders: Loaders,
  ): Promise<PlanRow | undefined> {
    const id = planId ?? (await loaders.load(this.#accounts.byId, accountId))?.planId;
    return id ? loaders.load(this.byId, id) : undefined;
  }

  list(): Promise<PlanRow[]> {
    return listPlans(this.#db.orm, plansMax);
  }

  async create(origin: Origin, terms: PlanInput & { name: string }): Promise<PlanRow> {
    const plan = { id: newId(), name: terms.name, ...readPlan(terms) };
    return naming(() =>
      this.#db.transaction(async (tx) => {
        const row = await insertPlan(tx, plan);
        await this.#record(tx, origin, { ...changeOf("create", row), after: toAudit(row) });
        return row;
      }),
    );
  }

  async update(origin: Origin, id: string, terms: PlanInput): Promise<PlanRow> {
    const change = readPlan(terms);
    const plan = await naming(() =>
      this.#db.transaction(async (tx) => {
        const before = await lockPlan(tx, id);
        if (!before) throw new AppError("NOT_FOUND", { message: "No such plan." });
        const after = await updatePlan(tx, id, change);
        await this.#record(tx, origin, {
          ...changeOf("update", after),
          before: toAudit(before),
          after: toAudit(after),
        });
        return after;
      }),
    );
    this.#identity.forgetOf("plan", id);
    return plan;
  }

  /** @throws CONFLICT while a key or an account has it: deleting it would silently lift their limits */
  async delete(origin: Origin, id: string): Promise<void> {
    try {
      await this.#db.transaction(async (tx) => {
        const before = await lockPlan(tx, id);
        if (!before) throw new AppError("NOT_FOUND", { message: "No such plan." });
        await deletePlan(tx, id);
        await this.#record(tx, origin, { ...changeOf("delete", before), before: toAudit(before), after: null });
      });
    } catch (error) {
      if (!isForeignKeyViolation(error)) throw error;
      throw new AppError("CONFLICT", { message: "Keys or accounts have this plan.", cause: error });
    }
  }
}

function readPlan({ name, description, ...limits }: PlanInput): Partial<NewPlan> {
  if ((description?.length ?? 0) > descriptionLengthMax) {
    throw badInput(`description has at most ${descriptionLengthMax} characters.`, { field: "description" });
  }
  const read = readSettings({ ...limits, ...(name !== undefined && { name }) });
  return { ...read, ...(description !== undefined && { description }) };
}

async function naming<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new AppError("CONFLICT", { message: "There is a plan of this name.", cause: error });
  }
}

function changeOf(verb: string, { id }: PlanRow) {
  return { action: `plan.${verb}`, object: toWire("pln", id), accountId: null };
}

function toAudit(plan: PlanRow): object {
  const { name, description, version } = plan;
  return { name, description, ...limitsToAudit(plan), version };
}
