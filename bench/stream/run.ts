import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { round } from "../gateway/load.ts";
import { cpuSecondsBelow, cpuSecondsOf, residentMbOf } from "../processes.ts";
import { type Server, startScript, startTollgate } from "../servers.ts";
import { chatStream, graphqlEvents, graphqlSocket, type StreamCall } from "./clients.ts";

/** `npm run bench stream`: see bench/README.md. Prints JSON; progress goes to stderr. */
const { values } = parseArgs({
  options: {
    streams: { type: "string", default: "200" },
    seconds: { type: "string", default: "10" },
    only: { type: "string", default: "" },
    "node-options": { type: "string", default: "" },
  },
});
const streams = Number(values.streams);
const tokens = Number(values.seconds) * 50;
const warmUpTokens = 100;

interface Target {
  name: string;
  server: Server & { key: string };
  open: (call: StreamCall) => Promise<void>;
}

async function run({ server, open }: Target, tokensEach: number): Promise<number[]> {
  const delays: number[] = [];
  const onToken = (delayMs: number) => void delays.push(delayMs);
  const { url, key } = server;
  const all: Promise<void>[] = [];
  for (let i = 0; i < streams; i++) {
    all.push(open({ url, key, tokens: tokensEach, onToken }));
    // The starts are spread, as those of clients are; each takes its credits from the one wallet.
    await delay(5);
  }
  await Promise.all(all);
  return delays.sort((a, b) => a - b);
}

async function measure(target: Target) {
  const { pid } = target.server;
  await run(target, warmUpTokens);
  const before = { server: cpuSecondsOf(pid) ?? 0, database: cpuSecondsBelow(pid) ?? 0 };
  const delays = await run(target, tokens);
  const cpu = (cpuSecondsOf(pid) ?? 0) - before.server;
  const percentile = (share: number) => round(delays[Math.floor(delays.length * share)] ?? 0, 2);
  const result = {
    tokens: delays.length,
    delayMs: { p50: percentile(0.5), p99: percentile(0.99) },
    cpuMicrosecondsPerToken: Math.round((cpu * 1e6) / delays.length),
    residentMb: residentMbOf(pid),
  };
  process.stderr.write(`${target.name} ${JSON.stringify(result)}\n`);
  return result;
}

const stub = await startScript(new URL("stub.mjs", import.meta.url));
const nodeOptions = values["node-options"].split(" ").filter(Boolean);
const tollgate = await startTollgate(stub.url, { nodeOptions });
try {
  const targets: Target[] = [
    { name: "stub", server: { ...stub, key: "none" }, open: chatStream },
    { name: "graphqlEvents", server: tollgate, open: graphqlEvents },
    { name: "graphqlSocket", server: tollgate, open: graphqlSocket },
    { name: "restEvents", server: tollgate, open: chatStream },
  ];
  const wanted = values.only.split(",").filter(Boolean);
  const results: Record<string, unknown> = {};
  for (const target of targets) {
    if (wanted.length > 0 && !wanted.includes(target.name)) continue;
    results[target.name] = await measure(target);
  }
  process.stdout.write(
    `${JSON.stringify({ node: process.version, streams, tokensEach: tokens, ...results }, null, 2)}\n`,
  );
} finally {
  await tollgate.stop();
  await stub.stop();
}
