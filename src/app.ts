import "reflect-metadata";
import { type GraphQLSchema, lexicographicSortSchema } from "graphql";
import { AlertsResolver } from "./alerts/resolver.ts";
import { AlertsService } from "./alerts/service.ts";
import { Refusals } from "./audit/refusals.ts";
import { AuditResolver } from "./audit/resolver.ts";
import { AuditService } from "./audit/service.ts";
import { accessChecks } from "./auth/access.ts";
import type { RecordChange } from "./auth/record-change.ts";
import type { Context } from "./auth/viewer.ts";
import { openPeople } from "./auth/wire.ts";
import type { Config } from "./config/environment.ts";
import { loadSecrets, type Secrets } from "./config/secrets.ts";
import { BudgetsService } from "./credits/budgets.ts";
import {
  AccountCreditsResolver,
  ApiKeyWalletResolver,
  BudgetsResolver,
  CreditsResolver,
  MyWalletResolver,
} from "./credits/resolver.ts";
import { CreditsService } from "./credits/service.ts";
import { ChangeFeed, type ChangeKind, type ObjectChange } from "./db/change-feed.ts";
import type { Database } from "./db/client.ts";
import { type OpenDatabases, openDatabases } from "./db/open.ts";
import { Sealer } from "./encryption.ts";
import type { ErrorCode } from "./errors.ts";
import { openFinance } from "./finance/wire.ts";
import { type FirstRun, prepareFirstRun } from "./first-run.ts";
import { AnswerCache } from "./generation/cache/service.ts";
import type { OpenExit } from "./generation/exit.ts";
import { openSpine } from "./generation/wire.ts";
import { buildApiSchema } from "./graphql/build-schema.ts";
import { withAccess } from "./graphql/directives/access.ts";
import { type Meters, withCost } from "./graphql/directives/cost.ts";
import { type FieldLimit, fieldLimit, withRateLimit } from "./graphql/directives/rate-limit.ts";
import { guardingStarts } from "./graphql/directives/subscription-start.ts";
import { OperationExecutor } from "./graphql/execution.ts";
import { tellingFailures } from "./graphql/refusals.ts";
import { createApollo } from "./http/apollo.ts";
import { BytesInFlight } from "./http/bytes-in-flight.ts";
import { Callers } from "./http/context.ts";
import { addAuditExport } from "./http/exports/audit.ts";
import { addExportRoutes } from "./http/exports/routes.ts";
import { ExposedKeys } from "./http/exposed-keys.ts";
import { limitAnswers } from "./http/limit-answers.ts";
import { addMetricsRoute, Metrics } from "./http/metrics.ts";
import { Operations } from "./http/operations.ts";
import { RunningRequests } from "./http/running-requests.ts";
import { addRoutes, createServer } from "./http/server.ts";
import { Sockets } from "./http/sockets/sockets.ts";
import { addWellKnown } from "./http/well-known.ts";
import { openKeys } from "./keys/wire.ts";
import { Doctor } from "./ledger/checks/doctor.ts";
import { Sweeper } from "./ledger/checks/sweeper.ts";
import { Idempotency } from "./ledger/idempotency/service.ts";
import { Journal } from "./ledger/journal/journal.ts";
import { Ageing } from "./ledger/rollups/ageing.ts";
import { Corrections } from "./ledger/wallets/corrections.ts";
import { Wallets } from "./ledger/wallets/wallets.ts";
import { requestLimits } from "./limits/rate-limit-callers.ts";
import { openLimits } from "./limits/wire.ts";
import type { Logger } from "./log.ts";
import { Discovery } from "./models/services/discovery.ts";
import { openModels } from "./models/wire.ts";
import { openPrompts } from "./prompts/wire.ts";
import { RetentionResolver } from "./retention/resolver.ts";
import { Retention } from "./retention/service.ts";
import { BiAccess } from "./usage/bi/service.ts";
import { DenialReportsResolver } from "./usage/denials/resolver.ts";
import { DenialReports } from "./usage/denials/service.ts";
import { ExportService } from "./usage/exports/service.ts";
import { ForecastService } from "./usage/forecast/service.ts";
import { ReconcileResolver } from "./usage/reconcile/resolver.ts";
import { Reconciler } from "./usage/reconcile/service.ts";
import { UsageResolver, UsageViewsResolver } from "./usage/resolver.ts";
import { UsageService } from "./usage/service.ts";

/** The composition root: everything is constructed here, in the order in which it depends on what is before it. */
export interface Overrides {
  /** Called with the text of each SQL statement. */
  onStatement?: (text: string) => void;
  /** Makes the exit of each call, through which its texts leave. */
  openExit?: OpenExit | undefined;
}

export interface Listening {
  address: string;
  /** What the first start of this database made, to be shown once; undefined on a later start. */
  firstRun: FirstRun | undefined;
}

