import { AppError, type ErrorCode } from "../errors.ts";
import type { Loaders } from "../graphql/loaders.ts";
import { Cancellation } from "../tasks/cancellation.ts";

export const roles = ["MEMBER", "ANALYST", "OPERATOR", "ADMIN", "OWNER"] as const;
export type RoleName = (typeof roles)[number];

export interface UserViewer {
  kind: "USER";
  userId: string;
  /** Null when the token came from another issuer: then there is no session here. */
  sessionId: string | null;
  role: RoleName;
  /** Whoever has the database itself in hand: no person, and no request came from anywhere. */
  isOperator?: true;
  /** Set for a MEMBER, who sees this account only. */
  accountId: string | null;
  /** For a MEMBER whose account does not show the providers' prices and costs. */
  hidesUsd?: boolean;
}

/** A limit on what a key or its account may cost in a day or month of UTC. */
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
  /** How old an answer out of the cache may be, in seconds, for calls that do not say; null means that they get none. */
  cacheSeconds: number | null;
  /** Whether its account or an admin has agreed that what it says is kept for a while. */
  logsPrompts: boolean;
  /** Whether its account does not show the providers' prices and costs. */
  hidesUsd?: boolean;
}

export type Viewer = UserViewer | KeyViewer;

/** Either who is calling, or why the credential that came was refused; neither when none came. */
export interface Identity {
  viewer?: Viewer;
  refusal?: AppError;
  /** The key that was refused, when it is known which one. */
  refusedKey?: { accountId: string; apiKeyId: string };
  /** With what the caller would have been refused, were its limits not only counted. */
  shadowed?: ErrorCode;
}

/** What every resolver is given. Made anew for each request. */
export interface Context {
  identity: Identity;
  loaders: Loaders;
  /** Shown to the caller in every error and written to the log beside its cause. */
  requestId: string;
  ip: string;
  /** What the client calls itself, where a request says so. */
  userAgent?: string | undefined;
  /** Aborted when the client goes away before its answer; and by whatever else must break the operation off. */
  operation: Cancellation;
  /** What is left of the narrowest window that a field of the operation was counted in. */
  rateLimit?: { limit: number; remaining: number; resetSeconds: number; windowSeconds: number };
  /** What the paid field of the operation came to, once it is settled. */
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

/** The person calling. Only for fields that declare a role, which has been checked by then. */
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

/** Who makes a change and from where. Both are null for what the server or its operator does by itself. */
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

/** For operations that are run on the database directly. */
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
