import type { RecordChange } from "../auth/record-change.ts";
import type { Config } from "../config/environment.ts";
import type { Secrets } from "../config/secrets.ts";
import type { Database } from "../db/client.ts";
import { Sealer } from "../encryption.ts";
import { PublicNetwork } from "../outbound/network-guard.ts";
import { Aliases } from "./aliases.ts";
import { Catalogue } from "./catalogue.ts";
import { Prices } from "./prices/service.ts";
import { Providers } from "./providers/registry.ts";
import { ModelsResolver } from "./resolver.ts";
import { ModelsService } from "./service.ts";
import { Importing } from "./services/importing.ts";
import { ModelServicesResolver } from "./services/resolver.ts";
import { RemoteServices } from "./services/service.ts";
import { Suggestions } from "./services/suggestion.ts";

export interface ModelsOpening {
  config: Config;
  secrets: Pick<Secrets, "serviceKey">;
  db: Database;
  record: RecordChange;
  onError: (error: unknown) => void;
}

/** Puts the feature together: the catalogue that calls read, the services that change it, and the providers. */
export function openModels({ config, secrets, db, record, onError }: ModelsOpening) {
  const guard = new PublicNetwork(config.privateServiceHosts);
  const sealer = new Sealer(secrets.serviceKey);
  const providers = new Providers({ config, guard, sealer, onError });
  const catalogue = new Catalogue({ db, providers, totalMs: config.providerTimeoutMs });
  const models = new ModelsService({ db, providers, catalogue, record });
  const prices = new Prices(db, catalogue, record);
  const aliases = new Aliases(db, catalogue, record);
  const services = new RemoteServices({ db, providers, catalogue, guard, sealer, record });
  const importing = new Importing(providers, catalogue, models);
  const suggestions = new Suggestions(catalogue, providers);
  const resolvers = [
    new ModelsResolver({ models, catalogue, prices, aliases }),
    new ModelServicesResolver({ services, importing, suggestions }),
  ];
  return { models, catalogue, providers, resolvers };
}
