import type { Budget, KeyViewer } from "../../auth/viewer.ts";
import type { Database } from "../../db/client.ts";
import { AppError, type ErrorCode } from "../../errors.ts";
import { toViewer } from "../../keys/identity.ts";
import { allowsAddress, toBlockList } from "../../keys/rules/addresses.ts";
import { openHours } from "../../keys/rules/hours.ts";
import { hoursVerdict } from "../../keys/rules/verdict.ts";
import { keyWithPlan, type SecretMatch } from "../../keys/store.ts";
import { formatCredits, formatUsd } from "../../ledger/amount.ts";
import type { LimitsService, LimitUsage } from "../../limits/service.ts";
import type { Catalogue, Route } from "../../models/catalogue.ts";
import { mayCall } from "../../models/catalogue-snapshot.ts";
import type { Tariff } from "../../models/prices/price.ts";
import { candidatesOf, type ModelCandidates, mostOf, needsOf, totalTokensOf, withOutput } from "../candidates.ts";
import type { GenerateInput } from "../inputs/generate.ts";
import { type GenerationRequest, readGenerationRequest } from "../request.ts";
import { type Funds, fundsOf } from "../store.ts";

/**
 * Explains how `generate` would treat a call of a key, check by check, with each check's figures. No model is called
 * and nothing is reserved or counted: the functions of `generate` decide, on the present state of database and
 * limiters.
 */
export const accessCheckNames = [
  ...(["STATUS", "EXPIRY", "SCOPE", "ADDRESS", "HOURS", "MODEL", "GUARD"] as const),
  ...(["REQUESTS", "TOKENS", "CONCURRENCY", "BUDGET", "CREDITS"] as const),
] as const;

export interface Check {
  check: (typeof accessCheckNames)[number];
  outcome: "PASSED" | "REFUSED" | "COUNTED" | "SKIPPED";
  code: ErrorCode | null;
  limit: string | null;
  used: string | null;
  required: string | null;
  resetAt: Date | null;
  detail: string | null;
}

export interface Question {
  apiKeyId: string;
  input: GenerateInput;
  ip: string | undefined;
  at: Date | undefined;
}

export interface Explanation {
  judgedAt: Date;
  checks: Check[];
}

export interface ExplainOptions {
  db: Database;
  catalogue: Catalogue;
  limits: LimitsService;
  inputBytesMax: number;
  tariff: Tariff;
}

type Match = Omit<SecretMatch, "secret">;

const nothing = { code: null, limit: null, used: null, required: null, resetAt: null, detail: null };

export class AccessExplainer {
  readonly #options: ExplainOptions;

  constructor(options: ExplainOptions) {
    this.#options = options;
  }

  /** @throws NOT_FOUND when there is no such key */
  async explain({ apiKeyId, input, ip, at }: Question): Promise<Explanation> {
    const { db, catalogue, limits, inputBytesMax, tariff } = this.#options;
    const match = await keyWithPlan(db.orm, apiKeyId);
    if (!match) throw new AppError("NOT_FOUND");
    const key = toViewer(match);
    const judgedAt = at ?? match.databaseNow;
    const request = await attempt(() => readGenerationRequest(input, inputBytesMax));
    const route = await attempt(() => catalogue.route(input.model));
    const candidates = request.value && route.value && (await candidatesFor(request.value, route.value, key));
    const funds = await fundsOf(db.orm, key);
    const checks = [
      ...ofKey(match, judgedAt, ip),
      ofModel(route, key),
      verdict("GUARD", request.error ?? candidates?.error),
      ...(await limits.look(key)).map((usage) => ofUsage(usage, key, match.databaseNow, candidates?.value)),
      ...key.budgets.map((budget) =>
        ofBudget(budget, key, funds, candidates?.value && mostOf(candidates.value, tariff)),
      ),
      ofCredits(funds, candidates?.value, tariff),
    ];
    return { judgedAt, checks };
  }
}

interface Attempt<T> {
  value?: T;
  error?: AppError;
}

async function attempt<T>(work: () => T | Promise<T>): Promise<Attempt<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    if (error instanceof AppError) return { error };
    throw error;
  }
}

function candidatesFor(request: GenerationRequest, route: Route, key: KeyViewer): Promise<Attempt<ModelCandidates>> {
  return attempt(() => candidatesOf(request, route, key, needsOf(request)));
}

function verdict(check: Check["check"], error: AppError | undefined): Check {
  if (!error) return { ...nothing, check, outcome: "PASSED" };
  return { ...nothing, check, outcome: "REFUSED", code: error.code, detail: error.message };
}

