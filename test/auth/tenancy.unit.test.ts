import { describe, expect, it } from "vitest";
import { withinAccount } from "../../src/auth/tenancy.ts";
import type { KeyViewer, RoleName, UserViewer } from "../../src/auth/viewer.ts";

const person = (role: RoleName, accountId: string | null = null): UserViewer => ({
  ...{ kind: "USER", userId: "u", sessionId: null },
  ...{ role, accountId },
});

const key: KeyViewer = {
  ...{ kind: "API_KEY", apiKeyId: "k", accountId: "mine", walletId: "w", scopes: [], models: null, budgets: [] },
  ...{ requestsPerMinute: null, tokensPerMinute: null, maxConcurrency: null, cacheSeconds: null, logsPrompts: false },
  limitMode: "ENFORCE",
};

const narrowed = [
  ["a MEMBER", person("MEMBER", "mine")],
  ["an API key", key],
] as const;
const unbound = (["ANALYST", "OPERATOR", "ADMIN", "OWNER"] as const).map((role) => [role, person(role)] as const);

describe.each(narrowed)("withinAccount for %s", (_name, viewer) => {
  it("returns an object of the own account as it is", () => {
    const object = { accountId: "mine", id: "1" };
    expect(withinAccount(viewer, object)).toBe(object);
  });

  it("answers for an object of another account exactly as for none", () => {
    expect(withinAccount(viewer, { accountId: "theirs", id: "1" })).toBe(withinAccount(viewer, undefined));
  });

  it("narrows a search that names no account to the own one, and keeps the rest of it", () => {
    expect(withinAccount(viewer, { accountId: undefined, name: "a" })).toEqual({ accountId: "mine", name: "a" });
    expect(withinAccount(viewer, {})).toEqual({ accountId: "mine" });
  });
});

describe("withinAccount for a MEMBER without an account", () => {
  it("refuses, because there is nothing that it may see", () => {
    for (const subject of [{ accountId: "theirs" }, { accountId: undefined }, {}]) {
      expect(() => withinAccount(person("MEMBER"), subject)).toThrow("belongs to no account");
    }
  });
});

describe.each(unbound)("withinAccount for the role %s", (_role, viewer) => {
  it("lets objects and searches of every account pass as they are", () => {
    for (const subject of [{ accountId: "theirs" }, { accountId: undefined }, {}]) {
      expect(withinAccount(viewer, subject)).toBe(subject);
    }
    expect(withinAccount(viewer, undefined)).toBeUndefined();
  });
});
