import { tmpdir } from "node:os";
import { describe, expect, it } from "vitest";
import { loadSecrets } from "../../src/config/secrets.ts";
import { Sealer } from "../../src/encryption.ts";
import { serverSecret } from "../harness/first-start.ts";
import { generate, useServer } from "../harness/server.ts";

const server = useServer();
const quote = `query ($input: GenerateInput!) {
  quote(input: $input) { model minCredits maxCredits balance affordable blockedBy quoteId expiresAt }
}`;

/** An echo of its own, at 1 credit a call and these many for a million tokens. */
async function model(creditsPerMillion: string): Promise<string> {
  const name = `echo-${Math.random().toString(36).slice(2)}`;
  await server.ok("mutation ($input: UpsertModelInput!) { upsertModel(input: $input) { id } }", {
    input: { name, provider: "echo", maxOutputTokens: 100 },
  });
  await setPrice(name, creditsPerMillion);
  return name;
}

const setPrice = (name: string, perMillion: string) =>
  server.ok("mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { id } }", {
    input: { model: name, inputCreditsPerMillion: perMillion, outputCreditsPerMillion: perMillion },
  });

describe("quote", () => {
  it("says what the call then reserves, and charges nothing", async () => {
    const { key, walletId } = await server.customer({ credits: "500" });
    const input = { model: await model("1000000"), prompt: "one two", maxOutputTokens: 10 };
    const { quote: quoted } = await server.ok(quote, { input }, { key });
    expect(quoted).toMatchObject({ minCredits: "2", balance: "500", affordable: true, blockedBy: [] });
    const inFiveMinutes = Date.parse(quoted.expiresAt) - Date.now();
    expect(Math.abs(inFiveMinutes - 300_000)).toBeLessThan(10_000);
    expect(await server.wallet(walletId)).toEqual({ balance: 500_000_000n, held: 0n });
    const { generate: made } = await server.ok(generate, { input }, { key });
    expect(made.charge.reserved).toBe(quoted.maxCredits);
    expect(Number(made.charge.credits)).toBeGreaterThanOrEqual(Number(quoted.minCredits));
  });

  it("holds its price while a new one is set, for its key and its model alone", async () => {
    const { key } = await server.customer({ credits: "10000" });
    const name = await model("1000000");
    const input = { model: name, prompt: "one two", maxOutputTokens: 10 };
    const { quoteId } = (await server.ok(quote, { input }, { key })).quote;
    const before = (await server.ok(generate, { input: { ...input, quoteId } }, { key })).generate.charge.credits;
    await server.ok("mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { id } }", {
      input: { model: name, multiplier: "50" },
    });
    const now = (await server.ok(generate, { input }, { key })).generate.charge.credits;
    const quoted = (await server.ok(generate, { input: { ...input, quoteId } }, { key })).generate.charge.credits;
    expect(now).toBe("50");
    expect(quoted).toBe(before);
    const other = await server.customer();
    await server.refused("NOT_FOUND", generate, { input: { ...input, quoteId } }, { key: other.key });
    await server.refused("NOT_FOUND", generate, { input: { ...input, model: "echo", quoteId } }, { key });
  });

  it.each(["quo_", "nonsense", `quo_${"A".repeat(100)}`, ""])(
    "that was never given is refused: %j",
    async (quoteId) => {
      const { key, walletId } = await server.customer({ credits: "10" });
      await server.refused("NOT_FOUND", generate, { input: { model: "echo", prompt: "x", quoteId } }, { key });
      expect(await server.wallet(walletId)).toEqual({ balance: 10_000_000n, held: 0n });
    },
  );

  it("runs out after five minutes of the database's clock", async () => {
    const { key } = await server.customer();
    const input = { model: "echo", prompt: "x" };
    const { quoteId } = (await server.ok(quote, { input }, { key })).quote;
    const sealer = new Sealer(loadSecrets({ serverSecret, jwtPrivateKey: undefined, dataDir: tmpdir() }).answerKey);
    const promised = JSON.parse(sealer.open(Buffer.from(quoteId.slice(4), "base64url")));
    const [row] = await server.database.sql`select (extract(epoch from clock_timestamp()) * 1000)::bigint as now`;
    const now = Number(row?.["now"]);
    expect(Math.abs(promised.quote.expiresAtMs - now - 300_000)).toBeLessThan(10_000);
    // The same promise as it would stand when so much of its time is left.
    const withLeft = (ms: number) => {
      const aged = { quote: { ...promised.quote, expiresAtMs: now + ms } };
      return `quo_${sealer.seal(JSON.stringify(aged)).toString("base64url")}`;
    };
    await server.ok(generate, { input: { ...input, quoteId: withLeft(20_000) } }, { key });
    const late = { input: { ...input, quoteId: withLeft(-1) } };
    const { message } = await server.refused("NOT_FOUND", generate, late, { key });
    expect(message).toContain("has run out");
  });

  it("that was changed is refused", async () => {
    const { key } = await server.customer();
    const input = { model: "echo", prompt: "x" };
    const { quoteId } = (await server.ok(quote, { input }, { key })).quote;
    const changed = `${quoteId.slice(0, -6)}${quoteId.endsWith("A") ? "B" : "A"}${quoteId.slice(-5)}`;
    await server.refused("NOT_FOUND", generate, { input: { ...input, quoteId: changed } }, { key });
  });

  it("names what stands in the way", async () => {
    const input = { model: "echo", prompt: "x" };
    const blocksOf = async (key: Record<string, unknown>) => {
      const customer = await server.customer(key);
      return (await server.ok(quote, { input }, customer)).quote;
    };
    expect(await blocksOf({ credits: "0" })).toMatchObject({ affordable: false, blockedBy: ["OUT_OF_CREDITS"] });
    expect(await blocksOf({ models: ["other"] })).toMatchObject({ blockedBy: ["MODEL_NOT_ALLOWED"] });
    const priced = await model("1000");
    await server.ok("mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { id } }", {
      input: { model: priced, outputUsdPerMillion: "1000" },
    });
    const { key } = await server.customer({ dailyBudgetUsd: "0.0001" });
    const { quote: dear } = await server.ok(quote, { input: { ...input, model: priced } }, { key });
    expect(dear.blockedBy).toEqual(["BUDGET_EXCEEDED"]);
    await server.refused("BUDGET_EXCEEDED", generate, { input: { ...input, model: priced } }, { key });
  });

  it("refuses who may not call models, and what is no call", async () => {
    const { key } = await server.customer({ scopes: ["usage:read"] });
    await server.refused("FORBIDDEN", quote, { input: { model: "echo", prompt: "x" } }, { key });
    await server.refused("FORBIDDEN", quote, { input: { model: "echo", prompt: "x" } });
    const other = await server.customer();
    await server.refused("BAD_USER_INPUT", quote, { input: { model: "echo" } }, other);
    await server.refused("NOT_FOUND", quote, { input: { model: "no-such", prompt: "x" } }, other);
  });
});
