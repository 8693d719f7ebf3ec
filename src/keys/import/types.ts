import { Field, ID, InputType, Int, ObjectType, registerEnumType } from "type-graphql";
import { fromWire } from "../../ids.ts";
import { ApiKey, toApiKey } from "../types.ts";
import type { ImportedKey as Imported, KeyImportOrder } from "./service.ts";

export enum KeyFileFormat {
  CSV = "CSV",
  JSON = "JSON",
}
registerEnumType(KeyFileFormat, {
  name: "KeyFileFormat",
  description: "The format of a file of keys.",
  valuesConfig: {
    CSV: {
      description:
        "CSV. The first line names fields of `CreateApiKeyInput`. Items of a list are separated by `;`, `hours` and `metadata` are JSON, and an empty cell means an absent field.",
    },
    JSON: { description: "A JSON array of objects with the fields of `CreateApiKeyInput`." },
  },
});

@InputType({ description: "A file of keys to import." })
export class ImportApiKeysInput {
  @Field(() => KeyFileFormat, { description: "The format of the file." })
  format!: `${KeyFileFormat}`;

  @Field(() => String, { description: "The text of the file: 1 to 500 keys. The whole request has at most 1 MiB." })
  content!: string;

  @Field(() => ID, {
    nullable: true,
    description: "The account of entries that name none, `acc_…`; the default account when absent.",
  })
  accountId?: string | null;

  @Field(() => Boolean, {
    nullable: true,
    defaultValue: false,
    description: "Whether to check the file only, and create nothing.",
  })
  dryRun?: boolean | null;
}

@ObjectType({ description: "One imported key.", simpleResolvers: true })
export class ImportedApiKey {
  @Field(() => Int, { description: "The line of the file; for a JSON array, the number of the item, from 1." })
  line!: number;

  @Field(() => ApiKey, { description: "The API key." })
  apiKey!: ApiKey;

  @Field(() => String, {
    nullable: true,
    description: "The plaintext key, which is in this answer only; null where the file supplied it.",
  })
  secret!: string | null;
}

@ObjectType({ description: "The result of an import of keys.", simpleResolvers: true })
export class ApiKeyImport {
  @Field(() => Int, { description: "The number of keys in the file." })
  lines!: number;

  @Field(() => [ImportedApiKey], { description: "The new keys, in the order of the file; none for a dry run." })
  keys!: ImportedApiKey[];
}

export function toKeyImportOrder({ accountId, dryRun, format, content }: ImportApiKeysInput): KeyImportOrder {
  return {
    ...{ format, content, dryRun: dryRun ?? false },
    accountId: accountId == null ? undefined : fromWire("acc", accountId),
  };
}

export function toApiKeyImport({ lines, keys }: { lines: number; keys: Imported[] }): ApiKeyImport {
  return { lines, keys: keys.map(({ line, key, secret }) => ({ line, apiKey: toApiKey(key), secret })) };
}
