import { sql } from "drizzle-orm";
import type { Executor } from "../../../db/client.ts";
import type { UsageSelection } from "../../question/question.ts";
import { columnConditions } from "./filter-conditions.ts";

/** Calls of a day that another model answered than the one asked for: the base of a preset, or a fallback. */
export interface ServedInstead {
  day: Date;
  asked: string;
  served: string;
  inputTokens: bigint;
  outputTokens: bigint;
  /** As corrected. */
  costNanoUsd: bigint;
}

/** The rollups count calls by the model asked for. The few that differ are found by an index of their own. */
export async function servedInstead(tx: Executor, { from, to, ...filter }: UsageSelection): Promise<ServedInstead[]> {
  const rows = await tx.execute(sql`
    select date_trunc('day', created_at, 'UTC') as day, model as asked, served_model as served,
      sum(input_tokens)::bigint as "inputTokens", sum(output_tokens)::bigint as "outputTokens",
      sum(cost_nano_usd + coalesce((select sum(a.cost_nano_usd) from request_adjustments a
        where a.account_id = requests.account_id and a.request_id = requests.id), 0))::bigint as "costNanoUsd"
    from requests
    where served_model <> model
      and created_at >= ${from.toISOString()}::timestamptz and created_at < ${to.toISOString()}::timestamptz
      and ${sql.join([sql`true`, ...columnConditions(filter)], sql` and `)}
    group by 1, 2, 3`);
  return rows.map((row) => ({ ...row, day: new Date(String(row["day"])) })) as unknown as ServedInstead[];
}
