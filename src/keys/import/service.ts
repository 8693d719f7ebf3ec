import type { AccountsService } from "../../accounts/service.ts";
import type { Origin, UserViewer } from "../../auth/viewer.ts";
import type { Database } from "../../db/client.ts";
import { AppError, badInput } from "../../errors.ts";
import { readWire } from "../../ids.ts";
import { asRefusal, type Issuing, type PreparedKey, type ReadOrder, readKeyOrder } from "../issuing.ts";
import { plansById } from "../plans/store.ts";
import { checkMayGrant } from "../rules/permissions.ts";
import { digestKey, type Peppers } from "../secret.ts";
import { digestsInUse, type KeyRow } from "../store.ts";
import { type ImportFault, type ImportFormat, type RawEntry, readImportFile } from "./file.ts";
import { importEntry } from "./schema.ts";

/**
 * Imports all keys of a file or none: the whole file is validated, and every fault reported with its line, before all
 * keys are written in one transaction.
 */
export interface KeyImportOrder {
  format: ImportFormat;
  content: string;
  /** For entries that name no account; the default account when absent. */
  accountId: string | undefined;
  /** Validate the file and write nothing. */
  dryRun: boolean;
}

export interface ImportedKey {
  line: number;
  key: KeyRow;
  /** Null for a plaintext key that the file supplied. */
  secret: string | null;
}

export interface ImportOptions {
  db: Database;
  accounts: AccountsService;
  issuing: Issuing;
  peppers: Peppers;
}

/** Each supplied key needs a slow hash, and all keys are in one transaction. */
export const importLinesMax = 500;
const faultsToldMax = 100;

interface Read {
  line: number;
  order: ReadOrder;
  accountId: string;
  digest: Buffer | undefined;
}

export class KeyImport {
  readonly #options: ImportOptions;

  constructor(options: ImportOptions) {
    this.#options = options;
  }

  /** @throws BAD_USER_INPUT with the faults as `lines`; FORBIDDEN for credits that the viewer may not grant */
  async run(
    origin: Origin,
    viewer: UserViewer,
    order: KeyImportOrder,
  ): Promise<{ lines: number; keys: ImportedKey[] }> {
    const { entries, faults } = readImportFile(order.format, order.content);
    if (entries.length > importLinesMax) throw badInput(`A file has at most ${importLinesMax} keys.`);
    if (entries.length === 0 && faults.length === 0) throw badInput("The file has no keys.");
    const { id: accountId } = await this.#options.accounts.find(order.accountId);
    const read = entries.map((entry) => this.#read(entry, accountId));
    const orders = read.flatMap((one) => ("order" in one ? [one] : []));
    faults.push(...read.flatMap((one) => ("order" in one ? [] : one.faults)), ...(await this.#clashes(orders)));
    refuse(faults);
    for (const one of orders) checkMayGrant(viewer, one.order.amount);
    if (order.dryRun) return { lines: entries.length, keys: [] };
    return { lines: entries.length, keys: await this.#write(origin, orders) };
  }

  #read({ line, values }: RawEntry, defaultAccountId: string): Read | { faults: ImportFault[] } {
    const parsed = importEntry.safeParse(values);
    if (!parsed.success) {
      const faults = parsed.error.issues.map(({ path, message, ...issue }) => {
        const field = path.join(".") || ("keys" in issue ? issue.keys.join(", ") : null);
        return { line, field, message };
      });
      return { faults };
    }
    const { planId, accountId, ...entry } = parsed.data;
    const plan = planId == null ? planId : (readWire("pln", planId) ?? nothing);
    try {
      const order = readKeyOrder({ ...entry, planId: plan });
      const digest = order.brought === undefined ? undefined : digestKey(order.brought, this.#options.peppers);
      const account = accountId == null ? defaultAccountId : (readWire("acc", accountId) ?? nothing);
      return { line, order, accountId: account, digest };
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return { faults: [{ line, field: fieldOf(error), message: error.message }] };
    }
  }

  /** Faults of an entry that depend on other entries or on stored keys. */
  async #clashes(entries: Read[]): Promise<ImportFault[]> {
    const { db, accounts } = this.#options;
    const known = await accounts.byId([...new Set(entries.map(({ accountId }) => accountId))]);
    const planIds = entries.flatMap(({ order }) => order.terms.planId ?? []);
    const plans = await plansById(db.orm, [...new Set(planIds)]);
    const used = await digestsInUse(
      db.orm,
      entries.flatMap(({ digest }) => digest ?? []),
    );
    const seen = new Map<string, number>();
    return entries.flatMap(({ line, order, accountId, digest }) => {
      const faults: ImportFault[] = [];
      const account = known.get(accountId);
      if (!account) faults.push({ line, field: "accountId", message: "No such account." });
      if (account?.closedAt) faults.push({ line, field: "accountId", message: "This account is closed." });
      const { planId } = order.terms;
      if (planId && !plans.has(planId)) faults.push({ line, field: "planId", message: "No such plan." });
      const text = digest?.toString("hex") ?? "";
      const twin = seen.get(text);
      if (digest && twin !== undefined) faults.push({ line, field: "key", message: `It is the key of line ${twin}.` });
      if (used.has(text)) faults.push({ line, field: "key", message: "This key text is in use." });
      seen.set(text, twin ?? line);
      return faults;
    });
  }

  async #write(origin: Origin, entries: Read[]): Promise<ImportedKey[]> {
    const { db, issuing } = this.#options;
    const prepared: (PreparedKey & { line: number })[] = [];
    // One after the other, so that a call whose key this process must hash waits for at most one of them.
    for (const { line, order, accountId } of entries) {
      prepared.push({ ...(await issuing.prepare(order, accountId)), line });
    }
    try {
      return await db.transaction(async (tx) => {
        const keys: ImportedKey[] = [];
        for (const { line, ...one } of prepared) {
          const key = await issuing.write(tx, origin, one).catch((error: unknown) => {
            throw inLine(line, error);
          });
          keys.push({ line, key, secret: one.brought === undefined ? one.secret : null });
        }
        return keys;
      });
    } catch (error) {
      throw asRefusal(error);
    }
  }
}

/** A malformed id is treated as an unknown one. */
const nothing = "00000000-0000-0000-0000-000000000000";

function refuse(faults: ImportFault[]): void {
  if (faults.length === 0) return;
  const lines = faults.toSorted((a, b) => a.line - b.line).slice(0, faultsToldMax);
  const wrong = new Set(faults.map(({ line }) => line)).size;
  throw badInput(`${wrong} ${wrong === 1 ? "line is" : "lines are"} wrong. Nothing was imported.`, { lines });
}

function inLine(line: number, error: unknown): unknown {
  if (!(error instanceof AppError)) return error;
  const lines = [{ line, field: fieldOf(error), message: error.message }];
  return badInput("1 line is wrong. Nothing was imported.", { lines });
}

function fieldOf({ details }: AppError): string | null {
  return typeof details["field"] === "string" ? details["field"] : null;
}
