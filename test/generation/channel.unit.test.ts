import { describe, expect, it } from "vitest";
import { DeltaChannel } from "../../src/generation/stream/channel.ts";
import type { Generation } from "../../src/generation/types.ts";

const generation = { id: "gen_1" } as Generation;

async function readAll(channel: DeltaChannel) {
  const events: unknown[] = [];
  try {
    for await (const event of channel) events.push(event);
  } catch (error) {
    events.push(error);
  }
  return events;
}

describe("a channel between a writer and a reader", () => {
  it("gives a reader who waits each piece at once", async () => {
    const channel = new DeltaChannel(() => {});
    const first = channel.next();
    channel.push("a");
    expect(await first).toEqual({ done: false, value: { seq: 0, text: "a" } });
    const second = channel.next();
    channel.push("b");
    expect(await second).toEqual({ done: false, value: { seq: 1, text: "b" } });
  });

  it("joins the pieces of a reader who lags, loses none and tells the end last", async () => {
    const channel = new DeltaChannel(() => {});
    const pieces = Array.from({ length: 100 }, (_, i) => `${i} `);
    for (const piece of pieces) channel.push(piece);
    channel.end(generation, "why");
    const events = (await readAll(channel)) as { seq: number; text: string }[];
    expect(events.at(-1)).toBe("why");
    expect(events.at(-2)).toEqual({ generation });
    const deltas = events.slice(0, -2);
    expect(deltas.length).toBeLessThanOrEqual(16);
    expect(deltas.map(({ seq }) => seq)).toEqual(deltas.map((_, i) => i));
    expect(deltas.map(({ text }) => text).join("")).toBe(pieces.join(""));
  });

  it("makes the writer wait while 64 Ki characters are unread, and no longer", async () => {
    const channel = new DeltaChannel(() => {});
    channel.push("x".repeat(65_535));
    expect(channel.room()).toBeUndefined();
    channel.push("x");
    let waits = true;
    const room = channel.room()?.then(() => {
      waits = false;
    });
    await Promise.resolve();
    expect(waits).toBe(true);
    await channel.next();
    await room;
    expect(channel.room()).toBeUndefined();
  });

  it("tells once when the reader leaves, and not after the end", async () => {
    let left = 0;
    const leave = () => {
      left += 1;
    };
    const open = new DeltaChannel(leave);
    const pending = open.next();
    await open.return();
    expect(await pending).toEqual({ done: true, value: undefined });
    const ended = new DeltaChannel(leave);
    ended.end(generation);
    await ended.return();
    expect(left).toBe(1);
  });
});
