import { describe, expect, it } from "vitest";
import { Cancellation, type Cancelled, nativeSignal, pause } from "../../src/tasks/cancellation.ts";

describe("a cancellation", () => {
  it("tells its listeners once, with the first reason", () => {
    const cancellation = new Cancellation();
    const told: unknown[] = [];
    cancellation.addEventListener("abort", () => told.push(cancellation.reason));
    cancellation.abort("left");
    cancellation.abort("revoked");
    expect(told).toEqual(["left"]);
    expect(cancellation).toMatchObject({ aborted: true, reason: "left" });
    expect(() => cancellation.throwIfAborted()).toThrow("left");
  });

  it("tells nobody who has gone, and all others although one goes meanwhile", () => {
    const cancellation = new Cancellation();
    const told: string[] = [];
    const gone = () => told.push("gone");
    const first = () => {
      told.push("first");
      cancellation.removeEventListener("abort", first);
    };
    const dismissed = () => told.push("dismissed");
    cancellation.addEventListener("abort", gone);
    cancellation.addEventListener("abort", first);
    cancellation.addEventListener("abort", () => {
      told.push("second");
      cancellation.removeEventListener("abort", dismissed);
    });
    cancellation.addEventListener("abort", dismissed);
    cancellation.removeEventListener("abort", gone);
    cancellation.abort("left");
    expect(told).toEqual(["first", "second"]);
  });

  it("reaches a library by a signal of the platform, before and after it happens", () => {
    const early = new Cancellation();
    const signal = nativeSignal(early);
    expect(signal.aborted).toBe(false);
    early.abort("left");
    expect(signal).toMatchObject({ aborted: true, reason: "left" });
    expect(nativeSignal(early)).toMatchObject({ aborted: true, reason: "left" });
    expect(nativeSignal(signal)).toBe(signal);
  });

  it("ends a pause at once, and one that has not begun", async () => {
    const cancellation = new Cancellation();
    const waiting = pause(60_000, cancellation);
    cancellation.abort(new Error("left"));
    await expect(waiting).rejects.toThrow("left");
    await expect(pause(60_000, cancellation)).rejects.toThrow("left");
  });

  it("lets a pause end by itself, and is left without listeners", async () => {
    const listeners: (() => void)[] = [];
    const counted: Cancelled = {
      aborted: false,
      reason: undefined,
      throwIfAborted() {},
      addEventListener: (_type, listener) => void listeners.push(listener),
      removeEventListener: (_type, listener) => void listeners.splice(listeners.indexOf(listener), 1),
    };
    await pause(1, counted);
    expect(listeners).toEqual([]);
  });
});
