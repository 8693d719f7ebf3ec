import { setTimeout as delay } from "node:timers/promises";
import type { GraphQLSchema } from "graphql";
import type { AuditService } from "../audit/service.ts";
import type { PeopleIdentity } from "../auth/identity.ts";
import type { SigningKeys } from "../auth/signing-keys/service.ts";
import type { Context } from "../auth/viewer.ts";
import type { Config } from "../config/environment.ts";
import type { ErrorCode } from "../errors.ts";
import type { Exposures } from "../keys/exposure/exposures.ts";
import type { KeyIdentity } from "../keys/identity.ts";
import type { Denials } from "../limits/denials.ts";
import type { StrangerBudget } from "../limits/stranger-budget.ts";
import type { Logger } from "../log.ts";
import type { ExportService } from "../usage/exports/service.ts";
import { createApollo } from "./apollo.ts";
import { BytesInFlight } from "./bytes-in-flight.ts";
import { Callers } from "./context.ts";
import { addAuditExport } from "./exports/audit.ts";
import { addExportRoutes } from "./exports/routes.ts";
import { ExposedKeys } from "./exposed-keys.ts";
import { ReadinessGate } from "./lifecycle/readiness.ts";
import { RunningRequests } from "./lifecycle/running-requests.ts";
import { limitAnswers } from "./limit-answers.ts";
import { addMetricsRoute, type Metrics } from "./metrics.ts";
import { openOperations } from "./open-operations.ts";
import { addRoutes, createServer } from "./server.ts";
import { Sockets } from "./sockets/sockets.ts";
import { refuseStrangersBodies } from "./stranger-bodies.ts";
import { addWellKnown } from "./well-known.ts";

export interface HttpParts {
  config: Config;
  log: Logger;
  /** The schema with its guards. */
  schema: GraphQLSchema;
  metrics: Metrics;
  people: { identity: PeopleIdentity; signingKeys: SigningKeys };
  keys: { identity: KeyIdentity; exposures: Exposures };
  denials: Denials;
  strangers: StrangerBudget;
  exports: ExportService;
  audit: AuditService;
  /** Rejects when the database does not answer. */
  checkReady: () => Promise<void>;
}

/** Puts the server together. It answers UNAVAILABLE from `listen` until `declareReady`. */
export async function openHttp({ config, log, schema, metrics, people, keys, denials, ...parts }: HttpParts) {
  const { trustProxy, corsOrigins, introspection, keepAliveMs, drainMs } = config;
  const inFlight = new BytesInFlight(config.bytesInFlightMax);
  const server = createServer({ log, trustProxy, corsOrigins, inFlight, keepAliveMs });
  const requests = new RunningRequests();
  requests.attach(server);
  server.addHook("preParsing", refuseStrangersBodies(parts.strangers));
  const readiness = new ReadinessGate();
  readiness.attach(server);
  const exposedKeys = new ExposedKeys(keys.exposures);
  exposedKeys.attach(server);
  const onDenied = ({ identity: { viewer, refusedKey } }: Context, code: ErrorCode) => {
    const key = viewer?.kind === "API_KEY" ? viewer : refusedKey;
    metrics.onDenied(code);
    if (key) denials.count(key, code);
  };
  const callers = new Callers(people.identity, keys.identity);
  const operations = openOperations({ config, schema, strangers: parts.strangers, metrics, log, onDenied });
  const sockets = new Sockets({ operations, callers, exposedKeys, inFlight, drainMs });
  const plugins = [limitAnswers(onDenied)];
  const sandbox = introspection;
  const apollo = createApollo({ schema, operations, log, introspection, sandbox, plugins });
  await apollo.start();
  addRoutes(server, { apollo, callers, operations, requests, sockets, sandbox, checkReady: parts.checkReady });
  addWellKnown(server, people.signingKeys);
  addMetricsRoute(server, metrics, config.metricsToken);
  addExportRoutes(server, { callers, exports: parts.exports });
  addAuditExport(server, callers, parts.audit);
  return {
    /** Returns the address. */
    listen: () => server.listen({ host: config.host, port: config.port }),
    declareReady: () => readiness.enter("ready"),
    /** Answers requests for a while, but is not ready, so that balancers choose other servers. */
    async leave() {
      readiness.enter("leaving");
      requests.closeConnections();
      await delay(config.lameDuckMs);
    },
    /** Refuses new requests, gives running ones time to finish, then aborts them. */
    async close() {
      readiness.enter("draining");
      await requests.drain(server.server, Promise.all([sockets.close(), server.close()]), drainMs);
      await apollo.stop();
    },
  };
}
