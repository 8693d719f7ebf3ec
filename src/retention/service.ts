import { setTimeout as delay } from "node:timers/promises";
import { alertKinds } from "../alerts/kinds.ts";
import type { RecordChange } from "../auth/record-change.ts";
import { type Origin, systemOrigin } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { failedWith } from "../db/errors.ts";
import { AppError, badInput } from "../errors.ts";
import { newId } from "../ids.ts";
import { insertAlert } from "../ledger/sql/raise-alert.ts";
import { Interval } from "../tasks/interval.ts";
import { hashOfFile, writeArchive } from "./archive-file.ts";
import {
  type ArchiveRow,
  dropMonth,
  ensurePartition,
  findArchive,
  isBeingRestated,
  isRetentionLocked,
  listArchives,
  lockRetention,
  type MonthState,
  type MonthSums,
  nextLines,
  readinessOf,
  saveArchive,
  storedMonths,
  sumsOf,
} from "./store.ts";

/**
 * Retention of calls. A month that is over is written to a file, checked, and only then dropped, the oldest first; its
 * sums stay in the rollups and in the credit entries. One replica at a time does this.
 */
export interface RetentionOptions {
  db: Database;
  record: RecordChange;
  /** Where archives are written. */
  folder: string;
  /** Months kept beside the current one; undefined when no month is dropped automatically. */
  keepMonths: number | undefined;
  /** Called when the hourly run failed. */
  onError: (error: unknown) => void;
}

const applyEveryMs = 3_600_000;
const linesMax = 2_000;
const triesMax = 40;
const pauseMs = 250;

