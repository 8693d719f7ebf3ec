import type { FastifyInstance } from "fastify";
import { AppError } from "../../errors.ts";
import { stopping } from "./running-requests.ts";

/** Answers although the server is not ready: the process is alive, and must not be restarted for its long start or end. */
const livenessPath = "/healthz";
const readinessPath = "/readyz";
const retryAfter = 1;

type State = "starting" | "ready" | "leaving" | "draining";

/**
 * Whether the server takes requests. It listens before the first owner, the demo key and the models exist, and refuses
 * every request with UNAVAILABLE until then. When it ends, it first only says that it is not ready, so that balancers
 * choose other servers; then it refuses new requests on open connections. Each interface formats the refusal as any other.
 */
export class ReadinessGate {
  #state: State = "starting";

  /** Before any other hook and any route is added. */
  attach(server: FastifyInstance): void {
    server.addHook("onRequest", (request, _reply, done) => {
      const path = request.routeOptions.url;
      if (this.#state === "ready" || path === livenessPath) return done();
      if (this.#state === "leaving" && path !== readinessPath) return done();
      done(this.#state === "starting" ? starting() : stopping());
    });
  }

  enter(state: State): void {
    this.#state = state;
  }
}

function starting(): AppError {
  return new AppError("UNAVAILABLE", { message: "The server is starting. Try again.", details: { retryAfter } });
}
