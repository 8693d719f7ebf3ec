import type { MemberKeys } from "../auth/people/directory/service.ts";
import { toWire } from "../ids.ts";
import type { KeyIdentity } from "./identity.ts";
import { resumeKeysOf, stopKeysOf } from "./store.ts";

/**
 * The keys of a MEMBER stop while the MEMBER is disabled, if its account says so. Those that were stopped for another
 * reason, before or meanwhile, stay stopped. The new version of each key tells every replica, as a revocation does.
 */
export function lendMemberKeys(identity: () => KeyIdentity): MemberKeys {
  return {
    stop: async (tx, { id, accountId }) => toIds(await stopKeysOf(tx, `user:${id}`, accountId)),
    resume: async (tx, { id }) => toIds(await resumeKeysOf(tx, `user:${id}`)),
    forget: (accountId) => identity().forgetOf("account", accountId),
  };
}

function toIds(rows: { id: string }[]): string[] {
  return rows.map(({ id }) => toWire("key", id));
}
