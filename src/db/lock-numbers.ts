/** Advisory locks by the work they guard. The numbers are arbitrary and must never change: replicas of two releases share them. */
export const lockNumbers = {
  migrations: 7_461_001,
  dataDirectory: 7_461_002,
  firstRun: 7_461_003,
  catalogue: 7_461_005,
  usageRollups: 7_461_006,
  retention: 7_461_009,
  signingKeys: 7_461_017,
} as const;

export type LockName = keyof typeof lockNumbers;
