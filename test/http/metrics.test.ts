import { describe, expect, it } from "vitest";
import { Metrics } from "../../src/http/metrics.ts";
import { generate, useServer } from "../harness/server.ts";

const server = useServer();
const token = "a token of sixteen or more";
const guarded = useServer({ METRICS_TOKEN: token.replaceAll(" ", "-") });

const read = (from: { url: string }, headers: Record<string, string> = {}) => fetch(`${from.url}/metrics`, { headers });
const input = { model: "echo", prompt: "Hello", maxOutputTokens: 20 };

/** The value of one line of the text. */
function countIn(text: string, line: string): number {
  const found = text.split("\n").find((each) => each.startsWith(`${line} `));
  return Number(found?.slice(line.length + 1) ?? 0);
}

describe("metrics work", () => {
  it("as counts of settled calls and of refusals", async () => {
    const { key } = await server.customer({ requestsPerMinute: 2, models: ["echo"] });
    const settled = 'tollgate_calls_total{model="echo",status="COMPLETED"}';
    const denied = 'tollgate_denials_total{code="RATE_LIMITED"}';
    const before = await (await read(server)).text();
    for (const _ of [1, 2]) await server.ok(generate, { input }, { key });
    await server.refused("RATE_LIMITED", generate, { input }, { key });
    const response = await read(server);
    expect(response.headers.get("content-type")).toContain("text/plain");
    const after = await response.text();
    expect(countIn(after, settled) - countIn(before, settled)).toBe(2);
    expect(countIn(after, denied) - countIn(before, denied)).toBe(1);
    expect(countIn(after, 'tollgate_call_seconds_count{model="echo"}')).toBeGreaterThanOrEqual(2);
    expect(after).toContain("process_resident_memory_bytes");
    expect(after).toContain("nodejs_eventloop_lag_p99_seconds");
    expect(after).toContain("tollgate_limits_decided_locally_total 0");
  });

  it("with a token, wherever they are asked for", async () => {
    const bearer = { authorization: `Bearer ${token.replaceAll(" ", "-")}` };
    expect((await read(guarded, bearer)).status).toBe(200);
    expect((await read(guarded, { ...bearer, "x-forwarded-for": "192.0.2.7" })).status).toBe(200);
  });
});

describe("metrics refuse", () => {
  it("whoever comes from elsewhere, and whoever has not the token", async () => {
    expect((await read(server, { "x-forwarded-for": "192.0.2.7" })).status).toBe(403);
    expect((await read(server, { "x-forwarded-for": "127.0.0.1" })).status).toBe(403);
    expect((await read(server, { forwarded: "for=127.0.0.1" })).status).toBe(403);
    const { key } = await server.customer();
    for (const given of ["", "Bearer ", "Bearer wrong", `Basic ${token}`, `Bearer ${key}`]) {
      const response = await read(guarded, given === "" ? {} : { authorization: given });
      expect(response.status).toBe(403);
      expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: "FORBIDDEN" } }] });
    }
  });
});

describe("metrics protect", () => {
  it("whoever collects them: a model that is not there makes no label", async () => {
    const { key } = await server.customer();
    for (let i = 0; i < 5; i++) {
      await server.refused("NOT_FOUND", generate, { input: { ...input, model: `made-up-${i}` } }, { key });
    }
    expect(await (await read(server)).text()).not.toContain("made-up");
  });

  it("whoever collects them: past two hundred models there is one label for the rest", async () => {
    const metrics = new Metrics();
    for (let i = 0; i < 300; i++) metrics.onSettled({ model: `m${i}`, status: "COMPLETED", latencyMs: 1 });
    const text = await metrics.text();
    expect(countIn(text, 'tollgate_calls_total{model="other",status="COMPLETED"}')).toBe(100);
    expect(text.match(/^tollgate_calls_total\{/gm)).toHaveLength(201);
  });
});
