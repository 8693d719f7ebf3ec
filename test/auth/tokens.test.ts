import { createPublicKey, generateKeyPairSync } from "node:crypto";
import {
  calculateJwkThumbprint,
  decodeJwt,
  exportJWK,
  importPKCS8,
  type JWTHeaderParameters,
  type JWTPayload,
  SignJWT,
  UnsecuredJWT,
} from "jose";
import { describe, expect, it } from "vitest";
import { untilEnded } from "../harness/open-connections.ts";
import { useServer } from "../harness/server.ts";

const newKeys = () =>
  generateKeyPairSync("ed25519", {
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });

/** Known to the test, so that what it forges differs from a good token in one point only. */
const { privateKey: pem, publicKey: publicPem } = newKeys();
const stranger = newKeys();
const server = useServer({ JWT_PRIVATE_KEY: pem });
const publicJwk = await exportJWK(createPublicKey(publicPem));
const kid = await calculateJwkThumbprint(publicJwk);

const me = "{ me { kind user { email } } }";
const good = { alg: "EdDSA", typ: "at+jwt", kid };
const seconds = () => Math.floor(Date.now() / 1000);

/** What differs from a good token; undefined leaves a part out. */
interface Forgery {
  header?: Record<string, unknown>;
  claims?: Record<string, unknown>;
  key?: string;
}

function claimsOf(change: Record<string, unknown> = {}): JWTPayload {
  const { sub, sid } = decodeJwt<{ sid: string }>(server.ownerToken);
  const claims = { iss: "tollgate", aud: "tollgate", sub, sid, iat: seconds(), exp: seconds() + 600, ...change };
  return JSON.parse(JSON.stringify(claims));
}

