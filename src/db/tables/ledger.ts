import { sql } from "drizzle-orm";
import {
  boolean,
  check,
  date,
  index,
  integer,
  json,
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

/** Budgets per UTC day or month. Null means no limit. */
const budgets = () => ({
  dailyBudgetNanoUsd: exact("daily_budget_nano_usd"),
  monthlyBudgetNanoUsd: exact("monthly_budget_nano_usd"),
  dailyBudgetMicroCredits: exact("daily_budget_micro_credits"),
  monthlyBudgetMicroCredits: exact("monthly_budget_micro_credits"),
});

/** Hours of use, in the form of the API. */
export interface StoredHours {
  timeZone: string;
  windows: { days: string[]; from: string; to: string }[];
}

export const accounts = pgTable(
  "accounts",
  {
    id: uuid("id").primaryKey(),
    name: text("name").notNull(),
    isDefault: boolean("is_default").notNull().default(false),
    ...budgets(),
    /** The plan of its keys that have no plan of their own. */
    planId: uuid("plan_id").references(() => plans.id),
    /** Rotation interval of its keys; null means no reminders. */
    rotateKeysAfterDays: integer("rotate_keys_after_days"),
    /** The most working keys that each of its MEMBERs may have created. */
    memberKeysMax: integer("member_keys_max").notNull().default(10),
    /** Scopes of models that its MEMBERs may give to their keys. */
    modelScopes: text("model_scopes").array().notNull().default([]),
    /** Whether the keys of a MEMBER stop while the MEMBER is disabled. */
    stopMemberKeys: boolean("stop_member_keys").notNull().default(true),
    /** Whether its keys and MEMBERs see the providers' prices and costs in USD. */
    showUsd: boolean("show_usd").notNull().default(true),
    /** For how many days prompts and answers of its keys are kept; null means that none are. */
    promptLogDays: integer("prompt_log_days"),
    /** When it was closed, which is final. */
    closedAt: instant("closed_at"),
    createdAt: createdAt(),
  },
  (t) => [
    uniqueIndex("accounts_one_default").on(t.isDefault).where(sql`${t.isDefault}`),
    check("accounts_member_keys_max", sql`${t.memberKeysMax} >= 0`),
  ],
);

/** Plans: default limits of keys that do not set their own. */
export const plans = pgTable("plans", {
  id: uuid("id").primaryKey(),
  name: text("name").notNull().unique(),
  description: text("description"),
  models: text("models").array(),
  requestsPerMinute: integer("requests_per_minute"),
  tokensPerMinute: integer("tokens_per_minute"),
  maxConcurrency: integer("max_concurrency"),
  ...budgets(),
  createdAt: createdAt(),
  /** Increased by every change; a trigger notifies every replica. */
  version: integer("version").notNull().default(1),
});

export const wallets = pgTable(
  "wallets",
  {
    accountId: uuid("account_id").notNull(),
    id: uuid("id").notNull(),
    /** The account's shared wallet. */
    shared: boolean("shared").notNull().default(false),
    balance: exact("balance").notNull().default(sql`0`),
    held: exact("held").notNull().default(sql`0`),
    /** Charges that were not yet taken from lots; the balance is the rest of the lots, less this. */
    unburnt: exact("unburnt").notNull().default(sql`0`),
    /** When credits next expire or are refilled; a wallet past it is brought up to date before it pays. */
    dueAt: instant("due_at"),
    /** An alert is raised when the balance falls below it. */
    lowBalance: exact("low_balance"),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.accountId, t.id] }),
    index("wallets_id").on(t.id),
    uniqueIndex("wallets_one_shared").on(t.accountId).where(sql`${t.shared}`),
    // A second defence behind the conditional reservation: no statement can make a wallet negative.
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
    /** The default of `cacheSeconds` for calls; null means no cached answers. */
    cacheSeconds: integer("cache_seconds"),
    /** SHADOW refuses nothing and only counts refusals. */
    limitMode: text("limit_mode", { enum: ["ENFORCE", "SHADOW"] })
      .notNull()
      .default("ENFORCE"),
    ...budgets(),
    /** The key's own plan; null means the account's plan. */
    planId: uuid("plan_id").references(() => plans.id),
    hours: jsonb("hours").$type<StoredHours>(),
    tags: text("tags").array().notNull().default([]),
    metadata: jsonb("metadata"),
    /** The settings, by their names in the API, that a MEMBER who made the key may narrow but not widen. */
    setByStaff: text("set_by_staff").array().notNull().default([]),
    /** DISABLED for no other reason than that its MEMBER is. */
    stoppedWithMember: boolean("stopped_with_member").notNull().default(false),
    /** For how many days prompts and answers are kept; 0 means that none are, null what the account says. */
    promptLogDays: integer("prompt_log_days"),
    expiresAt: instant("expires_at"),
    lastUsedAt: instant("last_used_at"),
    createdBy: text("created_by").notNull(),
    createdAt: createdAt(),
    /** When settings or status last changed; use does not count. */
    changedAt: instant("changed_at").notNull().defaultNow(),
    /** Increased by every change, so that a cache knows which copy is newer. */
    version: integer("version").notNull().default(1),
  },
  (t) => [
    primaryKey({ columns: [t.accountId, t.id] }),
    uniqueIndex("api_keys_id").on(t.id),
    index("api_keys_tags").using("gin", t.tags),
    index("api_keys_created_by").on(t.createdBy, t.id),
    index("api_keys_plan").on(t.planId).where(sql`${t.planId} is not null`),
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
    /** When an alert reminded of its rotation. */
    remindedAt: instant("reminded_at"),
    /** When its plaintext was first exposed in a URL or operation. */
    exposedAt: instant("exposed_at"),
  },
  (t) => [
    unique("key_secrets_digest").on(t.digest),
    index("key_secrets_key").on(t.apiKeyId),
    index("key_secrets_last4").on(t.last4),
  ],
);

