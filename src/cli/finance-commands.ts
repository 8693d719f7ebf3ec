import type { Command } from "commander";
import { printObject } from "./print.ts";
import type { Session } from "./session.ts";

interface RestateOptions {
  from: string;
  to: string;
  priceVersion: string;
  apply?: boolean;
  reason?: string;
  idempotencyKey?: string;
}

export function addFinanceCommands(program: Command, session: Session): void {
  program
    .command("restate <model>")
    .description("show by how much a price would change past calls, or with --apply correct them by adjustments")
    .requiredOption("--from <time>", "calls that began at or after this instant, e.g. 2030-01-01T00:00:00Z")
    .requiredOption("--to <time>", "calls that began before this instant")
    .requiredOption("--price-version <number>", "the version of the model's price that they should have had")
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
        const input = { model, priceVersion: Number(priceVersion), dryRun: !apply, ...options };
        printObject(output, (await run(restate, { input })).restateUsage);
      }),
    );
}