function ofKey({ key }: Match, judgedAt: Date, ip: string | undefined): Check[] {
  const { status, expiresAt, scopes, allowedIps, hours, limitMode } = key;
  const stopped = { ACTIVE: undefined, DISABLED: "KEY_DISABLED", REVOKED: "KEY_REVOKED" } as const;
  const code = stopped[status];
  const late = expiresAt !== null && expiresAt <= judgedAt;
  const outside = hoursVerdict(hours ? openHours(hours) : undefined, judgedAt.getTime());
  const opening = outside?.details?.["resetAt"];
  return [
    verdict("STATUS", code && new AppError(code)),
    { ...verdict("EXPIRY", late ? new AppError("KEY_EXPIRED") : undefined), resetAt: expiresAt },
    { ...verdict("SCOPE", scopes.includes("generate") ? undefined : new AppError("FORBIDDEN")), detail: scopes.join() },
    ofAddress(allowedIps, ip),
    {
      ...verdict("HOURS", outside && new AppError(outside.code)),
      ...(outside && limitMode === "SHADOW" && { outcome: "COUNTED" as const }),
      resetAt: typeof opening === "string" ? new Date(opening) : null,
    },
  ];
}

function ofAddress(allowedIps: string[] | null, ip: string | undefined): Check {
  const limit = allowedIps?.join() ?? null;
  if (ip === undefined && allowedIps) {
    return { ...nothing, check: "ADDRESS", outcome: "SKIPPED", limit, detail: "Say from which address, with ip." };
  }
  const allowed = !allowedIps || allowsAddress(toBlockList(allowedIps), ip ?? "");
  return { ...verdict("ADDRESS", allowed ? undefined : new AppError("IP_NOT_ALLOWED")), limit, used: ip ?? null };
}

function ofModel({ value: route, error }: Attempt<Route>, key: KeyViewer): Check {
  const refused = route && !mayCall(key, route) ? new AppError("MODEL_NOT_ALLOWED") : error;
  return { ...verdict("MODEL", refused), limit: key.models?.join() ?? null, used: route?.name ?? null };
}

const checkOfLimit = { requests: "REQUESTS", tokensPerMinute: "TOKENS", maxConcurrency: "CONCURRENCY" } as const;

function ofUsage(
  { limited, limit, used, msBeforeReset }: LimitUsage,
  key: KeyViewer,
  now: Date,
  candidates?: ModelCandidates,
): Check {
  const check = checkOfLimit[limited];
  const most = limited === "tokensPerMinute" ? candidates && totalTokensOf(candidates) : 1;
  // A call that could use more than the whole limit takes all of it.
  const required = most === undefined ? undefined : Math.min(most, limit);
  const figures = {
    limit: String(limit),
    used: String(used),
    required: required === undefined ? null : String(required),
    resetAt: msBeforeReset > 0 ? new Date(now.getTime() + msBeforeReset) : null,
  };
  if (required === undefined) return { ...skipped(check), ...figures };
  return { ...limitVerdict(check, used + required > limit && "RATE_LIMITED", key.limitMode), ...figures };
}

function ofBudget(
  { scope, scopeId, unit, period, limit }: Budget,
  key: KeyViewer,
  { windows }: Funds,
  most: { credits: bigint; costNanoUsd: bigint } | undefined,
): Check {
  const format = unit === "USD" ? formatUsd : formatCredits;
  const isIt = (window: Funds["windows"][number]) =>
    window.scopeId === scopeId && window.unit === unit && window.period === period;
  const taken = windows.find(isIt)?.taken ?? 0n;
  const required = most && (unit === "USD" ? most.costNanoUsd : most.credits);
  const figures = {
    limit: format(limit),
    used: format(taken),
    required: required === undefined ? null : format(required),
    detail: `${scope} ${unit} ${period}`,
  };
  if (required === undefined) return { ...skipped("BUDGET"), ...figures };
  const mode = scope === "KEY" ? key.limitMode : "ENFORCE";
  return { ...limitVerdict("BUDGET", taken + required > limit && "BUDGET_EXCEEDED", mode), ...figures };
}

/** A wallet may pay for fewer output tokens than requested. */
function ofCredits({ available }: Funds, candidates: ModelCandidates | undefined, tariff: Tariff): Check {
  const figures = { limit: formatCredits(available), detail: "limit is what the wallet has free" };
  if (!candidates) return { ...skipped("CREDITS"), ...figures };
  const [first] = candidates;
  const least = mostOf([withOutput(first, Math.min(first.most.outputTokens, 1))], tariff).credits;
  const refused = least > available ? new AppError("OUT_OF_CREDITS") : undefined;
  return { ...verdict("CREDITS", refused), ...figures, required: formatCredits(least) };
}

function limitVerdict(check: Check["check"], code: ErrorCode | false, mode: KeyViewer["limitMode"]): Check {
  const told = verdict(check, code ? new AppError(code) : undefined);
  return code && mode === "SHADOW" ? { ...told, outcome: "COUNTED" } : told;
}

function skipped(check: Check["check"]): Check {
  return { ...nothing, check, outcome: "SKIPPED" };
}
