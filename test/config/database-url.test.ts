import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { completeDatabaseUrls } from "../../src/config/database-url/environment.ts";
import { parseDatabaseUrl } from "../../src/config/database-url/parse.ts";
import { findPassword } from "../../src/config/database-url/passfile.ts";
import { DatabaseUrlFault } from "../../src/config/database-url/url.ts";
import { connectionOptions } from "../../src/db/connection/options.ts";

const directory = mkdtempSync(join(tmpdir(), "tollgate-urls-"));
afterAll(() => rmSync(directory, { recursive: true }));

function faultsOf(text: string): string[] {
  try {
    parseDatabaseUrl(text);
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(DatabaseUrlFault);
    return (error as DatabaseUrlFault).faults;
  }
}

const host = (name: string, port?: number, address?: string) => ({ host: name, port, address });

describe("a URL of PostgreSQL", () => {
  it.each<[string, object]>([
    ["postgres://h", { hosts: [host("h")], user: undefined, database: undefined }],
    ["postgresql://tg@[::1]:5432/tg", { hosts: [host("::1", 5432)], user: "tg", database: "tg" }],
    ["postgresql:///tg?host=/dir", { hosts: [host("/dir")], database: "tg" }],
    ["postgresql://%2Fvar%2Frun/tg", { hosts: [host("/var/run")] }],
    ["postgresql:///tg?host=localhost&port=5433", { hosts: [host("localhost", 5433)] }],
    ["postgresql://", { hosts: [host("")] }],
    ["postgres://u:p%40s%2Fs@h/d%20b", { user: "u", password: "p@s/s", database: "d b" }],
    ["postgres://u:p@ss@h/d", { user: "u", password: "p@ss", hosts: [host("h")] }],
    ["postgres://h/d?user=u&password=a+b", { user: "u", password: "a+b" }],
    ["postgres://a:1,b:2/d", { hosts: [host("a", 1), host("b", 2)] }],
    ["postgres://a,b/d?port=6432", { hosts: [host("a", 6432), host("b", 6432)] }],
    ["postgres://a,[::2]:7/d", { hosts: [host("a"), host("::2", 7)] }],
    ["postgres://db.example/d?hostaddr=10.0.0.1", { hosts: [host("db.example", undefined, "10.0.0.1")] }],
    ["postgres://a,b/d?target_session_attrs=read-write", { targetSession: "read-write" }],
    ["postgres://a/d?target_session_attrs=any", { targetSession: undefined }],
    ["postgres://a/d?application_name=billing", { applicationName: "billing" }],
    ["postgres://a/d?connect_timeout=3", { connectTimeoutSeconds: 3 }],
    ["postgres://a/d?keepalives=1&keepalives_idle=20&keepalives_interval=5", { keepAliveSeconds: 20 }],
    ["postgres://a/d?keepalives=0", { keepAliveSeconds: 0 }],
    ["postgres://a/d?channel_binding=prefer&gssencmode=disable&tcp_user_timeout=5", {}],
    [
      "postgres://a/d?options=-csearch_path%3Dtg%20--lock-timeout%3D5s",
      { settings: { search_path: "tg", lock_timeout: "5s" } },
    ],
    ["postgres://a/d?options=-c%20search_path%3Da%5C%20b", { settings: { search_path: "a b" } }],
    ["postgres://a/d?sslmode=require&channel_binding=require", { channelBinding: true }],
    ["postgres://a/d?pgbouncer=true", { transactionPooler: true }],
    ["postgres://a/d?ssl=true", { tls: expect.objectContaining({ mode: "require" }) }],
    ["postgres://a/d?sslrootcert=system", { tls: expect.objectContaining({ mode: "verify-full" }) }],
    [
      "postgres://a/d?sslmode=verify-ca&sslrootcert=/r&sslcert=/c&sslkey=/k",
      { tls: expect.objectContaining({ mode: "verify-ca", rootCert: "/r", cert: "/c", key: "/k" }) },
    ],
  ])("%s", (text, expected) => expect(parseDatabaseUrl(text)).toMatchObject(expected));

  it.each<[string, string]>([
    ["mysql://h", "must start with postgres://"],
    ["postgres://h/d?krbsrvname=x", 'the parameter "krbsrvname" is not supported'],
    ["postgres://h/d?search_path=x", 'the parameter "search_path" is not supported'],
    ["postgres://h/d?service=x", 'the parameter "service" is not supported'],
    ["postgres://h/d?__proto__=x", 'the parameter "__proto__" is not supported'],
    ["postgres://h/d?channel_binding=always", '"channel_binding=always" is not supported'],
    ["postgres://h/d?sslmode=verify", '"sslmode=verify" is not supported'],
    ["postgres://h/d?gssencmode=require", '"gssencmode=require" is not supported'],
    ["postgres://h/d?client_encoding=latin1", '"client_encoding=latin1" is not supported'],
    ["postgres://h/d?connect_timeout=soon", '"connect_timeout=soon" is not supported'],
    ["postgres://h/d?sslmode=require&sslrootcert=system", '"sslrootcert=system" needs "sslmode=verify-full"'],
    ["postgres://h:99999/d", '"port=99999" is not a port'],
    ["postgres://h/d?host=/a,b", "a Unix socket among several hosts is not supported"],
    ["postgres://h/d?options=-cDateStyle%3DGerman", '"options" may not set datestyle, which Tollgate sets itself'],
    ["postgres://h/d?options=-W", '"options" has "-W", which is not -c name=value'],
    ["postgres://h/d?sslmode", "a parameter has no value: each is name=value"],
    ["postgres://h/%zz", "dbname has a % that is not followed by two hexadecimal digits of UTF-8"],
  ])("is refused in words: %s", (text, fault) => expect(faultsOf(text)).toEqual([fault]));

  it("is never repeated where it may hold a part of a password", () => {
    for (const text of ["postgres://u:hunter/2@h/d", "postgres://u:x?hunter=2@h:1/d", "postgres://u:x?hunter-2&a@h"]) {
      expect(faultsOf(text).join(), text).not.toContain("hunter-2");
      expect(faultsOf(text), text).not.toEqual([]);
    }
  });
});

