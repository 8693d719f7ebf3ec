import { AppError } from "../../errors.ts";
import { failpoint } from "../../failpoint.ts";
import type { PaidStream } from "../../graphql/directives/cost.ts";
import type { Leases } from "../../ledger/journal/leases.ts";
import type { ProviderEvent, ToolCall } from "../../models/providers/provider.ts";
import { faultOf } from "../format-repair.ts";
import type { PaidGeneration, StreamEnding } from "../paid-call.ts";
import type { Generation } from "../types.ts";
import { DeltaChannel } from "./channel.ts";
import { Produced } from "./received-text.ts";

type Finish = Pick<Extract<ProviderEvent, { type: "finish" }>, "finishReason" | "usage" | "toolCalls">;

/** What a stream ends with: the tools that the model asks for, what is wrong with its form, or why it broke off. */
interface Last {
  toolCalls?: ToolCall[] | undefined;
  formatFault?: string | undefined;
  error?: unknown;
}

const lagMsMax = 120_000;
/** Between looks at whether a provider whose time is up has noticed. */
const lagMsMin = 50;

/**
 * A call whose answer is passed on while it is written. It is settled exactly once, when the provider ends, breaks off
 * or is broken off, and whether or not anyone still reads: a client that stops reading cannot keep a hold open.
 */
export class GenerationStream implements PaidStream<PaidGeneration> {
  readonly call: PaidGeneration;
  readonly #leases: Leases;
  readonly #produced = new Produced();
  readonly #channel: DeltaChannel;
  #firstTokenMs: number | null = null;

  constructor(call: PaidGeneration, leases: Leases) {
    this.call = call;
    this.#leases = leases;
    this.#channel = new DeltaChannel(() => this.#abort("left"));
    this.call.signal.addEventListener("abort", () => this.#channel.wakeWriter(), { once: true });
  }

  run(events: AsyncIterable<unknown>): DeltaChannel {
    void this.#pump(events as AsyncIterable<ProviderEvent>);
    return this.#channel;
  }

  #abort(reason: unknown): void {
    this.call.cut(reason);
  }

  async #pump(events: AsyncIterable<ProviderEvent>): Promise<void> {
    const lost = () => this.#abort(new AppError("UNAVAILABLE", { message: "The reservation of this call was lost." }));
    const letGo = this.#leases.keep(this.call.holdKey, lost);
    let ending: Promise<void> | undefined;
    try {
      for await (const event of events) {
        if (ending) continue;
        if (event.type === "finish") ending = this.#complete(event);
        else if (this.#takes(event.text)) await this.#room();
        else ending = this.#complete({ finishReason: "LENGTH", usage: this.#produced.usage(this.call.call) });
        // Past the end, the provider is only asked whether it has ended too, so that its connection can be kept.
        if (ending && event.type !== "finish") this.#abort("length");
      }
      if (!ending) throw new AppError("PROVIDER_FAILED");
    } catch (error) {
      ending ??= this.#broken(error);
    }
    await ending;
    letGo();
    // Lets go of a provider that has not ended.
    this.#abort("ended");
  }

  #takes(text: string): boolean {
    this.#firstTokenMs ??= this.call.elapsedMs();
    if (!this.#produced.add(text, this.call.call.maxOutputTokens)) return false;
    this.#channel.push(text);
    failpoint("after_first_chunk");
    return true;
  }

  /** Waits for a reader who lags, though no longer than the provider may take, which then says that its time is over. */
  async #room(): Promise<void> {
    const room = this.#channel.room();
    if (!room) return;
    const { totalMs = lagMsMax } = this.call.call.limits ?? {};
    const leftMs = totalMs - (this.call.elapsedMs() - (this.#firstTokenMs ?? 0));
    const late = setTimeout(() => this.#channel.wakeWriter(), Math.max(leftMs, lagMsMin));
    await room;
    clearTimeout(late);
  }

  async #complete({ finishReason, usage, toolCalls }: Finish): Promise<void> {
    const formatFault = faultOf(this.call.call, { text: this.#produced.text, toolCalls, finishReason });
    await this.#settle({ status: "COMPLETED", finishReason, usage, errorCode: null }, { toolCalls, formatFault });
  }

  /** By the settlement table: what was delivered is charged, whoever broke off; nothing delivered costs nothing. */
  async #broken(error: unknown): Promise<void> {
    const { aborted, reason } = this.call.signal;
    const cause = aborted ? reason : error;
    const refusal = cause instanceof AppError ? cause : undefined;
    const cancelled = aborted && refusal?.code !== "UNAVAILABLE";
    const delivered = this.#produced.text !== "";
    await this.#settle(
      {
        status: cancelled ? "CANCELLED" : delivered ? "PARTIAL" : "FAILED",
        finishReason: cancelled ? "CANCELLED" : "ERROR",
        usage: this.#produced.usage(this.call.call),
        errorCode: refusal?.code ?? (cancelled ? null : "INTERNAL"),
      },
      { error: delivered && refusal && !cancelled ? brokenOff(refusal) : cause },
    );
  }

  async #settle(ending: Omit<StreamEnding, "timeToFirstTokenMs">, { error, ...told }: Last): Promise<void> {
    try {
      const { text } = this.#produced;
      const generation = await this.call.end({ ...ending, timeToFirstTokenMs: this.#firstTokenMs }, { text, ...told });
      this.#channel.end(ending.status === "FAILED" ? undefined : generation, error);
    } catch (failure) {
      // The hold stays open until its lease ends, and is then given back by the sweeper.
      this.#channel.end(undefined, failure);
    }
  }
}

function brokenOff({ code, details, cause }: AppError): AppError {
  const message = "The answer broke off. What was delivered is charged.";
  return new AppError(code, { message, details, cause });
}

/** The events of an answer that was given before. */
export function replayed(generation: Generation): DeltaChannel {
  const channel = new DeltaChannel(() => {});
  if (generation.text !== "") channel.push(generation.text);
  channel.end(generation);
  return channel;
}
