import { describe, expect, it } from "vitest";
import { useServer } from "../harness/server.ts";

const server = useServer();
const me = "{ me { user { id role } } }";
const change = `mutation ($current: String!, $next: String!) { changePassword(currentPassword: $current, newPassword: $next) }`;
const reset = "mutation ($id: ID!, $next: String!) { resetPassword(userId: $id, newPassword: $next) { id } }";
const setRole = `mutation ($id: ID!, $role: Role!, $accountId: ID) {
  setUserRole(userId: $id, role: $role, accountId: $accountId) { role account { id } }
}`;
const password = "a password of ours";
const next = "quite another password";

describe("changePassword", () => {
  it("takes the new password, ends the other sessions and keeps this one", async () => {
    const { email, token } = await server.person("ANALYST");
    const other = await server.login(email, password);
    await server.ok(change, { current: password, next }, { token });
    await server.ok(me, {}, { token });
    await server.refused("UNAUTHENTICATED", me, {}, { token: other });
    await server.login(email, next);
    const login = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
    await server.refused("UNAUTHENTICATED", login, { input: { email, password } }, {});
  });

  it("refuses a wrong current password and one that bcrypt would cut", async () => {
    const { email, token } = await server.person("ANALYST");
    await server.refused("UNAUTHENTICATED", change, { current: "not this one", next }, { token });
    await server.refused("BAD_USER_INPUT", change, { current: password, next: "x".repeat(73) }, { token });
    await server.login(email, password);
  });
});

describe("resetPassword", () => {
  it("ends every session of the person", async () => {
    const { id, email, token } = await server.person("OPERATOR");
    await server.ok(reset, { id, next });
    await server.refused("UNAUTHENTICATED", me, {}, { token });
    await server.login(email, next);
  });

  it("is not for those below the person, nor for an OPERATOR", async () => {
    const admin = await server.person("ADMIN");
    const operator = await server.person("OPERATOR");
    const owner = await server.person("OWNER");
    await server.refused("FORBIDDEN", reset, { id: owner.id, next }, { token: admin.token });
    await server.refused("FORBIDDEN", reset, { id: operator.id, next }, { token: operator.token });
    await server.refused("NOT_FOUND", reset, { id: `usr_${"0".repeat(32)}`, next });
    await server.ok(me, {}, { token: owner.token });
  });
});

describe("setUserRole", () => {
  it("takes effect on the session that is open, and binds a MEMBER to an account", async () => {
    const { accountId, apiKeyId } = await server.customer();
    const { id, token } = await server.person("OPERATOR");
    const disable = "mutation ($id: ID!) { disableApiKey(id: $id) { id } }";
    const { setUserRole } = await server.ok(setRole, { id, role: "MEMBER", accountId });
    expect(setUserRole).toEqual({ role: "MEMBER", account: { id: accountId } });
    await server.refused("FORBIDDEN", disable, { id: apiKeyId }, { token });
  });

  it("refuses the caller's own role, a MEMBER without an account, and anyone who is no OWNER (Z7)", async () => {
    const owner = await server.person("OWNER");
    const admin = await server.person("ADMIN");
    await server.refused("FORBIDDEN", setRole, { id: owner.id, role: "ADMIN" }, { token: owner.token });
    await server.refused("FORBIDDEN", setRole, { id: admin.id, role: "OWNER" }, { token: admin.token });
    const refusals = `query ($id: ID!) { auditEvents(filter: { object: $id, action: "refused.setUserRole" }) { nodes { actor after } } }`;
    const written = async (id: string) => (await server.ok(refusals, { id })).auditEvents.nodes;
    const reason = "You must not change your own role.";
    expect(await written(owner.id)).toMatchObject([{ after: { code: "FORBIDDEN", reason, role: "ADMIN" } }]);
    const [{ actor, after }] = await written(admin.id);
    expect([actor.replaceAll("-", ""), after]).toEqual([
      `user:${admin.id.slice(4)}`,
      { code: "FORBIDDEN", reason: "This needs the role OWNER.", role: "OWNER" },
    ]);
    await server.refused("BAD_USER_INPUT", setRole, { id: admin.id, role: "MEMBER" });
    await server.refused("NOT_FOUND", setRole, { id: admin.id, role: "MEMBER", accountId: `acc_${"0".repeat(32)}` });
    expect((await server.ok(me, {}, { token: admin.token })).me.user.role).toBe("ADMIN");
  });

  it("never leaves a server without an OWNER, even when two demote each other at once", async () => {
    const people = [await server.person("OWNER"), await server.person("OWNER")];
    const first = (await server.ok(me)).me.user.id;
    await server.ok(setRole, { id: first, role: "ADMIN" }, { token: people[0]?.token ?? "" });
    const others = await server.database.sql`select id from users where role = 'OWNER'`;
    const mine = people.map(({ id }) => id.slice(4));
    for (const { id } of others) {
      const wire = id.replaceAll("-", "");
      if (mine.includes(wire)) continue;
      await server.ok(setRole, { id: `usr_${wire}`, role: "ADMIN" }, { token: people[0]?.token ?? "" });
    }
    const [one, two] = people;
    const answers = await Promise.all([
      server.call(setRole, { id: two?.id, role: "ADMIN" }, { token: one?.token ?? "" }),
      server.call(setRole, { id: one?.id, role: "ADMIN" }, { token: two?.token ?? "" }),
    ]);
    expect(answers.filter(({ body }) => body.errors === undefined)).toHaveLength(1);
    const [left] = await server.database.sql`select count(*)::int as count from users where role = 'OWNER'`;
    expect(left?.["count"]).toBe(1);
    // By then the loser of the race has no right to it any more, or was the last one when its turn came.
    const [refusal] = await server.database.sql`
      select after from audit_events where action = 'refused.setUserRole' order by seq desc limit 1`;
    expect(["CONFLICT", "FORBIDDEN"]).toContain(refusal?.["after"].code);
  });
});
