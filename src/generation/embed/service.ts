import type { Context } from "../../auth/viewer.ts";
import { AppError, badInput } from "../../errors.ts";
import type { Answered, Cost, Meter, PaidCall } from "../../graphql/directives/cost.ts";
import { checkLabels } from "../../guard/input.ts";
import type { EmbedAnswer, EmbedCall } from "../../models/providers/provider.ts";
import type { PaidGeneration, SettledAnswer } from "../paid-call.ts";
import type { Order } from "../request.ts";
import type { GenerationService } from "../service.ts";
import { type Embedding, type EmbedInput, toEmbedding } from "./types.ts";

/** Texts that become vectors: reserved, metered and settled as a generation without an answer. */
const inputsMax = 2_048;
const dimensionsMax = 8_192;
/** Of a call whose vectors are kept for its twins. */
const keptInputsMax = 256;

export class PaidEmbedding implements PaidCall {
  readonly #paid: PaidGeneration;
  readonly #call: Omit<EmbedCall, "model">;

  constructor(paid: PaidGeneration, call: Omit<EmbedCall, "model">) {
    this.#paid = paid;
    this.#call = call;
  }

  ask(): Promise<EmbedAnswer> {
    const { attempts, signal } = this.#paid;
    return attempts.run(async ({ model: { runner }, call: { model, providerOptions, limits } }) => {
      // Only models that have embeddings are among those that are asked.
      if (!runner.embed) throw new AppError("INTERNAL");
      const options = { ...(providerOptions && { providerOptions }), ...(limits && { limits }) };
      return runner.embed({ ...this.#call, model, ...options }, signal);
    }, signal);
  }

  async settle(result: unknown): Promise<Embedding> {
    const { vectors, usage } = result as EmbedAnswer;
    const answer: SettledAnswer = { text: "", vectors, finishReason: "STOP", usage };
    return toEmbedding(await this.#paid.settle(answer), vectors);
  }

  fail(error: unknown): Promise<never> {
    return this.#paid.fail(error);
  }
}

export class EmbeddingMeter implements Meter<Context> {
  readonly #generation: GenerationService;
  readonly #inputBytesMax: number;

  constructor(generation: GenerationService, inputBytesMax: number) {
    this.#generation = generation;
    this.#inputBytesMax = inputBytesMax;
  }

  async open(
    context: Context,
    args: Record<string, unknown>,
    cost: Cost,
  ): Promise<PaidEmbedding | Answered<Embedding>> {
    const input = args["input"] as EmbedInput;
    const order = readEmbedOrder(input, this.#inputBytesMax);
    const paid = await this.#generation.openOrder({ context, order, cost, needs: ["EMBEDDING"] });
    if ("answer" in paid) return { answer: toEmbedding(paid.answer, paid.told.vectors ?? []) };
    const { dimensions } = input;
    const call = { inputs: input.input, ...(dimensions != null && { dimensions }) };
    return new PaidEmbedding(paid, call);
  }
}

function readEmbedOrder(embed: EmbedInput, bytesMax: number): Order {
  const { model, input, dimensions, tags, endUser, idempotencyKey } = embed;
  checkLabels({ tags: tags ?? [], endUser: endUser ?? null });
  if (input.length === 0 || input.length > inputsMax || input.includes("")) {
    throw badInput(`input has 1 to ${inputsMax} texts, none of them empty.`, { field: "input" });
  }
  if (dimensions != null && (dimensions < 1 || dimensions > dimensionsMax)) {
    throw badInput(`dimensions is 1 to ${dimensionsMax}.`, { field: "dimensions" });
  }
  if (idempotencyKey != null && input.length > keptInputsMax) {
    throw badInput(`With an idempotencyKey, input has at most ${keptInputsMax} texts.`, { field: "input" });
  }
  const bytes = input.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (bytes > bytesMax) throw new AppError("INPUT_TOO_LARGE", { details: { limitBytes: bytesMax, bytes } });
  return {
    model,
    call: { messages: input.map((content) => ({ role: "user", content })) },
    maxOutputTokens: 0,
    repairable: false,
    dimensions: dimensions ?? undefined,
    idempotencyKey: idempotencyKey ?? undefined,
    cacheSeconds: 0,
    quoteId: undefined,
    tags: [...new Set(tags ?? [])],
    endUser: endUser ?? null,
  };
}
