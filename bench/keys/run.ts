import "reflect-metadata";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";
import { Database } from "../../src/db/client.ts";
import { startEmbedded } from "../../src/db/embedded/start.ts";
import { migrateDatabase } from "../../src/db/migrate.ts";
import { mintKey } from "../../src/keys/secret.ts";
import { openKeys } from "../../src/keys/wire.ts";
import { Wallets } from "../../src/ledger/wallets/wallets.ts";
import { KeyGuesses } from "../../src/limits/key-guesses.ts";
import { Limiters } from "../../src/limits/limiters.ts";

/**
 * What it costs to find out who is behind a key: one that is known, as on every call, and ten thousand that nobody ever
 * issued, from many addresses and from one. Prints JSON. CPU is that of this process.
 */
const knownCalls = 200_000;
const unknownKeys = 10_000;
const atOnce = 100;
const yieldEvery = 10;
const peppers = { digestPepper: randomBytes(32), hashPepper: randomBytes(32) };
const origin = { actor: "system:bench", ip: null, requestId: null };

const dataDir = await mkdtemp(join(tmpdir(), "tollgate-bench-"));
const embedded = await startEmbedded({ dataDir });
const db = new Database({ url: embedded.url, poolSize: 10 });

/** Runs so many tasks, `atOnce` of them at a time, and says what they cost. */
async function cost(count: number, task: (i: number) => Promise<unknown>) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const cpu = process.cpuUsage();
  const startedAtMs = performance.now();
  let next = 0;
  const worker = async () => {
    for (let done = 1; next < count; done++) {
      await task(next++);
      // As requests do: what is known is answered without waiting for anything.
      if (done % yieldEvery === 0) await setImmediate();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  const elapsedMs = performance.now() - startedAtMs;
  const { user, system } = process.cpuUsage(cpu);
  delay.disable();
  return {
    perSecond: Math.round((count / elapsedMs) * 1000),
    cpuMicrosEach: Number(((user + system) / count).toFixed(2)),
    // The timer of the measurement itself ticks once a millisecond.
    eventLoopDelayP99Ms: Number((delay.percentile(99) / 1e6).toFixed(1)),
    eventLoopDelayMaxMs: Number((delay.max / 1e6).toFixed(1)),
  };
}

try {
  await migrateDatabase(embedded.url);
  const keyGuesses = new KeyGuesses(new Limiters({ replicas: 1 }));
  const onError = (error: unknown) => process.stderr.write(`${String(error)}\n`);
  const { accounts, keys, identity } = openKeys({
    ...{ db, peppers, keyGuesses, onError, environment: "test" },
    ...{ record: async () => {}, disableMembers: async () => [], usersById: async () => new Map() },
    // Bounds the keys of MEMBERs, of which there are none here.
    generateLimit: () => ({ field: "Mutation.generate", limit: 1, durationSeconds: 60 }),
    wallets: new Wallets(db),
  });
  const account = await accounts.create(origin, "bench");
  const { secret } = await keys.create(origin, { name: "bench", accountId: account.id });
  await identity.identify(secret, "192.0.2.1");

  const known = await cost(knownCalls, () => identity.identify(secret, "192.0.2.1"));
  const minted = Array.from({ length: unknownKeys }, () => mintKey("test"));
  const mistyped = await cost(unknownKeys, (i) =>
    identity.identify(`${minted[i]?.slice(0, -1)}!`, `10.1.${i >> 8}.${i & 255}`),
  );
  const fromMany = await cost(unknownKeys, (i) => identity.identify(minted[i] ?? "", `10.0.${i >> 8}.${i & 255}`));
  const fromOne = await cost(unknownKeys, (i) => identity.identify(minted[i] ?? "", "192.0.2.2").catch(() => {}));
  process.stdout.write(`${JSON.stringify({ known, unknown: { mistyped, fromMany, fromOne } }, null, 2)}\n`);
} finally {
  await db.close();
  await embedded.stop();
  await rm(dataDir, { recursive: true, force: true });
}
