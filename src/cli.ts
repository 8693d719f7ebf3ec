#!/usr/bin/env -S node --import tsx
import { runCommand } from "./cli/program.ts";
import { readEnvironment } from "./config/environment.ts";

/** `tollgate …`: the process around one command. */
const terminal = { env: readEnvironment(), out: process.stdout, err: process.stderr };
process.exitCode = await runCommand(process.argv.slice(2), terminal);
