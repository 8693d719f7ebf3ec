import "reflect-metadata";
import { createClient as createSseClient } from "graphql-sse";
import { describe, expect, it } from "vitest";
import { Database } from "../../src/db/client.ts";
import { Sealer } from "../../src/encryption.ts";
import { Doctor } from "../../src/ledger/checks/doctor.ts";
import { createLogger } from "../../src/log.ts";
import { PromptWriter } from "../../src/prompts/writer.ts";
import { type Customer, generate, useServer } from "../harness/server.ts";
import { uuidOf } from "../harness/traffic.ts";

const server = useServer();

const setPromptLog = "mutation ($input: SetPromptLogInput!) { setPromptLog(input: $input) { days } }";
const promptText = `query ($id: ID!) { promptText(generationId: $id) {
  id accountId apiKeyId model endUser loggedAt expiresAt messages answer toolCalls
} }`;
const promptRecords = `query ($filter: PromptRecordFilter!) { promptRecords(filter: $filter) {
  nodes { id apiKeyId model endUser }
} }`;
const embed = "mutation ($input: EmbedInput!) { embed(input: $input) { id } }";

async function agreed(days = 30): Promise<Customer> {
  const customer = await server.customer();
  await server.ok(setPromptLog, { input: { apiKeyId: customer.apiKeyId, days } });
  return customer;
}

async function say({ key }: Customer, prompt: string, more: object = {}): Promise<string> {
  return (await server.ok(generate, { input: { model: "echo", prompt, ...more } }, { key })).generate.id;
}

/** Writing comes after the reply: this waits for it, by the row. */
async function written(id: string): Promise<Record<string, unknown>> {
  for (;;) {
    const [row] = await server.database.sql`select * from prompt_logs where id = ${uuidOf(id)}`;
    if (row) return row;
    await new Promise(setImmediate);
  }
}

const countOf = async ({ accountId }: Customer) => {
  const [row] = await server.database.sql`
    select count(*)::int as n from prompt_logs where account_id = ${uuidOf(accountId)}`;
  return row?.["n"];
};

