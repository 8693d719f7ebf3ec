import { setTimeout as delay } from "node:timers/promises";
import { round } from "../gateway/load.ts";

/**
 * Paid calls at a steady rate, whatever the server does: each is timed from when it was due, so that a server that is
 * held up is told of each call that it holds up.
 */
export interface PaidCalls {
  url: string;
  key: string;
  callsPerSecond: number;
}

export interface Latency {
  p50: number;
  p99: number;
}

export async function callFor(seconds: number, { url, key, callsPerSecond }: PaidCalls): Promise<Latency> {
  const body = JSON.stringify({ model: "stub", messages: [{ role: "user", content: "Say something." }] });
  const headers = { "content-type": "application/json", authorization: `Bearer ${key}` };
  const latencies: number[] = [];
  const running: Promise<void>[] = [];
  const startedAt = performance.now();
  for (let i = 0; i < seconds * callsPerSecond; i++) {
    const dueAt = startedAt + (i * 1000) / callsPerSecond;
    const early = dueAt - performance.now();
    if (early > 0) await delay(early);
    const call = async () => {
      const response = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body });
      const text = await response.text();
      if (response.status !== 200) throw new Error(`A paid call was answered ${response.status}: ${text}`);
      latencies.push(performance.now() - dueAt);
    };
    running.push(call());
  }
  await Promise.all(running);
  latencies.sort((a, b) => a - b);
  const percentile = (share: number) => round(latencies[Math.floor(latencies.length * share)] ?? 0, 1);
  return { p50: percentile(0.5), p99: percentile(0.99) };
}
