import type { Dimension } from "../question/dimensions.ts";
import { type MetricsRow, noUsage, type Report, type ReportRow } from "../question/question.ts";

/** A report as lines of a chart. Every line has a point for every bucket, so that a chart shows gaps as zeros. Pure. */
export interface Timeline {
  asOf: Date;
  groupBy: Dimension[];
  series: Series[];
}

interface Series {
  group: Pick<ReportRow, "ids" | "labels" | "key">;
  points: { bucket: Date; metrics: MetricsRow }[];
}

const wholeSpan: Series["group"] = { ids: [], labels: [], key: "{}" };

/** `order` has the keys of the groups in the order of their lines; other lines come last. */
export function toTimeline({ asOf, groupBy, rows }: Report, buckets: Date[], order: (string | null)[]): Timeline {
  const byKey = new Map<string | null, ReportRow[]>();
  for (const row of rows) byKey.set(row.key, [...(byKey.get(row.key) ?? []), row]);
  if (groupBy.length === 0 && rows.length === 0) byKey.set(wholeSpan.key, []);
  const place = (key: string | null) => (order.includes(key) ? order.indexOf(key) : order.length);
  const lines = [...byKey].sort(([a], [b]) => place(a) - place(b));
  return { asOf, groupBy, series: lines.map(([, found]) => toSeries(found, buckets)) };
}

function toSeries(rows: ReportRow[], buckets: Date[]): Series {
  const byBucket = new Map(rows.map((row) => [row.bucket?.getTime(), row]));
  const points = buckets.map((bucket) => ({ bucket, metrics: byBucket.get(bucket.getTime()) ?? noUsage }));
  return { group: rows[0] ?? wholeSpan, points };
}
