import { brokenAt, type ChainEnd, type Link } from "./chain.ts";

/**
 * The chain as JSON lines. Each field has the form that its hash covers, so a file can be checked without the database:
 * by `checkLines` here, or by any program with SHA-256 and a JSON library.
 */
export function toLine({ seq, id, createdAt, actor, ip, httpRequestId, action, object, ...rest }: Link): string {
  const { accountId, before, after, previousHash, hash } = rest;
  const head = { seq: seq.toString(), id, createdAt: createdAt.toISOString(), actor, ip, httpRequestId };
  return `${JSON.stringify({ ...head, action, object, accountId, before, after, previousHash, hash })}\n`;
}

export async function* formatLines(pages: AsyncIterable<Link[]>): AsyncGenerator<string> {
  for await (const page of pages) yield page.map(toLine).join("");
}

export interface CheckedLines {
  /** The number of intact events. */
  verified: number;
  /** The fault of the first event that is not intact; null when all are. */
  fault: string | null;
  /** Undefined for a file without events. */
  end: ChainEnd | undefined;
}

/** Checks the events of a file. The file may begin at any event of the chain. */
export async function checkLines(lines: AsyncIterable<string>): Promise<CheckedLines> {
  let end: ChainEnd | undefined;
  let verified = 0;
  for await (const line of lines) {
    if (line === "") continue;
    const link = fromLine(line);
    if (!link) return { verified, fault: `line ${verified + 1} is not an event`, end };
    const fault = brokenAt(end ?? { seq: link.seq - 1n, hash: link.previousHash }, link);
    if (fault !== undefined) return { verified, fault, end };
    end = { seq: link.seq, hash: link.hash };
    verified += 1;
  }
  return { verified, fault: null, end };
}

function fromLine(line: string): Link | undefined {
  try {
    const read = JSON.parse(line) as Link & { seq: string; createdAt: string };
    const createdAt = new Date(read.createdAt);
    return Number.isNaN(createdAt.getTime()) ? undefined : { ...read, seq: BigInt(read.seq), createdAt };
  } catch {
    return undefined;
  }
}
