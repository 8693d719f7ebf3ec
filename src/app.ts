import "reflect-metadata";
import { fastifyApolloDrainPlugin } from "@as-integrations/fastify";
import { type GraphQLSchema, lexicographicSortSchema } from "graphql";
import { AccountsResolver, UserAccountResolver } from "./accounts/resolver.ts";
import { AccountsService } from "./accounts/service.ts";
import { accessChecks } from "./auth/access.ts";
import { AuthResolver, MeResolver } from "./auth/resolver.ts";
import { AuthService } from "./auth/service.ts";
import { Tokens } from "./auth/tokens.ts";
import type { Context } from "./auth/viewer.ts";
import type { Config } from "./config.ts";
import { BudgetsService } from "./credits/budgets.ts";
import {
  AccountCreditsResolver,
  ApiKeyWalletResolver,
  BudgetsResolver,
  CreditsResolver,
  MyWalletResolver,
} from "./credits/resolver.ts";
import { CreditsService } from "./credits/service.ts";
import { Database } from "./db/client.ts";
import { startEmbedded } from "./db/embedded.ts";
import { migrateDatabase } from "./db/migrate.ts";
import { type FirstRun, prepareFirstRun } from "./first-run.ts";
import { GenerationResolver } from "./generation/resolver.ts";
import { GenerationService } from "./generation/service.ts";
import { buildApiSchema } from "./graphql/build-schema.ts";
import { withAccess } from "./graphql/directives/access.ts";
import { withCost } from "./graphql/directives/cost.ts";
import { withRateLimit } from "./graphql/directives/rate-limit.ts";
import { createApollo } from "./http/apollo.ts";
import { Callers } from "./http/context.ts";
import { addRoutes, createServer } from "./http/server.ts";
import { KeyIdentity } from "./keys/identity.ts";
import { KeysResolver, MyKeyResolver } from "./keys/resolver.ts";
import { KeysService } from "./keys/service.ts";
import { Corrections } from "./ledger/corrections.ts";
import { Doctor } from "./ledger/doctor.ts";
import { Idempotency } from "./ledger/idempotency.ts";
import { Journal } from "./ledger/journal.ts";
import { Sweeper } from "./ledger/sweeper.ts";
import { Wallets } from "./ledger/wallets.ts";
import { counted } from "./limits/counted.ts";
import type { Logger } from "./log.ts";
import { Discovery } from "./models/discovery.ts";
import { createProviders } from "./models/providers/registry.ts";
import { ModelsResolver } from "./models/resolver.ts";
import { ModelsService } from "./models/service.ts";
import { Sealer } from "./sealing.ts";
import { loadSecrets, type Secrets } from "./secrets.ts";
import { Reconciler } from "./usage/reconcile.ts";
import { ReconcileResolver } from "./usage/reconcile-resolver.ts";
import { UsageResolver } from "./usage/resolver.ts";
import { UsageService } from "./usage/service.ts";