describe("the log of prompts works", () => {
  it("keeps nothing of those who have not agreed", async () => {
    const customer = await server.customer();
    const other = await agreed();
    await say(customer, "not to be kept");
    await written(await say(other, "to be kept"));
    expect(await countOf(customer)).toBe(0);
    const { me } = await server.ok("{ me { promptLog { days } } }", {}, { key: customer.key });
    expect(me.promptLog).toEqual({ days: null });
  });

  it("keeps prompt and answer redacted and encrypted, and shows them to an ADMIN, who is written down", async () => {
    const customer = await agreed(7);
    const prompt = "Mail ann@example.com, card 4111 1111 1111 1111: how is Canary-4711?";
    const id = await say(customer, prompt, { endUser: "u-1", system: "Be kind." });
    const row = await written(id);
    expect(String(row["sealed"])).not.toContain("Canary-4711");
    expect(JSON.stringify(row)).not.toContain("Canary-4711");
    const [dump] = await server.database.sql`
      select count(*)::int as n from prompt_logs where position('Canary-4711'::bytea in sealed) > 0`;
    expect(dump).toEqual({ n: 0 });
    const { token, id: userId } = await server.staff("ADMIN");
    const { promptText: told } = await server.ok(promptText, { id }, { token });
    const redacted = "Mail [email], card [card]: how is Canary-4711?";
    expect(told).toMatchObject({
      ...{ id, accountId: customer.accountId, apiKeyId: customer.apiKeyId, model: "echo", endUser: "u-1" },
      messages: [
        { role: "system", content: "Be kind." },
        { role: "user", content: redacted },
      ],
      answer: `echo: ${redacted}`,
      toolCalls: [],
    });
    expect(Date.parse(told.expiresAt) - Date.parse(told.loggedAt)).toBe(7 * 86_400_000);
    await server.ok(promptText, { id }, { token });
    const events = await server.database.sql`
      select actor, after from audit_events where action = 'prompts.read' and object = ${id}`;
    expect(events).toHaveLength(2);
    expect(events[0]?.["actor"]).toBe(`user:${uuidOf(userId)}`);
    expect(server.logLines.join("")).not.toContain("Canary-4711");
  });

  it("keeps streams, embeddings, and answers that are given again", async () => {
    const customer = await agreed();
    const client = createSseClient({ url: `${server.url}/graphql/stream`, headers: { "x-api-key": customer.key } });
    const query = "subscription ($input: GenerateInput!) { generateStream(input: $input) { __typename } }";
    const variables = { input: { model: "echo", prompt: "in a stream", endUser: "streamer" } };
    await new Promise<void>((resolve, reject) => {
      client.subscribe({ query, variables }, { next: () => {}, error: reject, complete: resolve });
    });
    const vector = (await server.ok(embed, { input: { model: "echo", input: ["to embed"] } }, { key: customer.key }))
      .embed;
    await written(vector.id);
    const { promptRecords: list } = await server.ok(promptRecords, { filter: { accountId: customer.accountId } });
    const [, streamed] = list.nodes;
    expect(list.nodes.map(({ endUser }: { endUser: string }) => endUser)).toEqual([null, "streamer"]);
    const { promptText: told } = await server.ok(promptText, { id: streamed.id });
    expect(told).toMatchObject({ messages: [{ content: "in a stream" }], answer: "echo: in a stream" });
    const cached = { cacheSeconds: 60 };
    await say(customer, "twice", cached);
    await written(await say(customer, "twice", cached));
  });

  it("follows the account where the key says nothing, and the key where it does", async () => {
    const customer = await server.customer();
    const { accountId, apiKeyId } = customer;
    const { token } = await server.person("MEMBER", accountId);
    const daysOf = async () => {
      const { me } = await server.ok("{ me { promptLog { days } } }", {}, { key: customer.key });
      const member = await server.ok("{ me { promptLog { days } } }", {}, { token });
      return [me.promptLog.days, member.me.promptLog.days];
    };
    expect((await server.ok(setPromptLog, { input: { accountId, days: 3 } })).setPromptLog).toEqual({ days: 3 });
    expect(await daysOf()).toEqual([3, 3]);
    expect((await server.ok(setPromptLog, { input: { apiKeyId, days: 0 } })).setPromptLog).toEqual({ days: null });
    expect(await daysOf()).toEqual([null, 3]);
    expect((await server.ok(setPromptLog, { input: { apiKeyId, days: null } })).setPromptLog).toEqual({ days: 3 });
    const { apiKey } = await server.ok("query ($id: ID!) { apiKey(id: $id) { promptLog { days } } }", { id: apiKeyId });
    expect(apiKey.promptLog).toEqual({ days: 3 });
    await written(await say(customer, "by the account"));
  });

  it("ends with its time: it is not shown from then on, and deleted soon after", async () => {
    const customer = await agreed(1);
    const id = await say(customer, "for a day");
    await written(id);
    await server.database.sql`update prompt_logs set expires_at = now() where id = ${uuidOf(id)}`;
    await server.refused("NOT_FOUND", promptText, { id });
    const db = new Database({ url: server.database.url, poolSize: 1 });
    const { PromptLog } = await import("../../src/prompts/service.ts");
    const options = { db, sealer: new Sealer(Buffer.alloc(32)), record: async () => {}, onError: () => {} };
    await new PromptLog(options).deleteExpired();
    await db.close();
    expect(await countOf(customer)).toBe(0);
  });
});

describe("the log of prompts refuses", () => {
  it.each([
    ["more days than a year", { days: 366 }],
    ["fewer than none", { days: -1 }],
    ["a key and an account at once", { days: 1, accountId: "acc_0190b6f0c7e87d5e8d7a4b6c2f1e0d9c" }],
  ])("%s", async (_name, input) => {
    const { apiKeyId } = await server.customer();
    await server.refused("BAD_USER_INPUT", setPromptLog, { input: { apiKeyId, ...input } });
  });

  it("ids that name nothing, and calls that are not kept", async () => {
    const customer = await server.customer();
    const nobody = "acc_0190b6f0c7e87d5e8d7a4b6c2f1e0d9c";
    await server.refused("NOT_FOUND", setPromptLog, { input: { accountId: nobody, days: 1 } });
    await server.refused("NOT_FOUND", promptRecords, { filter: { accountId: customer.accountId, apiKeyId: "" } });
    await server.refused("NOT_FOUND", promptText, { id: await say(customer, "x") });
    await server.refused("NOT_FOUND", "mutation ($id: ID!) { deleteAccountPrompts(accountId: $id) { prompts } }", {
      id: nobody,
    });
  });
});

