/** Work that is done at once and then again and again, never twice at a time. */
export class Repeated {
  readonly #work: () => Promise<unknown>;
  readonly #everyMs: number;
  readonly #onError: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(work: () => Promise<unknown>, everyMs: number, onError: (error: unknown) => void) {
    this.#work = work;
    this.#everyMs = everyMs;
    this.#onError = onError;
  }

  start(): void {
    this.#timer = setInterval(() => this.#run(), this.#everyMs).unref();
    this.#run();
  }

  /** Waits for what is under way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  #run(): void {
    this.#running ??= this.#work()
      .then(() => {}, this.#onError)
      .finally(() => {
        this.#running = undefined;
      });
  }
}
