import type { RecordChange } from "../../auth/record-change.ts";
import type { Origin } from "../../auth/viewer.ts";
import type { Database } from "../../db/client.ts";
import { isUniqueViolation } from "../../db/errors.ts";
import { AppError, badInput } from "../../errors.ts";
import { newId, toWire } from "../../ids.ts";
import { parseCredits, parseUsd } from "../../ledger/amount.ts";
import type { Catalogue, ListedModel } from "../catalogue.ts";
import type { DatedPrice } from "../catalogue-snapshot.ts";
import { cancelScheduledPrice, insertPrice, isPast, modelByName, type NewPrice, priceExists } from "../store.ts";

/** The rates of a price, as decimal strings. Without any rate, a call costs one credit. */
export interface GivenRates {
  multiplier?: string | null | undefined;
  inputCreditsPerMillion?: string | null | undefined;
  cachedInputCreditsPerMillion?: string | null | undefined;
  cacheWriteCreditsPerMillion?: string | null | undefined;
  cacheWrite1hCreditsPerMillion?: string | null | undefined;
  outputCreditsPerMillion?: string | null | undefined;
  inputUsdPerMillion?: string | null | undefined;
  cachedInputUsdPerMillion?: string | null | undefined;
  cacheWriteUsdPerMillion?: string | null | undefined;
  cacheWrite1hUsdPerMillion?: string | null | undefined;
  outputUsdPerMillion?: string | null | undefined;
  reasoningUsdPerMillion?: string | null | undefined;
  cacheHitShare?: string | null | undefined;
}

export interface PriceChange extends GivenRates {
  model: string;
  effectiveFrom?: Date | null | undefined;
}

/**
 * Prices are versions with an effective date and are never overwritten. In force is the one with the latest date that has
 * passed. A call keeps the version of its reservation.
 */
export class Prices {
  readonly #db: Database;
  readonly #catalogue: Catalogue;
  readonly #record: RecordChange;

  constructor(db: Database, catalogue: Catalogue, record: RecordChange) {
    this.#db = db;
    this.#catalogue = catalogue;
    this.#record = record;
  }

  async set(origin: Origin, change: PriceChange): Promise<DatedPrice> {
    const model = await modelByName(this.#db.orm, change.model);
    if (!model) throw new AppError("NOT_FOUND", { message: "No such model." });
    const { effectiveFrom = null } = change;
    if (effectiveFrom && (await isPast(this.#db.orm, effectiveFrom)))
      throw badInput("effectiveFrom must not be in the past.");
    try {
      const price = { id: newId(), modelId: model.id, createdBy: origin.actor, effectiveFrom, ...readRates(change) };
      const set = await this.#db.transaction(async (tx) => {
        const row = await insertPrice(tx, price);
        const after = { ...change, version: row.version, effectiveFrom: row.effectiveFrom };
        const object = toWire("mod", model.id);
        await this.#record(tx, origin, { action: "model.setPrice", object, accountId: null, after });
        return row;
      });
      const isAhead = effectiveFrom !== null && effectiveFrom.getTime() > (await this.#catalogue.now());
      return { price: set, status: isAhead ? "SCHEDULED" : "CURRENT" };
    } catch (error) {
      if (isUniqueViolation(error)) throw new AppError("CONFLICT", { cause: error });
      throw error;
    } finally {
      this.#catalogue.forget();
    }
  }

  /** @throws NOT_FOUND, or CONFLICT unless the price is scheduled */
  async cancel(origin: Origin, id: string): Promise<ListedModel> {
    const modelId = await this.#db.transaction(async (tx) => {
      const row = await cancelScheduledPrice(tx, id);
      if (!row) throw (await priceExists(tx, id)) ? notScheduled() : new AppError("NOT_FOUND");
      const { version, effectiveFrom, cancelledAt } = row;
      const before = { priceId: toWire("prc", id), version, effectiveFrom };
      const object = toWire("mod", row.modelId);
      const after = { ...before, cancelledAt };
      await this.#record(tx, origin, { action: "model.cancelPrice", object, accountId: null, before, after });
      return row.modelId;
    });
    this.#catalogue.forget();
    const listed = (await this.#catalogue.list()).find(({ model }) => model.id === modelId);
    if (!listed) throw new AppError("INTERNAL");
    return listed;
  }
}

function notScheduled(): AppError {
  return new AppError("CONFLICT", { message: "Only a scheduled price can be cancelled." });
}

type RateName = Exclude<keyof GivenRates, "multiplier" | "cacheHitShare">;

/** A rate that is absent is 0 or, of a class of tokens, the rate of the tokens that it is a part of. */
export function readRates(change: GivenRates): Omit<NewPrice, "id" | "modelId" | "createdBy" | "effectiveFrom"> {
  const credits = (name: RateName, absent = 0n) => readRate(parseCredits, change[name], name) ?? absent;
  const usd = (name: RateName, absent = 0n) => readRate(parseUsd, change[name], name) ?? absent;
  const inputCredits = credits("inputCreditsPerMillion");
  const inputUsd = usd("inputUsdPerMillion");
  const outputUsd = usd("outputUsdPerMillion");
  return {
    multiplierMicro: readRate(parseCredits, change.multiplier, "multiplier") ?? 1_000_000n,
    inputMicroCreditsPerMillion: inputCredits,
    cachedInputMicroCreditsPerMillion: credits("cachedInputCreditsPerMillion", inputCredits),
    cacheWriteMicroCreditsPerMillion: credits("cacheWriteCreditsPerMillion", inputCredits),
    cacheWrite1hMicroCreditsPerMillion: credits("cacheWrite1hCreditsPerMillion", inputCredits),
    outputMicroCreditsPerMillion: credits("outputCreditsPerMillion"),
    inputNanoUsdPerMillion: inputUsd,
    cachedInputNanoUsdPerMillion: usd("cachedInputUsdPerMillion", inputUsd),
    cacheWriteNanoUsdPerMillion: usd("cacheWriteUsdPerMillion", inputUsd),
    cacheWrite1hNanoUsdPerMillion: usd("cacheWrite1hUsdPerMillion", inputUsd),
    outputNanoUsdPerMillion: outputUsd,
    reasoningNanoUsdPerMillion: usd("reasoningUsdPerMillion", outputUsd),
    cacheHitMicro: readShare(change.cacheHitShare ?? "0.1"),
  };
}

function readShare(text: string): bigint {
  const share = parseCredits(text, "cacheHitShare");
  if (share >= 0n && share <= 1_000_000n) return share;
  throw badInput("cacheHitShare must be 0 to 1.", { field: "cacheHitShare" });
}

/** Beyond this, the price of the longest call could pass int64. */
const rateMax = 1_000_000_000_000n;

type Parse = (text: string, field: string) => bigint;

/** Undefined when absent. */
function readRate(parse: Parse, text: string | null | undefined, field: string): bigint | undefined {
  if (text == null) return undefined;
  const value = parse(text, field);
  if (value < 0n) throw badInput(`${field} must not be negative.`, { field });
  if (value > rateMax)
    throw badInput(`${field} must be at most ${parse === parseUsd ? "1000" : "1000000"}.`, { field });
  return value;
}
