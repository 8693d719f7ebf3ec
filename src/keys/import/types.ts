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
  description: "How a file of keys is written.",
  valuesConfig: {
    CSV: {
      description:
        "The first line names fields of `CreateApiKeyInput`. Items of a list are parted by `;`, `hours` and `metadata` are JSON, and an empty cell says nothing.",
    },
    JSON: { description: "An array of objects with the fields of `CreateApiKeyInput`." },
  },
});

@InputType({ description: "A file of new keys." })
export class ImportApiKeysInput {
  @Field(() => KeyFileFormat, { description: "How it is written." })
  format!: `${KeyFileFormat}`;

  @Field(() => String, { description: "The text of the file: 1 to 500 keys. The whole request has at most 1 MiB." })
  content!: string;

  @Field(() => ID, {
    nullable: true,
    description: "Whose keys they are where an entry does not say; the default account when absent.",
  })
  accountId?: string | null;

  @Field(() => Boolean, { nullable: true, defaultValue: false, description: "Only say what is wrong with the file." })
  dryRun?: boolean | null;
}

@ObjectType({ description: "One key of an import.", simpleResolvers: true })
export class ImportedApiKey {
  @Field(() => Int, { description: "The line of the file that it is from; of a JSON array, the number of the item." })
  line!: number;

  @Field(() => ApiKey, { description: "The key." })
  apiKey!: ApiKey;

  @Field(() => String, {
    nullable: true,
    description: "Its text, which is in this answer and nowhere else; null where the file brought one.",
  })
  secret!: string | null;
}

@ObjectType({ description: "What came of a file of keys.", simpleResolvers: true })
export class ApiKeyImport {
  @Field(() => Int, { description: "How many keys the file has." })
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