export class Retention {
  readonly #options: RetentionOptions;
  readonly #hourly: Interval;
  #stopped = false;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#hourly = new Interval(() => this.#applyHourly(), applyEveryMs, options.onError);
  }

  start(): void {
    if (this.#options.keepMonths !== undefined) this.#hourly.start();
  }

  /** Waits for the month that is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#hourly.stop();
  }

  get keepMonths(): number | undefined {
    return this.#options.keepMonths;
  }

  /** Whether this server or another is archiving or dropping a month. */
  isBusy(): Promise<boolean> {
    return isRetentionLocked(this.#options.db.orm);
  }

  async months(): Promise<MonthState[]> {
    const { db, keepMonths = 0 } = this.#options;
    const stored = new Map((await storedMonths(db.orm, keepMonths)).map((one) => [one.month, one]));
    const archives = new Map((await listArchives(db.orm)).map((one) => [one.month.slice(0, 7), one]));
    const all = [...new Set([...stored.keys(), ...archives.keys()])].toSorted();
    return all.map((month) => ({ month, stored: stored.get(month), archive: archives.get(month) }));
  }

  /** @throws BAD_USER_INPUT, NOT_FOUND, or CONFLICT for a month that is not over or was dropped */
  archive(origin: Origin, month: string): Promise<MonthState> {
    checkMonth(month);
    return this.#alone(() => this.#archive(origin, month));
  }

  /**
   * `sha256` is that of a copy of the file; without it, the file must be where it was written.
   * @throws BAD_USER_INPUT, NOT_FOUND, CONFLICT, or UNAVAILABLE while reports or backups hold the table
   */
  drop(origin: Origin, month: string, sha256?: string): Promise<MonthState> {
    checkMonth(month);
    return this.#alone(() => this.#drop(origin, month, sha256));
  }

  /** Archives and drops the months that the policy no longer keeps, and answers them. */
  apply(origin: Origin): Promise<MonthState[]> {
    const { keepMonths } = this.#options;
    if (keepMonths === undefined) throw new AppError("CONFLICT", { message: "RETENTION_MONTHS is not set." });
    return this.#alone(() => this.#apply(origin, keepMonths));
  }

  async #apply(origin: Origin, keepMonths: number): Promise<MonthState[]> {
    const { db } = this.#options;
    const done: MonthState[] = [];
    for (const { month, isOld } of await storedMonths(db.orm, keepMonths)) {
      if (!isOld || this.#stopped) break;
      if (!(await findArchive(db.orm, month))) await this.#archive(origin, month);
      done.push(await this.#drop(origin, month));
    }
    return done;
  }

  /** That another replica is doing it is no failure. */
  async #applyHourly(): Promise<void> {
    const { db, keepMonths = 0 } = this.#options;
    try {
      await this.#ifFree(() => this.#apply(systemOrigin("retention"), keepMonths));
    } catch (error) {
      const details = { message: error instanceof AppError ? error.message : "See the log." };
      await insertAlert(db.orm, { id: newId(), kind: alertKinds.retentionFailed, subject: "retention", details });
      throw error;
    }
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = await this.#ifFree(async () => ({ result: await work() }));
    if (!done) throw new AppError("CONFLICT", { message: "Another server is archiving or dropping a month now." });
    return done.result;
  }

  /** Undefined when another replica is at work. Holds no snapshot and no row lock meanwhile, however long it takes. */
  #ifFree<T>(work: () => Promise<T>): Promise<T | undefined> {
    return this.#options.db.transaction(async (tx) => ((await lockRetention(tx)) ? work() : undefined));
  }

  async #archive(origin: Origin, month: string): Promise<MonthState> {
    const { db, record, folder } = this.#options;
    const earlier = await this.#stored(month);
    if (earlier?.droppedAt) throw new AppError("CONFLICT", { message: `${month} was dropped already.` });
    await this.#insist((tx) => ensurePartition(tx, month));
    const written: MonthSums = { requests: 0n, charged: 0n, costNanoUsd: 0n };
    const { file, sha256, bytes } = await writeArchive(
      folder,
      `requests-${month}.jsonl.gz`,
      this.#lines(month, written),
    );
    const archive = { file, sha256, bytes, ...written };
    await db.transaction(async (tx) => {
      const rows = await sumsOf(tx, month);
      if (!agree(rows, written))
        throw new AppError("INTERNAL", { cause: new Error(`${month} changed under its archive`) });
      // The audit event comes last, because other changes wait for the end of its chain.
      await saveArchive(tx, month, archive);
      await record(tx, origin, { action: "retention.archive", ...subject(month), after: told(archive) });
    });
    return this.#state(month);
  }

  async *#lines(month: string, sums: MonthSums): AsyncGenerator<string> {
    const { db } = this.#options;
    for (let after: { createdAt: string; id: string } | undefined; ; ) {
      const lines = await nextLines(db.orm, month, { after, limit: linesMax });
      for (const { charged, costNanoUsd } of lines) {
        sums.requests += 1n;
        sums.charged += charged;
        sums.costNanoUsd += costNanoUsd;
      }
      if (lines.length > 0) yield `${lines.map(({ line }) => line).join("\n")}\n`;
      if (lines.length < linesMax) return;
      after = lines.at(-1);
    }
  }

  async #drop(origin: Origin, month: string, sha256?: string): Promise<MonthState> {
    const { db, record } = this.#options;
    const archive = await this.#stored(month);
    if (!archive) throw new AppError("CONFLICT", { message: `${month} must be archived before it is dropped.` });
    if (archive.droppedAt) return this.#state(month);
    const [oldest] = await storedMonths(db.orm, 0);
    if (oldest && oldest.month < month) {
      throw new AppError("CONFLICT", { message: `Months are dropped in their order: ${oldest.month} is first.` });
    }
    await checkFile(archive, sha256);
    if (!agree(await sumsOf(db.orm, month), archive)) {
      throw new AppError("CONFLICT", { message: `${month} is no longer what was archived: archive it again.` });
    }
    const { requests, file } = archive;
    await this.#insist(async (tx) => {
      const before = { requests: requests.toString() };
      await record(tx, origin, { action: "retention.drop", ...subject(month), before, after: { file } });
      await dropMonth(tx, month);
      if (!(await isBeingRestated(tx, month))) return;
      const message = `A restatement still corrects calls of ${month}: wait until it is done (tollgate restatements).`;
      throw new AppError("CONFLICT", { message });
    });
    return this.#state(month);
  }

  /** The archive of a month that is over and final. */
  async #stored(month: string): Promise<ArchiveRow | undefined> {
    const { db } = this.#options;
    const archive = await findArchive(db.orm, month);
    if (!archive && !(await storedMonths(db.orm, 0)).some((one) => one.month === month)) {
      throw new AppError("NOT_FOUND", { message: `There are no calls of ${month}.` });
    }
    const { over, running } = await readinessOf(db.orm, month);
    if (!over) throw new AppError("CONFLICT", { message: `${month} must have been over for two days.` });
    if (running > 0) throw new AppError("CONFLICT", { message: `Calls of ${month} are still running.` });
    return archive;
  }

  /** Retries for a few seconds. Each try waits for its lock only briefly, so that calls do not queue behind it. */
  async #insist(work: Parameters<Database["transaction"]>[0]): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.#options.db.transaction(work);
        return;
      } catch (error) {
        if (!failedWith(error, "lockNotAvailable")) throw error;
        const message = "A report or backup is reading the calls. Retry later.";
        if (tries === triesMax) throw new AppError("UNAVAILABLE", { message, cause: error });
        await delay(pauseMs);
      }
    }
  }

  async #state(month: string): Promise<MonthState> {
    const found = (await this.months()).find((one) => one.month === month);
    return found ?? { month, stored: undefined, archive: undefined };
  }
}

function checkMonth(month: string): void {
  if (!/^20\d\d-(0[1-9]|1[0-2])$/.test(month))
    throw badInput('month must be of the form "2026-01".', { field: "month" });
}

async function checkFile({ file, sha256 }: ArchiveRow, given: string | undefined): Promise<void> {
  if (given !== undefined) {
    if (given.toLowerCase() !== sha256) throw badInput("sha256 must be that of the archive.", { field: "sha256" });
    return;
  }
  const found = await hashOfFile(file);
  if (found === sha256) return;
  const what = found === undefined ? "is missing" : "was changed";
  const message = `The archive ${file} ${what}: archive the month again, or give the sha256 of your copy.`;
  throw new AppError("CONFLICT", { message });
}

const agree = (a: MonthSums, b: MonthSums): boolean =>
  a.requests === b.requests && a.charged === b.charged && a.costNanoUsd === b.costNanoUsd;

const subject = (month: string) => ({ object: `requests:${month}`, accountId: null });

function told({ file, sha256, requests }: { file: string; sha256: string; requests: bigint }) {
  return { file, sha256, requests: requests.toString() };
}
