import { setImmediate as turn } from "node:timers/promises";
import { expect, it } from "vitest";
import { Batcher, Lane } from "../../src/ledger/journal/batcher.ts";

/** Until an idle event loop has turned so often that a batch has left. */
async function quiet(): Promise<void> {
  for (let i = 0; i < 5; i++) await turn();
}

/** Batches that end when they are told to, in the order in which they were started. */
function batches() {
  const started: string[] = [];
  const ends: (() => void)[] = [];
  const run = async (items: string[]) => {
    started.push(items.join(""));
    await new Promise<void>((resolve) => ends.push(resolve));
    return items.map((value) => ({ status: "fulfilled", value }) as const);
  };
  const end = async () => {
    ends.shift()?.();
    await quiet();
  };
  return { run, started, end };
}

it("puts into one batch what comes by one turn of the event loop after another, but not for ever", async () => {
  const { run, started, end } = batches();
  const batcher = new Batcher(run, {}, new Lane(() => 100));
  const answers = [..."ab"].map((item) => batcher.add(item));
  await quiet();
  await end();
  for (const item of "cdef") {
    answers.push(batcher.add(item));
    await turn();
  }
  expect(started).toEqual(["ab"]);
  await quiet();
  expect(started).toEqual(["ab", "cdef"]);
  await end();
  expect(await Promise.all(answers)).toEqual([..."abcdef"]);

  for (let i = 0; i < 20 && started.length === 2; i++) {
    void batcher.add("g");
    await turn();
  }
  expect(started[2]?.length).toBeLessThan(15);
});

it("lets a batch go as soon as half of all calls wait for it", async () => {
  const { run, started, end } = batches();
  const lane = new Lane(() => 2);
  const [openings, closings] = [1, 2].map(() => new Batcher(run, {}, lane));
  for (const item of "ab") void openings?.add(item);
  await quiet();
  await end();
  void openings?.add("c");
  await turn();
  for (const item of "de") {
    void closings?.add(item);
    await turn();
    expect(started).toEqual(["ab"]);
  }
  void closings?.add("f");
  await turn();
  // The larger one goes first.
  expect(started).toEqual(["ab", "def"]);
  await end();
  expect(started).toEqual(["ab", "def", "c"]);
});

it("lets a lone call go at once, after another lone one", async () => {
  const { run, started, end } = batches();
  const batcher = new Batcher(run);
  for (const item of "abc") {
    void batcher.add(item);
    await turn();
    expect(started.at(-1)).toBe(item);
    await end();
  }
});

it("lets batchers of one lane take turns, and starts beside another only what is large", async () => {
  const { run, started, end } = batches();
  const lane = new Lane();
  const [openings, closings] = [1, 2].map(() => new Batcher(run, { besideMin: 3 }, lane));
  const add = (batcher: Batcher<string, string> | undefined, items: string) =>
    Promise.all([...items].map((item) => batcher?.add(item))).then((answers) => answers.join(""));

  const first = add(openings, "a");
  await quiet();
  const waiting = [add(openings, "bc"), add(closings, "de")];
  await quiet();
  expect(started).toEqual(["a"]);
  const large = add(closings, "f");
  await quiet();
  expect(started).toEqual(["a", "def"]);

  await end();
  expect(await first).toBe("a");
  const later = add(closings, "gh");
  await end();
  expect(started).toEqual(["a", "def", "bc"]);
  await end();
  expect(started).toEqual(["a", "def", "bc", "gh"]);
  await end();
  expect(await Promise.all([...waiting, large, later])).toEqual(["bc", "de", "f", "gh"]);
});

it("waits for no batch that is slow itself", async () => {
  const { run, started } = batches();
  const batcher = new Batcher(run);
  void batcher.add("a");
  await quiet();
  void batcher.add("b");
  await quiet();
  expect(started).toEqual(["a"]);
  for (const start = performance.now(); performance.now() - start < 25; );
  void batcher.add("c");
  await quiet();
  expect(started).toEqual(["a", "bc"]);
});

it("lets nobody wait for long because more wait for the other", async () => {
  const { run, started, end } = batches();
  const lane = new Lane();
  const [openings, closings] = [1, 2].map(() => new Batcher(run, {}, lane));
  for (const item of "abc") void openings?.add(item);
  void closings?.add("x");
  await quiet();
  expect(started).toEqual(["abc"]);
  for (const start = performance.now(); performance.now() - start < 25; );
  for (const item of "def") void openings?.add(item);
  await end();
  expect(started).toEqual(["abc", "x"]);
});
