import { request } from "node:http";
import { WebSocket } from "ws";

/** One stream of each kind, read to its end. What comes is looked through for the times at which tokens were sent. */
export interface StreamCall {
  url: string;
  key: string;
  tokens: number;
  /** Told what a token waited between the model and here, in milliseconds. */
  onToken: (delayMs: number) => void;
}

const prompt = "Say something about a fox.";
const query = `subscription ($input: GenerateInput!) {
  generateStream(input: $input) {
    ... on TextDelta { seq text }
    ... on GenerationFinished { generation { status charge { credits } } }
  }
}`;

export function chatStream(call: StreamCall): Promise<void> {
  const messages = [{ role: "user", content: prompt }];
  return readEvents(
    "/v1/chat/completions",
    { model: "stub", messages, stream: true, max_tokens: call.tokens * 2 },
    call,
  );
}

export function graphqlEvents(call: StreamCall): Promise<void> {
  return readEvents("/graphql/stream", operation(call), call);
}

export function graphqlSocket(call: StreamCall): Promise<void> {
  const socket = new WebSocket(`${call.url.replace("http", "ws")}/graphql`, "graphql-transport-ws", {
    headers: { "x-api-key": call.key },
  });
  const counter = new Tokens(call);
  return new Promise((resolve, reject) => {
    socket.on("open", () => socket.send('{"type":"connection_init"}'));
    socket.on("message", (data: Buffer) => {
      const text = data.toString("latin1");
      if (text.includes('"connection_ack"')) {
        socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: operation(call) }));
      } else if (text.includes('"type":"complete"')) socket.close();
      else if (text.includes('"type":"ping"')) socket.send('{"type":"pong"}');
      else if (text.includes('"errors"') || text.includes('"type":"error"')) reject(new Error(text));
      else counter.read(text);
    });
    socket.on("error", reject);
    socket.on("close", () => counter.finish().then(resolve, reject));
  });
}

function operation({ tokens }: StreamCall) {
  return { query, variables: { input: { model: "stub", prompt, maxOutputTokens: tokens * 2 } } };
}

function readEvents(path: string, body: object, call: StreamCall): Promise<void> {
  const counter = new Tokens(call);
  const headers = { "content-type": "application/json", accept: "text/event-stream", "x-api-key": call.key };
  return new Promise((resolve, reject) => {
    const sent = request(`${call.url}${path}`, { method: "POST", headers, agent: false }, (response) => {
      response.setEncoding("latin1");
      response.on("data", (text: string) => {
        if (text.includes('"errors"') || text.includes('"error"')) reject(new Error(text));
        counter.read(text);
      });
      response.on("end", () => counter.finish().then(resolve, reject));
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(JSON.stringify(body));
  });
}

class Tokens {
  readonly #call: StreamCall;
  #count = 0;
  #rest = "";

  constructor(call: StreamCall) {
    this.#call = call;
  }

  read(text: string): void {
    const now = performance.timeOrigin + performance.now();
    const all = this.#rest + text;
    let end = 0;
    for (const match of all.matchAll(/~([\d.]+)~/g)) {
      this.#count += 1;
      this.#call.onToken(now - Number(match[1]));
      end = match.index + match[0].length;
    }
    // What was cut off within a token is read with what follows.
    this.#rest = all.slice(Math.max(end, all.length - 32));
  }

  async finish(): Promise<void> {
    const { tokens } = this.#call;
    if (this.#count !== tokens) throw new Error(`A stream of ${tokens} tokens brought ${this.#count}.`);
  }
}
