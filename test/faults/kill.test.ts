import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, inject, it } from "vitest";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { findBreaks } from "./invariants.ts";
import { credit, type Ledger, makeKey, openLedger } from "./ledger.ts";

const kills = Number(process.env["TOLLGATE_KILLS"] ?? 50);
const workerCount = 4;
const leaseSeconds = 1;
/** From the end of a lease to its hold's release, on a machine that is busy starting processes. */
const sweepSecondsMax = 5;

let database: TestDatabase;
let ledger: Ledger;
beforeAll(async () => {
  database = await createDatabase();
  ledger = openLedger(database.url);
});
afterAll(async () => {
  await ledger?.db.close();
  await database?.drop();
});

interface Worker {
  process: ChildProcess;
  /** Resolves with the first settlement that it was told of. */
  working: Promise<void>;
  ended: Promise<void>;
  faults: string[];
}

function startWorker(keysJson: string, acknowledged: Map<string, bigint>): Worker {
  const script = join(inject("compiled"), "test", "faults", "kill-worker.js");
  const args = [script, database.url, keysJson, String(leaseSeconds)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const faults: string[] = [];
  child.stderr.on("data", (text) => faults.push(String(text)));
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const working = new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const [id = "", charged = ""] = line.split(" ");
      // A line that the kill cut short promises nothing.
      if (id.length === 36 && /^\d+$/.test(charged)) acknowledged.set(id, BigInt(charged));
      resolve();
    });
    child.once("close", () => reject(new Error(`a worker ended by itself: ${faults.join("")}`)));
  });
  working.catch(() => {});
  return { process: child, working, ended, faults };
}

async function killOneAfterAnother(keysJson: string, acknowledged: Map<string, bigint>): Promise<void> {
  const workers = Array.from({ length: workerCount }, () => startWorker(keysJson, acknowledged));
  for (let killed = 0; killed < kills; killed++) {
    const at = killed % workerCount;
    const worker = workers[at] as Worker;
    await worker.working;
    await delay(5 + Math.random() * 80);
    worker.process.kill("SIGKILL");
    if (killed + workerCount < kills) workers[at] = startWorker(keysJson, acknowledged);
  }
  await Promise.all(workers.map(({ ended }) => ended));
  expect(workers.flatMap(({ faults }) => faults)).toEqual([]);
}

/** The one replica that survives: on a busy machine, none of the workers may be up for seconds. */
function sweepOn() {
  let stopped = false;
  const sweeping = (async () => {
    for (; !stopped; await delay(150)) await ledger.sweeper.sweep();
  })();
  return {
    stop: () => {
      stopped = true;
      return sweeping;
    },
  };
}

it(`loses no credit to ${kills} kills`, async () => {
  const accountId = (await makeKey(ledger, 1n)).accountId;
  const keys = await Promise.all(
    Array.from({ length: 6 }, (_, i) => makeKey(ledger, 10_000_000n * credit, i < 3 ? accountId : undefined)),
  );
  const acknowledged = new Map<string, bigint>();
  const started = performance.now();
  const sweeper = sweepOn();
  await killOneAfterAnother(JSON.stringify(keys), acknowledged);
  await sweeper.stop();
  const seconds = (performance.now() - started) / 1000;
  const { sql } = database;
  const [left] = await sql<[{ n: bigint }]>`select count(*) as n from holds where state = 'open'`;
  await delay(leaseSeconds * 1000);
  await ledger.sweeper.sweep();
  for (const key of keys) await ledger.wallets.bringUpToDate({ accountId: key.accountId, id: key.walletId });

  expect(await findBreaks(sql)).toEqual([]);
  const settled = await sql<{ id: string; charged: bigint }[]>`
    select id, charged from requests where status = 'COMPLETED'`;
  const inLedger = new Map(settled.map(({ id, charged }) => [id, charged]));
  const broken = [...acknowledged].filter(([id, charged]) => inLedger.get(id) !== charged);
  expect(broken).toEqual([]);

  const [ends] = await sql<[{ abandoned: bigint; late: number }]>`
    select count(*) as abandoned, max(extract(epoch from h.closed_at - h.lease_expires_at))::float8 as late
    from holds h join requests r using (account_id, id) where r.status = 'ABANDONED'`;
  expect(ends.abandoned).toBeGreaterThanOrEqual(left.n);
  // The kills really hit calls in mid-air: else this test would show nothing.
  expect(ends.abandoned).toBeGreaterThan(0n);
  expect(ends.late).toBeLessThan(sweepSecondsMax);
  const figures = { kills, seconds: Math.round(seconds), settled: settled.length, acknowledged: acknowledged.size };
  console.log(
    JSON.stringify({ ...figures, abandoned: Number(ends.abandoned), sweptLateSeconds: ends.late, breaks: 0 }),
  );
}, 3_600_000);
