import type { Finding } from "../ledger/checks/doctor.ts";
import type { BiGrant } from "../usage/bi/service.ts";
import type { BiLimits } from "../usage/bi/store.ts";

/** Where the commands run their operations: on a server, or on the database itself. Both speak the same schema. */
export interface Connection {
  /** The data of an operation. @throws Refused */
  // biome-ignore lint/suspicious/noExplicitAny: a command knows the shape that its own operation asks for.
  run(query: string, variables?: object): Promise<any>;
  /** Undefined on a server: only the database can be examined as a whole. */
  examine: (() => Promise<Finding[]>) | undefined;
  /** Undefined on a server: a role is made by the database's own user. @throws Refused */
  grantBi: ((limits: Partial<BiLimits>) => Promise<BiGrant>) | undefined;
  /** The chain of the audit from behind an event on, as JSON lines. @throws Refused */
  exportAudit(after: number): AsyncIterable<string>;
  close(): Promise<void>;
}

export interface FaultyLine {
  line: number;
  field: string | null;
  message: string;
}

/** The server understood and said no. */
export class Refused extends Error {
  readonly code: string;
  /** What is wrong line by line, of a file that was refused. */
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

export function connectRemote(url: string, token: string | undefined): Connection {
  const address = url.endsWith("/graphql") ? url : `${url.replace(/\/$/, "")}/graphql`;
  return {
    async run(query, variables = {}) {
      const asking = fetch(address, {
        method: "POST",
        headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
        body: JSON.stringify({ query, variables }),
        signal: AbortSignal.timeout(patienceMs),
      });
      // Whatever else answers there, a proxy say, does so in its own words.
      const answer = await asking.then((response) => response.json()).catch(() => undefined);
      if (!answer) throw new Error(`No Tollgate answers at ${address}`);
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
