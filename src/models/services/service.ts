import type { RecordChange } from "../../auth/record-change.ts";
import type { Origin } from "../../auth/viewer.ts";
import { reservedServices } from "../../config/service-list.ts";
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
 * Model services that were added through the API. A base URL must lead to a public address. The key is encrypted and
 * never shown, and it is sent only to the address for which it was set.
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
      throw badInput("apiKey must have 1 to 500 visible ASCII characters.", { field: "apiKey" });
    // Resolved before the transaction: a slow DNS server must not block others.
    const url = baseUrl == null ? undefined : await this.#readUrl(baseUrl);
    const service = await db.transaction(async (tx) => {
      await lockCatalogue(tx);
      const before = await serviceByName(tx, name);
      const address = url ?? before?.baseUrl;
      if (!address) throw badInput("baseUrl must be set for a new service.", { field: "baseUrl" });
      const moved = before !== undefined && new URL(before.baseUrl).origin !== new URL(address).origin;
      if (moved && before.sealedKey && apiKey == null) {
        throw badInput("apiKey must be set again when baseUrl changes to another address.", { field: "apiKey" });
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
      if (!before) throw new AppError("NOT_FOUND", { message: "No such service." });
      const model = await modelOfService(tx, name);
      if (model)
        throw new AppError("CONFLICT", { message: `The model ${model.name} runs on this service. Disable it first.` });
      await deleteService(tx, name);
      const change = { action: "service.remove", object: `service:${name}`, accountId: null, before: sideOf(before) };
      await record(tx, origin, change);
    });
    catalogue.forget();
    return true;
  }

  #checkName(name: string): void {
    if (!/^[a-z][a-z0-9-]{0,31}$/.test(name)) {
      throw badInput("name must be 1 to 32 lower-case letters, digits and -, and start with a letter.", {
        field: "name",
      });
    }
    if (reservedServices.includes(name) || this.#options.providers.isFixed(name)) {
      throw new AppError("CONFLICT", { message: `The name ${name} is in use by the server's configuration.` });
    }
  }

  /** @throws BAD_USER_INPUT for an address that is not public */
  async #readUrl(text: string): Promise<string> {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    const plain = url && (url.protocol === "https:" || url.protocol === "http:") && url.search + url.hash === "";
    if (!plain || text.length > urlLengthMax || url.username !== "" || url.password !== "") {
      throw badInput("baseUrl must be of the form https://host/v1, without a user, a query or a fragment.", {
        field: "baseUrl",
      });
    }
    const refusal = await this.#options.guard.refusal(url);
    if (refusal) throw badInput(`baseUrl ${refusal}.`, { field: "baseUrl" });
    return url.href.replace(/\/+$/, "");
  }
}

/** The fields of a service that the audit records: never the key. */
function sideOf({ name, kind, baseUrl, sealedKey }: ServiceRow): object {
  return { name, kind, baseUrl, hasKey: sealedKey !== null };
}
