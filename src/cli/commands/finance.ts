import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { printObject, printRows } from "../print.ts";
import type { CommandSession } from "../session.ts";
import { readInt } from "./keys.ts";

interface RestateOptions {
  from: string;
  to: string;
  priceVersion: number;
  apply?: boolean;
  reason?: string;
  idempotencyKey?: string;
}

export function addFinanceCommands(program: Command, session: CommandSession): void {
  addRestate(program, session);
  addRestatements(program, session);
  addInvoices(program, session);
}

function addInvoices(program: Command, session: CommandSession): void {
  const invoices = program.command("invoices").description("import, list or compare providers' invoices");
  invoices
    .command("import <file>")
    .description(
      "import an invoice: a CSV file with day, model, tokens and cost (USD); an invoice with the same number is replaced",
    )
    .requiredOption("--provider <name>", "name of the provider")
    .requiredOption("--number <text>", "number of the invoice")
    .addHelpText("after", "\nExample:\n  tollgate invoices import january.csv --provider openai --number INV-2030-01")
    .action((file: string, options: { provider: string; number: string }) =>
      session(async ({ run, output }) => {
        const importIt = `mutation ($input: ImportProviderInvoiceInput!) {
          importProviderInvoice(input: $input) { id provider number lines firstDay lastDay tokens costUsd }
        }`;
        const input = { ...options, csv: await readFile(file, "utf8") };
        printObject(output, (await run(importIt, { input })).importProviderInvoice);
      }),
    );
  const columns = ["id", "provider", "number", "firstDay", "lastDay", "tokens", "costUsd"];
  invoices
    .command("list")
    .description("list the newest 50 invoices")
    .addHelpText("after", "\nExample:\n  tollgate invoices list")
    .action(() =>
      session(async ({ run, output }) => {
        const list = `{ providerInvoices { nodes { ${columns.join(" ")} } } }`;
        printRows(output, (await run(list)).providerInvoices.nodes, columns);
      }),
    );
  const compared = [
    "day",
    "model",
    "invoicedTokens",
    "ourTokens",
    "invoicedCostUsd",
    "ourCostUsd",
    "costUsdDifference",
  ];
  invoices
    .command("compare <id>")
    .description("compare an invoice (inv_…) with the ledger, by day and model; the last line is the total")
    .addHelpText("after", "\nExample:\n  tollgate invoices compare inv_0190b6f0c7e87d5e8d7a4b6c2f1e0d9c")
    .action((id: string) =>
      session(async ({ run, output }) => {
        const compare = `query ($id: ID!) {
          compareProviderInvoice(id: $id) { rows { ${compared.join(" ")} } total { ${compared.join(" ")} } }
        }`;
        const { rows, total } = (await run(compare, { id })).compareProviderInvoice;
        printRows(output, [...rows, total], compared);
      }),
    );
}

function addRestatements(program: Command, session: CommandSession): void {
  const columns = ["id", "state", "dryRun", "model", "priceVersion", "from", "to", "calls", "creditsDifference"];
  program
    .command("restatements")
    .description("list the newest 50 restatements and previews, with their progress")
    .addHelpText("after", "\nExample:\n  tollgate restatements")
    .action(() =>
      session(async ({ run, output }) => {
        const list = `{ restatements { nodes { ${columns.join(" ")} } } }`;
        printRows(output, (await run(list)).restatements.nodes, columns);
      }),
    );
}

function addRestate(program: Command, session: CommandSession): void {
  program
    .command("restate <model>")
    .description("preview how a price version changes the charges of past calls; --apply corrects them by adjustments")
    .requiredOption("--from <time>", "start: calls at or after this timestamp, e.g. 2030-01-01T00:00:00Z")
    .requiredOption("--to <time>", "end: calls before this timestamp")
    .requiredOption("--price-version <number>", "price version of the model that should have applied", readInt)
    .option("--apply", "write the adjustments (default: preview only)")
    .option("--reason <text>", "note for the ledger entries")
    .option("--idempotency-key <text>", "makes retries safe, 1 to 200 characters")
    .addHelpText(
      "after",
      "\nExample:\n  tollgate restate gpt-4o --from 2030-01-01T00:00:00Z --to 2030-02-01T00:00:00Z --price-version 3",
    )
    .action((model: string, { apply = false, priceVersion, ...options }: RestateOptions) =>
      session(async ({ run, output }) => {
        const restate = `mutation ($input: RestateUsageInput!) {
          restateUsage(input: $input) {
            id state dryRun calls callsChanged creditsBefore creditsDifference creditsGivenBack creditsTaken creditsUncollected
            costUsdBefore costUsdDifference
          }
        }`;
        const input = { model, priceVersion, dryRun: !apply, ...options };
        printObject(output, (await run(restate, { input })).restateUsage);
      }),
    );
}
