import "reflect-metadata";
import { createHash } from "node:crypto";
import { createRemoteJWKSet, decodeProtectedHeader, importPKCS8, jwtVerify, SignJWT } from "jose";
import { afterAll, describe, expect, it } from "vitest";
import { AuditService } from "../../src/audit/service.ts";
import { SigningKeys } from "../../src/auth/signing-keys/service.ts";
import { tendPeople } from "../../src/auth/upkeep.ts";
import { loadSecrets } from "../../src/config/secrets.ts";
import { Database } from "../../src/db/client.ts";
import { Sealer } from "../../src/encryption.ts";
import { useServer } from "../harness/server.ts";

const secret = "what the server and a test of it share";
const server = useServer({ SERVER_SECRET: secret, ADOPT_SERVER_SECRET: "true" });
const closing: (() => Promise<void>)[] = [];
afterAll(() => Promise.all(closing.map((close) => close())));

const me = "{ me { kind } }";
const list = "{ signingKeys { kid status signsFrom endsAt } }";
const rotate = "mutation ($now: Boolean) { rotateSigningKey(immediately: $now) { kid status signsFrom endsAt } }";
const remove = "mutation ($kid: ID!) { removeSigningKey(kid: $kid) { kid status } }";
const refresh = "mutation ($token: String!) { refreshSession(refreshToken: $token) { accessToken refreshToken } }";
const jwksUrl = () => new URL("/.well-known/jwks.json", server.url);
const kidOf = (token: string) => decodeProtectedHeader(token).kid ?? "";

interface Key {
  kid: string;
  status: string;
  signsFrom: string;
  endsAt: string | null;
}

async function keys(): Promise<Key[]> {
  return (await server.ok(list)).signingKeys;
}

async function newTokens(): Promise<{ accessToken: string; refreshToken: string }> {
  const { email, password } = await server.staff("ANALYST");
  const login = "mutation ($input: LoginInput!) { login(input: $input) { accessToken refreshToken } }";
  return (await server.ok(login, { input: { email, password } }, {})).login;
}

/** The keys as another replica sees them. */
function replica(): { db: Database; signingKeys: SigningKeys } {
  const db = new Database({ url: server.database.url, poolSize: 2 });
  closing.push(() => db.close());
  const { signingSeal, auditKey } = loadSecrets({ serverSecret: secret, jwtPrivateKey: undefined, dataDir: "/none" });
  const { record } = new AuditService(db, auditKey);
  const sealer = new Sealer(signingSeal);
  return { db, signingKeys: new SigningKeys({ db, sealer, record, given: undefined, tokenSeconds: 902 }) };
}

describe("the published keys", () => {
  it("verify the server's tokens for anyone, and may be kept for a minute", async () => {
    const { payload, protectedHeader } = await jwtVerify(server.ownerToken, createRemoteJWKSet(jwksUrl()), {
      issuer: "tollgate",
      audience: "tollgate",
      typ: "at+jwt",
    });
    expect(payload["sid"]).toMatch(/^[0-9a-f-]{36}$/);
    expect(protectedHeader.alg).toBe("EdDSA");
    const answer = await fetch(jwksUrl());
    expect(answer.headers.get("content-type")).toContain("application/jwk-set+json");
    expect(answer.headers.get("cache-control")).toBe("public, max-age=60");
    const again = await fetch(jwksUrl(), { headers: { "if-none-match": answer.headers.get("etag") ?? "" } });
    expect(again.status).toBe(304);
  });

  it("hold no private half, nor does the database hold one that can be read", async () => {
    const { keys: published } = (await (await fetch(jwksUrl())).json()) as { keys: Record<string, string>[] };
    for (const key of published) {
      expect(Object.keys(key).toSorted()).toEqual(["alg", "crv", "kid", "kty", "use", "x"]);
      const thumbprint = JSON.stringify({ crv: key["crv"], kty: key["kty"], x: key["x"] });
      expect(key["kid"]).toBe(createHash("sha256").update(thumbprint).digest("base64url"));
    }
    const [row] = await server.database.sql`select sealed_private from signing_keys where ends_at is null`;
    const sealed = row?.["sealed_private"] as Buffer;
    expect(sealed.toString("latin1")).not.toContain("PRIVATE KEY");
    const { signingSeal } = loadSecrets({ serverSecret: secret, jwtPrivateKey: undefined, dataDir: "/none" });
    expect(new Sealer(signingSeal).open(sealed)).toContain("PRIVATE KEY");
    expect(() => new Sealer(Buffer.alloc(32)).open(sealed)).toThrow();
  });
});

