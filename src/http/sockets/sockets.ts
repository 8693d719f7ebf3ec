import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ExecutionArgs, GraphQLError } from "graphql";
import { handleProtocols, makeServer, type Server, type ServerOptions } from "graphql-ws";
import { type WebSocket, WebSocketServer } from "ws";
import type { Context } from "../../auth/viewer.ts";
import { AppError } from "../../errors.ts";
import { newId } from "../../ids.ts";
import type { BytesInFlight } from "../bytes-in-flight.ts";
import type { Callers } from "../context.ts";
import type { ExposedKeys } from "../exposed-keys.ts";
import { stopping } from "../lifecycle/running-requests.ts";
import type { OperationRequest, Operations } from "../operations.ts";
import { closeCodes, OpenSocket } from "./open-socket.ts";
import { hasRoom } from "./socket-caps.ts";

/**
 * GraphQL over WebSocket (graphql-transport-ws). A socket lives no longer than its credential and runs a bounded number
 * of operations, which end with it.
 */
const messageBytesMax = 1_048_576;

interface Extra {
  open: OpenSocket;
}

interface SocketsOptions {
  operations: Operations;
  callers: Callers;
  exposedKeys: ExposedKeys;
  inFlight: BytesInFlight;
  /** How long operations may go on when the server ends. */
  drainMs: number;
}

export class Sockets {
  readonly #options: SocketsOptions;
  readonly #server: Server<Extra>;
  readonly #upgrader = new WebSocketServer({
    noServer: true,
    maxPayload: messageBytesMax,
    perMessageDeflate: false,
    handleProtocols,
  });
  readonly #upgrading = new WeakMap<IncomingMessage, { socket: Duplex; head: Buffer }>();
  readonly #open = new Set<OpenSocket>();
  #closing = false;

  constructor(options: SocketsOptions) {
    this.#options = options;
    this.#server = makeServer<Record<string, unknown>, Extra>(this.#protocol());
  }

  /** Sends upgrades of `path` through the server's own routing, so that they get its hooks, ids and addresses. */
  attach(server: FastifyInstance, path: string, respond: (request: IncomingMessage, socket: Duplex) => void): void {
    server.server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on("error", () => socket.destroy());
      if (request.url?.split("?")[0] !== path) {
        endAndDestroy(socket, "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        return;
      }
      this.#upgrading.set(request, { socket, head });
      respond(request, socket);
    });
  }

  /** True if the request asked for a socket and got one. */
  take(request: FastifyRequest, reply: FastifyReply): boolean {
    const upgrade = this.#upgrading.get(request.raw);
    if (!upgrade) return false;
    reply.hijack();
    reply.raw.detachSocket(request.raw.socket);
    this.#upgrader.handleUpgrade(request.raw, upgrade.socket, upgrade.head, (socket) => this.#opened(socket, request));
    return true;
  }

  /** Refuses new operations, gives running ones time to finish, then aborts them. */
  async close(): Promise<void> {
    this.#closing = true;
    const stop = setTimeout(() => {
      for (const open of this.#open) open.stopAll(stopping());
    }, this.#options.drainMs);
    await Promise.all(
      [...this.#open].map((open) => open.closeWhenIdle(closeCodes.goingAway, "The server is stopping.")),
    );
    clearTimeout(stop);
  }

  #opened(socket: WebSocket, request: FastifyRequest): void {
    const open = new OpenSocket(socket, request);
    const isRoom = hasRoom(this.#open, open);
    // A socket that is refused counts until it is closed.
    this.#open.add(open);
    const closed = isRoom && this.#server.opened(open.forProtocol(this.#options.inFlight), { open });
    socket.once("close", (code, reason) => {
      this.#open.delete(open);
      open.ended();
      if (closed) void closed(code, String(reason));
    });
    if (!isRoom) open.close(closeCodes.tooMany, "Too many sockets");
  }

  #protocol(): ServerOptions<Record<string, unknown>, Extra> {
    const { operations } = this.#options;
    const contextOf = ({ contextValue }: { contextValue?: unknown }) => contextValue as Context;
    return {
      onConnect: ({ connectionParams, extra: { open } }) => this.#connect(open, connectionParams ?? {}),
      onSubscribe: ({ extra: { open } }, id, payload) =>
        this.#prepare(open, id, payload).catch((error: unknown) => [operations.asError(error)]),
      execute: (args) => operations.run(args) as never,
      subscribe: (args) => operations.run(args) as never,
      onNext: (_socket, _id, _payload, args, result) => operations.format(result, contextOf(args)),
      onError: (_socket, _id, _payload, errors) => operations.formatErrors(errors, { requestId: newId() }),
      onComplete: ({ extra: { open } }, id) => open.completed(id),
    };
  }

  async #prepare(open: OpenSocket, id: string, payload: OperationRequest): Promise<ExecutionArgs | GraphQLError[]> {
    const { operations, callers, exposedKeys } = this.#options;
    const { ip } = open;
    const requestId = newId();
    if (this.#closing) throw stopping();
    await exposedKeys.check(payload, { ip, id: requestId });
    const identity = await callers.identify(() => open.credential, ip);
    if (open.isFull()) {
      const message = "There are too many operations on this socket.";
      throw new AppError("RATE_LIMITED", { message, details: { retryAfter: 1 } });
    }
    const prepared = await operations.prepare(
      payload,
      callers.contextOf(identity, { requestId, ip, operation: open.begin(id) }),
    );
    if ("schema" in prepared) return prepared;
    open.completed(id);
    return [...prepared];
  }

  /** A socket requires a caller: public fields are answered over HTTP. */
  async #connect(open: OpenSocket, params: Record<string, unknown>): Promise<boolean> {
    const { callers } = this.#options;
    const { viewer, refusal } = await callers.identify(() => open.readCredential(params), open.ip);
    if (!viewer) {
      open.close(closeCodes.unauthorized, (refusal ?? new AppError("UNAUTHENTICATED")).code);
      return false;
    }
    const unwatch = callers.watch(
      () => open.credential,
      open.ip,
      (ended) => {
        open.stopAll(ended);
        void open.closeWhenIdle(closeCodes.unauthorized, ended.code);
      },
    );
    open.onEnd(unwatch);
    open.identified = true;
    return true;
  }
}

/** A client can keep its half of the connection open, and Node has no timeout for a connection that asked to be upgraded. */
export function endAndDestroy(socket: Duplex, text = ""): void {
  socket.end(text, () => socket.destroy());
}
