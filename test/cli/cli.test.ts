import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { changedMonths } from "../../src/cli/commands/retention.ts";
import { connectRemote, Refused } from "../../src/cli/connection.ts";
import { tollgate, tollgatePipe, tollgateProcess } from "../harness/command-line.ts";
import { serverSecret } from "../harness/first-start.ts";
import { generate, useServer } from "../harness/server.ts";
import { settlePast } from "../harness/traffic.ts";

const server = useServer();

/** On the database, as its operator. */
const onDatabase = () => ({ DATABASE_URL: server.database.url, SERVER_SECRET: serverSecret, DATA_DIR: "/tmp" });
const direct = (...args: string[]) => tollgate(args, onDatabase());
/** On the server, with a person's token. */
const remote = (token: string, ...args: string[]) =>
  tollgate(["--url", server.url, ...args], { TOLLGATE_TOKEN: token });

const use = (key: string) => server.call(generate, { input: { model: "echo", prompt: "hi" } }, { key });

describe("tollgate", { timeout: 120_000 }, () => {
  it("creates a key in one line and prints id, key and limit; the key works", async () => {
    const line = ["keys", "create", "customer-company-a", "--rpm", "100", "--credits", "5"];
    const { code, out, err } = await tollgateProcess(line, onDatabase());
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^id +key_[0-9a-f]{32}$/m);
    expect(out).toMatch(/^requestsPerMinute +100$/m);
    const key = /^key +(tg_\S+)$/m.exec(out)?.[1] ?? "";
    expect((await use(key)).body.data.generate.charge.balance).toBe("4");
    const [event] = await server.database.sql`
      select actor from audit_events where action = 'key.create' and after ->> 'name' = 'customer-company-a'`;
    expect(event?.["actor"]).toBe("system:cli");
  });

  it("takes a key text of the customer's own, and says no to one that is in use", async () => {
    const own = `their-own-key-${crypto.randomUUID()}`;
    const first = await direct("keys", "create", "own", "--key", own, "--credits", "1", "--json");
    expect(JSON.parse(first.out)).toMatchObject({ key: own, credits: "1" });
    expect((await use(own)).status).toBe(200);
    const twin = await direct("keys", "create", "twin", "--key", own);
    expect(twin).toEqual({ code: 1, out: "", err: "CONFLICT: This key text is in use.\n" });
  });

  it("works on a server with a token: rotates, shows, grants, revokes", async () => {
    const { apiKeyId, key } = await server.customer({ credits: "1" });
    const as = (...args: string[]) => remote(server.ownerToken, ...args, "--json");
    const rotated = JSON.parse((await as("keys", "rotate", apiKeyId, "--overlap", "0")).out);
    expect((await use(key)).status).toBe(401);
    expect((await use(rotated.key)).status).toBe(200);
    expect(JSON.parse((await as("credits", "grant", apiKeyId, "10")).out)).toMatchObject({ balance: "10" });
    expect(JSON.parse((await as("keys", "show", apiKeyId)).out).secrets).toHaveLength(2);
    expect(JSON.parse((await as("keys", "revoke", apiKeyId)).out)).toMatchObject({ status: "REVOKED" });
    expect((await use(rotated.key)).body.errors?.[0]?.extensions.code).toBe("KEY_REVOKED");
  });

  it("imports a file of keys, or says line by line what is wrong with it", async () => {
    const file = join(tmpdir(), `keys-${crypto.randomUUID()}.csv`);
    writeFileSync(file, "name,requestsPerMinute,tags\nfirst,10,a;b\nsecond,ten,\n,5,\n");
    const wrong = await direct("keys", "import", file);
    expect(wrong).toMatchObject({ code: 1, out: "" });
    expect(wrong.err).toMatch(
      /^BAD_USER_INPUT: 2 lines are wrong\. Nothing was imported\.\n {2}line 3, requestsPerMinute: .+\n {2}line 4, name: .+\n$/,
    );
    writeFileSync(file, "name,requestsPerMinute,tags\nfirst,10,a;b\nsecond,20,\n");
    expect(JSON.parse((await direct("keys", "import", file, "--dry-run", "--json")).out)).toEqual({
      lines: 2,
      wrong: 0,
    });
    const { out } = await remote(server.ownerToken, "keys", "import", file, "--json");
    const rows: { line: number; name: string; key: string }[] = JSON.parse(out);
    expect(rows.map(({ line, name }) => [line, name])).toEqual([
      [2, "first"],
      [3, "second"],
    ]);
    for (const { key } of rows) expect((await server.call("{ me { kind } }", {}, { key })).status).toBe(200);
    rmSync(file);
    expect((await direct("keys", "import", file)).err).toContain("cannot be read");
  });

  it("is refused on a server without the role, with exit code 1 and the code of the catalogue", async () => {
    const { token } = await server.person("ANALYST");
    const { code, err } = await remote(token, "keys", "create", "not-mine");
    expect({ code, err }).toEqual({
      code: 1,
      err: "FORBIDDEN: This needs the role OPERATOR, or a MEMBER of the account.\n",
    });
    expect((await remote(token, "audit", "verify")).code).toBe(0);
    expect((await remote(token, "doctor")).err).toContain("NOT_REMOTE");
  });

  it("creates people with a password that signs in, and lists what there is", async () => {
    const email = `finance-${crypto.randomUUID()}@example.com`;
    const { password } = JSON.parse((await direct("users", "create", email, "--role", "ANALYST", "--json")).out);
    await server.login(email, password);
    const { out } = await direct("models", "list");
    expect(out).toMatch(/^name +provider +enabled +maxOutputTokens\n/);
    expect(out).toMatch(/^echo +echo +true/m);
  });

  it("keeps the catalogue: presets, aliases, services, prices and imports", async () => {
    const [mario, best] = [`mario-${crypto.randomUUID()}`, `best-${crypto.randomUUID()}`];
    const made = await direct("models", "preset", mario, "--base", "echo", "--lock", "SYSTEM", "--json");
    expect(JSON.parse(made.out)).toMatchObject({ name: mario, base: "echo", locked: ["SYSTEM"] });
    const { out } = await direct("models", "alias", best, `${mario}=3,echo`, "--json");
    const targets = [
      { model: mario, weight: 3 },
      { model: "echo", weight: 1 },
    ];
    expect(JSON.parse(out).targets).toEqual(expect.arrayContaining(targets));
    const refused = await direct("models", "service", "inside", "--base-url", "http://127.0.0.1:1/v1");
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining("not a public address") });
    const prefix = `${crypto.randomUUID()}/`;
    const imported = await direct("models", "import", "echo", "--prefix", prefix, "--multiplier", "2", "--json");
    expect(JSON.parse(imported.out)).toEqual({ added: [`${prefix}echo`], known: [], skipped: [] });
    expect(await direct("models", "suggest", "echo")).toMatchObject({ code: 1 });
  });

  it("looks after people, their sessions and the keys that sign their tokens", async () => {
    const { email, id } = await server.person("ANALYST");
    const as = async (...args: string[]) => JSON.parse((await remote(server.ownerToken, ...args, "--json")).out);
    expect(await as("sessions", "list", email)).toHaveLength(1);
    expect(await as("sessions", "end", email)).toEqual({ ended: 1 });
    const { password } = JSON.parse((await direct("users", "reset-password", email, "--json")).out);
    await server.login(email, password);
    expect((await as("users", "disable", id)).disabledAt).toMatch(/^2/);
    expect(await as("users", "enable", email.toUpperCase())).toMatchObject({ email, disabledAt: null });
    const [next, current] = await as("signing-keys", "rotate");
    expect([next.status, current.status]).toEqual(["NEXT", "CURRENT"]);
    expect(await remote(server.ownerToken, "users", "unlock", "nobody@example.com")).toEqual({
      code: 1,
      out: "",
      err: "NOT_FOUND: No such user.\n",
    });
  });

  it("exports the audit from a server and from the database, and checks the file offline", async () => {
    await server.customer();
    const folder = mkdtempSync("/tmp/tollgate-cli-");
    const file = `${folder}/audit.jsonl`;
    const { out } = await remote(server.ownerToken, "audit", "export");
    expect(out.split("\n").length).toBeGreaterThan(3);
    expect((await direct("audit", "export")).out.startsWith(out)).toBe(true);
    expect((await remote("nobody", "audit", "export")).code).toBe(1);
    writeFileSync(file, out);
    const checked = await tollgate(["audit", "verify", "--file", file, "--json"], {});
    expect({ ...checked, out: JSON.parse(checked.out) }).toMatchObject({ code: 0, out: { intact: true, fault: null } });
    const { anchor } = JSON.parse(checked.out);
    expect((await direct("audit", "verify", "--anchor", anchor)).code).toBe(0);
    writeFileSync(file, out.replace('"actor":"', '"actor":"x'));
    const broken = await tollgate(["audit", "verify", "--file", file], {});
    expect(broken.err).toBe("AUDIT_BROKEN: event 1 was altered\n");
    rmSync(folder, { recursive: true });
  });

  it("previews a restatement, applies it, and shows how far it is", async () => {
    const customer = await server.customer();
    const model = await server.model("echo", "echo", {});
    await settlePast(server, customer, [{ at: new Date("2026-01-10T10:30:00Z"), model, charge: 1_000_000n }]);
    await server.ok("mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { version } }", {
      input: { model, multiplier: "0.5" },
    });
    const span = ["--from", "2026-01-01T00:00:00Z", "--to", "2026-02-01T00:00:00Z"];
    const order = ["restate", model, ...span, "--price-version", "2"];
    const preview = await remote(server.ownerToken, ...order);
    expect(preview).toMatchObject({ code: 0, err: "" });
    expect(preview.out).toMatch(/^dryRun +true$/m);
    expect(preview.out).toMatch(/^creditsDifference +-0.5$/m);
    const applied = JSON.parse((await direct(...order, "--apply", "--reason", "a typo", "--json")).out);
    expect(applied).toMatchObject({ state: "DONE", dryRun: false, calls: "1", creditsGivenBack: "0.5" });
    const { out } = await direct("restatements");
    expect(out.split("\n").filter((line) => line.includes(model))).toHaveLength(2);
    expect(out).toContain(applied.id);
    expect(await direct(...order.slice(0, -1), "nine")).toMatchObject({ code: 2, out: "" });
    const unknown = await direct("restate", "none", ...span, "--price-version", "2");
    expect(unknown).toMatchObject({ code: 1, err: "NOT_FOUND: No such model, or no such version of its price.\n" });
  });

  it("imports a provider's invoice and compares it, or says line by line what is wrong with it", async () => {
    const file = join(tmpdir(), `invoice-${crypto.randomUUID()}.csv`);
    const number = `INV ${crypto.randomUUID().slice(0, 8)}`;
    const imported = ["invoices", "import", file, "--provider", "echo", "--number", number];
    writeFileSync(file, "day,model,tokens,cost\n2026-01-01,m,ten,1\n2026-02-30,m,1,1\n");
    const wrong = await direct(...imported);
    expect(wrong).toMatchObject({ code: 1, out: "" });
    expect(wrong.err).toContain("tokens must be a whole number");
    expect(wrong.err).toContain("day must be a day");
    writeFileSync(file, "day,model,tokens,cost\n2020-01-01,m,10,1.5\n");
    const { id } = JSON.parse((await remote(server.ownerToken, ...imported, "--json")).out);
    expect((await direct("invoices", "list")).out).toMatch(new RegExp(`${id} +echo +${number}`));
    const compared = (await direct("invoices", "compare", id)).out.split("\n");
    expect(compared[1]).toMatch(/^2020-01-01 +m +10 +0 +1.5 +0 +1.5$/);
    rmSync(file);
  });

  it("waits for a month that takes longer than a connection lasts", async () => {
    const { run } = connectRemote(server.url, server.ownerToken);
    const refuse = (code: string, message: string): never => {
      throw new Refused(code, message);
    };
    const customer = await server.customer();
    await settlePast(server, customer, [{ at: new Date("2026-01-10T10:30:00Z") }]);
    const archive = 'mutation { archiveMonth(month: "2026-01") { month } }';
    const cut = async () => {
      await run(archive);
      throw new DOMException("The operation was aborted due to timeout", "TimeoutError");
    };
    const busy: boolean[] = [];
    const watch: typeof run = async (query, variables) => {
      const data = await run(query, variables);
      busy.push(data.retention.busy);
      return data;
    };
    const done = changedMonths({ run: watch, refuse }, cut, 10);
    await expect(done).resolves.toMatchObject([{ month: "2026-01", state: "ARCHIVED" }]);
    const failing = async () => {
      throw new TypeError("fetch failed");
    };
    // As another server would hold it.
    const lock = await server.database.sql.reserve();
    await lock`select pg_advisory_lock(7461009)`;
    busy.length = 0;
    const waiting = changedMonths({ run: watch, refuse }, failing, 10);
    await expect.poll(() => busy.filter(Boolean).length).toBeGreaterThan(2);
    await lock`select pg_advisory_unlock(7461009)`;
    lock.release();
    await expect(waiting).rejects.toThrow("The server failed. See its log");
  });

  it("proves the ledger, migrates, and says 2 for wrong usage and 3 for a server that is not there", async () => {
    expect(await direct("doctor")).toMatchObject({ code: 0 });
    expect(await direct("db", "migrate")).toMatchObject({ code: 0 });
    expect(await direct("keys", "create", "n", "--rpm", "many")).toMatchObject({ code: 2 });
    expect(await direct("keys", "list", "--status", "GONE")).toMatchObject({ code: 2 });
    const nobody = await tollgateProcess(["--url", "http://127.0.0.1:9", "keys", "list"], {});
    expect(nobody).toMatchObject({ code: 3, err: expect.stringContaining("http://127.0.0.1:9/graphql") });
    const stranger = await remote(server.ownerToken, "--url", `${server.url}/metrics`, "keys", "list");
    expect(stranger.code).toBe(1);
  });

  it.each([
    ["keys list | head -1", ["keys", "list"], "head -1", /^id +name +status.*\n$/],
    ["keys list, whose reader is gone before the first line", ["keys", "list"], "true", /^$/],
    ["audit export, whose reader is gone before the first line", ["audit", "export"], "true", /^$/],
  ])("ends in silence when a pipe is closed early: %s", async (_what, args, reader, seen) => {
    await server.customer();
    const ran = await tollgatePipe(["--url", server.url, ...args], { TOLLGATE_TOKEN: server.ownerToken }, reader);
    expect(ran).toEqual({ code: 0, out: expect.stringMatching(seen), err: "" });
  });

  it("has an example in the help of every command", () => {
    const files = readdirSync("src/cli", { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
    const text = files.map((file) => readFileSync(`src/cli/${file}`, "utf8")).join("");
    const actions = text.match(/\.action\(/g) ?? [];
    expect(actions.length).toBeGreaterThan(30);
    expect(text.match(/Examples?:/g)).toHaveLength(actions.length);
  });
});
