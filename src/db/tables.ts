import { sql } from "drizzle-orm";
import {
  boolean,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  unique,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";
import { bytea, exact, instant } from "./columns.ts";

const createdAt = () => instant("created_at").notNull().defaultNow();

export const accounts = pgTable(
  "accounts",
  {
    id: uuid("id").primaryKey(),
    name: text("name").notNull(),
    isDefault: boolean("is_default").notNull().default(false),
    createdAt: createdAt(),
  },
  (t) => [uniqueIndex("accounts_one_default").on(t.isDefault).where(sql`${t.isDefault}`)],
);

export const wallets = pgTable(
  "wallets",
  {
    accountId: uuid("account_id").notNull(),
    id: uuid("id").notNull(),
    /** The one wallet of its account that keys may draw on together. */
    shared: boolean("shared").notNull().default(false),
    balance: exact("balance").notNull().default(sql`0`),
    held: exact("held").notNull().default(sql`0`),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.accountId, t.id] }),
    index("wallets_id").on(t.id),
    uniqueIndex("wallets_one_shared").on(t.accountId).where(sql`${t.shared}`),
    // The second wall behind the conditional reservation: no statement can make a wallet negative.
    check("wallets_balance_not_negative", sql`${t.balance} >= 0`),
    check("wallets_held_within_balance", sql`${t.held} between 0 and ${t.balance}`),
  ],
);

export const apiKeys = pgTable(
  "api_keys",
  {
    accountId: uuid("account_id").notNull(),
    id: uuid("id").notNull(),
    walletId: uuid("wallet_id").notNull(),
    name: text("name").notNull(),
    /** The visible parts of the newest secret, so that a list of keys needs no second read. */
    prefix: text("prefix").notNull(),
    last4: text("last4").notNull(),
    status: text("status", { enum: ["ACTIVE", "DISABLED", "REVOKED"] })
      .notNull()
      .default("ACTIVE"),
    scopes: text("scopes").array().notNull(),
    models: text("models").array(),
    allowedIps: text("allowed_ips").array(),
    requestsPerMinute: integer("requests_per_minute"),
    tokensPerMinute: integer("tokens_per_minute"),
    maxConcurrency: integer("max_concurrency"),
    dailyBudgetNanoUsd: exact("daily_budget_nano_usd"),
    monthlyBudgetNanoUsd: exact("monthly_budget_nano_usd"),
    metadata: jsonb("metadata"),
    expiresAt: instant("expires_at"),
    lastUsedAt: instant("last_used_at"),
    createdBy: text("created_by").notNull(),
    createdAt: createdAt(),
    /** Raised by every change, so that a cache can tell which copy is newer. */
    version: integer("version").notNull().default(1),
  },
  (t) => [
    primaryKey({ columns: [t.accountId, t.id] }),
    uniqueIndex("api_keys_id").on(t.id),
    check("api_keys_status", sql`${t.status} in ('ACTIVE', 'DISABLED', 'REVOKED')`),
  ],
);

export const keySecrets = pgTable(
  "key_secrets",
  {
    id: uuid("id").primaryKey(),
    accountId: uuid("account_id").notNull(),
    apiKeyId: uuid("api_key_id").notNull(),
    last4: text("last4").notNull(),
    digest: bytea("digest").notNull(),
    hash: text("hash").notNull(),
    validFrom: instant("valid_from").notNull().defaultNow(),
    validTo: instant("valid_to"),
    lastUsedAt: instant("last_used_at"),
  },
  (t) => [unique("key_secrets_digest").on(t.digest), index("key_secrets_key").on(t.apiKeyId)],
);

export const models = pgTable("models", {
  id: uuid("id").primaryKey(),
  name: text("name").notNull().unique(),
  provider: text("provider").notNull(),
  /** The provider's own name of the model. */
  providerModel: text("provider_model").notNull(),
  description: text("description"),
  contextLength: integer("context_length"),
  maxOutputTokens: integer("max_output_tokens").notNull(),
  enabled: boolean("enabled").notNull().default(true),
  createdAt: createdAt(),
});

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
    outputMicroCreditsPerMillion: exact("output_micro_credits_per_million").notNull(),
    inputNanoUsdPerMillion: exact("input_nano_usd_per_million").notNull(),
    cachedInputNanoUsdPerMillion: exact("cached_input_nano_usd_per_million").notNull(),
    outputNanoUsdPerMillion: exact("output_nano_usd_per_million").notNull(),
    reasoningNanoUsdPerMillion: exact("reasoning_nano_usd_per_million").notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: createdAt(),
  },
  (t) => [unique("model_prices_version").on(t.modelId, t.version)],
);

