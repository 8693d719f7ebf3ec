import {
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  type FormattedExecutionResult,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  NoSchemaIntrospectionCustomRule,
  parse,
  specifiedRules,
  type ValidationRule,
  validate,
} from "graphql";
import type { Context } from "../auth/viewer.ts";
import { badInput, type ErrorCode } from "../errors.ts";
import type { OperationExecutor } from "../graphql/execution.ts";
import { checkValues, limits, validationRules } from "../graphql/hardening.ts";
import type { Logger } from "../log.ts";
import { report, toPublicFault, toWireFault, withoutSuggestion } from "./format-error.ts";
import { isDenial } from "./limit-answers.ts";

/**
 * Runs operations that do not come through Apollo: over a socket, an event stream or a REST door. They meet the same
 * rules, the same guarded schema and the same error texts.
 */
export interface OperationRequest {
  query: string;
  variables?: Record<string, unknown> | null | undefined;
  operationName?: string | null | undefined;
}

export interface OperationsOptions {
  schema: GraphQLSchema;
  executor: OperationExecutor;
  log: Logger;
  introspection: boolean;
  /** Told of each refusal for want of a right, credits or room within a limit. */
  onDenied: (context: Context, code: ErrorCode) => void;
}

const documentsMax = 1_000;
const documentLengthMax = 16_384;

/** As libraries pass it on: they may set what is absent to undefined. */
type Result = { [K in keyof ExecutionResult]?: ExecutionResult[K] | undefined };

export type OperationResult = ExecutionResult | AsyncIterable<ExecutionResult>;

export function isStream(result: OperationResult): result is AsyncIterable<ExecutionResult> {
  return Symbol.asyncIterator in result;
}

export class Operations {
  readonly #options: OperationsOptions;
  readonly #rules: ValidationRule[];
  readonly #executor: OperationExecutor;
  /** Valid documents by their text, the oldest first. */
  readonly #documents = new Map<string, DocumentNode>();

  constructor(options: OperationsOptions) {
    this.#options = options;
    this.#executor = options.executor;
    const hidden = options.introspection ? [] : [NoSchemaIntrospectionCustomRule];
    this.#rules = [...specifiedRules, ...hidden, ...validationRules(options.schema)];
  }

  /** Everything that a transport needs to run it; or the errors of a document that may not be run. */
  prepare(request: OperationRequest, context: Context): ExecutionArgs | readonly GraphQLError[] {
    try {
      const { query, variables, operationName } = readRequest(request);
      const document = this.#document(query);
      if (Array.isArray(document)) return document;
      checkValues(document as DocumentNode, variables);
      return {
        schema: this.#options.schema,
        document: document as DocumentNode,
        contextValue: context,
        variableValues: variables ?? {},
        operationName: operationName ?? null,
      };
    } catch (error) {
      return [this.asError(error)];
    }
  }

  /** The result, or the results one after the other for a subscription that could start. */
  run(args: ExecutionArgs): OperationResult | Promise<OperationResult> {
    const operation = getOperationAST(args.document, args.operationName);
    if (!operation) return { errors: [this.asError(badInput("There is no such operation in the document."))] };
    return operation.operation === "subscription" ? this.#executor.subscribe(args) : this.#executor.run(args);
  }

  /** Starts an operation and gives what `run` gives, errors of the document included. */
  async start(request: OperationRequest, context: Context): Promise<OperationResult> {
    const prepared = this.prepare(request, context);
    return "schema" in prepared ? this.run(prepared) : { errors: prepared };
  }

  /** What the client sees of a result. What nobody meant to happen is written down. */
  format({ data, errors, extensions }: Result, context: Context): FormattedExecutionResult {
    const told: FormattedExecutionResult = {};
    if (data !== undefined) told.data = data;
    if (errors) told.errors = this.#tell(errors, context);
    if (extensions || context.credits) {
      told.extensions = { ...extensions, ...(context.credits && { credits: context.credits }) };
    }
    return told;
  }

  /** As `formatErrors`, for errors that end an operation, among which refusals count. */
  #tell(errors: readonly unknown[], context: Context) {
    for (const error of errors) {
      const { code } = toPublicFault(error);
      if (isDenial(code)) this.#options.onDenied(context, code);
    }
    return this.formatErrors(errors, context);
  }

  formatErrors(errors: readonly unknown[], { requestId, operation }: Pick<Context, "requestId"> & Partial<Context>) {
    return errors.map((error) => {
      const { log, introspection } = this.#options;
      const fault = report(log, error, { requestId, operation });
      const told = toWireFault(fault, error instanceof GraphQLError ? error.path : undefined);
      const { extensions, ...formatted } = introspection ? told : withoutSuggestion(told);
      return { ...formatted, extensions: { ...extensions, requestId } };
    });
  }

  asError(error: unknown): GraphQLError {
    return error instanceof GraphQLError ? error : new GraphQLError("", { originalError: error as Error });
  }

  #document(query: string): DocumentNode | GraphQLError[] {
    const known = this.#documents.get(query);
    if (known) return known;
    const document = parse(query, { maxTokens: limits.tokensMax });
    const { schema, introspection } = this.#options;
    const errors = validate(schema, document, this.#rules, { hideSuggestions: !introspection });
    if (errors.length > 0) return [...errors];
    this.#keep(query, document);
    return document;
  }

  #keep(query: string, document: DocumentNode): void {
    if (query.length > documentLengthMax) return;
    const [oldest] = this.#documents.size >= documentsMax ? this.#documents.keys() : [];
    if (oldest !== undefined) this.#documents.delete(oldest);
    this.#documents.set(query, document);
  }
}

/** The body of a request, or the payload of a socket's message. @throws BAD_USER_INPUT */
export function readRequest(body: unknown): OperationRequest {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw badInput("The body must be one JSON object with a query.");
  }
  const { query, variables, operationName, extensions } = body as Record<string, unknown>;
  if (typeof query !== "string" || query === "") throw badInput("query must be a text.");
  if (variables != null && (typeof variables !== "object" || Array.isArray(variables))) {
    throw badInput("variables must be an object.");
  }
  if (operationName != null && typeof operationName !== "string") throw badInput("operationName must be a text.");
  if (extensions != null && typeof extensions !== "object") throw badInput("extensions must be an object.");
  return body as OperationRequest;
}
