import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { Refused } from "../connection.ts";
import { printObject, printRows, type Row } from "../print.ts";
import type { CommandSession, CommandTools } from "../session.ts";

const monthFields =
  "month state storedBytes droppedAt archive { requests credits costUsd file bytes sha256 archivedAt }";
const askAgainAfterMs = 2_000;

interface Month extends Row {
  month: string;
  state: string;
  archive: (Row & { archivedAt: string }) | null;
}

const toRow = ({ archive, ...month }: Month): Row => ({ ...month, ...archive });

/**
 * The months that a mutation changed. If the connection ends before the work does, the server continues. It is then
 * polled until it is done.
 */
export async function changedMonths(
  { run, refuse }: Pick<CommandTools, "run" | "refuse">,
  mutate: () => Promise<Month[]>,
  pauseMs = askAgainAfterMs,
): Promise<Month[]> {
  const status = async () => (await run(`{ retention { busy months { ${monthFields} } } }`)).retention;
  const before: Month[] = (await status()).months;
  try {
    return await mutate();
  } catch (error) {
    if (error instanceof Refused) throw error;
  }
  let now = await status();
  for (; now.busy; now = await status()) await delay(pauseMs);
  const known = new Set(before.map(versionOf));
  const changed = now.months.filter((month: Month) => !known.has(versionOf(month)));
  return changed.length > 0 ? changed : refuse("UNAVAILABLE", "The server failed. See its log for the cause.");
}

const versionOf = ({ month, state, archive }: Month): string => `${month} ${state} ${archive?.archivedAt}`;

export function addRetentionCommands(program: Command, session: CommandSession): void {
  const retention = program.command("retention").description("show, archive or drop old months of calls");
  retention
    .command("show")
    .description("list the months with state, size in bytes and totals")
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
    .description("write the calls of a month, e.g. 2026-01, to a file in ARCHIVE_DIR; the ledger keeps them")
    .addHelpText("after", "\nExample:\n  tollgate retention archive 2026-01")
    .action((month: string) =>
      session(async ({ output, ...tools }) => {
        const archive = `mutation ($month: String!) { archiveMonth(month: $month) { ${monthFields} } }`;
        const months = await changedMonths(tools, async () => [(await tools.run(archive, { month })).archiveMonth]);
        for (const one of months) printObject(output, toRow(one));
      }),
    );
  retention
    .command("drop <month>")
    .description("delete the calls of an archived month, e.g. 2026-01; their totals stay")
    .option("--sha256 <digits>", "SHA-256 of the archive file, in hexadecimal digits, if the file was moved")
    .addHelpText("after", "\nExample:\n  tollgate retention drop 2026-01")
    .action((month: string, { sha256 }: { sha256?: string }) =>
      session(async ({ output, ...tools }) => {
        const drop = `mutation ($month: String!, $sha256: String) {
          dropMonth(month: $month, sha256: $sha256) { ${monthFields} }
        }`;
        const months = await changedMonths(tools, async () => [(await tools.run(drop, { month, sha256 })).dropMonth]);
        for (const one of months) printObject(output, toRow(one));
      }),
    );
  retention
    .command("apply")
    .description("archive and drop the months that are older than RETENTION_MONTHS")
    .addHelpText("after", "\nExample:\n  tollgate retention apply")
    .action(() =>
      session(async ({ output, ...tools }) => {
        const apply = `mutation { applyRetention { ${monthFields} } }`;
        const months = await changedMonths(tools, async () => (await tools.run(apply)).applyRetention);
        printRows(output, months.map(toRow), "month state requests credits file sha256".split(" "));
      }),
    );
}
