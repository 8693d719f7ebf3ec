import { describe, expect, it } from "vitest";
import { readImportFile } from "../../src/keys/import/file.ts";
import { importFields } from "../../src/keys/import/schema.ts";
import { importLinesMax } from "../../src/keys/import/service.ts";
import { generate, useServer } from "../harness/server.ts";

const server = useServer();

const importKeys = `mutation ($input: ImportApiKeysInput!) { importApiKeys(input: $input) {
  lines
  keys {
    line secret
    apiKey { id name account { id } scopes models allowedIps requestsPerMinute tags metadata expiresAt hours { timeZone }
      wallet { balance } last4 }
  }
} }`;
const prompt = { input: { model: "echo", prompt: "Hello", maxOutputTokens: 20 } };
const uuid = (id: string) => id.slice(4).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");

async function account(): Promise<string> {
  return (await server.ok('mutation { createAccount(input: { name: "importing" }) { id } }')).createAccount.id;
}

async function countOf(accountId: string): Promise<number> {
  const [row] = await server.database.sql`
    select (select count(*) from api_keys where account_id = ${uuid(accountId)})
      + (select count(*) from key_secrets where account_id = ${uuid(accountId)})
      + (select count(*) from audit_events where account_id = ${uuid(accountId)} and action = 'key.create') as rows`;
  return Number(row?.["rows"]);
}

async function linesOf(format: "CSV" | "JSON", content: string, accountId: string) {
  const { extensions } = await server.refused("BAD_USER_INPUT", importKeys, { input: { format, content, accountId } });
  return extensions["lines"] as { line: number; field: string | null; message: string }[];
}

describe("an import works", () => {
  it("from CSV: brought keys and minted ones, with whatever a key may have", async () => {
    const accountId = await account();
    const own = `their-own-key-${accountId}`;
    const content = [
      "\uFEFFname,key,credits,scopes,models,allowedIps,requestsPerMinute,tags,metadata,expiresAt,hours",
      `"Shop, east",,12.5,generate;embed,gpt-*;echo,127.0.0.0/8,30,a;b,"{""plan"": ""gold""}",2099-01-01T00:00:00Z,`,
      "",
      `west,${own},1,,,,,,,,"{""timeZone"":""Europe/Berlin"",""windows"":[{""from"":""00:00"",""to"":""24:00""}]}"`,
      "",
    ].join("\r\n");
    const { lines, keys } = (await server.ok(importKeys, { input: { format: "CSV", content, accountId } }))
      .importApiKeys;
    expect(lines).toBe(2);
    expect(keys).toMatchObject([
      {
        line: 2,
        secret: expect.stringMatching(/^tg_test_/),
        apiKey: {
          ...{
            name: "Shop, east",
            account: { id: accountId },
            scopes: ["generate", "embed"],
            models: ["gpt-*", "echo"],
          },
          ...{ allowedIps: ["127.0.0.0/8"], requestsPerMinute: 30, tags: ["a", "b"], metadata: { plan: "gold" } },
          ...{ expiresAt: "2099-01-01T00:00:00.000Z", hours: null, wallet: { balance: "12.5" } },
        },
      },
      {
        ...{ line: 4, secret: null },
        apiKey: { name: "west", last4: own.slice(-4), models: null, tags: [], hours: { timeZone: "Europe/Berlin" } },
      },
    ]);
    for (const key of [keys[0].secret, own]) await server.ok(generate, prompt, { key });
    expect(await countOf(accountId)).toBe(6);
  });

  it("from JSON, for several accounts, and only says so in a dry run", async () => {
    const [first, second] = [await account(), await account()];
    const content = JSON.stringify([{ name: "a" }, { name: "b", accountId: second, sharedWallet: true }]);
    const input = { format: "JSON", content, accountId: first };
    const dry = (await server.ok(importKeys, { input: { ...input, dryRun: true } })).importApiKeys;
    expect(dry).toEqual({ lines: 2, keys: [] });
    expect([await countOf(first), await countOf(second)]).toEqual([0, 0]);
    const { keys } = (await server.ok(importKeys, { input })).importApiKeys;
    expect(keys.map(({ apiKey }: { apiKey: { account: { id: string } } }) => apiKey.account.id)).toEqual([
      first,
      second,
    ]);
  });
});

describe("an import has", () => {
  it("every field that a new key may have, and no other", async () => {
    const { inputFields } = (await server.ok('{ __type(name: "CreateApiKeyInput") { inputFields { name } } }')).__type;
    expect(inputFields.map(({ name }: { name: string }) => name).toSorted()).toEqual(importFields.toSorted());
  });
});

