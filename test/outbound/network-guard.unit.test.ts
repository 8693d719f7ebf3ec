import { afterAll, describe, expect, it } from "vitest";
import { Upstream } from "../../src/outbound/http.ts";
import { isPublicAddress, PublicNetwork, type Resolve } from "../../src/outbound/network-guard.ts";
import { startOpenAiStandin } from "../standins/openai.ts";

const hidden = await startOpenAiStandin();
afterAll(() => hidden.close());

describe("a connection is judged when it is made", () => {
  const never = new AbortController().signal;
  const upstreamAt = (host: string, resolve: Resolve, allowed: string[] = []) =>
    new Upstream({
      name: "svc",
      baseUrl: `http://${host}:${new URL(hidden.url).port}/v1`,
      guard: new PublicNetwork(allowed, resolve),
    });

  it("by what its name stands for then: a name that is public first and local afterwards gains nothing", async () => {
    let answers = 0;
    const rebinding: Resolve = async () => [{ address: answers++ === 0 ? "93.184.216.34" : "127.0.0.1", family: 4 }];
    const guard = new PublicNetwork([], rebinding);
    expect(await guard.refusal(new URL("http://rebinding.example.com"))).toBeUndefined();
    const upstream = upstreamAt("rebinding.example.com", rebinding);
    await expect(upstream.requestJson("/models", undefined, never)).rejects.toMatchObject({
      code: "PROVIDER_FAILED",
      cause: { message: expect.stringContaining("ADDRESS_REFUSED") },
    });
    expect([answers, hidden.calls]).toEqual([2, []]);
    await upstream.close();
  });

  it("by every address of its name, and by an address itself", async () => {
    const both: Resolve = async () => [
      { address: "93.184.216.34", family: 4 },
      { address: "127.0.0.1", family: 4 },
    ];
    for (const upstream of [upstreamAt("two.example.com", both), upstreamAt("127.0.0.1", both)]) {
      await expect(upstream.requestJson("/models", undefined, never)).rejects.toMatchObject({
        code: "PROVIDER_FAILED",
      });
      await upstream.close();
    }
    expect(hidden.calls).toEqual([]);
  });

  it("and is allowed where the configuration says so, by exact host and port", async () => {
    const resolve: Resolve = async () => [];
    const upstream = upstreamAt("127.0.0.1", resolve, [new URL(hidden.url).host]);
    expect(await upstream.requestJson("/models", undefined, never)).toMatchObject({ object: "list" });
    hidden.calls.length = 0;
    await upstream.close();
  });

  it.each([
    ["8.8.8.8", true],
    ["93.184.216.34", true],
    ["2606:4700::1", true],
    ["172.16.0.1", false],
    ["192.0.2.1", false],
    ["198.18.0.1", false],
    ["224.0.0.1", false],
    ["255.255.255.255", false],
    ["::ffff:8.8.8.8", false],
    ["64:ff9b::808:808", false],
    ["64:ff9b:1::1", false],
    ["2001:db8::1", false],
    ["fec0::1", false],
    ["4000::1", false],
    ["::1.2.3.4", false],
  ])("%s is public: %s", (address, isPublic) => {
    expect(isPublicAddress(address)).toBe(isPublic);
  });
});
