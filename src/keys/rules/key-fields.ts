import { toWire } from "../../ids.ts";
import { type BudgetField, budgetFields, budgetToText, readBudget } from "../../ledger/budgets.ts";
import type { NewKey } from "../store.ts";
import { isAddressRange } from "./addresses.ts";
import {
  asGiven,
  listReader,
  readCacheSeconds,
  readLimit,
  readMetadata,
  readName,
  readScopes,
  readTags,
} from "./field-readers.ts";
import { type HoursOrder, readHours } from "./hours.ts";
import { isModelPattern } from "./model-patterns.ts";

/**
 * The settings of a key, one row each. From this table follow the inputs of `createApiKey` and `updateApiKey`, how they
 * are read, the fields of an import file, and what the audit keeps of a change.
 */
export interface KindValues {
  text: string;
  texts: string[];
  integer: number;
  decimal: string;
  id: string;
  limitMode: "ENFORCE" | "SHADOW";
  hours: HoursOrder;
  timestamp: Date;
  json: unknown;
}

export type FieldKind = keyof KindValues;

export interface KeyField<K extends FieldKind = FieldKind, C extends keyof NewKey = keyof NewKey> {
  kind: K;
  column: C;
  /** Of the argument; see `ApiKey` for how the field is shown. */
  description: string;
  /** @throws BAD_USER_INPUT. Null takes a setting away. */
  read(value: KindValues[K] | null, field: string): NewKey[C];
  /** How the audit writes the column; as it is when absent. */
  toAudit?(stored: NonNullable<NewKey[C]>): unknown;
}

export const keyFields = {
  name: field("name", "text", {
    description: "A label for people: 1 to 200 characters. Must not be null.",
    read: readName,
  }),
  scopes: field("scopes", "texts", {
    description:
      'Permissions of the key: `generate`, `embed`, `usage:read`, `models:read` (which `generate` and `embed` include), and `model:…` for models that require it. Null means ["generate", "embed", "usage:read"].',
    read: readScopes,
  }),
  models: field("models", "texts", {
    description:
      "Models that the key may call, by name or by pattern such as `gpt-*`, at most 200; null means the plan's models.",
    read: listReader(isModelPattern),
  }),
  allowedIps: field("allowedIps", "texts", {
    description:
      "IP addresses and CIDR ranges (IPv4 or IPv6) from which the key may be used, at most 200; null means any.",
    read: listReader(isAddressRange),
  }),
  requestsPerMinute: field("requestsPerMinute", "integer", {
    description: "Limit on calls per minute, at least 1; null means the plan's limit, else the field's rate limit.",
    read: readLimit,
  }),
  tokensPerMinute: field("tokensPerMinute", "integer", {
    description: "Limit on tokens per minute, at least 1; null means the plan's limit, else no limit.",
    read: readLimit,
  }),
  maxConcurrency: field("maxConcurrency", "integer", {
    description: "Limit on concurrent calls, at least 1; null means the plan's limit, else no limit.",
    read: readLimit,
  }),
  cacheSeconds: field("cacheSeconds", "integer", {
    description: "The default of `GenerateInput.cacheSeconds` for the key's calls, 0 to 604,800; null means 0.",
    read: readCacheSeconds,
  }),
  limitMode: field("limitMode", "limitMode", {
    description: "Whether calls that exceed a limit are refused or only counted; null means ENFORCE.",
    read: (mode) => mode ?? "ENFORCE",
  }),
  dailyBudgetUsd: budget("dailyBudgetUsd", "Limit on the provider cost a day (UTC), in USD"),
  monthlyBudgetUsd: budget("monthlyBudgetUsd", "Limit on the provider cost a month (UTC), in USD"),
  dailyBudgetCredits: budget("dailyBudgetCredits", "Limit on the credits charged a day (UTC)"),
  monthlyBudgetCredits: budget("monthlyBudgetCredits", "Limit on the credits charged a month (UTC)"),
  planId: field("planId", "id", {
    description:
      "The key's plan, `pln_…`: the limits for settings that are null here. Null means the account's plan. Fails with NOT_FOUND.",
    read: asGiven,
    toAudit: (id) => toWire("pln", id),
  }),
  hours: field("hours", "hours", {
    description: "Hours of use: when the key may be used; null means always.",
    read: readHours,
  }),
  tags: field("tags", "texts", {
    description: "Tags, for filters of `apiKeys`: at most 20, each of 1 to 50 characters; null removes them.",
    read: readTags,
  }),
  expiresAt: field("expiresAt", "timestamp", {
    description: "When the key stops working: must be in the future; null means never.",
    read: asGiven,
  }),
  metadata: field("metadata", "json", {
    description: "Notes of the staff: any JSON value of at most 16 KiB. A MEMBER must not set it.",
    read: readMetadata,
  }),
};

export type KeyFieldName = keyof typeof keyFields;
export type ColumnOf<F extends KeyFieldName> = (typeof keyFields)[F]["column"];
export type ValueOf<F extends KeyFieldName> = KindValues[(typeof keyFields)[F]["kind"]];

export const keyFieldNames = Object.keys(keyFields) as KeyFieldName[];

function field<K extends FieldKind, C extends keyof NewKey>(
  column: C,
  kind: K,
  rest: Omit<KeyField<K, C>, "column" | "kind">,
): KeyField<K, C> {
  return { column, kind, ...rest };
}

function budget<F extends BudgetField>(name: F, unit: string) {
  const { column } = budgetFields[name];
  return field(column, "decimal", {
    description: `${unit}, not below 0; null means the budget of its plan, else no limit.`,
    read: (text) => readBudget(text, name),
    toAudit: (amount) => budgetToText(amount, name),
  });
}
