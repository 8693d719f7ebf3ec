import type { FastifyReply, FastifyRequest } from "fastify";
import { readCredential } from "../context.ts";
import { rateLimitHeaders } from "../limit-answers.ts";
import { isStream } from "../operations.ts";
import { EventWriter } from "../sockets/event-writer.ts";
import { type ChatRequest, readChat } from "./chat-schema.ts";
import {
  cacheSecondsOf,
  chargeHeaders,
  type Data,
  type Doors,
  idempotencyKeyOf,
  OperationRefused,
  runOperation,
} from "./door.ts";
import { toOpenAiError } from "./openai-errors.ts";

/** OpenAI's chat completions over `generate` and `generateStream`. */
const generationFields = `
  id model text finishReason formatFault createdAt
  toolCalls { id name arguments }
  usage { inputTokens cachedInputTokens cacheWriteTokens cacheWrite1hTokens outputTokens reasoningTokens totalTokens }
  charge { credits balance }`;
const generate = `mutation ChatCompletion($input: GenerateInput!) { generate(input: $input) { ${generationFields} } }`;
const generateStream = `subscription ChatCompletionStream($input: GenerateInput!) {
  generateStream(input: $input) {
    ... on TextDelta { text }
    ... on GenerationFinished { generation { status ${generationFields} } }
  }
}`;

const roles = { system: "SYSTEM", developer: "SYSTEM", user: "USER", assistant: "ASSISTANT", tool: "TOOL" } as const;
const finishReasons: Record<string, string> = {
  LENGTH: "length",
  CONTENT_FILTER: "content_filter",
  TOOL_CALLS: "tool_calls",
};

export async function answerChat(doors: Doors, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const chat = readChat(request.body);
  const variables = { input: Object.assign(toInput(chat), idempotencyKeyOf(request), cacheSecondsOf(request)) };
  if (chat.stream) return streamChat(doors, request, reply, { chat, variables });
  const { generate: generation } = await runOperation(doors, request, reply, { query: generate, variables });
  if (generation.formatFault !== null) reply.header("x-tollgate-format-valid", "false");
  return {
    id: generation.id,
    object: "chat.completion",
    created: secondsOf(generation.createdAt),
    model: generation.model,
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: contentOf(generation), refusal: null, ...toolCallsOf(generation) },
        logprobs: null,
        finish_reason: finishReasons[generation.finishReason] ?? "stop",
      },
    ],
    usage: usageOf(generation),
  };
}

/** An undefined value counts as absent. */
function toInput(chat: ChatRequest) {
  const { model, temperature, top_p, stop, seed, user } = chat;
  const tools = chat.tools?.map(({ function: { name, description, parameters } }) => ({
    name,
    description,
    parameters: parameters ?? { type: "object", properties: {} },
  }));
  return {
    model,
    messages: chat.messages.map(toMessage),
    maxOutputTokens: chat.max_completion_tokens ?? chat.max_tokens,
    temperature,
    topP: top_p,
    stop: typeof stop === "string" ? [stop] : stop,
    seed,
    endUser: user,
    tools,
    toolChoice: chat.tool_choice ?? undefined,
    responseFormat: toResponseFormat(chat),
  };
}

function toMessage(message: ChatRequest["messages"][number]) {
  const { role, content } = message;
  const calls = "tool_calls" in message ? message.tool_calls : undefined;
  return {
    role: roles[role],
    content: Array.isArray(content) ? "" : (content ?? ""),
    parts: Array.isArray(content) ? content : undefined,
    toolCalls: calls?.map(({ id, function: { name, arguments: given } }) => ({ id, name, arguments: given })),
    toolCallId: "tool_call_id" in message ? message.tool_call_id : undefined,
  };
}

function toResponseFormat({ response_format: format }: ChatRequest) {
  if (format?.type === "json_schema") return { type: "json_schema", schema: format.json_schema.schema };
  return format?.type === "json_object" ? { type: "json" } : undefined;
}

interface StreamOrder {
  chat: ChatRequest;
  variables: Record<string, unknown>;
}

