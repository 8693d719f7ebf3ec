import type { Database } from "../db/client.ts";
import type { Logger } from "../log.ts";
import { Refusals } from "./refusals.ts";
import { AuditResolver } from "./resolver.ts";
import { AuditService } from "./service.ts";

export interface AuditParts {
  db: Database;
  auditKey: Buffer;
  log: Logger;
  onError: (error: unknown) => void;
}

/** Puts the audit together: `record` writes an event in the transaction of the change that it describes. */
export function openAudit({ db, auditKey, log, onError }: AuditParts) {
  const audit = new AuditService(db, auditKey);
  const { record } = audit;
  const refusals = new Refusals({ db, record, onError });
  const noteAnchor = async () => log.info({ anchor: await audit.anchor() }, "the audit ends here");
  return { audit, record, refusals, noteAnchor, resolvers: [new AuditResolver(audit)] };
}
