import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { residentMbOf } from "../processes.ts";
import type { Server } from "../servers.ts";
import { load, round } from "./load.ts";
import { type Measured, middleRounds, type Rounds, ratioOf, takeTurns } from "./rounds.ts";
import { startTargets, type Target } from "./targets.ts";

/** `npm run bench gateway`: see bench/README.md. Prints JSON; progress goes to stderr. */
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "4" },
    rounds: { type: "string", default: "3" },
    "warm-up": { type: "string", default: "10" },
    connections: { type: "string", default: "32" },
    calls: { type: "string", default: "0" },
    only: { type: "string" },
    "node-options": { type: "string", default: "" },
    against: { type: "string" },
  },
});
const connectionsMax = Number(values.connections);
const calls = Number(values.calls);
const { against } = values;
const builds = ["tollgateRest", "otherRest", "tollgateGraphql", "otherGraphql"];
/** Against another build, the ratio of the two is the question, and each further target takes time from it. */
const only = values.only?.split(",").filter(Boolean) ?? (against === undefined ? [] : builds);

function compare(targets: Target[], connections: number): Promise<Rounds> {
  return takeTurns(targets, {
    connections,
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    onMeasured: (name, { requestsPerSecond, cpuMicrosecondsPerRequest: cpu }) =>
      progress(`${connections} connections: ${name} ${requestsPerSecond}/s, CPU ${JSON.stringify(cpu)}`),
  });
}

/** Resident memory of Tollgate over many calls, through the REST door. */
async function watchMemory({ call, server }: Target) {
  const samples = [];
  const steps = 10;
  for (let step = 1; step <= steps; step++) {
    await load(call, { connections: connectionsMax, calls: calls / steps });
    samples.push({ calls: (calls / steps) * step, residentMb: residentMbOf(server.pid) });
    progress(`memory: ${JSON.stringify(samples.at(-1))}`);
  }
  return samples;
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Of this build's requests to those of the other one. */
function timesOther(rounds: Rounds) {
  if (against === undefined) return undefined;
  return {
    rest: ratioOf(rounds, "tollgateRest", "otherRest"),
    graphql: ratioOf(rounds, "tollgateGraphql", "otherGraphql"),
  };
}

function addedLatency(one: Record<string, Measured>): Record<string, number | undefined> {
  const { stub } = one;
  const gateways = ["portkey", "tollgateRest", "tollgateGraphql"];
  const added = (name: string) => one[name] && stub && round(one[name].latencyMs.p50 - stub.latencyMs.p50, 3);
  return Object.fromEntries(gateways.map((name) => [name, added(name)]));
}

function summarise(many: Rounds, one: Rounds) {
  const atOne = middleRounds(one);
  return {
    node: process.version,
    cpus: cpus().length,
    timesOther: timesOther(many),
    timesOtherAtOne: timesOther(one),
    timesPortkey: {
      rest: ratioOf(many, "tollgateRest", "portkey"),
      graphql: ratioOf(many, "tollgateGraphql", "portkey"),
    },
    addedLatencyMsP50: addedLatency(atOne),
    [`at ${connectionsMax} connections`]: middleRounds(many),
    "at 1 connection": atOne,
  };
}

const running: Server[] = [];
try {
  const isWanted = (name: string) => only.length === 0 || only.includes(name);
  const nodeOptions = values["node-options"].split(" ").filter(Boolean);
  const targets = await startTargets({ isWanted, nodeOptions, against }, running);
  for (const { call } of targets) await load(call, { connections: connectionsMax, seconds: Number(values["warm-up"]) });
  const many = await compare(targets, connectionsMax);
  const one = await compare(targets, 1);
  const rest = targets.find(({ name }) => name === "tollgateRest");
  const memory = calls > 0 && rest ? await watchMemory(rest) : undefined;
  process.stdout.write(`${JSON.stringify({ ...summarise(many, one), memory }, null, 2)}\n`);
} finally {
  for (const server of running.reverse()) await server.stop();
}
