import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Customer, generate, useServer } from "../harness/server.ts";
import { startHeldStandin } from "../standins/held.ts";

const standin = await startHeldStandin();
afterAll(() => standin.close());
const server = useServer({ OPENAI_COMPATIBLE_SERVICES: `cloud=${standin.url}` });

/** A credit for each call, and at most a cent, of which a call uses four tenths. */
let model = "";
beforeAll(async () => {
  model = await server.model("cloud", "held", { outputUsdPerMillion: "1000" });
});

const callOf = (prompt: string) => ({ input: { model, prompt, maxOutputTokens: 10 } });

/** Refusals of a call while another one runs, and after that one has ended. */
async function refusals(code: string, { key }: Customer, prompt: string) {
  const gate = standin.hold(prompt);
  const running = server.ok(generate, callOf(prompt), { key });
  await gate.waiting(1);
  const during = await server.refused(code, generate, callOf(`${prompt} too`), { key });
  const chat = await fetch(`${server.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify({ model, max_tokens: 10, messages: [{ role: "user", content: `${prompt} too` }] }),
  });
  gate.open();
  await running;
  return { during, chat };
}

describe("a call that only a running call stands in the way of", () => {
  it("is told what is held of the wallet and to retry soon, and finally once it is spent", async () => {
    const customer = await server.customer({ credits: "1" });
    const { during, chat } = await refusals("OUT_OF_CREDITS", customer, "the whole wallet");
    const figures = { available: "0", held: "1", required: "1" };
    expect(during.extensions).toMatchObject({ ...figures, retryable: true, retryAfter: 2 });
    expect([during.status, during.headers.get("retry-after")]).toEqual([402, "2"]);
    expect([chat.status, chat.headers.get("retry-after"), chat.headers.get("x-should-retry")]).toEqual([
      402,
      "2",
      "true",
    ]);
    const after = await server.refused("OUT_OF_CREDITS", generate, callOf("after"), { key: customer.key });
    expect(after.extensions).toMatchObject({ available: "0", held: "0", required: "1", retryable: false });
    expect([after.extensions["retryAfter"], after.headers.get("retry-after")]).toEqual([undefined, null]);
  });

  it("is told to retry by a budget in USD, and goes through once the running call has used less", async () => {
    const customer = await server.customer({ monthlyBudgetUsd: "0.014" });
    const { during, chat } = await refusals("BUDGET_EXCEEDED", customer, "most of the month");
    const figures = { limit: "0.014", used: "0.01", held: "0.01", required: "0.01" };
    expect(during.extensions).toMatchObject({ ...figures, retryable: true, retryAfter: 2 });
    expect([during.status, during.headers.get("retry-after")]).toEqual([402, "2"]);
    expect([chat.status, chat.headers.get("retry-after"), chat.headers.get("x-should-retry")]).toEqual([
      402,
      "2",
      "true",
    ]);
    await server.ok(generate, callOf("the rest of the month"), { key: customer.key });
  });

  it("is refused without a time to retry when its budget would not pay for it in any case", async () => {
    const customer = await server.customer({ dailyBudgetCredits: "1" });
    await server.ok(generate, callOf("the only one"), { key: customer.key });
    const after = await server.refused("BUDGET_EXCEEDED", generate, callOf("one more"), { key: customer.key });
    expect(after.extensions).toMatchObject({ limit: "1", used: "1", held: "0", required: "1" });
    expect([after.extensions["retryAfter"], after.headers.get("retry-after")]).toEqual([undefined, null]);
  });

  it("is refused finally when the wallet would not pay for it even without what is held", async () => {
    const customer = await server.customer({ credits: "1.5" });
    await server.ok(generate, callOf("the first credit"), { key: customer.key });
    const { extensions } = await server.refused("OUT_OF_CREDITS", generate, callOf("the second"), {
      key: customer.key,
    });
    expect(extensions).toMatchObject({ available: "0.5", held: "0", required: "1", retryable: false });
  });
});
