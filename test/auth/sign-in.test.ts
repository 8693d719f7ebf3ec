import { describe, expect, it } from "vitest";
import { dumpDatabase } from "../harness/dump.ts";
import { type Person, someAddress, useServer } from "../harness/server.ts";

/** Each sign-in costs a slow hash: few failures are allowed, and those that may come in any order come at once. */
const server = useServer({ SIGN_IN_FAILURES_MAX: "3", SIGN_IN_ADDRESS_FAILURES_MAX: "6" });

const login = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
const me = "{ me { user { id } } }";
const password = "a password of ours";
const wrong = "not this one";
const newEmail = () => `nobody-${crypto.randomUUID()}@example.com`;

const signIn = (email: string, withPassword: string, ip = someAddress()) =>
  server.call(login, { input: { email, password: withPassword } }, { ip });
const codeOf = async (answer: ReturnType<typeof signIn>) => (await answer).body.errors?.[0]?.extensions.code;

/** One failure is tried and two are added to it: each costs a slow hash, and the first test makes all of them. */
async function failThrice(email: string): Promise<void> {
  expect(await codeOf(signIn(email, wrong))).toBe("UNAUTHENTICATED");
  await server.database.sql`update sign_in_failures set failures = 3
    where kind = 'EMAIL' and subject = (select subject from sign_in_failures
      where kind = 'EMAIL' and failures = 1 order by ends_at desc limit 1)`;
}

/** What a client sees, but for what differs with each request. */
function seen({ status, body }: Awaited<ReturnType<typeof signIn>>): string {
  return JSON.stringify({ status, body })
    .replace(/"(requestId|resetAt)":"[^"]*"/g, "")
    .replace(/"retryAfter":\d+/, "");
}

describe("a lock after failed sign-ins", () => {
  it("is the same for an email that somebody has, with the right password too, and for one that nobody has", async () => {
    const { email } = await server.person("ANALYST");
    const lockOf = async (who: string) => {
      for (let i = 0; i < 3; i++) expect(await codeOf(signIn(who, wrong))).toBe("UNAUTHENTICATED");
      return [await signIn(who, wrong), await signIn(who, password)];
    };
    const answers = (await Promise.all([lockOf(email), lockOf(newEmail())])).flat();
    expect(answers.map(({ status }) => status)).toEqual([429, 429, 429, 429]);
    expect(new Set(answers.map(seen)).size).toBe(1);
    const { extensions } = answers[0]?.body.errors?.[0] ?? { extensions: {} as Record<string, unknown> };
    expect(extensions).toMatchObject({ code: "RATE_LIMITED", retryable: true, limited: "signIn" });
    expect(extensions["retryAfter"]).toBeGreaterThan(890);
    expect(extensions["retryAfter"]).toBeLessThanOrEqual(900);
    expect(answers[0]?.headers.get("retry-after")).toBe(String(extensions["retryAfter"]));
  });

  it("counts attempts that come at once: not one more than is allowed is tried", async () => {
    const email = newEmail();
    const codes = await Promise.all(Array.from({ length: 8 }, () => codeOf(signIn(email, wrong))));
    expect(codes.filter((code) => code === "UNAUTHENTICATED")).toHaveLength(3);
    expect(codes.filter((code) => code === "RATE_LIMITED")).toHaveLength(5);
  });

  it("leaves open sessions alone, ends with time, by the clock of the database, and is not made longer by attempts", async () => {
    const { email, token } = await server.person("ANALYST");
    await failThrice(email);
    await server.ok(me, {}, { token });
    const before = await server.database.sql`select max(ends_at) as ends from sign_in_failures where kind = 'EMAIL'`;
    expect(await codeOf(signIn(email, password))).toBe("RATE_LIMITED");
    const after = await server.database.sql`select max(ends_at) as ends from sign_in_failures where kind = 'EMAIL'`;
    expect(after).toEqual(before);
    await server.database.sql`update sign_in_failures set ends_at = now() where failures >= 3 and kind = 'EMAIL'`;
    expect(await codeOf(signIn(email, password))).toBeUndefined();
  });

  it("is lifted by an admin, by a new password, and forgotten with the right one in time", async () => {
    const lifted = await server.person("ANALYST");
    const unlock = "mutation ($id: ID!) { unlockUser(userId: $id) { lockedUntil } }";
    const locked = "query ($id: ID!) { user(id: $id) { lockedUntil } }";
    const { token } = await server.staff("ADMIN");
    await failThrice(lifted.email);
    const { user } = await server.ok(locked, { id: lifted.id }, { token });
    expect(Date.parse(user.lockedUntil)).toBeGreaterThan(Date.now());
    expect((await server.ok(unlock, { id: lifted.id }, { token })).unlockUser.lockedUntil).toBeNull();
    expect(await codeOf(signIn(lifted.email, password))).toBeUndefined();

    await failThrice(lifted.email);
    const next = "quite another password";
    const change = "mutation ($id: ID!, $next: String!) { resetPassword(userId: $id, newPassword: $next) { id } }";
    await server.ok(change, { id: lifted.id, next });
    expect(await codeOf(signIn(lifted.email, next))).toBeUndefined();

    for (const attempt of [wrong, wrong, next, wrong, wrong, next]) {
      expect(await codeOf(signIn(lifted.email, attempt))).toBe(attempt === next ? undefined : "UNAUTHENTICATED");
    }
  });

  it("holds for an address as well, in whichever way it is written, and an admin sees and lifts it", async () => {
    const network = `2001:db8:${Math.floor(Math.random() * 65536).toString(16)}:1`;
    const failures = [1, 2, 3, 4, 5, 6].map((i) => codeOf(signIn(newEmail(), wrong, `${network}::${i}`)));
    expect(new Set(await Promise.all(failures))).toEqual(new Set(["UNAUTHENTICATED"]));
    const { email } = await server.staff("ANALYST");
    expect(await codeOf(signIn(email, password, `${network}::7`))).toBe("RATE_LIMITED");
    expect(await codeOf(signIn(email, password))).toBeUndefined();
    const { token } = await server.staff("ADMIN");
    const { lockedAddresses } = await server.ok("{ lockedAddresses { address until } }", {}, { token });
    expect(lockedAddresses.map(({ address }: { address: string }) => address)).toContain(`${network}::/64`);
    const unlock = "mutation ($address: String!) { unlockAddress(address: $address) }";
    expect(await server.ok(unlock, { address: `${network}::99` }, { token })).toEqual({ unlockAddress: true });
    expect(await server.ok(unlock, { address: `${network}::99` }, { token })).toEqual({ unlockAddress: false });
    expect(await codeOf(signIn(email, password, `${network}::7`))).toBeUndefined();
  });

  it("holds for guesses at the current password of changePassword", async () => {
    const { email, token } = await server.person("ANALYST");
    const change = "mutation ($c: String!, $n: String!) { changePassword(currentPassword: $c, newPassword: $n) }";
    const guess = (c: string) => server.refused("UNAUTHENTICATED", change, { c, n: "another one" }, { token });
    await Promise.all(["one guess", "two guesses", "three guesses"].map(guess));
    await server.refused("RATE_LIMITED", change, { c: password, n: "another one" }, { token });
    expect(await codeOf(signIn(email, password))).toBe("RATE_LIMITED");
  });

  it("keeps no email that was typed, only a digest", async () => {
    const typed = `my secret password ${crypto.randomUUID()}`;
    await signIn(typed, wrong);
    expect(JSON.stringify(await dumpDatabase(server.database))).not.toContain(typed);
    expect(server.logLines.join()).not.toContain(typed);
  });
});

