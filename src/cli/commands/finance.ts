import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { printObject, printRows } from "../print.ts";
import type { Session } from "../session.ts";
import { readInt } from "./keys.ts";

interface RestateOptions {
  from: string;
  to: string;
  priceVersion: number;
  apply?: boolean;
  reason?: string;
  idempotencyKey?: string;
}

export function addFinanceCommands(program: Command, session: Session): void {
  addRestate(program, session);
  addRestatements(program, session);
  addInvoices(program, session);
}

function addInvoices(program: Command, session: Session): void {
  const invoices = program.command("invoices").description("providers' invoices: import, list, compare");
  invoices
    .command("import <file>")
    .description("import a CSV of day, model, tokens and cost; the same number again replaces it")
    .requiredOption("--provider <name>", "who sent it")
    .requiredOption("--number <text>", "the provider's number of it")
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
    .description("the last 50")
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
    .description("an invoice beside the ledger, by day and model; the last line is the sum")
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

function addRestatements(program: Command, session: Session): void {
  const columns = ["id", "state", "dryRun", "model", "priceVersion", "from", "to", "calls", "creditsDifference"];
  program
    .command("restatements")
    .description("list the last 50 restatements and previews, and how far they are")
    .addHelpText("after", "\nExample:\n  tollgate restatements")
    .action(() =>
      session(async ({ run, output }) => {
        const list = `{ restatements { nodes { ${columns.join(" ")} } } }`;
        printRows(output, (await run(list)).restatements.nodes, columns);
      }),
    );
}

function addRestate(program: Command, session: Session): void {
  program
    .command("restate <model>")
    .description("show by how much a price would change past calls, or with --apply correct them by adjustments")
    .requiredOption("--from <time>", "calls that began at or after this instant, e.g. 2030-01-01T00:00:00Z")
    .requiredOption("--to <time>", "calls that began before this instant")
    .requiredOption("--price-version <number>", "the version of the model's price that they should have had", readInt)
    .option("--apply", "correct them; without it nothing changes")
    .option("--reason <text>", "a note for the entries")
    .option("--idempotency-key <text>", "makes it safe to repeat")
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
