import { createServer } from "node:net";

/**
 * A service that speaks OpenAI's chat completions and does next to nothing: its answer is ready, and a request is read
 * only as far as it takes to find its end. So what is measured in front of it is the gateway.
 */
const answer = JSON.stringify({
  id: "chatcmpl-stub",
  object: "chat.completion",
  created: 1_700_000_000,
  model: "stub",
  choices: [
    {
      index: 0,
      message: { role: "assistant", content: "The quick brown fox jumps over the lazy dog.", refusal: null },
      logprobs: null,
      finish_reason: "stop",
    },
  ],
  usage: { prompt_tokens: 12, completion_tokens: 10, total_tokens: 22 },
});
const response = Buffer.from(
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(answer)}\r\n\r\n${answer}`,
);

/** How long the request is that starts here; undefined if its end has not come. Bodies have a length or chunks. */
function lengthOfRequest(bytes) {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd === -1) return undefined;
  const head = bytes.latin1Slice(0, headEnd);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length === undefined && /\r\ntransfer-encoding: *chunked/i.test(head)) {
    const end = bytes.indexOf("0\r\n\r\n", headEnd);
    return end === -1 ? undefined : end + 5;
  }
  const total = headEnd + 4 + Number(length ?? 0);
  return total <= bytes.length ? total : undefined;
}

const server = createServer((socket) => {
  let pending = Buffer.alloc(0);
  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    for (let length = lengthOfRequest(pending); length !== undefined; length = lengthOfRequest(pending)) {
      pending = pending.subarray(length);
      socket.write(response);
    }
  });
});
server.listen(0, "127.0.0.1", () => process.send?.(`http://127.0.0.1:${server.address().port}`));
process.once("disconnect", () => process.exit(0));
