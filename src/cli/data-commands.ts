import type { Command } from "commander";
import { readInt } from "./key-commands.ts";
import { printObject, printRows, type Row } from "./print.ts";
import type { Session } from "./session.ts";

/** Where the ledger's data goes: to BI tools, and into archives. */
export function addDataCommands(program: Command, session: Session): void {
  addBi(program, session);
  addRetention(program, session);
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

const monthFields =
  "month state storedBytes droppedAt archive { requests credits costUsd file bytes sha256 archivedAt }";

const toRow = ({ archive, ...month }: Row): Row => ({ ...month, ...(archive as Row | null) });

function addRetention(program: Command, session: Session): void {
  const retention = program.command("retention").description("old months of calls: show, archive, drop, apply");
  retention
    .command("show")
    .description("list the months, where their calls are, and what is kept")
    .addHelpText("after", "\nExample:\n  tollgate retention show")
    .action(() =>
      session(async ({ run, output }) => {
        const { retention: status } = await run(`{ retention { keepMonths months { ${monthFields} } } }`);
        if (output.json) printObject(output, status);
        else printRows(output, status.months.map(toRow), "month state storedBytes requests credits file".split(" "));
      }),
    );
  retention
    .command("archive <month>")
    .description("write the calls of a month, e.g. 2026-01, to a file in ARCHIVE_DIR; they stay in the ledger")
    .addHelpText("after", "\nExample:\n  tollgate retention archive 2026-01")
    .action((month: string) =>
      session(async ({ run, output }) => {
        const archive = `mutation ($month: String!) { archiveMonth(month: $month) { ${monthFields} } }`;
        printObject(output, toRow((await run(archive, { month })).archiveMonth));
      }),
    );
  retention
    .command("drop <month>")
    .description("drop the calls of an archived month; their sums stay")
    .option("--sha256 <digits>", "of the file, if it no longer lies where it was written")
    .addHelpText("after", "\nExample:\n  tollgate retention drop 2026-01")
    .action((month: string, { sha256 }: { sha256?: string }) =>
      session(async ({ run, output }) => {
        const drop = `mutation ($month: String!, $sha256: String) {
          dropMonth(month: $month, sha256: $sha256) { ${monthFields} }
        }`;
        printObject(output, toRow((await run(drop, { month, sha256 })).dropMonth));
      }),
    );
  retention
    .command("apply")
    .description("archive and drop what RETENTION_MONTHS no longer keeps")
    .addHelpText("after", "\nExample:\n  tollgate retention apply")
    .action(() =>
      session(async ({ run, output }) => {
        const { applyRetention } = await run(`mutation { applyRetention { ${monthFields} } }`);
        printRows(output, applyRetention.map(toRow), "month state requests credits file sha256".split(" "));
      }),
    );
}
