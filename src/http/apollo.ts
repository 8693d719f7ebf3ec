import { ApolloServer, type ApolloServerPlugin, HeaderMap } from "@apollo/server";
import { ApolloServerPluginLandingPageDisabled } from "@apollo/server/plugin/disabled";
import { ApolloServerPluginLandingPageLocalDefault } from "@apollo/server/plugin/landingPage/default";
import {
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  type GraphQLFormattedError,
  type GraphQLSchema,
  getOperationAST,
  parse,
} from "graphql";
import type { Context } from "../auth/viewer.ts";
import { badInput, catalogue, type ErrorCode } from "../errors.ts";
import type { Logger } from "../log.ts";
import { headersOf, report, toPublicFault, toWireFault, withoutSuggestion } from "./format-error.ts";
import type { Operations } from "./operations.ts";

export interface ApolloOptions {
  schema: GraphQLSchema;
  operations: Operations;
  log: Logger;
  introspection: boolean;
  /** Serves Apollo Sandbox to browsers. */
  sandbox: boolean;
  plugins: ApolloServerPlugin<Context>[];
}

const subscriptionsElsewhere =
  "Subscriptions go over a WebSocket (graphql-transport-ws) to /graphql, or as server-sent events to /graphql/stream.";

export function createApollo(options: ApolloOptions): ApolloServer<Context> {
  const { schema, operations, log, introspection, sandbox, plugins } = options;
  const landingPage = sandbox
    ? ApolloServerPluginLandingPageLocalDefault({ embed: true, includeCookies: false })
    : ApolloServerPluginLandingPageDisabled();
  return new ApolloServer<Context>({
    schema,
    introspection,
    hideSchemaDetailsFromClientErrors: !introspection,
    includeStacktraceInErrorResponses: false,
    stopOnTerminationSignals: false,
    persistedQueries: false,
    allowBatchedHttpRequests: false,
    documentStore: { get: async () => anyDocument, set: async () => {}, delete: async () => true },
    formatError: (formatted, error) => {
      const fault = toWireFault(toPublicFault(error), formatted.path);
      return introspection ? fault : withoutSuggestion(fault);
    },
    plugins: [landingPage, answers(log), execution(operations), ...plugins],
  });
}

/**
 * Apollo's document for every request, so that Apollo does not parse, validate and keep documents itself. `Operations`
 * reads them, as for all other endpoints: bounded, and by caller.
 */
const anyDocument: DocumentNode = parse("{ __typename }");

/** Runs operations as all other endpoints do. */
function execution(operations: Operations): ApolloServerPlugin<Context> {
  return {
    requestDidStart: async () => ({
      responseForOperation: async ({ request: { query = "", variables, operationName }, contextValue: context }) => {
        const prepared = await operations.prepare({ query, variables, operationName }, context);
        const result = "schema" in prepared ? await runOnce(operations, prepared) : { errors: prepared };
        const singleResult = operations.format(result, context);
        return { http: { headers: new HeaderMap() }, body: { kind: "single", singleResult } };
      },
    }),
  };
}

async function runOnce(operations: Operations, args: ExecutionArgs): Promise<ExecutionResult> {
  if (getOperationAST(args.document, args.operationName)?.operation === "subscription") {
    return { errors: [operations.asError(badInput(subscriptionsElsewhere))] };
  }
  return (await operations.run(args)) as ExecutionResult;
}

/** Gives each answer its request id, HTTP status and headers, and logs unexpected errors. */
function answers(log: Logger): ApolloServerPlugin<Context> {
  return {
    requestDidStart: async ({ contextValue: context }) => ({
      didEncounterErrors: async ({ errors }) => {
        for (const error of errors) report(log, error, context);
      },
      willSendResponse: async ({ request, response }) => {
        if (response.body.kind !== "single") return;
        response.http.headers.set("content-type", contentTypeFor(request.http?.headers.get("accept")));
        const { singleResult } = response.body;
        if (!singleResult.errors) return;
        singleResult.errors = singleResult.errors.map((error) => withRequestId(error, context.requestId));
        const [first] = singleResult.errors;
        if (first && isEmpty(singleResult.data)) {
          response.http.status = catalogue[first.extensions?.["code"] as ErrorCode].status;
          for (const [name, value] of Object.entries(headersOf(first.extensions)))
            response.http.headers.set(name, value);
        }
      },
    }),
  };
}

/** Chosen here, because Apollo would refuse an unsupported `accept` only after the call was made and paid for. */
function contentTypeFor(accept = ""): string {
  const asked = "application/graphql-response+json";
  return `${accept.includes(asked) ? asked : "application/json"}; charset=utf-8`;
}

function withRequestId(error: GraphQLFormattedError, requestId: string): GraphQLFormattedError {
  return { ...error, extensions: { ...error.extensions, requestId } };
}

/** Whether an answer contains only nulls, so that its HTTP status can be that of the error. */
function isEmpty(data: Record<string, unknown> | null | undefined): boolean {
  return data == null || Object.values(data).every((value) => value === null);
}