/** The composition root: everything is constructed here, in the order in which it depends on what is before it. */
export interface Overrides {
  /** Called with the text of each SQL statement. */
  onStatement?: (text: string) => void;
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

/** Seconds a hold outlives its last sign of life, beyond the longest that a provider may take. */
const leaseGraceSeconds = 30;

export function compose(config: Config, secrets: Secrets, db: Database, log: Logger) {
  const onError = (error: unknown) => log.error({ err: error }, "background work failed");
  const wallets = new Wallets(db);
  const journal = new Journal({ db, upkeep: (wallet) => wallets.bringUpToDate(wallet) });
  const sweeper = new Sweeper(db, wallets, log);
  const doctor = new Doctor(db, log);
  const auth = new AuthService(db, new Tokens(secrets.signingKey));
  const accounts = new AccountsService(db, (tx, accountId) => wallets.openShared(tx, accountId));
  const identity = new KeyIdentity(db, secrets, onError);
  const environment = config.production ? "live" : "test";
  const keys = new KeysService({ db, accounts, wallets, identity, peppers: secrets, environment });
  const providers = createProviders(config);
  const models = new ModelsService(db, providers);
  const credits = new CreditsService(db, wallets, new Corrections(db, wallets));
  const budgets = new BudgetsService(db);
  const usage = new UsageService(db);
  const idempotency = new Idempotency(db, new Sealer(secrets.answerKey));
  const { inputBytesMax } = config;
  const leaseSeconds = config.providerTimeoutMs / 1000 + leaseGraceSeconds;
  const generation = new GenerationService({ db, models, journal, idempotency, inputBytesMax, leaseSeconds, onError });
  const resolvers = [
    new AuthResolver(auth),
    new MeResolver(auth),
    new AccountsResolver(accounts),
    new UserAccountResolver(accounts),
    new KeysResolver(keys, accounts),
    new MyKeyResolver(keys),
    new ModelsResolver(models),
    new CreditsResolver(credits),
    new BudgetsResolver(budgets),
    new AccountCreditsResolver(credits, budgets),
    new MyWalletResolver(credits),
    new ApiKeyWalletResolver(credits),
    new UsageResolver(usage),
    new ReconcileResolver(new Reconciler(db)),
    new GenerationResolver(generation, keys),
  ];
  return {
    auth,
    accounts,
    keys,
    models,
    providers,
    generation,
    identity,
    sweeper,
    doctor,
    schema: buildApiSchema(resolvers),
  };
}

/** Puts the guards in front of the resolvers; the last one wrapped is the first one asked. */
function guard(schema: GraphQLSchema, generation: GenerationService): GraphQLSchema {
  const paid = withCost<Context>(schema, generation);
  const limited = withRateLimit<Context>(paid, counted);
  return lexicographicSortSchema(withAccess<Context>(limited, accessChecks));
}

interface OpenDatabase {
  db: Database;
  close: () => Promise<void>;
}

async function openDatabase(config: Config, log: Logger, onStatement: Overrides["onStatement"]): Promise<OpenDatabase> {
  const embedded = config.databaseUrl
    ? undefined
    : await startEmbedded({ dataDir: config.dataDir, log: (message) => log.info(message) });
  const url = config.databaseUrl ?? embedded?.url ?? "";
  const db = new Database({ url, poolSize: config.databasePoolSize, onStatement });
  const close = async () => {
    await db.close();
    await embedded?.stop();
  };
  try {
    await migrateDatabase(url);
  } catch (error) {
    await close();
    throw error;
  }
  return { db, close };
}

export async function createApp(config: Config, log: Logger, { onStatement }: Overrides = {}): Promise<App> {
  const database = await openDatabase(config, log, onStatement);
  try {
    return await assemble(config, log, database);
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function assemble(config: Config, log: Logger, { db, close: closeDatabase }: OpenDatabase): Promise<App> {
  const { auth, accounts, keys, models, providers, generation, identity, sweeper, doctor, schema } = compose(
    config,
    loadSecrets(config),
    db,
    log,
  );
  const { trustProxy, corsOrigins, introspection } = config;
  const server = createServer({ log, trustProxy, corsOrigins });
  const sandbox = introspection;
  const plugins = [fastifyApolloDrainPlugin(server)];
  const apollo = createApollo({ schema: guard(schema, generation), log, introspection, sandbox, plugins });
  await apollo.start();
  const checkReady = async () => void (await db.sql`select 1`);
  addRoutes(server, { apollo, callers: new Callers(auth, identity), sandbox, checkReady });
  const ollama = providers.get("ollama");
  const discovery = ollama && new Discovery(ollama, models, log);
  return {
    async listen() {
      const address = await server.listen({ host: config.host, port: config.port });
      discovery?.start();
      sweeper.start();
      doctor.start();
      // Only now: what is shown once must not be made by a start that fails, say because the port is taken.
      const firstRun = await prepareFirstRun({ config, db, auth, accounts, keys, models });
      return { address, firstRun };
    },
    async close() {
      discovery?.stop();
      await apollo.stop();
      await server.close();
      doctor.stop();
      await sweeper.stop();
      await Promise.all([...providers.values()].map((provider) => provider.close()));
      await closeDatabase();
    },
  };
}