export const denialsMinutely = pgTable(
  "denials_minutely",
  {
    accountId: uuid("account_id").notNull(),
    apiKeyId: uuid("api_key_id").notNull(),
    minute: instant("minute").notNull(),
    code: text("code").notNull(),
    /** True for a refusal that was only counted: the call went through. */
    shadow: boolean("shadow").notNull().default(false),
    count: integer("count").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.accountId, t.apiKeyId, t.minute, t.code, t.shadow] }),
    index("denials_minutely_minute").on(t.minute),
  ],
);

/** Rows are only ever added: a trigger refuses anything else. Each hash covers its row and the hash before it. */
export const auditEvents = pgTable(
  "audit_events",
  {
    seq: exact("seq").primaryKey(),
    id: uuid("id").notNull().unique(),
    createdAt: instant("created_at").notNull(),
    actor: text("actor").notNull(),
    ip: text("ip"),
    httpRequestId: text("http_request_id"),
    action: text("action").notNull(),
    /** The changed object, by its API id: `key_…`. */
    object: text("object").notNull(),
    accountId: uuid("account_id"),
    /** `json`, not `jsonb`: the hash covers the text, whose order must stay. */
    before: json("before"),
    after: json("after"),
    previousHash: text("previous_hash").notNull(),
    hash: text("hash").notNull(),
  },
  (t) => [index("audit_events_object").on(t.object, t.id), index("audit_events_account").on(t.accountId, t.id)],
);

/** One row: the end of the chain. Locking it gives events their order; it also shows if the last events are missing. */
export const auditHead = pgTable(
  "audit_head",
  {
    id: integer("id").primaryKey(),
    seq: exact("seq").notNull(),
    hash: text("hash").notNull(),
    /** A code over both that only a holder of SERVER_SECRET can make; null while the chain is empty. */
    seal: text("seal"),
  },
  (t) => [check("audit_head_one_row", sql`${t.id} = 1`)],
);

