import { ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { ApolloServer } from "@apollo/server";
import { fastifyApolloHandler } from "@as-integrations/fastify";
import cors from "@fastify/cors";
import {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
  LogController,
  type onResponseHookHandler,
  type preHandlerHookHandler,
} from "fastify";
import type { Context } from "../auth/viewer.ts";
import { AppError, badInput } from "../errors.ts";
import { newId } from "../ids.ts";
import type { Logger } from "../log.ts";
import { type BytesInFlight, boundBytes } from "./bytes-in-flight.ts";
import type { Callers } from "./context.ts";
import { headersOf, type PublicFault, report, toPublicFault, toWireFault } from "./format-error.ts";
import { readForwardedAddresses } from "./forwarded-addresses.ts";

import { addSecurityHeaders, allowPage } from "./headers/security.ts";
import type { RunningRequests } from "./lifecycle/running-requests.ts";

import { type Operations, readRequest } from "./operations.ts";
import { chargeHeaderNames, isRefusal } from "./rest/door.ts";
import { addDoors } from "./rest/routes.ts";
import { answerWithEvents } from "./sockets/event-stream.ts";
import { endAndDestroy, type Sockets } from "./sockets/sockets.ts";

const bodyBytesMax = 1_048_576;
/** Above the 16 KiB of Node, so that an overlong credential gets the same error as any other invalid one. */
const headerBytesMax = 131_072;
const requestTimeoutMs = 30_000;

export interface ServerOptions {
  log: Logger;
  trustProxy: string[];
  corsOrigins: string[];
  inFlight: BytesInFlight;
  /** How long a connection without a request stays open. */
  keepAliveMs: number;
}

/** Creates the server without its routes, which need parts that are created later. */
export function createServer({ log, trustProxy, corsOrigins, inFlight, keepAliveMs }: ServerOptions): FastifyInstance {
  const server = fastify({
    loggerInstance: log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: bodyBytesMax,
    http: { maxHeaderSize: headerBytesMax, headersTimeout: requestTimeoutMs },
    clientErrorHandler: refuseSocket,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveMs,
    trustProxy: trustProxy.length > 0 ? trustProxy : false,
    genReqId: ({ headers }) => readRequestId(headers["x-request-id"]) ?? newId(),
    // The readiness gate refuses them instead, in the shape of each interface.
    return503OnClosing: false,
    // Log entries name the request's id themselves; a logger for each request would cost more.
    childLoggerFactory: (logger) => logger,
    frameworkErrors: (error, request, reply) => sendFault(toRequestFault(error), request, reply, log),
  }) as unknown as FastifyInstance;
  // Only JSON is accepted: a hostile page can send a form or plain text without a CORS preflight.
  server.removeContentTypeParser("text/plain");
  if (trustProxy.length > 0) server.addHook("onRequest", readForwardedAddresses);
  server.addHook("onRequest", (request, reply, done) => {
    reply.header("x-request-id", request.id);
    done();
  });
  addSecurityHeaders(server);
  server.addHook("preParsing", boundBytes(inFlight, bodyBytesMax));
  if (log.isLevelEnabled("debug")) server.addHook("onResponse", logRequest(log));
  server.setErrorHandler((error, request, reply) => sendFault(error, request, reply, log));
  server.setNotFoundHandler((request, reply) =>
    sendFault(new AppError("NOT_FOUND", { message: "There is nothing at this address." }), request, reply, log),
  );
  if (corsOrigins.length > 0) {
    server.register(cors, {
      origin: corsOrigins,
      methods: ["GET", "POST"],
      exposedHeaders: [
        ...["x-request-id", "retry-after"],
        ...chargeHeaderNames,
        ...["ratelimit-policy", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"],
      ],
      maxAge: 600,
    });
  }
  return server;
}

function logRequest(log: Logger): onResponseHookHandler {
  return ({ id, method, routeOptions }, { statusCode, elapsedTime }, done) => {
    log.debug({ requestId: id, method, route: routeOptions.url, statusCode, ms: Math.round(elapsedTime) }, "request");
    done();
  };
}

export interface Routes {
  apollo: ApolloServer<Context>;
  callers: Callers;
  operations: Operations;
  requests: RunningRequests;
  sockets: Sockets;
  sandbox: boolean;
  /** Rejects when the database does not answer. */
  checkReady: () => Promise<void>;
}

export function addRoutes(server: FastifyInstance, routes: Routes): void {
  const { apollo, callers, requests, sockets, sandbox, checkReady } = routes;
  addDoors(server, routes, (error, request) => publishFault(error, request, server.log));
  const handler = fastifyApolloHandler(apollo, {
    context: (request, reply) => callers.context(request, requests.begin(reply)),
  });
  const checksBody = { preHandler: checkBody };
  server.post("/graphql", checksBody, handler);
  const takeSocket = async (request: FastifyRequest, reply: FastifyReply) => {
    if (sockets.take(request, reply)) return reply;
    showPage(sandbox, request.headers);
    allowPage(reply);
  };
  server.get("/graphql", { preHandler: takeSocket }, handler);
  server.post("/graphql/stream", checksBody, (request, reply) => answerWithEvents(request, reply, routes));
  sockets.attach(server, "/graphql", (request, socket) => {
    const response = new ServerResponse(request);
    response.assignSocket(socket as Socket);
    // A refused upgrade closes its connection.
    response.shouldKeepAlive = false;
    response.once("finish", () => endAndDestroy(socket));
    server.routing(request, response);
  });
  server.get("/healthz", async () => ({ status: "ok" }));
  server.get("/readyz", async () => {
    await checkReady().catch((cause: unknown) => {
      throw new AppError("UNAVAILABLE", { details: { retryAfter: 1 }, cause });
    });
    return { status: "ready" };
  });
}

/** Refuses queries in a URL, which would end up in histories and logs; Apollo would run them. */
function showPage(sandbox: boolean, headers: FastifyRequest["headers"]): void {
  if (!sandbox || !headers.accept?.includes("text/html")) throw badInput("Send operations with POST.");
  headers.accept = "text/html";
}

const checkBody: preHandlerHookHandler = ({ body }, _reply, done) => {
  readRequest(body);
  done();
};

/** Fastify's own refusals as errors of the catalogue. */
function toRequestFault(error: unknown): unknown {
  const { code, statusCode } = error as { code?: string; statusCode?: number };
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE") {
    return new AppError("INPUT_TOO_LARGE", { details: { limitBytes: bodyBytesMax }, cause: error });
  }
  if (code === "FST_ERR_CTP_INVALID_MEDIA_TYPE") return badInput("The content type must be application/json.");
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500 && !(error instanceof AppError)) {
    return badInput("The request could not be read as JSON.");
  }
  return error;
}

