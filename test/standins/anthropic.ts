import { deliver, isDelivery, type Reply, type Standin, sendJson, startStandin } from "./openai.ts";

// A real server that speaks Anthropic's messages API; the requested model's name chooses what it does.

const words = ["Hello", " from", " the", " stand-in"];
const sse = (data: { type: string }) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
const plainInput = { input_tokens: 8, cache_read_input_tokens: 2, cache_creation_input_tokens: 1 };
const inputs: Record<string, object> = {
  "cache-times": {
    ...{ input_tokens: 100, cache_read_input_tokens: 500, cache_creation_input_tokens: 400 },
    cache_creation: { ephemeral_5m_input_tokens: 300, ephemeral_1h_input_tokens: 100 },
  },
  "cache-no-times": { input_tokens: 100, cache_read_input_tokens: 500, cache_creation_input_tokens: 400 },
  "cache-odd-times": {
    ...{ input_tokens: 100, cache_read_input_tokens: 500, cache_creation_input_tokens: 400 },
    cache_creation: { ephemeral_1h_input_tokens: 900 },
  },
};
const call = { type: "tool_use", id: "toolu_1", name: "weather" };

function replyTo(body: Record<string, unknown>): Reply {
  const tool = body["model"] === "call-tool";
  const input = inputs[String(body["model"])] ?? plainInput;
  const shown = words.slice(0, Number(body["max_tokens"]));
  const stop_reason = tool ? "tool_use" : shown.length < words.length ? "max_tokens" : "end_turn";
  const output_tokens = shown.length;
  const head = { id: "msg_1", type: "message", role: "assistant", model: body["model"] };
  const error = { type: "error", error: { type: "overloaded_error", message: "Overloaded" } };
  const errorBody = (message: string) => JSON.stringify({ ...error, error: { ...error.error, message } });
  if (body["stream"] !== true) {
    const content = tool ? [{ ...call, input: { city: "Bern" } }] : [{ type: "text", text: shown.join("") }];
    const usage = { ...input, output_tokens };
    const text = JSON.stringify({ ...head, content, stop_reason, stop_sequence: null, usage });
    const deltas = [text.slice(0, 20), text.slice(20, 40)];
    const ending = text.slice(40);
    return { contentType: "application/json", deltas, ending, errorEvent: JSON.stringify(error), errorBody };
  }
  const message = {
    ...head,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { ...input, output_tokens: 1 },
  };
  const block = tool ? { ...call, input: {} } : { type: "text", text: "" };
  const start = sse({ type: "message_start", message } as never);
  const open = sse({ type: "content_block_start", index: 0, content_block: block } as never);
  const delta = (part: object) => sse({ type: "content_block_delta", index: 0, delta: part } as never);
  const pieces = tool
    ? ['{"city":', '"Bern"}'].map((partial_json) => delta({ type: "input_json_delta", partial_json }))
    : shown.map((text) => delta({ type: "text_delta", text }));
  const [first = "", ...rest] = pieces;
  const ending = [
    sse({ type: "content_block_stop", index: 0 } as never),
    sse({ type: "message_delta", delta: { stop_reason, stop_sequence: null }, usage: { output_tokens } } as never),
    sse({ type: "message_stop" }),
  ].join("");
  return {
    contentType: "text/event-stream",
    deltas: [start + open + first, ...rest],
    ending,
    errorEvent: sse(error),
    errorBody,
  };
}

export function startAnthropicStandin(): Promise<Standin> {
  return startStandin((received, res) => {
    const model = String(received.body["model"]);
    if (received.path === "/v1/models") return sendJson(res, 200, { data: [{ id: "ok", type: "model" }] });
    const known =
      received.path === "/v1/messages" &&
      (["ok", "call-tool", ...Object.keys(inputs)].includes(model) || isDelivery(model));
    if (!known) return sendJson(res, 404, { type: "error", error: { type: "not_found_error", message: model } });
    deliver(res, replyTo(received.body), received);
  }).then((standin) => ({ ...standin, url: `${standin.url}/v1` }));
}
