import type { KeyViewer } from "../auth/viewer.ts";
import { compileSchema, isCompiled } from "./json-schema.ts";
import type { ResponseFormat } from "./response-format.ts";

/** Allows a new schema to be compiled; the function that is returned takes the milliseconds that this took. */
export interface SchemaLimit {
  admitSchema(key: Pick<KeyViewer, "apiKeyId">): Promise<(tookMs: number) => void>;
}

/**
 * Compiles the schema of a response format. Compiling takes the server longer than sending takes the caller, so it
 * happens after the credits are reserved, and its time is limited for each key.
 * @throws BAD_USER_INPUT for a schema that cannot be used, or RATE_LIMITED
 */
export async function prepareFormat(
  format: ResponseFormat | undefined,
  key: Pick<KeyViewer, "apiKeyId">,
  limits: SchemaLimit,
): Promise<void> {
  if (format?.type !== "json_schema" || isCompiled(format.schema)) return;
  const took = await limits.admitSchema(key);
  const before = process.cpuUsage();
  try {
    compileSchema(format.schema);
  } finally {
    const { user, system } = process.cpuUsage(before);
    took((user + system) / 1_000);
  }
}
