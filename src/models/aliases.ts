import type { RecordChange } from "../auth/record-change.ts";
import type { Origin } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { AppError, badInput } from "../errors.ts";
import type { Catalogue, ListedAlias } from "./catalogue.ts";
import { checkModelName } from "./model-input.ts";
import {
  type AliasRow,
  deleteAlias,
  insertAlias,
  lockCatalogue,
  type ModelRow,
  modelByName,
  readAliases,
} from "./store.ts";

/**
 * Aliases: other names for models and presets. An admin may change their targets at any time. A call is recorded under
 * the name of its target.
 */
export interface AliasChange {
  name: string;
  targets: { model: string; weight?: number | null | undefined }[];
}

const targetsMax = 10;
const weightMax = 1_000_000;

export class Aliases {
  readonly #db: Database;
  readonly #catalogue: Catalogue;
  readonly #record: RecordChange;

  constructor(db: Database, catalogue: Catalogue, record: RecordChange) {
    this.#db = db;
    this.#catalogue = catalogue;
    this.#record = record;
  }

  async upsert(origin: Origin, { name, targets }: AliasChange): Promise<ListedAlias> {
    checkModelName(name, "name");
    checkTargets(targets);
    const alias = await this.#db.transaction(async (tx) => {
      await lockCatalogue(tx);
      if (await modelByName(tx, name))
        throw new AppError("CONFLICT", { message: `The name ${name} is in use by a model or preset.` });
      const models: ModelRow[] = [];
      for (const { model } of targets) models.push((await modelByName(tx, model)) ?? unknownTarget(model));
      const before = await readAliases(tx, name);
      await deleteAlias(tx, name);
      const { createdAt = new Date() } = before[0] ?? {};
      const rows = models.map(({ id }, i) => ({ name, modelId: id, weight: targets[i]?.weight ?? 1, createdAt }));
      await insertAlias(tx, rows);
      const after = { name, targets: rows.map(({ weight }, i) => ({ model: models[i]?.name ?? "", weight })) };
      const action = before.length > 0 ? "alias.update" : "alias.create";
      await this.#record(tx, origin, {
        action,
        object: `alias:${name}`,
        accountId: null,
        before: sideOf(before),
        after,
      });
      return { ...after, createdAt };
    });
    this.#catalogue.forget();
    return alias;
  }

  async remove(origin: Origin, name: string): Promise<boolean> {
    await this.#db.transaction(async (tx) => {
      await lockCatalogue(tx);
      const before = await readAliases(tx, name);
      if (before.length === 0) throw new AppError("NOT_FOUND", { message: "No such alias." });
      await deleteAlias(tx, name);
      const change = { action: "alias.remove", object: `alias:${name}`, accountId: null, before: sideOf(before) };
      await this.#record(tx, origin, change);
    });
    this.#catalogue.forget();
    return true;
  }
}

function checkTargets(targets: AliasChange["targets"]): void {
  const field = "targets";
  if (targets.length === 0 || targets.length > targetsMax)
    throw badInput(`targets must have 1 to ${targetsMax} items.`, { field });
  if (new Set(targets.map(({ model }) => model)).size < targets.length)
    throw badInput("Each target must be a different model or preset.", { field });
  if (targets.some(({ weight }) => weight != null && (weight < 1 || weight > weightMax))) {
    throw badInput(`weight must be 1 to ${weightMax}.`, { field });
  }
}

function unknownTarget(model: string): never {
  throw badInput(`targets must be models or presets; "${model}" is neither.`, { field: "targets" });
}

/** The fields of an alias that the audit records. */
function sideOf(rows: AliasRow[]): object | null {
  return rows.length === 0 ? null : { targets: rows.map(({ modelId, weight }) => ({ modelId, weight })) };
}
