import type { Command } from "commander";
import { printObject } from "../print.ts";
import type { Session } from "../session.ts";
import { readInt } from "./keys.ts";
import { addRetentionCommands } from "./retention.ts";

/** Where the ledger's data goes: to BI tools, and into archives. */
export function addDataCommands(program: Command, session: Session): void {
  addBi(program, session);
  addRetentionCommands(program, session);
}

function addBi(program: Command, session: Session): void {
  program
    .command("bi")
    .description("BI tools: grant")
    .command("grant")
    .description("make the role tollgate_bi, which reads the views of the schema bi, or give it a new password")
    .option("--connections <count>", "at once, 1 to 100; 10 when absent", readInt)
    .option("--timeout <seconds>", "of one statement, 1 to 3600; 60 when absent", readInt)
    .addHelpText("after", "\nExample:\n  tollgate bi grant --connections 5 --timeout 30")
    .action(({ connections, timeout }: { connections?: number; timeout?: number }) =>
      session(async ({ grantBi, output, refuse }) => {
        if (!grantBi) return refuse("NOT_REMOTE", "bi grant works on the database: leave --url away.");
        const limits = {
          ...(connections !== undefined && { connections }),
          ...(timeout !== undefined && { statementTimeoutMs: timeout * 1000 }),
        };
        // The password is shown now and never again.
        printObject(output, { ...(await grantBi(limits)) });
      }),
    );
}
