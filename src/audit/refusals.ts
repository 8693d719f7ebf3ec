import type { RecordChange } from "../auth/record-change.ts";
import { type Context, originOf } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { AppError } from "../errors.ts";
import type { FailedMutation } from "../graphql/refusals.ts";
import { toWire } from "../ids.ts";

/**
 * Who reached for what is not theirs: a person whom a right or a rule refused a change. Nothing was changed, so the
 * event has a transaction of its own; that it could not be written does not hold up the refusal.
 */
export interface RefusalsOptions {
  db: Database;
  record: RecordChange;
  onError: (error: unknown) => void;
}

export class Refusals {
  readonly #options: RefusalsOptions;

  constructor(options: RefusalsOptions) {
    this.#options = options;
  }

  async write(context: Context, { field, args, error }: FailedMutation): Promise<void> {
    const { viewer } = context.identity;
    if (viewer?.kind !== "USER" || !(error instanceof AppError) || !error.isOverreach) return;
    const { db, record, onError } = this.#options;
    const { role } = args;
    const object = idIn(args) ?? toWire("usr", viewer.userId);
    const after = { code: error.code, reason: error.message, ...(role !== undefined && { role }) };
    const change = { action: `refused.${field}`, object, accountId: viewer.accountId, after };
    await db.transaction((tx) => record(tx, originOf(context), change)).catch(onError);
  }
}

/** Of the arguments only what cannot be anything but an id: the rest may be a secret. */
function idIn({ userId, id }: Record<string, unknown>): string | undefined {
  return [userId, id].find((text): text is string => typeof text === "string" && /^[a-z]{3}_[0-9a-f]{32}$/.test(text));
}
