import type { RecordChange } from "../auth/record-change.ts";
import type { Database } from "../db/client.ts";
import { BiAccess } from "./bi/service.ts";
import { DenialReportsResolver } from "./denials/resolver.ts";
import { DenialReports } from "./denials/service.ts";
import { ExportService } from "./exports/service.ts";
import { ForecastService } from "./forecast/service.ts";
import { ReconcileResolver } from "./reconcile/resolver.ts";
import { Reconciler } from "./reconcile/service.ts";
import { UsageResolver, UsageViewsResolver } from "./resolver.ts";
import { UsageService } from "./service.ts";

export interface UsageParts {
  db: Database;
  /** Connections for reports alone, so that no report can hold up a call. */
  reports: Database;
  record: RecordChange;
}

/** Puts the feature together: reports, exports, forecasts, reconciliation, and access for BI tools. */
export function openUsage({ db, reports, record }: UsageParts) {
  const usage = new UsageService(reports);
  const resolvers = [
    new UsageResolver(usage),
    new DenialReportsResolver(new DenialReports(reports)),
    new ReconcileResolver(new Reconciler(db)),
    new UsageViewsResolver(usage, new ForecastService(reports)),
  ];
  return { usage, exports: new ExportService(reports), bi: new BiAccess(db, record), resolvers };
}