describe("rotateSigningKey", () => {
  it("publishes the new key a minute before it signs, and keeps the tokens of the one before good", async () => {
    const [before] = (await keys()).filter(({ status }) => status === "CURRENT");
    const { accessToken } = await newTokens();
    const [next, current] = (await server.ok(rotate)).rotateSigningKey as Key[];
    expect([next?.status, current?.status, current?.kid]).toEqual(["NEXT", "CURRENT", before?.kid]);
    const waits = Date.parse(next?.signsFrom ?? "") - Date.now();
    expect(waits).toBeGreaterThan(50_000);
    expect(waits).toBeLessThanOrEqual(61_000);
    // The last token of the old key: 15 minutes after it has stopped to sign, and a little for clocks.
    expect(Date.parse(current?.endsAt ?? "") - Date.parse(next?.signsFrom ?? "")).toBe(932_000);
    const { keys: published } = (await (await fetch(jwksUrl())).json()) as { keys: { kid: string }[] };
    expect(published.map(({ kid }) => kid)).toContain(next?.kid);
    expect(kidOf((await newTokens()).accessToken)).toBe(before?.kid);
    await server.database.sql`update signing_keys set signs_from = now() where kid = ${next?.kid ?? ""}`;
    expect(kidOf((await newTokens()).accessToken)).toBe(next?.kid);
    await server.ok(me, {}, { token: accessToken });
  });

  it("lets the new key sign at once when it is asked to", async () => {
    const [current] = (await server.ok(rotate, { now: true })).rotateSigningKey as Key[];
    expect(current?.status).toBe("CURRENT");
    expect(kidOf((await newTokens()).accessToken)).toBe(current?.kid);
  });

  it("is an OWNER's, as removing is; an ADMIN may look", async () => {
    const { token } = await server.staff("ADMIN");
    await server.refused("FORBIDDEN", rotate, {}, { token });
    await server.refused("FORBIDDEN", remove, { kid: kidOf(token) }, { token });
    await server.ok(list, {}, { token });
  });
});

describe("removeSigningKey", () => {
  it("refuses the key's tokens at once, here and on another replica, and refresh tokens give new ones (A17)", async () => {
    const { signingKeys } = replica();
    const { accessToken, refreshToken } = await newTokens();
    const kid = kidOf(accessToken);
    expect(await signingKeys.verifier(kid)).toBeDefined();
    const left = (await server.ok(remove, { kid })).removeSigningKey as Key[];
    expect(left.map((key) => key.kid)).not.toContain(kid);
    expect(left.filter(({ status }) => status === "CURRENT")).toHaveLength(1);
    await server.refused("UNAUTHENTICATED", me, {}, { token: accessToken });
    const renewed = (await server.ok(refresh, { token: refreshToken }, {})).refreshSession.accessToken;
    await server.ok(me, {}, { token: renewed });
    // What the change feed does for a replica when it hears of it.
    signingKeys.forget();
    expect(await signingKeys.verifier(kid)).toBeUndefined();
    const [row] = await server.database.sql`select sealed_private from signing_keys where kid = ${kid}`;
    expect(row?.["sealed_private"]).toBeNull();
    server.ownerToken = await server.login("owner@example.com", "correct horse battery");
    await server.refused("NOT_FOUND", remove, { kid });
    await server.refused("NOT_FOUND", remove, { kid: "../../etc/passwd" });
  });

  it("is heard by whoever listens, with the id of the key", async () => {
    const heard: string[] = [];
    await server.database.sql.listen("tollgate_changes", (payload) => void heard.push(payload));
    const [key] = (await server.ok(rotate)).rotateSigningKey as Key[];
    await server.ok(remove, { kid: key?.kid });
    await expect.poll(() => heard.filter((payload) => payload.includes(key?.kid ?? ""))).toHaveLength(2);
  });
});

describe("signing keys protect", () => {
  it("against a flood of unknown ids: at most one read a second, whatever comes", async () => {
    const stranger = await importPKCS8(
      `-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n-----END PRIVATE KEY-----`,
      "EdDSA",
    );
    const forge = (kid: string) =>
      new SignJWT({ sid: "x" })
        .setProtectedHeader({ alg: "EdDSA", typ: "at+jwt", kid })
        .setIssuer("tollgate")
        .setAudience("tollgate")
        .setSubject("x")
        .setIssuedAt()
        .setExpirationTime("10m")
        .sign(stranger);
    const tokens = await Promise.all(Array.from({ length: 200 }, (_, i) => forge(`kid-${i}`)));
    const [from, started] = [server.statements.length, performance.now()];
    const answers = await Promise.all(tokens.map((token) => server.call(me, {}, { token })));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]));
    const reads = server.statements.slice(from).filter((text) => text.includes("signing_keys"));
    expect(reads.length).toBeLessThanOrEqual(1 + (performance.now() - started) / 1000);
  });

  it("by a policy: when the newest key is old enough, one replica makes a new one and the others do not", async () => {
    const [one, two] = [replica(), replica()];
    const upkeep = ({ db, signingKeys }: typeof one) =>
      tendPeople({ db, signingKeys, signingKeyDays: 90, noteAnchor: async () => {} });
    const count = async () => (await keys()).length;
    const before = await count();
    await upkeep(one);
    expect(await count()).toBe(before);
    await server.database.sql`update signing_keys set created_at = now() - interval '91 days'`;
    await Promise.all([upkeep(one), upkeep(two)]);
    expect(await count()).toBe(before + 1);
    const [event] = await server.database.sql`
      select actor from audit_events where action = 'signingKey.add' order by seq desc limit 1`;
    expect(event?.["actor"]).toBe("system:signing-key-policy");
  });
});
