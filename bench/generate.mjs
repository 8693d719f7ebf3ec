import { fork } from "node:child_process";
import { once } from "node:events";
import autocannon from "autocannon";
import { cpuSecondsOf, listenerOn, residentMbOf } from "./processes.mjs";

/** `generate` with `echo` against a running Tollgate, and against the least that such a server can do. */
const { URL: address = "http://127.0.0.1:4000", KEY: key, SECONDS = "10", CONNECTIONS = "32" } = process.env;
const warmUpSeconds = 2;

if (!key) {
  process.stderr.write("Set KEY to the text of an API key; README.md says how to make one.\n");
  process.exit(1);
}

const body = JSON.stringify({
  query: "mutation ($input: GenerateInput!) { generate(input: $input) { id status text charge { credits balance } } }",
  variables: { input: { model: "echo", prompt: "Hello" } },
});

async function load(url, seconds) {
  const result = await autocannon({
    url: `${url}/graphql`,
    method: "POST",
    headers: { "content-type": "application/json", "x-api-key": key },
    body,
    connections: Number(CONNECTIONS),
    duration: seconds,
    // A refusal is quick, and would look like speed.
    verifyBody: (text) => text.includes('"COMPLETED"'),
  });
  if (result.errors + result.non2xx + result.mismatches > 0) {
    const { errors, non2xx, mismatches } = result;
    throw new Error(`${url} did not answer every call: ${JSON.stringify({ errors, non2xx, mismatches })}`);
  }
  return result;
}

async function measure(url) {
  const pid = listenerOn(Number(new URL(url).port || 80));
  await load(url, warmUpSeconds);
  const cpuBefore = pid && cpuSecondsOf(pid);
  const { requests, duration, latency } = await load(url, Number(SECONDS));
  return {
    requestsPerSecond: Math.round(requests.total / duration),
    latencyMs: { p50: latency.p50, p99: latency.p99 },
    cpuMicrosecondsPerRequest: pid && Math.round(((cpuSecondsOf(pid) - cpuBefore) * 1e6) / requests.total),
    residentMb: pid && residentMbOf(pid),
  };
}

const bare = fork(new URL("bare.mjs", import.meta.url));
try {
  const [bareUrl] = await once(bare, "message");
  const result = { tollgate: await measure(address), bareApollo: await measure(bareUrl) };
  const ratio = result.tollgate.requestsPerSecond / result.bareApollo.requestsPerSecond;
  process.stdout.write(
    `${JSON.stringify({ connections: Number(CONNECTIONS), ...result, ratio: Number(ratio.toFixed(3)) }, null, 2)}\n`,
  );
} finally {
  bare.disconnect();
}
