import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pickByWeight } from "../../src/models/catalogue-snapshot.ts";

describe("picking by weight", () => {
  const targets = fc.array(fc.record({ weight: fc.integer({ min: 1, max: 1_000_000 }) }), {
    minLength: 1,
    maxLength: 10,
  });

  it("always finds one, whatever falls", () => {
    fc.assert(
      fc.property(targets, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (all, random) => {
        expect(all).toContain(pickByWeight(all, random));
      }),
    );
  });

  it("gives each its share, to the last part", () => {
    const all = [{ weight: 3 }, { weight: 1 }, { weight: 6 }];
    const picked = Array.from({ length: 10 }, (_, i) => all.indexOf(pickByWeight(all, i / 10) as { weight: number }));
    expect(picked).toEqual([0, 0, 0, 1, 2, 2, 2, 2, 2, 2]);
  });
});
