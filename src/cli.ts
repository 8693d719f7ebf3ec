#!/usr/bin/env -S node --import tsx
import { runCommand } from "./cli/program.ts";
import { readEnvironment } from "./config/environment.ts";

/** `tollgate …`: the process around one command. */
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // The reader of a pipe may stop early, as `head` does. The command continues, and the rest of its output is dropped.
  if (error.code !== "EPIPE") throw error;
});
const terminal = { env: readEnvironment(), out: process.stdout, err: process.stderr };
process.exitCode = await runCommand(process.argv.slice(2), terminal);
