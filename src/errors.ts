/**
 * The one catalogue of what a caller can be told. A code is never reused for another meaning.
 * `message` is what the caller reads; the cause of an error goes to the log only.
 */
export interface Fault {
  status: number;
  /** Whether the same request may succeed later without being changed. */
  retryable: boolean;
  message: string;
}

export const catalogue = {
  // Who is calling
  UNAUTHENTICATED: { status: 401, retryable: false, message: "A valid API key or access token is required." },
  KEY_EXPIRED: { status: 401, retryable: false, message: "This API key has expired." },
  KEY_DISABLED: { status: 401, retryable: false, message: "This API key is disabled. An admin can enable it." },
  KEY_REVOKED: { status: 401, retryable: false, message: "This API key was revoked." },
  // What the caller may do
  FORBIDDEN: { status: 403, retryable: false, message: "The caller may not do this." },
  MODEL_NOT_ALLOWED: { status: 403, retryable: false, message: "This API key may not call this model." },
  IP_NOT_ALLOWED: { status: 403, retryable: false, message: "This API key may not be used from this address." },
  OUTSIDE_HOURS: { status: 403, retryable: true, message: "This API key may not be used at this time." },
  // What the caller may spend
  OUT_OF_CREDITS: { status: 402, retryable: false, message: "The wallet does not hold enough credits for this call." },
  BUDGET_EXCEEDED: { status: 402, retryable: true, message: "This call would exceed a budget." },
  RATE_LIMITED: { status: 429, retryable: true, message: "Too many calls. Try again later." },
  // What was asked
  BAD_USER_INPUT: { status: 400, retryable: false, message: "The request is not valid." },
  ONE_PAID_FIELD: { status: 400, retryable: false, message: "An operation may contain at most one paid field." },
  NOT_FOUND: { status: 404, retryable: false, message: "No such object." },
  CONFLICT: { status: 409, retryable: false, message: "The object exists already or has changed." },
  IDEMPOTENCY_MISMATCH: {
    status: 409,
    retryable: false,
    message: "This idempotency key was used with another input.",
  },
  IDEMPOTENCY_IN_PROGRESS: {
    status: 409,
    retryable: true,
    message: "A call with this idempotency key is still running.",
  },
  MODEL_UNPRICED: {
    status: 409,
    retryable: false,
    message: "This model has no price yet. An admin sets one with setModelPrice.",
  },
  INPUT_TOO_LARGE: { status: 413, retryable: false, message: "The input is too large." },
  INPUT_BLOCKED: { status: 422, retryable: false, message: "The input was blocked by a content rule." },
  // What went wrong on the way
  PROVIDER_FAILED: { status: 502, retryable: true, message: "The model's provider failed. Nothing was charged." },
  PROVIDER_TIMEOUT: {
    status: 504,
    retryable: true,
    message: "The model's provider did not answer in time. Nothing was charged.",
  },
  UNAVAILABLE: { status: 503, retryable: true, message: "The service cannot take this call now. Try again." },
  INTERNAL: { status: 500, retryable: false, message: "An internal error occurred." },
} as const satisfies Record<string, Fault>;

export type ErrorCode = keyof typeof catalogue;

export interface AppErrorOptions {
  /** Replaces the catalogue's message; must be fit for any caller to read. */
  message?: string;
  /** Public facts beside the code, such as `retryAfter` in seconds. */
  details?: Record<string, unknown>;
  /** For the log only. */
  cause?: unknown;
  /** Whether somebody reached for what is not theirs, which the audit is told; by itself so if it is FORBIDDEN. */
  isOverreach?: boolean;
}

/** The only error that is thrown on purpose. Everything else reaches a caller as INTERNAL. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly details: Record<string, unknown>;
  readonly isOverreach: boolean;

  constructor(code: ErrorCode, { message, details = {}, cause, isOverreach }: AppErrorOptions = {}) {
    super(message ?? catalogue[code].message, { cause });
    this.name = "AppError";
    this.code = code;
    this.details = details;
    this.isOverreach = isOverreach ?? code === "FORBIDDEN";
  }
}

/** For the commonest refusal: what is wrong with which input field. */
export function badInput(message: string, details: Record<string, unknown> = {}): AppError {
  return new AppError("BAD_USER_INPUT", { message, details });
}
