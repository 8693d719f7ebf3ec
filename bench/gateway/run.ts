import { cpus } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { cpuSecondsBelow, cpuSecondsOf, residentMbOf } from "../processes.ts";
import { type Server, startPortkey, startScript, startTollgate } from "../servers.ts";
import { type Call, type Load, load, round } from "./load.ts";

/** `npm run bench:gateway`: see bench/README.md. Prints JSON; progress goes to stderr. */
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "4" },
    rounds: { type: "string", default: "3" },
    "warm-up": { type: "string", default: "10" },
    connections: { type: "string", default: "32" },
    calls: { type: "string", default: "0" },
    only: { type: "string", default: "" },
    "node-options": { type: "string", default: "" },
    against: { type: "string" },
  },
});
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);
const warmUpSeconds = Number(values["warm-up"]);
const connectionsMax = Number(values.connections);
const only = values.only.split(",").filter(Boolean);

interface Target {
  name: string;
  server: Server;
  call: Call;
}

interface Measured extends Load {
  cpuMicrosecondsPerRequest: { server: number | undefined; database: number | undefined };
}

const fox = "The quick brown fox";
const chat = JSON.stringify({ model: "stub", messages: [{ role: "user", content: "Say something about a fox." }] });
const generate = JSON.stringify({
  query: "mutation ($input: GenerateInput!) { generate(input: $input) { id status text charge { credits balance } } }",
  variables: { input: { model: "stub", prompt: "Say something about a fox." } },
});

const running: Server[] = [];

async function started<S extends Server>(server: Promise<S>): Promise<S> {
  running.push(await server);
  return server;
}

function chatCall({ url }: Server, headers: Record<string, string> = {}): Call {
  return { url: `${url}/v1/chat/completions`, headers, body: chat, expected: fox };
}

function generateCall({ url }: Server, headers: Record<string, string> = {}): Call {
  return { url: `${url}/graphql`, headers, body: generate, expected: fox };
}

async function startAll(): Promise<Target[]> {
  const stub = await started(startScript(new URL("stub.mjs", import.meta.url)));
  const bare = await started(startScript(new URL("bare.mjs", import.meta.url)));
  const nodeOptions = values["node-options"].split(" ").filter(Boolean);
  const tollgate = await started(startTollgate(stub.url, { nodeOptions }));
  const other = values.against && (await started(startTollgate(stub.url, { main: resolve(values.against) })));
  const portkey = isWanted("portkey") ? await started(startPortkey(stub.url)) : undefined;
  const throughPortkey = { "x-portkey-provider": "openai", "x-portkey-custom-host": `${stub.url}/v1` };
  return [
    { name: "stub", server: stub, call: chatCall(stub) },
    { name: "bareApollo", server: bare, call: generateCall(bare) },
    ...(portkey ? [{ name: "portkey", server: portkey, call: chatCall(portkey, throughPortkey) }] : []),
    ...doorsOf("tollgate", tollgate),
    ...(other ? doorsOf("other", other) : []),
  ].filter(({ name }) => isWanted(name));
}

function doorsOf(name: string, server: Server & { key: string }): Target[] {
  const bearer = { authorization: `Bearer ${server.key}` };
  return [
    { name: `${name}Rest`, server, call: chatCall(server, bearer) },
    { name: `${name}Graphql`, server, call: generateCall(server, bearer) },
  ];
}

function isWanted(name: string): boolean {
  return only.length === 0 || only.includes(name);
}

async function measure({ call, server }: Target, connections: number): Promise<Measured> {
  const before = { server: cpuSecondsOf(server.pid), database: cpuSecondsBelow(server.pid) };
  const result = await load(call, { connections, seconds });
  const after = { server: cpuSecondsOf(server.pid), database: cpuSecondsBelow(server.pid) };
  const perRequest = (from: number | undefined, to: number | undefined) =>
    from === undefined || to === undefined ? undefined : Math.round(((to - from) * 1e6) / result.calls);
  const cpuMicrosecondsPerRequest = {
    server: perRequest(before.server, after.server),
    database: perRequest(before.database, after.database),
  };
  return { ...result, cpuMicrosecondsPerRequest };
}

type Rounds = Record<string, Measured[]>;

/** Targets take turns, so that whatever else the machine does falls on all of them. */
async function compare(targets: Target[], connections: number): Promise<Rounds> {
  const results: Rounds = {};
  for (let round = 0; round < rounds; round++) {
    for (const target of targets) {
      const result = await measure(target, connections);
      results[target.name] = [...(results[target.name] ?? []), result];
      const { requestsPerSecond, cpuMicrosecondsPerRequest: cpu } = result;
      progress(`${connections} connections: ${target.name} ${requestsPerSecond}/s, CPU ${JSON.stringify(cpu)}`);
    }
  }
  return results;
}

/** The lower one of two. */
function middleOf<T>(all: readonly T[], by: (one: T) => number): T {
  return all.toSorted((a, b) => by(a) - by(b))[Math.floor((all.length - 1) / 2)] as T;
}

function middleRounds(rounds: Rounds): Record<string, Measured> {
  const middle = (all: Measured[]) => middleOf(all, ({ requestsPerSecond }) => requestsPerSecond);
  return Object.fromEntries(Object.entries(rounds).map(([name, all]) => [name, middle(all)]));
}

/** Of a target and Portkey in the same round, the middle one: a slow moment of the machine slows both. */
function timesPortkey(rounds: Rounds, name: string): number | undefined {
  const { [name]: own, portkey } = rounds;
  if (!own || !portkey) return undefined;
  const ratios = own.map((one, i) => one.requestsPerSecond / (portkey[i] as Measured).requestsPerSecond);
  return round(
    middleOf(ratios, (ratio) => ratio),
    2,
  );
}

/** Resident memory of Tollgate over many calls, through the REST door. */
async function watchMemory({ call, server }: Target, calls: number) {
  const samples = [];
  const steps = 10;
  for (let step = 1; step <= steps; step++) {
    await load(call, { connections: Number(values.connections), calls: calls / steps });
    samples.push({ calls: (calls / steps) * step, residentMb: residentMbOf(server.pid) });
    progress(`memory: ${JSON.stringify(samples.at(-1))}`);
  }
  return samples;
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}

function summarise(rounds: Rounds, one: Record<string, Measured>) {
  const added = (name: string) =>
    one[name] && one["stub"] && round(one[name].latencyMs.p50 - one["stub"].latencyMs.p50, 3);
  const gateways = ["portkey", "tollgateRest", "tollgateGraphql"];
  return {
    node: process.version,
    cpus: cpus().length,
    timesPortkey: { rest: timesPortkey(rounds, "tollgateRest"), graphql: timesPortkey(rounds, "tollgateGraphql") },
    addedLatencyMsP50: Object.fromEntries(gateways.map((name) => [name, added(name)])),
    [`at ${connectionsMax} connections`]: middleRounds(rounds),
    "at 1 connection": one,
  };
}

try {
  const targets = await startAll();
  for (const { call } of targets) await load(call, { connections: connectionsMax, seconds: warmUpSeconds });
  const many = await compare(targets, connectionsMax);
  const one = middleRounds(await compare(targets, 1));
  const rest = targets.find(({ name }) => name === "tollgateRest");
  const calls = Number(values.calls);
  const memory = calls > 0 && rest ? await watchMemory(rest, calls) : undefined;
  process.stdout.write(`${JSON.stringify({ ...summarise(many, one), memory }, null, 2)}\n`);
} finally {
  for (const server of running.reverse()) await server.stop();
}
