import { Database } from "../../src/db/client.ts";
import { AppError } from "../../src/errors.ts";
import { newId } from "../../src/ids.ts";
import type { Command } from "../../src/ledger/checks/reference-model.ts";
import type { Hold, HoldOrder } from "../../src/ledger/checks/reference-state.ts";
import { Sweeper } from "../../src/ledger/checks/sweeper.ts";
import {
  type ClosableHold,
  closable,
  type HoldDecision,
  type HoldRequest,
  Journal,
} from "../../src/ledger/journal/journal.ts";
import { Corrections } from "../../src/ledger/wallets/corrections.ts";
import { Wallets } from "../../src/ledger/wallets/wallets.ts";
import { createLogger } from "../../src/log.ts";
import type { TestDatabase } from "../harness/database.ts";
import { byClock, takeClock } from "./clock.ts";
import { start, walletIds } from "./scripts.ts";

const ending = {
  status: "COMPLETED",
  finishReason: "STOP",
  usageSource: "PROVIDER",
  inputTokens: 1,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  outputTokens: 1,
  reasoningTokens: 0,
  latencyMs: 1,
  timeToFirstTokenMs: null,
  errorCode: null,
  idempotent: false,
  answer: null,
} as const;
const call = { model: "echo", provider: "echo", priceId: newId(), endUser: null, tags: [], httpRequestId: "replay" };

/** The ledger on PostgreSQL, with a clock that is set by hand. */
export class RealLedger {
  readonly db: Database;
  readonly #test: TestDatabase;
  readonly #setClock: (at: Date) => Promise<void>;
  readonly #wallets: Wallets;

  private constructor(test: TestDatabase, setClock: (at: Date) => Promise<void>) {
    this.#test = test;
    this.#setClock = setClock;
    this.db = new Database({ url: byClock(test), poolSize: 6 });
    this.#wallets = new Wallets(this.db);
  }

  static async on(test: TestDatabase): Promise<RealLedger> {
    return new RealLedger(test, await takeClock(test, start));
  }

