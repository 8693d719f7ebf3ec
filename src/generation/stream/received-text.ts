import { bytesPerToken } from "../../models/providers/provider.ts";

/** No text has tokens this long on average, so more bytes than this are more tokens than the hold pays for. */
const bytesPerTokenMax = 16;

/**
 * What a model has written so far, as far as it can be counted here: to charge a stream that is broken off, and to stop
 * one that goes on past what its hold pays for.
 */
export class ReceivedText {
  text = "";
  #visibleBytes = 0;
  #hiddenBytes = 0;
  #pieces = 0;

  /** Of the text alone, which the caller is given. */
  get visibleBytes(): number {
    return this.#visibleBytes;
  }

  /** Of text, reasoning and tool arguments. */
  get allBytes(): number {
    return this.#visibleBytes + this.#hiddenBytes;
  }

  /** False, and nothing added, when this piece certainly lies past `tokensMax`. */
  add(piece: string, tokensMax: number): boolean {
    const bytes = this.#visibleBytes + Buffer.byteLength(piece);
    // A piece is at least one token, unless a service cuts its text finer: so it takes both counts to be sure.
    const tokens = Math.min(this.#pieces + 1, Math.ceil(bytes / bytesPerToken));
    if (tokens > tokensMax || bytes > tokensMax * bytesPerTokenMax) return false;
    this.#visibleBytes = bytes;
    this.#pieces += 1;
    this.text += piece;
    return true;
  }

  addHidden(piece: string): void {
    this.#hiddenBytes += Buffer.byteLength(piece);
  }

  /** Another model is asked: what a failed one wrote is not charged. */
  forgetHidden(): void {
    this.#hiddenBytes = 0;
  }
}
