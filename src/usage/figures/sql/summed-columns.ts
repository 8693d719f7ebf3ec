/** The sums of a report by their names in a row of it: columns of the rows that a report aggregates. */
export const summedColumns = {
  requests: "requests",
  failures: "failures",
  inputTokens: "input_tokens",
  cachedInputTokens: "cached_input_tokens",
  cacheWriteTokens: "cache_write_tokens",
  cacheWrite1hTokens: "cache_write_1h_tokens",
  outputTokens: "output_tokens",
  charged: "charged",
  costNanoUsd: "cost_nano_usd",
} as const;

type Sum = keyof typeof summedColumns;

export const sumNames = Object.keys(summedColumns) as Sum[];

/** Those that calls and rollups have under the same name, and that no restatement changes. */
export const tokenColumns = Object.values(summedColumns).filter((column) => column.endsWith("_tokens"));

/** Adds up each of them, from the columns that `columnOf` names. */
export function addUp(columnOf: (name: Sum) => string): string {
  const sumOf = (name: Sum) =>
    // A count is an Int of the wire.
    name === "requests" || name === "failures"
      ? `least(sum(${columnOf(name)}), 2147483647)::int`
      : `coalesce(sum(${columnOf(name)}), 0)::bigint`;
  return sumNames.map((name) => `${sumOf(name)} as "${name}"`).join(", ");
}