describe("sign-ins that bring a good credential along", () => {
  it("count for the address all the same, also with a key that is in shadow mode or has a high limit", async () => {
    const { key } = await server.customer({ requestsPerMinute: 1000, limitMode: "SHADOW" });
    const ip = someAddress();
    const tooLong = "x".repeat(100);
    const attempt = () => server.call(login, { input: { email: "x", password: tooLong } }, { key, ip });
    const statuses = (await Promise.all(Array.from({ length: 25 }, attempt))).map(({ status }) => status);
    expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(20);
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(5);
    const refresh = 'mutation { refreshSession(refreshToken: "x") { accessToken } }';
    const { headers } = await server.call(refresh, {}, { key, ip });
    expect(headers.get("ratelimit-limit")).toBe("60");
  });
});

describe("sessions", () => {
  const mine = "{ mySessions { id createdAt ip userAgent lastUsedAt lastUsedFrom expiresAt current } }";
  const theirs = "query ($id: ID!) { userSessions(userId: $id) { id current } }";
  const end = "mutation ($id: ID!) { endSession(id: $id) { id current } }";

  it("are listed with when, from where and with what", async () => {
    const { email, token } = await server.person("ANALYST");
    const ip = someAddress();
    const second = await fetch(`${server.url}/graphql`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "x-forwarded-for": ip,
        "user-agent": `Finance ${"x".repeat(300)}`,
      },
      body: JSON.stringify({ query: login, variables: { input: { email, password } } }),
    });
    const other = ((await second.json()) as { data: { login: { accessToken: string } } }).data.login.accessToken;
    await server.ok(me, {}, { token: other, ip: "192.0.2.7" });
    const { mySessions } = await server.ok(mine, {}, { token });
    expect(mySessions.map(({ current }: { current: boolean }) => current)).toEqual([false, true]);
    expect(mySessions[0]).toMatchObject({ ip, userAgent: `Finance ${"x".repeat(192)}` });
    expect(Date.parse(mySessions[0].createdAt)).toBeLessThanOrEqual(Date.parse(mySessions[0].lastUsedAt));
    await expect.poll(async () => (await server.ok(mine, {}, { token })).mySessions[0].lastUsedFrom).toBe("192.0.2.7");
  });

  it("end one by one or all others at once, from the next request on", async () => {
    const { email, token } = await server.person("ANALYST");
    const tokens = [await server.login(email, password), await server.login(email, password)];
    const { mySessions } = await server.ok(mine, {}, { token });
    expect(mySessions).toHaveLength(3);
    expect(await server.ok(end, { id: mySessions[0].id }, { token })).toMatchObject({ endSession: { current: false } });
    await server.refused("UNAUTHENTICATED", me, {}, { token: tokens[1] ?? "" });
    await server.refused("NOT_FOUND", end, { id: mySessions[0].id }, { token });
    expect(await server.ok("mutation { endMyOtherSessions }", {}, { token })).toEqual({ endMyOtherSessions: 1 });
    await server.refused("UNAUTHENTICATED", me, {}, { token: tokens[0] ?? "" });
    expect((await server.ok(mine, {}, { token })).mySessions).toHaveLength(1);
  });

  it("of others are an ADMIN's to see and end, but not those of people above", async () => {
    const people = [server.person("ANALYST"), server.person("OWNER"), server.staff("ADMIN"), server.staff("ANALYST")];
    const [analyst, owner, { token }, { token: peer }] = (await Promise.all(people)) as [
      Person,
      Person,
      Person,
      Person,
    ];
    const [session] = (await server.ok(theirs, { id: analyst.id }, { token })).userSessions;
    const [above] = (await server.ok(mine, {}, { token: owner.token })).mySessions;
    await server.refused("NOT_FOUND", end, { id: session.id }, { token: peer });
    await server.refused("FORBIDDEN", theirs, { id: analyst.id }, { token: peer });
    await server.refused("FORBIDDEN", theirs, { id: owner.id }, { token });
    await server.refused("NOT_FOUND", end, { id: above.id }, { token });
    await server.refused(
      "FORBIDDEN",
      "mutation ($id: ID!) { endUserSessions(userId: $id) }",
      { id: owner.id },
      { token },
    );
    await server.ok(me, {}, { token: analyst.token });
    await server.ok(end, { id: session.id }, { token });
    await server.refused("UNAUTHENTICATED", me, {}, { token: analyst.token });
    await server.ok(me, {}, { token: owner.token });
  });
});

