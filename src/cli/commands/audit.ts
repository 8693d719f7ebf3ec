import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { writeAnchor } from "../../audit/chain.ts";
import { checkLines } from "../../audit/export.ts";
import { Refused } from "../connection.ts";
import { printObject } from "../print.ts";
import type { CommandSession } from "../session.ts";
import { readInt } from "./keys.ts";

export function addAuditCommands(program: Command, session: CommandSession, out: Writable): void {
  const audit = program.command("audit").description("verify or export the audit");
  audit
    .command("verify")
    .description("verify the hash chain of audit events; exit code 1 if an event was altered or removed")
    .option("--anchor <seq:hash>", "verify only the events after this anchor of an earlier run (default: all events)")
    .option("--file <path>", "verify an exported file instead, without a server or a database")
    .addHelpText("after", "\nExample:\n  tollgate audit verify --file audit.jsonl")
    .action(async ({ anchor, file }: { anchor?: string; file?: string }) => {
      if (file !== undefined) return verifyFile(file, program.opts<{ json?: true }>().json ?? false, out);
      await session(async ({ run, output, refuse }) => {
        const verify = "query ($anchor: String) { verifyAudit(anchor: $anchor) { intact verified fault anchor } }";
        const { verifyAudit } = await run(verify, { anchor });
        printObject(output, verifyAudit);
        if (!verifyAudit.intact) refuse("AUDIT_BROKEN", verifyAudit.fault);
      });
    });
  audit
    .command("export")
    .description("print all audit events as JSON lines, to be stored elsewhere and verified offline")
    .option("--after <seq>", "only events after this number", readInt, 0)
    .addHelpText("after", "\nExample:\n  tollgate audit export > audit.jsonl")
    .action(({ after }: { after: number }) =>
      session(async ({ exportAudit }) => {
        await pipeline(exportAudit(after), out, { end: false });
      }),
    );
}

async function verifyFile(path: string, json: boolean, out: Writable): Promise<void> {
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
  const { verified, fault, end } = await checkLines(lines);
  const write = (text: string) => void out.write(text);
  const anchor = fault === null && end ? writeAnchor(end) : null;
  printObject({ json, write }, { intact: fault === null, verified, fault, anchor });
  if (fault !== null) throw new Refused("AUDIT_BROKEN", fault);
}
