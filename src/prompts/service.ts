import type { RecordChange } from "../auth/record-change.ts";
import { boundAccount, type Origin, type Viewer } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import type { Sealer } from "../encryption.ts";
import { AppError, badInput } from "../errors.ts";
import type { Loaders, LoadMany } from "../graphql/loaders.ts";
import { cutPage, type Page, type PageRequest } from "../graphql/pagination.ts";
import { toWire } from "../ids.ts";
import { Interval } from "../tasks/interval.ts";
import {
  daysByAccount,
  daysByKey,
  deleteCachedAnswers,
  deleteExpiredPrompts,
  deletePrompts,
  findPrompt,
  listPrompts,
  lockDays,
  type PromptHeader,
  type PromptLogOwner,
  type PromptSearch,
  setDays,
} from "./store.ts";
import type { EncryptedPrompt } from "./writer.ts";

/**
 * Prompt logs (opt-in): an admin turns them on for a key or an account. Records are redacted, encrypted and deleted
 * after their retention period. They can be deleted by account and by end user, and each read is an audit event.
 * Prompt logs never touch the ledger.
 */
export interface PromptLogOptions {
  db: Database;
  sealer: Sealer;
  record: RecordChange;
  onError: (error: unknown) => void;
}

/** A decrypted prompt log record. */
export interface DecryptedPrompt extends PromptHeader, Omit<EncryptedPrompt, "id"> {}

const daysMax = 365;
const sweepEveryMs = 30_000;
const sweepMax = 1_000;

export class PromptLog {
  readonly #options: PromptLogOptions;
  readonly #upkeep: Interval;
  readonly byKey: LoadMany<number>;
  readonly byAccount: LoadMany<number>;

  constructor(options: PromptLogOptions) {
    const { db, onError } = options;
    this.#options = options;
    this.#upkeep = new Interval(() => this.deleteExpired(), sweepEveryMs, onError);
    this.byKey = (ids) => daysByKey(db.orm, ids);
    this.byAccount = (ids) => daysByAccount(db.orm, ids);
  }

  start(): void {
    this.#upkeep.start();
  }

  stop(): Promise<void> {
    return this.#upkeep.stop();
  }

  /** Retention of the caller's prompts in days; 0 when prompt logs are off. */
  async daysOf(viewer: Viewer, loaders: Loaders): Promise<number> {
    if (viewer.kind === "API_KEY") return (await loaders.load(this.byKey, viewer.apiKeyId)) ?? 0;
    const accountId = boundAccount(viewer);
    return accountId === undefined ? 0 : ((await loaders.load(this.byAccount, accountId)) ?? 0);
  }

  /**
   * Null `days`: a key uses its account's setting, and an account has prompt logs off. Records that exist stay.
   * @throws BAD_USER_INPUT or NOT_FOUND
   */
  async configure(origin: Origin, owner: PromptLogOwner, days: number | null): Promise<number> {
    if (days !== null && (!Number.isInteger(days) || days < 0 || days > daysMax)) {
      throw badInput(`days must be 0 to ${daysMax}.`, { field: "days" });
    }
    const { db, record } = this.#options;
    const { kind, id } = owner;
    await db.transaction(async (tx) => {
      const found = await lockDays(tx, owner);
      if (!found) throw new AppError("NOT_FOUND");
      const object = toWire(kind === "KEY" ? "key" : "acc", id);
      const sides = { before: { promptLogDays: found.days }, after: { promptLogDays: days } };
      await setDays(tx, owner, days);
      await record(tx, origin, { action: "prompts.agree", object, accountId: found.accountId, ...sides });
    });
    const effective = kind === "KEY" ? await daysByKey(db.orm, [id]) : await daysByAccount(db.orm, [id]);
    return effective.get(id) ?? 0;
  }

  /** Records without their text. */
  async list(search: PromptSearch, page: PageRequest): Promise<Page<PromptHeader>> {
    return cutPage(await listPrompts(this.#options.db.orm, search, page), page.limit);
  }

  /** @throws NOT_FOUND when the call was not logged or its record has expired */
  async read(origin: Origin, id: string): Promise<DecryptedPrompt> {
    const { db, sealer, record } = this.#options;
    return db.transaction(async (tx) => {
      const found = await findPrompt(tx, id);
      if (!found) throw new AppError("NOT_FOUND", { message: "This call has no prompt log." });
      const { sealed, ...header } = found;
      await record(tx, origin, { action: "prompts.read", object: toWire("gen", id), accountId: header.accountId });
      const { id: sealedId, ...said } = JSON.parse(sealer.open(sealed)) as EncryptedPrompt;
      if (sealedId !== id) throw new AppError("INTERNAL", { cause: new Error("a prompt in the place of another") });
      return { ...header, ...said };
    });
  }

  /**
   * Deletes the logs of an account, or of one of its end users. Cached answers are deleted with an account only.
   * @throws NOT_FOUND
   */
  async delete(origin: Origin, { accountId, endUser }: PromptSearch): Promise<{ prompts: number; answers: number }> {
    const { db, record } = this.#options;
    return db.transaction(async (tx) => {
      if (!(await lockDays(tx, { kind: "ACCOUNT", id: accountId }))) throw new AppError("NOT_FOUND");
      const prompts = await deletePrompts(tx, { accountId, endUser });
      const answers = endUser === undefined ? await deleteCachedAnswers(tx, accountId) : 0;
      const before = { prompts, answers, ...(endUser !== undefined && { endUser }) };
      await record(tx, origin, { action: "prompts.delete", object: toWire("acc", accountId), accountId, before });
      return { prompts, answers };
    });
  }

  async deleteExpired(): Promise<void> {
    while ((await deleteExpiredPrompts(this.#options.db.orm, sweepMax)) === sweepMax);
  }
}
