import { sql } from "drizzle-orm";
import {
  type AnyPgColumn,
  boolean,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  unique,
  uuid,
} from "drizzle-orm/pg-core";
import { bytea, exact, instant } from "./columns.ts";

const createdAt = () => instant("created_at").notNull().defaultNow();

/** Models and presets. A preset runs on another model, its base. */
export const models = pgTable(
  "models",
  {
    id: uuid("id").primaryKey(),
    name: text("name").notNull().unique(),
    /** For a preset: the model it runs on, whose values fill in for nulls here. */
    baseId: uuid("base_id").references((): AnyPgColumn => models.id),
    provider: text("provider"),
    /** The provider's own name of the model. */
    providerModel: text("provider_model"),
    description: text("description"),
    contextLength: integer("context_length"),
    maxOutputTokens: integer("max_output_tokens"),
    /** Null means the capabilities of the provider. */
    modalities: text("modalities", { enum: ["TEXT", "IMAGE", "EMBEDDING"] }).array(),
    /** A key must have all of them. */
    scopes: text("scopes").array().notNull().default([]),
    system: text("system"),
    parameters: jsonb("parameters").$type<StoredParameters>().notNull().default({}),
    /** Parameters that callers must not set, by their API names. */
    locked: text("locked").array().notNull().default([]),
    /** Fallbacks: names of models that are tried in order when it fails. */
    fallbacks: text("fallbacks").array().notNull().default([]),
    connectMs: integer("connect_ms"),
    firstByteMs: integer("first_byte_ms"),
    idleMs: integer("idle_ms"),
    totalMs: integer("total_ms"),
    /** Limit on the bytes of one answer from the provider; null means the server's default. */
    maxResponseBytes: integer("max_response_bytes"),
    /** Whether an answer that misses the requested format is repaired by a second attempt. */
    repairFormat: boolean("repair_format").notNull().default(false),
    /** The most input tokens that one image counts as. */
    imageTokens: integer("image_tokens").notNull().default(16_384),
    retries: integer("retries").notNull().default(0),
    /** Failures in a row that open the circuit breaker; 0 for never. */
    breakerFailures: integer("breaker_failures").notNull().default(10),
    breakerOpenSeconds: integer("breaker_open_seconds").notNull().default(15),
    enabled: boolean("enabled").notNull().default(true),
    createdAt: createdAt(),
  },
  (t) => [
    check(
      "models_runs_somewhere",
      sql`(${t.baseId} is null) = (${t.provider} is not null and ${t.providerModel} is not null and ${t.maxOutputTokens} is not null)`,
    ),
    index("models_base").on(t.baseId).where(sql`${t.baseId} is not null`),
  ],
);

/** Default parameters of a call. */
export interface StoredParameters {
  temperature?: number;
  topP?: number;
  maxOutputTokens?: number;
  stop?: string[];
  seed?: number;
  /** Options in the provider's terms, such as Ollama's `num_ctx` and `keep_alive`. */
  providerOptions?: Record<string, unknown>;
}

/** Aliases of models. With several targets of one alias, each call picks one by weight. */
export const modelAliases = pgTable(
  "model_aliases",
  {
    name: text("name").notNull(),
    modelId: uuid("model_id")
      .notNull()
      .references(() => models.id),
    weight: integer("weight").notNull(),
    createdAt: createdAt(),
  },
  (t) => [primaryKey({ columns: [t.name, t.modelId] }), check("model_aliases_weight", sql`${t.weight} > 0`)],
);

export const modelPrices = pgTable(
  "model_prices",
  {
    id: uuid("id").primaryKey(),
    modelId: uuid("model_id")
      .notNull()
      .references(() => models.id),
    version: integer("version").notNull(),
    effectiveFrom: instant("effective_from").notNull(),
    /** Millionths: 1,000,000 is a multiplier of one. */
    multiplierMicro: exact("multiplier_micro").notNull(),
    inputMicroCreditsPerMillion: exact("input_micro_credits_per_million").notNull(),
    cachedInputMicroCreditsPerMillion: exact("cached_input_micro_credits_per_million").notNull(),
    cacheWriteMicroCreditsPerMillion: exact("cache_write_micro_credits_per_million").notNull(),
    cacheWrite1hMicroCreditsPerMillion: exact("cache_write_1h_micro_credits_per_million").notNull(),
    outputMicroCreditsPerMillion: exact("output_micro_credits_per_million").notNull(),
    inputNanoUsdPerMillion: exact("input_nano_usd_per_million").notNull(),
    cachedInputNanoUsdPerMillion: exact("cached_input_nano_usd_per_million").notNull(),
    cacheWriteNanoUsdPerMillion: exact("cache_write_nano_usd_per_million").notNull(),
    cacheWrite1hNanoUsdPerMillion: exact("cache_write_1h_nano_usd_per_million").notNull(),
    outputNanoUsdPerMillion: exact("output_nano_usd_per_million").notNull(),
    reasoningNanoUsdPerMillion: exact("reasoning_nano_usd_per_million").notNull(),
    /** The share of the price that a cached answer costs, in millionths. */
    cacheHitMicro: exact("cache_hit_micro").notNull().default(sql`100000`),
    createdBy: text("created_by").notNull(),
    createdAt: createdAt(),
    /** Set before it took effect. The row stays, so that its version is never used again. */
    cancelledAt: instant("cancelled_at"),
  },
  (t) => [unique("model_prices_version").on(t.modelId, t.version)],
);

/** Model services that were added through the API; services of the configuration are not stored. */
export const modelServices = pgTable("model_services", {
  name: text("name").primaryKey(),
  kind: text("kind").notNull(),
  baseUrl: text("base_url").notNull(),
  /** Encrypted; null for a service without a key. */
  sealedKey: bytea("sealed_key"),
  createdAt: createdAt(),
  /** Increased by every change, so that a server notices connections of an earlier version. */
  version: integer("version").notNull().default(1),
});
