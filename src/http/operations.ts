import {
  type ExecutionArgs,
  type ExecutionResult,
  type FormattedExecutionResult,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
} from "graphql";
import { actorOf, type Context } from "../auth/viewer.ts";
import { badInput, type ErrorCode } from "../errors.ts";
import type { OperationExecutor } from "../graphql/execution.ts";
import { checkVariables } from "../graphql/hardening.ts";
import type { LiveStreams } from "../limits/live-streams.ts";
import type { Logger } from "../log.ts";
import type { DocumentReader } from "./document-reader.ts";
import { report, toPublicFault, toWireFault, withoutSuggestion } from "./format-error.ts";
import { isDenial } from "./limit-answers.ts";

/**
 * Runs the operations of all doors, so that they meet the same rules, the same guarded schema and the same error texts.
 */
export interface OperationRequest {
  query: string;
  variables?: Record<string, unknown> | null | undefined;
  operationName?: string | null | undefined;
}

export interface OperationsOptions {
  schema: GraphQLSchema;
  executor: OperationExecutor;
  documents: DocumentReader;
  streams: LiveStreams;
  log: Logger;
  introspection: boolean;
  /** Called for each refusal: of a permission, for credits, or by a limit. */
  onDenied: (context: Context, code: ErrorCode) => void;
}

/** As libraries pass it on: absent fields may be undefined. */
type Result = { [K in keyof ExecutionResult]?: ExecutionResult[K] | undefined };

export type OperationResult = ExecutionResult | AsyncIterable<ExecutionResult>;

export function isStream(result: OperationResult): result is AsyncIterable<ExecutionResult> {
  return Symbol.asyncIterator in result;
}

export class Operations {
  readonly #options: OperationsOptions;
  readonly #executor: OperationExecutor;

  constructor(options: OperationsOptions) {
    this.#options = options;
    this.#executor = options.executor;
  }

  /**
   * Everything that a transport needs to run an operation; or the errors of a document that may not be run.
   * `isOwn` for an operation whose text is the server's.
   */
  async prepare(
    request: OperationRequest,
    context: Context,
    isOwn = false,
  ): Promise<ExecutionArgs | readonly GraphQLError[]> {
    try {
      const { query, variables, operationName } = readRequest(request);
      const document = await this.#options.documents.read(query, context, isOwn);
      if (!("kind" in document)) return document;
      checkVariables(variables);
      return {
        schema: this.#options.schema,
        document,
        contextValue: context,
        variableValues: variables ?? {},
        operationName: operationName ?? null,
      };
    } catch (error) {
      return [this.asError(error)];
    }
  }

  /** The result, or the stream of results of a subscription that could start. */
  run(args: ExecutionArgs): OperationResult | Promise<OperationResult> {
    const operation = getOperationAST(args.document, args.operationName);
    if (!operation) return { errors: [this.asError(badInput("There is no such operation in the document."))] };
    return operation.operation === "subscription" ? this.#subscribe(args) : this.#executor.run(args);
  }

  async #subscribe(args: ExecutionArgs): Promise<OperationResult> {
    const { identity, operation } = args.contextValue as Context;
    let leave: (() => void) | undefined;
    try {
      // Without a caller it is refused by its field.
      leave = identity.viewer && this.#options.streams.enter(actorOf(identity.viewer));
      // A door may not ask for another event once its client has left.
      if (leave) operation.addEventListener("abort", leave);
      const result = await this.#executor.subscribe(args, leave);
      if (!isStream(result)) leave?.();
      return result;
    } catch (error) {
      leave?.();
      return { errors: [this.asError(error)] };
    }
  }

  /** Starts an operation and returns the result of `run`, including errors of the document. */
  async start(request: OperationRequest, context: Context, isOwn = false): Promise<OperationResult> {
    const prepared = await this.prepare(request, context, isOwn);
    return "schema" in prepared ? this.run(prepared) : { errors: prepared };
  }

  /** The public form of a result. Unexpected errors are logged. */
  format({ data, errors, extensions }: Result, context: Context): FormattedExecutionResult {
    const told: FormattedExecutionResult = {};
    if (data !== undefined) told.data = data;
    if (errors) told.errors = this.#tell(errors, context);
    if (extensions || context.credits) {
      told.extensions = { ...extensions, ...(context.credits && { credits: context.credits }) };
    }
    return told;
  }

  /** As `formatErrors`, for errors that end an operation, including refusals. */
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
