import type { Command } from "commander";
import { dimensionNames } from "../../usage/question/dimensions.ts";
import { printObject, printRows } from "../print.ts";
import type { CommandSession } from "../session.ts";
import { readList } from "./keys.ts";

export function addCreditCommands(program: Command, session: CommandSession): void {
  const credits = program.command("credits").description("grant or show credits");
  credits
    .command("grant <id> <amount>")
    .description("grant credits to the wallet of a key (key_…) or to a wallet (wal_…)")
    .option("--reason <text>", "note for the ledger entry, at most 500 characters (default: none)")
    .option("--idempotency-key <text>", "makes retries safe, 1 to 200 characters (default: none)")
    .addHelpText(
      "after",
      "\nExample:\n  tollgate credits grant key_0190b6f0c7e87d5e8d7a4b6c2f1e0d9c 500 --reason invoice-12",
    )
    .action((id: string, amount: string, options: { reason?: string; idempotencyKey?: string }) =>
      session(async ({ run, output }) => {
        const whom = id.startsWith("key_") ? { apiKeyId: id } : { walletId: id };
        const grant =
          "mutation ($input: GrantCreditsInput!) { grantCredits(input: $input) { id balance held available } }";
        printObject(output, (await run(grant, { input: { ...whom, credits: amount, ...options } })).grantCredits);
      }),
    );
  credits
    .command("show <id>")
    .description("show the credits of a key (key_…) and the last 20 entries of its wallet")
    .addHelpText("after", "\nExample:\n  tollgate credits show key_0190b6f0c7e87d5e8d7a4b6c2f1e0d9c")
    .action((id: string) =>
      session(async ({ run, output, refuse }) => {
        const { apiKey } = await run("query ($id: ID!) { apiKey(id: $id) { wallet { id balance held available } } }", {
          id,
        });
        if (!apiKey) return refuse("NOT_FOUND", "No such key.");
        const list =
          "query ($id: ID!) { creditEntries(walletId: $id, first: 20) { nodes { createdAt kind amount balanceAfter reason } } }";
        const { nodes } = (await run(list, { id: apiKey.wallet.id })).creditEntries;
        if (output.json) return printObject(output, { ...apiKey.wallet, entries: nodes });
        printObject(output, apiKey.wallet);
        output.write("\n");
        printRows(output, nodes, ["createdAt", "kind", "amount", "balanceAfter", "reason"]);
      }),
    );
}

export function addReportCommands(program: Command, session: CommandSession): void {
  program
    .command("usage")
    .description("report usage: requests, tokens, credits and cost")
    .requiredOption("--from <time>", "start: at or after this timestamp, e.g. 2030-01-01T00:00:00Z")
    .requiredOption("--to <time>", "end: before this timestamp")
    .option("--by <list>", `comma-separated dimensions: ${dimensionNames.join(", ")}`, readList, [])
    .addHelpText(
      "after",
      "\nExample:\n  tollgate usage --from 2030-01-01T00:00:00Z --to 2030-02-01T00:00:00Z --by MODEL",
    )
    .action(({ from, to, by }: { from: string; to: string; by: string[] }) =>
      session(async ({ run, output }) => {
        const metrics = "requests failures inputTokens outputTokens credits costUsd";
        const report = `query ($input: UsageInput!) { usage(input: $input) { rows { dimensions { label } metrics { ${metrics} } } } }`;
        const { rows } = (await run(report, { input: { from, to, groupBy: by } })).usage;
        const flat = rows.map((row: { dimensions: { label: string }[]; metrics: object }) => ({
          ...Object.fromEntries(row.dimensions.map(({ label }, i) => [by[i] ?? "", label])),
          ...row.metrics,
        }));
        printRows(output, flat, [...by, ...metrics.split(" ")]);
      }),
    );
}

export function addOperatorCommands(program: Command, session: CommandSession): void {
  program
    .command("doctor")
    .description("check every invariant of the ledger, on the database; exit code 1 if one is broken")
    .addHelpText("after", "\nExample:\n  tollgate doctor")
    .action(() =>
      session(async ({ examine, output, refuse }) => {
        if (!examine) return refuse("NOT_REMOTE", "doctor needs the database: run it without --url.");
        const findings = await examine();
        const rows = findings.map(({ name, says, breaks }) => ({ name, breaks: breaks.length, says }));
        printRows(output, rows, ["name", "breaks", "says"]);
        if (rows.some(({ breaks }) => breaks > 0))
          refuse("LEDGER_BROKEN", "At least one invariant of the ledger is broken.");
      }),
    );
  program
    .command("db")
    .description("migrate the database")
    .command("migrate")
    .description("migrate the database to the newest schema; each start of the server does that, too")
    .addHelpText("after", "\nExample:\n  tollgate db migrate")
    .action(() =>
      session(async ({ examine, output, refuse }) => {
        if (!examine) return refuse("NOT_REMOTE", "db migrate needs the database: run it without --url.");
        printObject(output, { migrated: true });
      }),
    );
}
