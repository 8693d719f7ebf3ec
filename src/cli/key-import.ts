import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { printObject, printRows } from "./print.ts";
import type { CommandSession } from "./session.ts";

interface ImportOptions {
  account?: string;
  format?: string;
  dryRun?: true;
}

export function addKeyImport(keys: Command, session: CommandSession): void {
  keys
    .command("import <file>")
    .description(
      "create API keys from a CSV or JSON file, all or none, and print the plaintext keys; they are shown only once",
    )
    .option("--account <id>", "account id (acc_…) for lines that name none (default: the default account)")
    .option("--format <format>", "csv or json (default: json for a name that ends in .json, else csv)")
    .option("--dry-run", "check the file and create nothing")
    .addHelpText(
      "after",
      "\nExample:\n  tollgate keys import keys.csv --dry-run && tollgate keys import keys.csv --json",
    )
    .action((file: string, { account, format, dryRun }: ImportOptions) =>
      session(async ({ run, output, refuse }) => {
        const content = read(file) ?? refuse("BAD_USER_INPUT", `The file ${file} cannot be read.`);
        const named = (format ?? (/\.json$/i.test(file) ? "json" : "csv")).toUpperCase();
        const input = { format: named, content, accountId: account, dryRun: dryRun ?? false };
        const create = `mutation ($input: ImportApiKeysInput!) {
          importApiKeys(input: $input) { lines keys { line secret apiKey { id name last4 } } }
        }`;
        const { lines, keys } = (await run(create, { input })).importApiKeys as Imported;
        if (dryRun) return printObject(output, { lines, wrong: 0 });
        const rows = keys.map(({ line, secret, apiKey }) => ({ line, ...apiKey, key: secret }));
        printRows(output, rows, ["line", "id", "name", "last4", "key"]);
      }),
    );
}

interface Imported {
  lines: number;
  keys: { line: number; secret: string | null; apiKey: { id: string; name: string; last4: string } }[];
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