export const users = pgTable(
  "users",
  {
    id: uuid("id").primaryKey(),
    /** Lower case: one person cannot sign in as two by the case of an address. */
    email: text("email").notNull(),
    name: text("name"),
    role: text("role", { enum: ["OWNER", "ADMIN", "OPERATOR", "ANALYST", "MEMBER"] }).notNull(),
    accountId: uuid("account_id").references(() => accounts.id),
    passwordHash: text("password_hash"),
    /** Issuer and subject at the identity provider; null for users with a password here. */
    issuer: text("issuer"),
    subject: text("subject"),
    /** When the token with the stored claims was issued. */
    saidAt: instant("said_at"),
    /** Set for a disabled user. Users are never deleted, because the audit and the ledger name them. */
    disabledAt: instant("disabled_at"),
    createdAt: createdAt(),
  },
  (t) => [
    uniqueIndex("users_local_email").on(t.email).where(sql`${t.issuer} is null`),
    uniqueIndex("users_issuer_subject").on(t.issuer, t.subject),
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
    /** Digest of the one refresh token that is valid now; the one before it has a short grace, any earlier one is a replay. */
    refreshDigest: bytea("refresh_digest").notNull(),
    /** When that token took the place of the one before it. */
    refreshedAt: instant("refreshed_at"),
    /** Where the person signed in, and with what. */
    ip: text("ip"),
    userAgent: text("user_agent"),
    /** Written at most once a minute. */
    lastUsedAt: instant("last_used_at").notNull().defaultNow(),
    lastUsedFrom: text("last_used_from"),
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
    /** Also the id of the call that it pays for. */
    id: uuid("id").notNull(),
    walletId: uuid("wallet_id").notNull(),
    apiKeyId: uuid("api_key_id").notNull(),
    amount: exact("amount").notNull(),
    /** The most that the call can cost in nano-USD. */
    costMax: exact("cost_max").notNull(),
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
    /** The entry that this one reverses, in whole or in part. */
    correctsId: uuid("corrects_id"),
    idempotencyKey: text("idempotency_key"),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.accountId, t.id] }),
    index("credit_entries_wallet").on(t.accountId, t.walletId, t.id),
    // A partial index, so that charges do not pay for it.
    index("credit_entries_corrected").on(t.accountId, t.requestId).where(sql`${t.kind} in ('REFUND', 'ADJUSTMENT')`),
    uniqueIndex("credit_entries_idempotency")
      .on(t.accountId, t.walletId, t.idempotencyKey)
      .where(sql`${t.idempotencyKey} is not null`),
    check("credit_entries_kind", sql`${t.kind} in ('GRANT', 'CHARGE', 'REFUND', 'ADJUSTMENT', 'EXPIRY')`),
  ],
);

/** The rest of each grant. Spent by priority, then by expiry, then by age. */
export const creditLots = pgTable(
  "credit_lots",
  {
    accountId: uuid("account_id").notNull(),
    /** The entry that added the credits. */
    id: uuid("id").notNull(),
    walletId: uuid("wallet_id").notNull(),
    granted: exact("granted").notNull(),
    remaining: exact("remaining").notNull(),
    priority: integer("priority").notNull(),
    expiresAt: instant("expires_at"),
    /** Added by a refill rule with the mode REPLACE. */
    isRefill: boolean("is_refill").notNull().default(false),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.accountId, t.id] }),
    index("credit_lots_left").on(t.accountId, t.walletId).where(sql`${t.remaining} > 0`),
    check("credit_lots_remaining", sql`${t.remaining} between 0 and ${t.granted}`),
  ],
);

export const refillRules = pgTable(
  "refill_rules",
  {
    accountId: uuid("account_id").notNull(),
    walletId: uuid("wallet_id").notNull(),
    every: text("every", { enum: ["DAY", "WEEK", "MONTH"] }).notNull(),
    mode: text("mode", { enum: ["ADD", "REPLACE"] }).notNull(),
    amount: exact("amount").notNull(),
    /** For ADD: the highest balance after a refill. */
    cap: exact("cap"),
    nextAt: instant("next_at").notNull(),
    /** The day of the month, in UTC, that a monthly refill comes back to after a shorter month. */
    anchorDay: integer("anchor_day").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.accountId, t.walletId] }),
    check("refill_rules_anchor_day", sql`${t.anchorDay} between 1 and 31`),
    check("refill_rules_amount", sql`${t.amount} > 0 and (${t.cap} is null or ${t.cap} >= ${t.amount})`),
    check("refill_rules_cap", sql`(${t.mode} = 'ADD') = (${t.cap} is not null)`),
  ],
);

