import type { Command } from "commander";
import { printObject } from "../print.ts";
import type { CommandSession } from "../session.ts";
import { readInt } from "./keys.ts";
import { addRetentionCommands } from "./retention.ts";

/** Commands for BI tools and archives. */
export function addDataCommands(program: Command, session: CommandSession): void {
  addBi(program, session);
  addRetentionCommands(program, session);
}

function addBi(program: Command, session: CommandSession): void {
  program
    .command("bi")
    .description("give BI tools access")
    .command("grant")
    .description(
      "create the database role tollgate_bi, which reads the views of the schema bi; for an existing role, set a new password",
    )
    .option("--connections <count>", "most connections at the same time, 1 to 100 (default: 10)", readInt)
    .option("--timeout <seconds>", "timeout of one statement in seconds, 1 to 3600 (default: 60)", readInt)
    .addHelpText("after", "\nExample:\n  tollgate bi grant --connections 5 --timeout 30")
    .action(({ connections, timeout }: { connections?: number; timeout?: number }) =>
      session(async ({ grantBi, output, refuse }) => {
        if (!grantBi) return refuse("NOT_REMOTE", "bi grant needs the database: run it without --url.");
        const limits = {
          ...(connections !== undefined && { connections }),
          ...(timeout !== undefined && { statementTimeoutMs: timeout * 1000 }),
        };
        // The password is shown only once.
        printObject(output, { ...(await grantBi(limits)) });
      }),
    );
}
