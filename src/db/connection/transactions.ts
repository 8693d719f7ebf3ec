import type { Sql } from "../client.ts";
import { setLocally } from "./session.ts";

type Transaction = Pick<Sql, "unsafe">;

/**
 * A client for drizzle whose every statement runs under `settings`: behind a pooler in transaction mode they hold for
 * one transaction, so each statement gets one of its own, and each transaction begins with them.
 */
export function inTransactions(sql: Sql, settings: Record<string, string>): Sql {
  const { default_transaction_read_only: readOnly, ...others } = settings;
  const opening = setLocally({ ...(readOnly && { transaction_read_only: readOnly }), ...others });
  const begin = <T>(work: (tx: Transaction) => Promise<T>) =>
    sql.begin(async (tx) => {
      await tx.unsafe(opening);
      return work(tx as unknown as Transaction);
    });
  const unsafe = (...[text, parameters, options]: Parameters<Sql["unsafe"]>) => ({
    // biome-ignore lint/suspicious/noThenProperty: it stands for the driver's query, which is such an object.
    then: (...handlers: Parameters<Promise<unknown>["then"]>) =>
      begin(async (tx) => tx.unsafe(text, parameters, options)).then(...handlers),
    values: () => begin(async (tx) => tx.unsafe(text, parameters, options).values()),
  });
  return { options: sql.options, begin, unsafe } as unknown as Sql;
}
