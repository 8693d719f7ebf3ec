import {
  deliver,
  isDelivery,
  type Reply,
  type Standin,
  sendJson,
  standinUsage,
  standinWords,
  startStandin,
} from "./openai.ts";

// A real server that speaks Ollama's native API; the requested model's name chooses what it does wrong.

interface Content {
  words?: string[];
  thinking?: string;
  reason?: string;
  done?: boolean;
  /** In place of the true counts. */
  counts?: Record<string, unknown>;
}

const replies: Record<string, Content> = {
  ok: {},
  "no-usage": { counts: {} },
  "empty-usage": { counts: { prompt_eval_count: null } },
  "negative-usage": { counts: { prompt_eval_count: 11, eval_count: -5 } },
  "huge-usage": { counts: { prompt_eval_count: 1e18, eval_count: 1e18 } },
  "beyond-usage": { counts: { prompt_eval_count: 11, eval_count: 1e300 } },
  "fractional-usage": { counts: { prompt_eval_count: 11, eval_count: 1.5 } },
  "string-usage": { counts: { prompt_eval_count: "7", eval_count: "7" } },
  "zero-usage": { counts: { prompt_eval_count: 0, eval_count: 0 } },
  reasoning: { thinking: "Let me think.", counts: {} },
  "odd-finish": { reason: "because" },
  "not-done": { done: false },
  empty: { words: [], reason: "load" },
  "empty-odd-finish": { words: [], reason: "because" },
  special: { words: ["<|endoftext|>", ' "completion_tokens": "7"', " 🦊é\u0000"] },
};

function replyTo(body: Record<string, unknown>, content: Content): Reply {
  const options = (body["options"] ?? {}) as { num_predict?: number };
  const wanted = content.words ?? standinWords;
  const words = wanted.slice(0, options.num_predict ?? wanted.length);
  const head = { model: body["model"], created_at: "2024-01-01T00:00:00Z" };
  const end = {
    done: content.done ?? true,
    done_reason: content.reason ?? (words.length < wanted.length ? "length" : "stop"),
    load_duration: 2_000_000,
    prompt_eval_duration: 3_000_000,
    ...(content.counts ?? { prompt_eval_count: standinUsage.inputTokens, eval_count: words.length }),
  };
  const message = (text: string, thinking?: string) => ({
    role: "assistant",
    content: text,
    ...(thinking && { thinking }),
  });
  const errorBody = (error: string) => JSON.stringify({ error });
  const errorEvent = `${errorBody("llama runner process has terminated")}\n`;
  if (body["stream"] === false) {
    const text = JSON.stringify({ ...head, message: message(words.join(""), content.thinking), ...end });
    const deltas = [text.slice(0, 20), text.slice(20, 40)];
    return { contentType: "application/json", deltas, ending: text.slice(40), errorEvent, errorBody };
  }
  const line = (part: object) => `${JSON.stringify({ ...head, ...part })}\n`;
  const deltas = words.map((word, i) =>
    line({ message: message(word, i ? undefined : content.thinking), done: false }),
  );
  const ending = line({ message: message(""), ...end });
  return { contentType: "application/x-ndjson", deltas, ending, errorEvent, errorBody };
}

export function startOllamaStandin(): Promise<Standin> {
  return startStandin((call, res) => {
    const model = String(call.body["model"]);
    const content = replies[model] ?? (isDelivery(model) ? {} : undefined);
    if (call.path === "/api/tags") {
      return sendJson(res, 200, { models: Object.keys(replies).map((name) => ({ name, model: name, size: 1 })) });
    }
    if (call.path === "/api/show") {
      const info = { "general.architecture": "standin", "standin.context_length": 131_072 };
      return sendJson(res, 200, { capabilities: ["completion", "vision", "tools"], model_info: info });
    }
    const known = call.path === "/api/chat" && content;
    if (!known) return sendJson(res, 404, { error: `model '${model}' not found` });
    deliver(res, replyTo(call.body, content), call);
  });
}