describe("the log of prompts protects", () => {
  it("what an account or an end user wants forgotten, and leaves the money as it is", async () => {
    const customer = await agreed();
    const bystander = await agreed();
    const ids = [
      await say(customer, "one", { endUser: "ann" }),
      await say(customer, "two", { endUser: "bob" }),
      await say(customer, "three", { endUser: "bob", cacheSeconds: 60 }),
      await say(bystander, "four", { endUser: "bob" }),
    ];
    for (const id of ids) await written(id);
    const { sql } = server.database;
    const money = async () => [
      await server.wallet(customer.walletId),
      await sql`select id, amount, balance_after from credit_entries where account_id = ${uuidOf(customer.accountId)} order by id`,
      await sql`select id, charged from requests where account_id = ${uuidOf(customer.accountId)} order by id`,
    ];
    const before = await money();
    const forget = `mutation ($id: ID!, $user: String!) {
      deleteEndUserPrompts(accountId: $id, endUser: $user) { prompts answers }
    }`;
    const { deleteEndUserPrompts } = await server.ok(forget, { id: customer.accountId, user: "bob" });
    expect(deleteEndUserPrompts).toEqual({ prompts: 2, answers: 0 });
    expect([await countOf(customer), await countOf(bystander)]).toEqual([1, 1]);
    const forgetAll = "mutation ($id: ID!) { deleteAccountPrompts(accountId: $id) { prompts answers } }";
    const { deleteAccountPrompts } = await server.ok(forgetAll, { id: customer.accountId });
    expect(deleteAccountPrompts).toEqual({ prompts: 1, answers: 1 });
    expect([await countOf(customer), await countOf(bystander)]).toEqual([0, 1]);
    expect(await money()).toEqual(before);
    const db = new Database({ url: server.database.url, poolSize: 1 });
    const findings = await new Doctor(db, createLogger({ level: "silent", production: true })).examine();
    await db.close();
    expect(findings.filter(({ breaks }) => breaks.length > 0)).toEqual([]);
    const [event] = await sql`select before from audit_events where action = 'prompts.delete'
      and object = ${customer.accountId} order by seq desc limit 1`;
    expect(event?.["before"]).toEqual({ prompts: 1, answers: 1 });
  });

  it("an agreement that was taken back: nothing is written after, whatever a server still remembers", async () => {
    const customer = await agreed();
    await written(await say(customer, "before"));
    // Behind the servers' backs, so that what they remember of the key is of before.
    await server.database.sql`update api_keys set prompt_log_days = 0 where id = ${uuidOf(customer.apiKeyId)}`;
    await say(customer, "after");
    const other = await agreed();
    await written(await say(other, "a later one, so that the earlier one has been through"));
    expect(await countOf(customer)).toBe(1);
  });

  it("calls: neither a full queue nor a database that refuses is their fault", async () => {
    const lost: number[] = [];
    const broken = { orm: { execute: () => Promise.reject(new Error("no")) } } as unknown as Database;
    const writer = new PromptWriter(broken, new Sealer(Buffer.alloc(32)), (count) => lost.push(count), {
      waitingMax: 2,
    });
    const said = { accountId: "a", id: "b", apiKeyId: "c", model: "m", endUser: null };
    for (let i = 0; i < 5; i++) writer.add({ ...said, messages: ["x"], answer: "y", toolCalls: [] });
    await writer.idle();
    expect(lost.toSorted()).toEqual([2, 3]);
    const customer = await agreed();
    await server.database.sql`alter table prompt_logs rename to prompt_logs_away`;
    await say(customer, "goes through");
    await server.database.sql`alter table prompt_logs_away rename to prompt_logs`;
  });

  it("a row that was put in the place of another", async () => {
    const customer = await agreed();
    const [mine = "", theirs = ""] = [await say(customer, "mine"), await say(customer, "theirs")];
    await written(mine);
    await written(theirs);
    await server.database
      .sql`update prompt_logs set sealed = (select sealed from prompt_logs where id = ${uuidOf(theirs)})
      where id = ${uuidOf(mine)}`;
    await server.refused("INTERNAL", promptText, { id: mine });
  });
});