/** The used amount of a budget of a key or account in one day or month, and the amount held by running calls. */
export const budgetWindows = pgTable(
  "budget_windows",
  {
    accountId: uuid("account_id").notNull(),
    /** The key, or the account itself. */
    scopeId: uuid("scope_id").notNull(),
    unit: text("unit", { enum: ["USD", "CREDITS"] }).notNull(),
    period: text("period", { enum: ["DAY", "MONTH"] }).notNull(),
    startsOn: date("starts_on").notNull(),
    used: exact("used").notNull().default(sql`0`),
    held: exact("held").notNull().default(sql`0`),
  },
  (t) => [
    primaryKey({ columns: [t.accountId, t.scopeId, t.unit, t.period, t.startsOn] }),
    check("budget_windows_not_negative", sql`${t.used} >= 0 and ${t.held} >= 0`),
  ],
);

/** The budgets of an open hold. */
export const holdBudgets = pgTable(
  "hold_budgets",
  {
    accountId: uuid("account_id").notNull(),
    holdId: uuid("hold_id").notNull(),
    scopeId: uuid("scope_id").notNull(),
    unit: text("unit", { enum: ["USD", "CREDITS"] }).notNull(),
    period: text("period", { enum: ["DAY", "MONTH"] }).notNull(),
    startsOn: date("starts_on").notNull(),
    amount: exact("amount").notNull(),
  },
  (t) => [primaryKey({ columns: [t.accountId, t.holdId, t.scopeId, t.unit, t.period] })],
);

/** Idempotency keys: the call of each, and its answer once it exists. */
export const idempotencyRecords = pgTable(
  "idempotency_records",
  {
    accountId: uuid("account_id").notNull(),
    apiKeyId: uuid("api_key_id").notNull(),
    keyDigest: bytea("key_digest").notNull(),
    inputDigest: bytea("input_digest").notNull(),
    /** The hold of the call. */
    holdId: uuid("hold_id").notNull(),
    /** Encrypted; null while the call runs. */
    answer: bytea("answer"),
    claimedAt: instant("claimed_at").notNull().defaultNow(),
    expiresAt: instant("expires_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.accountId, t.apiKeyId, t.keyDigest] }),
    uniqueIndex("idempotency_records_hold").on(t.accountId, t.holdId),
    index("idempotency_records_expiry").on(t.expiresAt),
  ],
);

/** Cached answers, for identical calls of the same account. */
export const cachedAnswers = pgTable(
  "cached_answers",
  {
    accountId: uuid("account_id").notNull(),
    /** A digest of everything that could change the answer. */
    digest: bytea("digest").notNull(),
    /** Encrypted. */
    answer: bytea("answer").notNull(),
    finishReason: text("finish_reason", {
      enum: ["STOP", "LENGTH", "CONTENT_FILTER", "TOOL_CALLS", "ERROR", "CANCELLED", "OTHER"],
    }).notNull(),
    inputTokens: integer("input_tokens").notNull(),
    cachedInputTokens: integer("cached_input_tokens").notNull().default(0),
    cacheWriteTokens: integer("cache_write_tokens").notNull().default(0),
    cacheWrite1hTokens: integer("cache_write_1h_tokens").notNull().default(0),
    outputTokens: integer("output_tokens").notNull(),
    createdAt: createdAt(),
    expiresAt: instant("expires_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.accountId, t.digest] }), index("cached_answers_expiry").on(t.expiresAt)],
);

/** Alerts. Each is written in the transaction of the change that caused it; people read them through the API. */
export const alerts = pgTable(
  "alerts",
  {
    id: uuid("id").primaryKey(),
    kind: text("kind").notNull(),
    accountId: uuid("account_id"),
    /** The object of the alert, e.g. `wallet:0190…`. */
    subject: text("subject").notNull(),
    details: jsonb("details").notNull(),
    createdAt: createdAt(),
  },
  (t) => [index("alerts_created_at").on(t.createdAt, t.id), index("alerts_account").on(t.accountId, t.createdAt, t.id)],
);
