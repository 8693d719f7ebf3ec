import { badInput } from "../errors.ts";
import { checkSchemaSize, misfit } from "./json-schema.ts";

/** The response format that a caller asks for. */
export type ResponseFormat = { type: "json" } | { type: "json_schema"; schema: object };

/** @throws BAD_USER_INPUT for anything but {"type":"json"} and {"type":"json_schema","schema":{…}} with a schema of a usable size */
export function readResponseFormat(value: unknown): ResponseFormat | undefined {
  if (value == null) return undefined;
  const { type, schema } = value as { type?: unknown; schema?: unknown };
  if (type === "json") return { type };
  if (type !== "json_schema" || typeof schema !== "object" || schema === null || Array.isArray(schema)) {
    throw badInput('responseFormat must be {"type":"json"} or {"type":"json_schema","schema":{…}}.', {
      field: "responseFormat",
    });
  }
  checkSchemaSize(schema);
  return { type, schema };
}

/** The fault of an answer, in words; undefined when it has the format. */
export function responseFormatFault(format: ResponseFormat, text: string): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "The answer is not JSON.";
  }
  return format.type === "json" ? undefined : misfit(format.schema, value);
}
