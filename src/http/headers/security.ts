import helmet from "@fastify/helmet";
import type { FastifyInstance, FastifyReply } from "fastify";

/** Answers are data: nothing in them may be run, framed or kept by a cache, unless a route says otherwise. */
const hstsSeconds = 31_536_000;

const policies = {
  useDefaults: false,
  directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"], baseUri: ["'none'"], formAction: ["'none'"] },
};
/** The page of Sandbox has a policy of its own for its scripts, with nonces. This one must not forbid what that allows. */
const pagePolicy = "object-src 'none';frame-ancestors 'none';base-uri 'none';form-action 'self'";

const headers = {
  contentSecurityPolicy: policies,
  crossOriginOpenerPolicy: { policy: "same-origin-allow-popups" as const },
  // Only a connection that is encrypted can say so; see below.
  strictTransportSecurity: false as const,
  xFrameOptions: { action: "deny" as const },
};

export function addSecurityHeaders(server: FastifyInstance): void {
  server.register(helmet, headers);
  server.addHook("onRequest", (request, reply, done) => {
    reply.header("cache-control", "no-store");
    // Of a trusted proxy, `x-forwarded-proto` says which protocol the client used.
    if (request.protocol === "https") reply.header("strict-transport-security", `max-age=${hstsSeconds}`);
    done();
  });
}

/** For the page of Sandbox. */
export function allowPage(reply: FastifyReply): void {
  reply.header("content-security-policy", pagePolicy);
}
