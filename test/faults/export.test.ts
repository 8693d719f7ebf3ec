import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { makeDataDir, ServerProcess } from "./server-process.ts";

const rows = 500_000;
const megabyte = 1_048_576;

let database: TestDatabase;
let dataDir: { path: string; remove: () => Promise<void> };
let server: ServerProcess;
beforeAll(async () => {
  [database, dataDir] = await Promise.all([createDatabase(), makeDataDir()]);
  server = await ServerProcess.start({ DATABASE_URL: database.url, DATA_DIR: dataDir.path });
  await server.signIn();
  await database.sql`
    insert into requests (account_id, id, created_at, completed_at, api_key_id, wallet_id, model, provider, price_id, status,
      finish_reason, usage_source, input_tokens, cached_input_tokens, output_tokens, reasoning_tokens, reserved, charged,
      cost_nano_usd, balance_after, latency_ms, tags, http_request_id)
    select gen_random_uuid(), ('0190b6f0-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, at, at, gen_random_uuid(),
      gen_random_uuid(), 'echo', 'echo', gen_random_uuid(), 'COMPLETED', 'STOP', 'PROVIDER', i % 1000, 0, 5, 0, 1000, 1000,
      7, 0, 100, array['a tag', 'another'], 'test'
    from generate_series(1, ${rows}) i, lateral (select '2026-01-05T00:00Z'::timestamptz + i * interval '1 second' as at) t`;
  await database.sql`analyze requests`;
}, 180_000);
afterAll(async () => {
  server?.kill();
  await database?.drop();
  await dataDir?.remove();
});

async function open(after?: string): Promise<{ lines: AsyncIterable<string>; cut: () => void }> {
  const query = `from=2026-01-01&to=2026-02-01${after ? `&after=${after}` : ""}`;
  const response = await fetch(`${server.client.url}/export/generations.jsonl?${query}`, {
    headers: { authorization: `Bearer ${server.client.ownerToken}` },
  });
  expect(response.status).toBe(200);
  const body = Readable.fromWeb(response.body as import("node:stream/web").ReadableStream);
  return { lines: createInterface({ input: body }), cut: () => void body.destroy() };
}

/** What the process has in memory, by the kernel. */
function residentBytes(): number {
  const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${server.pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}

const idOf = (line: string): string => JSON.parse(line).id;

it("an export takes the same memory however long it is and however slowly it is read, and goes on where it was cut", {
  timeout: 240_000,
}, async () => {
  const ids: string[] = [];
  const measured: number[] = [];
  const first = await open();
  for await (const line of first.lines) {
    ids.push(idOf(line));
    // A reader that stops again and again, in all for as long as it reads.
    if (ids.length % 10_000 === 0) {
      await delay(150);
      measured.push(residentBytes());
    }
    if (ids.length === 200_000) break;
  }
  first.cut();
  const second = await open(ids.at(-1));
  for await (const line of second.lines) {
    ids.push(idOf(line));
    if (ids.length % 10_000 === 0) {
      await delay(150);
      measured.push(residentBytes());
    }
  }

  expect(ids).toHaveLength(rows);
  expect(new Set(ids).size).toBe(rows);
  const [early, late] = [Math.max(...measured.slice(0, 10)), Math.max(...measured.slice(10))];
  // All of it would be some 200 MiB; what a page and the garbage of a moment take is far less.
  expect(late - early, `after ${(early / megabyte).toFixed(0)} MiB`).toBeLessThan(48 * megabyte);
});
