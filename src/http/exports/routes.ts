import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { accessChecks } from "../../auth/access.ts";
import { type Context, viewerOf } from "../../auth/viewer.ts";
import { AppError } from "../../errors.ts";
import { Cancellation } from "../../tasks/cancellation.ts";
import { contentTypes, type ExportFormat, formatRows } from "../../usage/exports/format.ts";
import type { Export, ExportService } from "../../usage/exports/service.ts";
import type { Callers } from "../context.ts";
import { checkParameters, parametersOf, type Query, readAfter, readQuestion, readSelection } from "./query.ts";

/**
 * `GET /export/{usage,generations,entries}.{csv,jsonl}`: the tables behind the reports as streams. A page is read when
 * the client has taken the previous one, so memory use does not depend on the size of the export.
 */
export interface ExportRoutes {
  callers: Callers;
  exports: ExportService;
}

type Table = keyof typeof parametersOf;
const isTable = (text: string): text is Table => text in parametersOf;
const isFormat = (text: string): text is ExportFormat => text in contentTypes;

export function addExportRoutes(server: FastifyInstance, { callers, exports }: ExportRoutes): void {
  server.get("/export/:file", async (request: FastifyRequest, reply: FastifyReply) => {
    const { file } = request.params as { file: string };
    const [table = "", format = "", more] = file.split(".");
    if (!isTable(table) || !isFormat(format) || more !== undefined) throw new AppError("NOT_FOUND");
    const context = await callers.context(request, new Cancellation());
    const query = request.query as Query;
    const { columns, pages } = await open(exports, table, context, query);
    const rows = await begun(pages);
    reply.header("content-type", contentTypes[format]);
    reply.header("content-disposition", `attachment; filename="${table}.${format}"`);
    reply.header("cache-control", "no-store");
    // A stream of pages as strings: at most one is read ahead of the client.
    return reply.send(Readable.from(formatRows(format, columns, rows), { highWaterMark: 1 }));
  });
}

/** Reads the first item, so that a request that cannot be answered is refused before anything is sent. */
async function begun<T>(items: AsyncIterable<T>): Promise<AsyncIterable<T>> {
  const iterator = items[Symbol.asyncIterator]();
  const first = await iterator.next();
  return (async function* () {
    if (first.done) return;
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => iterator };
  })();
}

/** The same permissions as the queries `usage`, `generations` and `creditEntries`. */
function open(exports: ExportService, table: Table, context: Context, query: Query): Export | Promise<Export> {
  if (table === "entries") accessChecks.role(context, "MEMBER");
  else accessChecks.scope(context, "usage:read");
  checkParameters(query, parametersOf[table]);
  const viewer = viewerOf(context);
  if (table === "usage") return exports.usage(viewer, readQuestion(query), readAfter(query));
  return exports[table](viewer, readSelection(query), readAfter(query));
}
