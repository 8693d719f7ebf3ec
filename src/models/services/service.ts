import type { RecordChange } from "../../auth/record-change.ts";
import type { Origin } from "../../auth/viewer.ts";
import type { Database } from "../../db/client.ts";
import type { Sealer } from "../../encryption.ts";
import { AppError, badInput } from "../../errors.ts";
import type { NetworkGuard } from "../../outbound/network-guard.ts";
import type { Catalogue } from "../catalogue.ts";
import type { ProviderKind, Providers } from "../providers/registry.ts";
import {
  deleteService,
  lockCatalogue,
  modelOfService,
  readServices,
  type ServiceRow,
  serviceByName,
  upsertService,
} from "../store.ts";

/**
 * Services on which models run, as people set them. A base URL leads to public addresses only, and the key is sealed
 * and never read back: it goes nowhere but to the address that it was given for.
 */
export interface ServiceChange {
  name: string;
  kind?: ProviderKind | null | undefined;
  baseUrl?: string | null | undefined;
  apiKey?: string | null | undefined;
}

export interface RemoteServicesOptions {
  db: Database;
  providers: Providers;
  catalogue: Catalogue;
  guard: NetworkGuard;
  sealer: Sealer;
  record: RecordChange;
}

const urlLengthMax = 500;
const keyPattern = /^[\x21-\x7e]{1,500}$/;

export class RemoteServices {
  readonly #options: RemoteServicesOptions;

  constructor(options: RemoteServicesOptions) {
    this.#options = options;
  }

  list(): Promise<ServiceRow[]> {
    return readServices(this.#options.db.orm);
  }

  async upsert(origin: Origin, { name, kind, baseUrl, apiKey }: ServiceChange): Promise<ServiceRow> {
    const { db, catalogue, sealer } = this.#options;
    this.#checkName(name);
    if (apiKey && !keyPattern.test(apiKey))
      throw badInput("apiKey has 1 to 500 visible characters.", { field: "apiKey" });
    // Looked up before the transaction: a slow name server must not hold up others.
    const url = baseUrl == null ? undefined : await this.#readUrl(baseUrl);
    const service = await db.transaction(async (tx) => {
      await lockCatalogue(tx);
      const before = await serviceByName(tx, name);
      const address = url ?? before?.baseUrl;
      if (!address) throw badInput("A new service needs a baseUrl.", { field: "baseUrl" });
      const moved = before !== undefined && new URL(before.baseUrl).origin !== new URL(address).origin;
      if (moved && before.sealedKey && apiKey == null) {
        throw badInput("Another address needs its apiKey to be given again.", { field: "apiKey" });
      }
      const kept = apiKey == null ? (before?.sealedKey ?? null) : null;
      const after = await upsertService(tx, {
        name,
        kind: kind ?? before?.kind ?? "OPENAI_COMPATIBLE",
        baseUrl: address,
        sealedKey: apiKey ? sealer.seal(apiKey) : kept,
      });
      const action = before ? "service.update" : "service.create";
      const sides = { before: before ? sideOf(before) : null, after: { ...sideOf(after), newKey: apiKey != null } };
      await this.#options.record(tx, origin, { action, object: `service:${name}`, accountId: null, ...sides });
      return after;
    });
    catalogue.forget();
    return service;
  }

  async remove(origin: Origin, name: string): Promise<boolean> {
    const { db, catalogue, record } = this.#options;
    await db.transaction(async (tx) => {
      await lockCatalogue(tx);
      const before = await serviceByName(tx, name);
      if (!before) throw new AppError("NOT_FOUND", { message: "No such service was set here." });
      const model = await modelOfService(tx, name);
      if (model) throw new AppError("CONFLICT", { message: `${model.name} runs there; disable it first.` });
      await deleteService(tx, name);
      const change = { action: "service.remove", object: `service:${name}`, accountId: null, before: sideOf(before) };
      await record(tx, origin, change);
    });
    catalogue.forget();
    return true;
  }

  #checkName(name: string): void {
    if (!/^[a-z][a-z0-9-]{0,31}$/.test(name)) {
      throw badInput("name is 1 to 32 small letters, digits and -, and begins with a letter.", { field: "name" });
    }
    if (["echo", "ollama", "anthropic"].includes(name) || this.#options.providers.isFixed(name)) {
      throw new AppError("CONFLICT", { message: `${name} belongs to the server's configuration.` });
    }
  }

  /** @throws BAD_USER_INPUT for an address that is not one of a service on the internet */
  async #readUrl(text: string): Promise<string> {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    const plain = url && (url.protocol === "https:" || url.protocol === "http:") && url.search + url.hash === "";
    if (!plain || text.length > urlLengthMax || url.username !== "" || url.password !== "") {
      throw badInput("baseUrl is of the form https://host/v1, without a user, a query or a fragment.", {
        field: "baseUrl",
      });
    }
    const refusal = await this.#options.guard.refusal(url);
    if (refusal) throw badInput(`baseUrl ${refusal}.`, { field: "baseUrl" });
    return url.href.replace(/\/+$/, "");
  }
}

/** What the audit keeps of it: never the key. */
function sideOf({ name, kind, baseUrl, sealedKey }: ServiceRow): object {
  return { name, kind, baseUrl, hasKey: sealedKey !== null };
}