describe("people", () => {
  const disable = "mutation ($id: ID!) { disableUser(userId: $id) { disabledAt } }";
  const enable = "mutation ($id: ID!) { enableUser(userId: $id) { disabledAt } }";

  it("who are disabled are out at once, cannot come back, and answer as if the password were wrong", async () => {
    const { id, email, token } = await server.person("OPERATOR");
    const refreshToken = (
      await server.ok(
        "mutation ($input: LoginInput!) { login(input: $input) { refreshToken } }",
        {
          input: { email, password },
        },
        { ip: someAddress() },
      )
    ).login.refreshToken;
    const { disabledAt } = (await server.ok(disable, { id })).disableUser;
    expect(Date.parse(disabledAt)).toBeGreaterThan(Date.now() - 60_000);
    await server.refused("UNAUTHENTICATED", me, {}, { token });
    const refresh = "mutation ($t: String!) { refreshSession(refreshToken: $t) { accessToken } }";
    await server.refused("UNAUTHENTICATED", refresh, { t: refreshToken }, {});
    const [disabled, unknown] = await Promise.all([signIn(email, password), signIn(newEmail(), password)]);
    expect(seen(disabled)).toBe(seen(unknown));
    expect((await server.ok(enable, { id })).enableUser.disabledAt).toBeNull();
    await server.login(email, password);
  });

  it("are not disabled by themselves, from below, or when they are the last OWNER", async () => {
    const owner = (await server.ok(me)).me.user.id;
    const admin = await server.staff("ADMIN");
    await server.refused("FORBIDDEN", disable, { id: owner });
    await server.refused("FORBIDDEN", disable, { id: owner }, { token: admin.token });
    await server.refused("FORBIDDEN", disable, { id: admin.id }, { token: admin.token });
    await server.refused("NOT_FOUND", disable, { id: `usr_${"0".repeat(32)}` });
    await server.ok(me);
  });

  it("are found by a part of the email, by role and by whether they are disabled", async () => {
    const { id, email } = await server.person("OPERATOR");
    await server.ok(disable, { id });
    const { token } = await server.staff("ADMIN");
    const list = "query ($filter: UserFilter) { users(filter: $filter) { nodes { id email disabledAt } } }";
    const found = async (filter: object) =>
      (await server.ok(list, { filter }, { token })).users.nodes.map((user: { id: string }) => user.id);
    expect(await found({ search: email.slice(3, -4).toUpperCase() })).toEqual([id]);
    expect(await found({ search: "%" })).toEqual([]);
    expect(await found({ role: "OPERATOR", disabled: true })).toContain(id);
    expect(await found({ disabled: false })).not.toContain(id);
    expect(await found({ role: "OWNER" })).not.toContain(id);
  });
});
