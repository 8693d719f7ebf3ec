import { AppError } from "../errors.ts";
import type { AccessRules } from "../graphql/directives/access.ts";
import { type Context, hasRole, type RoleName, type Viewer, viewerOf } from "./viewer.ts";

/** The scopes of keys, and the lowest role with which a user may do the same without a key. */
export const scopeRoles = {
  generate: null,
  embed: null,
  "usage:read": "MEMBER",
  "models:read": "MEMBER",
} as const satisfies Record<string, RoleName | null>;

/** A key that may call models may read which ones, and their prices. */
const impliedBy: Partial<Record<Scope, readonly Scope[]>> = { "models:read": ["generate", "embed"] };

export type Scope = keyof typeof scopeRoles;
export const scopes = Object.keys(scopeRoles) as Scope[];
/** A scope that an admin invents: a model that requires it can be called only with keys that have it. */
export function isModelScope(text: string): boolean {
  return /^model:[a-z0-9][a-z0-9._-]{0,63}$/.test(text);
}

export const defaultScopes: Scope[] = ["generate", "embed", "usage:read"];

export const accessChecks: AccessRules<Context> = {
  authenticated: (context) => {
    viewerOf(context);
  },
  role: (context, requires) => {
    if (!hasRole(viewerOf(context), requires as RoleName)) throw forbidden(`This needs the role ${requires}.`);
  },
  scope: (context, requires) => {
    const viewer = viewerOf(context);
    if (viewer.kind === "API_KEY") {
      const enough = [requires as Scope, ...(impliedBy[requires as Scope] ?? [])];
      if (enough.some((scope) => viewer.scopes.includes(scope))) return;
      throw forbidden(`This API key lacks the scope "${requires}".`);
    }
    const role = scopeRoles[requires as Scope];
    if (role === null) throw forbidden("This needs an API key, in the header x-api-key or Authorization: Bearer.");
    if (!hasRole(viewer, role)) throw forbidden(`This needs the role ${role}.`);
  },
};

export const usdRule = {
  hides: ({ identity }: Context) => identity.viewer?.hidesUsd ?? false,
  check: (context: Context) => checkMayReadUsd(viewerOf(context)),
};

/** For what a caller could learn of costs by asking for them: a sort order, a minimum. @throws FORBIDDEN */
export function checkMayReadUsd({ hidesUsd }: Viewer): void {
  if (hidesUsd) throw forbidden("Prices and costs in USD are not shown to this account. Select credits instead.");
}

function forbidden(message: string): AppError {
  return new AppError("FORBIDDEN", { message });
}
