import { Database, type Sql } from "../../src/db/client.ts";
import { PartitionMaintenance } from "../../src/ledger/rollups/partition-maintenance.ts";
import { progress } from "./progress.ts";

/**
 * A ledger of many calls, made inside the database: 90 days, 200 customers, 2,000 keys, 20 models. Of the calls some are
 * streamed, tagged with a team of their key, or made in the name of an end user of their customer.
 */
export const shape = {
  days: 90,
  accounts: 200,
  keys: 2000,
  models: 20,
  streamed: 0.2,
  tagged: 0.3,
  tags: 40,
  named: 0.1,
  endUsers: 20_000,
};
const chunk = 250_000;

/** Whether this database has such a ledger whole, whatever has been made of it since. */
export async function hasLedger(url: string, rows: number): Promise<boolean> {
  const db = new Database({ url, poolSize: 1 });
  try {
    const [built] = await db.sql`select rows from bench_built`;
    return Number(built?.["rows"]) === rows;
  } catch {
    return false;
  } finally {
    await db.close();
  }
}

/** Makes what is missing: the calls, their rollups, and the days and months that are final, which it answers the seconds of. */
export async function prepareLedger(url: string, rows: number): Promise<number> {
  const db = new Database({ url, poolSize: 2 });
  try {
    if (!(await hasLedger(url, rows))) await buildLedger(db.sql, rows);
    return await fold(db);
  } finally {
    await db.close();
  }
}

async function buildLedger(sql: Sql, rows: number): Promise<void> {
  await sql.unsafe("set synchronous_commit = off");
  await createPartitions(sql);
  const indexes = await dropIndexes(sql);
  await createKeys(sql);
  for (let from = 0; from < rows; from += chunk) {
    await insertCalls(sql, { from, to: Math.min(rows, from + chunk), of: rows });
    progress("calls", Math.min(rows, from + chunk) / rows);
  }
  for (const [i, index] of indexes.entries()) {
    await sql.unsafe(index);
    progress("indexes", (i + 1) / indexes.length);
  }
  for (let day = 0; day < shape.days; day++) {
    await rollUpDay(sql, day);
    progress("rollups", (day + 1) / shape.days);
  }
  await sql.unsafe("vacuum analyze");
  await sql`create table bench_built as select ${rows}::bigint as rows`;
}

/** As the server does by the hour; it knows by itself what is done. Answers how long it took, without the vacuum. */
async function fold(db: Database): Promise<number> {
  const count = async () =>
    (await db.sql`select count(*)::int as days from usage_folds where grain = 'DAY'`)[0]?.["days"];
  const [calendar] =
    await db.sql`select now()::date - date_trunc('month', min(hour), 'UTC')::date as days from usage_hourly`;
  const watch = setInterval(async () => {
    progress("folds", Math.min(0.99, Number(await count()) / Number(calendar?.["days"])));
  }, 2000);
  const startedAt = Date.now();
  const days = await new PartitionMaintenance(db, (error) => process.stderr.write(`${error}\n`)).run();
  const seconds = Math.round((Date.now() - startedAt) / 1000);
  clearInterval(watch);
  progress("folds", 1);
  if (days > 0) await db.sql.unsafe("vacuum analyze");
  return seconds;
}

async function createPartitions(sql: Sql): Promise<void> {
  for (let back = Math.ceil(shape.days / 28); back >= 1; back--) {
    const month = `date_trunc('month', now() at time zone 'UTC') - interval '${back} months'`;
    const [row] = await sql.unsafe(
      `select to_char(${month}, 'YYYYMM') as name, (${month})::date::text as start, (${month} + interval '1 month')::date::text as next`,
    );
    const { name, start, next } = row as unknown as Record<string, string>;
    // As the server makes them, with all that the planner is told.
    await sql.unsafe(`create table requests_${name} (like requests including all)`);
    await sql.unsafe(`alter table requests attach partition requests_${name}
      for values from ('${start}T00:00:00Z') to ('${next}T00:00:00Z')`);
  }
}

/** Loading into a table without indexes and building them once is several times faster. */
async function dropIndexes(sql: Sql): Promise<string[]> {
  const indexes = await sql`select indexname as name, indexdef as definition from pg_indexes
    where tablename = 'requests' and indexname <> 'requests_pkey'`;
  for (const { name } of indexes) await sql.unsafe(`drop index ${name}`);
  await sql.unsafe("alter table requests drop constraint requests_pkey");
  const key = "alter table requests add constraint requests_pkey primary key (account_id, id, created_at)";
  return [key, ...indexes.map(({ definition }) => String(definition).replace(" ON ONLY ", " ON "))];
}

/** Ids from the numbers of keys and customers, so that calls can name them without a look. */
const idOf = (kind: string, n: string) => `('00000000-0000-7000-8000-${kind}' || lpad(to_hex(${n}), 8, '0'))::uuid`;

