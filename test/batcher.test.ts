import { setImmediate as turn } from "node:timers/promises";
import { expect, it } from "vitest";
import { Batcher, Lane } from "../src/ledger/batcher.ts";

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
    // One to hear of it, and one in which the lane looks.
    await turn();
    await turn();
  };
  return { run, started, end };
}

it("puts what one turn of the event loop brings into one batch, by whatever callbacks it comes", async () => {
  const { run, started, end } = batches();
  const batcher = new Batcher(run);
  const answers = [batcher.add("a")];
  queueMicrotask(() => answers.push(batcher.add("b")));
  process.nextTick(() => answers.push(batcher.add("c")));
  await turn();
  expect(started.map((items) => [...items].sort().join(""))).toEqual(["abc"]);
  await end();
  expect((await Promise.all(answers)).sort()).toEqual(["a", "b", "c"]);
});

it("lets batchers of one lane take turns, and starts beside another only what is large", async () => {
  const { run, started, end } = batches();
  const lane = new Lane();
  const [openings, closings] = [1, 2].map(() => new Batcher(run, { besideMin: 3 }, lane));
  const add = (batcher: Batcher<string, string> | undefined, items: string) =>
    Promise.all([...items].map((item) => batcher?.add(item))).then((answers) => answers.join(""));

  const first = add(openings, "a");
  await turn();
  const waiting = [add(openings, "bc"), add(closings, "de")];
  await turn();
  expect(started).toEqual(["a"]);
  const large = add(closings, "f");
  await turn();
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
  await turn();
  void batcher.add("b");
  await turn();
  expect(started).toEqual(["a"]);
  for (const start = performance.now(); performance.now() - start < 25; );
  void batcher.add("c");
  await turn();
  expect(started).toEqual(["a", "bc"]);
});
