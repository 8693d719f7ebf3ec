import type { Writable } from "node:stream";
import { Command, CommanderError } from "commander";
import { ConfigError, type Variables } from "../config/environment.ts";
import { addAuditCommands } from "./commands/audit.ts";
import { addDataCommands } from "./commands/data.ts";
import { addFinanceCommands } from "./commands/finance.ts";
import { addKeyCommands } from "./commands/keys.ts";
import { addModelCommands } from "./commands/models.ts";
import { addPeopleCommands } from "./commands/people.ts";
import { addCreditCommands, addOperatorCommands, addReportCommands } from "./commands/reports.ts";
import { connect } from "./connect.ts";
import { Refused } from "./connection.ts";
import { addKeyImport } from "./key-import.ts";
import type { CommandSession } from "./session.ts";

/** The command line: operations of the schema, on the database directly or on a server with `--url`. */
const exitCodes = { done: 0, refused: 1, usage: 2, unreachable: 3 } as const;

interface GlobalOptions {
  url?: string;
  token?: string;
  json?: true;
}

/** The environment and the output streams of a command. */
export interface Terminal {
  env: Variables;
  out: Writable;
  err: Writable;
}

/** Runs one command and returns its exit code. */
export async function runCommand(args: string[], terminal: Terminal): Promise<number> {
  const program = buildProgram(terminal);
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCodes.done;
  } catch (error) {
    return exitCodeOf(error, terminal.err);
  }
}

function buildProgram(terminal: Terminal): Command {
  const program = new Command("tollgate")
    .description("Manages Tollgate: on the database of the configuration, or on a server with --url.")
    .option(
      "--url <url>",
      "URL of the server, e.g. https://tollgate.example.com (default: TOLLGATE_URL, else the database)",
    )
    .option("--token <token>", "access token of a user (default: TOLLGATE_TOKEN, which stays out of the shell history)")
    .option("--json", "print JSON (default: a table)")
    .addHelpText("after", "\nExit codes: 0 done, 1 refused, 2 wrong usage, 3 not reachable or not configured.")
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => void terminal.out.write(text),
      writeErr: (text) => void terminal.err.write(text),
    })
    .exitOverride();
  const session = sessionOf(program, terminal);
  const keys = addKeyCommands(program, session);
  addKeyImport(keys, session);
  addCreditCommands(program, session);
  addPeopleCommands(program, session);
  addModelCommands(program, session);
  addReportCommands(program, session);
  addAuditCommands(program, session, terminal.out);
  addDataCommands(program, session);
  addFinanceCommands(program, session);
  addOperatorCommands(program, session);
  return program;
}

function sessionOf(program: Command, terminal: Terminal): CommandSession {
  return async (work) => {
    const { json = false, ...where } = program.opts<GlobalOptions>();
    const connection = await connect(where, terminal);
    const output = { json, write: (text: string) => void terminal.out.write(text) };
    const refuse = (code: string, message: string): never => {
      throw new Refused(code, message);
    };
    try {
      await work({ ...connection, output, refuse });
    } finally {
      await connection.close();
    }
  };
}

function exitCodeOf(error: unknown, err: Writable): number {
  // The reader of a pipe stopped early, as `head` does.
  if ((error as NodeJS.ErrnoException).code === "EPIPE") return exitCodes.done;
  // Commander has already printed the error. Requested help is not an error.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  if (error instanceof Refused) {
    err.write(`${error.code}: ${error.message}\n`);
    for (const { line, field, message } of error.lines) {
      err.write(`  line ${line}${field ? `, ${field}` : ""}: ${message}\n`);
    }
    return exitCodes.refused;
  }
  const inWords = error instanceof Error && ["DataDirInUse", "ServerSecretMismatch"].includes(error.name);
  const expected = error instanceof ConfigError || inWords;
  const hint = expected ? "" : " (is the server or the database running?)";
  err.write(`${error instanceof Error ? error.message : String(error)}${hint}\n`);
  return exitCodes.unreachable;
}
