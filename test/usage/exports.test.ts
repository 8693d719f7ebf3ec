import { parse } from "csv-parse/sync";
import { describe, expect, it } from "vitest";
import { type Credential, generate, useServer } from "../harness/server.ts";
import { settlePast } from "../harness/traffic.ts";
import { pastCalls } from "./oracle.ts";

const server = useServer();

async function get(path: string, { key, token }: Credential = {}) {
  const headers = { ...(key && { "x-api-key": key }), ...(token && { authorization: `Bearer ${token}` }) };
  const response = await fetch(`${server.url}/export/${path}`, { headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

async function rows(path: string, as: Credential) {
  const { status, text } = await get(path, as);
  expect(status, text).toBe(200);
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

const january = "from=2026-01-01&to=2026-03-01";
const at = new Date("2026-01-31T10:00:00Z");

describe("export of generations", () => {
  it("streams every call once, in pages, and goes on after the last id", async () => {
    const customer = await server.customer();
    await settlePast(
      server,
      customer,
      Array.from({ length: 2500 }, () => ({ at })),
    );
    const all = await rows(`generations.jsonl?${january}`, { key: customer.key });
    expect(new Set(all.map(({ id }) => id)).size).toBe(2500);
    const rest = await rows(`generations.jsonl?${january}&after=${all[1200].id}`, { key: customer.key });
    expect(rest).toEqual(all.slice(1201));
  });

  it("takes the filters of the queries", async () => {
    const customer = await server.customer();
    await settlePast(server, customer, [
      { at, model: "a", tags: ["x"], status: "FAILED" },
      { at, model: "b", tags: ["x", "y"], endUser: "ann" },
    ]);
    const models = async (filter: string) =>
      (await rows(`generations.jsonl?${january}&${filter}`, { key: customer.key })).map(({ model }) => model).join("");
    expect(await models("model=a&model=b")).toBe("ab");
    expect(await models("tag=y")).toBe("b");
    expect(await models("endUser=ann&status=COMPLETED")).toBe("b");
    expect(await models("status=FAILED")).toBe("a");
    expect(await models("provider=none")).toBe("");
  });

  it("writes CSV that no spreadsheet runs", async () => {
    const customer = await server.customer();
    await settlePast(server, customer, [
      { at, endUser: "=cmd()|' /C calc'!A0" },
      { at, endUser: "+1,2" },
      { at, endUser: "\t=1" },
      { at, endUser: "＝1+1" },
      { at, endUser: 'a "b"\nc' },
    ]);
    const { text, headers } = await get(`generations.csv?${january}`, { key: customer.key });
    expect(headers.get("content-type")).toContain("text/csv");
    expect(headers.get("content-disposition")).toContain("generations.csv");
    expect(text.split("\r\n")[0]).toMatch(/^id,createdAt,.*endUser,tags,cacheWriteTokens,cacheWrite1hTokens$/);
    for (const cell of [",'=cmd()|' /C calc'!A0,", `,"'+1,2",`, `,'\t=1,`, ",'＝1+1,", ',"a ""b""\nc",']) {
      expect(text).toContain(cell);
    }
  });
});

describe("exports as CSV", () => {
  it("run nothing in a spreadsheet, whatever text a customer has given", async () => {
    const evil = '=HYPERLINK("http://x";"y")';
    const { createAccount } = await server.ok(
      "mutation ($input: CreateAccountInput!) { createAccount(input: $input) { id } }",
      { input: { name: `@${evil}` } },
    );
    const accountId = createAccount.id;
    const customer = await server.customer({ name: `-${evil}`, accountId });
    await settlePast(server, customer, [
      { at, model: `+${evil}`, provider: `=${evil}`, tags: [evil, "b"], endUser: `\r${evil}` },
    ]);
    const grant = "mutation ($input: GrantCreditsInput!) { grantCredits(input: $input) { id } }";
    await server.ok(grant, { input: { walletId: customer.walletId, credits: "1", reason: evil } });
    const groups = ["ACCOUNT,API_KEY,MODEL,PROVIDER", "TAG", "END_USER"].map(
      (by) => `usage.csv?${january}&groupBy=${by}`,
    );
    const entries = "entries.csv?from=2026-01-01&to=2030-01-01";
    let evils = 0;
    for (const path of [...groups, `generations.csv?${january}`, entries]) {
      const { text } = await get(`${path}&accountId=${accountId}`, { token: server.ownerToken });
      const [head = [], ...body] = parse(text) as string[][];
      for (const cells of body) {
        expect(cells).toHaveLength(head.length);
        for (const cell of cells) {
          if (cell.includes("HYPERLINK")) evils += 1;
          expect(/^-?\d+(\.\d+)?$/.test(cell) || !/^\s*[=+\-@]/.test(cell), cell).toBe(true);
        }
      }
    }
    expect(evils).toBeGreaterThanOrEqual(4 + 1 + 1 + 4 + 1);
  });
});

describe("export of usage", () => {
  it("adds up to the report, and goes on after a cursor", async () => {
    const customer = await server.customer();
    await settlePast(server, customer, pastCalls(120));
    const path = "usage.jsonl?from=2026-01-30T00:30:00Z&to=2026-02-03T00:00:00Z&grain=DAY&groupBy=MODEL,TAG";
    const all = await rows(path, { key: customer.key });
    const input = { from: "2026-01-30T00:30:00Z", to: "2026-02-03T00:00:00Z", grain: "DAY", groupBy: ["MODEL", "TAG"] };
    const { usage } = await server.ok(
      `query ($input: UsageInput!) {
        usage(input: $input) { rows { bucket dimensions { id } metrics { requests credits costUsd } } }
      }`,
      { input },
      { key: customer.key },
    );
    type Row = { bucket: string; dimensions: { id: string | null }[]; metrics: object };
    const told = new Map(
      usage.rows.map(({ bucket, dimensions, metrics }: Row) => [
        JSON.stringify([bucket, ...dimensions.map(({ id }) => id)]),
        metrics,
      ]),
    );
    expect(all).toHaveLength(told.size);
    for (const { bucket, model, tag, requests, credits, costUsd } of all) {
      expect(told.get(JSON.stringify([bucket, model, tag]))).toEqual({ requests, credits, costUsd });
    }
    const middle = all.findIndex(({ tag }, i) => i > 5 && tag === null);
    expect(await rows(`${path}&after=${all[middle].cursor}`, { key: customer.key })).toEqual(all.slice(middle + 1));
  });
});

describe("export of entries", () => {
  it("holds what moved the wallet", async () => {
    const { key, accountId, walletId } = await server.customer({ credits: "5" });
    await server.ok(generate, { input: { model: "echo", prompt: "hi" } }, { key });
    const member = await server.person("MEMBER", accountId);
    const all = await rows("entries.jsonl?from=2026-01-01&to=2030-01-01&accountId=acc_x", { token: member.token });
    expect(all).toEqual([]);
    const mine = await rows("entries.jsonl?from=2026-01-01&to=2030-01-01", { token: member.token });
    expect(mine).toMatchObject([
      { kind: "GRANT", credits: "5", balanceAfter: "5", walletId },
      { kind: "CHARGE", credits: "-1", balanceAfter: "4", accountId },
    ]);
    const { text } = await get("entries.csv?from=2026-01-01&to=2030-01-01", { token: member.token });
    expect(text).toContain(",CHARGE,-1,4,");
  });
});

describe("exports refuse", () => {
  it.each([
    ["no span", "generations.csv", 400],
    ["a span that ends before it begins", "generations.csv?from=2026-02-01&to=2026-01-01", 400],
    ["a thousand years", "usage.csv?from=1026-02-01&to=2026-01-01", 400],
    ["an unknown parameter", `generations.csv?${january}&modle=a`, 400],
    ["a forged cursor", `generations.csv?${january}&after=gen_1`, 400],
    ["a forged cursor of usage", `usage.csv?${january}&after=e30`, 400],
    ["a cursor of another span", `usage.csv?${january}&after=WyIyMDI2IixbIngiLCJ5IiwieiJdXQ`, 400],
    ["a day that no month has", "generations.csv?from=2026-02-30&to=2026-04-01", 400],
    ["a cursor of other dimensions", `usage.csv?${january}&after=WyIyMDI2IixbXV0`, 400],
    ["an unknown dimension", `usage.csv?${january}&groupBy=PLANET`, 400],
    ["a time zone that only JavaScript knows", `usage.csv?${january}&timeZone=US/Pacific-New`, 400],
    ["an unknown status", `generations.csv?${january}&status=FINE`, 400],
    ["an unknown table", `users.csv?${january}`, 404],
    ["an unknown format", `usage.xls?${january}`, 404],
  ])("%s", async (_name, path, status) => {
    const answer = await get(path, { token: server.ownerToken });
    expect(answer.status, answer.text).toBe(status);
    expect(JSON.parse(answer.text).errors[0].extensions.requestId).toBeTruthy();
  });
});

describe("exports protect", () => {
  it("what a caller may not see", async () => {
    const [mine, other] = await Promise.all([server.customer(), server.customer()]);
    await settlePast(server, other, [{ at }]);
    const path = `generations.jsonl?${january}&accountId=${other.accountId}`;
    expect(await rows(path, { key: mine.key })).toEqual([]);
    expect(await rows(path, { token: (await server.person("MEMBER", mine.accountId)).token })).toEqual([]);
    expect(await rows(path, { token: (await server.person("ANALYST")).token })).toHaveLength(1);
    expect((await get(path)).status).toBe(401);
    expect((await get(`entries.csv?${january}`, { key: mine.key })).status).toBe(403);
    const { key } = await server.customer({ scopes: ["generate"] });
    expect((await get(path, { key })).status).toBe(403);
  });
});
