import type { RecordChange } from "../auth/record-change.ts";
import { type Context, originOf } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { AppError } from "../errors.ts";
import type { FailedMutation } from "../graphql/refusals.ts";
import { toWire } from "../ids.ts";

/**
 * Records each change that a user was not allowed to make. Nothing was changed, so the event has a transaction of its
 * own. If the event cannot be written, the caller is refused all the same.
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

/** The id among the arguments. Other arguments are not recorded, because they may be secrets. */
function idIn({ userId, id }: Record<string, unknown>): string | undefined {
  return [userId, id].find((text): text is string => typeof text === "string" && /^[a-z]{3}_[0-9a-f]{32}$/.test(text));
}