function sendFault(error: unknown, request: FastifyRequest, reply: FastifyReply, log: Logger): FastifyReply {
  if (error instanceof Error && isRefusal(error)) {
    return reply
      .code(error.statusCode)
      .headers(headersOf(error.fault.extensions))
      .send({ errors: [error.fault] });
  }
  const fault = publishFault(error, request, log);
  const { message, extensions } = toWireFault(fault);
  const errors = [{ message, extensions: { ...extensions, requestId: request.id } }];
  const headers = { ...headersOf(extensions), "x-request-id": request.id };
  return reply.code(fault.status).headers(headers).send({ errors });
}

function publishFault(error: unknown, { id }: FastifyRequest, log: Pick<Logger, "error" | "warn">): PublicFault {
  return report(log, toRequestFault(error), { requestId: id });
}

/** For malformed HTTP: there is no request to answer, so the answer is written to the socket. */
function refuseSocket(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable) return void socket.destroy();
  const tooLarge = error.code === "HPE_HEADER_OVERFLOW";
  const fault = toPublicFault(tooLarge ? new AppError("INPUT_TOO_LARGE") : badInput("The request is not valid HTTP."));
  const { message, extensions } = toWireFault(fault);
  const body = JSON.stringify({ errors: [{ message, extensions: { ...extensions, requestId: newId() } }] });
  const head = [
    `HTTP/1.1 ${fault.status} ${STATUS_CODES[fault.status]}`,
    "content-type: application/json; charset=utf-8",
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}

function readRequestId(header: string | string[] | undefined): string | undefined {
  return typeof header === "string" && /^[\w.-]{1,64}$/.test(header) ? header : undefined;
}
