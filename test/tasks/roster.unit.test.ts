import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Roster } from "../../src/tasks/roster.ts";

describe("a roster", () => {
  it("holds what came and has not gone, whatever the order", () => {
    const steps = fc.array(fc.oneof(fc.constant("come" as const), fc.nat(20)), { maxLength: 200 });
    fc.assert(
      fc.property(steps, (all) => {
        const roster = new Roster<number>();
        const here = new Map<number, () => void>();
        const gone: (() => void)[] = [];
        all.forEach((step, number) => {
          if (step === "come") here.set(number, roster.add(number));
          else {
            const [leaving] = [...here].slice(step % Math.max(1, here.size));
            if (!leaving) return;
            leaving[1]();
            here.delete(leaving[0]);
            gone.push(leaving[1]);
            // Who has gone takes nobody else along.
            gone.forEach((leave) => {
              leave();
            });
          }
          expect([...roster].sort((a, b) => a - b)).toEqual([...here.keys()].sort((a, b) => a - b));
          expect(roster.size).toBe(here.size);
        });
      }),
    );
  });
});
