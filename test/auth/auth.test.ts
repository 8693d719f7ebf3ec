import { createHash, randomBytes } from "node:crypto";
import { hash } from "bcrypt";
import { describe, expect, it } from "vitest";
import { dumpDatabase } from "../harness/dump.ts";
import { someAddress, useServer } from "../harness/server.ts";

const server = useServer();

const login = `mutation ($input: LoginInput!) {
  login(input: $input) { accessToken refreshToken expiresAt user { id email name role account { id } createdAt } }
}`;
const refresh = "mutation ($token: String!) { refreshSession(refreshToken: $token) { accessToken refreshToken } }";
const createUser = `mutation ($input: CreateUserInput!) {
  createUser(input: $input) { id email name role account { id } }
}`;
const me = "{ me { kind user { email role } apiKey { id } } }";
const logout = "mutation { logout }";

const newEmail = () => `someone-${Math.random().toString(36).slice(2)}@example.com`;
const password = "a password of ours";

/** A session of the test's own, its tokens in hand. */
async function signedIn() {
  const { email } = await server.staff("ANALYST");
  const data = await server.ok(login, { input: { email, password } }, { ip: someAddress() });
  return { email, ...data.login } as { email: string; accessToken: string; refreshToken: string; expiresAt: string };
}

describe("sign-in works", () => {
  it("names the person, in whatever case the email is written", async () => {
    const { email } = await server.staff("ANALYST");
    const input = { email: email.toUpperCase(), password };
    const { login: session } = await server.ok(login, { input }, { ip: someAddress() });
    expect(session.user).toMatchObject({ email, role: "ANALYST", name: null, account: null });
    const minutes = (Date.parse(session.expiresAt) - Date.now()) / 60_000;
    expect(minutes).toBeGreaterThan(14);
    expect(minutes).toBeLessThanOrEqual(15);
    const data = await server.ok(me, {}, { token: session.accessToken });
    expect(data.me).toEqual({ kind: "USER", user: { email, role: "ANALYST" }, apiKey: null });
  });

  it("exchanges a refresh token for new tokens, also when the access token has ended", async () => {
    const session = await signedIn();
    const spoilt = `${session.accessToken.slice(0, -4)}AAAA`;
    const { refreshSession: next } = await server.ok(refresh, { token: session.refreshToken }, { token: spoilt });
    expect(next.refreshToken).not.toBe(session.refreshToken);
    await server.ok(me, {}, { token: next.accessToken });
    const { refreshSession: third } = await server.ok(refresh, { token: next.refreshToken }, {});
    await server.ok(me, {}, { token: third.accessToken });
  });

  it("hashes a password anew that was hashed at another cost", async () => {
    const { email } = await server.person("ANALYST");
    const { sql } = server.database;
    await sql`update users set password_hash = ${await hash(password, 11)} where email = ${email}`;
    const costOf = async () =>
      (await sql`select substr(password_hash, 1, 7) as cost from users where email = ${email}`)[0];
    await server.refused(
      "UNAUTHENTICATED",
      login,
      { input: { email, password: "another one" } },
      { ip: someAddress() },
    );
    expect(await costOf()).toEqual({ cost: "$2b$11$" });
    await server.login(email, password);
    expect(await costOf()).toEqual({ cost: "$2b$10$" });
    await server.login(email, password);
  });

  it("ends one session on logout, at once, and no other of the same person", async () => {
    const first = await signedIn();
    const second = await server.login(first.email, password);
    expect(await server.ok(logout, {}, { token: first.accessToken })).toEqual({ logout: true });
    const { status } = await server.refused("UNAUTHENTICATED", me, {}, { token: first.accessToken });
    expect(status).toBe(401);
    await server.refused("UNAUTHENTICATED", refresh, { token: first.refreshToken }, {});
    await server.ok(me, {}, { token: second });
  });

  it("lets an OWNER create people of every role", async () => {
    const { accountId } = await server.customer();
    const create = async (role: string) => {
      const input = { email: newEmail().toUpperCase(), password, role, name: "Ada", accountId };
      const { createUser: user } = await server.ok(createUser, { input });
      expect(user).toMatchObject({ email: input.email.toLowerCase(), role, name: "Ada", account: { id: accountId } });
    };
    await Promise.all(["OWNER", "ADMIN", "OPERATOR", "ANALYST", "MEMBER"].map(create));
  });
});

