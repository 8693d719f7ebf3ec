import { randomBytes, randomInt } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject } from "vitest";
import { type App, createApp, type Overrides } from "../../src/app.ts";
import { loadConfig } from "../../src/config/environment.ts";
import { createLogger } from "../../src/log.ts";
import { createDatabase, type TestDatabase } from "./database.ts";
import { environmentOf } from "./first-start.ts";

/**
 * A server of one test file's own, spoken to over HTTP only. Tests of a file run beside each other on it, each with
 * an account of its own.
 */
export interface Answer {
  status: number;
  headers: Headers;
  body: {
    // biome-ignore lint/suspicious/noExplicitAny: a test knows the shape that its own operation asks for.
    data?: any;
    errors?: { message: string; path?: string[]; extensions: Record<string, unknown> & { code: string } }[];
    extensions?: Record<string, unknown>;
  };
}

export interface Credential {
  key?: string;
  token?: string;
  /** The address that the request comes from; that of this machine when absent. */
  ip?: string;
}

export interface Customer {
  accountId: string;
  apiKeyId: string;
  walletId: string;
  /** The key's text. */
  key: string;
}

export interface Person {
  id: string;
  email: string;
  password: string;
  token: string;
}

const patienceMs = 20_000;

export class TestServer {
  url = "";
  database!: TestDatabase;
  /** An OWNER's access token. */
  ownerToken = "";
  readonly statements: string[] = [];
  readonly logLines: string[] = [];
  readonly #env: Record<string, string>;
  readonly #overrides: Overrides;
  readonly #staff = new Map<string, Promise<Person>>();
  #app: App | undefined;
  #dataDir = "";

  constructor(env: Record<string, string> = {}, overrides: Overrides = {}) {
    this.#env = env;
    this.#overrides = overrides;
  }

