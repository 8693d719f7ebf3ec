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

/** What can be called by its name: a model of a provider, or a preset, which runs on another model, its base. */
export const models = pgTable(
  "models",
  {
    id: uuid("id").primaryKey(),
    name: text("name").notNull().unique(),
    /** Of a preset: the model it runs on, which then says what is null here. */
    baseId: uuid("base_id").references((): AnyPgColumn => models.id),
    provider: text("provider"),
    /** The provider's own name of the model. */
    providerModel: text("provider_model"),
    description: text("description"),
    contextLength: integer("context_length"),
    maxOutputTokens: integer("max_output_tokens"),
    /** Null: what its provider can do. */
    modalities: text("modalities", { enum: ["TEXT", "IMAGE", "EMBEDDING"] }).array(),
    /** A key needs each of them. */
    scopes: text("scopes").array().notNull().default([]),
    system: text("system"),
    parameters: jsonb("parameters").$type<StoredParameters>().notNull().default({}),
    /** What the caller may not override, by the names of the wire. */
    locked: text("locked").array().notNull().default([]),
    /** Names of models that answer in its place when it fails, in their order. */
    fallbacks: text("fallbacks").array().notNull().default([]),
    connectMs: integer("connect_ms"),
    firstByteMs: integer("first_byte_ms"),
    idleMs: integer("idle_ms"),
    totalMs: integer("total_ms"),
    /** Of one answer, as the provider sends it; null is as the server has it. */
    maxResponseBytes: integer("max_response_bytes"),
    /** Whether an answer without the format that was asked for is asked for once more. */
    repairFormat: boolean("repair_format").notNull().default(false),
    /** What one image counts as at most, in input tokens. */
    imageTokens: integer("image_tokens").notNull().default(16_384),
    retries: integer("retries").notNull().default(0),
    /** Failures in a row after which it is not asked for a while; 0 for never. */
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

/** What is sent with a call unless the caller says otherwise. */
export interface StoredParameters {
  temperature?: number;
  topP?: number;
  maxOutputTokens?: number;
  stop?: string[];
  seed?: number;
  /** As the provider has them, such as Ollama's `num_ctx` and `keep_alive`. */
  providerOptions?: Record<string, unknown>;
}

/** Further names of models. Of several targets of one name each call picks one, by weight. */
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
    /** The share of the price that an answer out of the cache costs, in millionths. */
    cacheHitMicro: exact("cache_hit_micro").notNull().default(sql`100000`),
    createdBy: text("created_by").notNull(),
    createdAt: createdAt(),
    /** Set before it took effect. The row stays, so that its version is never used again. */
    cancelledAt: instant("cancelled_at"),
  },
  (t) => [unique("model_prices_version").on(t.modelId, t.version)],
);

/** Where models run, as set through the API; those of the configuration are not here. */
export const modelServices = pgTable("model_services", {
  name: text("name").primaryKey(),
  kind: text("kind").notNull(),
  baseUrl: text("base_url").notNull(),
  /** Encrypted; null when the service asks for no key. */
  sealedKey: bytea("sealed_key"),
  createdAt: createdAt(),
  /** Raised by every change, so that a server can tell that its connections are of an earlier one. */
  version: integer("version").notNull().default(1),
});
