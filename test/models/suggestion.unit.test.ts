import { describe, expect, it } from "vitest";
import { decimalOf } from "../../src/models/services/suggestion.ts";

describe("suggested prices", () => {
  it.each([
    [0.15, "0.15"],
    [3, "3"],
    [100, "100"],
    [{ base: 1.25 }, "1.25"],
    [1e-7, "0.0000001"],
    [0, "0"],
    [undefined, null],
    [Number.NaN, null],
    [-1, null],
  ])("are read off floats: %o is %s", (rate, decimal) => {
    expect(decimalOf(rate)).toBe(decimal);
  });
});
