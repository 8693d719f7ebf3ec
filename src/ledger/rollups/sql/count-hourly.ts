/**
 * The hourly rollups, as CTEs that follow one named `request` which returns the rows that were just inserted into
 * `requests`: the rollups commit with the rows or not at all, so no report can differ from the ledger.
 *
 * Every rollup row names the key, and a key draws on one wallet, which the statement has locked before. Two statements
 * therefore never wait for each other here that did not already wait there; the order of the keys keeps a deadlock out
 * even if a key is ever moved to another wallet.
 *
 * Times are counted in log-spaced buckets: bucket b holds the milliseconds above 1.1^(b-1) up to 1.1^b, and -1 holds 0.
 * A percentile that is read as the bucket's middle is off by at most 4.8 % (0.1 / 2.1), however buckets are merged.
 */
export const bucketGrowth = 1.1;
export const bucketErrorMax = (bucketGrowth - 1) / (bucketGrowth + 1);

const summed = [
  ..."input_tokens cached_input_tokens cache_write_tokens cache_write_1h_tokens output_tokens reasoning_tokens".split(
    " ",
  ),
  ..."charged cost_nano_usd".split(" "),
];

const sumNames = `requests, ${summed.join(", ")}`;

const sumsOf = `count(*), ${summed.map((name) => `sum(${name})`).join(", ")}`;

const addSums = ["requests", ...summed].map((name) => `${name} = u.${name} + excluded.${name}`).join(", ");

const measures = `lateral (values ('LATENCY', latency_ms), ('FIRST_TOKEN', time_to_first_token_ms)) as m(measure, ms)`;

/** The only integer power of `bucketGrowth` is 1, so rounding cannot move a bound. */
const bucketOf = `case when ms <= 0 then -1 else ceil(ln(ms::float8) / ln(${bucketGrowth}::float8))::smallint end`;

/** Counts request rows just written. Append it, with its leading comma, to the CTEs of the statement that writes them. */
export const rollupCtes = `, cell as not materialized (
      select account_id, api_key_id, date_trunc('hour', created_at, 'UTC') as hour, model, provider, status,
        ${summed.join(", ")}, latency_ms, time_to_first_token_ms, tags, end_user
      from request
    ), rolled as (
      insert into usage_hourly as u (account_id, api_key_id, hour, model, provider, status, ${sumNames})
      select account_id, api_key_id, hour, model, provider, status, ${sumsOf}
      from cell group by 1, 2, 3, 4, 5, 6 order by 1, 2, 3, 4, 5, 6
      on conflict (account_id, api_key_id, hour, model, provider, status) do update set ${addSums}
    ), timed as (
      insert into usage_latency_hourly as u
        (account_id, api_key_id, hour, model, provider, status, measure, bucket, requests)
      select account_id, api_key_id, hour, model, provider, status, measure, ${bucketOf}, count(*)
      from cell, ${measures} where ms is not null
      group by 1, 2, 3, 4, 5, 6, 7, 8 order by 1, 2, 3, 4, 5, 6, 7, 8
      on conflict (account_id, api_key_id, hour, model, provider, status, measure, bucket)
        do update set requests = u.requests + excluded.requests
    )`;

/** The same for calls with tags or an end user. Append it to `rollupCtes`. */
export const labelRollupCtes = `, labelled as (
      select cell.*, label_kind, label from cell, lateral (
        select 'TAG' as label_kind, tag as label from unnest(tags) as tag
        union all select 'TAGGED', '' where cardinality(tags) > 0
        union all select 'END_USER', end_user where end_user is not null
      ) l
    ), rolled_label as (
      insert into usage_label_hourly as u
        (account_id, api_key_id, hour, label_kind, label, model, provider, status, ${sumNames})
      select account_id, api_key_id, hour, label_kind, label, model, provider, status, ${sumsOf}
      from labelled group by 1, 2, 3, 4, 5, 6, 7, 8 order by 1, 2, 3, 4, 5, 6, 7, 8
      on conflict (account_id, api_key_id, hour, label_kind, label, model, provider, status)
        do update set ${addSums}
    ), timed_label as (
      insert into usage_label_latency_hourly as u
        (account_id, api_key_id, hour, label_kind, label, model, provider, status, measure, bucket, requests)
      select account_id, api_key_id, hour, label_kind, label, model, provider, status, measure, ${bucketOf}, count(*)
      from labelled, ${measures} where ms is not null
      group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 order by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
      on conflict (account_id, api_key_id, hour, label_kind, label, model, provider, status, measure, bucket)
        do update set requests = u.requests + excluded.requests
    )`;