async function streamChat(
  doors: Doors,
  request: FastifyRequest,
  reply: FastifyReply,
  { chat, variables }: StreamOrder,
): Promise<unknown> {
  const { operations, callers, requests } = doors;
  const stop = requests.begin(reply);
  const unwatch = callers.watch(
    () => readCredential(request),
    request.ip,
    (refusal) => stop.abort(refusal),
  );
  reply.raw.once("close", unwatch);
  const context = await callers.context(request, stop);
  const result = await operations.start({ query: generateStream, variables }, context, true);
  reply.headers(rateLimitHeaders(context));
  if (!isStream(result)) throw new OperationRefused(operations.format(result, context).errors?.[0] ?? internal);
  const events = result[Symbol.asyncIterator]();
  // Before the first piece, a failure can still have its own HTTP status.
  const first = await events.next().catch((error: unknown) => {
    throw new OperationRefused(operations.formatErrors([operations.asError(error)], context)[0] ?? internal);
  });
  const head = {
    id: `chatcmpl-${request.id}`,
    object: "chat.completion.chunk",
    created: Math.floor(Date.now() / 1000),
    model: chat.model,
  };
  // A call that is settled at its start was answered from the cache; the charge of any other is known at its end.
  reply.headers(chargeHeaders(context));
  const writer = new EventWriter(reply);
  // The constant part of all chunks is serialised once.
  const opening = `data: ${JSON.stringify(head).slice(0, -1)},`;
  const write = (chunk: object) => writer.write(`${opening}${JSON.stringify(chunk).slice(1)}\n\n`);
  try {
    await write({ choices: [choice({ role: "assistant", content: "" })] });
    for (let next = first; !next.done; next = await events.next()) {
      const event = next.value.data?.["generateStream"] as Data;
      for (const chunk of chunksOf(event, chat)) if (!(await write(chunk))) return reply;
    }
    writer.end("data: [DONE]\n\n");
  } catch (error) {
    const [fault] = operations.formatErrors([operations.asError(error)], context);
    if (fault) await writer.write(`data: ${JSON.stringify(toOpenAiError(fault.message, fault.extensions))}\n\n`);
    writer.breakOff();
  }
  return reply;
}

const internal = { message: "An internal error occurred.", extensions: { code: "INTERNAL" } };

function* chunksOf({ text, generation }: Data, chat: ChatRequest): Generator<object> {
  if (generation === undefined) return yield { choices: [choice({ content: text })] };
  // A partial answer ends with its error, not with a finish reason.
  if (generation.status !== "COMPLETED") return;
  const { tool_calls: calls } = toolCallsOf(generation);
  if (calls) yield { choices: [choice({ tool_calls: calls.map((call, index) => ({ index, ...call })) })] };
  yield { choices: [choice({}, finishReasons[generation.finishReason] ?? "stop")] };
  if (chat.stream_options?.include_usage) yield { choices: [], usage: usageOf(generation) };
}

function choice(delta: object, finish_reason: string | null = null) {
  return { index: 0, delta, logprobs: null, finish_reason };
}

function contentOf({ text, toolCalls }: Data): string | null {
  return text === "" && toolCalls.length > 0 ? null : text;
}

function toolCallsOf({ toolCalls }: Data) {
  if (toolCalls.length === 0) return {};
  const calls = toolCalls.map(({ id, name, arguments: given }: Data) => ({
    id,
    type: "function",
    function: { name, arguments: given },
  })) as object[];
  return { tool_calls: calls };
}

function usageOf({ usage }: Data) {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.totalTokens,
    prompt_tokens_details: {
      cached_tokens: usage.cachedInputTokens,
      cache_write_tokens: usage.cacheWriteTokens + usage.cacheWrite1hTokens,
    },
    completion_tokens_details: { reasoning_tokens: usage.reasoningTokens },
  };
}

function secondsOf(instant: unknown): number {
  return Math.floor(new Date(String(instant)).getTime() / 1000);
}
