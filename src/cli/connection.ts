import type { Finding } from "../ledger/checks/doctor.ts";
import type { BiGrant } from "../usage/bi/service.ts";
import type { BiLimits } from "../usage/bi/store.ts";

/** Runs the operations of commands: on a server, or on the database directly. Both have the same schema. */
export interface CommandConnection {
  /** The data of an operation. @throws Refused */
  // biome-ignore lint/suspicious/noExplicitAny: a command knows the shape of its own operation's data.
  run(query: string, variables?: object): Promise<any>;
  /** Undefined on a server, because the whole database must be examined. */
  examine: (() => Promise<Finding[]>) | undefined;
  /** Undefined on a server, because the database's own user must create the role. @throws Refused */
  grantBi: ((limits: Partial<BiLimits>) => Promise<BiGrant>) | undefined;
  /** The audit events after an event, as JSON lines. @throws Refused */
  exportAudit(after: number): AsyncIterable<string>;
  close(): Promise<void>;
}

export interface FaultyLine {
  line: number;
  field: string | null;
  message: string;
}

/** The server refused the operation. */
export class Refused extends Error {
  readonly code: string;
  /** The faults of a refused file, line by line. */
  readonly lines: readonly FaultyLine[];

  constructor(code: string, message: string, lines: readonly FaultyLine[] = []) {
    super(message);
    this.name = "Refused";
    this.code = code;
    this.lines = lines;
  }
}

export interface Answer {
  data?: unknown;
  errors?: readonly { message: string; extensions?: { code?: unknown; lines?: unknown } }[] | undefined;
}

export function dataOf({ data, errors }: Answer): unknown {
  const [error] = errors ?? [];
  if (error) {
    const { code = "REFUSED", lines = [] } = error.extensions ?? {};
    throw new Refused(String(code), error.message, lines as FaultyLine[]);
  }
  return data;
}

const patienceMs = 60_000;

export function connectRemote(url: string, token: string | undefined): CommandConnection {
  const address = url.endsWith("/graphql") ? url : `${url.replace(/\/$/, "")}/graphql`;
  return {
    async run(query, variables = {}) {
      const asking = fetch(address, {
        method: "POST",
        headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
        body: JSON.stringify({ query, variables }),
        signal: AbortSignal.timeout(patienceMs),
      });
      // Another program at this address, such as a proxy, may send text that is not JSON.
      const answer = await asking.then((response) => response.json()).catch(() => undefined);
      if (!answer) throw new Error(`No Tollgate server answers at ${address}`);
      return dataOf(answer as Answer);
    },
    examine: undefined,
    grantBi: undefined,
    async *exportAudit(after) {
      const url = `${address.replace(/graphql$/, "export/audit.jsonl")}?after=${after}`;
      const response = await fetch(url, { headers: token ? { authorization: `Bearer ${token}` } : {} });
      if (!response.ok) dataOf((await response.json()) as Answer);
      yield* response.body?.pipeThrough(new TextDecoderStream()) ?? [];
    },
    close: async () => {},
  };
}
