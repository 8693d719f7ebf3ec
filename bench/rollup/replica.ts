import { Database } from "../../src/db/client.ts";
import { Journal } from "../../src/ledger/journal/journal.ts";
import { type Purse, pairsASecond } from "../usage/settle-rate.ts";

/** One server's ledger as a process of its own: settles with the purse that it is told, and answers pairs a second. */
export interface Order {
  purse: Purse;
  callers: number;
  seconds: number;
}

const db = new Database({ url: process.argv[2] ?? "", poolSize: 4 });
const journal = new Journal({ db, bringUpToDate: async () => {} });

process.on("message", ({ purse, ...options }: Order) => {
  void pairsASecond(journal, [purse], { ...options, wallets: 1 }).then((rate) => process.send?.(rate));
});
process.on("disconnect", () => void db.close());