export interface App {
  /** Starts to answer. */
  listen(): Promise<Listening>;
  /** Finishes what is running, then lets go of everything. */
  close(): Promise<void>;
}

/** What has connections of its own, so that nothing else can hold it up, nor it a call. */
export type Pools = Partial<Pick<OpenDatabases, "journal" | "reports">> & Pick<Overrides, "openExit">;

export function compose(config: Config, secrets: Secrets, db: Database, log: Logger, pools: Pools = {}) {
  const { reports = db, openExit } = pools;
  const onError = (error: unknown) => log.error({ err: error }, "background work failed");
  const onLocked = (address: string) => log.warn({ address }, "a sign-in was refused after too many failures");
  const wallets = new Wallets(db);
  const journal = new Journal({ db: pools.journal ?? db, upkeep: (wallet) => wallets.bringUpToDate(wallet) });
  const sealer = new Sealer(secrets.answerKey);
  const cache = new AnswerCache(db, sealer);
  const sweeper = new Sweeper(db, wallets, log, { deleteExpired: () => cache.deleteExpired() });
  const doctor = new Doctor(db, log);
  const audit = new AuditService(db, secrets.auditKey);
  const { record } = audit;
  const refusals = new Refusals({ db, record, onError });
  const noteAnchor = async () => log.info({ anchor: await audit.anchor() }, "the audit ends here");
  const ageing = new Ageing(db, onError);
  const people = openPeople({ config, secrets, db, record, onError, onLocked, noteAnchor });
  const metrics = new Metrics();
  // The schema is made of what follows, so a limit that it declares is read when a call needs it.
  const generateLimit = (): FieldLimit => fieldLimit(schema, "Mutation", "generate");
  const limiting = openLimits({ config, db, log, onLocal: metrics.onLocalLimit, generateLimit });
  const { limits, keyGuesses } = limiting;
  const environment = config.production ? "live" : "test";
  const { disableMembers } = people;
  const guarded = { keyGuesses, generateLimit, disableMembers, record, onError };
  const ofKeys = openKeys({ db, wallets, peppers: secrets, environment, ...guarded });
  const { accounts, identity, keys, running, exposures, reminders } = ofKeys;
  const ofModels = openModels({ config, secrets, db, record, onError });
  const { models, catalogue, providers } = ofModels;
  const usage = new UsageService(reports);
  const exports = new ExportService(reports);
  const bi = new BiAccess(db, record);
  const { archiveDir: folder, retentionMonths: keepMonths } = config;
  const retention = new Retention({ db, record, folder, keepMonths, onError });
  const finance = openFinance({ db, wallets, usage, record, onError });
  const idempotency = new Idempotency(db, sealer);
  const { inputBytesMax } = config;
  const onLost = (count: number, cause?: unknown) => log.warn({ err: cause, count }, "prompts were not written down");
  const prompts = openPrompts({ db, promptKey: secrets.promptKey, record, onError, onLost });
  const ledger = { journal, limits, idempotency, sealer, cache, running, prompts: prompts.writer };
  const ofCalls = { inputBytesMax, openExit, onSettled: metrics.onSettled, onError };
  const spine = openSpine({ db, reports, catalogue, keys, ...ledger, ...ofCalls });
  const { meters, leases, feed } = spine;
  const resolvers = [
    ...people.resolvers,
    ...ofKeys.resolvers,
    ...ofModels.resolvers,
    ...creditsResolvers(db, wallets, record),
    limiting.resolver,
    new AuditResolver(audit),
    new AlertsResolver(new AlertsService(db)),
    new RetentionResolver(retention),
    new UsageResolver(usage),
    new DenialReportsResolver(new DenialReports(reports)),
    new ReconcileResolver(new Reconciler(db)),
    new UsageViewsResolver(usage, new ForecastService(reports)),
    ...finance.resolvers,
    ...prompts.resolvers,
    ...spine.resolvers,
  ];
  const schema = buildApiSchema(resolvers);
  const workers = [sweeper, doctor, ageing, people.upkeep, reminders, retention, finance.restatements];
  const background = { workers, doctor, running, limiting, leases, feed, retention, prompts };
  const { auth } = people;
  const callersOf = { people, identity, exposures };
  const features = { auth, accounts, keys, models, catalogue, providers, exports, bi, audit, refusals };
  return { ...features, ...callersOf, meters, metrics, ...background, schema };
}

function creditsResolvers(db: Database, wallets: Wallets, record: RecordChange) {
  const credits = new CreditsService(db, wallets, new Corrections(db, wallets), record);
  const budgets = new BudgetsService(db, record);
  return [
    new CreditsResolver(credits),
    new BudgetsResolver(budgets),
    new AccountCreditsResolver(credits, budgets),
    new MyWalletResolver(credits),
    new ApiKeyWalletResolver(credits),
  ];
}

type Limiting = ReturnType<typeof openLimits>;

