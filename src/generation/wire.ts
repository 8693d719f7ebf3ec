import type { Context } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import type { Sealer } from "../encryption.ts";
import type { Meters } from "../graphql/directives/cost.ts";
import type { KeysService } from "../keys/service.ts";
import { Leases } from "../ledger/journal/leases.ts";
import { EmbedResolver } from "./embed/resolver.ts";
import { EmbeddingMeter } from "./embed/service.ts";
import { ExplainResolver } from "./explain/resolver.ts";
import { AccessExplainer } from "./explain/service.ts";
import { feedResolver } from "./feed/resolver.ts";
import { GenerationFeed } from "./feed/service.ts";
import { QuoteResolver } from "./quote/resolver.ts";
import { Quotes } from "./quote/service.ts";
import { GenerationResolver } from "./resolver.ts";
import { GenerationSearches } from "./search.ts";
import { type GenerationOptions, GenerationService, generateCost, tariffOf } from "./service.ts";
import { GenerationStreamResolver } from "./stream/resolver.ts";

/** Seconds a hold outlives its last sign of life, beyond the longest that a provider may take. */
const leaseGraceSeconds = 30;
/** A stream's hold lives on signs of life alone, so what a dead process had reserved for it is soon free again. */
const streamLeaseSeconds = 45;
const renewEveryMs = 10_000;

interface SpineOptions extends Omit<GenerationOptions, "leaseGraceSeconds" | "leases" | "quotes"> {
  /** Where calls are searched for: never in the way of those that run. */
  reports: Database;
  keys: KeysService;
  sealer: Sealer;
}

/** Puts the feature together: its resolvers, who meters its paid fields, and what must come to rest before an end. */
export function openSpine({ reports, keys, sealer, ...options }: SpineOptions) {
  const { db, catalogue, inputBytesMax, onError } = options;
  const leases = new Leases(db, { leaseSeconds: streamLeaseSeconds, everyMs: renewEveryMs, onError });
  const quotes = new Quotes(db, catalogue, sealer);
  const generation = new GenerationService({ ...options, leaseGraceSeconds, leases, quotes });
  const embedding = new EmbeddingMeter(generation, inputBytesMax);
  const feed = new GenerationFeed(db, onError);
  const meters: Meters<Context> = {
    calls: { generate: generation, embed: embedding },
    streams: { generateStream: generation },
  };
  const resolvers = [
    new GenerationResolver(generation, new GenerationSearches(reports), keys),
    new GenerationStreamResolver(),
    new EmbedResolver(),
    new QuoteResolver(generation),
    new ExplainResolver(new AccessExplainer({ ...options, tariff: tariffOf(generateCost) })),
    feedResolver(feed),
  ];
  return { meters, leases, feed, resolvers };
}