describe("an import refuses", () => {
  it("the whole file for one bad line, telling each fault with its line, and writes nothing", async () => {
    const accountId = await account();
    const { key: used } = await server.customer({ key: `in-use-${crypto.randomUUID()}` });
    const twin = `twin-of-${crypto.randomUUID()}`;
    const entries = [
      { name: "good" },
      { name: "" },
      { name: "x", requestsPerMinute: 0 },
      { name: "x", requestsPerMinute: 1.5 },
      { name: "x", credits: "-1" },
      { name: "x", credits: 5 },
      { name: "x", models: ["a b"] },
      { name: "x", allowedIps: ["10.0.0.0/33"] },
      { name: "x", scopes: ["everything"] },
      { name: "x", key: "short" },
      { name: "x", key: "tg_test_" },
      { name: "x", key: used },
      { name: "x", key: twin },
      { name: "x", key: twin },
      { name: "x", accountId: "acc_01900000000070008000000000000000" },
      { name: "x", accountId: "" },
      { name: "x", planId: "pln_1" },
      { name: "x", role: "OWNER" },
      { name: "x", hours: { timeZone: "Mars/Olympus", windows: [{ from: "08:00", to: "09:00" }] } },
      { name: "x", expiresAt: "tomorrow" },
      "not an object",
      null,
    ];
    const faults = await linesOf("JSON", JSON.stringify(entries), accountId);
    const told = faults.map(({ line, field }) => [line, field]);
    expect(told).toEqual([
      [2, null],
      [3, "requestsPerMinute"],
      [4, "requestsPerMinute"],
      [5, "credits"],
      [6, "credits"],
      [7, "models"],
      [8, "allowedIps"],
      [9, null],
      [10, null],
      [11, null],
      [12, "key"],
      [14, "key"],
      [15, "accountId"],
      [16, "accountId"],
      [17, "planId"],
      [18, "role"],
      [19, "hours"],
      [20, "expiresAt"],
      [21, null],
      [22, null],
    ]);
    expect(faults[11]?.message).toBe("It is the key of line 13.");
    expect(JSON.stringify(faults)).not.toContain(twin);
    expect(await countOf(accountId)).toBe(0);
  });

  it("what only the database can know, with its line: a time that has passed", async () => {
    const accountId = await account();
    const content = "name,expiresAt\ngood,2099-01-01T00:00:00Z\nlate,2020-01-01T00:00:00Z\n";
    expect(await linesOf("CSV", content, accountId)).toMatchObject([{ line: 3, field: "expiresAt" }]);
    expect(await countOf(accountId)).toBe(0);
  });

  it.each([
    ["nothing", "CSV", ""],
    ["a header alone", "CSV", "name\n"],
    ["an empty array", "JSON", "[]"],
  ] as const)("a file with %s", async (_what, format, content) => {
    await server.refused("BAD_USER_INPUT", importKeys, { input: { format, content } });
  });

  it("more keys than one file may have, and more reports of faults than anyone reads", async () => {
    const accountId = await account();
    const many = (count: number) => `name\n${"x\n".repeat(count)}`;
    const { message } = await server.refused("BAD_USER_INPUT", importKeys, {
      input: { format: "CSV", content: many(importLinesMax + 1), accountId },
    });
    expect(message).toContain(String(importLinesMax));
    const wrong = `name,requestsPerMinute\n${"x,0\n".repeat(300)}`;
    expect(await linesOf("CSV", wrong, accountId)).toHaveLength(100);
  });

  it("credits above 0 from an OPERATOR, who may not grant any, also in a dry run", async () => {
    const accountId = await account();
    const { token } = await server.staff("OPERATOR");
    const before = await countOf(accountId);
    const rich = { format: "CSV", content: "name,credits\npoor,0\nrich,0.000001\n", accountId };
    for (const dryRun of [true, false]) {
      await server.refused("FORBIDDEN", importKeys, { input: { ...rich, dryRun } }, { token });
    }
    expect(await countOf(accountId)).toBe(before);
    await server.ok(importKeys, { input: { ...rich, content: "name,credits\npoor,0\nempty,\n" } }, { token });
    await server.ok(importKeys, { input: rich }, { token: (await server.staff("ADMIN")).token });
  });

  it("whoever is no OPERATOR", async () => {
    const { token } = await server.staff("ANALYST");
    await server.refused("FORBIDDEN", importKeys, { input: { format: "JSON", content: "[]" } }, { token });
  });
});

describe("a file", () => {
  it.each([
    ["a field that is not there", "name,rpm\nx,1", [{ line: 1, field: "rpm" }]],
    ["a field that is there twice", "name,name\nx,y", [{ line: 1, field: "name" }]],
    ["a line that is too short", "name,tags\nx\ny,z", [{ line: 2, field: null }]],
    ["a quote that is not closed", 'name\n"x', [{ line: 2, field: null }]],
    ["a line break within quotes: lines are those of the file", 'name,tags\n"a\nb",c\nd', [{ line: 4, field: null }]],
  ])("with %s", (_what, content, faults) => {
    expect(readImportFile("CSV", content).faults).toMatchObject(faults);
  });

  it("of JSON that is none, or no array", () => {
    for (const content of ["", "{", "{}", '"x"', "null"]) {
      expect(readImportFile("JSON", content).faults).toHaveLength(1);
    }
  });

  it("with names that objects have anyhow is read as any other", () => {
    expect(readImportFile("CSV", "__proto__,constructor\nx,y").faults).toHaveLength(2);
    expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
  });
});
