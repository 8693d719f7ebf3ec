import { createHash } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { publishedSeconds, type SigningKeys } from "../auth/signing-keys/service.ts";

/**
 * `GET /.well-known/jwks.json`: the public keys for verifying access tokens (RFC 7517). They may be cached for as long
 * as a new key waits before it signs.
 */
export function addWellKnown(server: FastifyInstance, signingKeys: SigningKeys): void {
  server.get("/.well-known/jwks.json", async (request, reply) => {
    const { rows } = await signingKeys.list();
    const keys = rows.map(({ kid, publicJwk }) => ({ ...publicJwk, kid, alg: "EdDSA", use: "sig" }));
    const text = JSON.stringify({ keys });
    const etag = `"${createHash("sha256").update(text).digest("base64url")}"`;
    reply.header("cache-control", `public, max-age=${publishedSeconds}`);
    reply.header("etag", etag);
    if (request.headers["if-none-match"] === etag) return reply.code(304).send();
    return reply.header("content-type", "application/jwk-set+json; charset=utf-8").send(text);
  });
}
