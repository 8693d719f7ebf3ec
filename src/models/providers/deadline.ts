import type { Cancelled } from "../../cancellation.ts";
import { AppError } from "../../errors.ts";

/** The caller's signal joined with the total time; not `AbortSignal.any`, which on Node 20 outlives its call. */
export function deadline(caller: Cancelled, totalMs: number) {
  const controller = new AbortController();
  const { signal } = controller;
  const expire = () => controller.abort(new AppError("PROVIDER_TIMEOUT", { details: { timeout: "total" } }));
  const follow = () => controller.abort(caller.reason);
  const timer = setTimeout(expire, totalMs);
  caller.addEventListener("abort", follow, { once: true });
  const passed = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  passed.catch(() => {});
  const release = () => {
    clearTimeout(timer);
    caller.removeEventListener("abort", follow);
  };
  // Lets the socket go, unless the answer is complete and the socket kept.
  const abandon = () => controller.abort(new Error("The answer was abandoned."));
  return { signal, passed, release, abandon };
}
