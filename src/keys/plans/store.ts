import { desc, eq, inArray, sql } from "drizzle-orm";
import type { Executor } from "../../db/client.ts";
import { plans } from "../../db/tables/ledger.ts";
import type { PlanRow } from "../store.ts";

export type NewPlan = Omit<typeof plans.$inferInsert, "createdAt" | "version">;

export async function insertPlan(tx: Executor, plan: NewPlan): Promise<PlanRow> {
  const [row] = await tx.insert(plans).values(plan).returning();
  return row as PlanRow;
}

export async function lockPlan(tx: Executor, id: string): Promise<PlanRow | undefined> {
  const [row] = await tx.select().from(plans).where(eq(plans.id, id)).for("update");
  return row;
}

/** The new version also notifies every replica (by a trigger of the change feed). */
export async function updatePlan(tx: Executor, id: string, change: Partial<NewPlan>): Promise<PlanRow> {
  const [row] = await tx
    .update(plans)
    .set({ ...change, version: sql`${plans.version} + 1` })
    .where(eq(plans.id, id))
    .returning();
  return row as PlanRow;
}

export async function deletePlan(tx: Executor, id: string): Promise<void> {
  await tx.delete(plans).where(eq(plans.id, id));
}

export function listPlans(tx: Executor, limit: number): Promise<PlanRow[]> {
  return tx.select().from(plans).orderBy(desc(plans.id)).limit(limit);
}

export async function plansById(tx: Executor, ids: readonly string[]): Promise<Map<string, PlanRow>> {
  const rows = await tx
    .select()
    .from(plans)
    .where(inArray(plans.id, [...ids]));
  return new Map(rows.map((row) => [row.id, row]));
}
