import postgres from "postgres";

/** What the patch adds to the driver. */
interface Watched {
  /** Since when something waits for a server that says nothing, by `performance.now()`; Infinity if nothing does. */
  silentSince(): number;
  /** Rejects what has waited since then, and from now on everything, until it is called without an error. */
  giveUp(since: number, error?: Error): void;
}

/** Together with the five seconds for which a settlement is tried again, less than the ten within which callers hear. */
const silentMsMax = 2_000;
const answerMsMax = 2_000;
const lookMs = 250;
const readyMsMax = 1_500;

/**
 * Tells a database that works from one that is silent: a host that vanished, a process that was stopped. A statement
 * may take minutes, so silence alone proves nothing. When a statement has waited long, another connection sends a
 * query; without an answer to it either, all waiting statements are rejected, and new ones are rejected at once until
 * there is an answer.
 */
export class Pulse {
  readonly #pool: Watched;
  readonly #options: postgres.Options<Record<string, never>>;
  readonly #timer: NodeJS.Timeout;
  #asking: { sql: postgres.Sql; answer: Promise<boolean> } | undefined;
  #sql: postgres.Sql | undefined;
  #looking = false;
  #isSilent = false;

  constructor(pool: unknown, options: postgres.Options<Record<string, never>>) {
    this.#pool = pool as Watched;
    this.#options = options;
    this.#timer = setInterval(() => void this.#look(), lookMs).unref();
  }

  async checkWritable(): Promise<void> {
    if (this.#isSilent) throw silence();
    const isWritable = await within(readyMsMax, this.#ask()).catch((error: unknown) => {
      // The next to ask opens a connection of its own; a look that is under way does the same at its end.
      if (error instanceof Silence && !this.#looking) this.#giveUpAsking();
      throw error;
    });
    if (!isWritable) throw new Error("the database is read-only");
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#giveUpAsking();
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    const isLate = this.#pool.silentSince() < performance.now() - silentMsMax;
    if (!this.#isSilent && !isLate) return;
    this.#looking = true;
    const isSilent = await within(answerMsMax, this.#ask()).then(
      () => false,
      (error: unknown) => error instanceof Silence,
    );
    this.#looking = false;
    if (isSilent) {
      this.#giveUpAsking();
      this.#pool.giveUp(performance.now(), silence());
    } else if (this.#isSilent) this.#pool.giveUp(0);
    this.#isSilent = isSilent;
  }

  /** Whether the database takes writes, by one connection that is asked one thing at a time. */
  #ask(): Promise<boolean> {
    if (this.#asking) return this.#asking.answer;
    this.#sql ??= postgres({ ...this.#options, max: 1, idle_timeout: 30, fetch_types: false });
    const sql = this.#sql;
    const answer = sql`select current_setting('transaction_read_only') = 'off' as writable`
      .then(([row]) => row?.["writable"] === true)
      .finally(() => {
        if (this.#asking?.sql === sql) this.#asking = undefined;
      });
    this.#asking = { sql, answer };
    return answer;
  }

  #giveUpAsking(): void {
    const sql = this.#sql;
    this.#sql = this.#asking = undefined;
    void sql?.end({ timeout: 0 });
  }
}

class Silence extends Error {}

function silence(): Error {
  return Object.assign(new Silence("the database does not answer"), { code: "CONNECT_TIMEOUT" });
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(silence()), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