async function createKeys(sql: Sql): Promise<void> {
  await sql.unsafe(`insert into accounts (id, name) select ${idOf("aaaa", "n")}, 'customer ' || n
    from generate_series(0, ${shape.accounts - 1}) n`);
  await sql.unsafe(`insert into api_keys (account_id, id, wallet_id, name, prefix, last4, scopes, created_by)
    select ${idOf("aaaa", `n % ${shape.accounts}`)}, ${idOf("bbbb", "n")}, ${idOf("cccc", "n")}, 'key ' || n, 'tg_live_', 'xxxx',
      '{generate}', 'bench' from generate_series(0, ${shape.keys - 1}) n`);
}

/** In the order of time, as calls come; few keys and models have most of them, as everywhere; times are log-normal. */
async function insertCalls(sql: Sql, { from, to, of }: { from: number; to: number; of: number }): Promise<void> {
  await sql.unsafe(`
    with call as materialized (
      select date_trunc('day', now(), 'UTC') - interval '${shape.days} days'
          + (n + random()) / ${of} * interval '${shape.days} days' as at,
        floor(${shape.keys} * power(random(), 3))::int as key, floor(${shape.models} * power(random(), 2))::int as model,
        random() as fate, random() as team, random() as visitor, random() as streamed, exp(6.5 + 0.8 * (random() + random() + random() - 1.5) * 2) as ms,
        floor(random() * 4000)::int as input, floor(random() * 1000)::int as output
      from generate_series(${from}, ${to - 1}) n
    )
    insert into requests (account_id, id, created_at, completed_at, api_key_id, wallet_id, model, provider, price_id, status,
      finish_reason, usage_source, input_tokens, cached_input_tokens, output_tokens, reasoning_tokens, reserved, charged,
      cost_nano_usd, balance_after, latency_ms, time_to_first_token_ms, tags, end_user, http_request_id)
    select ${idOf("aaaa", `key % ${shape.accounts}`)},
      (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || substr(md5(random()::text), 1, 3) || '8'
        || substr(md5(random()::text), 1, 15))::uuid,
      at, at + ms * interval '1 millisecond', ${idOf("bbbb", "key")}, ${idOf("cccc", "key")}, 'model-' || model,
      'provider-' || model % 4, ${idOf("dddd", "model")}, case when fate < 0.97 then 'COMPLETED' when fate < 0.99 then 'FAILED'
        else 'PARTIAL' end, 'STOP', 'PROVIDER', input, 0, output, 0, 10000000, input * 20 + output * 60, input * 150 + output * 600,
      0, ms::int, case when streamed < ${shape.streamed} then (ms / 5)::int end,
      case when team < ${shape.tagged} then array['team-' || (key + floor(power(team / ${shape.tagged}, 2) * 3)::int) % ${shape.tags}] else '{}' end,
      case when visitor < ${shape.named} then 'user-' || key % ${shape.accounts} || '-' || floor(power(visitor / ${shape.named}, 2) * ${shape.endUsers / shape.accounts}) end, 'bench'
    from call`);
}

const cell = "account_id, api_key_id, date_trunc('hour', created_at, 'UTC') as hour, model, provider, status";
const sums = "requests, input_tokens, cached_input_tokens, output_tokens, reasoning_tokens, charged, cost_nano_usd";
const summed = sums.replace("requests", "count(*)").replaceAll(/, (\w+)/g, ", sum($1)");
const labels = `lateral (
  select 'TAG' as label_kind, tag as label from unnest(tags) as tag
  union all select 'TAGGED', '' where cardinality(tags) > 0
  union all select 'END_USER', end_user where end_user is not null) l`;
const times = `lateral (values ('LATENCY', latency_ms), ('FIRST_TOKEN', time_to_first_token_ms)) as m(measure, ms)`;
const bucket = "case when ms <= 0 then -1 else ceil(ln(ms::float8) / ln(1.1::float8))::smallint end as bucket";

/** What the settle statement would have added up, call by call; hour after hour, as it would lie on the disk. */
async function rollUpDay(sql: Sql, day: number): Promise<void> {
  const start = `date_trunc('day', now(), 'UTC') - interval '${shape.days - day} days'`;
  const within = `created_at >= ${start} and created_at < ${start} + interval '1 day'`;
  await sql.unsafe(`insert into usage_hourly (account_id, api_key_id, hour, model, provider, status, ${sums})
    select ${cell}, ${summed} from requests where ${within} group by 1, 2, 3, 4, 5, 6 order by hour`);
  await sql.unsafe(`insert into usage_latency_hourly
      (account_id, api_key_id, hour, model, provider, status, measure, bucket, requests)
    select ${cell}, measure, ${bucket}, count(*) from requests, ${times} where ${within} and ms is not null
    group by 1, 2, 3, 4, 5, 6, 7, 8 order by hour`);
  await sql.unsafe(`insert into usage_label_hourly
      (account_id, api_key_id, hour, model, provider, status, label_kind, label, ${sums})
    select ${cell}, label_kind, label, ${summed} from requests, ${labels} where ${within}
    group by 1, 2, 3, 4, 5, 6, 7, 8 order by hour`);
  await sql.unsafe(`insert into usage_label_latency_hourly
      (account_id, api_key_id, hour, model, provider, status, label_kind, label, measure, bucket, requests)
    select ${cell}, label_kind, label, measure, ${bucket}, count(*) from requests, ${labels}, ${times}
    where ${within} and ms is not null group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 order by hour`);
}
