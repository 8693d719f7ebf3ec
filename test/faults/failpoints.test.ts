import { afterAll, beforeAll, expect, it } from "vitest";
import { failpointNames } from "../../src/failpoint.ts";
import { createDatabase, type TestDatabase } from "../database.ts";
import { type Customer, generate } from "../harness.ts";
import { findBreaks } from "./invariants.ts";
import { makeDataDir, ServerProcess } from "./server-process.ts";

/** Of each point; every one takes some calls with it. A start costs a second or more, so CI makes do with few. */
const times = Number(process.env["TOLLGATE_DEATHS"] ?? 5);
const callsEach = 4;
/** Processes that start at the same time; more of them only wait for each other. */
const atOnce = 2;
/** The echo has no chunks in a mutation. */
const points = failpointNames.filter((name) => name !== "after_first_chunk");

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

interface Call {
  customer: Customer;
  input: { model: string; prompt: string; idempotencyKey: string };
}

function ask(server: ServerProcess, { customer, input }: Call) {
  return server.client.call(generate, { input }, { key: customer.key });
}

/** A process dies at the point with some calls on the way, and nobody gets an answer. */
async function dieAt(failpoint: string, calls: Call[]): Promise<void> {
  const doomed = await ServerProcess.start({ ...env, TOLLGATE_FAILPOINT: failpoint });
  const outcomes = await Promise.allSettled(calls.map((call) => ask(doomed, call)));
  expect(await doomed.ended).toBe("SIGKILL");
  // The point was reached by the first call; what came back at all came back whole, before the process died.
  for (const outcome of outcomes) {
    if (outcome.status === "fulfilled") expect(outcome.value.body.errors).toBeUndefined();
  }
}

/** In place of waiting: five minutes pass for what the dead have left. */
async function letTimePass(): Promise<void> {
  const { sql } = database;
  await sql`update holds set lease_expires_at = lease_expires_at - interval '5 minutes' where state = 'open'`;
  await sql`update idempotency_records set claimed_at = claimed_at - interval '5 minutes' where answer is null`;
}

it.each(points)("%s: a retry charges once, or gives the stored answer", async (point) => {
  const calls: Call[] = await Promise.all(
    Array.from({ length: times * callsEach }, async (_, i) => ({
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
  // A settlement that was sent may have arrived; before that there can be nothing to give again.
  if (point !== "after_settle_sent") expect(replayed).toBe(0);
  expect(await findBreaks(database.sql)).toEqual([]);
  console.log(JSON.stringify({ point, deaths: times, calls: calls.length, replayed, breaks: 0 }));
});
