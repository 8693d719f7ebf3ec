import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Interval, type IntervalOptions } from "../../src/tasks/interval.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const everyMs = 1_000;

/** Work whose runs end when the test says so. */
function makeInterval(options?: IntervalOptions) {
  const ends: (() => void)[] = [];
  const errors: unknown[] = [];
  const work = () => new Promise<void>((resolve) => ends.push(resolve));
  const interval = new Interval(work, everyMs, (error) => errors.push(error), options);
  const end = async () => {
    ends.at(-1)?.();
    await vi.advanceTimersByTimeAsync(0);
  };
  return { interval, end, errors, runs: () => ends.length };
}

it("an interval runs at once, then on each beat, and never twice at a time", async () => {
  const { interval, end, runs } = makeInterval();
  interval.start();
  interval.start();
  expect(runs()).toBe(1);
  await vi.advanceTimersByTimeAsync(2_500);
  expect(runs()).toBe(1);
  await end();
  await vi.advanceTimersByTimeAsync(499);
  expect(runs()).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(runs()).toBe(2);
});

it("an interval that pauses first runs one beat after its start", async () => {
  const { interval, runs } = makeInterval({ runsFirst: false });
  interval.start();
  await vi.advanceTimersByTimeAsync(everyMs - 1);
  expect(runs()).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(runs()).toBe(1);
});

it("an interval pauses for as long as the length of its last run says", async () => {
  const { interval, end, runs } = makeInterval({ pauseAfter: (tookMs) => 10 * tookMs });
  interval.start();
  await vi.advanceTimersByTimeAsync(500);
  await end();
  await vi.advanceTimersByTimeAsync(4_999);
  expect(runs()).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(runs()).toBe(2);
});

it("an interval goes on after a run that failed, and reports it", async () => {
  const errors: unknown[] = [];
  const interval = new Interval(
    () => Promise.reject("failed"),
    everyMs,
    (error) => errors.push(error),
  );
  interval.start();
  await vi.advanceTimersByTimeAsync(everyMs);
  expect(errors).toEqual(["failed", "failed"]);
  await interval.stop();
});

it("an interval stops when its run has ended, runs no more, and can be started again", async () => {
  const { interval, end, runs } = makeInterval();
  interval.start();
  let stopped = false;
  const stopping = interval.stop().then(() => {
    stopped = true;
  });
  await vi.advanceTimersByTimeAsync(everyMs);
  expect(stopped).toBe(false);
  await end();
  await stopping;
  await vi.advanceTimersByTimeAsync(10 * everyMs);
  expect(runs()).toBe(1);
  interval.start();
  expect(runs()).toBe(2);
});

it("an interval that is started again during its last run never runs twice at a time", async () => {
  const { interval, end, runs } = makeInterval();
  interval.start();
  void interval.stop();
  interval.start();
  await vi.advanceTimersByTimeAsync(3 * everyMs);
  expect(runs()).toBe(1);
  await end();
  await vi.advanceTimersByTimeAsync(everyMs);
  expect(runs()).toBe(2);
});
