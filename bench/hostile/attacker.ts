import { setTimeout as delay } from "node:timers/promises";
import { attacks, type Target } from "./attacks.ts";

/** A process of its own, so that what an attack costs its sender delays no paid call: sends until it is told to stop. */
const [index, target] = JSON.parse(process.argv[2] ?? "") as [number, Target];
const attack = attacks[index];
if (!attack) throw new Error("There is no such attack.");

const answers: Record<string, number> = {};
let sent = 0;
let running = true;
process.once("message", () => {
  running = false;
  process.send?.({ sent, answers }, () => process.exit(0));
});
process.once("disconnect", () => process.exit(0));
process.send?.("ready");

const startedAt = performance.now();
for (let number = 0; running; number++) {
  const dueMs = startedAt + (number * 1000) / attack.requestsPerSecond - performance.now();
  if (dueMs > 0) await delay(dueMs);
  sent += 1;
  void attack
    .send(target, number)
    .catch(() => "no answer")
    .then((answer) => {
      answers[answer] = (answers[answer] ?? 0) + 1;
    });
}
