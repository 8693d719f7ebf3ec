import { type Command, InvalidArgumentError, Option } from "commander";
import { printObject, printRows } from "../print.ts";
import type { Session } from "../session.ts";

const shown = "id name status prefix last4 requestsPerMinute tokensPerMinute maxConcurrency expiresAt lastUsedAt";

export function readInt(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}

export function readList(text: string): string[] {
  return text.split(",").map((part) => part.trim());
}

interface CreateOptions {
  account?: string;
  credits?: string;
  sharedWallet?: true;
  rpm?: number;
  tpm?: number;
  concurrency?: number;
  key?: string;
  scopes?: string[];
  models?: string[];
  ips?: string[];
  tags?: string[];
  plan?: string;
  expires?: string;
}

interface ListOptions {
  account?: string;
  first: number;
  name?: string;
  status?: string;
  tag?: string;
  last4?: string;
  dueForRotation?: true;
  exposed?: true;
}

export function addKeyCommands(program: Command, session: Session): Command {
  const keys = program.command("keys").description("API keys: create, list, rotate, revoke");
  addCreate(keys, session);
  addReading(keys, session);
  addRotate(keys, session);
  for (const [verb, does] of [
    ["disable", "stop a key until it is enabled"],
    ["enable", "let a disabled key work again"],
    ["revoke", "stop a key for ever"],
  ] as const) {
    keys
      .command(`${verb} <id>`)
      .description(does)
      .addHelpText("after", `\nExample:\n  tollgate keys ${verb} key_0190b6f0c7e87d5e8d7a4b6c2f1e0d9c`)
      .action((id: string) =>
        session(async ({ run, output }) => {
          const operation = `${verb}ApiKey`;
          const data = await run(`mutation ($id: ID!) { ${operation}(id: $id) { id name status effectiveBy } }`, {
            id,
          });
          printObject(output, data[operation]);
        }),
      );
  }
  return keys;
}

function addCreate(keys: Command, session: Session): void {
  keys
    .command("create <name>")
    .description("create a key and print it, this once")
    .option("--account <id>", "whose key it is (default: the default account)")
    .option("--credits <amount>", "credits that it starts with")
    .option("--shared-wallet", "draw on the account's shared wallet")
    .option("--rpm <calls>", "calls a minute", readInt)
    .option("--tpm <tokens>", "tokens a minute", readInt)
    .option("--concurrency <calls>", "calls at once", readInt)
    .option("--key <text>", "a key text of the customer's own, 20 to 200 visible ASCII characters")
    .option("--scopes <list>", "what it may do, e.g. generate,usage:read", readList)
    .option("--models <list>", "models that it may call, by name or pattern, e.g. echo,gpt-*", readList)
    .option("--ips <list>", "addresses or CIDR ranges that it may be used from", readList)
    .option("--tags <list>", "for finding it", readList)
    .option("--plan <id>", "what gives it the limits that are not said here")
    .option("--expires <time>", "when it stops working, e.g. 2030-01-01T00:00:00Z")
    .addHelpText("after", "\nExample:\n  tollgate keys create customer-company-a --rpm 100 --credits 500")
    .action((name: string, { account, rpm, tpm, concurrency, ips, plan, expires, ...rest }: CreateOptions) =>
      session(async ({ run, output }) => {
        const limits = { requestsPerMinute: rpm, tokensPerMinute: tpm, maxConcurrency: concurrency };
        const input = {
          name,
          accountId: account,
          planId: plan,
          ...limits,
          allowedIps: ips,
          expiresAt: expires,
          ...rest,
        };
        const create = `mutation ($input: CreateApiKeyInput!) {
          createApiKey(input: $input) { secret apiKey { id name requestsPerMinute wallet { balance } } }
        }`;
        const { secret, apiKey } = (await run(create, { input })).createApiKey;
        const { id, requestsPerMinute, wallet } = apiKey;
        printObject(output, { id, name: apiKey.name, key: secret, requestsPerMinute, credits: wallet.balance });
      }),
    );
}

function addReading(keys: Command, session: Session): void {
  keys
    .command("list")
    .description("list keys, newest first")
    .option("--account <id>", "of this account only")
    .option("--name <part>", "with this in the name")
    .addOption(new Option("--status <status>", "in this state").choices(["ACTIVE", "DISABLED", "REVOKED", "EXPIRED"]))
    .option("--tag <tag>", "with this tag")
    .option("--last4 <text>", "with these last four characters, now or earlier")
    .option("--due-for-rotation", "whose newest secret is older than its account wants")
    .option("--exposed", "with a secret whose text came in a URL or an operation")
    .option("--first <count>", "how many, 1 to 100", readInt, 50)
    .addHelpText("after", "\nExample:\n  tollgate keys list --status ACTIVE --json")
    .action(({ account, first, ...rest }: ListOptions) =>
      session(async ({ run, output }) => {
        const list = `query ($filter: ApiKeyFilter, $first: Int) { apiKeys(filter: $filter, first: $first) { nodes { ${shown} } } }`;
        const data = await run(list, { filter: { accountId: account, ...rest }, first });
        printRows(output, data.apiKeys.nodes, ["id", "name", "status", "last4", "requestsPerMinute", "lastUsedAt"]);
      }),
    );
  keys
    .command("show <id>")
    .description("show one key with its secrets and credits")
    .addHelpText("after", "\nExample:\n  tollgate keys show key_0190b6f0c7e87d5e8d7a4b6c2f1e0d9c")
    .action((id: string) =>
      session(async ({ run, output, refuse }) => {
        const more = "scopes models allowedIps account { id } wallet { id balance held available }";
        const secrets = "secrets { id last4 validFrom validTo lastUsedAt exposedAt }";
        const { apiKey } = await run(`query ($id: ID!) { apiKey(id: $id) { ${shown} ${more} ${secrets} } }`, { id });
        if (!apiKey) return refuse("NOT_FOUND", "No such key.");
        if (output.json) return printObject(output, apiKey);
        const { account, wallet, secrets: rows, ...terms } = apiKey;
        printObject(output, { ...terms, account: account.id, wallet: wallet.id, credits: wallet.available });
        output.write("\n");
        printRows(output, rows, Object.keys(rows[0]));
      }),
    );
}

function addRotate(keys: Command, session: Session): void {
  keys
    .command("rotate <id>")
    .description("give a key a new secret and print it, this once")
    .option("--overlap <seconds>", "how long the old secrets still work; 0 for a leak", readInt, 86_400)
    .option("--key <text>", "a key text of the customer's own")
    .addHelpText("after", "\nExample:\n  tollgate keys rotate key_0190b6f0c7e87d5e8d7a4b6c2f1e0d9c --overlap 0")
    .action((id: string, { overlap, key }: { overlap: number; key?: string }) =>
      session(async ({ run, output }) => {
        const rotate = `mutation ($id: ID!, $overlap: Int, $key: String) {
          rotateApiKey(id: $id, overlapSeconds: $overlap, key: $key) { secret apiKey { id name } }
        }`;
        const { secret, apiKey } = (await run(rotate, { id, overlap, key })).rotateApiKey;
        printObject(output, { ...apiKey, key: secret });
      }),
    );
}
