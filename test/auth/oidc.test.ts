import { createPublicKey } from "node:crypto";
import { importJWK, type JWK, type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { untilEnded } from "../harness/open-connections.ts";
import { someAddress, TestServer } from "../harness/server.ts";
import { audience, startOidcProvider } from "../standins/oidc.ts";

/** `staff` has its own people, `customer` may only say who is a MEMBER of one account; the others are asked too much. */
const [staff, customer, stranger, cold, redirecting, straying, endless] = await Promise.all(
  Array.from({ length: 7 }, startOidcProvider),
);
if (!staff || !customer || !stranger || !cold || !redirecting || !straying || !endless)
  throw new Error("seven issuers are needed");
const accountId = "acc_01900000000070008000000000000001";
const nowhere = "acc_01900000000070008000000000000002";
const admins = { roles: { claim: "groups", values: { admins: "ADMIN" } }, audience };
const issuers = [
  {
    issuer: staff.issuer,
    audience,
    roles: {
      claim: ["realm_access", "roles"],
      values: { owners: "OWNER", admins: "ADMIN", analysts: "ANALYST", clients: "MEMBER" },
    },
    account: { claim: "org", values: { acme: accountId, gone: nowhere, going: accountId.replace(/1$/, "3") } },
  },
  {
    issuer: customer.issuer,
    audience,
    roles: { claim: "groups", values: { all: "MEMBER" } },
    account: { id: accountId },
  },
  ...[cold, redirecting, straying, endless].map(({ issuer }) => ({ issuer, ...admins })),
];
const server = new TestServer({ OIDC_ISSUERS: JSON.stringify(issuers) });

beforeAll(async () => {
  await server.start();
  await server.database.sql`insert into accounts (id, name) values ('01900000-0000-7000-8000-000000000001', 'Acme')`;
});
afterAll(async () => {
  await server.stop();
  await Promise.all([staff, customer, stranger, cold, redirecting, straying, endless].map((issuer) => issuer.close()));
});

const me = "{ me { kind user { id email name role issuer account { id } } } }";
const createAccount = 'mutation { createAccount(input: { name: "by an OIDC person" }) { id } }';
const someone = () => `person-${crypto.randomUUID()}`;
const withRoles = (...roles: string[]) => ({ realm_access: { roles } });
const seconds = () => Math.floor(Date.now() / 1000);

async function tokenOf(subject: string, claims: object): Promise<string> {
  return (await staff?.signIn(subject, claims))?.accessToken ?? "";
}

/** A token as `staff` would issue it, but for what differs; signed with its own key unless told otherwise. */
async function forge({ header = {}, claims = {}, key }: { header?: object; claims?: object; key?: object }) {
  const own = (key ?? staff?.privateJwk()) as JWK;
  const whole = { iss: staff?.issuer, aud: audience, sub: someone(), iat: seconds(), exp: seconds() + 300 };
  const payload = JSON.parse(JSON.stringify({ ...whole, ...withRoles("admins"), ...claims })) as JWTPayload;
  const head = JSON.parse(JSON.stringify({ alg: "ES256", typ: "at+jwt", kid: own.kid, ...header }));
  return new SignJWT(payload).setProtectedHeader(head).sign(await importJWK(own, "ES256"));
}

describe("people of another issuer", () => {
  it("come in with its access token, in the role that their claims are mapped to", async () => {
    const subject = someone();
    const email = `Ada.${subject}@example.com`;
    const token = await tokenOf(subject, { ...withRoles("analysts", "admins", "drivers"), email, name: "Ada" });
    const { user } = (await server.ok(me, {}, { token })).me;
    expect(user).toMatchObject({ email: email.toLowerCase(), name: "Ada", role: "ADMIN", account: null });
    expect(user.issuer).toBe(staff?.issuer);
    const { id } = (await server.ok(createAccount, {}, { token })).createAccount;
    const [event] = await server.database.sql`
      select actor, ip from audit_events where object = ${id} and action = 'account.create'`;
    const uuid = user.id.slice(4).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
    expect(event?.["actor"]).toBe(`user:${uuid}`);
    const created = await server.database.sql`
      select actor, after from audit_events where action = 'user.create' and object = ${user.id}`;
    expect(created).toMatchObject([
      { actor: `user:${uuid}`, after: { issuer: staff?.issuer, subject, role: "ADMIN" } },
    ]);
  });

  it("come in when the clock of their issuer is 20 seconds ahead", async () => {
    const ahead = seconds() + 20;
    await server.ok(me, {}, { token: await forge({ claims: { sub: someone(), iat: ahead, nbf: ahead } }) });
  });

  it("are made once, however many of their first requests come at once", async () => {
    const token = await tokenOf(someone(), withRoles("analysts"));
    const answers = await Promise.all(Array.from({ length: 10 }, () => server.ok(me, {}, { token })));
    expect(new Set(answers.map(({ me: { user } }) => user.id)).size).toBe(1);
  });

  it("are bound to an account by their claim, or by their issuer, and see no other", async () => {
    const member = await tokenOf(someone(), { ...withRoles("clients"), org: "acme" });
    const guest = (await customer?.signIn(someone(), { groups: ["all"] }))?.accessToken ?? "";
    const { apiKeyId } = await server.customer();
    for (const token of [member, guest]) {
      expect((await server.ok(me, {}, { token })).me.user).toMatchObject({
        role: "MEMBER",
        account: { id: accountId },
      });
      const list = "{ apiKeys(first: 100) { nodes { id } } }";
      const { body } = await server.call(list, {}, { token });
      expect(JSON.stringify(body)).not.toContain(apiKeyId);
      await server.refused("FORBIDDEN", createAccount, {}, { token });
    }
  });

  it("have the role that was said last, whichever token they show", async () => {
    const sub = someone();
    const older = await forge({ claims: { sub, iat: seconds() - 60 } });
    await server.ok(createAccount, {}, { token: older });
    const newer = await forge({ claims: { sub, ...withRoles("analysts") } });
    await server.refused("FORBIDDEN", createAccount, {}, { token: newer });
    await server.refused("FORBIDDEN", createAccount, {}, { token: older });
    const { user } = (await server.ok(me, {}, { token: newer })).me;
    const [event] = await server.database.sql`
      select before, after from audit_events where action = 'user.update' and object = ${user.id}`;
    expect(event).toMatchObject({ before: { role: "ADMIN" }, after: { role: "ANALYST" } });
  });

  it("are never taken for someone who signs in here with the same email", async () => {
    const token = await forge({ claims: { email: "owner@example.com", email_verified: true } });
    const { user } = (await server.ok(me, {}, { token })).me;
    const owner = (await server.ok(me)).me.user;
    expect(user).toMatchObject({ email: "owner@example.com", role: "ADMIN" });
    expect(user.id).not.toBe(owner.id);
    await server.login("owner@example.com", "correct horse battery");
  });
});

describe("a person of another issuer whose email is locked here", () => {
  const person = "query ($id: ID!) { user(id: $id) { lockedUntil } }";
  const unlock = "mutation ($id: ID!) { unlockUser(userId: $id) { lockedUntil } }";

  it("comes in all the same, is not shown as locked, and does not unlock who signs in here", async () => {
    const local = await server.person("ANALYST");
    const token = await forge({ claims: { email: local.email } });
    const { id } = (await server.ok(me, {}, { token })).me.user;
    const login = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
    const wrong = { input: { email: local.email, password: "not the password" } };
    const ip = someAddress();
    for (let i = 0; i < 10; i++) await server.call(login, wrong, { ip });
    await server.refused("RATE_LIMITED", login, wrong, { ip: someAddress() });
    await server.ok(me, {}, { token });
    expect((await server.ok(person, { id })).user).toEqual({ lockedUntil: null });
    await server.refused("CONFLICT", unlock, { id });
    expect((await server.ok(person, { id: local.id })).user.lockedUntil).toBeTruthy();
    expect((await server.ok(unlock, { id: local.id })).unlockUser).toEqual({ lockedUntil: null });
    await server.login(local.email, local.password);
  });
});

describe("people of an account that is closed", () => {
  it("are refused, whether they were here before or come for the first time", async () => {
    const id = "01900000-0000-7000-8000-000000000003";
    await server.database.sql`insert into accounts (id, name) values (${id}, 'Going')`;
    const member = { ...withRoles("clients"), org: "going" };
    const known = await tokenOf(someone(), member);
    expect((await server.ok(me, {}, { token: known })).me.user.role).toBe("MEMBER");
    await server.ok("mutation ($id: ID!) { closeAccount(id: $id) { id } }", { id: `acc_${id.replaceAll("-", "")}` });
    for (const token of [known, await tokenOf(someone(), member)]) {
      const { message } = await server.refused("FORBIDDEN", me, {}, { token });
      expect(message).toMatch(/disabled|closed/);
    }
  });
});

describe("a token of another issuer is refused", () => {
  const forged: [string, string, () => Promise<string>][] = [
    ["for a role that is not mapped", "FORBIDDEN", () => tokenOf(someone(), withRoles("drivers"))],
    ["for a role that every object has", "FORBIDDEN", () => tokenOf(someone(), withRoles("constructor", "__proto__"))],
    ["without a role", "FORBIDDEN", () => tokenOf(someone(), {})],
    ["for a MEMBER without an account", "FORBIDDEN", () => tokenOf(someone(), withRoles("clients"))],
    [
      "for an account that is not mapped",
      "FORBIDDEN",
      () => tokenOf(someone(), { ...withRoles("clients"), org: nowhere }),
    ],
    [
      "for an account that is not there",
      "FORBIDDEN",
      () => tokenOf(someone(), { ...withRoles("clients"), org: "gone" }),
    ],
    ["for two accounts", "FORBIDDEN", () => tokenOf(someone(), { ...withRoles("clients"), org: ["acme", "gone"] })],
    [
      "for another audience",
      "UNAUTHENTICATED",
      async () => (await staff.signIn(someone(), withRoles("admins"), "https://other.example.com")).accessToken,
    ],
    [
      "when it is an ID token",
      "UNAUTHENTICATED",
      async () => (await staff.signIn(someone(), withRoles("admins"))).idToken,
    ],
    [
      "of an issuer that nobody has configured",
      "UNAUTHENTICATED",
      async () => (await stranger.signIn(someone(), { groups: ["admins"] })).accessToken,
    ],
    ["signed by a stranger", "UNAUTHENTICATED", () => forge({ key: stranger.privateJwk() })],
    ["of one issuer in the name of another", "UNAUTHENTICATED", () => forge({ claims: { iss: customer.issuer } })],
    ["of our own name", "UNAUTHENTICATED", () => forge({ claims: { iss: "tollgate", aud: "tollgate" } })],
    ["of another type", "UNAUTHENTICATED", () => forge({ header: { typ: "JWT" } })],
    ["without a type", "UNAUTHENTICATED", () => forge({ header: { typ: undefined } })],
    ["that is over", "UNAUTHENTICATED", () => forge({ claims: { exp: seconds() - 6 } })],
    ["without an end", "UNAUTHENTICATED", () => forge({ claims: { exp: undefined } })],
    ["without a beginning", "UNAUTHENTICATED", () => forge({ claims: { iat: undefined } })],
    ["issued in 40 seconds", "UNAUTHENTICATED", () => forge({ claims: { iat: seconds() + 40 } })],
    [
      "that ended 20 seconds ago",
      "UNAUTHENTICATED",
      () => forge({ claims: { iat: seconds() - 60, exp: seconds() - 20 } }),
    ],
    ["issued in an hour", "UNAUTHENTICATED", () => forge({ claims: { iat: seconds() + 3600, exp: seconds() + 7200 } })],
    ["issued two days ago", "UNAUTHENTICATED", () => forge({ claims: { iat: seconds() - 172_800 } })],
    ["without a subject", "UNAUTHENTICATED", () => forge({ claims: { sub: undefined } })],
    ["with a NUL in its subject", "UNAUTHENTICATED", () => forge({ claims: { sub: "a\0b" } })],
    ["with a path as kid", "UNAUTHENTICATED", () => forge({ header: { kid: "../../etc/passwd" } })],
    [
      "with a key that it brings along",
      "UNAUTHENTICATED",
      () => forge({ header: { jwk: stranger.privateJwk(), kid: "own" }, key: stranger.privateJwk() }),
    ],
    [
      "without a signature",
      "UNAUTHENTICATED",
      async () =>
        new UnsecuredJWT({ iss: staff.issuer, aud: audience, sub: "x", iat: seconds(), exp: seconds() + 9 }).encode(),
    ],
    [
      "signed with the public key as a secret",
      "UNAUTHENTICATED",
      async () => {
        const jwk = staff.privateJwk() as JWK & { d?: string };
        const pem = createPublicKey({ key: jwk as object, format: "jwk" } as never).export({
          type: "spki",
          format: "pem",
        });
        return new SignJWT({ ...withRoles("admins") })
          .setProtectedHeader({ alg: "HS256", typ: "at+jwt", kid: jwk.kid ?? "" })
          .setIssuer(staff.issuer)
          .setAudience(audience)
          .setSubject(someone())
          .setIssuedAt()
          .setExpirationTime("5m")
          .sign(Buffer.from(pem as string));
      },
    ],
  ];
  it.each(forged)("%s: %s", async (_what, code, make) => {
    const before = await server.database.sql`select count(*) from users`;
    await server.refused(code, me, {}, { token: await make() });
    expect(await server.database.sql`select count(*) from users`).toEqual(before);
  });

  it("and one as forged above, but good, is taken, so that the refusals prove something", async () => {
    await server.ok(me, {}, { token: await forge({}) });
  });

  it("of a person who is disabled here, until an admin enables them", async () => {
    const token = await tokenOf(someone(), withRoles("admins"));
    const { id } = (await server.ok(me, {}, { token })).me.user;
    await server.ok("mutation ($id: ID!) { disableUser(userId: $id) { id } }", { id });
    await server.refused("FORBIDDEN", me, {}, { token });
    await server.ok("mutation ($id: ID!) { enableUser(userId: $id) { id } }", { id });
    await server.ok(me, {}, { token });
  });
});

describe("the end of a token of another issuer", () => {
  it("ends a socket and an event stream within two seconds, once clocks have had their five (A16)", async () => {
    const exp = seconds() - 4;
    for (const { over, atMs, code } of await untilEnded(server.url, await forge({ claims: { iat: exp - 60, exp } }))) {
      expect(code, over).toBe(over === "WS" ? "4401 UNAUTHENTICATED" : "UNAUTHENTICATED");
      expect(atMs, over).toBeGreaterThanOrEqual((exp + 5) * 1000);
      expect(atMs, over).toBeLessThan((exp + 5) * 1000 + 2_000);
    }
  });
});

describe("other issuers leave alone", () => {
  it("roles and passwords: what the issuer says is not changed here, and there is no session to end", async () => {
    const token = await tokenOf(someone(), withRoles("analysts"));
    const { id } = (await server.ok(me, {}, { token })).me.user;
    await server.refused("CONFLICT", "mutation ($id: ID!) { setUserRole(userId: $id, role: ADMIN) { id } }", { id });
    const reset = 'mutation ($id: ID!) { resetPassword(userId: $id, newPassword: "another password") { id } }';
    await server.refused("CONFLICT", reset, { id });
    await server.refused("CONFLICT", "mutation { logout }", {}, { token });
    expect(await server.ok("{ mySessions { id } }", {}, { token })).toEqual({ mySessions: [] });
  });

  it("the last OWNER who signs in here: an OWNER of an issuer is none to rely on", async () => {
    const token = await tokenOf(someone(), withRoles("owners"));
    const { id } = (await server.ok(me)).me.user;
    const disable = "mutation ($id: ID!) { disableUser(userId: $id) { id } }";
    await server.refused("CONFLICT", disable, { id }, { token });
    const demote = "mutation ($id: ID!) { setUserRole(userId: $id, role: ADMIN) { id } }";
    await server.refused("CONFLICT", demote, { id }, { token });
    const events = await server.database.sql`
      select action, after ->> 'reason' as reason from audit_events
      where object = ${id} and action like 'refused.%' order by seq`;
    const reason = "This is the last OWNER.";
    expect(events).toEqual([
      { action: "refused.disableUser", reason },
      { action: "refused.setUserRole", reason },
    ]);
  });
});

describe("the keys of another issuer", () => {
  const coldToken = (issuer: string, kid: string) =>
    forge({ header: { kid }, claims: { iss: issuer, groups: ["admins"] } });

  it("are asked for once for 200 tokens with unknown keys (A17)", async () => {
    const tokens = await Promise.all(Array.from({ length: 200 }, (_, i) => coldToken(cold.issuer, `kid-${i}`)));
    const answers = await Promise.all(tokens.map((token) => server.call(me, {}, { token })));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]));
    expect(cold.keyFetches()).toBe(1);
    const good = (await cold.signIn(someone(), { groups: ["admins"] })).accessToken;
    await server.ok(me, {}, { token: good });
    expect(cold.keyFetches()).toBe(1);
  });

  it("are not looked for where a redirect leads, and an issuer that fails is left in peace for a while", async () => {
    const asked: string[] = [];
    redirecting.interrupt((request, response) => {
      asked.push(request.url ?? "");
      response.writeHead(302, { location: `${stranger.issuer}/jwks` }).end();
    });
    const before = stranger.keyFetches();
    const token = await coldToken(redirecting.issuer, "any");
    for (let i = 0; i < 5; i++) {
      const { extensions } = await server.refused("UNAVAILABLE", me, {}, { token });
      expect(extensions["retryAfter"]).toBe(5);
    }
    expect(asked).toEqual(["/.well-known/openid-configuration"]);
    expect(stranger.keyFetches()).toBe(before);
  });

  it("are not looked for on another origin than the configuration names", async () => {
    const before = stranger.keyFetches();
    straying.interrupt((_request, response) => {
      const document = { issuer: straying.issuer, jwks_uri: `${stranger.issuer}/jwks` };
      response.setHeader("content-type", "application/json").end(JSON.stringify(document));
    });
    await server.refused("UNAVAILABLE", me, {}, { token: await coldToken(straying.issuer, "any") });
    expect(stranger.keyFetches()).toBe(before);
  });

  it("are not read beyond a mebibyte, and not from an answer without an end", async () => {
    const ended = new Promise<void>((resolve) => {
      endless.interrupt((_request, response) => {
        response.setHeader("content-type", "application/json");
        const go = () => {
          while (response.write(" ".repeat(65_536)));
        };
        response.on("drain", go).on("close", resolve);
        go();
      });
    });
    await server.refused("UNAVAILABLE", me, {}, { token: await coldToken(endless.issuer, "any") });
    await ended;
  });
});