type Guarded = { schema: GraphQLSchema; meters: Meters<Context>; limiting: Limiting; refusals: Refusals };

/** Puts the guards in front of the resolvers; the last one wrapped is the first one asked. */
function guard({ schema, meters, limiting, refusals }: Guarded): GraphQLSchema {
  const guarded = guardingStarts(schema, (open) => {
    const paid = withCost(open, meters);
    const limited = withRateLimit<Context>(paid, requestLimits(limiting.limiters, limiting.denials));
    const checked = withAccess<Context>(limited, accessChecks);
    return tellingFailures<Context>(checked, (context, failed) => refusals.write(context, failed));
  });
  return lexicographicSortSchema(guarded);
}

/** Hears what other replicas change, and makes this one act on it. */
function followChanges(directUrl: string, changing: Changing, onError: (error: unknown) => void) {
  const { identity, running, people, catalogue } = changing;
  const handlers: Record<ChangeKind, (change: ObjectChange) => void> = {
    key({ id, version }) {
      identity.forget(id, version);
      if (running.has(id)) void running.look();
    },
    plan: ({ id }) => identity.forgetOf("plan", id),
    account: ({ id }) => identity.forgetOf("account", id),
    catalogue: () => catalogue.forget(),
    "signing-key": () => people.signingKeys.forget(),
  };
  return new ChangeFeed({
    url: directUrl,
    onError,
    onChange: (change) => handlers[change.kind](change),
    onGap() {
      people.signingKeys.forget();
      catalogue.forget();
      identity.forgetAll();
      void running.look();
    },
  });
}

type Changing = Pick<ReturnType<typeof compose>, "identity" | "running" | "people" | "catalogue">;

export async function createApp(config: Config, log: Logger, overrides: Overrides = {}): Promise<App> {
  const database = await openDatabases(config, log, overrides);
  try {
    return await assemble(config, log, { ...database, openExit: overrides.openExit });
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function assemble(
  config: Config,
  log: Logger,
  { db, directUrl, close: closeDatabase, ...pools }: OpenDatabases & Pick<Overrides, "openExit">,
): Promise<App> {
  const parts = compose(config, loadSecrets(config), db, log, pools);
  const { auth, people, accounts, keys, models, providers, identity, exports, metrics } = parts;
  const { workers, running, limiting, leases, feed, prompts } = parts;
  const { trustProxy, corsOrigins, introspection } = config;
  const inFlight = new BytesInFlight(config.bytesInFlightMax);
  const server = createServer({ log, trustProxy, corsOrigins, inFlight });
  const exposedKeys = new ExposedKeys(parts.exposures);
  exposedKeys.attach(server);
  const sandbox = introspection;
  const onDenied = ({ identity: { viewer, refusedKey } }: Context, code: ErrorCode) => {
    const key = viewer?.kind === "API_KEY" ? viewer : refusedKey;
    metrics.onDenied(code);
    if (key) limiting.denials.count(key, code);
  };
  const plugins = [limitAnswers(onDenied)];
  const schema = guard(parts);
  const callers = new Callers(people.identity, identity);
  const executor = new OperationExecutor(schema);
  const operations = new Operations({ schema, executor, log, introspection, onDenied });
  const requests = new RunningRequests();
  const sockets = new Sockets({ operations, callers, exposedKeys, inFlight });
  const apollo = createApollo({ schema, executor, operations, log, introspection, sandbox, plugins });
  await apollo.start();
  const checkReady = async () => void (await db.sql`select 1`);
  addRoutes(server, { apollo, callers, operations, requests, sockets, sandbox, checkReady });
  addWellKnown(server, people.signingKeys);
  addMetricsRoute(server, metrics, config.metricsToken);
  addExportRoutes(server, { callers, exports });
  addAuditExport(server, callers, parts.audit);
  const ollama = providers.get("ollama");
  const changes = followChanges(directUrl, parts, (error) => log.warn({ err: error }, "the change feed was lost"));
  const discovery = ollama && new Discovery(ollama, models, log);
  return {
    async listen() {
      await changes.start();
      await people.signingKeys.prepare();
      const address = await server.listen({ host: config.host, port: config.port });
      discovery?.start();
      for (const worker of workers) worker.start();
      prompts.start();
      // Only now: what is shown once must not be made by a start that fails, say because the port is taken.
      const firstRun = await prepareFirstRun({ config, db, auth, accounts, keys, models });
      return { address, firstRun };
    },
    async close() {
      discovery?.stop();
      // A feed has no end of its own that could be waited for.
      await feed.close();
      const cut = () => server.server.closeAllConnections();
      await requests.drain(Promise.all([sockets.close(), server.close()]), cut);
      await apollo.stop();
      await Promise.all(workers.map((worker) => worker.stop()));
      await leases.idle();
      await prompts.close();
      await limiting.close();
      running.stop();
      await changes.stop();
      await providers.close();
      await closeDatabase();
    },
  };
}
