import { toWire } from "../ids.ts";
import { type LimitColumns, limitColumns } from "./rules/effective.ts";
import { type KeyField, type KeyFieldName, keyFieldNames, keyFields } from "./rules/key-fields.ts";
import type { KeyRow } from "./store.ts";

/** What the audit keeps of a key: its settings and state, and nothing from which its secret could be derived. */
export function toAudit(key: KeyRow): object {
  const { status, prefix, last4, walletId, version } = key;
  return { ...fieldsToAudit(keyFieldNames, key), status, prefix, last4, walletId: toWire("wal", walletId), version };
}

export function limitsToAudit(limits: LimitColumns): object {
  return fieldsToAudit(limitFields, limits);
}

const limitFields = keyFieldNames.filter((name) =>
  (limitColumns as readonly string[]).includes(keyFields[name].column),
);

function fieldsToAudit(names: readonly KeyFieldName[], row: Partial<KeyRow>): object {
  return Object.fromEntries(
    names.map((name) => {
      const { column, toAudit: write = asStored }: KeyField = keyFields[name];
      const stored = row[column as keyof KeyRow];
      return [name, stored == null ? null : write(stored)];
    }),
  );
}

function asStored(value: unknown): unknown {
  return value;
}
