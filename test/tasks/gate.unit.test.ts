import { expect, it } from "vitest";
import { Gate } from "../../src/tasks/gate.ts";

it("a gate lets so many tasks run at once, so many wait, and refuses the rest", async () => {
  const gate = new Gate(2, 20);
  let [running, most, run] = [0, 0, 0];
  const task = async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
    run += 1;
    if (run % 2 === 0) throw new Error("a task may fail, and gives its place back");
  };
  const ended = await Promise.allSettled(Array.from({ length: 200 }, () => gate.run(task)));
  const refusals = ended.flatMap((one) =>
    one.status === "rejected" && one.reason.code === "RATE_LIMITED" ? [one] : [],
  );
  expect([most, refusals.length]).toEqual([2, 178]);
  expect(refusals[0]?.reason.details).toEqual({ retryAfter: 1 });
  // Nothing that failed, ended or was refused holds a place.
  await Promise.allSettled([gate.run(task), gate.run(task)]);
  expect([run, most, running]).toEqual([24, 2, 0]);
});
