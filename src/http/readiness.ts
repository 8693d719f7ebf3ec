import type { FastifyInstance } from "fastify";
import { AppError } from "../errors.ts";

/** Answers although the server is not ready: the process is alive, and must not be restarted for its long start. */
const livenessPath = "/healthz";
const retryAfter = 1;

/**
 * Whether the server is prepared: it listens before the first owner, the demo key and the models exist, and refuses
 * every request with UNAVAILABLE until then. Each interface formats the refusal as any other.
 */
export class ReadinessGate {
  #isReady = false;

  /** Before any other hook and any route is added. */
  attach(server: FastifyInstance): void {
    server.addHook("onRequest", (request, _reply, done) => {
      if (this.#isReady || request.routeOptions.url === livenessPath) return done();
      done(new AppError("UNAVAILABLE", { message: "The server is starting. Try again.", details: { retryAfter } }));
    });
  }

  declareReady(): void {
    this.#isReady = true;
  }
}
