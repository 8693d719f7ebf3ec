import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { changeKinds } from "../../src/db/change-feed.ts";
import { lockNumbers } from "../../src/db/lock-numbers.ts";

const migrations = new URL("../../schema/migrations/", import.meta.url);

function sqlOfMigrations(): string {
  const names = readdirSync(migrations).filter((name) => name.endsWith(".sql"));
  return names.map((name) => readFileSync(new URL(name, migrations), "utf8")).join("\n");
}

describe("the tables of names", () => {
  it("have every kind of change that a trigger notifies of, and no other", () => {
    const notified = [...sqlOfMigrations().matchAll(/pg_notify\('tollgate_changes', '([\w-]+):/g)].map(
      ([, kind]) => kind,
    );
    expect(new Set(notified)).toEqual(new Set(changeKinds));
  });

  it("give every advisory lock a number of its own", () => {
    const numbers = Object.values(lockNumbers);
    expect(new Set(numbers).size).toBe(numbers.length);
  });
});
