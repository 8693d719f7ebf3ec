import { type Standin, sendJson, startStandin } from "./openai.ts";

/** A stand-in whose answers a test can hold back. Any other call is answered at once. */
export interface HeldStandin extends Standin {
  /** Holds back all calls with this prompt, in their order. */
  hold(prompt: string): Gate;
  callsWith(prompt: string): number;
}

export interface Gate {
  /** Resolves when so many calls wait behind the gate. */
  waiting(count: number): Promise<void>;
  /** Answers the oldest call that waits. */
  release(text?: string): void;
  /** Lets all calls through, also those to come. */
  open(): void;
}

class HeldCalls implements Gate {
  #held: ((text: string) => void)[] = [];
  #arrived = 0;
  #isOpen = false;
  #look: (() => void)[] = [];

  take(answer: (text: string) => void): void {
    this.#arrived += 1;
    if (this.#isOpen) answer("ok");
    else this.#held.push(answer);
    for (const look of this.#look.splice(0)) look();
  }

  async waiting(count: number): Promise<void> {
    while (this.#arrived < count) await new Promise<void>((resolve) => this.#look.push(resolve));
  }

  release(text = "ok"): void {
    this.#held.shift()?.(text);
  }

  open(): void {
    this.#isOpen = true;
    for (const answer of this.#held.splice(0)) answer("ok");
  }
}

/** Eleven tokens in and four out, whatever was asked. A text of "fail" is an error of the provider. */
export async function startHeldStandin(): Promise<HeldStandin> {
  const gates = new Map<string, HeldCalls>();
  const standin = await startStandin((call, res) => {
    const answer = (text: string) => {
      if (text === "fail") return sendJson(res, 500, { error: { message: "The model gave up." } });
      const choices = [{ index: 0, message: { role: "assistant", content: text }, finish_reason: "stop" }];
      const usage = { prompt_tokens: 11, completion_tokens: 4, total_tokens: 15 };
      sendJson(res, 200, { id: "chatcmpl-1", object: "chat.completion", created: 1, model: "held", choices, usage });
    };
    const body = JSON.stringify(call.body);
    const gate = [...gates].find(([prompt]) => body.includes(prompt))?.[1];
    if (gate) gate.take(answer);
    else answer(body.includes("please fail") ? "fail" : "ok");
  });
  return {
    ...standin,
    url: `${standin.url}/v1`,
    hold(prompt) {
      const gate = new HeldCalls();
      gates.set(prompt, gate);
      return gate;
    },
    callsWith: (prompt) => standin.calls.filter(({ body }) => JSON.stringify(body).includes(prompt)).length,
  };
}
