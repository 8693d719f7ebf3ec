/**
 * Every error that a caller can receive. A code is never reused for another meaning.
 * The caller reads `message`. The cause of an error goes to the log only.
 */
interface CatalogueEntry {
  status: number;
  /** Whether the same request may succeed later without being changed. */
  retryable: boolean;
  message: string;
}

export const catalogue = {
  // Authentication
  UNAUTHENTICATED: { status: 401, retryable: false, message: "A valid API key or access token is required." },
  KEY_EXPIRED: { status: 401, retryable: false, message: "This API key has expired." },
  KEY_DISABLED: { status: 401, retryable: false, message: "This API key is disabled. An admin can re-enable it." },
  KEY_REVOKED: { status: 401, retryable: false, message: "This API key was revoked." },
  // Permissions of the caller
  FORBIDDEN: { status: 403, retryable: false, message: "You do not have permission to do this." },
  MODEL_NOT_ALLOWED: { status: 403, retryable: false, message: "This API key is not allowed to call this model." },
  IP_NOT_ALLOWED: { status: 403, retryable: false, message: "This API key is not allowed from this IP address." },
  OUTSIDE_HOURS: {
    status: 403,
    retryable: true,
    message: "This API key is not allowed at this time of the day or week.",
  },
  // Credits, budgets and rate limits
  OUT_OF_CREDITS: { status: 402, retryable: false, message: "The wallet does not have enough credits for this call." },
  BUDGET_EXCEEDED: { status: 402, retryable: true, message: "This call would exceed a budget." },
  RATE_LIMITED: { status: 429, retryable: true, message: "Too many requests. Retry later." },
  // Faults of the request
  BAD_USER_INPUT: { status: 400, retryable: false, message: "The request is not valid." },
  ONE_PAID_FIELD: { status: 400, retryable: false, message: "An operation must contain at most one paid field." },
  NOT_FOUND: { status: 404, retryable: false, message: "No such object." },
  CONFLICT: { status: 409, retryable: false, message: "The object already exists or has changed." },
  IDEMPOTENCY_MISMATCH: {
    status: 409,
    retryable: false,
    message: "This idempotency key was already used with a different input.",
  },
  IDEMPOTENCY_IN_PROGRESS: {
    status: 409,
    retryable: true,
    message: "A request with this idempotency key is still running. Retry later.",
  },
  MODEL_UNPRICED: {
    status: 409,
    retryable: false,
    message: "This model has no price yet. An admin must set one with setModelPrice.",
  },
  INPUT_TOO_LARGE: { status: 413, retryable: false, message: "The input is too large." },
  INPUT_BLOCKED: { status: 422, retryable: false, message: "The input was blocked by a content rule." },
  // Failures of the provider or of the server
  PROVIDER_FAILED: { status: 502, retryable: true, message: "The model's provider failed. Nothing was charged." },
  PROVIDER_TIMEOUT: {
    status: 504,
    retryable: true,
    message: "The model's provider did not answer in time. Nothing was charged.",
  },
  UNAVAILABLE: { status: 503, retryable: true, message: "The service cannot handle this request now. Retry later." },
  INTERNAL: { status: 500, retryable: false, message: "An internal error occurred." },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof catalogue;

export interface AppErrorOptions {
  /** Replaces the catalogue's message. Any caller may read it. */
  message?: string;
  /** Public facts beside the code, such as `retryAfter` in seconds. */
  details?: Record<string, unknown>;
  /** For the log only. */
  cause?: unknown;
  /** Whether the caller asked for more than its rights, which the audit records. True by default for FORBIDDEN. */
  isOverreach?: boolean;
}

/** The only error that the code throws on purpose. A caller receives every other error as INTERNAL. */
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

/** BAD_USER_INPUT with a message that names the field and what is wrong with it. */
export function badInput(message: string, details: Record<string, unknown> = {}): AppError {
  return new AppError("BAD_USER_INPUT", { message, details });
}
