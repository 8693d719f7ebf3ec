import { afterAll, beforeAll, expect, it } from "vitest";
import { failpointNames } from "../../src/failpoint.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { type Customer, generate } from "../harness/server.ts";
import { findBreaks } from "./invariants.ts";
import { makeDataDir, ServerProcess } from "./server-process.ts";

/** Of each point; every one takes some calls with it. */
const times = Number(process.env["TOLLGATE_DEATHS"] ?? 20);
const callsEach = 4;
/** Processes that start at the same time; more of them only wait for each other. */
const atOnce = 2;
/** The only one that lies in the path of streams. */
const streamPoint = "after_first_chunk";

let database: TestDatabase;
let dataDir: { path: string; remove: () => Promise<void> };
let env: Record<string, string>;
let survivor: ServerProcess;
beforeAll(async () => {
  [database, dataDir] = await Promise.all([createDatabase(), makeDataDir()]);
  env = { DATABASE_URL: database.url, DATA_DIR: dataDir.path };
  survivor = await ServerProcess.start(env);
  await survivor.signIn();
});
afterAll(async () => {
  survivor?.kill();
  await database?.drop();
  await dataDir?.remove();
});

const generateStream = `subscription ($input: GenerateInput!) {
  generateStream(input: $input) { __typename ... on TextDelta { text } }
}`;

interface Call {
  /** Asked for as a stream by the one that dies; whoever tries again does so as it likes. */
  streamed: boolean;
  customer: Customer;
  input: { model: string; prompt: string; idempotencyKey: string };
}

function ask(server: ServerProcess, { customer, input }: Call) {
  return server.client.call(generate, { input }, { key: customer.key });
}

/** Reads the events of a stream, as far as they come. */
async function readStream(server: ServerProcess, { customer, input }: Call): Promise<string> {
  const response = await fetch(`${server.client.url}/graphql/stream`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream", "x-api-key": customer.key },
    body: JSON.stringify({ query: generateStream, variables: { input } }),
  });
  return response.text();
}

/** A process dies at the point with some calls on the way, and nobody gets an answer. */
async function dieAt(failpoint: string, calls: Call[]): Promise<void> {
  const doomed = await ServerProcess.start({ ...env, TOLLGATE_FAILPOINT: failpoint });
  const outcomes = await Promise.allSettled(
    calls.map((call) => (call.streamed ? readStream(doomed, call) : ask(doomed, call))),
  );
  expect(await doomed.ended).toBe("SIGKILL");
  // The point was reached by the first call; what came back at all came back whole, before the process died.
  for (const outcome of outcomes) {
    if (outcome.status === "rejected") continue;
    // A stream of which the end came has been settled, and the process had nothing more to die of.
    if (typeof outcome.value === "string") expect(outcome.value).not.toContain("GenerationFinished");
    else expect(outcome.value.body.errors).toBeUndefined();
  }
}

/** In place of waiting: five minutes pass for what the dead have left. */
async function letTimePass(): Promise<void> {
  const { sql } = database;
  await sql`update holds set lease_expires_at = lease_expires_at - interval '5 minutes' where state = 'open'`;
  await sql`update idempotency_records set claimed_at = claimed_at - interval '5 minutes' where answer is null`;
}

it.each(failpointNames)(
  "%s: a retry charges once, or gives the stored answer",
  async (point) => {
    const calls: Call[] = await Promise.all(
      Array.from({ length: times * callsEach }, async (_, i) => ({
        streamed: point === streamPoint,
        customer: await survivor.client.customer({ credits: "10" }),
        input: { model: "echo", prompt: `call ${i}`, idempotencyKey: `${point}-${i}` },
      })),
    );
    const deaths = Array.from({ length: times }, (_, i) => i);
    const dieNext = async (): Promise<void> => {
      for (let i = deaths.shift(); i !== undefined; i = deaths.shift()) {
        // What was sent may reach PostgreSQL or not: the process lives 4 to 64 milliseconds longer.
        const delay = point === "after_settle_sent" ? `:${2 ** (2 + (i % 5))}` : "";
        await dieAt(`${point}:kill${delay}`, calls.slice(i * callsEach, (i + 1) * callsEach));
      }
    };
    await Promise.all(Array.from({ length: atOnce }, dieNext));

    await letTimePass();
    let replayed = 0;
    for (const call of calls) {
      const { body } = await ask(survivor, call);
      expect(body.errors).toBeUndefined();
      expect(body.data.generate).toMatchObject({ text: `echo: ${call.input.prompt}`, status: "COMPLETED" });
      if (body.data.generate.replayed) replayed += 1;
      const [wallet] = await database.sql`
      select balance, held from wallets where id = ${call.customer.walletId.replace("wal_", "")}::uuid`;
      expect(wallet).toEqual({ balance: 9_000_000n, held: 0n });
    }
    // A settlement that was sent may have arrived; before that there can be nothing to give again. Each death left at
    // least the call that met it, released for nothing.
    const [left] = await database.sql<[{ abandoned: bigint; charged: bigint; partial: bigint }]>`
    select count(*) filter (where status = 'ABANDONED') as abandoned,
      coalesce(sum(charged) filter (where status = 'ABANDONED'), 0)::bigint as charged,
      count(*) filter (where status not in ('ABANDONED', 'COMPLETED')) as partial
    from requests where account_id = any(${calls.map(({ customer }) => customer.accountId.replace("acc_", ""))}::uuid[])`;
    expect(left).toMatchObject({ charged: 0n, partial: 0n });
    if (point !== "after_settle_sent") {
      expect(replayed).toBe(0);
      expect(left.abandoned).toBeGreaterThanOrEqual(BigInt(times));
    }
    expect(await findBreaks(database.sql)).toEqual([]);
    console.log(JSON.stringify({ point, deaths: times, calls: calls.length, replayed, breaks: 0 }));
  },
  600_000,
);
