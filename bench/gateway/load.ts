import { connect, type Socket } from "node:net";

/**
 * A closed loop of calls over kept connections: each sends its next call when the last one is answered. It writes
 * prepared bytes and reads no more of an answer than its status, its end and one text, so that it costs a few
 * microseconds a call and is not what is measured.
 */
export interface Call {
  url: string;
  headers: Record<string, string>;
  body: string;
  /** Stands in each good answer. A refusal is quick, and would look like speed. */
  expected: string;
}

export interface LoadOptions {
  connections: number;
  /** Whichever comes first. */
  seconds?: number;
  calls?: number;
}

export interface Load {
  calls: number;
  seconds: number;
  requestsPerSecond: number;
  latencyMs: { p50: number; p99: number };
}

export async function load(call: Call, { connections, seconds = 3600, calls = Infinity }: LoadOptions): Promise<Load> {
  const request = requestBytes(call);
  const expected = Buffer.from(call.expected);
  const latencies: number[] = [];
  const startedAt = performance.now();
  const deadline = startedAt + seconds * 1000;
  let begun = 0;
  const more = () => performance.now() < deadline && begun++ < calls;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const connection = await Connection.open(new URL(call.url));
      while (more()) {
        const sentAt = performance.now();
        const { status, text } = await connection.exchange(request);
        latencies.push(performance.now() - sentAt);
        if (status !== 200 || !text.includes(expected)) throw new Error(`${call.url} answered ${status}: ${text}`);
      }
      connection.close();
    }),
  );
  const took = (performance.now() - startedAt) / 1000;
  latencies.sort((a, b) => a - b);
  const percentile = (share: number) => round(latencies[Math.floor(latencies.length * share)] ?? 0, 3);
  return {
    calls: latencies.length,
    seconds: took,
    requestsPerSecond: Math.round(latencies.length / took),
    latencyMs: { p50: percentile(0.5), p99: percentile(0.99) },
  };
}

export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function requestBytes({ url, headers, body }: Call): Buffer {
  const { host, pathname } = new URL(url);
  const all = { host, "content-type": "application/json", "content-length": Buffer.byteLength(body), ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return Buffer.from(`POST ${pathname} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n${body}`);
}

interface Answer {
  status: number;
  text: Buffer;
}

class Connection {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;

  static open({ hostname, port }: URL): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: hostname, port: Number(port), noDelay: true });
      socket.once("error", reject);
      socket.once("connect", () => resolve(new Connection(socket)));
    });
  }

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
      const answer = readAnswer(this.#received);
      if (!answer) return;
      this.#received = Buffer.alloc(0);
      this.#waiting?.resolve(answer);
    });
    socket.on("error", (error) => this.#waiting?.reject(error));
    socket.on("close", () => this.#waiting?.reject(new Error("The connection was closed.")));
  }

  exchange(request: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Undefined until the whole answer is there. */
function readAnswer(bytes: Buffer): Answer | undefined {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd === -1) return undefined;
  const head = bytes.toString("latin1", 0, headEnd).toLowerCase();
  const lengthAt = head.indexOf("\r\ncontent-length:");
  const complete =
    lengthAt === -1
      ? bytes.subarray(-5).equals(lastChunk)
      : bytes.length >= headEnd + 4 + Number.parseInt(head.slice(lengthAt + 17), 10);
  return complete ? { status: Number(head.slice(9, 12)), text: bytes.subarray(headEnd + 4) } : undefined;
}

const lastChunk = Buffer.from("0\r\n\r\n");
