import { randomBytes } from "node:crypto";
import type { AccountsService } from "./accounts/service.ts";
import type { AuthService } from "./auth/sign-in/service.ts";
import { systemOrigin } from "./auth/viewer.ts";
import type { Config } from "./config/environment.ts";
import type { Database } from "./db/client.ts";
import type { KeysService } from "./keys/service.ts";
import type { ModelsService } from "./models/service.ts";

/** What a new database needs before anyone can do anything. Done once, by whichever replica comes first. */
export interface FirstRun {
  email: string;
  /** Undefined when the admin chose it. */
  generatedPassword: string | undefined;
  key: string;
}

interface Parts {
  config: Config;
  db: Database;
  auth: AuthService;
  accounts: AccountsService;
  keys: KeysService;
  models: ModelsService;
}

const demoCredits = "100";

export async function prepareFirstRun(parts: Parts): Promise<FirstRun | undefined> {
  const { db, accounts, models } = parts;
  const description = "A stand-in that answers with the prompt. Runs no model.";
  const echo = { name: "echo", provider: "echo", description, action: "model.create" as const, rates: {} };
  await models.addFound(systemOrigin("first-run"), echo);
  if (await accounts.hasDefault()) return undefined;
  return db.exclusively("firstRun", async () => ((await accounts.hasDefault()) ? undefined : create(parts)));
}

/** The account becomes the default one last: until then, a start that was cut short is done again. */
async function create({ config, auth, accounts, keys }: Parts): Promise<FirstRun> {
  const { adminEmail: email, adminPassword } = config;
  const password = adminPassword ?? randomBytes(12).toString("base64url");
  await auth.ensureOwner(email, password);
  const account = await accounts.create(systemOrigin("first-run"), "Default");
  const { secret } = await keys.create(systemOrigin("first-run"), {
    name: "demo",
    accountId: account.id,
    credits: demoCredits,
  });
  await accounts.makeDefault(account.id);
  return { email, generatedPassword: adminPassword === undefined ? password : undefined, key: secret };
}

export function describeFirstRun({ email, generatedPassword, key }: FirstRun, address: string): string {
  const line = "─".repeat(78);
  return `
${line}
  Tollgate is ready. This is shown once: keep the key${generatedPassword ? " and the password" : ""}.

  GraphQL and Sandbox   ${address}/graphql
  Sign in as            ${email}
  Password              ${generatedPassword ?? "the one in ADMIN_PASSWORD"}
  Demo key              ${key}   (${demoCredits} credits)

  A first call:

curl -s ${address}/graphql \\
  -H 'content-type: application/json' \\
  -H 'x-api-key: ${key}' \\
  -d '{"query":"mutation { generate(input: {model: \\"echo\\", prompt: \\"Hello\\"}) { text charge { credits balance } } }"}'
${line}
`;
}