async function forge({ header, claims, key = pem }: Forgery): Promise<string> {
  const full = JSON.parse(JSON.stringify({ ...good, ...header })) as JWTHeaderParameters;
  const crit = Object.fromEntries((full.crit ?? []).map((name) => [name, true]));
  return new SignJWT(claimsOf(claims)).setProtectedHeader(full).sign(await importPKCS8(key, "EdDSA"), { crit });
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

describe("access tokens work", () => {
  it("when signed by the server's key with every claim in place, so that the forgeries below prove something", async () => {
    const { me: owner } = await server.ok(me, {}, { token: await forge({}) });
    expect(owner).toEqual({ kind: "USER", user: { email: "owner@example.com" } });
  });

  it("from the moment that they are issued, also where the database's clock is known a little less well", async () => {
    const { iat = 0, exp = 0 } = decodeJwt(server.ownerToken);
    expect(exp - iat).toBe(15 * 60 + 2);
    await server.ok(me, {}, { token: await forge({ claims: { iat: seconds(), exp: seconds() + 900 } }) });
  });
});

describe("access tokens are refused", () => {
  const forgeries: [string, () => Forgery][] = [
    ["by another issuer", () => ({ claims: { iss: "another" } })],
    ["without an issuer", () => ({ claims: { iss: undefined } })],
    ["for another audience", () => ({ claims: { aud: "another" } })],
    ["without an audience", () => ({ claims: { aud: undefined } })],
    ["of another type", () => ({ header: { typ: "JWT" } })],
    ["without a type", () => ({ header: { typ: undefined } })],
    ["without an end", () => ({ claims: { exp: undefined } })],
    ["without a beginning", () => ({ claims: { iat: undefined } })],
    ["without a session", () => ({ claims: { sid: undefined } })],
    ["without a person", () => ({ claims: { sub: undefined } })],
    ["whose end has passed (A14)", () => ({ claims: { exp: seconds() - 1 } })],
    ["issued in an hour", () => ({ claims: { iat: seconds() + 3600, exp: seconds() + 4000 } })],
    ["that claim to last longer than any", () => ({ claims: { iat: seconds() - 1000, exp: seconds() + 9_000 } })],
    ["not yet valid", () => ({ claims: { nbf: seconds() + 3600 } })],
    ["with an unknown kid", () => ({ header: { kid: "another" } })],
    ["without a kid", () => ({ header: { kid: undefined } })],
    ["with a path as kid", () => ({ header: { kid: "../../etc/passwd" } })],
    ["with SQL as kid", () => ({ header: { kid: "' OR 1=1--" } })],
    ["with an extension that is not known", () => ({ header: { crit: ["tenant"], tenant: "1" } })],
    ["signed by a stranger's key", () => ({ key: stranger.privateKey })],
    ["of another person's session", () => ({ claims: { sub: "01900000-0000-7000-8000-000000000000" } })],
    ["of a session that is not there", () => ({ claims: { sid: "01900000-0000-7000-8000-000000000000" } })],
  ];
  it.each(forgeries)("%s", async (_what, forgery) => {
    const { status } = await server.refused("UNAUTHENTICATED", me, {}, { token: await forge(forgery()) });
    expect(status).toBe(401);
  });

  it("signed by a key that they bring along", async () => {
    const jwk = await exportJWK(createPublicKey(stranger.publicKey));
    for (const brought of [kid, await calculateJwkThumbprint(jwk)]) {
      const token = await forge({ header: { jwk, kid: brought }, key: stranger.privateKey });
      await server.refused("UNAUTHENTICATED", me, {}, { token });
    }
  });

  it("without a signature", async () => {
    const unsecured = new UnsecuredJWT(claimsOf()).encode();
    const none = `${encode({ ...good, alg: "none" })}.${encode(claimsOf())}`;
    const [, , signature] = (await forge({})).split(".");
    for (const token of [unsecured, `${none}.`, `${none}.AAAA`, `${none}.${signature}`]) {
      const { status } = await server.refused("UNAUTHENTICATED", me, {}, { token });
      expect(status).toBe(401);
    }
  });

  it("signed with the public key as if it were a shared secret", async () => {
    const texts = [publicPem, publicPem.trim(), String(publicJwk.x)];
    const bytes = createPublicKey(publicPem).export({ type: "spki", format: "der" });
    for (const secret of [...texts.map((text) => Buffer.from(text)), bytes]) {
      for (const alg of ["HS256", "HS512"]) {
        const token = await new SignJWT(claimsOf()).setProtectedHeader({ ...good, alg }).sign(secret);
        await server.refused("UNAUTHENTICATED", me, {}, { token });
      }
    }
  });

  it("whose claims were changed after signing", async () => {
    const [header, , signature] = (await forge({})).split(".");
    const claims = encode(claimsOf({ exp: seconds() + 800 }));
    await server.refused("UNAUTHENTICATED", me, {}, { token: `${header}.${claims}.${signature}` });
  });
});

describe("access tokens protect", () => {
  it("what was opened with them: a socket and an event stream end within two seconds of their token (A16)", async () => {
    const exp = seconds() + 2;
    for (const { over, atMs, code } of await untilEnded(server.url, await forge({ claims: { exp } }))) {
      expect(code, over).toBe(over === "WS" ? "4401 UNAUTHENTICATED" : "UNAUTHENTICATED");
      expect(atMs, over).toBeGreaterThanOrEqual(exp * 1000);
      expect(atMs, over).toBeLessThan(exp * 1000 + 2_000);
    }
  });

  it("their meaning: every refusal of a token is told in the same words", async () => {
    const tokens = await Promise.all([
      forge({ claims: { iss: "another" } }),
      forge({ claims: { exp: seconds() - 60 } }),
      forge({ header: { kid: "another" } }),
      forge({ key: stranger.privateKey }),
    ]);
    const refusals = await Promise.all(tokens.map((token) => server.refused("UNAUTHENTICATED", me, {}, { token })));
    expect(new Set(refusals.map(({ message }) => message)).size).toBe(1);
  });
});
