import { type Command, InvalidArgumentError, Option } from "commander";
import { printObject, printRows } from "../print.ts";
import type { CommandSession } from "../session.ts";

const shown = "id name status prefix last4 requestsPerMinute tokensPerMinute maxConcurrency expiresAt lastUsedAt";

export function readInt(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It must be a whole number of at most 9 digits.");
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

export function addKeyCommands(program: Command, session: CommandSession): Command {
  const keys = program
    .command("keys")
    .description("create, list, show, import, rotate, disable, enable or revoke API keys");
  addCreate(keys, session);
  addReading(keys, session);
  addRotate(keys, session);
  for (const [verb, does] of [
    ["disable", "disable a key until it is re-enabled"],
    ["enable", "re-enable a disabled key"],
    ["revoke", "revoke a key for good"],
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

function addCreate(keys: Command, session: CommandSession): void {
  keys
    .command("create <name>")
    .description("create an API key and print the plaintext key; it is shown only once")
    .option("--account <id>", "account id, acc_… (default: the default account)")
    .option("--credits <amount>", "initial credits (default: none)")
    .option("--shared-wallet", "spend from the account's shared wallet (default: a wallet of its own)")
    .option("--rpm <calls>", "rate limit: calls a minute (default: the plan's, else none)", readInt)
    .option("--tpm <tokens>", "rate limit: tokens a minute (default: the plan's, else none)", readInt)
    .option("--concurrency <calls>", "most calls at the same time (default: the plan's, else none)", readInt)
    .option(
      "--key <text>",
      "plaintext key of the customer's own, 20 to 200 visible ASCII characters (default: generated)",
    )
    .option(
      "--scopes <list>",
      "comma-separated scopes, e.g. generate,usage:read (default: generate,embed,usage:read)",
      readList,
    )
    .option(
      "--models <list>",
      "comma-separated models that it is allowed to call, by name or pattern, e.g. echo,gpt-* (default: all)",
      readList,
    )
    .option(
      "--ips <list>",
      "comma-separated IP addresses or CIDR ranges from which it is allowed (default: all)",
      readList,
    )
    .option("--tags <list>", "comma-separated tags (default: none)", readList)
    .option("--plan <id>", "plan id (pln_…) for limits that are not set here (default: the account's plan)")
    .option("--expires <time>", "timestamp of expiry, e.g. 2030-01-01T00:00:00Z (default: never)")
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

function addReading(keys: Command, session: CommandSession): void {
  keys
    .command("list")
    .description("list API keys, newest first")
    .option("--account <id>", "only keys of this account (acc_…)")
    .option("--name <part>", "only keys whose name contains this text")
    .addOption(
      new Option("--status <status>", "only keys with this status").choices([
        "ACTIVE",
        "DISABLED",
        "REVOKED",
        "EXPIRED",
      ]),
    )
    .option("--tag <tag>", "only keys with this tag")
    .option("--last4 <text>", "only keys with these last four characters, of a current or earlier secret")
    .option("--due-for-rotation", "only keys that are due for rotation")
    .option("--exposed", "only keys whose plaintext was sent in a URL or an operation")
    .option("--first <count>", "number of keys, 1 to 100", readInt, 50)
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
    .description("show an API key (key_…) with its secrets and credits")
    .addHelpText("after", "\nExample:\n  tollgate keys show key_0190b6f0c7e87d5e8d7a4b6c2f1e0d9c")
    .action((id: string) =>
      session(async ({ run, output, refuse }) => {
        const more = "scopes models allowedIps account { id } wallet { id balance held available }";
        const secrets = "secrets { id last4 validFrom validTo lastUsedAt exposedAt }";
        const { apiKey } = await run(`query ($id: ID!) { apiKey(id: $id) { ${shown} ${more} ${secrets} } }`, { id });
        if (!apiKey) return refuse("NOT_FOUND", "No such key.");
        if (output.json) return printObject(output, apiKey);
        const { account, wallet, secrets: rows, ...fields } = apiKey;
        printObject(output, { ...fields, account: account.id, wallet: wallet.id, credits: wallet.available });
        output.write("\n");
        printRows(output, rows, Object.keys(rows[0]));
      }),
    );
}

function addRotate(keys: Command, session: CommandSession): void {
  keys
    .command("rotate <id>")
    .description("rotate a key: create a new secret and print the plaintext key; it is shown only once")
    .option("--overlap <seconds>", "how long old secrets keep working, in seconds; 0 after a leak", readInt, 86_400)
    .option(
      "--key <text>",
      "plaintext key of the customer's own, 20 to 200 visible ASCII characters (default: generated)",
    )
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
