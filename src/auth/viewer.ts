import { AppError, type ErrorCode } from "../errors.ts";
import type { Loaders } from "../graphql/loaders.ts";
import { Cancellation } from "../tasks/cancellation.ts";

export const roles = ["MEMBER", "ANALYST", "OPERATOR", "ADMIN", "OWNER"] as const;
export type RoleName = (typeof roles)[number];

export interface UserViewer {
  kind: "USER";
  userId: string;
  /** Null for a token of an identity provider, which has no session here. */
  sessionId: string | null;
  role: RoleName;
  /** The operator with direct access to the database: no user and no request. */
  isOperator?: true;
  /** Set for a MEMBER, who sees this account only. */
  accountId: string | null;
  /** For a MEMBER whose account does not show the providers' prices and costs. */
  hidesUsd?: boolean;
}

/** A limit on the cost of a key or account in a UTC day or month. */
export interface Budget {
  scope: "KEY" | "ACCOUNT";
  /** The key's id, or the account's. */
  scopeId: string;
  unit: "USD" | "CREDITS";
  period: "DAY" | "MONTH";
  /** In nano-USD or micro-credits. */
  limit: bigint;
}

export interface KeyViewer {
  kind: "API_KEY";
  apiKeyId: string;
  accountId: string;
  walletId: string;
  scopes: readonly string[];
  /** Names and patterns of the models it may call; null means every model. */
  models: readonly string[] | null;
  requestsPerMinute: number | null;
  budgets: readonly Budget[];
  tokensPerMinute: number | null;
  maxConcurrency: number | null;
  limitMode: "ENFORCE" | "SHADOW";
  /** The default of `cacheSeconds` for the key's calls; null means no cached answers. */
  cacheSeconds: number | null;
  /** Whether prompt logs are on, by the key's setting or its account's. */
  logsPrompts: boolean;
  /** Whether its account does not show the providers' prices and costs. */
  hidesUsd?: boolean;
}

export type Viewer = UserViewer | KeyViewer;

/** Either the caller, or why its credential was refused; neither when the request has no credential. */
export interface Identity {
  viewer?: Viewer;
  refusal?: AppError;
  /** The key that was refused, when it is known which one. */
  refusedKey?: { accountId: string; apiKeyId: string };
  /** The error with which the caller would have been refused if its limits were enforced. */
  shadowed?: ErrorCode;
}

/** The context of every resolver. Created for each request. */
export interface Context {
  identity: Identity;
  loaders: Loaders;
  /** Shown to the caller in every error and written to the log beside its cause. */
  requestId: string;
  ip: string;
  /** The client's `User-Agent`, if the request has one. */
  userAgent?: string | undefined;
  /** Aborted when the client leaves before its answer, and by anything else that must end the operation. */
  operation: Cancellation;
  /** What is left of the narrowest window that a field of the operation was counted in. */
  rateLimit?: { limit: number; remaining: number; resetSeconds: number; windowSeconds: number };
  /** The charge of the operation's paid field, once it is settled. */
  credits?: { reserved: string; charged: string; balance: string };
  /** Whether the paid field was answered out of the cache. */
  cached?: boolean;
}

export function viewerOf({ identity }: Pick<Context, "identity">): Viewer {
  if (identity.viewer) return identity.viewer;
  throw identity.refusal ?? new AppError("UNAUTHENTICATED");
}

export function hasRole(viewer: Viewer, least: RoleName): viewer is UserViewer {
  return viewer.kind === "USER" && roles.indexOf(viewer.role) >= roles.indexOf(least);
}

/** The user who is calling. Only for fields that declare a role, which is checked before. */
export function personOf(context: Pick<Context, "identity">): UserViewer {
  const viewer = viewerOf(context);
  if (viewer.kind !== "USER") throw new AppError("FORBIDDEN");
  return viewer;
}

/**
 * The account to which a caller's view is narrowed, for the WHERE of a statement; undefined for people who see all
 * accounts. @throws FORBIDDEN for a MEMBER without an account. What is done with an object or a search of another account is said by `tenancy.ts`.
 */
export function boundAccount(viewer: Viewer): string | undefined {
  if (viewer.kind === "API_KEY") return viewer.accountId;
  if (viewer.role !== "MEMBER") return undefined;
  // Undefined would show every account to a MEMBER that has none.
  if (!viewer.accountId) throw new AppError("FORBIDDEN", { message: "This MEMBER belongs to no account." });
  return viewer.accountId;
}

/** The actor of a change and its request. Both parts of the request are null for the server or its operator. */
export interface Origin {
  actor: string;
  ip: string | null;
  requestId: string | null;
}

export function originOf(context: Pick<Context, "identity" | "ip" | "requestId">): Origin {
  return { actor: actorOf(viewerOf(context)), ip: context.ip, requestId: context.requestId };
}

export function systemOrigin(name: string): Origin {
  return { actor: `system:${name}`, ip: null, requestId: null };
}

/** For operations that the operator runs on the database directly. */
export function operatorContext(requestId: string): Omit<Context, "loaders"> {
  const viewer: UserViewer = {
    kind: "USER",
    userId: "operator",
    sessionId: null,
    role: "OWNER",
    isOperator: true,
    accountId: null,
  };
  return { identity: { viewer }, requestId, ip: "local", operation: new Cancellation() };
}

/** How a change is attributed in the ledger, e.g. `user:0190…`. */
export function actorOf(viewer: Viewer): string {
  if (viewer.kind === "USER" && viewer.isOperator) return "system:cli";
  return viewer.kind === "USER" ? `user:${viewer.userId}` : `key:${viewer.apiKeyId}`;
}
