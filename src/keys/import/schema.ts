import { z } from "zod";
import { weekdays } from "../rules/hours.ts";
import { type FieldKind, type KeyFieldName, type KindValues, keyFieldNames, keyFields } from "../rules/key-fields.ts";

/** The schema of each kind of field in a file. */
const byKind: { [K in FieldKind]: z.ZodType<KindValues[K]> } = {
  text: z.string(),
  texts: z.array(z.string()),
  integer: z.int32(),
  decimal: z.string("must be a decimal number in quotes"),
  id: z.string(),
  limitMode: z.enum(["ENFORCE", "SHADOW"]),
  hours: z.strictObject({
    timeZone: z.string(),
    windows: z.array(z.strictObject({ days: z.array(z.enum(weekdays)).nullish(), from: z.string(), to: z.string() })),
  }),
  timestamp: z.iso
    .datetime({ offset: true, error: "must be a time such as 2030-01-01T00:00:00Z" })
    .transform((text) => new Date(text)),
  json: z.unknown(),
};

type Settings = {
  [F in KeyFieldName]: z.ZodOptional<z.ZodNullable<(typeof byKind)[(typeof keyFields)[F]["kind"]]>>;
};
const settings = Object.fromEntries(
  keyFieldNames.map((name) => [name, byKind[keyFields[name].kind].nullish()]),
) as unknown as Settings;

/** One entry of an import file: the fields of `CreateApiKeyInput`, and no others. */
export const importEntry = z.strictObject({
  ...settings,
  name: z.string("is missing"),
  accountId: z.string().nullish(),
  credits: byKind.decimal.nullish(),
  sharedWallet: z.boolean("must be true or false").nullish(),
  key: z.string().nullish(),
});

export const importFields = Object.keys(importEntry.shape);
