import {
  createSourceEventStream,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  getVariableValues,
} from "graphql";
import { type CompiledQuery, compileQuery, isCompiledQuery } from "graphql-jit";

/**
 * Runs documents. One that comes again is compiled to a function, which reads variables and completes values ten times
 * faster than walking the document; one that comes once is walked, because compiling takes milliseconds. Both give the
 * same answers: where only an error can follow, graphql-js words it. Compiled, a field without a resolver must hold its
 * value and no promise of it, an abstract type must be told apart at once, and no input type may contain itself.
 */
const usesBeforeCompiling = 2;

interface Known {
  uses: number;
  /** By the name of the operation; undefined for one that cannot be compiled. */
  compiled: Map<string, CompiledQuery | undefined>;
}

export class OperationExecutor {
  readonly #schema: GraphQLSchema;
  readonly #known = new WeakMap<DocumentNode, Known>();

  constructor(schema: GraphQLSchema) {
    this.#schema = schema;
  }

  run(args: ExecutionArgs): ExecutionResult | Promise<ExecutionResult> {
    return this.#firstMisfit(args) ?? this.#runWith(this.#compiled(args), args);
  }

  /** The events of a subscription, each executed when it is asked for; or why it could not start. */
  async subscribe(args: ExecutionArgs): Promise<AsyncIterableIterator<ExecutionResult> | ExecutionResult> {
    const misfit = this.#firstMisfit(args);
    if (misfit) return misfit;
    const source = await createSourceEventStream(args);
    if (!(Symbol.asyncIterator in source)) return source;
    const compiled = this.#compiled(args);
    return mapEvents(source, (event) => this.#runWith(compiled, args, event));
  }

  /**
   * What is wrong first with variables that are large. Compiled code goes on to find and word every fault, and each
   * wording quotes the whole value: a body of a megabyte that is wrong in every place would take seconds.
   */
  #firstMisfit({ document, operationName, variableValues }: ExecutionArgs): ExecutionResult | undefined {
    if (!variableValues || isSmall(variableValues, { values: smallValues, length: smallLength })) return undefined;
    const wanted = getOperationAST(document, operationName)?.variableDefinitions ?? [];
    const { errors } = getVariableValues(this.#schema, wanted, variableValues, { maxErrors: 1 });
    return errors && { errors };
  }

  #runWith(
    compiled: CompiledQuery | undefined,
    args: ExecutionArgs,
    rootValue: unknown = args.rootValue,
  ): ExecutionResult | Promise<ExecutionResult> {
    if (!compiled) return execute({ ...args, rootValue });
    const result = compiled.query(rootValue, args.contextValue, args.variableValues);
    if ("then" in result) return result.then(withCauses);
    // Without data nothing has run: the variables do not fit.
    return "data" in result ? withCauses(result) : execute({ ...args, rootValue });
  }

  #compiled({ document, operationName }: ExecutionArgs): CompiledQuery | undefined {
    const known = this.#known.get(document) ?? { uses: 0, compiled: new Map() };
    this.#known.set(document, known);
    known.uses += 1;
    if (known.uses <= usesBeforeCompiling) return undefined;
    const name = operationName ?? "";
    if (!known.compiled.has(name)) {
      const compiled = compileQuery(this.#schema, document, operationName ?? undefined);
      known.compiled.set(name, isCompiledQuery(compiled) ? compiled : undefined);
    }
    return known.compiled.get(name);
  }
}

const smallValues = 100;
const smallLength = 16_384;

function isSmall(value: unknown, left: { values: number; length: number }): boolean {
  left.values -= 1;
  if (typeof value === "string") left.length -= value.length;
  if (left.values < 0 || left.length < 0) return false;
  if (typeof value !== "object") return true;
  for (const name in value) {
    left.length -= name.length;
    if (!isSmall((value as Record<string, unknown>)[name], left)) return false;
  }
  return true;
}

/** An error of the schema's own, such as a null where none may be, has no cause here; graphql-js gives it itself. */
function withCauses(result: ExecutionResult): ExecutionResult {
  if (!result.errors) return result;
  const errors = result.errors.map((error) => {
    if (error.originalError) return error;
    const { message, path } = error;
    return new GraphQLError(message, { path: path ?? null, originalError: new Error(message) });
  });
  return { ...result, errors };
}

/** Not a generator: the end must reach the source also while an event is waited for. */
function mapEvents<E, R>(source: AsyncIterable<E>, map: (event: E) => R | Promise<R>): AsyncIterableIterator<R> {
  const events = source[Symbol.asyncIterator]();
  const end = async () => {
    await events.return?.();
    return { done: true as const, value: undefined };
  };
  return {
    async next() {
      const { done, value } = await events.next();
      if (done) return { done, value: undefined };
      try {
        const result = map(value);
        return { done: false, value: result instanceof Promise ? await result : result };
      } catch (error) {
        await end();
        throw error;
      }
    },
    return: end,
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