  journal(): Journal {
    return new Journal({ db: this.db, bringUpToDate: (wallet) => this.#wallets.bringUpToDate(wallet) });
  }

  /** For one script: an account of its own, with the wallets that scripts name. */
  async open(): Promise<RealAccount> {
    await this.#setClock(start);
    const accountId = newId();
    const wallets = new Map<string, string>();
    for (const name of walletIds) {
      wallets.set(name, await this.db.transaction((tx) => this.#wallets.forKey(tx, accountId, false)));
    }
    const sweeper = new Sweeper(this.db, this.#wallets, createLogger({ level: "silent", production: true }));
    return new RealAccount({
      accountId,
      wallets,
      sweeper,
      sql: this.#test.sql,
      setClock: this.#setClock,
      journal: this.journal(),
      ledger: this.#wallets,
      corrections: new Corrections(this.db, this.#wallets),
    });
  }
}

interface Parts {
  accountId: string;
  wallets: ReadonlyMap<string, string>;
  sql: TestDatabase["sql"];
  setClock: (at: Date) => Promise<void>;
  journal: Journal;
  ledger: Wallets;
  corrections: Corrections;
  sweeper: Sweeper;
}

export class RealAccount {
  readonly #parts: Parts;
  readonly #apiKeyId = newId();
  readonly #asked = new Map<string, ClosableHold>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  request({ id, walletId, amount, budgets, leaseSeconds }: HoldOrder): HoldRequest {
    const { accountId } = this.#parts;
    const draws = budgets.map((draw) => ({ ...draw, scopeId: draw.scopeId === "key" ? this.#apiKeyId : accountId }));
    const who = { accountId, walletId: this.#wallet(walletId), apiKeyId: this.#apiKeyId };
    const hold = { id, ...who, ...call, amount, costMax: 0n, budgets: draws, leaseSeconds };
    this.#asked.set(id, closable(hold));
    return hold;
  }

  reserve(order: HoldOrder): Promise<HoldDecision> {
    return this.#parts.journal.reserve(this.request(order));
  }

  /** What the ledger answers to anything but a reservation: an error's code, or nothing of note. */
  async execute(command: Exclude<Command, { type: "reserve" }>, now: Date, walletOfEntry: string | undefined) {
    try {
      return await this.#execute(command, now, walletOfEntry);
    } catch (error) {
      if (error instanceof AppError) return { code: error.code };
      throw error;
    }
  }

  async #execute(command: Exclude<Command, { type: "reserve" }>, now: Date, walletOfEntry: string | undefined) {
    const { accountId, ledger, journal, corrections, sweeper } = this.#parts;
    const notes = { actor: "test", reason: null, idempotencyKey: null };
    switch (command.type) {
      case "grant": {
        const walletId = this.#wallet(command.walletId);
        const { amount, priority, expiresAt } = command;
        await ledger.grantOnce({ accountId, walletId, amount, priority, expiresAt, ...notes });
        return {};
      }
      case "setRefillRule": {
        const wallet = await ledger.find(this.#wallet(command.walletId));
        if (wallet) await ledger.setRefillRule(wallet, command.rule);
        return {};
      }
      case "settle": {
        const { holdId, charge, costNanoUsd } = command;
        const hold = this.#asked.get(holdId) ?? {
          accountId,
          walletId: newId(),
          holdId,
        };
        return journal.settle({ ...hold, charge, costNanoUsd, ...ending });
      }
      case "refund":
        await corrections.refund({ id: command.holdId, amount: command.amount, ...notes });
        return {};
      case "takeBack": {
        const entries = await this.#entries(walletOfEntry ?? "");
        const id = entries[Number(command.entryId)]?.id ?? newId();
        await corrections.takeBack({ id, amount: command.amount, ...notes });
        return {};
      }
      case "sweep":
        await sweeper.sweep();
        return {};
      case "advance":
        await this.#parts.setClock(now);
        return {};
    }
  }

  /** All that the tables say of this account, in the words of the model. */
  async read() {
    const { sql, accountId, wallets } = this.#parts;
    const read = new Map<string, object>();
    for (const [name, id] of wallets) {
      const [wallet] = await sql`
        select balance, held, unburnt, due_at as "dueAt" from wallets where account_id = ${accountId} and id = ${id}`;
      const lots = await sql`
        select remaining, priority, expires_at as "expiresAt", is_refill as "isRefill" from credit_lots
        where account_id = ${accountId} and wallet_id = ${id} order by id`;
      const [rule] = await sql`
        select next_at as "nextAt" from refill_rules where account_id = ${accountId} and wallet_id = ${id}`;
      const entries = (await this.#entries(name)).map(({ id: _id, ...entry }) => entry);
      read.set(name, { ...wallet, lots: [...lots], nextAt: rule?.["nextAt"], entries });
    }
    const holds = await sql<Pick<Hold, "id" | "state">[]>`
      select id, state from holds where account_id = ${accountId} order by id`;
    const windows = await sql<{ key: string; used: bigint; held: bigint }[]>`
      select concat_ws('/', case scope_id when account_id then 'account' else 'key' end, unit, period, starts_on) as key,
        used, held
      from budget_windows where account_id = ${accountId} and used + held > 0 order by 1`;
    return { wallets: read, holds: [...holds], windows: [...windows] };
  }

  async #entries(name: string) {
    const { sql, accountId } = this.#parts;
    return sql<{ id: string; kind: string; amount: bigint; balanceAfter: bigint }[]>`
      select id, kind, amount, balance_after as "balanceAfter" from credit_entries
      where account_id = ${accountId} and wallet_id = ${this.#wallet(name)} order by id`;
  }

  #wallet(name: string): string {
    return this.#parts.wallets.get(name) ?? newId();
  }
}
