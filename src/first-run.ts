import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { AccountsService } from "./accounts/service.ts";
import type { AuthService } from "./auth/sign-in/service.ts";
import { systemOrigin } from "./auth/viewer.ts";
import type { Config } from "./config/environment.ts";
import type { Database } from "./db/client.ts";
import type { KeysService } from "./keys/service.ts";
import type { ModelsService } from "./models/service.ts";

/**
 * What a new database needs before anyone can do anything. Done once, by whichever replica comes first. In production
 * nothing secret is told: logs are kept and copied, so there is no demo key, and a generated password goes into a file.
 */
export interface FirstRun {
  email: string;
  password: { chosen: true } | { generated: string } | { file: string };
  /** Undefined in production. */
  demoKey: string | undefined;
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
  const { adminEmail: email, adminPassword, production, dataDir } = config;
  const password = adminPassword ?? randomBytes(12).toString("base64url");
  const file = production && adminPassword === undefined ? keepPassword(dataDir, password) : undefined;
  await auth.ensureOwner(email, password);
  const account = await accounts.create(systemOrigin("first-run"), "Default");
  const order = { name: "demo", accountId: account.id, credits: demoCredits };
  const demo = production ? undefined : await keys.create(systemOrigin("first-run"), order);
  await accounts.makeDefault(account.id);
  const generated = file === undefined ? { generated: password } : { file };
  return { email, password: adminPassword === undefined ? generated : { chosen: true }, demoKey: demo?.secret };
}

/** A file of an earlier start that was cut short is replaced: its password is replaced as well. */
function keepPassword(dataDir: string, password: string): string {
  const file = resolve(join(dataDir, "first-owner.password"));
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  rmSync(file, { force: true });
  writeFileSync(file, `${password}\n`, { mode: 0o600, flag: "wx" });
  return file;
}

export function describeFirstRun({ email, password, demoKey }: FirstRun, address: string): string {
  const line = "─".repeat(78);
  const signIn = `  GraphQL and Sandbox   ${address}/graphql
  Sign in as            ${email}
  Password              ${describePassword(password)}`;
  if (demoKey === undefined) return `\n${line}\n  Tollgate is ready.\n\n${signIn}\n${line}\n`;
  return `
${line}
  Tollgate is ready. This is shown once: keep the key${"generated" in password ? " and the password" : ""}.

${signIn}
  Demo key              ${demoKey}   (${demoCredits} credits)

  A first call:

curl -s ${address}/graphql \\
  -H 'content-type: application/json' \\
  -H 'x-api-key: ${demoKey}' \\
  -d '{"query":"mutation { generate(input: {model: \\"echo\\", prompt: \\"Hello\\"}) { text charge { credits balance } } }"}'
${line}
`;
}

function describePassword(password: FirstRun["password"]): string {
  if ("generated" in password) return password.generated;
  return "file" in password ? `in ${password.file}; delete it after the first sign-in` : "the one in ADMIN_PASSWORD";
}
