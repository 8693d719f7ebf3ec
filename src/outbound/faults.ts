import { AppError } from "../errors.ts";

/** The cause of an AppError. It travels to logs, so the upstream's words (they can quote a prompt) are not in view. */
export class UpstreamFault extends Error {
  override readonly name = "UpstreamFault";
  /** What the upstream said, our key masked; a function, so that nothing prints it by walking over properties. */
  readonly quote: () => string;

  constructor(message: string, quote = "") {
    super(message);
    this.quote = () => quote;
  }
}

const quoteCharsMax = 2_000;
const timeoutKinds: Record<string, string> = {
  UND_ERR_CONNECT_TIMEOUT: "connect",
  ETIMEDOUT: "connect",
  UND_ERR_HEADERS_TIMEOUT: "headers",
  UND_ERR_BODY_TIMEOUT: "idle",
};

/** Says what went wrong with one upstream: to a caller in the words of the catalogue, to the log in the upstream's. */
export class Faults {
  readonly #name: string;
  readonly #apiKey: string | undefined;

  constructor(name: string, apiKey: string | undefined) {
    this.#name = name;
    this.#apiKey = apiKey;
  }

  failure(what: string, quote = "", details: Record<string, unknown> = {}): AppError {
    const text = this.#mask(quote).slice(0, quoteCharsMax);
    return new AppError("PROVIDER_FAILED", { details, cause: new UpstreamFault(`${this.#name} ${what}.`, text) });
  }

  /** What undici threw. */
  brokeOff({ code, name, message }: NodeJS.ErrnoException): AppError {
    const timeout = timeoutKinds[code ?? ""];
    if (!timeout) return this.failure(`broke off (${code ?? name})`, message);
    const cause = new UpstreamFault(`${this.#name} ran into its time limit (${code}).`);
    return new AppError("PROVIDER_TIMEOUT", { details: { timeout }, cause });
  }

  #mask(text: string): string {
    const masked = text.replace(/\b(bearer|basic)\s+[^\s"']+/gi, "$1 ***");
    return this.#apiKey ? masked.replaceAll(this.#apiKey, "***") : masked;
  }
}
