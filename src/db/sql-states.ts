/** The SQLSTATE codes that the code acts upon, by PostgreSQL's names for them. */
export const sqlStates = {
  connectionException: "08000",
  numericValueOutOfRange: "22003",
  invalidParameterValue: "22023",
  foreignKeyViolation: "23503",
  uniqueViolation: "23505",
  readOnlySqlTransaction: "25006",
  invalidPassword: "28P01",
  transactionRollback: "40000",
  serializationFailure: "40001",
  deadlockDetected: "40P01",
  insufficientPrivilege: "42501",
  lockNotAvailable: "55P03",
  queryCanceled: "57014",
} as const;

export type SqlState = keyof typeof sqlStates;
