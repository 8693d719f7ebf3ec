// Answers as they come over the network, in pieces of any size.

export type Chunks = AsyncIterable<Uint8Array>;

/** Text in blocks that end where a line ends, so that no reader meets half a line. */
export async function* lineBlocks(chunks: Chunks): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let open = "";
  for await (const chunk of chunks) {
    const text = decoder.decode(chunk, { stream: true });
    const end = text.lastIndexOf("\n") + 1;
    if (end > 0) yield open + text.slice(0, end);
    open = end > 0 ? text.slice(end) : open + text;
  }
  open += decoder.decode();
  if (open !== "") yield open;
}

export async function readText(chunks: Chunks, bytesMax = Number.POSITIVE_INFINITY): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    bytes += chunk.length;
    if (bytes >= bytesMax) break;
  }
  return Buffer.concat(parts).toString("utf8");
}
