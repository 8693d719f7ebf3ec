import { badInput } from "../../errors.ts";
import { readWire } from "../../ids.ts";
import { GenerationStatus } from "../../ledger/types.ts";
import {
  type Dimension,
  dimensionNames,
  dimensions,
  type Filter,
  filterNameOf,
  idPrefixOf,
} from "../../usage/question/dimensions.ts";
import type { Basis, Grain, UsageQuestion, UsageSelection } from "../../usage/question/question.ts";

/** Reads and checks the query of an export. Parameters mean the same as in `UsageInput` and `UsageFilter`. */
export type Query = Record<string, string | string[] | undefined>;

const grains: Grain[] = ["NONE", "HOUR", "DAY", "MONTH"];
const bases: Basis[] = ["AS_CHARGED", "AS_CORRECTED"];

const selectionParameters = ["from", "to", "after", ...dimensionNames.map((dimension) => dimensions[dimension].name)];
export const parametersOf = {
  usage: [...selectionParameters, "grain", "timeZone", "groupBy", "basis"],
  generations: selectionParameters,
  entries: ["from", "to", "after", "accountId"],
};

/** @throws BAD_USER_INPUT for an unknown parameter, because a mistyped filter would export too much */
export function checkParameters(query: Query, allowed: string[]): void {
  const unknown = Object.keys(query).find((name) => !allowed.includes(name));
  if (unknown !== undefined) throw badInput(`There is no parameter of this name. Known: ${allowed.join(", ")}.`);
}

export function readAfter({ after }: Query): string | undefined {
  return Array.isArray(after) ? after[0] : after;
}

export function readSelection(query: Query): UsageSelection {
  const lists = dimensionNames.map((dimension) => [filterNameOf(dimension), readFilter(query, dimension)]);
  return { from: readInstant(query, "from"), to: readInstant(query, "to"), ...(Object.fromEntries(lists) as Filter) };
}

function readFilter(query: Query, dimension: Dimension): string[] | undefined {
  const { name, values } = dimensions[dimension];
  const texts = many(query, name);
  if (values === "STATUS") return texts?.map((text) => oneOf(Object.values(GenerationStatus), text, name));
  const prefix = idPrefixOf(dimension);
  return prefix ? texts?.flatMap((id) => readWire(prefix, id) ?? []) : texts;
}

export function readQuestion(query: Query): UsageQuestion {
  const groupBy = many(query, "groupBy")?.flatMap((text) => text.split(",")) ?? ["ACCOUNT", "API_KEY", "MODEL"];
  return {
    ...readSelection(query),
    grain: oneOf(grains, one(query, "grain") ?? "DAY", "grain"),
    timeZone: one(query, "timeZone") ?? "UTC",
    groupBy: groupBy.map((text) => oneOf(dimensionNames, text, "groupBy")),
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
  if (Array.isArray(value)) throw badInput(`${name} must be given once.`, { field: name });
  return value;
}

function many(query: Query, name: string): string[] | undefined {
  const value = query[name];
  const values = value === undefined ? undefined : [value].flat();
  if (values?.some((text) => text.includes("\0") || !text.isWellFormed())) {
    throw badInput(`${name} must be well-formed text.`, { field: name });
  }
  return values;
}

function oneOf<T extends string>(allowed: readonly T[], text: string, name: string): T {
  const found = allowed.find((value) => value === text);
  if (found === undefined) throw badInput(`${name} must be one of ${allowed.join(", ")}.`, { field: name });
  return found;
}
