import { ApolloServer, type ApolloServerPlugin, HeaderMap } from "@apollo/server";
import { ApolloServerPluginLandingPageDisabled } from "@apollo/server/plugin/disabled";
import { ApolloServerPluginLandingPageLocalDefault } from "@apollo/server/plugin/landingPage/default";
import type { GraphQLFormattedError, GraphQLSchema } from "graphql";
import type { Context } from "../auth/viewer.ts";
import { badInput, catalogue, type ErrorCode } from "../errors.ts";
import type { OperationExecutor } from "../graphql/execution.ts";
import { checkValues, limits, validationRules } from "../graphql/hardening.ts";
import type { Logger } from "../log.ts";
import { headersOf, report, toPublicFault, toWireFault, withoutSuggestion } from "./format-error.ts";
import type { Operations } from "./operations.ts";

export interface ApolloOptions {
  schema: GraphQLSchema;
  executor: OperationExecutor;
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
  const { schema, log, introspection, sandbox, plugins } = options;
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
    parseOptions: { maxTokens: limits.tokensMax },
    validationRules: validationRules(schema),
    formatError: (formatted, error) => {
      const fault = toWireFault(toPublicFault(error), formatted.path);
      return introspection ? fault : withoutSuggestion(fault);
    },
    plugins: [landingPage, answers(log), execution(options), ...plugins],
  });
}

/** Has valid operations run as they are run for every other door, and told in the same words. */
function execution({ schema, executor, operations }: ApolloOptions): ApolloServerPlugin<Context> {
  return {
    requestDidStart: async () => ({
      responseForOperation: async ({ document, operation, request, contextValue }) => {
        if (!operation) return null;
        const { variables: variableValues, operationName } = request;
        const result = await executor.run({ schema, document, contextValue, variableValues, operationName });
        const singleResult = operations.format(result, contextValue);
        return { http: { headers: new HeaderMap() }, body: { kind: "single", singleResult } };
      },
    }),
  };
}

/** Gives each answer its request id, HTTP status and headers, and writes down what nobody meant to happen. */
function answers(log: Logger): ApolloServerPlugin<Context> {
  return {
    requestDidStart: async ({ contextValue: context }) => ({
      didResolveOperation: async ({ document, request, operation }) => {
        checkValues(document, request.variables);
        if (operation?.operation === "subscription") throw badInput(subscriptionsElsewhere);
      },
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

/** Chosen here, because Apollo would refuse an `accept` that it cannot meet after the call was made and paid for. */
function contentTypeFor(accept = ""): string {
  const asked = "application/graphql-response+json";
  return `${accept.includes(asked) ? asked : "application/json"}; charset=utf-8`;
}

function withRequestId(error: GraphQLFormattedError, requestId: string): GraphQLFormattedError {
  return { ...error, extensions: { ...error.extensions, requestId } };
}

/** Whether an answer holds nothing but nulls, so that its status can speak of the error alone. */
function isEmpty(data: Record<string, unknown> | null | undefined): boolean {
  return data == null || Object.values(data).every((value) => value === null);
}
