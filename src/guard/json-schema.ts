import { createHash } from "node:crypto";
import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { AppError, badInput } from "../errors.ts";
import { KeptBySize } from "../tasks/kept-by-size.ts";
import { bounded } from "./bounded.ts";

/**
 * JSON Schemas of callers. Each text is compiled once and separately, so that no schema sees another's definitions.
 * Nothing is fetched, and compiling and checking have time limits.
 */
const bytesMax = 65_536;
/** Objects and lists in a schema. Each takes the compiler about 0.1 ms. */
const partsMax = 1_000;
const compileMsMax = 100;
const checkMsMax = 50;
const keptCharactersMax = 1_048_576;
const faultLengthMax = 500;
const unchecked = "The check took too long.";

/** `format` informs the model only. The standard allows not to check it. */
const options = { strict: false, validateFormats: false, logger: false, addUsedSchema: false } as const;
/** Optimising the code takes three times as long as the rest of compiling. */
const own = { ...options, meta: false, validateSchema: false, code: { optimize: false } } as const;
const draft7 = /^https?:\/\/json-schema\.org\/draft-07\/schema#?$/;
const draft2020 = "https://json-schema.org/draft/2020-12/schema";
/** These hold the meta-schemas only. No caller's schema is added to them. */
const drafts = { 7: new Ajv(options), 2020: new Ajv2020(options) };

/** By digest. */
const kept = new KeptBySize<string, ValidateFunction>(keptCharactersMax);
/** By the schema object of a call, so that its text is hashed once. */
const ofCall = new WeakMap<object, ValidateFunction>();

/** Schemas whose check took too long are not used again before this time of the monotonic clock. */
const slowUntilMs = new WeakMap<ValidateFunction, number>();
const slowMs = 60_000;

export function compiledSchemaCount(): number {
  return kept.count;
}

/** The checks that need no compiling. @throws BAD_USER_INPUT */
export function checkSchemaSize(schema: object): void {
  if (Buffer.byteLength(JSON.stringify(schema)) > bytesMax) throw wrong(`must have at most ${bytesMax} bytes`);
  if (partsOf(schema) > partsMax) throw wrong(`must have at most ${partsMax} objects and lists`);
}

/** Whether the compiled schema is kept. */
export function isCompiled(schema: object): boolean {
  const known = ofCall.get(schema) ?? kept.get(digestOf(JSON.stringify(schema)));
  if (known) ofCall.set(schema, known);
  return known !== undefined;
}

/** @throws BAD_USER_INPUT with the reason why the schema cannot be used */
export function compileSchema(schema: object): void {
  compiled(schema);
}

/** The first fault of a value, in words; undefined when it matches the schema. */
export function misfit(schema: object, value: unknown): string | undefined {
  const validate = compiled(schema);
  if ((slowUntilMs.get(validate) ?? 0) > performance.now()) return unchecked;
  try {
    const checked = bounded(() => validate(value), checkMsMax);
    if (!checked) slowUntilMs.set(validate, performance.now() + slowMs);
    if (!checked) return unchecked;
    return checked.done ? undefined : describe(validate.errors ?? []);
  } catch (error) {
    // A schema that refers to itself without end overflows the stack.
    if (error instanceof RangeError) return unchecked;
    throw error;
  }
}

function compiled(schema: object): ValidateFunction {
  const known = ofCall.get(schema);
  if (known) return known;
  const text = JSON.stringify(schema);
  const digest = digestOf(text);
  const validate = kept.get(digest) ?? compile(schema, text);
  kept.set(digest, validate, text.length);
  ofCall.set(schema, validate);
  return validate;
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}

/** Recursion is safe: values of a request are nested at most 32 deep. */
function partsOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return Object.values(value).reduce((sum: number, part) => sum + partsOf(part), 1);
}

function compile(schema: object, text: string): ValidateFunction {
  const { $schema, ...rest } = schema as { $schema?: unknown };
  const draft = typeof $schema === "string" && draft7.test($schema) ? 7 : 2020;
  if (draft === 2020 && $schema !== undefined && String($schema).replace(/#$/, "") !== draft2020) {
    throw wrong("must use draft 2020-12 or draft-07 as $schema");
  }
  // An asynchronous check would be taken for one that has passed.
  if (/"\$async"/.test(text)) throw wrong("must not use $async");
  const judge = drafts[draft];
  // The meta-schema is compiled on first use. It is kept, so this must not be interrupted.
  judge.validateSchema({});
  try {
    const made = bounded(() => {
      if (!judge.validateSchema(rest)) return undefined;
      return (draft === 7 ? new Ajv(own) : new Ajv2020(own)).compile(rest);
    }, compileMsMax);
    if (made?.done) return made.done;
    throw wrong(made ? `is not valid: ${judge.errorsText(judge.errors)}` : "is too complex");
  } catch (error) {
    throw error instanceof AppError ? error : wrong(`cannot be used: ${String(error)}`);
  }
}

function describe([first]: ErrorObject[]): string {
  const { instancePath = "", message = "does not match the schema", params } = first ?? {};
  const name = params?.["additionalProperty"] ?? params?.["unevaluatedProperty"];
  const detail = typeof name === "string" ? ` (${name})` : "";
  return `${instancePath || "The value"} ${message}${detail}.`.slice(0, faultLengthMax);
}

function wrong(why: string): Error {
  return badInput(`The schema of responseFormat ${why}.`.slice(0, faultLengthMax), { field: "responseFormat" });
}
