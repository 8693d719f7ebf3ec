import { AppError } from "../../errors.ts";
import { failpoint } from "../../failpoint.ts";
import type { PaidCall } from "../../graphql/directives/cost.ts";
import type { Leases } from "../../ledger/journal/leases.ts";
import { streamOf } from "../../models/attempts.ts";
import type { ProviderEvent, TokenUsage, ToolCall } from "../../models/providers/provider.ts";
import { leaveTools } from "../exit.ts";
import { faultOf } from "../format-repair.ts";
import { type OpenedGeneration, PaidGeneration } from "../paid-call.ts";
import { awaitsCount, type CallEnding, endingOf, settlementOf } from "../settlement.ts";
import type { Generation } from "../types.ts";
import { DeltaChannel } from "./channel.ts";
import { ReceivedText } from "./received-text.ts";

type Finish = Pick<Extract<ProviderEvent, { type: "finish" }>, "finishReason" | "usage" | "toolCalls">;

/** What comes with the end of a stream. */
interface Last {
  toolCalls?: ToolCall[] | undefined;
  formatFault?: string | undefined;
  reported?: TokenUsage;
}

const lagMsMax = 120_000;
/** Between looks at whether a provider whose time is up has noticed. */
const lagMsMin = 50;

/**
 * A call whose answer is passed on while it is written. It is settled exactly once, when the provider ends, breaks off
 * or is broken off, whether or not the client still reads: a client that stops reading cannot keep a hold open.
 */
export class GenerationStream implements PaidCall {
  readonly #paid: PaidGeneration;
  readonly #leases: Leases;
  readonly #received = new ReceivedText();
  readonly #channel: DeltaChannel;
  /** The text that has left to the client. */
  #left = "";
  #firstTokenMs: number | null = null;
  #isTold = false;

  constructor(opened: OpenedGeneration) {
    this.#paid = new PaidGeneration(opened, this.#received);
    this.#leases = opened.leases;
    const { caller, provider } = this.#paid.cancellation;
    this.#channel = new DeltaChannel(() => caller.abort("left"));
    caller.addEventListener("abort", () => this.#onLeft());
    provider.addEventListener("abort", () => this.#channel.wakeWriter());
  }

  /** The answer as the provider writes it: the resolver starts it, and `settle` reads it. */
  start(): AsyncIterable<ProviderEvent> {
    return streamOf(this.#paid.attempts, this.#paid.cancellation, {
      onAsked: () => this.#received.forgetHidden(),
      onHidden: (piece) => this.#received.addHidden(piece),
    });
  }

  /** Gives the client's events; the call is settled when the provider's have ended. */
  async settle(events: unknown): Promise<DeltaChannel> {
    void this.#pump(events as AsyncIterable<ProviderEvent>);
    return this.#channel;
  }

  fail(error: unknown): Promise<never> {
    return this.#paid.fail(error);
  }

  /** A client that waits for the first piece is told at once, while the provider is still read for its count. */
  #onLeft(): void {
    this.#channel.wakeWriter();
    const ending = endingOf(this.#paid.cancellation.caller.reason);
    const delivery = this.#paid.deliveryOf(this.#received);
    if (awaitsCount(ending, delivery)) this.#tell(undefined, settlementOf(ending, delivery).error);
  }

  async #pump(events: AsyncIterable<ProviderEvent>): Promise<void> {
    const { caller, provider } = this.#paid.cancellation;
    const lost = () => caller.abort(new AppError("UNAVAILABLE", { message: "The reservation of this call was lost." }));
    const letGo = this.#leases.keep(this.#paid.holdKey, lost);
    let ending: Promise<void> | undefined;
    try {
      for await (const event of events) {
        if (ending) continue;
        if (event.type === "finish") ending = this.#complete(event);
        else if (this.#takes(event.text)) await this.#room();
        else ending = this.#complete({ finishReason: "LENGTH", usage: this.#produced() });
        // Past the end, the provider is only asked whether it has ended too, so that its connection can be kept.
        if (ending && event.type !== "finish") provider.abort("length");
      }
      if (!ending) throw new AppError("PROVIDER_FAILED");
    } catch (error) {
      ending ??= this.#settle(caller.aborted ? endingOf(caller.reason) : { kind: "FAILED", error }, {});
    }
    await ending;
    letGo();
    // Lets go of a provider that has not ended.
    provider.abort("ended");
  }

  #produced(): TokenUsage {
    return this.#paid.deliveryOf(this.#received).produced();
  }

  #takes(text: string): boolean {
    this.#firstTokenMs ??= this.#paid.elapsedMs();
    if (!this.#received.add(text, this.#paid.call.maxOutputTokens)) return false;
    this.#pass(this.#paid.exit.piece(text, "text"));
    failpoint("after_first_chunk");
    return true;
  }

  #pass(text: string): void {
    // Its client is gone, and the provider is only read for its count.
    if (text === "" || this.#paid.cancellation.caller.aborted) return;
    this.#left += text;
    this.#channel.push(text);
  }

  /** Waits for a reader who lags, though no longer than the provider may take, which then says that its time is over. */
  async #room(): Promise<void> {
    const room = this.#channel.room();
    if (!room) return;
    const { totalMs = lagMsMax } = this.#paid.call.limits ?? {};
    const leftMs = totalMs - (this.#paid.elapsedMs() - (this.#firstTokenMs ?? 0));
    const late = setTimeout(() => this.#channel.wakeWriter(), Math.max(leftMs, lagMsMin));
    await room;
    clearTimeout(late);
  }

  #complete({ finishReason, usage, toolCalls }: Finish): Promise<void> {
    const { caller } = this.#paid.cancellation;
    if (caller.aborted) return this.#settle(endingOf(caller.reason), { toolCalls, reported: usage });
    const formatFault = faultOf(this.#paid.call, { text: this.#received.text, toolCalls, finishReason });
    return this.#settle({ kind: "ANSWERED", finishReason, usage }, { toolCalls, formatFault });
  }

  async #settle(ending: CallEnding, { reported, ...last }: Last): Promise<void> {
    this.#pass(this.#paid.exit.end("text"));
    const answer = { text: this.#received.text, ...last, replayed: false };
    const left = { ...leaveTools(this.#paid.exit, answer), text: this.#left };
    const nothing = ending.kind !== "ANSWERED" && answer.text === "" && !answer.toolCalls?.length;
    const row = settlementOf(ending, this.#paid.deliveryOf(this.#received, reported));
    const answered = nothing ? undefined : { answer, left };
    try {
      const generation = await this.#paid.finish({ row, timeToFirstTokenMs: this.#firstTokenMs, answered });
      this.#tell(row.status === "FAILED" ? undefined : generation, row.error);
    } catch (failure) {
      // The hold stays open until its lease ends, and is then released by the sweeper.
      this.#tell(undefined, failure);
    }
  }

  /** The client is told the end once. */
  #tell(generation: Generation | undefined, error: unknown): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#channel.end(generation, error);
  }
}

/** The events of an answer that was given before. */
export function repeatedEvents(generation: Generation): DeltaChannel {
  const channel = new DeltaChannel(() => {});
  if (generation.text !== "") channel.push(generation.text);
  channel.end(generation);
  return channel;
}