describe("what psql would add to it", () => {
  const complete = (text: string, env: Record<string, string> = {}) => {
    const { present, faults } = completeDatabaseUrls({ ...env, DATABASE_URL: text });
    expect(faults).toEqual([]);
    return parseDatabaseUrl(present["DATABASE_URL"] ?? "");
  };
  const passfile = (mode: number, text: string) => {
    const path = join(directory, `pass-${mode}`);
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  };

  it("is taken from the PG* variables, where the URL is silent", () => {
    const env = { PGHOST: "other", PGPORT: "9", PGUSER: "someone", PGPASSWORD: "secret&1", PGSSLMODE: "disable" };
    expect(complete("postgres://tg@h/d", env)).toMatchObject({
      hosts: [host("h")],
      user: "tg",
      password: "secret&1",
      tls: { mode: "disable" },
    });
    expect(complete("postgres:///d", env)).toMatchObject({ hosts: [host("other", 9)], user: "someone" });
  });

  it("is the password of a password file that only its owner can read", () => {
    const path = passfile(0o600, "# mine\nelse:*:*:*:no\nh:5432:d:tg:ri\\:ght\\\\\nh:*:*:*:late\n");
    expect(complete("postgres://tg@h/d", { PGPASSFILE: path })).toMatchObject({ password: "ri:ght\\" });
    expect(complete(`postgres://x@h:6/d?passfile=${path}`)).toMatchObject({ password: "late" });
    expect(complete("postgres://tg:own@h/d", { PGPASSFILE: path })).toMatchObject({ password: "own" });
    const open = passfile(0o644, "*:*:*:*:x\n");
    const { faults } = completeDatabaseUrls({ DATABASE_URL: "postgres://tg@h/d", PGPASSFILE: open });
    expect(faults).toEqual([`DATABASE_URL: passfile ${open} can be read by others: its mode must be 0600`]);
  });

  it("finds the line of a Unix socket under localhost", () => {
    const { hosts } = parseDatabaseUrl("postgres:///d?host=/dir");
    expect(findPassword("localhost:5432:d:me:x", { hosts, database: "d", user: "me" })).toBe("x");
    expect(findPassword("/dir:5432:d:me:x", { hosts, database: "d", user: "me" })).toBeUndefined();
  });

  it("reports the faults of the variables by the URL that they belong to", () => {
    const { faults } = completeDatabaseUrls({ DATABASE_URL: "postgres://h/d", PGSSLMODE: "on" });
    expect(faults).toEqual(['DATABASE_URL: "sslmode=on" is not supported']);
  });
});

describe("in the driver's terms", () => {
  const file = (name: string) => {
    const path = join(directory, name);
    writeFileSync(path, name);
    return path;
  };

  it("a URL asks for encryption as libpq does", () => {
    const ssl = (query: string) => (connectionOptions(`postgres://h/d?${query}`) as { ssl: unknown }).ssl;
    expect(ssl("")).toBe("prefer");
    expect(ssl("sslmode=disable")).toBe(false);
    expect(ssl("sslmode=require")).toMatchObject({ rejectUnauthorized: false });
    const ca = `sslrootcert=${file("root")}`;
    expect(ssl(`sslmode=require&${ca}`)).toMatchObject({ rejectUnauthorized: true, ca: Buffer.from("root") });
    expect(ssl(`sslmode=verify-ca&${ca}`)).toHaveProperty("checkServerIdentity");
    const full = ssl(`sslmode=verify-full&${ca}&sslcert=${file("cert")}&sslkey=${file("key")}`);
    expect(full).toMatchObject({ rejectUnauthorized: true, cert: Buffer.from("cert"), key: Buffer.from("key") });
    expect(full).not.toHaveProperty("checkServerIdentity");
    expect(() => ssl(`sslrootcert=${directory}/none&sslmode=verify-full`)).toThrow(/sslrootcert=.*none cannot be read/);
  });

  it("a directory is the Unix socket in it, and several hosts are tried in their order", () => {
    expect(connectionOptions("postgres:///d?host=/dir&port=6")).toMatchObject({ path: "/dir/.s.PGSQL.6" });
    const several = connectionOptions("postgres://a:1,[::2]/d?target_session_attrs=primary");
    expect(several).toMatchObject({ host: ["a", "::2"], port: [1, 5432], target_session_attrs: "primary" });
    expect(connectionOptions("postgres://n/d?hostaddr=10.0.0.1")).toMatchObject({ host: ["10.0.0.1"] });
  });
});