describe("sign-in refuses", () => {
  it("a wrong password and an unknown email with one and the same answer", async () => {
    const { email } = await server.staff("ANALYST");
    const long = "x".repeat(72);
    const { email: longEmail } = (
      await server.ok(createUser, { input: { email: newEmail(), password: long, role: "ANALYST" } })
    ).createUser;
    const attempts = [
      { email, password: `${password} ` },
      { email, password: "" },
      { email: newEmail(), password },
      { email: "", password },
      { email: "' OR 1=1--", password },
      // bcrypt would read only the first 72 bytes and find them right.
      { email: longEmail, password: `${long}y` },
    ];
    const answers = await Promise.all(
      attempts.map(async (input) => {
        const { status, body } = await server.refused("UNAUTHENTICATED", login, { input }, { ip: someAddress() });
        return JSON.stringify({ status, body }).replace(/"requestId":"[^"]*"/, "");
      }),
    );
    expect(new Set(answers).size).toBe(1);
    expect(answers[0]).toContain("401");
    await server.ok(login, { input: { email: longEmail, password: long } }, { ip: someAddress() });
  });

  it.each([
    ["of 73 bytes", "x".repeat(73)],
    ["of 37 characters that are 73 bytes", `${"é".repeat(36)}x`],
    ["with a NUL", "a password\0 of ours"],
    ["with a lone surrogate", "a password \ud800 of ours"],
    ["of 7 bytes", "1234567"],
  ])("a new password %s", async (_what, wrong) => {
    const email = newEmail();
    await server.refused("BAD_USER_INPUT", createUser, { input: { email, password: wrong, role: "ADMIN" } });
    const users = await server.database.sql`select 1 from users where email = ${email}`;
    expect(users).toHaveLength(0);
  });

  it("a person without an account as MEMBER, and one whose account is not there", async () => {
    const input = { email: newEmail(), password, role: "MEMBER" };
    const nobody = "acc_01900000000070008000000000000000";
    await server.refused("BAD_USER_INPUT", createUser, { input });
    await server.refused("NOT_FOUND", createUser, { input: { ...input, accountId: nobody } });
    await server.refused("NOT_FOUND", createUser, { input: { ...input, accountId: "acc_1" } });
    await server.refused("NOT_FOUND", createUser, { input: { ...input, accountId: "" } });
  });

  it.each([
    ["an email that is none", "BAD_USER_INPUT", { email: "somebody" }],
    ["an email of 300 characters", "BAD_USER_INPUT", { email: `${"x".repeat(300)}@example.com` }],
    ["a name of 201 characters", "BAD_USER_INPUT", { name: "x".repeat(201) }],
    ["a role that is none", "BAD_USER_INPUT", { role: "ROOT" }],
    ["a field that is not in the schema", "BAD_USER_INPUT", { createdAt: "2020-01-01T00:00:00Z" }],
    ["an email in use, in whatever case", "CONFLICT", { email: "OWNER@example.com" }],
  ])("a new person with %s", async (_what, code, change) => {
    await server.refused(code, createUser, { input: { email: newEmail(), password, role: "ANALYST", ...change } });
  });

  it("to let anyone but an OWNER create people", async () => {
    const input = { email: newEmail(), password, role: "OWNER" };
    const { token } = await server.staff("ADMIN");
    const { status } = await server.refused("FORBIDDEN", createUser, { input }, { token });
    expect(status).toBe(403);
  });
});

