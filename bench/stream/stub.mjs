import { createServer } from "node:http";

/**
 * A service that speaks OpenAI's chat completions as a stream: each stream is given a token every 20 ms, 50 a second,
 * and each token says when it was sent. Streams begin when they are asked for, so their tokens are spread over time.
 */
const everyMs = 20;
const streams = new Set();
const now = () => performance.timeOrigin + performance.now();

function piece(delta, finish_reason = null, usage = undefined) {
  const choices = usage ? [] : [{ index: 0, delta, finish_reason }];
  const part = { id: "chatcmpl-stub", object: "chat.completion.chunk", created: 1_700_000_000, model: "stub" };
  return `data: ${JSON.stringify({ ...part, choices, ...(usage && { usage }) })}\n\n`;
}

function end({ response, sent }) {
  const usage = { prompt_tokens: 12, completion_tokens: sent, total_tokens: 12 + sent };
  response.end(`${piece({}, "stop")}${piece({}, null, usage)}data: [DONE]\n\n`);
}

setInterval(() => {
  for (const stream of streams) {
    const time = now();
    if (time < stream.dueAt) continue;
    stream.dueAt += everyMs;
    stream.response.write(piece({ content: `~${time.toFixed(3)}~ ` }));
    stream.sent += 1;
    if (stream.sent < stream.tokens) continue;
    streams.delete(stream);
    end(stream);
  }
}, 1);

const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    // Its tokens are longer than a model's, so that as many may be too much for what was reserved: half of it is not.
    const tokens = JSON.parse(Buffer.concat(chunks)).max_tokens / 2;
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(piece({ role: "assistant", content: "" }));
    const stream = { response, tokens, sent: 0, dueAt: now() + everyMs };
    streams.add(stream);
    response.on("close", () => streams.delete(stream));
  });
});
server.listen(0, "127.0.0.1", () => process.send?.(`http://127.0.0.1:${server.address().port}`));
process.once("disconnect", () => process.exit(0));
