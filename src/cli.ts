#!/usr/bin/env -S node --import tsx
import { Command, CommanderError } from "commander";
import { addAuditCommands } from "./cli/audit-commands.ts";
import { connect } from "./cli/connect.ts";
import { Refused } from "./cli/connection.ts";
import { addDataCommands } from "./cli/data-commands.ts";
import { addFinanceCommands } from "./cli/finance-commands.ts";
import { addKeyCommands } from "./cli/key-commands.ts";
import { addKeyImport } from "./cli/key-import.ts";
import { addModelCommands } from "./cli/model-commands.ts";
import { addCreditCommands, addOperatorCommands, addReportCommands } from "./cli/other-commands.ts";
import { addPeopleCommands } from "./cli/people-commands.ts";
import type { Session } from "./cli/session.ts";
import { ConfigError } from "./config.ts";

/** `tollgate …`: operations of the schema from a terminal, on the database directly or on a server with `--url`. */
const exitCodes = { refused: 1, usage: 2, unreachable: 3 } as const;

interface GlobalOptions {
  url?: string;
  token?: string;
  json?: true;
}

const program = new Command("tollgate")
  .description("Manages a Tollgate: on the database of its configuration, or on a server with --url.")
  .option("--url <url>", "a server to talk to, e.g. https://tollgate.example.com (or TOLLGATE_URL)")
  .option("--token <token>", "an access token of a person (better: TOLLGATE_TOKEN)")
  .option("--json", "print JSON")
  .addHelpText("after", "\nExit codes: 0 done, 1 refused, 2 wrong usage, 3 not reachable or not configured.")
  .configureHelp({ showGlobalOptions: true })
  .exitOverride();

const session: Session = async (work) => {
  const { json = false, ...where } = program.opts<GlobalOptions>();
  const connection = await connect(where);
  const output = { json, write: (text: string) => void process.stdout.write(text) };
  const refuse = (code: string, message: string): never => {
    throw new Refused(code, message);
  };
  try {
    await work({ ...connection, output, refuse });
  } finally {
    await connection.close();
  }
};

const keys = addKeyCommands(program, session);
addKeyImport(keys, session);
addCreditCommands(program, session);
addPeopleCommands(program, session);
addModelCommands(program, session);
addReportCommands(program, session);
addAuditCommands(program, session);
addDataCommands(program, session);
addFinanceCommands(program, session);
addOperatorCommands(program, session);

function exitCodeOf(error: unknown): number {
  // Commander has said by then what is wrong; help that was asked for is no fault.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCodes.usage;
  if (error instanceof Refused) {
    process.stderr.write(`${error.code}: ${error.message}\n`);
    for (const { line, field, message } of error.lines) {
      process.stderr.write(`  line ${line}${field ? `, ${field}` : ""}: ${message}\n`);
    }
    return exitCodes.refused;
  }
  const expected = error instanceof ConfigError || (error instanceof Error && error.name === "DataDirInUse");
  const hint = expected ? "" : " (is the server or the database running?)";
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}${hint}\n`);
  return exitCodes.unreachable;
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}
