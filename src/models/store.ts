import { and, asc, eq, isNull, sql } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import { takeLock } from "../db/locks.ts";
import { modelAliases, modelPrices, modelServices, models } from "../db/tables/models.ts";

export type ModelRow = typeof models.$inferSelect;
export type PriceRow = typeof modelPrices.$inferSelect;
export type AliasRow = typeof modelAliases.$inferSelect;
export type ServiceRow = typeof modelServices.$inferSelect;
export type NewModel = Omit<ModelRow, "createdAt">;
export type NewPrice = Omit<PriceRow, "version" | "createdAt" | "effectiveFrom" | "cancelledAt"> & {
  effectiveFrom: Date | null;
};

export interface CatalogueRows {
  /** By name. */
  models: ModelRow[];
  /** By model, in the order in which they take effect. */
  prices: PriceRow[];
  aliases: AliasRow[];
  services: ServiceRow[];
  databaseNow: Date;
}

export async function readCatalogue(tx: Executor): Promise<CatalogueRows> {
  const [rows, aliases, services] = await Promise.all([
    tx
      .select({ model: models, price: modelPrices, databaseNow: sql<string>`now()` })
      .from(models)
      .leftJoin(modelPrices, eq(modelPrices.modelId, models.id))
      .orderBy(asc(models.name), asc(modelPrices.effectiveFrom), asc(modelPrices.version)),
    readAliases(tx),
    readServices(tx),
  ]);
  return {
    models: [...new Map(rows.map(({ model }) => [model.id, model])).values()],
    prices: rows.flatMap(({ price }) => price ?? []),
    aliases,
    services,
    databaseNow: new Date(rows[0]?.databaseNow ?? Date.now()),
  };
}

/** Makes changes of the catalogue wait for each other, so that no name gets two meanings. */
export function lockCatalogue(tx: Executor): Promise<void> {
  return takeLock(tx, "catalogue");
}

export async function modelByName(tx: Executor, name: string): Promise<ModelRow | undefined> {
  const [row] = await tx.select().from(models).where(eq(models.name, name));
  return row;
}

export async function modelByAlias(tx: Executor, name: string): Promise<ModelRow | undefined> {
  const [row] = await tx
    .select({ model: models })
    .from(modelAliases)
    .innerJoin(models, eq(models.id, modelAliases.modelId))
    .where(eq(modelAliases.name, name))
    .limit(1);
  return row?.model;
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
export async function insertModelIfAbsent(
  tx: Executor,
  model: Partial<NewModel> & Pick<NewModel, "id" | "name">,
): Promise<boolean> {
  const rows = await tx.insert(models).values(model).onConflictDoNothing({ target: models.name }).returning();
  return rows.length === 1;
}

/** By the database's clock. */
export async function isPast(tx: Executor, instant: Date): Promise<boolean> {
  const [row] = await tx.execute(sql`select ${instant.toISOString()}::timestamptz < now() as past`);
  return (row as { past: boolean }).past;
}

/**
 * The unique version number makes one of two racing writers fail rather than overwrite. The clock is read after the
 * version, because `now()`, the start of the transaction, may precede a price that was committed meanwhile.
 */
export async function insertPrice(tx: Executor, price: NewPrice): Promise<PriceRow> {
  const [row] = await tx
    .insert(modelPrices)
    .values({
      ...price,
      effectiveFrom: price.effectiveFrom ?? sql`clock_timestamp()`,
      version: sql`(select coalesce(max(version), 0) + 1 from model_prices where model_id = ${price.modelId})`,
    })
    .returning();
  return row as PriceRow;
}

/** Undefined unless the price is scheduled. */
export async function cancelScheduledPrice(tx: Executor, id: string): Promise<PriceRow | undefined> {
  const { cancelledAt, effectiveFrom } = modelPrices;
  const [row] = await tx
    .update(modelPrices)
    .set({ cancelledAt: sql`clock_timestamp()` })
    .where(and(eq(modelPrices.id, id), isNull(cancelledAt), sql`${effectiveFrom} > clock_timestamp()`))
    .returning();
  return row;
}

export async function priceExists(tx: Executor, id: string): Promise<boolean> {
  return (await tx.select({ id: modelPrices.id }).from(modelPrices).where(eq(modelPrices.id, id))).length > 0;
}

export async function readAliases(tx: Executor, name?: string): Promise<AliasRow[]> {
  return tx
    .select()
    .from(modelAliases)
    .where(name === undefined ? undefined : eq(modelAliases.name, name))
    .orderBy(asc(modelAliases.name), asc(modelAliases.modelId));
}

export async function deleteAlias(tx: Executor, name: string): Promise<void> {
  await tx.delete(modelAliases).where(eq(modelAliases.name, name));
}

export async function insertAlias(tx: Executor, rows: AliasRow[]): Promise<void> {
  await tx.insert(modelAliases).values(rows);
}

export async function readServices(tx: Executor): Promise<ServiceRow[]> {
  return tx.select().from(modelServices).orderBy(asc(modelServices.name));
}

export async function serviceByName(tx: Executor, name: string): Promise<ServiceRow | undefined> {
  const [row] = await tx.select().from(modelServices).where(eq(modelServices.name, name));
  return row;
}

export async function upsertService(
  tx: Executor,
  service: Omit<ServiceRow, "createdAt" | "version">,
): Promise<ServiceRow> {
  const { name: _name, ...change } = service;
  const [row] = await tx
    .insert(modelServices)
    .values(service)
    .onConflictDoUpdate({ target: modelServices.name, set: { ...change, version: sql`${modelServices.version} + 1` } })
    .returning();
  return row as ServiceRow;
}

export async function deleteService(tx: Executor, name: string): Promise<void> {
  await tx.delete(modelServices).where(eq(modelServices.name, name));
}

/** An enabled model that runs on the service, if there is any. */
export async function modelOfService(tx: Executor, service: string): Promise<ModelRow | undefined> {
  const [row] = await tx
    .select()
    .from(models)
    .where(and(eq(models.provider, service), eq(models.enabled, true)))
    .limit(1);
  return row;
}
