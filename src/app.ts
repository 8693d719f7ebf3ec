import "reflect-metadata";
import { type GraphQLSchema, lexicographicSortSchema } from "graphql";
import { AlertsResolver } from "./alerts/resolver.ts";
import { AlertsService } from "./alerts/service.ts";
import { openAudit } from "./audit/wire.ts";
import { accessChecks, usdRule } from "./auth/access.ts";
import type { Context } from "./auth/viewer.ts";
import { openPeople } from "./auth/wire.ts";
import type { Config } from "./config/environment.ts";
import { loadSecrets, type Secrets } from "./config/secrets.ts";
import { openCredits } from "./credits/wire.ts";
import { ChangeFeed, type ChangeKind, type ObjectChange } from "./db/change-feed.ts";
import type { Database } from "./db/client.ts";
import { type OpenDatabases, openDatabases } from "./db/open.ts";
import { matchServerSecret } from "./db/server-secret.ts";
import { Sealer } from "./encryption.ts";
import { openFinance } from "./finance/wire.ts";
import { type FirstRun, prepareFirstRun } from "./first-run.ts";
import { AnswerCache } from "./generation/cache/service.ts";
import type { OpenExit } from "./generation/exit.ts";
import { openSpine } from "./generation/wire.ts";
import { buildApiSchema } from "./graphql/build-schema.ts";
import { withAccess } from "./graphql/directives/access.ts";
import { withCost } from "./graphql/directives/cost.ts";
import { type FieldLimit, fieldLimit, withRateLimit } from "./graphql/directives/rate-limit.ts";
import { guardingStarts } from "./graphql/directives/subscription-start.ts";
import { withUsd } from "./graphql/directives/usd.ts";
import { tellingFailures } from "./graphql/refusals.ts";
import { Metrics } from "./http/metrics.ts";
import { openHttp } from "./http/wire.ts";
import type { KeyIdentity } from "./keys/identity.ts";
import { lendMemberKeys } from "./keys/member-keys.ts";
import { openKeys } from "./keys/wire.ts";
import { openLedger } from "./ledger/wire.ts";
import { requestLimits } from "./limits/rate-limit-callers.ts";
import { openLimits } from "./limits/wire.ts";
import type { Logger } from "./log.ts";
import { Discovery } from "./models/services/discovery.ts";
import { openModels } from "./models/wire.ts";
import { openPrompts } from "./prompts/wire.ts";
import { RetentionResolver } from "./retention/resolver.ts";
import { Retention } from "./retention/service.ts";
import { openUsage } from "./usage/wire.ts";

/** The composition root: builds everything, each part after the parts that it needs. */
export interface Overrides {
  /** Called with the text of each SQL statement. */
  onStatement?: (text: string) => void;
  /** Makes the exit of each call, through which its texts leave. */
  openExit?: OpenExit | undefined;
}

export interface Listening {
  address: string;
  /** The credentials that the first start of this database made, to be shown once; undefined on a later start. */
  firstRun: FirstRun | undefined;
}

export interface App {
  /** Starts to answer. */
  listen(): Promise<Listening>;
  /** Waits for balancers to look elsewhere, finishes what is running, then lets go of everything. */
  close(): Promise<void>;
}

export interface FeatureParts extends Pick<Overrides, "openExit"> {
  config: Config;
  secrets: Secrets;
  log: Logger;
  db: Database;
  journal: Database;
  reports: Database;
}

/** Every feature, and the schema of them all without its guards. */
export function openFeatures({ config, secrets, log, db, journal: journalDb, reports, openExit }: FeatureParts) {
  const onError = (error: unknown) => log.error({ err: error }, "background work failed");
  const onLocked = (address: string) => log.warn({ address }, "a sign-in was refused after too many failures");
  const onLost = (count: number, cause?: unknown) => log.warn({ err: cause, count }, "prompts were not written down");
  const environment = config.production ? "live" : "test";
  const { archiveDir: folder, retentionMonths: keepMonths, inputBytesMax } = config;
  const { auditKey, promptKey } = secrets;

  const metrics = new Metrics();
  const sealer = new Sealer(secrets.answerKey);
  const cache = new AnswerCache(db, sealer);
  const audit = openAudit({ db, auditKey, log, onError });
  const { record, noteAnchor } = audit;
  const ledger = openLedger({ db, journalDb, sealer, log, onError, deleteExpired: () => cache.deleteExpired() });
  const { wallets, journal, idempotency } = ledger;
  const memberKeys = lendMemberKeys((): KeyIdentity => keys.identity);
  const people = openPeople({ config, secrets, db, record, onError, onLocked, noteAnchor, memberKeys });
  // The schema is made of what follows, so a limit that it declares is read when a call needs it.
  const generateLimit = (): FieldLimit => fieldLimit(schema, "Mutation", "generate");
  const limiting = openLimits({ config, db, log, onLocal: metrics.onLocalLimit, generateLimit });
  const { limits, keyGuesses } = limiting;
  const { disableMembers, usersById } = people;
  const keys = openKeys({
    ...{ db, wallets, peppers: secrets, environment, keyGuesses, record, onError },
    ...{ disableMembers, usersById, generateLimit },
  });
  const models = openModels({ config, secrets, db, record, onError });
  const credits = openCredits({ db, wallets, record });
  const usage = openUsage({ db, reports, record });
  const retention = new Retention({ db, record, folder, keepMonths, onError });
  const finance = openFinance({ db, wallets, usage: usage.usage, record, onError });
  const prompts = openPrompts({ db, promptKey, record, onError, onLost });
  const generation = openSpine({
    ...{ db, reports, journal, limits, idempotency, sealer, cache, inputBytesMax, onError },
    ...{ catalogue: models.catalogue, keys: keys.keys, running: keys.running, prompts: prompts.writer },
    ...{ openExit, onSettled: metrics.onSettled },
  });
  const schema = buildApiSchema([
    ...people.resolvers,
    ...keys.resolvers,
    ...models.resolvers,
    ...credits.resolvers,
    limiting.resolver,
    ...audit.resolvers,
    new AlertsResolver(new AlertsService(db)),
    new RetentionResolver(retention),
    ...usage.resolvers,
    ...finance.resolvers,
    ...prompts.resolvers,
    ...generation.resolvers,
  ]);
  return {
    metrics,
    audit,
    ledger,
    people,
    limiting,
    keys,
    models,
    usage,
    retention,
    finance,
    prompts,
    generation,
    schema,
  };
}

