import { asc, eq, sql } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import { modelPrices, models } from "../db/tables.ts";

export type ModelRow = typeof models.$inferSelect;
export type PriceRow = typeof modelPrices.$inferSelect;
export type NewModel = Omit<ModelRow, "createdAt">;
export type NewPrice = Omit<PriceRow, "version" | "createdAt" | "effectiveFrom"> & { effectiveFrom: Date | null };

export interface CatalogueRows {
  models: ModelRow[];
  /** By model, oldest version first. */
  prices: PriceRow[];
  databaseNow: Date;
}

export async function readCatalogue(tx: Executor): Promise<CatalogueRows> {
  const rows = await tx
    .select({ model: models, price: modelPrices, databaseNow: sql<string>`now()` })
    .from(models)
    .leftJoin(modelPrices, eq(modelPrices.modelId, models.id))
    .orderBy(asc(models.name), asc(modelPrices.version));
  return {
    models: [...new Map(rows.map(({ model }) => [model.id, model])).values()],
    prices: rows.flatMap(({ price }) => price ?? []),
    databaseNow: new Date(rows[0]?.databaseNow ?? Date.now()),
  };
}

export async function modelByName(tx: Executor, name: string): Promise<ModelRow | undefined> {
  const [row] = await tx.select().from(models).where(eq(models.name, name));
  return row;
}

export async function upsertModel(tx: Executor, model: NewModel): Promise<ModelRow> {
  const { id: _id, name: _name, ...change } = model;
  const [row] = await tx
    .insert(models)
    .values(model)
    .onConflictDoUpdate({ target: models.name, set: change })
    .returning();
  return row as ModelRow;
}

/** True if the model was not there before. */
export async function insertModelIfAbsent(tx: Executor, model: NewModel): Promise<boolean> {
  const rows = await tx.insert(models).values(model).onConflictDoNothing({ target: models.name }).returning();
  return rows.length === 1;
}

/** The unique version number makes one of two racing writers fail rather than overwrite. */
export async function insertPrice(tx: Executor, price: NewPrice): Promise<PriceRow> {
  const [row] = await tx
    .insert(modelPrices)
    .values({
      ...price,
      effectiveFrom: price.effectiveFrom ?? sql`now()`,
      version: sql`(select coalesce(max(version), 0) + 1 from model_prices where model_id = ${price.modelId})`,
    })
    .returning();
  return row as PriceRow;
}
