/** Every kind of alert. A raised alert and the description of `Alert.kind` take their names from here. */
export const alertKinds = {
  keyLeaked: "key.leaked",
  keyExposed: "key.exposed",
  rotationDue: "key.rotation_due",
  lowBalance: "wallet.low_balance",
  ledgerBroken: "ledger.broken",
  retentionFailed: "retention.failed",
} as const;

export type AlertKind = (typeof alertKinds)[keyof typeof alertKinds];
