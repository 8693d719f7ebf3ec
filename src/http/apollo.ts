import { ApolloServer, type ApolloServerPlugin } from "@apollo/server";
import { ApolloServerPluginLandingPageDisabled } from "@apollo/server/plugin/disabled";
import { ApolloServerPluginLandingPageLocalDefault } from "@apollo/server/plugin/landingPage/default";
import type { GraphQLFormattedError, GraphQLSchema } from "graphql";
import type { Context } from "../auth/viewer.ts";
import { badInput, catalogue, type ErrorCode } from "../errors.ts";
import { checkValues, limits, validationRules } from "../graphql/hardening.ts";
import type { Logger } from "../log.ts";
import { formatFault, headersOf, toPublicFault } from "./format-error.ts";

export interface ApolloOptions {
  schema: GraphQLSchema;
  log: Logger;
  introspection: boolean;
  /** Serves Apollo Sandbox to browsers. */
  sandbox: boolean;
  plugins: ApolloServerPlugin<Context>[];
}

const subscriptionsElsewhere =
  "Subscriptions go over a WebSocket (graphql-transport-ws) to /graphql, or as server-sent events to /graphql/stream.";

export function createApollo({ schema, log, introspection, sandbox, plugins }: ApolloOptions): ApolloServer<Context> {
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
      const fault = formatFault(toPublicFault(error), formatted.path);
      // Apollo hides the suggestions of its validation only; a variable that does not fit its type gets them too.
      return introspection ? fault : { ...fault, message: fault.message.replace(/ ?Did you mean .+\?$/s, "") };
    },
    plugins: [landingPage, answers(log), ...plugins],
  });
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
        for (const error of errors) {
          const { unexpected, code } = toPublicFault(error);
          // That a client left is no fault of ours, and its own answer nobody reads.
          const left = code === "UNAVAILABLE" && context.signal.aborted;
          if (unexpected && !left)
            log.error({ err: error.originalError ?? error, requestId: context.requestId, code }, "request failed");
        }
      },
      willSendResponse: async ({ request, response }) => {
        if (response.body.kind !== "single") return;
        response.http.headers.set("content-type", contentTypeFor(request.http?.headers.get("accept")));
        const { singleResult } = response.body;
        if (context.credits) singleResult.extensions = { ...singleResult.extensions, credits: context.credits };
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
