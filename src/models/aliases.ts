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
 * Further names of models and presets, which an admin may point elsewhere at any time. A call is recorded under what its
 * alias stood for.
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
      if (await modelByName(tx, name)) throw new AppError("CONFLICT", { message: `${name} is a model or a preset.` });
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
    throw badInput(`There are 1 to ${targetsMax} targets.`, { field });
  if (new Set(targets.map(({ model }) => model)).size < targets.length)
    throw badInput("Targets must differ.", { field });
  if (targets.some(({ weight }) => weight != null && (weight < 1 || weight > weightMax))) {
    throw badInput(`A weight is 1 to ${weightMax}.`, { field });
  }
}

function unknownTarget(model: string): never {
  throw badInput(`"${model}" names no model or preset.`, { field: "targets" });
}

/** What the audit keeps of it. */
function sideOf(rows: AliasRow[]): object | null {
  return rows.length === 0 ? null : { targets: rows.map(({ modelId, weight }) => ({ modelId, weight })) };
}
