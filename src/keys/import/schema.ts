import { z } from "zod";
import { weekdays } from "../rules/hours.ts";

/** One entry of an import file: the fields of `CreateApiKeyInput`, and no others. */
const list = z.array(z.string()).nullish();
const int = z.int32().nullish();
const decimal = z.string("must be a decimal number in quotes").nullish();

const hours = z.strictObject({
  timeZone: z.string(),
  windows: z.array(z.strictObject({ days: z.array(z.enum(weekdays)).nullish(), from: z.string(), to: z.string() })),
});

export const importEntry = z.strictObject({
  name: z.string("is missing"),
  accountId: z.string().nullish(),
  credits: decimal,
  sharedWallet: z.boolean("must be true or false").nullish(),
  key: z.string().nullish(),
  scopes: list,
  models: list,
  allowedIps: list,
  requestsPerMinute: int,
  tokensPerMinute: int,
  maxConcurrency: int,
  cacheSeconds: int,
  limitMode: z.enum(["ENFORCE", "SHADOW"]).nullish(),
  dailyBudgetUsd: decimal,
  monthlyBudgetUsd: decimal,
  dailyBudgetCredits: decimal,
  monthlyBudgetCredits: decimal,
  planId: z.string().nullish(),
  hours: hours.nullish(),
  tags: list,
  expiresAt: z.iso
    .datetime({ offset: true, error: "must be a time such as 2030-01-01T00:00:00Z" })
    .transform((text) => new Date(text))
    .nullish(),
  metadata: z.unknown().optional(),
});

export type ImportEntry = z.infer<typeof importEntry>;

export const importFields = Object.keys(importEntry.shape);
