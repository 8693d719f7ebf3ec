import type { KeyViewer } from "../auth/viewer.ts";
import { AppError, badInput } from "../errors.ts";
import { hasImages } from "../guard/images.ts";
import type { Candidate } from "../models/attempts.ts";
import type { CallableModel, Modality, Route } from "../models/catalogue.ts";
import { mayCall } from "../models/catalogue-snapshot.ts";
import { applySettings, checkLocks } from "../models/presets.ts";
import { creditsOf, mostCostOf, type Tariff } from "../models/prices/price.ts";
import { inputTokensUpperBound, type ProviderCall } from "../models/providers/provider.ts";
import { repairInputMax } from "./format-repair.ts";
import type { Order } from "./request.ts";

/** What a model that may answer a call would be asked, and the most tokens that this can take. */
export interface Bid {
  model: CallableModel;
  call: Omit<ProviderCall, "maxOutputTokens">;
  most: MostTokens;
}

/** The most tokens that a call can use, with the repair of an answer that does not have its format. */
export interface MostTokens {
  inputTokens: number;
  outputTokens: number;
  /** What one answer has of the output. */
  answerTokens: number;
  repairs: boolean;
}

/** What a model must be able to do for this call. */
export function needsOf({ call }: Pick<Order, "call">): readonly Modality[] {
  return hasImages(call.messages) ? ["TEXT", "IMAGE"] : ["TEXT"];
}

export type Bids = readonly [Bid, ...Bid[]];

const missing: Record<Modality, string> = {
  TEXT: "This model writes no text.",
  IMAGE: "This model takes no images.",
  EMBEDDING: "This model has no embeddings.",
};

/**
 * In the order in which they are asked. Fallbacks that the key may not call or that cannot do what is asked are left out.
 * @throws BAD_USER_INPUT when the model that was asked for cannot do it, or does not let its caller say so
 */
export function bidsOf(order: Order, route: Route, key: KeyViewer, needs: readonly Modality[]): Bids {
  const [asked, ...others] = route.candidates;
  if (!asked) throw new AppError("INTERNAL");
  const lacking = needs.find((each) => !can(asked, each));
  if (lacking) throw badInput(missing[lacking], { field: "model" });
  checkLocks(route.name, asked.settings, order);
  const usable = others.filter((other) => mayCall(key, other) && needs.every((each) => can(other, each)));
  return [bidOf(order, asked, needs), ...usable.map((other) => bidOf(order, other, needs))];
}

function can({ modalities, runner }: CallableModel, modality: Modality): boolean {
  return modalities.includes(modality) && (modality !== "EMBEDDING" || runner.embed !== undefined);
}

function bidOf(order: Order, model: CallableModel, needs: readonly Modality[]): Bid {
  const { settings, providerModel, limits, maxOutputTokens: limit } = model;
  // Texts that become vectors are nobody's conversation: no system text goes with them.
  const { call, maxOutputTokens = limit } = needs.includes("EMBEDDING")
    ? applySettings({ ...settings, system: null, locked: [] }, order)
    : applySettings(settings, order);
  const repairs = order.repairable && model.repairFormat && call.responseFormat !== undefined;
  const imageTokens = needs.includes("IMAGE") ? model.imageTokens : undefined;
  const asked = { model: providerModel, limits, imageTokens, ...call };
  return { model, call: asked, most: mostTokensOf(asked, Math.min(maxOutputTokens, limit), repairs) };
}

function mostTokensOf(call: Omit<Order["call"], "model">, answerTokens: number, repairs: boolean): MostTokens {
  const inputTokens = inputTokensUpperBound(call.messages, call);
  if (!repairs) return { inputTokens, outputTokens: answerTokens, answerTokens, repairs };
  const again = repairInputMax(inputTokens, answerTokens);
  return { inputTokens: inputTokens + again, outputTokens: 2 * answerTokens, answerTokens, repairs };
}

export function withoutRepairs([first, ...others]: Bids): Bids {
  const once = ({ call, most, ...bid }: Bid) => ({ ...bid, call, most: mostTokensOf(call, most.answerTokens, false) });
  return [once(first), ...others.map(once)];
}

/** With so many output tokens, for one answer and no repair. */
export function withOutput(bid: Bid, outputTokens: number): Bid {
  return { ...bid, most: { ...bid.most, outputTokens, answerTokens: outputTokens } };
}

/** In micro-credits and nano-USD: the most that a call can cost, whoever answers it. */
export function mostOf(bids: readonly Bid[], tariff: Tariff): { credits: bigint; costNanoUsd: bigint } {
  return {
    credits: largest(bids.map(({ model, most }) => creditsOf(tariff, model.price, most))),
    costNanoUsd: largest(bids.map(({ model, most }) => mostCostOf(model.price, most))),
  };
}

export function totalTokensOf(bids: readonly Bid[]): number {
  return Math.max(...bids.map(({ most }) => most.inputTokens + most.outputTokens));
}

function largest(amounts: bigint[]): bigint {
  return amounts.reduce((most, amount) => (amount > most ? amount : most), 0n);
}

export function toCandidate({ model, call, most }: Bid): Candidate {
  return { model, call: { maxOutputTokens: most.answerTokens, ...call } };
}
