import { Readable } from "node:stream";
import type { FastifyInstance } from "fastify";
import { formatLines } from "../../audit/export.ts";
import type { AuditService } from "../../audit/service.ts";
import { accessChecks } from "../../auth/access.ts";
import { badInput } from "../../errors.ts";
import { Cancellation } from "../../tasks/cancellation.ts";
import { contentTypes } from "../../usage/exports/format.ts";
import type { Callers } from "../context.ts";

/**
 * `GET /export/audit.jsonl`: the whole audit chain, or the events after one (`?after=` its `seq`), for callers who may
 * read `auditEvents`. A page is read when the client has taken the previous one.
 */
export function addAuditExport(server: FastifyInstance, callers: Callers, audit: AuditService): void {
  server.get("/export/audit.jsonl", async (request, reply) => {
    const context = await callers.context(request, new Cancellation());
    accessChecks.role(context, "ANALYST");
    const { after = "0", ...unknown } = request.query as Record<string, unknown>;
    if (Object.keys(unknown).length > 0) throw badInput("There is no parameter of this name. Known: after.");
    if (typeof after !== "string" || !/^\d{1,18}$/.test(after)) throw badInput("after must be the seq of an event.");
    reply.header("content-type", contentTypes.jsonl);
    reply.header("content-disposition", 'attachment; filename="audit.jsonl"');
    reply.header("cache-control", "no-store");
    return reply.send(Readable.from(formatLines(audit.pagesAfter(BigInt(after))), { highWaterMark: 1 }));
  });
}
