import { and, desc, eq, sql } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import { alerts } from "../db/tables/ledger.ts";
import type { PageRequest } from "../graphql/pagination.ts";

export type AlertRow = typeof alerts.$inferSelect;

export interface AlertSearch {
  accountId?: string | undefined;
  kind?: string | undefined;
}

export function listAlerts(tx: Executor, { accountId, kind }: AlertSearch, page: PageRequest): Promise<AlertRow[]> {
  const { id, createdAt } = alerts;
  return tx
    .select()
    .from(alerts)
    .where(
      and(
        accountId === undefined ? undefined : eq(alerts.accountId, accountId),
        kind === undefined ? undefined : eq(alerts.kind, kind),
        // Some alerts are raised by SQL, with ids that are not in order of time.
        page.beforeId === undefined
          ? undefined
          : sql`(${createdAt}, ${id}) < (select a.created_at, a.id from ${alerts} a where a.id = ${page.beforeId})`,
      ),
    )
    .orderBy(desc(createdAt), desc(id))
    .limit(page.limit + 1);
}
