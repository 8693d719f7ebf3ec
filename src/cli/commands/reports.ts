import type { Command } from "commander";
import { printObject, printRows } from "../print.ts";
import type { Session } from "../session.ts";
import { readList } from "./keys.ts";

export function addCreditCommands(program: Command, session: Session): void {
  const credits = program.command("credits").description("credits: grant, show");
  credits
    .command("grant <id> <amount>")
    .description("put credits into the wallet of a key (key_…) or into a wallet (wal_…)")
    .option("--reason <text>", "a note for the ledger")
    .option("--idempotency-key <text>", "makes it safe to repeat")
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
    .description("show what a key may spend, and the last changes of its wallet")
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

export function addReportCommands(program: Command, session: Session): void {
  program
    .command("usage")
    .description("what was used")
    .requiredOption("--from <time>", "the first instant that counts, e.g. 2030-01-01T00:00:00Z")
    .requiredOption("--to <time>", "the first instant that counts no more")
    .option("--by <list>", "ACCOUNT, API_KEY, MODEL, PROVIDER, STATUS, END_USER or TAG", readList, [])
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

export function addOperatorCommands(program: Command, session: Session): void {
  program
    .command("doctor")
    .description("prove every invariant of the ledger, on the database; fails if one is broken")
    .addHelpText("after", "\nExample:\n  tollgate doctor")
    .action(() =>
      session(async ({ examine, output, refuse }) => {
        if (!examine) return refuse("NOT_REMOTE", "doctor works on the database: leave --url away.");
        const findings = await examine();
        const rows = findings.map(({ name, says, breaks }) => ({ name, breaks: breaks.length, says }));
        printRows(output, rows, ["name", "breaks", "says"]);
        if (rows.some(({ breaks }) => breaks > 0)) refuse("LEDGER_BROKEN", "The ledger is not sound.");
      }),
    );
  program
    .command("db")
    .description("the database: migrate")
    .command("migrate")
    .description("bring the database to the newest schema, as each start of the server does")
    .addHelpText("after", "\nExample:\n  tollgate db migrate")
    .action(() =>
      session(async ({ examine, output, refuse }) => {
        if (!examine) return refuse("NOT_REMOTE", "db migrate works on the database: leave --url away.");
        printObject(output, { migrated: true });
      }),
    );
}
