import { z } from "zod";
import { badInput } from "../../errors.ts";

/**
 * OpenAI's chat completion request. An unsupported parameter that would change the answer is refused by name, never
 * silently dropped; one that does not change the answer is ignored.
 */
const text = z.string();
const parts = z
  .array(z.object({ type: z.literal("text"), text }))
  .transform((all) => all.map((part) => part.text).join(""));
const content = z.union([text, parts]);
const imagePart = z
  .object({ type: z.literal("image_url"), image_url: z.object({ url: text, detail: z.literal("auto").nullish() }) })
  .transform((part) => ({ image: part.image_url.url }));
const textPart = z.object({ type: z.literal("text"), text }).transform((part) => ({ text: part.text }));
const shown = z.array(z.union([textPart, imagePart]));
const toolCall = z.object({
  id: text,
  type: z.literal("function"),
  function: z.object({ name: text, arguments: text }),
});

const message = z.discriminatedUnion("role", [
  z.object({ role: z.enum(["system", "developer"]), content }),
  z.object({ role: z.literal("user"), content: z.union([text, shown]) }),
  z.object({ role: z.literal("assistant"), content: content.nullish(), tool_calls: z.array(toolCall).nullish() }),
  z.object({ role: z.literal("tool"), content, tool_call_id: text }),
]);

const tool = z.object({
  type: z.literal("function"),
  function: z.object({
    name: text,
    description: text.nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
    strict: z.boolean().nullish(),
  }),
});

const toolChoice = z.union([
  z.enum(["auto", "none", "required"]),
  z
    .object({ type: z.literal("function"), function: z.object({ name: text }) })
    .transform((choice) => choice.function.name),
]);

const responseFormat = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text") }),
  z.object({ type: z.literal("json_object") }),
  z.object({
    type: z.literal("json_schema"),
    json_schema: z.object({ schema: z.record(z.string(), z.unknown()) }),
  }),
]);

const number = z.number().nullish();
const whole = z.int32().nullish();
const count = z.int32().min(1).nullish();
const chat = z.object({
  model: text,
  messages: z.array(message),
  max_tokens: count,
  max_completion_tokens: count,
  temperature: number,
  top_p: number,
  stop: z.union([text, z.array(text)]).nullish(),
  seed: whole,
  user: text.nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  response_format: responseFormat.nullish(),
  tools: z.array(tool).nullish(),
  tool_choice: toolChoice.nullish(),
});

export type ChatRequest = z.infer<typeof chat>;

/** Parameters that are accepted only with the value of the default behaviour. */
const neutral: Record<string, unknown> = {
  n: 1,
  logprobs: false,
  frequency_penalty: 0,
  presence_penalty: 0,
  parallel_tool_calls: true,
};
/** Parameters for a provider's own bookkeeping, which do not reach the model. */
const harmless = [
  "store",
  "metadata",
  "service_tier",
  "safety_identifier",
  "prompt_cache_key",
  "prompt_cache_retention",
];

/** @throws BAD_USER_INPUT naming the parameter */
export function readChat(body: unknown): ChatRequest {
  checkParameters(body);
  const parsed = chat.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue?.path.join(".") ?? "";
  if (field === "") throw badInput("The body must be a JSON object.");
  throw badInput(`${field}: ${issue?.message}`, { field });
}

function checkParameters(body: unknown): void {
  for (const [name, value] of Object.entries(body ?? {})) {
    if (name in chat.shape || harmless.includes(name) || value === null) continue;
    if (name in neutral && value === neutral[name]) continue;
    throw badInput(`${name} is not supported${name in neutral ? ` with this value` : ""}.`, { field: name });
  }
}