describe("sign-in protects", () => {
  const sessionOf = (refreshToken: string) => refreshToken.split(".")[0] ?? "";
  const age = (refreshToken: string, seconds: number) => server.database.sql`
    update sessions set refreshed_at = refreshed_at - make_interval(secs => ${seconds})
    where id = ${sessionOf(refreshToken)}`;

  it("a session whose refresh token comes again after the grace period: it ends for all who hold its tokens", async () => {
    const first = await signedIn();
    const { refreshSession: next } = await server.ok(refresh, { token: first.refreshToken }, {});
    await age(first.refreshToken, 10);
    await server.refused("UNAUTHENTICATED", refresh, { token: first.refreshToken }, {});
    await server.refused("UNAUTHENTICATED", refresh, { token: next.refreshToken }, {});
    await server.refused("UNAUTHENTICATED", me, {}, { token: next.accessToken });
    await server.refused("UNAUTHENTICATED", me, {}, { token: first.accessToken });
  });

  it("a session whose refresh token comes again after its successor was exchanged, at once", async () => {
    const first = await signedIn();
    const { refreshSession: second } = await server.ok(refresh, { token: first.refreshToken }, {});
    const { refreshSession: third } = await server.ok(refresh, { token: second.refreshToken }, {});
    await server.refused("UNAUTHENTICATED", refresh, { token: first.refreshToken }, {});
    await server.refused("UNAUTHENTICATED", refresh, { token: third.refreshToken }, {});
  });

  it("two tabs that exchange one token: both get the same next token, and the session goes on", async () => {
    const { refreshToken: token } = await signedIn();
    const answers = await Promise.all(Array.from({ length: 5 }, () => server.ok(refresh, { token }, {})));
    const [next, ...others] = new Set(answers.map(({ refreshSession }) => refreshSession.refreshToken as string));
    expect(others).toEqual([]);
    for (const { refreshSession } of answers) await server.ok(me, {}, { token: refreshSession.accessToken });
    await age(token, 9);
    expect((await server.ok(refresh, { token }, {})).refreshSession.refreshToken).toBe(next);
    await server.ok(refresh, { token: next }, {});
  });

  it("a session from a made-up refresh token that names it", async () => {
    const session = await signedIn();
    for (const secret of [
      "A".repeat(43),
      session.refreshToken.slice(-43).replace(/^./, (c) => (c === "B" ? "C" : "B")),
    ]) {
      const token = `${sessionOf(session.refreshToken)}.${secret}`;
      await server.refused("UNAUTHENTICATED", refresh, { token }, {});
    }
    await server.ok(me, {}, { token: session.accessToken });
    await server.ok(refresh, { token: session.refreshToken }, {});
  });

  it("a session that was opened before refresh tokens had a MAC", async () => {
    const { refreshToken } = await signedIn();
    const old = `${sessionOf(refreshToken)}.${randomBytes(32).toString("base64url")}`;
    const digest = createHash("sha256").update(old).digest();
    await server.database.sql`update sessions set refresh_digest = ${digest} where id = ${sessionOf(refreshToken)}`;
    const { refreshSession } = await server.ok(refresh, { token: old }, {});
    await server.ok(refresh, { token: refreshSession.refreshToken }, {});
  });

  it("against refresh tokens that are none", async () => {
    const secret = "A".repeat(43);
    const wrong = ["", "x", `${"-".repeat(36)}.${secret}`, `${"0".repeat(36)}.${secret}`, "' OR 1=1--", "é".repeat(80)];
    wrong.push(`01900000-0000-7000-8000-000000000000.${secret}`);
    for (const token of wrong) {
      const { status } = await server.refused("UNAUTHENTICATED", refresh, { token }, {});
      expect(status).toBe(401);
    }
  });

  it("against guessing: past the limit an address is refused, and another is not", async () => {
    const guess = (ip: string) => server.call(refresh, { token: "a guess" }, { ip });
    const [bad, good] = [someAddress(), someAddress()];
    const answers = await Promise.all(Array.from({ length: 61 }, () => guess(bad)));
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(1);
    expect((await guess(good)).status).toBe(401);
  });

  it("people from a role that was taken away: it counts from the next request on", async () => {
    const { token, id } = await server.person("ADMIN");
    const list = "{ apiKeys(first: 1) { nodes { id } } }";
    const createAccount = 'mutation { createAccount(input: { name: "x" }) { id } }';
    await server.ok(createAccount, {}, { token });
    await server.database.sql`update users set role = 'ANALYST' where 'usr_' || replace(id::text, '-', '') = ${id}`;
    await server.refused("FORBIDDEN", createAccount, {}, { token });
    await server.ok(list, {}, { token });
  });

  it("passwords and tokens: none of them is anywhere in the database", async () => {
    const { accessToken, refreshToken } = await signedIn();
    const text = JSON.stringify(await dumpDatabase(server.database));
    const secretPart = refreshToken.split(".")[1] ?? refreshToken;
    for (const secret of [password, accessToken, refreshToken, secretPart]) {
      expect(text).not.toContain(secret);
      expect(text).not.toContain(Buffer.from(secret).toString("hex"));
    }
  });
});
