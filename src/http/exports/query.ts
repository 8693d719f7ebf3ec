import { badInput } from "../../errors.ts";
import { readWire } from "../../ids.ts";
import type { Basis, Dimension, Grain, UsageQuestion, UsageSelection } from "../../usage/question/question.ts";

/** The query of an export's address, checked: names and meanings are those of `UsageInput` and `UsageFilter`. */
export type Query = Record<string, string | string[] | undefined>;

const grains: Grain[] = ["NONE", "HOUR", "DAY", "MONTH"];
const dimensions: Dimension[] = ["ACCOUNT", "API_KEY", "MODEL", "PROVIDER", "STATUS", "END_USER", "TAG"];
const bases: Basis[] = ["AS_CHARGED", "AS_CORRECTED"];
const statuses = ["COMPLETED", "PARTIAL", "CANCELLED", "FAILED", "ABANDONED"] as const;

const filterNames = ["from", "to", "after", "accountId", "apiKeyId", "model", "provider", "status", "tag", "endUser"];
export const namesOf = {
  usage: [...filterNames, "grain", "timeZone", "groupBy", "basis"],
  generations: filterNames,
  entries: ["from", "to", "after", "accountId"],
};

/** @throws BAD_USER_INPUT for a name that is not known, because a mistyped filter would export too much */
export function checkNames(query: Query, allowed: string[]): void {
  const unknown = Object.keys(query).find((name) => !allowed.includes(name));
  if (unknown !== undefined) throw badInput(`There is no parameter of this name. Known: ${allowed.join(", ")}.`);
}

export function readAfter({ after }: Query): string | undefined {
  return Array.isArray(after) ? after[0] : after;
}

export function readSelection(query: Query): UsageSelection {
  return {
    from: readInstant(query, "from"),
    to: readInstant(query, "to"),
    accountIds: many(query, "accountId")?.flatMap((id) => readWire("acc", id) ?? []),
    apiKeyIds: many(query, "apiKeyId")?.flatMap((id) => readWire("key", id) ?? []),
    models: many(query, "model"),
    providers: many(query, "provider"),
    statuses: many(query, "status")?.map((text) => oneOf(statuses, text, "status")),
    tags: many(query, "tag"),
    endUsers: many(query, "endUser"),
  };
}

export function readQuestion(query: Query): UsageQuestion {
  const groupBy = many(query, "groupBy")?.flatMap((text) => text.split(",")) ?? ["ACCOUNT", "API_KEY", "MODEL"];
  return {
    ...readSelection(query),
    grain: oneOf(grains, one(query, "grain") ?? "DAY", "grain"),
    timeZone: one(query, "timeZone") ?? "UTC",
    groupBy: groupBy.map((text) => oneOf(dimensions, text, "groupBy")),
    orderBy: "CREDITS",
    ascending: false,
    limit: 1,
    timed: false,
    compare: false,
    basis: oneOf(bases, one(query, "basis") ?? "AS_CHARGED", "basis"),
  };
}

function readInstant(query: Query, name: string): Date {
  const text = one(query, name) ?? "";
  const instant = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/.test(text)
    ? new Date(text)
    : undefined;
  if (!instant || Number.isNaN(instant.getTime()) || !isDay(text.slice(0, 10))) {
    throw badInput(`${name} must be an instant such as 2026-01-31T00:00:00Z, or a day in UTC.`, { field: name });
  }
  return instant;
}

/** JavaScript takes the 30th of February for the 2nd of March. */
function isDay(text: string): boolean {
  return new Date(text).toISOString().startsWith(text);
}

function one(query: Query, name: string): string | undefined {
  const value = query[name];
  if (Array.isArray(value)) throw badInput(`${name} is given once.`, { field: name });
  return value;
}

function many(query: Query, name: string): string[] | undefined {
  const value = query[name];
  const values = value === undefined ? undefined : [value].flat();
  if (values?.some((text) => text.includes("\0") || !text.isWellFormed())) {
    throw badInput(`${name} is not well-formed text.`, { field: name });
  }
  return values;
}

function oneOf<T extends string>(allowed: readonly T[], text: string, name: string): T {
  const found = allowed.find((value) => value === text);
  if (found === undefined) throw badInput(`${name} is one of ${allowed.join(", ")}.`, { field: name });
  return found;
}
