import { describe, expect, it } from "vitest";
import { fromWire, newId, toWire } from "../src/ids.ts";

describe("newId", () => {
  const many = Array.from({ length: 20_000 }, newId);

  it("makes UUIDs of version 7, each different", () => {
    for (const id of many) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(new Set(many).size).toBe(many.length);
  });

  it("orders them as they were made, also within a millisecond", () => {
    expect(many.toSorted()).toEqual(many);
  });

  it("begins with the time, even when more are made than a millisecond has room for", () => {
    const at = Number.parseInt(newId().slice(0, 13).replace("-", ""), 16);
    expect(Math.abs(at - Date.now())).toBeLessThan(1_000);
  });

  it("comes back from the wire as it went", () => {
    const id = newId();
    expect(fromWire("key", toWire("key", id))).toBe(id);
  });
});
