/**
 * Sums over fewer columns than the hourly ones have, for days and months that are final. Each holds its columns, the
 * others are null. Failures are counted beside them, as most questions about a status are about those. A report reads the first that has all the columns it looks at.
 */
export const cubes = {
  MODEL: ["model", "provider", "status"],
  ACCOUNT: ["account_id", "model", "provider", "status"],
  KEY: ["account_id", "api_key_id"],
} as const;

export type Cube = keyof typeof cubes;
export const cubeNames = Object.keys(cubes) as Cube[];
