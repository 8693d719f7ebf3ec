import type postgres from "postgres";

/**
 * What must hold of a ledger at rest, asked of the tables alone and written without a look at the code that fills
 * them. Each query returns what breaks its rule.
 */
const rules: Record<string, string> = {
  "every hold is closed": "select account_id, id from holds where state = 'open'",
  "held is the sum of open holds": `
    select w.id, w.held from wallets w where w.held <>
      (select coalesce(sum(amount), 0) from holds h
       where h.account_id = w.account_id and h.wallet_id = w.id and h.state = 'open')`,
  "a balance is the sum of its entries": `
    select w.id, w.balance from wallets w where w.balance <>
      (select coalesce(sum(amount), 0) from credit_entries e where e.account_id = w.account_id and e.wallet_id = w.id)`,
  "a balance is what the lots have left, less what is not yet burnt": `
    select w.id, w.balance, w.unburnt from wallets w where w.balance + w.unburnt <>
      (select coalesce(sum(remaining), 0) from credit_lots l where l.account_id = w.account_id and l.wallet_id = w.id)`,
  "a closed hold has one request, and a request has one closed hold": `
    select h.id as hold, r.id as request, h.state, n from holds h full join
      (select account_id, id, count(*) as n from requests group by 1, 2) r using (account_id, id)
    where n is distinct from 1 or h.state is null or h.state = 'open'`,
  "a settled hold has one charge, and no other has any": `
    select h.id, h.state, r.charged, e.n, e.amount from holds h
      join requests r using (account_id, id)
      left join (select account_id, request_id, count(*) as n, sum(amount) as amount from credit_entries
        where kind = 'CHARGE' group by 1, 2) e on e.account_id = h.account_id and e.request_id = h.id
    where (h.state = 'settled' and (r.charged = 0 or e.n is distinct from 1 or e.amount <> -r.charged))
      or (h.state = 'released' and (r.charged <> 0 or e.n is not null)) or r.charged > h.amount`,
  "only an abandoned call ends by its lease": `
    select id from holds h join requests r using (account_id, id)
    where r.status = 'ABANDONED' and (h.closed_at < h.lease_expires_at or r.charged <> 0)`,
  "budgets hold nothing": "select * from budget_windows where held <> 0",
  "no closed hold draws on a budget": "select * from hold_budgets",
  "budgets have used what was charged": `
    select b.scope_id, b.unit, b.period, b.used, t.* from budget_windows b, lateral (
      select coalesce(sum(case b.unit when 'USD' then cost_nano_usd else charged end), 0) as spent from requests r
      where r.account_id = b.account_id and b.scope_id in (r.account_id, r.api_key_id)
        and date_trunc(b.period, r.created_at at time zone 'UTC')::date = b.starts_on) t
    where b.used <> t.spent`,
  "the rollup is the sum of the requests": `
    select * from (
      select account_id, api_key_id, hour, status, sum(requests) as n, sum(charged) as charged,
        sum(output_tokens) as tokens, sum(cost_nano_usd) as cost from usage_hourly group by 1, 2, 3, 4) u
    full join (
      select account_id, api_key_id, date_trunc('hour', created_at, 'UTC') as hour, status, count(*) as n,
        sum(charged) as charged, sum(output_tokens) as tokens, sum(cost_nano_usd) as cost
      from requests group by 1, 2, 3, 4) r using (account_id, api_key_id, hour, status)
    where (u.n, u.charged, u.tokens, u.cost) is distinct from (r.n, r.charged, r.tokens, r.cost)`,
  "the histogram counts each request once": `
    select (select coalesce(sum(requests), 0) from usage_latency_hourly where measure = 'LATENCY') as counted,
      (select count(*) from requests) as written
    where (select coalesce(sum(requests), 0) from usage_latency_hourly where measure = 'LATENCY')
      <> (select count(*) from requests)`,
};

/** Of a ledger at rest; empty when all is well. */
export async function findBreaks(sql: postgres.Sql<{ bigint: bigint }>): Promise<string[]> {
  const breaks: string[] = [];
  for (const [rule, query] of Object.entries(rules)) {
    for (const row of await sql.unsafe(query)) {
      const found = JSON.stringify(row, (_name, value) => (typeof value === "bigint" ? String(value) : value));
      breaks.push(`${rule}: ${found}`);
    }
  }
  return breaks;
}
