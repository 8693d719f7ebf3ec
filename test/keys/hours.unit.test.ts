import { describe, expect, it } from "vitest";
import { isOpen, openHours, opensAt, weekdays } from "../../src/keys/rules/hours.ts";

const minuteMs = 60_000;
const dayMs = 1440 * minuteMs;
const minutesOfWeek = 7 * 1440;
/** From Monday, 0:00: the first day of 1970 was a Thursday. */
const epochMinute = 3 * 1440;

/** A change of the clocks: from this instant on, local time is UTC and `after`, before it UTC and `before`, in minutes. */
interface Change {
  timeZone: string;
  atMs: number;
  before: number;
  after: number;
}

function offsetOf(clock: Intl.DateTimeFormat, atMs: number): number {
  const name = clock.formatToParts(atMs).find(({ type }) => type === "timeZoneName")?.value ?? "";
  const [, sign, hours, minutes] = /^GMT(?:([+-])(\d\d):(\d\d))?/.exec(name) ?? [];
  return (sign === "-" ? -1 : 1) * (Number(hours ?? 0) * 60 + Number(minutes ?? 0));
}

function changesOf(timeZone: string, year: number): Change[] {
  const clock = new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "longOffset" });
  const [start, end] = [Date.UTC(year, 0, 1), Date.UTC(year + 1, 0, 1)];
  const found: Change[] = [];
  for (let day = start; day < end; day += dayMs) {
    const [before, after] = [offsetOf(clock, day), offsetOf(clock, day + dayMs)];
    if (before === after) continue;
    let [low, high] = [day, day + dayMs];
    while (high - low > minuteMs) {
      const middle = low + Math.floor((high - low) / 2 / minuteMs) * minuteMs;
      if (offsetOf(clock, middle) === before) low = middle;
      else high = middle;
    }
    found.push({ timeZone, atMs: high, before, after });
  }
  return found;
}

const localMinute = ({ atMs, before, after }: Change, ms: number) =>
  (Math.floor(ms / minuteMs) + (ms < atMs ? before : after) + epochMinute) % minutesOfWeek;

const timeOf = (minute: number) =>
  [Math.floor((minute % 1440) / 60), minute % 60].map((part) => String(part).padStart(2, "0")).join(":");

/** Compares windows around one change with a minute by minute count; answers how many openings it has compared. */
function compare(change: Change): number {
  let compared = 0;
  const wall = localMinute(change, change.atMs - minuteMs) + 1;
  for (const shift of [-90, -15, 0, 20, 75]) {
    for (const length of [10, 300]) {
      const start = (wall + shift + minutesOfWeek) % minutesOfWeek;
      const day = weekdays[Math.floor(start / 1440)];
      if (!day) throw new Error("no day");
      const window = { days: [day], from: timeOf(start), to: timeOf(start + length) };
      const hours = openHours({ timeZone: change.timeZone, windows: [window] });
      const isIn = (ms: number) => (localMinute(change, ms) - start + minutesOfWeek) % minutesOfWeek < length;
      for (const nowMs of [change.atMs - 3 * 3_600_000, change.atMs - minuteMs, change.atMs, change.atMs + 1800_001]) {
        expect(isOpen(hours, nowMs)).toBe(isIn(nowMs));
        if (isIn(nowMs)) continue;
        let next = Math.floor(nowMs / minuteMs) * minuteMs;
        while (!isIn(next)) next += minuteMs;
        const told = `${change.timeZone}, ${new Date(nowMs).toISOString()}, ${JSON.stringify(window)}`;
        expect(opensAt(hours, nowMs).toISOString(), told).toBe(new Date(next).toISOString());
        compared += 1;
      }
    }
  }
  return compared;
}

describe("hours of use open when the clocks say so", () => {
  it("around each change of the clocks of a year, in every time zone", () => {
    const changes = Intl.supportedValuesOf("timeZone").flatMap((timeZone) => changesOf(timeZone, 2026));
    const compared = changes.map(compare);
    expect(changes.length).toBeGreaterThan(200);
    expect(Math.min(...compared)).toBeGreaterThan(0);
  }, 60_000);

  it.each([
    ["America/Sao_Paulo", 2018, 2],
    ["Australia/Lord_Howe", 2026, 2],
    ["Pacific/Apia", 2011, 3],
    ["Africa/Casablanca", 2026, 2],
    ["Asia/Pyongyang", 2015, 1],
  ])("in %s in %i, with its %i changes", (timeZone, year, count) => {
    const changes = changesOf(timeZone, year);
    expect(changes).toHaveLength(count);
    for (const change of changes) expect(compare(change)).toBeGreaterThan(0);
  });

  it("on the Friday after the one that Apia left out", () => {
    const hours = openHours({ timeZone: "Pacific/Apia", windows: [{ days: ["FRI"], from: "09:00", to: "17:00" }] });
    expect(opensAt(hours, Date.parse("2011-12-30T03:00:00Z")).toISOString()).toBe("2012-01-05T19:00:00.000Z");
  });
});
