import type { Context } from "../../auth/viewer.ts";
import { AppError, badInput } from "../../errors.ts";
import type { Meter, PaidCall } from "../../graphql/directives/cost.ts";
import { checkLabels } from "../../guard/input.ts";
import type { EmbedCall } from "../../models/providers/provider.ts";
import { PaidGeneration, type SettledAnswer } from "../paid-call.ts";
import type { GenerationRequest } from "../request.ts";
import type { GenerationService } from "../service.ts";
import { type Embedding, type EmbedInput, toEmbedding } from "./types.ts";

/** Embeddings: reserved, metered and settled as generations that have input tokens alone. */
const inputsMax = 2_048;
const dimensionsMax = 8_192;
/** For a call with an idempotency key, whose vectors are stored. */
const keptInputsMax = 256;

export class PaidEmbedding implements PaidCall {
  readonly #paid: PaidGeneration;
  readonly #call: Omit<EmbedCall, "model">;

  constructor(paid: PaidGeneration, call: Omit<EmbedCall, "model">) {
    this.#paid = paid;
    this.#call = call;
  }

  ask(): Promise<SettledAnswer> {
    const { attempts, cancellation } = this.#paid;
    const answer = attempts.run(async ({ model: { runner }, call: { model, providerOptions, limits } }) => {
      // Only models that have embeddings are candidates.
      if (!runner.embed) throw new AppError("INTERNAL");
      const options = { ...(providerOptions && { providerOptions }), ...(limits && { limits }) };
      const { vectors, usage } = await runner.embed({ ...this.#call, model, ...options }, cancellation.provider);
      return { text: "", vectors, finishReason: "STOP" as const, usage };
    }, cancellation.caller);
    return this.#paid.whileWanted(answer);
  }

  async settle(result: unknown): Promise<Embedding> {
    const { vectors = [] } = result as SettledAnswer;
    return toEmbedding(await this.#paid.settle(result), vectors);
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

  readonly run: Meter<Context>["run"] = async (context, args, cost, ask) => {
    const input = args["input"] as EmbedInput;
    const request = readEmbedRequest(input, this.#inputBytesMax);
    const { dimensions } = input;
    const call = { inputs: input.input, ...(dimensions != null && { dimensions }) };
    return this.#generation.run(
      { context, request, cost, needs: ["EMBEDDING"], streams: false },
      {
        paidCall: (opened) => new PaidEmbedding(new PaidGeneration(opened), call),
        reused: ({ generation, answer }) => toEmbedding(generation, answer.vectors ?? []),
        ask,
      },
    );
  };
}

function readEmbedRequest(embed: EmbedInput, bytesMax: number): GenerationRequest {
  const { model, input, dimensions, tags, endUser, idempotencyKey } = embed;
  checkLabels({ tags: tags ?? [], endUser: endUser ?? null });
  if (input.length === 0 || input.length > inputsMax || input.includes("")) {
    throw badInput(`input must have 1 to ${inputsMax} texts, none of them empty.`, { field: "input" });
  }
  if (dimensions != null && (dimensions < 1 || dimensions > dimensionsMax)) {
    throw badInput(`dimensions must be 1 to ${dimensionsMax}.`, { field: "dimensions" });
  }
  if (idempotencyKey != null && input.length > keptInputsMax) {
    throw badInput(`With an idempotencyKey, input must have at most ${keptInputsMax} texts.`, { field: "input" });
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