export type Features = ReturnType<typeof openFeatures>;

export async function createApp(config: Config, log: Logger, { onStatement, openExit }: Overrides = {}): Promise<App> {
  const databases = await openDatabases(config, log, { onStatement });
  try {
    return await openApp(config, log, { ...databases, openExit });
  } catch (error) {
    await databases.close();
    throw error;
  }
}

/** With the secrets of the configuration. @throws ServerSecretMismatch if they are not those of the database */
export async function openOwnFeatures(parts: Omit<FeatureParts, "secrets">): Promise<Features> {
  const { config, db } = parts;
  const secrets = loadSecrets(config);
  const adopted = await matchServerSecret(db, secrets, config);
  const features = openFeatures({ ...parts, secrets });
  if (adopted) await features.audit.audit.recordSecretAdoption();
  return features;
}

async function openApp(
  config: Config,
  log: Logger,
  databases: OpenDatabases & Pick<Overrides, "openExit">,
): Promise<App> {
  const { db } = databases;
  const features = await openOwnFeatures({ config, log, ...databases });
  const { metrics, audit, ledger, people, limiting, keys, models, usage, prompts, generation } = features;
  const schema = guard(features);
  const checkReady = () => db.checkWritable();
  const { denials, strangers } = limiting;
  const { exports } = usage;
  const http = await openHttp({
    ...{ config, log, schema, metrics, people, keys, denials, strangers, exports, checkReady },
    audit: audit.audit,
  });
  const changes = followChanges(databases.directUrl, features, log);
  const ollama = models.providers.get("ollama");
  const discovery = ollama ? [new Discovery(ollama, models.models, log)] : [];
  const workers = [
    ...discovery,
    ...ledger.workers,
    people.upkeep,
    keys.reminders,
    features.retention,
    features.finance.restatements,
  ];
  return {
    async listen() {
      await changes.start();
      await people.signingKeys.prepare();
      const address = await http.listen();
      // Only now: a start that fails because the port is taken must not make credentials that are shown once.
      const firstRun = await prepare(config, db, features);
      http.declareReady();
      for (const worker of workers) worker.start();
      prompts.start();
      return { address, firstRun };
    },
    async close() {
      await http.leave();
      // A feed has no end of its own that could be waited for.
      await generation.feed.close();
      await http.close();
      await Promise.all(workers.map((worker) => worker.stop()));
      await generation.leases.idle();
      await prompts.close();
      await limiting.close();
      keys.running.stop();
      await changes.stop();
      await models.providers.close();
      await databases.close();
    },
  };
}

/** Makes what a new database needs before anyone can do anything. */
export function prepare(
  config: Config,
  db: Database,
  { people, keys, models }: Features,
): Promise<FirstRun | undefined> {
  const { auth } = people;
  return prepareFirstRun({ config, db, auth, accounts: keys.accounts, keys: keys.keys, models: models.models });
}

/** Puts the guards in front of the resolvers; the last one wrapped is the first one asked. */
function guard({ schema, generation, limiting, audit }: Features): GraphQLSchema {
  const guarded = guardingStarts(schema, (open) => {
    const paid = withCost(open, generation.meters);
    const limited = withRateLimit<Context>(paid, requestLimits(limiting.limiters, limiting.denials));
    const checked = withAccess<Context>(withUsd(limited, usdRule), accessChecks);
    return tellingFailures<Context>(checked, (context, failed) => audit.refusals.write(context, failed));
  });
  return lexicographicSortSchema(guarded);
}

/** Applies the changes of other replicas to what this one keeps in memory. */
function followChanges(url: string, { people, keys, models }: Features, log: Logger): ChangeFeed {
  const { identity, running } = keys;
  const { catalogue } = models;
  const { signingKeys } = people;
  const handlers: Record<ChangeKind, (change: ObjectChange) => void> = {
    key({ id, version }) {
      identity.forget(id, version);
      if (running.has(id)) void running.look();
    },
    plan: ({ id }) => identity.forgetOf("plan", id),
    account: ({ id }) => identity.forgetOf("account", id),
    catalogue: () => catalogue.forget(),
    "signing-key": () => signingKeys.forget(),
  };
  return new ChangeFeed({
    url,
    onError: (error) => log.warn({ err: error }, "the change feed was lost"),
    onChange: (change) => handlers[change.kind](change),
    onGap() {
      signingKeys.forget();
      catalogue.forget();
      identity.forgetAll();
      void running.look();
    },
  });
}
