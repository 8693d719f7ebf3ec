import { and, asc, desc, eq, gt, gte, lt, lte, sql } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import { auditEvents, auditHead } from "../db/tables/ledger.ts";
import { AppError } from "../errors.ts";
import type { ChainEnd } from "./chain.ts";

export type AuditRow = typeof auditEvents.$inferSelect;
export type NewAuditEvent = Omit<AuditRow, "before" | "after"> & { before: object | null; after: object | null };

export type SealedEnd = ChainEnd & { seal: string | null };

/** Locks the end of the chain until the transaction ends. The lock gives events their order. */
export async function lockHead(tx: Executor): Promise<SealedEnd & { now: Date }> {
  const [head] = await tx
    .select({ seq: auditHead.seq, hash: auditHead.hash, seal: auditHead.seal })
    .from(auditHead)
    .where(eq(auditHead.id, 1))
    .for("update");
  if (!head) throw new AppError("INTERNAL", { cause: "audit_head has no row" });
  // Read after the lock was granted, so that timestamps follow the order of the chain.
  const [clock] = await tx.execute<{ now: string }>(
    sql`select to_json(date_trunc('milliseconds', clock_timestamp())) #>> '{}' as now`,
  );
  return { ...head, now: new Date(String(clock?.now)) };
}

export async function appendEvent(tx: Executor, event: NewAuditEvent, seal: string): Promise<void> {
  await tx.insert(auditEvents).values(event);
  await tx.update(auditHead).set({ seq: event.seq, hash: event.hash, seal }).where(eq(auditHead.id, 1));
}

export async function eventAt(tx: Executor, seq: bigint): Promise<AuditRow | undefined> {
  const [row] = await tx.select().from(auditEvents).where(eq(auditEvents.seq, seq));
  return row;
}

export async function readHead(tx: Executor): Promise<SealedEnd | undefined> {
  const [head] = await tx
    .select({ seq: auditHead.seq, hash: auditHead.hash, seal: auditHead.seal })
    .from(auditHead)
    .where(eq(auditHead.id, 1));
  return head;
}

/** In the order of the chain. */
export function eventsAfter(tx: Executor, seq: bigint, limit: number): Promise<AuditRow[]> {
  return tx.select().from(auditEvents).where(gt(auditEvents.seq, seq)).orderBy(asc(auditEvents.seq)).limit(limit);
}

export interface AuditSearch {
  actor?: string | undefined;
  action?: string | undefined;
  object?: string | undefined;
  accountId?: string | undefined;
  from?: Date | undefined;
  to?: Date | undefined;
}

export function listEvents(
  tx: Executor,
  { actor, action, object, accountId, from, to }: AuditSearch,
  page: { limit: number; beforeId: string | undefined },
): Promise<AuditRow[]> {
  const { seq, id } = auditEvents;
  return tx
    .select()
    .from(auditEvents)
    .where(
      and(
        actor === undefined ? undefined : eq(auditEvents.actor, actor),
        action === undefined ? undefined : eq(auditEvents.action, action),
        object === undefined ? undefined : eq(auditEvents.object, object),
        accountId === undefined ? undefined : eq(auditEvents.accountId, accountId),
        from === undefined ? undefined : gte(auditEvents.createdAt, from),
        to === undefined ? undefined : lte(auditEvents.createdAt, to),
        page.beforeId === undefined
          ? undefined
          : lt(seq, sql`(select e.seq from audit_events e where e.id = ${page.beforeId})`),
      ),
    )
    .orderBy(desc(seq), desc(id))
    .limit(page.limit + 1);
}
