import { estimateInputTokens, type ProviderCall, type TokenUsage } from "../../models/providers/provider.ts";

/**
 * What a model has written so far, as far as it can be counted from here: for charging a stream that is broken off,
 * and for stopping one that goes on past what its hold pays for.
 */
const bytesPerToken = 4;
/** No text has tokens this long on average, so more bytes than this are more tokens than were paid for. */
const bytesPerTokenMax = 16;

export class Produced {
  text = "";
  #bytes = 0;
  #pieces = 0;

  /** False, and nothing added, when this piece lies past `tokensMax` for certain. */
  add(piece: string, tokensMax: number): boolean {
    const bytes = this.#bytes + Buffer.byteLength(piece);
    // A piece is one token or more, unless a service cuts its text finer: so it takes both counts to be sure.
    const tokens = Math.min(this.#pieces + 1, Math.ceil(bytes / bytesPerToken));
    if (tokens > tokensMax || bytes > tokensMax * bytesPerTokenMax) return false;
    this.#bytes = bytes;
    this.#pieces += 1;
    this.text += piece;
    return true;
  }

  /** The own estimate of a call that ended here; nothing at all if nothing was written. */
  usage({ messages, maxOutputTokens }: ProviderCall): TokenUsage {
    const outputTokens = Math.min(Math.ceil(this.#bytes / bytesPerToken), maxOutputTokens);
    return {
      inputTokens: outputTokens === 0 ? 0 : estimateInputTokens(messages),
      cachedInputTokens: 0,
      outputTokens,
      reasoningTokens: 0,
      source: "ESTIMATED",
    };
  }
}
