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
  print,
} from "graphql";
import { type CompiledQuery, compileQuery, isCompiledQuery } from "graphql-jit";
import { KeptBySize } from "../tasks/kept-by-size.ts";

/**
 * Runs documents. One that comes again is compiled to a function, which reads variables and completes values ten times
 * faster than walking the document; one that comes seldom is walked, because compiling takes milliseconds. Both give the
 * same answers: where only an error can follow, graphql-js words it. Compiled, a field without a resolver must hold its
 * value and no promise of it, an abstract type must be told apart at once, and no input type may contain itself.
 *
 * Uses are counted by document object, so only documents that are kept for known callers are ever compiled.
 */
const usesBeforeCompiling = 2;
/** A longer document must come more often before compiling pays: one more use for so many characters. */
const charactersForUse = 512;
const documentCharactersMax = 8_192;
/** A compiled document takes some 100 bytes for each character. */
const compiledCharactersMax = 262_144;

interface Known {
  uses: number;
  /** Characters of the document as it is printed; 0 while unknown. */
  length: number;
}

/** By the name of the operation; undefined for one that cannot be compiled. */
type Compiled = Map<string, CompiledQuery | undefined>;

export class OperationExecutor {
  readonly #schema: GraphQLSchema;
  readonly #known = new WeakMap<DocumentNode, Known>();
  readonly #compiled = new KeptBySize<DocumentNode, Compiled>(compiledCharactersMax);

  constructor(schema: GraphQLSchema) {
    this.#schema = schema;
  }

  get compiledCount(): number {
    return this.#compiled.count;
  }

  run(args: ExecutionArgs): ExecutionResult | Promise<ExecutionResult> {
    return this.#firstMisfit(args) ?? this.#runWith(this.#functionOf(args), args);
  }

  /**
   * The events of a subscription, each executed when it is requested; or the errors for which it could not start.
   * `onEnd` is told when there are no more, and may be told again.
   */
  async subscribe(
    args: ExecutionArgs,
    onEnd = () => {},
  ): Promise<AsyncIterableIterator<ExecutionResult> | ExecutionResult> {
    const misfit = this.#firstMisfit(args);
    if (misfit) return misfit;
    const source = await createSourceEventStream(args);
    if (!(Symbol.asyncIterator in source)) return source;
    const compiled = this.#functionOf(args);
    return mapEvents(source, (event) => this.#runWith(compiled, args, event), onEnd);
  }

  /**
   * The first fault of large variables. Compiled code would find and word every fault, and each message quotes the
   * whole value: for a megabyte that is wrong everywhere, that would take seconds.
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
    // Without data nothing was executed: the variables are invalid.
    return "data" in result ? withCauses(result) : execute({ ...args, rootValue });
  }

  #functionOf({ document, operationName }: ExecutionArgs): CompiledQuery | undefined {
    const compiled = this.#compiled.get(document) ?? this.#startCompiling(document);
    if (!compiled) return undefined;
    const name = operationName ?? "";
    if (!compiled.has(name)) {
      const made = compileQuery(this.#schema, document, operationName ?? undefined);
      compiled.set(name, isCompiledQuery(made) ? made : undefined);
    }
    return compiled.get(name);
  }

  /** Undefined until the document has come often enough since it was first seen or last dropped. */
  #startCompiling(document: DocumentNode): Compiled | undefined {
    const known = this.#known.get(document) ?? { uses: 0, length: 0 };
    this.#known.set(document, known);
    known.uses += 1;
    if (known.uses <= usesBeforeCompiling) return undefined;
    known.length ||= print(document).length;
    if (known.length > documentCharactersMax) return undefined;
    if (known.uses <= usesBeforeCompiling + known.length / charactersForUse) return undefined;
    known.uses = 0;
    const compiled: Compiled = new Map();
    this.#compiled.set(document, compiled, known.length);
    return compiled;
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

/** An error of the schema itself, such as null in a non-null field, has no cause here; graphql-js words it. */
function withCauses(result: ExecutionResult): ExecutionResult {
  if (!result.errors) return result;
  const errors = result.errors.map((error) => {
    if (error.originalError) return error;
    const { message, path } = error;
    return new GraphQLError(message, { path: path ?? null, originalError: new Error(message) });
  });
  return { ...result, errors };
}

/** Not a generator: `return` must reach the source also while an event is pending. */
function mapEvents<E, R>(
  source: AsyncIterable<E>,
  map: (event: E) => R | Promise<R>,
  onEnd: () => void,
): AsyncIterableIterator<R> {
  const events = source[Symbol.asyncIterator]();
  const end = async () => {
    onEnd();
    await events.return?.();
    return { done: true as const, value: undefined };
  };
  return {
    async next() {
      try {
        const { done, value } = await events.next();
        if (done) {
          onEnd();
          return { done, value: undefined };
        }
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
