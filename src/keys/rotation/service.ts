import type { RecordChange } from "../../auth/record-change.ts";
import { boundAccount, type Origin, type UserViewer } from "../../auth/viewer.ts";
import type { Database } from "../../db/client.ts";
import { AppError, badInput } from "../../errors.ts";
import { newId, toWire } from "../../ids.ts";
import type { KeyIdentity } from "../identity.ts";
import { asRefusal } from "../issuing.ts";
import { checkMayChange } from "../rules/permissions.ts";
import { checkBroughtKey, type KeyEnvironment, mintKey, type Peppers, storedForm, visibleParts } from "../secret.ts";
import type { IssuedKey } from "../service.ts";
import { endSecrets, insertSecret, type KeyRow, liveSecrets, lockKey, updateKey } from "../store.ts";

/**
 * One key, many secrets. Rotating gives a key a new secret and leaves everything else as it is: id, credits, limits and
 * history. The old secrets keep working for the overlap, so that clients need not change at the same moment.
 */
export interface RotationOptions {
  db: Database;
  identity: KeyIdentity;
  peppers: Peppers;
  environment: KeyEnvironment;
  record: RecordChange;
}

export interface RotationOrder {
  /** How long the earlier secrets keep working; 0 ends them at once. */
  overlapSeconds: number;
  /** A plaintext key of the customer's own; generated when absent. */
  key?: string | null | undefined;
}

const overlapSecondsMax = 30 * 24 * 3600;
const liveSecretsMax = 10;
const dayMs = 86_400_000;

/** When a secret reaches the age that its account's policy allows. */
export function dueAt(newest: { validFrom: Date } | undefined, afterDays: number | null | undefined): Date | null {
  return newest && afterDays ? new Date(newest.validFrom.getTime() + afterDays * dayMs) : null;
}

export class Rotation {
  readonly #options: RotationOptions;

  constructor(options: RotationOptions) {
    this.#options = options;
  }

  async rotate(
    origin: Origin,
    viewer: UserViewer,
    id: string,
    { overlapSeconds, key: brought }: RotationOrder,
  ): Promise<IssuedKey> {
    const { db, identity, peppers, environment, record } = this.#options;
    if (overlapSeconds < 0 || overlapSeconds > overlapSecondsMax) {
      throw badInput(`overlapSeconds is 0 to ${overlapSecondsMax}.`, { field: "overlapSeconds" });
    }
    if (brought != null) checkBroughtKey(brought);
    const secret = brought ?? mintKey(environment);
    const stored = await storedForm(secret, peppers);
    try {
      const key = await db.transaction(async (tx) => {
        const before = checkMayChange(viewer, await lockKey(tx, { id, accountId: boundAccount(viewer) }));
        const { accountId } = before;
        if ((await liveSecrets(tx, before)).length >= liveSecretsMax && overlapSeconds > 0) {
          throw new AppError("CONFLICT", { message: `A key has at most ${liveSecretsMax} secrets at once. End one.` });
        }
        await endSecrets(tx, before, { overlapSeconds });
        await insertSecret(tx, { id: newId(), accountId, apiKeyId: id, ...stored });
        const after = await updateKey(tx, before, visibleParts(secret));
        await record(tx, origin, {
          ...{ action: "key.rotate", object: toWire("key", id), accountId },
          before: { last4: before.last4 },
          after: { last4: after.last4, overlapSeconds },
        });
        return after;
      });
      identity.forget(id, key.version);
      return { key, secret };
    } catch (error) {
      throw asRefusal(error);
    }
  }

  /**
   * @throws NOT_FOUND; CONFLICT for a secret that has ended, or for the last one, because a key without a secret must
   * be revoked
   */
  async endSecret(origin: Origin, viewer: UserViewer, id: string, secretId: string): Promise<KeyRow> {
    const { db, identity, record } = this.#options;
    const key = await db.transaction(async (tx) => {
      const before = checkMayChange(viewer, await lockKey(tx, { id, accountId: boundAccount(viewer) }));
      const live = await liveSecrets(tx, before);
      const ending = live.find((secret) => secret.id === secretId);
      if (live.length === 1 && ending) {
        throw new AppError("CONFLICT", { message: "This is the key's only secret. Rotate or revoke the key." });
      }
      const [ended] = await endSecrets(tx, before, { secretId, overlapSeconds: 0 });
      if (!ended) throw new AppError("NOT_FOUND");
      if (!ending) throw new AppError("CONFLICT", { message: "This secret has ended already." });
      const rest = live.filter((secret) => secret !== ending);
      // A key shows its newest working secret.
      const after = await updateKey(tx, before, { last4: rest[0]?.last4 ?? before.last4 });
      const { accountId } = after;
      const sides = { before: { secret: toWire("sec", secretId), last4: ending.last4 }, after: null };
      await record(tx, origin, { action: "key.endSecret", object: toWire("key", id), accountId, ...sides });
      return after;
    });
    identity.forget(id, key.version);
    return key;
  }
}
