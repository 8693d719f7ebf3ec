import { describe, expect, it } from "vitest";
import { KeptBySize } from "../../src/tasks/kept-by-size.ts";

describe("a cache that is bounded by size", () => {
  it("drops what was used longest ago until the rest fits", () => {
    const kept = new KeptBySize<string, number>(10);
    kept.set("a", 1, 4);
    kept.set("b", 2, 4);
    expect(kept.get("a")).toBe(1);
    kept.set("c", 3, 5);
    expect([kept.get("a"), kept.get("b"), kept.get("c")]).toEqual([1, undefined, 3]);
    kept.set("d", 4, 10);
    expect([kept.count, kept.get("d")]).toEqual([1, 4]);
  });

  it("keeps nothing that is larger than all of it, and drops nothing for it", () => {
    const kept = new KeptBySize<string, number>(10);
    kept.set("a", 1, 10);
    kept.set("b", 2, 11);
    expect([kept.get("a"), kept.get("b")]).toEqual([1, undefined]);
  });

  it("counts an entry that is replaced once, by its new size", () => {
    const kept = new KeptBySize<string, number>(10);
    for (let i = 0; i < 100; i++) kept.set("a", i, 6);
    kept.set("b", 2, 4);
    expect([kept.get("a"), kept.get("b"), kept.count]).toEqual([99, 2, 2]);
    kept.set("a", 3, 11);
    expect([kept.get("a"), kept.count]).toEqual([undefined, 1]);
  });
});
