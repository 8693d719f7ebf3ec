import type { CommandConnection } from "./connection.ts";
import type { Output } from "./print.ts";

/** The tools of a running command. */
export interface CommandTools extends Omit<CommandConnection, "close"> {
  output: Output;
  /** Ends the command with exit code 1 and this error code. */
  refuse: (code: string, message: string) => never;
}

/** Connects, runs the work of a command, and closes the connection. */
export type CommandSession = (work: (tools: CommandTools) => Promise<void>) => Promise<void>;
