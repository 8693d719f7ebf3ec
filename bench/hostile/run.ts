import { fork } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { round } from "../gateway/load.ts";
import { cpuSecondsOf, residentMbOf } from "../processes.ts";
import { startScript, startTollgate } from "../servers.ts";
import { attacks } from "./attacks.ts";
import { callFor, type Latency } from "./paid-calls.ts";

/** `npm run bench hostile`: see bench/README.md. Prints a table; progress goes to stderr. */
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "5" },
    rate: { type: "string", default: "50" },
    "warm-up": { type: "string", default: "10" },
    "node-options": { type: "string", default: "--max-old-space-size=512" },
  },
});
const seconds = Number(values.seconds);

interface Row {
  name: string;
  calm: Latency;
  attacked: Latency;
  /** Of the server, for each hostile request. */
  cpuMs: number;
  residentMb: number | undefined;
  answers: Record<string, number>;
}

const stub = await startScript(new URL("../gateway/stub.mjs", import.meta.url));
const nodeOptions = values["node-options"].split(" ").filter(Boolean);
const tollgate = await startTollgate(stub.url, { nodeOptions, env: { TRUST_PROXY: "loopback" } });
const { url, key, keyWithoutCredits, pid } = tollgate;
const paid = { url, key, callsPerSecond: Number(values.rate) };

/** The same calls calm and attacked, one right after the other, because a machine's moments differ. */
async function measure(index: number): Promise<Row> {
  const [calm, calmCpu] = await withCpu(() => callFor(seconds, paid));
  const target = JSON.stringify([index, { url, key, keyWithoutCredits }]);
  const attacker = fork(new URL("attacker.ts", import.meta.url), [target]);
  await once(attacker, "message");
  const [attacked, attackedCpu] = await withCpu(() => callFor(seconds, paid));
  const residentMb = residentMbOf(pid);
  attacker.send("stop");
  const [{ sent, answers }] = (await once(attacker, "message")) as [{ sent: number; answers: Row["answers"] }];
  const cpuMs = round((Math.max(0, attackedCpu - calmCpu) * 1000) / Math.max(sent, 1), 2);
  return { name: attacks[index]?.name ?? "", calm, attacked, cpuMs, residentMb, answers };
}

/** With the CPU seconds that the server took meanwhile. */
async function withCpu<T>(work: () => Promise<T>): Promise<[T, number]> {
  const before = cpuSecondsOf(pid) ?? 0;
  const done = await work();
  return [done, (cpuSecondsOf(pid) ?? 0) - before];
}

function line({ name, calm, attacked, cpuMs, residentMb, answers }: Row): string {
  const told = Object.entries(answers).map(([answer, count]) => `${answer} × ${count}`);
  const pair = ({ p50, p99 }: Latency) => `${p50} / ${p99}`;
  const times = (attacked.p99 / calm.p99).toFixed(1);
  return `| ${[name, pair(calm), pair(attacked), times, cpuMs, residentMb ?? "", told.join(", ")].join(" | ")} |`;
}

try {
  await callFor(Number(values["warm-up"]), paid);
  console.log(
    "| Attack | calm p50 / p99, ms | attacked p50 / p99, ms | p99, times calm | CPU for each, ms | memory, MB | answers |",
  );
  console.log("|---|---|---|---|---|---|---|");
  for (const index of attacks.keys()) console.log(line(await measure(index)));
} finally {
  await tollgate.stop();
  await stub.stop();
}
