import { describe, expect, it } from "vitest";
import { type TestServer, useServer } from "../harness/server.ts";

const server = useServer();
const direct = useServer({ TRUST_PROXY: "" });

const me = "{ me { kind } }";

/** What a server records as the address of a change. */
async function recordedFrom(of: TestServer, header: string): Promise<string> {
  const create = "mutation ($input: CreateAccountInput!) { createAccount(input: $input) { id } }";
  const as = { token: of.ownerToken, ip: header };
  const { createAccount } = await of.ok(create, { input: { name: "From somewhere" } }, as);
  const [entry] = await of.database.sql`
    select ip from audit_events where object = ${createAccount.id} and action = 'account.create'`;
  return entry?.["ip"];
}

describe("behind a trusted proxy, the address of a caller", () => {
  it.each([
    ["203.0.113.7", "203.0.113.7"],
    ["203.0.113.7:51234", "203.0.113.7"],
    [" 203.0.113.7:51234 ", "203.0.113.7"],
    ['"203.0.113.7:51234"', "203.0.113.7"],
    ["2001:db8::5", "2001:db8::5"],
    ["2001:DB8:0::5", "2001:db8::5"],
    ["[2001:db8::5]", "2001:db8::5"],
    ["[2001:db8::5]:4711", "2001:db8::5"],
    ['"[2001:db8::5]:4711"', "2001:db8::5"],
    ["fe80::1%eth0", "fe80::1"],
    ["[fe80::1%25eth0]:80", "fe80::1"],
    ["::ffff:203.0.113.7", "203.0.113.7"],
    ["[::ffff:203.0.113.7]:51234", "203.0.113.7"],
    ["203.0.113.9:1, 203.0.113.7:51234", "203.0.113.7"],
    ["203.0.113.7:51234, 127.0.0.1:4711", "203.0.113.7"],
    ["203.0.113.7:51234, , ", "203.0.113.7"],
    [", ,", "127.0.0.1"],
  ])("in %s is %s", async (header, address) => {
    expect(await recordedFrom(server, header)).toBe(address);
  });

  it.each([
    "unknown",
    "_hidden",
    "203.0.113.7:port",
    "203.0.113",
    "0x7f.1",
    "1234",
    "010.0.0.1",
    "[203.0.113.7]",
    "[]",
  ])("in %s is unknown", async (header) => {
    expect(await recordedFrom(server, header)).toBe("::");
  });

  it("is the one that allowlists are asked about, with its port stripped", async () => {
    const { key } = await server.customer({ allowedIps: ["192.0.2.0/24", "2001:db8::/32"] });
    for (const ip of ["192.0.2.7:51234", "[2001:db8::5]:4711", '"[2001:db8::5]:4711"']) {
      await server.ok(me, {}, { key, ip });
    }
    for (const ip of ["192.0.3.7:51234", "[2001:db9::5]:4711", "unknown", "192.0.2.7:port"]) {
      await server.refused("IP_NOT_ALLOWED", me, {}, { key, ip });
    }
  });

  it("is the one that limits count, whatever its port", async () => {
    const refresh = 'mutation { refreshSession(refreshToken: "none") { accessToken } }';
    const remaining = async (ip: string) =>
      Number((await server.call(refresh, {}, { ip })).headers.get("ratelimit-remaining"));
    const first = await remaining("198.51.100.77:1000");
    expect(await remaining("198.51.100.77:1001")).toBe(first - 1);
    expect(await remaining("[::ffff:198.51.100.77]:1002")).toBe(first - 2);
  });
});

describe("without a trusted proxy, the address of a caller", () => {
  it("is that of the connection, whatever the header says", async () => {
    expect(await recordedFrom(direct, "203.0.113.7:51234")).toBe("127.0.0.1");
  });
});