  async start(): Promise<void> {
    this.database = await createDatabase(inject("startedTemplate"));
    this.#dataDir = await mkdtemp(join(tmpdir(), "tollgate-data-"));
    const env = { ...environmentOf(this.database.url, this.#dataDir), LOG_LEVEL: "debug", ...this.#env };
    const config = loadConfig(env);
    const destination = { write: (line: string) => void this.logLines.push(line) };
    const log = createLogger({ level: config.logLevel, production: true, destination });
    this.#app = await createApp(config, log, {
      onStatement: (text) => this.statements.push(text),
      ...this.#overrides,
    });
    this.url = (await this.#app.listen()).address;
    const refresh = "mutation ($token: String!) { refreshSession(refreshToken: $token) { accessToken } }";
    const { refreshSession } = await this.ok(refresh, { token: inject("ownerRefreshToken") }, {});
    this.ownerToken = refreshSession.accessToken;
  }

  async stop(): Promise<void> {
    await this.#app?.close();
    await this.database.drop();
    await rm(this.#dataDir, { recursive: true, force: true });
  }

  async login(email: string, password: string): Promise<string> {
    const query = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
    return (await this.ok(query, { input: { email, password } }, { ip: someAddress() })).login.accessToken;
  }

  /** Sends one operation. */
  async call(query: string, variables: object = {}, { key, token, ip }: Credential = {}): Promise<Answer> {
    const response = await this.post(JSON.stringify({ query, variables }), {
      ...(key && { "x-api-key": key }),
      ...(token && { authorization: `Bearer ${token}` }),
      ...(ip && { "x-forwarded-for": ip }),
    });
    return { status: response.status, headers: response.headers, body: (await response.json()) as Answer["body"] };
  }

  post(body: string, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`${this.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body,
      signal: AbortSignal.timeout(patienceMs),
    });
  }

  /** The data of an operation that must succeed. As the OWNER unless told otherwise. */
  async ok(
    query: string,
    variables: object = {},
    as: Credential = { token: this.ownerToken },
  ): Promise<Answer["body"]["data"]> {
    const answer = await this.call(query, variables, as);
    expect(answer.body.errors, describe(query, variables, answer)).toBeUndefined();
    return answer.body.data;
  }

  /** The first error of an operation that must be refused with this code. As the OWNER unless told otherwise. */
  async refused(code: string, query: string, variables: object = {}, as: Credential = { token: this.ownerToken }) {
    const answer = await this.call(query, variables, as);
    const error = answer.body.errors?.[0];
    expect(error?.extensions.code, describe(query, variables, answer)).toBe(code);
    const extensions: Record<string, unknown> = error?.extensions ?? {};
    return { ...answer, message: error?.message ?? "", extensions };
  }

  /** An account with one key, for one test alone; a further key of an account that is named. */
  async customer(key: Record<string, unknown> = {}): Promise<Customer> {
    const accountId = (key["accountId"] as string | undefined) ?? (await this.#account());
    const { createApiKey } = await this.ok(
      `mutation ($input: CreateApiKeyInput!) {
        createApiKey(input: $input) { secret apiKey { id wallet { id } } }
      }`,
      { input: { name: "a key", credits: "100", ...key, accountId } },
    );
    const { secret, apiKey } = createApiKey;
    return { accountId, apiKeyId: apiKey.id, walletId: apiKey.wallet.id, key: secret };
  }

  async #account(): Promise<string> {
    const create = "mutation ($input: CreateAccountInput!) { createAccount(input: $input) { id } }";
    return (await this.ok(create, { input: { name: "A customer" } })).createAccount.id;
  }

  /** A person of that role, signed in. */
  async person(role: string, accountId?: string): Promise<Person> {
    const email = `${role.toLowerCase()}-${Math.random().toString(36).slice(2)}@example.com`;
    const input = { email, password: "a password of ours", role, accountId };
    const { createUser } = await this.ok("mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }", {
      input,
    });
    return { email, id: createUser.id, password: input.password, token: await this.login(email, input.password) };
  }

  /** The one person of that role whom all tests of the file share, because passwords are slow by design. */
  staff(role: "ADMIN" | "OPERATOR" | "ANALYST"): Promise<Person> {
    const known = this.#staff.get(role) ?? this.person(role);
    this.#staff.set(role, known);
    return known;
  }

  /** A model of one test's own, priced unless `price` is null. Answers its name. */
  async model(provider: string, providerModel: string, price: object | null = {}): Promise<string> {
    const name = `${providerModel}-${randomBytes(4).toString("hex")}`;
    const upsert = "mutation ($input: UpsertModelInput!) { upsertModel(input: $input) { id } }";
    await this.ok(upsert, { input: { name, provider, providerModel } });
    const setPrice = "mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { version } }";
    if (price) await this.ok(setPrice, { input: { model: name, ...price } });
    return name;
  }

  /**
   * The SQL that `work` makes the server send. The server's own background work may fall into one try, but not into
   * each of three, so the shortest counts.
   */
  async statementsOf(work: () => Promise<unknown>): Promise<string[]> {
    const tries: string[][] = [];
    for (let i = 0; i < 3; i++) {
      const before = this.statements.length;
      await work();
      tries.push(this.statements.slice(before));
    }
    return tries.reduce((least, sent) => (sent.length < least.length ? sent : least));
  }

  async wallet(walletId: string): Promise<{ balance: bigint; held: bigint }> {
    const id = walletId.replace("wal_", "");
    const [row] = await this.database.sql`select balance, held from wallets where id = ${id}::uuid`;
    return row as unknown as { balance: bigint; held: bigint };
  }
}

/** Starts a server before the tests of a file and stops it after them. */
export function useServer(env: Record<string, string> = {}, overrides: Overrides = {}): TestServer {
  const server = new TestServer(env, overrides);
  beforeAll(() => server.start());
  afterAll(() => server.stop());
  return server;
}

export const generate = `mutation ($input: GenerateInput!) {
  generate(input: $input) {
    id status model provider text finishReason latencyMs replayed createdAt
    usage {
      inputTokens cachedInputTokens cacheWriteTokens cacheWrite1hTokens outputTokens reasoningTokens totalTokens source
    }
    charge { credits reserved balance costUsd }
  }
}`;

/** Sign-ins are limited by address, and a file of tests has more of them than one address may. */
export function someAddress(): string {
  return `10.${randomInt(256)}.${randomInt(256)}.${randomInt(256)}`;
}

function describe(query: string, variables: object, { status, body }: Answer): string {
  return `${query}\n${JSON.stringify(variables)}\n${status} ${JSON.stringify(body)}`;
}
