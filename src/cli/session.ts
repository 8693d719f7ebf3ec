import type { Connection } from "./connection.ts";
import type { Output } from "./print.ts";

/** What a command is given while it runs. */
export interface CommandTools extends Omit<Connection, "close"> {
  output: Output;
  /** Ends the command as refused, with this code. */
  refuse: (code: string, message: string) => never;
}

/** Connects, runs the work of a command, and lets go of everything. */
export type Session = (work: (tools: CommandTools) => Promise<void>) => Promise<void>;
