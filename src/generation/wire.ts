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

/** Seconds that a hold outlives the longest that its providers may take. */
const leaseGraceSeconds = 30;
/** A stream renews its lease while it runs, so a hold of a process that died is soon free again. */
const streamLeaseSeconds = 45;
const renewEveryMs = 10_000;

interface SpineOptions extends Omit<GenerationOptions, "leaseGraceSeconds" | "leases" | "quotes"> {
  /** For searches, which must not slow down running calls. */
  reports: Database;
  keys: KeysService;
  sealer: Sealer;
}

/** Puts the feature together: its resolvers, the meters of its paid fields, and what must come to rest at shutdown. */
export function openSpine({ reports, keys, sealer, ...options }: SpineOptions) {
  const { db, catalogue, inputBytesMax, onError } = options;
  const leases = new Leases(db, { leaseSeconds: streamLeaseSeconds, everyMs: renewEveryMs, onError });
  const quotes = new Quotes(db, catalogue, sealer);
  const generation = new GenerationService({ ...options, leaseGraceSeconds, leases, quotes });
  const embedding = new EmbeddingMeter(generation, inputBytesMax);
  const feed = new GenerationFeed(db, onError);
  const meters: Meters<Context> = {
    generate: generation.meter(false),
    generateStream: generation.meter(true),
    embed: embedding,
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
