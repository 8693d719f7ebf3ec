import type { KeyViewer } from "../auth/viewer.ts";
import { AppError, badInput } from "../errors.ts";
import { hasImages } from "../guard/images.ts";
import type { Candidate } from "../models/attempts.ts";
import type { CallableModel, Modality, Route } from "../models/catalogue.ts";
import { mayCall } from "../models/catalogue-snapshot.ts";
import { applySettings, checkLocks } from "../models/presets.ts";
import { mostCostOf, mostCreditsOf, type Tariff } from "../models/prices/price.ts";
import { inputTokensUpperBound, type ProviderCall } from "../models/providers/provider.ts";
import { repairInputMax } from "./format-repair.ts";
import type { GenerationRequest } from "./request.ts";

/** A model that may answer a call, the call as it would be given it, and the most tokens that this can take. */
export interface ModelCandidate {
  model: CallableModel;
  call: Omit<ProviderCall, "maxOutputTokens">;
  most: MostTokens;
}

/** The most tokens that a call can use, with the repair of an answer that does not have its format. */
export interface MostTokens {
  inputTokens: number;
  outputTokens: number;
  /** The most output tokens of one answer. */
  answerTokens: number;
  repairs: boolean;
}

/** The modalities that a model must have for this call. */
export function needsOf({ call }: Pick<GenerationRequest, "call">): readonly Modality[] {
  return hasImages(call.messages) ? ["TEXT", "IMAGE"] : ["TEXT"];
}

export type ModelCandidates = readonly [ModelCandidate, ...ModelCandidate[]];

const missing: Record<Modality, string> = {
  TEXT: "This model writes no text.",
  IMAGE: "This model takes no images.",
  EMBEDDING: "This model has no embeddings.",
};

/**
 * In the order in which they are asked. Fallbacks that the key may not call or that lack a modality are skipped.
 * @throws BAD_USER_INPUT when the requested model lacks a modality, or locks a parameter that the request sets
 */
export function candidatesOf(
  request: GenerationRequest,
  route: Route,
  key: KeyViewer,
  needs: readonly Modality[],
): ModelCandidates {
  const [asked, ...others] = route.candidates;
  if (!asked) throw new AppError("INTERNAL");
  const lacking = needs.find((each) => !can(asked, each));
  if (lacking) throw badInput(missing[lacking], { field: "model" });
  checkLocks(route.name, asked.settings, request);
  const usable = others.filter((other) => mayCall(key, other) && needs.every((each) => can(other, each)));
  return [candidateOf(request, asked, needs), ...usable.map((other) => candidateOf(request, other, needs))];
}

function can({ modalities, runner }: CallableModel, modality: Modality): boolean {
  return modalities.includes(modality) && (modality !== "EMBEDDING" || runner.embed !== undefined);
}

function candidateOf(request: GenerationRequest, model: CallableModel, needs: readonly Modality[]): ModelCandidate {
  const { settings, providerModel, limits, maxOutputTokens: limit } = model;
  // An embedding is no conversation: no system text goes with it.
  const { call, maxOutputTokens = limit } = needs.includes("EMBEDDING")
    ? applySettings({ ...settings, system: null, locked: [] }, request)
    : applySettings(settings, request);
  const repairs = request.repairable && model.repairFormat && call.responseFormat !== undefined;
  const imageTokens = needs.includes("IMAGE") ? model.imageTokens : undefined;
  const asked = { model: providerModel, limits, imageTokens, ...call };
  return { model, call: asked, most: mostTokensOf(asked, Math.min(maxOutputTokens, limit), repairs) };
}

function mostTokensOf(
  call: Omit<GenerationRequest["call"], "model">,
  answerTokens: number,
  repairs: boolean,
): MostTokens {
  const inputTokens = inputTokensUpperBound(call.messages, call);
  if (!repairs) return { inputTokens, outputTokens: answerTokens, answerTokens, repairs };
  const again = repairInputMax(inputTokens, answerTokens);
  return { inputTokens: inputTokens + again, outputTokens: 2 * answerTokens, answerTokens, repairs };
}

export function withoutRepairs([first, ...others]: ModelCandidates): ModelCandidates {
  const once = ({ call, most, ...candidate }: ModelCandidate) => ({
    ...candidate,
    call,
    most: mostTokensOf(call, most.answerTokens, false),
  });
  return [once(first), ...others.map(once)];
}

/** With so many output tokens, for one answer and no repair. */
export function withOutput(candidate: ModelCandidate, outputTokens: number): ModelCandidate {
  return { ...candidate, most: { ...candidate.most, outputTokens, answerTokens: outputTokens } };
}

/** In micro-credits and nano-USD: the most that a call can cost, whichever candidate answers. */
export function mostOf(
  candidates: readonly ModelCandidate[],
  tariff: Tariff,
): { credits: bigint; costNanoUsd: bigint } {
  return {
    credits: largest(candidates.map(({ model, most }) => mostCreditsOf(tariff, model.price, most))),
    costNanoUsd: largest(candidates.map(({ model, most }) => mostCostOf(model.price, most))),
  };
}

export function totalTokensOf(candidates: readonly ModelCandidate[]): number {
  return Math.max(...candidates.map(({ most }) => most.inputTokens + most.outputTokens));
}

function largest(amounts: bigint[]): bigint {
  return amounts.reduce((most, amount) => (amount > most ? amount : most), 0n);
}

export function toCandidate({ model, call, most }: ModelCandidate): Candidate {
  return { model, call: { maxOutputTokens: most.answerTokens, ...call } };
}