export const users = pgTable(
  "users",
  {
    id: uuid("id").primaryKey(),
    /** Lower case: one person cannot have two accounts by the case of an address. */
    email: text("email").notNull().unique(),
    name: text("name"),
    role: text("role", { enum: ["OWNER", "ADMIN", "OPERATOR", "ANALYST", "MEMBER"] }).notNull(),
    accountId: uuid("account_id").references(() => accounts.id),
    passwordHash: text("password_hash"),
    createdAt: createdAt(),
  },
  (t) => [
    check("users_role", sql`${t.role} in ('OWNER', 'ADMIN', 'OPERATOR', 'ANALYST', 'MEMBER')`),
    check("users_member_has_account", sql`${t.role} <> 'MEMBER' or ${t.accountId} is not null`),
  ],
);

export const sessions = pgTable(
  "sessions",
  {
    id: uuid("id").primaryKey(),
    userId: uuid("user_id")
      .notNull()
      .references(() => users.id),
    /** Digest of the one refresh token that is valid now; any earlier one is a replay. */
    refreshDigest: bytea("refresh_digest").notNull(),
    createdAt: createdAt(),
    expiresAt: instant("expires_at").notNull(),
    endedAt: instant("ended_at"),
  },
  (t) => [index("sessions_user").on(t.userId)],
);

export const holds = pgTable(
  "holds",
  {
    accountId: uuid("account_id").notNull(),
    /** Also the id of the request that it pays for. */
    id: uuid("id").notNull(),
    walletId: uuid("wallet_id").notNull(),
    apiKeyId: uuid("api_key_id").notNull(),
    amount: exact("amount").notNull(),
    state: text("state", { enum: ["open", "settled", "released"] })
      .notNull()
      .default("open"),
    model: text("model").notNull(),
    provider: text("provider").notNull(),
    priceId: uuid("price_id").notNull(),
    endUser: text("end_user"),
    tags: text("tags").array().notNull().default([]),
    httpRequestId: text("http_request_id").notNull(),
    createdAt: createdAt(),
    leaseExpiresAt: instant("lease_expires_at").notNull(),
    closedAt: instant("closed_at"),
  },
  (t) => [
    primaryKey({ columns: [t.accountId, t.id] }),
    index("holds_open_lease").on(t.leaseExpiresAt).where(sql`${t.state} = 'open'`),
    check("holds_amount_not_negative", sql`${t.amount} >= 0`),
    check("holds_state", sql`${t.state} in ('open', 'settled', 'released')`),
  ],
);

export const creditEntries = pgTable(
  "credit_entries",
  {
    accountId: uuid("account_id").notNull(),
    id: uuid("id").notNull(),
    walletId: uuid("wallet_id").notNull(),
    kind: text("kind", { enum: ["GRANT", "CHARGE", "REFUND", "ADJUSTMENT", "EXPIRY"] }).notNull(),
    amount: exact("amount").notNull(),
    balanceAfter: exact("balance_after").notNull(),
    actor: text("actor").notNull(),
    reason: text("reason"),
    /** The request that a charge pays for. */
    requestId: uuid("request_id"),
    idempotencyKey: text("idempotency_key"),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.accountId, t.id] }),
    index("credit_entries_wallet").on(t.accountId, t.walletId, t.id),
    uniqueIndex("credit_entries_idempotency")
      .on(t.accountId, t.walletId, t.idempotencyKey)
      .where(sql`${t.idempotencyKey} is not null`),
    check("credit_entries_kind", sql`${t.kind} in ('GRANT', 'CHARGE', 'REFUND', 'ADJUSTMENT', 'EXPIRY')`),
  ],
);
