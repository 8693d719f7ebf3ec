import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { departures, type Migration } from "./released-migrations.ts";

const folder = new URL("../../schema/migrations/", import.meta.url);
const read = (name: string) => readFileSync(new URL(name, folder));
const released: Migration[] = JSON.parse(read("released.json").toString());
const journal: { entries: Pick<Migration, "tag" | "when">[] } = JSON.parse(read("meta/_journal.json").toString());
const present = journal.entries.map(({ tag, when }) => ({
  ...{ tag, when },
  sha256: createHash("sha256")
    .update(read(`${tag}.sql`))
    .digest("hex"),
}));

describe("released migrations", () => {
  it("are as they were released, in their order", () => {
    expect(released.length).toBeGreaterThan(0);
    expect(departures(released, present)).toEqual([]);
  });

  const first = { tag: "0000_a", when: 1, sha256: "a" };
  const second = { tag: "0001_b", when: 2, sha256: "b" };
  const third = { tag: "0002_c", when: 3, sha256: "c" };

  it("may be followed by new ones", () => {
    expect(departures([first, second], [first, second, third])).toEqual([]);
  });

  it.each([
    ["an edit", [first, { ...second, sha256: "other" }], /^0001_b .* must not be edited/],
    ["another time", [first, { ...second, when: 9 }], /^0001_b .* time in the journal/],
    ["a removal", [first], /^0001_b .* must stay at its place/],
    ["one put between", [first, { ...third, when: 1.5 }, second], /^0001_b .* must stay at its place/],
    ["a new one that is older", [first, second, { ...third, when: 2 }], /^0002_c must be later/],
  ])("are missed after %s", (_what, changed, message) => {
    expect(departures([first, second], changed)).toEqual([expect.stringMatching(message)]);
  });
});
