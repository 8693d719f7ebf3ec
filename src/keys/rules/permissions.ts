import { hasRole, type UserViewer } from "../../auth/viewer.ts";
import { AppError } from "../../errors.ts";
import type { FieldLimit } from "../../graphql/directives/rate-limit.ts";
import type { KeyRow, MemberBounds } from "../store.ts";
import type { KeyInput, KeySettings } from "./key-input.ts";
import { isWithin } from "./model-patterns.ts";

/**
 * Who may manage which keys. An OPERATOR all of them; a MEMBER those that it made in its own account, within the plan
 * that the account has. An ANALYST only reads.
 */
export function checkMayManageKeys({ role }: UserViewer): void {
  if (role === "ANALYST") throw forbidden("This needs the role OPERATOR, or a MEMBER of the account.");
}

export function isMember({ role }: UserViewer): boolean {
  return role === "MEMBER";
}

/** A revoked key cannot be changed. @throws NOT_FOUND, FORBIDDEN, or CONFLICT: revoked is a final state */
export function checkMayChange(viewer: UserViewer, key: KeyRow | undefined): KeyRow {
  checkMayManageKeys(viewer);
  if (!key) throw new AppError("NOT_FOUND");
  if (isMember(viewer) && key.createdBy !== `user:${viewer.userId}`) {
    throw forbidden("A MEMBER may change the keys that it made itself.");
  }
  if (key.status === "REVOKED") throw new AppError("CONFLICT", { message: "A revoked key cannot be changed." });
  return key;
}

/**
 * First credits are a grant, so they need the role of `grantCredits`.
 * @param amount in micro-credits
 * @throws FORBIDDEN
 */
export function checkMayGrant(viewer: UserViewer, amount: bigint): void {
  if (amount === 0n || hasRole(viewer, "ADMIN")) return;
  throw forbidden("Credits above 0 need the role ADMIN. Omit them, or use the account's shared wallet.");
}

/** Settings that only staff may give to a key. @throws FORBIDDEN */
export function checkMemberInput(order: KeyInput): void {
  if (order.planId !== undefined) throw forbidden("A MEMBER cannot choose the plan of a key.");
  if (order.metadata !== undefined) throw forbidden("A MEMBER cannot set the metadata of a key: it is the staff's.");
  if (order.limitMode === "SHADOW") throw forbidden("A MEMBER cannot take a key's limits out of force.");
}

const bounded = [
  "requestsPerMinute",
  "tokensPerMinute",
  "maxConcurrency",
  "dailyBudgetNanoUsd",
  "monthlyBudgetNanoUsd",
  "dailyBudgetMicroCredits",
  "monthlyBudgetMicroCredits",
] as const;

/**
 * A key's own value comes before its plan's, so a MEMBER's must be narrower.
 * @throws FORBIDDEN for a limit beyond that of the plan, or of requests beyond that of the field if the plan has none
 */
export function checkWithinPlan(
  settings: Partial<KeySettings>,
  plan: MemberBounds["plan"],
  { limit, durationSeconds }: FieldLimit,
): void {
  const fieldPerMinute = Math.floor((limit * 60) / durationSeconds);
  for (const field of bounded) {
    const most = plan?.[field] ?? (field === "requestsPerMinute" ? fieldPerMinute : null);
    const value = settings[field];
    if (value != null && most !== null && value > most) throw forbidden(`${field} is beyond what the account allows.`);
  }
  if (settings.models && !isWithin(settings.models, plan?.models ?? null)) {
    throw forbidden("models has one that the account does not allow.");
  }
}

/** @throws FORBIDDEN past the number of keys that the account allows each of its MEMBERs */
export function checkKeyCount(used: number, limit: number): void {
  if (used < limit) return;
  const details = { limit, used, liftedBy: "an admin, with updateAccount" };
  throw new AppError("FORBIDDEN", { message: `A MEMBER of this account may have ${limit} keys that work.`, details });
}

function forbidden(message: string): AppError {
  return new AppError("FORBIDDEN", { message });
}
